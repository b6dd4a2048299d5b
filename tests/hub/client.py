"""Processes that know only the Hub under test: a script, a command, or a worker that publishes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from tests.hub.state import TOKEN, Hub

Mode = Literal["lfs", "xet"]
MODES: tuple[Mode, ...] = ("lfs", "xet")
ROOT = Path(__file__).parents[2]


def environment(hub: Hub, home: Path, mode: Mode, token: str = TOKEN) -> dict[str, str]:
    """The variables of a process whose Hub is this one."""
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return {
        **kept,
        "HF_ENDPOINT": hub.api,
        "HF_HOME": str(home),
        "HF_TOKEN": token,
        "HF_HUB_OFFLINE": "0",
        "HF_DATASETS_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1" if mode == "lfs" else "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_XET_CLIENT_RETRY_BASE_DELAY": "50ms",
        "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "2",
        "NO_PROXY": "*",
    }


def script(
    hub: Hub, folder: Path, mode: Mode, code: str, *args: str, token: str = TOKEN
) -> subprocess.CompletedProcess[str]:
    """Runs Python code in `folder` with a home of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=folder,
        env=environment(hub, folder / f"home-{mode}", mode, token),
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass
class Result:
    """What a call in the worker ended in."""

    value: Any = None
    error: str = ""
    shown: str = ""
    """The error with its causes, as Python shows them."""
    waits: list[float] = field(default_factory=list)


@dataclass
class Worker:
    """A process that calls `synth.store.hub`, so that the client is loaded once for many calls."""

    mode: Mode
    process: subprocess.Popen[str]
    folder: Path

    def publish(
        self,
        files: Mapping[str, bytes],
        repo: str,
        kind: str = "dataset",
        token: str | None = TOKEN,
        **options: Any,
    ) -> Result:
        """`publish`; files of more than 1,000 bytes are handed over on the disk."""
        sources: dict[str, Any] = {}
        for name, data in files.items():
            path = self.folder / f"{len(list(self.folder.iterdir()))}-{Path(name).name}"
            path.write_bytes(data)
            sources[name] = {"path": str(path), "whole": len(data) <= 1000}
        options = {"message": "Add rows", **options}
        return self._call(token, "publish", sources, repo, kind, options)

    def text(
        self, repo: str, name: str, kind: str = "dataset", token: str = TOKEN, **options: Any
    ) -> Result:
        """`existing_text`."""
        return self._call(token, "text", name, repo, kind, options)

    def _call(self, token: str | None, *call: Any) -> Result:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([token, *call]) + "\n")
        self.process.stdin.flush()
        return Result(**json.loads(self.process.stdout.readline()))


@contextmanager
def worker(hub: Hub, folder: Path, mode: Mode) -> Iterator[Worker]:
    """A worker with a fresh home; what it writes to stderr is `folder / "stderr"`."""
    files = folder / "files"
    files.mkdir(parents=True)
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.hub.client"],
            cwd=ROOT,
            env={
                **environment(hub, folder / "home", mode),
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        try:
            yield Worker(mode, process, files)
        finally:
            process.communicate()


def _serve(lines: IO[str]) -> None:
    """The worker's own side: one call a line, one answer a line."""
    import traceback
    from dataclasses import asdict

    from synth.errors import HubError
    from synth.store.hub import existing_text, publish

    for line in lines:
        token, what, given, repo, kind, options = json.loads(line)
        os.environ.pop("HF_TOKEN", None)
        if token is not None:
            os.environ["HF_TOKEN"] = token
        result = Result()
        options["wait"] = result.waits.append
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        try:
            if what == "publish":
                files = {
                    name: Path(x["path"]).read_bytes() if x["whole"] else Path(x["path"])
                    for name, x in given.items()
                }
                result.value = asdict(publish(files, repo, kind, **options))
            else:
                result.value = existing_text(repo, kind, given, **options)
        except HubError as error:
            result.error = str(error)
            result.shown = "".join(traceback.format_exception(error)) + repr(error)
        sys.stdout.write(json.dumps(asdict(result)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(sys.stdin)

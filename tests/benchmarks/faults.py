"""Kills processes under `--on ray`, and compares what comes of it.

    python tests/benchmarks/faults.py [--stage backtranslate|curate]
        [--part engine|node|driver ...] [--times N] [--seed S]

engine  kill -9 of the process of an engine, or of one that does a task of `curate`
node    kill -9 of a node's raylet and of all its workers at once; the next run has a new node
driver  kill -9 of the process that was given the command; then the same command again

The command is `backtranslate`, or `curate` of what one machine generated. Each kill comes at a
moment drawn uniformly over the seconds that an undisturbed run took, or over those of a shorter run
since. It hits when the process, or one of the node's, or one that worked for the command, was
answering, cutting, reading or sorting just then. Runs are made until `--times` kills hit; those
that miss are compared as well. A run is equal when its account, candidates, bad lines and ledger,
and the fate of each candidate, are those of one machine.

The cluster has two nodes, both on this machine, each with room for one engine, so that what died
with a node waits for the engine of the other. The engine is scripted, and waits a fixed time for
each request. Prints one JSON object last.
"""

import argparse
import faulthandler
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from synth.errors import SynthError  # noqa: E402
from synth.models.local import LocalModels  # noqa: E402
from synth.models.protocols import Engine, Question, Request, Score  # noqa: E402
from synth.recipe import Recipe, load_recipe  # noqa: E402
from synth.records import Completion  # noqa: E402
from synth.settings import Ray  # noqa: E402
from synth.stages.backtranslate import backtranslate  # noqa: E402
from synth.stages.cluster import cluster  # noqa: E402
from synth.stages.common import AdapterInfo, prompt_of  # noqa: E402
from synth.stages.curate import curate  # noqa: E402
from synth.stages.curate_on_ray import curate_on_ray  # noqa: E402
from synth.stages.on_ray import backtranslate_on_ray  # noqa: E402
from synth.store.run import Run  # noqa: E402

_ROOMS = ({"num_cpus": 2.0, "num_gpus": 1.0}, {"num_cpus": 1.0, "num_gpus": 1.0})
_SETS = [
    "corpus.min_chars=20", "corpus.max_chars=400", "corpus.shortest=20",
    "prompt.keywords=0", "generate.scores=[]", "generate.samples=2", "generate.shard=3",
    "ray.piece_mib=0.0015", "ray.cpus=0.25", "ray.gpus=1",
    "curate.min_grounded_words=0", "curate.duplicates.keep=best", "ray.partition_rows=15",
    "curate.select.per_document=1",
]  # fmt: skip
_HUNG = 300  # seconds


class Words:
    """A token a word."""

    bos_token_id, eos_token_id, chat_template = 1, 2, None

    def __call__(self, text: Any, **_: object) -> dict[str, Any]:
        many = [text] if isinstance(text, str) else text
        ids = [[sum(word.encode()) for word in one.split()] for one in many]
        return {"input_ids": ids[0] if isinstance(text, str) else ids}


@dataclass
class Scripted(LocalModels):
    """An engine that waits `seconds`, then says what depends on the request alone."""

    seconds: float = 0.0

    def tokenizer(self, recipe: Recipe) -> Any:
        """A token a word."""
        return Words()

    def engine(self, recipe: Recipe, weights: Path) -> Engine:
        """The engine."""
        return _ScriptedEngine(self.seconds)


@dataclass
class _ScriptedEngine:
    seconds: float
    tokenizer: Any = field(default_factory=Words)

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        for request in requests:
            time.sleep(self.seconds)
            said = f"What is the number {sum(request.ids)} of {request.seed % 1000}?"
            yield request.key, Completion(said, 5, "stop", -0.5 - request.seed % 7 / 10)

    def score(self, questions: Iterable[Question]) -> Iterator[tuple[int, Score]]:
        raise NotImplementedError

    def close(self) -> None:
        pass


@dataclass
class Trials:
    """A corpus, what one machine makes of it, and a cluster."""

    folder: Path
    seconds: float
    nodes: Any  # tests.nodes.Nodes
    draw: random.Random
    stage: str
    recipe: Recipe = field(init=False)
    corpus: list[str] = field(init=False)
    whole: Run = field(init=False)

    def __post_init__(self) -> None:
        from tests.test_shards import lines

        made = lines(60)
        files = {"a": made, "b": [*made[10:14], "", "nope", *made[:3]]}
        for name, rows in files.items():
            (self.folder / f"{name}.jsonl").write_text("\n".join(rows), encoding="utf-8")
        self.corpus = [str(self.folder / f"{name}.jsonl") for name in files]
        self.recipe = load_recipe("nano", _SETS)
        self.whole = self.run("whole")
        backtranslate(self.whole, self.recipe, Scripted(), self.corpus)
        curate(self.whole, self.recipe, LocalModels())

    def run(self, name: str) -> Run:
        """A folder with what the stage begins with."""
        run, identity = Run(self.folder / name), LocalModels().identity(self.recipe)
        if self.stage == "curate" and name != "whole":
            shutil.copytree(self.whole.folder, run.folder)
            run.forget("curate")
            for path in (*run.curated, *run.rejected, run.ledger):
                path.unlink()
            return run
        info = AdapterInfo("nano", identity, prompt_of(self.recipe).hash, 0, "", "made", [])
        info.write(run.adapter)
        return run

    def here(self, run: Run) -> int:
        """The command in this process; its exit status."""
        try:
            work(self.stage, run, self.recipe, self.seconds, self.corpus)
        except SynthError as error:
            _say(f"{type(error).__name__}: {error}")
            return 1
        return 0

    def elsewhere(self) -> "subprocess.Popen[str]":
        """A process that loads its libraries, for the command to be given to."""
        words = ["--stage", self.stage, "--child", str(self.seconds), *self.corpus]
        command = [sys.executable, __file__, *words]
        env = {**os.environ, "RAY_ADDRESS": self.nodes.address}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True)

    def difference(self, run: Run) -> str:
        """In what the run is not what one machine made; empty where it is equal."""
        from tests.test_ray import same
        from tests.test_shards import fates

        try:
            same(run, self.whole, self.recipe)
            curate(run, self.recipe, LocalModels())
            assert json.loads(run.ledger.read_text()) == json.loads(self.whole.ledger.read_text())
            assert fates(run) == fates(self.whole)
        except (AssertionError, SynthError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def busy(self, node: int) -> list[str]:
        """What the workers of a node are at that is work."""
        return [title for title in self.nodes.workers(node).values() if _is_work(title)]


def work(stage: str, run: Run, recipe: Recipe, seconds: float, corpus: list[str]) -> None:
    """The command."""
    if stage == "curate":
        curate_on_ray(run, recipe, LocalModels())
    else:
        backtranslate_on_ray(run, recipe, Scripted(seconds), corpus)


def _is_work(title: str) -> bool:
    return title.endswith(".submit") or title.removeprefix("ray::") in {"told", "Map(_cut)"}


def kill_engine(trials: Trials) -> list[str] | None:
    """Kills one of the engines, of those at work if any is; what it was at, or None."""
    from tests.nodes import kill

    workers = {**trials.nodes.workers(0), **trials.nodes.workers(1)}
    of = "told" if trials.stage == "curate" else "_Engines"
    engines = {pid: title for pid, title in workers.items() if of in title}
    if not engines:
        return None
    at_work = [pid for pid, title in engines.items() if _is_work(title)]
    victim = trials.draw.choice(sorted(at_work or engines))
    if not kill(victim):
        return None
    return [engines[victim]]


def kill_node(trials: Trials) -> list[str]:
    """Kills the node at which no command is connected; what it was at."""
    busy = trials.busy(1)
    trials.nodes.kill(1)
    return busy


def trial_of(
    trials: Trials, name: str, at: float, kill: Callable[[Trials], list[str] | None]
) -> dict[str, Any]:
    """One run in this process, in which something is killed."""
    run, started = trials.run(name), time.monotonic()
    told: dict[str, Any] = {}

    def killer() -> None:
        time.sleep(at)
        told["shards"] = len(run.shards())
        told["killed"] = kill(trials)

    thread = threading.Thread(target=killer)
    thread.start()
    status = trials.here(run)
    seconds = time.monotonic() - started
    thread.join()
    killed = told["killed"] or []
    return {
        "at": round(at, 2), "lasted": round(seconds, 1), "shards": told["shards"],
        "killed": sorted(title.removeprefix("ray::") for title in killed),
        "hit": seconds > at and any(map(_is_work, killed)),
        "difference": f"exit status {status}" if status else trials.difference(run),
    }  # fmt: skip


def trial_of_driver(trials: Trials, name: str, at: float) -> dict[str, Any]:
    """One run whose command is killed, and given again."""
    run, first, second = trials.run(name), trials.elsewhere(), trials.elsewhere()
    ready(second)
    ready(first)
    give(first, run)
    time.sleep(at)
    shards = len(run.shards())
    killed = [title for node in (0, 1) for title in trials.busy(node)]
    first.kill()
    ended = first.wait()
    give(second, run)
    status = second.wait()
    return {
        "at": round(at, 2), "lasted": round(at, 1) if ended >= 0 else None, "shards": shards,
        "killed": sorted(title.removeprefix("ray::") for title in killed),
        "hit": ended < 0 and bool(killed),
        "difference": f"exit status {status}" if status else trials.difference(run),
    }  # fmt: skip


def undisturbed(trials: Trials, part: str) -> float:
    """How many seconds a run takes in which nothing is killed."""
    run = trials.run(f"{part}-undisturbed")
    if part == "driver":
        child = trials.elsewhere()
        ready(child)
    started = time.monotonic()
    if part == "driver":
        give(child, run)
        status = child.wait()
    else:
        status = trials.here(run)
    took = time.monotonic() - started
    assert not status
    assert not trials.difference(run)
    return took


def ready(process: "subprocess.Popen[str]") -> None:
    """Waits until a child has loaded its libraries."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def give(process: "subprocess.Popen[str]", run: Run) -> None:
    """Gives the command to a child that is ready."""
    assert process.stdin is not None
    process.stdin.write(f"{run.folder}\n")
    process.stdin.flush()


def child(stage: str, seconds: float, corpus: list[str]) -> None:
    """Loads the libraries, and is given the command then."""
    import ray.data  # noqa: F401

    print("ready", flush=True)
    sys.stdout = sys.stderr  # Ray speaks there
    run = Run(Path(sys.stdin.readline().strip()))
    work(stage, run, load_recipe("nano", _SETS), seconds, corpus)


def measured(trials: Trials, part: str, times: int) -> dict[str, Any]:
    """Runs until so many kills hit."""
    took = undisturbed(trials, part)
    done: list[dict[str, Any]] = []
    while sum(one["hit"] for one in done) < times:
        faulthandler.dump_traceback_later(_HUNG, exit=True)
        at, name = trials.draw.uniform(0, took), f"{part}-{len(done)}"
        if part == "driver":
            one = trial_of_driver(trials, name, at)
        else:
            one = trial_of(trials, name, at, kill_engine if part == "engine" else kill_node)
        if part == "node":
            trials.nodes.add(**_ROOMS[1])
        _say(f"{part}: {json.dumps(one)}")
        done.append(one)
        # Of a machine that was busier before, an undisturbed run would have taken too long.
        took = min(took, one["lasted"] or took)
    faulthandler.cancel_dump_traceback_later()
    return {
        "undisturbed_s": round(took, 1),
        "runs": len(done),
        "equal": sum(not one["difference"] for one in done),
        "hits": sum(one["hit"] for one in done),
        "equal_hits": sum(one["hit"] and not one["difference"] for one in done),
        "kills": done,
    }


def _say(text: str) -> None:
    print(text.encode("unicode_escape").decode(), file=sys.stderr, flush=True)


def main() -> None:
    """Kills, compares and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("engine", "node", "driver")
    parser.add_argument("--part", action="append", choices=parts)
    parser.add_argument("--stage", choices=("backtranslate", "curate"), default="backtranslate")
    parser.add_argument("--times", type=int, default=10, help="kills of each part that hit work")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--seconds", type=float, default=0.15, help="of an answer")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.stage, float(args.child[0]), args.child[1:])
        return
    from tests.nodes import nodes

    found: dict[str, Any] = {"stage": args.stage, "seed": args.seed}
    with tempfile.TemporaryDirectory() as temporary, nodes(*_ROOMS) as started:
        trials = Trials(
            Path(temporary), args.seconds, started, random.Random(args.seed), args.stage
        )
        chosen = args.part or parts
        with cluster(Ray(address=started.address)):
            if {"engine", "node"} & set(chosen):
                trials.here(trials.run("first"))  # starts workers that stay
            for part in chosen:
                found[part] = measured(trials, part, args.times)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

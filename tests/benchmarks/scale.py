"""What a Ray cluster costs and gives: engines side by side, against no Ray, and its memory.

    python tests/benchmarks/scale.py [--part engines|overhead|memory|curate ...]

engines   four engines against one, on `--segments` segments
overhead  one engine on Ray against none of Ray, on `--segments` segments: all of the command but
          Ray's start and its workers' imports, and all of it
memory    the peak of the process that was given the command at `--many` segments against that at a
          tenth of them
curate    `curate` of `--many` made-up candidates (see curate.py) on two workers against one
          machine, all of it and its near-duplicates alone; whether both sort alike; the peak of
          the command at as many and at a tenth; and what goes through files

The engine is scripted: it takes `--slots` requests at once and waits a fixed time per token for
each, so that processors do not decide. Each measurement runs in processes of its own; the cluster
is one of this machine. Prints one JSON object last.
"""

import argparse
import contextlib
import heapq
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from backtranslate import WordTokenizer, write_corpus  # type: ignore[import-not-found]
from memory import peak_mib  # type: ignore[import-not-found]  # both lie beside this file

import candidates  # type: ignore[import-not-found]
from synth.models.local import LocalModels
from synth.models.protocols import Engine, Question, Request, Score
from synth.recipe import Recipe, load_recipe
from synth.records import Completion, Progress
from synth.stages.backtranslate import backtranslate
from synth.stages.common import AdapterInfo, prompt_of
from synth.stages.curate import curate
from synth.stages.curate_on_ray import curate_on_ray
from synth.stages.on_ray import backtranslate_on_ray
from synth.store.run import Run

_TOKENS = 20  # of an answer
_CPUS = 4  # logical ones; engines take a tenth of one each


@dataclass
class Waiting(LocalModels):
    """An engine that only waits, and a tokenizer that costs next to nothing.

    `log` is the folder where each engine says when it had its first request and its last answer.
    """

    slots: int
    per_token: float
    log: str

    def tokenizer(self, recipe: Recipe) -> Any:
        """A token a word."""
        return WordTokenizer()

    def engine(self, recipe: Recipe, weights: Path) -> Engine:
        """The engine."""
        return _WaitingEngine(self)


class _WaitingEngine:
    def __init__(self, owner: Waiting) -> None:
        self.owner = owner
        self.tokenizer = WordTokenizer()

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        began, under_way = time.time(), list[tuple[float, int]]()
        for request in requests:
            ready = time.monotonic() + _TOKENS * self.owner.per_token
            heapq.heappush(under_way, (ready, request.key))
            if len(under_way) == self.owner.slots:
                yield self._next(under_way)
        while under_way:
            yield self._next(under_way)
        with (Path(self.owner.log) / str(os.getpid())).open("a") as file:
            file.write(f"{began} {time.time()}\n")

    def _next(self, under_way: list[tuple[float, int]]) -> tuple[int, Completion]:
        ready, key = heapq.heappop(under_way)
        time.sleep(max(0.0, ready - time.monotonic()))
        return key, Completion("What is this text about?", _TOKENS, "stop", -0.5)

    def score(self, questions: Iterable[Question]) -> Iterator[tuple[int, Score]]:
        raise NotImplementedError

    def close(self) -> None:
        pass


def child(engines: int, segments: int, folder: Path, args: argparse.Namespace) -> None:
    """One measurement, printed as JSON; 0 engines are one without Ray."""
    pieces = args.pieces or max(4 * engines, 8)
    corpus = folder / f"{segments}.jsonl"
    if not corpus.exists():
        write_corpus(corpus, segments, 1)
    sets = [
        "corpus.min_chars=1", "corpus.shortest=1", "prompt.keywords=0", "generate.scores=[]",
        f"ray.piece_mib={corpus.stat().st_size / pieces / 2**20}", f"ray.local_cpus={_CPUS}",
        f"ray.max_replicas={max(1, engines)}", f"ray.min_replicas={max(1, engines)}",
        "ray.cpus=0.1",
    ]  # fmt: skip
    recipe = load_recipe("nano", sets)
    run = Run(Path(tempfile.mkdtemp(dir=folder)))
    log = run.folder / "log"
    log.mkdir()
    models = Waiting(args.slots, args.per_token, str(log))
    identity = models.identity(recipe)
    AdapterInfo("nano", identity, prompt_of(recipe).hash, 0, "", "made", []).write(run.adapter)
    started = time.time()
    work = backtranslate_on_ray if engines else backtranslate
    counts = work(run, recipe, models, [str(corpus)]).counts
    ended = time.time()
    spans = [tuple(map(float, line.split())) for path in log.iterdir() for line in path.open()]
    figures = {
        "seconds": ended - started,
        "working_seconds": max(end for _, end in spans) - min(begin for begin, _ in spans),
        "segments": counts["candidates"],
        "engines": len(list(log.iterdir())),
        "peak_mib": peak_mib(),
    }
    print(json.dumps(figures))


def sorting(way: str, source: Path, args: argparse.Namespace) -> None:
    """One curation of a copy of a run, printed as JSON."""
    folder = source.with_name(f"{source.name}-{way}")
    shutil.copytree(source, folder, dirs_exist_ok=True)
    arguments = json.loads((source / "arguments.json").read_text())[1::2]
    recipe = load_recipe("nano", [*arguments, f"ray.local_cpus={args.workers}"])
    run = Run(folder)
    began = time.time()
    phases: dict[str, float] = {}
    last, since = "", began
    spilled, worker = 0, 0.0

    def listen(told: Progress) -> None:
        nonlocal last, since, spilled, worker
        if told.note != last:
            now = time.time()
            phases[last] = now - since + phases.get(last, 0.0)
            last, since = told.note, now
            worker = max(worker, _largest_worker())
            if told.note == "writing":
                spilled = sum(path.stat().st_size for path in run.sorting.rglob("*.*"))

    curate_ = curate_on_ray if way == "ray" else curate
    counts = curate_(run, recipe, LocalModels(), listen).counts
    phases[last] = time.time() - since
    near = ("comparing with one another", "gathering", "settling")
    figures = {
        "seconds": time.time() - began,
        "near_seconds": sum(phases.get(name, 0.0) for name in near),
        "start_seconds": phases.get("starting ray", 0.0),
        "kept": counts["buckets"]["kept"],
        "spilled_mib": spilled / 2**20,
        "worker_peak_mib": worker,
        "peak_mib": peak_mib(),
    }
    print(json.dumps(figures))


def _largest_worker() -> float:
    """The most memory that a process of Ray's that does tasks had so far, in MiB."""
    most = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if status.with_name("cmdline").read_bytes().startswith(b"ray::"):
                told = dict(line.split(":", 1) for line in status.read_text().splitlines())
                most = max(most, int(told["VmHWM"].split()[0]) / 1024)
    return most


def sorted_alike(source: Path) -> bool:
    """Whether both ways wrote the same rows."""
    for kind in ("curated", "rejected"):
        one, other = (
            pl.read_parquet(source.with_name(f"{source.name}-{way}") / kind / "*.parquet")
            for way in ("here", "ray")
        )
        if not one.equals(other):
            return False
    return True


def measured(engines: int, segments: int, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The figures of one measurement in a process of its own."""
    found = _child([str(engines), str(segments), str(folder)], args)
    assert found["engines"] == max(1, engines)
    return found


def _child(child: list[str], args: argparse.Namespace) -> dict[str, Any]:
    words = [f"--per-token={args.per_token}", f"--slots={args.slots}", f"--pieces={args.pieces}"]
    command = [sys.executable, __file__, *words, f"--workers={args.workers}", "--child", *child]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    last = output.strip().splitlines()[-1]
    print(f"{child[:2]}, load {os.getloadavg()[0]:.1f}:", last, file=sys.stderr, flush=True)
    found: dict[str, Any] = json.loads(last)
    return found


def curated(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    """The figures of curation."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for rows in (args.many // 10, args.many):
        source = folder / f"run-{rows}"
        candidates.write(source, rows, folder / "questions.parquet", 31, [])
        for way in ("here", "ray"):
            found[way, rows] = _child(["curate", way, str(source)], args)
        assert sorted_alike(source)
    here, ray = found["here", args.many], found["ray", args.many]
    few = found["ray", args.many // 10]["peak_mib"]
    return {
        "curate_here_s": here["seconds"],
        "curate_on_ray_s": ray["seconds"],
        "curate_ratio": ray["seconds"] / here["seconds"],
        "near_ratio": ray["near_seconds"] / here["near_seconds"],
        "ray_start_s": ray["start_seconds"],
        "curate_spilled_mib": ray["spilled_mib"],
        "curate_worker_mib": ray["worker_peak_mib"],
        "curate_driver_few_mib": few,
        "curate_driver_many_mib": ray["peak_mib"],
        "curate_driver_growth_ratio": ray["peak_mib"] / few,
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("engines", "overhead", "memory", "curate")
    parser.add_argument("--part", action="append", choices=parts)
    parser.add_argument("--segments", type=int, default=50_000)
    parser.add_argument("--many", type=int, default=1_000_000, help="of memory, at most")
    parser.add_argument("--per-token", type=float, default=0.01, help="seconds")
    parser.add_argument("--slots", type=int, default=64, help="requests under way at once")
    parser.add_argument("--pieces", type=int, default=0, help="of the corpus; 0: by the engines")
    parser.add_argument("--workers", type=int, default=2, help="that curate")
    parser.add_argument("--child", nargs=3, metavar=("ENGINES", "SEGMENTS", "FOLDER"))
    args = parser.parse_args()
    if args.child and args.child[0] == "curate":
        sorting(args.child[1], Path(args.child[2]), args)
        return
    if args.child:
        child(int(args.child[0]), int(args.child[1]), Path(args.child[2]), args)
        return
    chosen = args.part or parts
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        asked = {"engines", "overhead"} & set(chosen)
        one = measured(1, args.segments, folder, args) if asked else {}
        if "engines" in chosen:
            four = measured(4, args.segments, folder, args)
            figures["four_engines_speedup_ratio"] = one["working_seconds"] / four["working_seconds"]
        if "overhead" in chosen:
            alone = measured(0, args.segments, folder, args)
            figures |= {"alone_s": alone["seconds"], "on_ray_s": one["seconds"]}
            figures["on_ray_working_s"] = one["working_seconds"]
            figures["working_overhead_ratio"] = one["working_seconds"] / alone["working_seconds"]
            figures["overhead_ratio"] = one["seconds"] / alone["seconds"]
        if "memory" in chosen:
            few = measured(4, args.many // 10, folder, args)["peak_mib"]
            many = measured(4, args.many, folder, args)["peak_mib"]
            figures |= {"driver_few_mib": few, "driver_many_mib": many}
            figures["driver_growth_ratio"] = many / few
        if "curate" in chosen:
            figures |= curated(folder, args)
    print(json.dumps({key: round(value, 3) for key, value in figures.items()}))


if __name__ == "__main__":
    main()

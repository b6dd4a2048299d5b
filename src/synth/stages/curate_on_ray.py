"""Candidates -> curated + rejected + ledger on a cluster; what `curate` does on one machine.

The candidates are cut into partitions. Tasks look at the rows of each, leave in files what rows are
met by, and sort the rows when all is decided; all of that is `partitions.py`. Through Ray go
numbers and counts, so that the process that hands out the work holds no row.

The shuffles are not those of Ray Data: they keep what goes from task to task in the memory of the
nodes, for one process that hands out the work, and all of it is lost with that process. Here it
lies in files of the run folder, and the same command goes on with the steps that are not done.
"""

import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synth import __version__
from synth.models.protocols import Models
from synth.recipe import Recipe
from synth.records import Listener, Outcome, Progress, content_id, silent
from synth.stages import partitions as steps
from synth.stages.cluster import cluster, in_order
from synth.stages.curate import (
    STAGE,
    Sums,
    Written,
    check_answered,
    check_scores,
    commit,
    finished,
    ledger_of,
    what_is_asked,
)
from synth.stages.partitions import Sorting
from synth.store.benchmarks import Benchmarks, read_benchmarks
from synth.store.candidate_rows import Stretch, partitions
from synth.store.files import whole, write_parquet
from synth.store.locks import chief
from synth.store.run import Run
from synth.tables.kernels import COMPILE_FROM

_PART = 8_000_000  # rows whose keys of one kind a task holds: some 200 MB as it sorts them
_BATCH = 32_768  # rows that are settled in one task
_RANKED = 4_000_000  # rows that are ranked in one task


def curate_on_ray(
    run: Run,
    recipe: Recipe,
    models: Models,
    listen: Listener = silent,
    *,
    sources: Sequence[Path] = (),
) -> Outcome:
    """Sorts the run's candidates into kept and rejected, as one machine does.

    Whatever dies, the same command goes on with what is not done.

    Args:
        run: Where the candidates lie, and the result goes.
        recipe: How to sort.
        models: For an embedder, where the recipe compares embeddings.
        listen: Told how far it is.
        sources: Run folders whose candidates are sorted together; the run remembers them.

    Raises:
        RunError: For a cluster that cannot be reached, and as `curate` does.
        SynthError: As `curate` does.
    """
    started = time.time()
    run = Run(run.folder.absolute())
    asked = what_is_asked(run, recipe, models, sources)
    before = finished(run, recipe, asked)
    if before is not None:
        return Outcome(STAGE, before.counts, skipped=True)
    check_scores(recipe)
    listen(Progress(STAGE, note="reading benchmarks"))
    benchmarks = read_benchmarks(recipe.curate.contamination)
    parts = partitions(run, recipe.ray.partition_rows)
    rows = sum(stretch.rows for part in parts for stretch in part)
    work = Sorting(
        run=run,
        recipe=recipe,
        models=models,
        marks=asked.marks,
        folder=_folder(run, recipe, asked.fingerprint, benchmarks),
        chief=uuid.uuid4().hex,
        here=str(Path.cwd()),
        partitions=len(parts),
        parts=-(-rows * recipe.generate.samples // _PART) or 1,
        batch=_BATCH,
        compiled=rows + benchmarks.questions.height >= COMPILE_FROM,
    )
    listen(Progress(STAGE, note="starting ray"))
    with cluster(recipe.ray) as nodes, chief(run.workers, work.chief):
        write_parquet(work.folder / "questions.parquet", benchmarks.questions)
        sums, written = _sorted(_Crew(work, nodes, listen), parts)
        ledger = ledger_of(run, recipe, asked.counts, sums, benchmarks)
        outcome = commit(run, asked, ledger, written, len(parts), started)
    shutil.rmtree(run.sorting)
    return outcome


def _folder(run: Run, recipe: Recipe, fingerprint: str, benchmarks: Benchmarks) -> Path:
    """Where workers put what they find; what others left that sorted otherwise is deleted."""
    depends = (__version__, recipe.ray.partition_rows, _PART, _BATCH, _RANKED)
    name = content_id(fingerprint, *depends, benchmarks.questions.height, benchmarks.missing)
    for path in run.sorting.glob("*"):
        if path.name != name:
            shutil.rmtree(path)
    return run.sorting / name


@dataclass(frozen=True, slots=True)
class _Crew:
    """Tasks all over the cluster."""

    work: Sorting
    nodes: Sequence[Any]
    listen: Listener

    def each(
        self, step: Callable[..., dict[str, Any]], note: str, calls: Iterable[tuple[Any, ...]]
    ) -> list[dict[str, Any]]:
        """What a step tells, called with each of these."""
        every = [(self.work, *call) for call in calls]
        told = []
        for one in in_order(step, every, self.nodes):
            told.append(one)
            self.listen(Progress(STAGE, len(told), len(every), "task", note))
        return told


def _sorted(crew: _Crew, parts: Sequence[Sequence[Stretch]]) -> tuple[Sums, Written]:
    """Puts all partitions through all steps."""
    work, numbers = crew.work, range(len(parts))
    select = work.recipe.curate.select
    whose = list(enumerate(parts))
    crew.each(steps.name, "comparing names", whose)
    again = crew.each(steps.compare_names, "comparing names", _numbers(work.parts))
    looked = crew.each(steps.look, "looking", whose)
    check_answered(work.run, sum(told["lost"] for told in looked))
    _write_starts(work, [told["rows"] for told in looked])
    readers = 0
    if work.recipe.curate.duplicates.semantic is None:
        readers = steps.readers(work)
        crew.each(steps.meet, "comparing with one another", _numbers(readers))
    (grouped,) = crew.each(steps.group, "comparing with one another", [(readers,)])
    into = grouped["batches"]
    if into:
        crew.each(steps.gather, "gathering", ((*one, into) for one in whose))
        crew.each(steps.settle_batch, "settling", _numbers(into))
    if select.asks:
        crew.each(steps.choose, "choosing", [(into,)])
    bounds = _bounds([told["sample"] for told in looked], sum(told["rows"] for told in looked))
    split = crew.each(steps.split, "ranking", ((number, bounds) for number in numbers))
    sizes = np.sum([told["rows"] for told in split], axis=0)
    before = (np.cumsum(sizes) - sizes).tolist()
    crew.each(steps.order, "ranking", enumerate(before))
    by = {"settled": into, "chosen": int(select.asks), "ranked": len(before)}
    work.run.forget(STAGE)
    written = crew.each(steps.write, "writing", ((*one, by) for one in whose))
    apart = any(told["apart"] for told in written)
    far = crew.each(steps.account, "adding up", _numbers(work.parts) if apart else ())
    spared, repeated = (
        sum(told[name] for told in found)
        for found, name in ((looked, "spared"), (again, "segments"))
    )
    buckets = _added(told["buckets"] for told in (*written, *far))
    first = {"kept": buckets.pop("kept")}
    rejections = _added(told["rejections"] for told in written)
    sums = Sums(first | buckets, rejections, spared, repeated)
    masked = {
        name: _added(told["masked"][name] for told in written) for name in ("curated", "rejected")
    }
    kept, gone = (sum(told[name] for told in written) for name in ("kept", "gone"))
    return sums, Written(kept, gone, masked)


def _numbers(count: int) -> Iterable[tuple[int]]:
    return ((number,) for number in range(count))


def _write_starts(work: Sorting, rows: Sequence[int]) -> None:
    with whole(work.folder / "starts.npy") as part, part.open("wb") as file:
        np.save(file, np.cumsum([0, *rows]))


def _bounds(samples: Iterable[Sequence[tuple[float, int]]], rows: int) -> list[tuple[float, int]]:
    """Score and segment at which stretches of the ranking begin that one task can hold."""
    scores = sorted((score, segment) for sample in samples for score, segment in sample)
    stretches = min(-(-rows // _RANKED), len(scores)) or 1
    return [scores[len(scores) * number // stretches] for number in range(1, stretches)]


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sums by name, most first."""
    total = Counter[str]()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

"""A partition of the candidates -> its rows, kept or rejected: what workers of a cluster do.

Each step looks at one partition, or at what all partitions have left for one reader, and says in a
file of its own what it found; a step whose file is there is not done again. What is decided is
decided by the functions of one machine (`look_at`, `Settling`, `sorted_out`). Nothing here knows
who hands out the work.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.models.protocols import Models
from synth.recipe import Recipe
from synth.settings.curation import Side
from synth.stages.curate import tools_of, write_sorted
from synth.store.candidates import CandidateRows, Stretch
from synth.store.files import whole, write_json, write_parquet
from synth.store.locks import working_for
from synth.store.repeats import Repeats, is_new
from synth.store.reviews import Mark
from synth.store.run import Run
from synth.store.spills import parted, read_spill, write_spill
from synth.tables.curation import Verdicts, buckets, look_at, rank
from synth.tables.looking import Look, Tools
from synth.tables.meeting import (
    TOLD,
    batches,
    carried,
    forest,
    keys,
    kinds,
    met,
    settle,
    texts_needed,
)
from synth.tables.near import Rows
from synth.tables.settling import Settling
from synth.tables.sketches import SLOTS, Signatures, Sketch
from synth.tables.sorting import sorted_out

_SAMPLE = 16  # scores of a partition that tell where those of all rows lie
_NAMES = {"row": pl.get_index_type(), "segment": pl.UInt64, "request": pl.UInt64}
_KEYS = {"key": pl.UInt64, "row": pl.UInt32}


@dataclass(frozen=True, slots=True)
class Sorting:
    """What all who work on partitions of the candidates must know.

    Attributes:
        run: Whose candidates they are; on a file system that all share.
        recipe: The recipe.
        models: What they load; travels to them.
        marks: What people said of rows.
        folder: Where what they find goes.
        chief: The command that they work for.
        here: The folder in which that was given; names in a recipe are relative to it.
        partitions: How many partitions there are.
        parts: Into how many parts goes what is looked up by a hash.
        batch: Rows that are settled together, where more would do.
        compiled: Whether to compile loops (see kernels.py); the result is the same.
    """

    run: Run
    recipe: Recipe
    models: Models
    marks: Mapping[str, Mark]
    folder: Path
    chief: str
    here: str
    partitions: int
    parts: int
    batch: int
    compiled: bool

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Keeps the next command waiting until what is under way here is over."""
        os.chdir(self.here)
        with working_for(self.run.workers, self.chief):
            yield

    def path(self, step: str, number: int, end: str) -> Path:
        """Where a step puts what it found."""
        return self.folder / f"{step}-{number:05d}.{end}"

    def spilled(self, step: str, by: int, reader: int) -> pl.DataFrame:
        """What the first `by` of those who did a step left for a reader."""
        return read_spill([self.path(step, number, "arrow") for number in range(by)], reader)

    def once(self, step: str, number: int, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What a step tells; it is made if nobody did before."""
        path = self.path(step, number, "json")
        with self.begun():
            try:
                told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                told = make()
                write_json(path, told)
        return told

    def starts(self) -> npt.NDArray[np.int64]:
        """Of each partition the place of its first row among all, and after the last how many."""
        found: npt.NDArray[np.int64] = np.load(self.folder / "starts.npy")
        return found


_made: dict[str, tuple[Tools, Look]] = {}


def _looking(work: Sorting) -> tuple[Tools, Look]:
    """What this process looks with; benchmarks are indexed once."""
    if work.chief not in _made:
        _made.clear()
        questions = pl.read_parquet(work.folder / "questions.parquet")
        tools = tools_of(work.recipe, work.models, questions, work.marks)
        _made[work.chief] = tools, Look(work.recipe.curate, tools, compiled=work.compiled)
    return _made[work.chief]


def name(work: Sorting, number: int, partition: Sequence[Stretch]) -> dict[str, Any]:
    """Leaves the ids of the partition's segments, for `compare_names`."""

    def make() -> dict[str, Any]:
        rows = (
            pl.concat([stretch.scan() for stretch in partition])
            .with_row_index("row")
            .select(
                "row",
                segment=pl.col("segment_id").str.to_integer(base=16, dtype=pl.UInt64),
                request="requests",
            )
            .explode("request", empty_as_null=True)
            .collect()
            .cast(pl.Schema(_NAMES))
            .with_columns(partition=pl.lit(number, pl.UInt32))
        )
        part = (rows["segment"] % work.parts).to_numpy().astype(np.int64)
        write_spill(work.path("names", number, "arrow"), parted(rows, part, work.parts))
        return {"rows": rows.height}

    return work.once("names", number, make)


def compare_names(work: Sorting, part: int) -> dict[str, Any]:
    """Leaves each partition its rows that say nothing new, and segments that others have as well.

    Returns:
        How many `segments` stood there before.
    """

    def make() -> dict[str, Any]:
        rows = work.spilled("names", work.partitions, part)
        places = pl.struct("partition", "row").n_unique().over("segment")
        again = rows.filter(places > 1).with_columns(gone=~is_new())
        there = pl.col("partition").filter(~pl.col("gone"))
        again = again.with_columns(apart=there.n_unique().over("segment") > 1)
        number = again["partition"].to_numpy().astype(np.int64)
        write_spill(work.path("again", part, "arrow"), parted(again, number, work.partitions))
        stood = again.select(pl.struct("partition", "row").n_unique()).item()
        return {"segments": stood - again["segment"].n_unique()}

    return work.once("again", part, make)


def _again(work: Sorting, number: int) -> tuple[Repeats, pl.Series]:
    """Rows of a partition that say nothing new, and segments that other partitions have too."""
    found = work.spilled("again", work.parts, number)
    gone = found.filter("gone").select("row", "request")
    apart = found.filter("apart", ~pl.col("gone"))["segment"].unique()
    return Repeats(gone.height, gone), apart


def _rows(work: Sorting, number: int, partition: Sequence[Stretch]) -> CandidateRows:
    twice, _ = _again(work, number)
    return CandidateRows.within(work.run, work.recipe.generate, partition, twice)


def look(work: Sorting, number: int, partition: Sequence[Stretch]) -> dict[str, Any]:
    """Looks at the partition's rows, each by itself; leaves what they are met by, for `meet`.

    Of a segment's samples the best is found, as far as they are here.

    Returns:
        `rows`, `lost` of them without an answer, `spared`, and a `sample` of scores.
    """

    def make() -> dict[str, Any]:
        rows = _rows(work, number, partition)
        settings, (tools, eyes) = work.recipe.curate, _looking(work)
        seen = look_at(rows, eyes, lambda _: None)
        settling = Settling(
            seen.facts, [seen.claims], seen.sketches, rows, tools, compiled=work.compiled
        )
        settling.outrank(settings.rank)
        is_open = pl.Series("open", settling.open)
        with whole(work.path("facts", number, "arrow")) as part:
            seen.facts.drop("rank").with_columns(is_open).write_ipc(part)
        write_parquet(work.path("claims", number, "parquet"), settling.claimed())
        for side, sketch in seen.sketches.items():
            _save(work.path(f"prints-{side}", number, "npy"), sketch.prints)
            _save(work.path(f"slots-{side}", number, "npy"), sketch.slots)
        _leave_keys(work, number, np.flatnonzero(settling.open), seen.facts, seen.sketches)
        scores = seen.facts.select(*_ranked_by())
        step = max(1, scores.height // _SAMPLE)
        return {
            "rows": rows.count,
            "lost": rows.unanswered(),
            "spared": seen.spared,
            "sample": scores.gather_every(step).rows(),
        }

    return work.once("look", number, make)


def _ranked_by() -> tuple[pl.Expr, pl.Expr]:
    score = pl.col("score").fill_null(float("inf")).fill_nan(float("inf"))
    return score, pl.col("segment")


def _save(path: Path, array: npt.NDArray[Any]) -> None:
    with whole(path) as part, part.open("wb") as file:
        np.save(file, array)


def _leave_keys(
    work: Sorting, number: int, rows: Rows, facts: pl.DataFrame, sketches: Mapping[Side, Sketch]
) -> None:
    settings = work.recipe.curate.duplicates
    segments = facts["segment"].to_numpy()
    frames: list[pl.DataFrame] = []
    for kind in kinds(settings):
        key, of = keys(kind, rows, segments, sketches, settings)
        frame = pl.DataFrame({"key": key, "row": of}, schema=_KEYS)
        part = (key % np.uint64(work.parts)).astype(np.int64)
        frames += parted(frame, part, work.parts) if work.parts > 1 else [frame]
    write_spill(work.path("keys", number, "arrow"), frames)


def readers(work: Sorting) -> int:
    """How many read what `look` leaves: one for each kind of key and part."""
    return len(kinds(work.recipe.curate.duplicates)) * work.parts


def meet(work: Sorting, reader: int) -> dict[str, Any]:
    """Finds rows that have to be settled together, by one kind of key."""

    def make() -> dict[str, Any]:
        settings = work.recipe.curate.duplicates
        kind, starts = kinds(settings)[reader // work.parts], work.starts()
        paths = [work.path("keys", number, "arrow") for number in range(work.partitions)]
        parts = [
            read_spill([path], reader).with_columns(pl.col("row").cast(pl.Int64) + start)
            for path, start in zip(paths, starts.tolist(), strict=False)
        ]
        found = pl.concat(parts)
        rows = found["row"].to_numpy()

        def slots_of(places: Rows) -> Signatures:
            return _slots(work, str(kind.side), rows[places], starts)

        later, earlier = met(kind, found["key"].to_numpy(), settings, slots_of)
        row, first = forest(rows[later], rows[earlier], compiled=work.compiled)
        edges = np.stack([row[row != first], first[row != first]])
        _save(work.path("edges", reader, "npy"), edges)
        return {"edges": edges.shape[1]}

    return work.once("meet", reader, make)


def _slots(work: Sorting, side: str, rows: Rows, starts: npt.NDArray[np.int64]) -> Signatures:
    """The signatures of rows, which are ascending, from the files of their partitions."""
    ends = np.searchsorted(rows, starts)
    parts = [np.zeros((0, SLOTS), np.uint8)]
    for number in np.flatnonzero(np.diff(ends)).tolist():
        slots = np.load(work.path(f"slots-{side}", number, "npy"), mmap_mode="r")
        parts.append(slots[rows[ends[number] : ends[number + 1]] - starts[number]])
    return np.concatenate(parts)


def group(work: Sorting, edges_by: int) -> dict[str, Any]:
    """Joins what has to be settled together into batches, and tells each partition of its rows.

    Holds the edges, and never a row that meets no other. Where embeddings are compared any two rows
    may be alike, and all are one batch.

    Returns:
        How many `batches` there are.
    """

    def make() -> dict[str, Any]:
        starts = work.starts()
        if work.recipe.curate.duplicates.semantic is not None:
            rows = np.concatenate([
                np.flatnonzero(_facts(work, number)["open"].to_numpy()) + start
                for number, start in enumerate(starts[:-1])
            ])  # fmt: skip
            batch = np.zeros(rows.size, np.int64)
        else:
            edges = [np.load(work.path("edges", reader, "npy")) for reader in range(edges_by)]
            rows, first = forest(*np.concatenate(edges, axis=1), compiled=work.compiled)
            batch = batches(first, work.batch)
        number = np.searchsorted(starts, rows, side="right") - 1
        frame = pl.DataFrame({"row": rows - starts[number], "batch": batch})
        write_spill(work.path("grouped", 0, "arrow"), parted(frame, number, work.partitions))
        return {"batches": int(batch.max(initial=-1)) + 1, "rows": rows.size}

    return work.once("group", 0, make)


def _facts(work: Sorting, number: int) -> pl.DataFrame:
    return pl.read_ipc(work.path("facts", number, "arrow"))


def _sketches(work: Sorting, number: int, sides: Sequence[Side]) -> dict[Side, Sketch]:
    def load(what: str, side: Side) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = np.load(work.path(f"{what}-{side}", number, "npy"), mmap_mode="r")
        return found

    return {side: Sketch(load("prints", side), load("slots", side)) for side in sides}


def gather(work: Sorting, number: int, partition: Sequence[Stretch], into: int) -> dict[str, Any]:
    """Leaves the partition's rows that are settled with others, for `settle_batch`."""

    def make() -> dict[str, Any]:
        found = work.spilled("grouped", 1, number)
        settings = work.recipe.curate.duplicates
        rows, start = found["row"].to_numpy(), int(work.starts()[number])
        sketches = _sketches(work, number, settings.sides)
        frame = carried(_facts(work, number), sketches, rows).with_columns(
            position=pl.Series(rows + start, dtype=pl.UInt32)
        )
        names = texts_needed(settings)
        if names:
            texts = [pl.DataFrame(schema=dict.fromkeys(names, pl.String))]
            at = 0
            for block in _rows(work, number, partition).blocks(*names) if rows.size else ():
                first, last = np.searchsorted(rows, [at, at + block.height])
                texts.append(block[rows[first:last] - at])
                at += block.height
            frame = frame.hstack(pl.concat(texts))
        write_spill(
            work.path("gathered", number, "arrow"), parted(frame, found["batch"].to_numpy(), into)
        )
        return {"rows": frame.height}

    return work.once("gather", number, make)


def settle_batch(work: Sorting, batch: int) -> dict[str, Any]:
    """Decides between rows that hang together; leaves the claims, for `write`."""

    def make() -> dict[str, Any]:
        rows = work.spilled("gathered", work.partitions, batch)
        tools, _ = _looking(work)
        claims = settle(rows, work.recipe.curate, tools, compiled=work.compiled)
        _leave_claims(work, "settled", batch, claims)
        return {"gone": claims.height}

    return work.once("settle", batch, make)


def _far(claims: pl.DataFrame) -> pl.DataFrame:
    """Claims (`CLAIM`) that name no other row, as rows of `TOLD`."""
    return claims.with_columns(collided_with=pl.lit(None, pl.String)).select(*TOLD)


def _leave_claims(work: Sorting, step: str, number: int, claims: pl.DataFrame) -> None:
    """Leaves each partition the claims on its rows; positions then count from its first."""
    starts, position = work.starts(), claims["position"].to_numpy().astype(np.int64)
    of = np.searchsorted(starts, position, side="right") - 1
    claims = claims.with_columns(position=pl.Series(position - starts[of], dtype=pl.UInt32))
    write_spill(work.path(step, number, "arrow"), parted(claims, of, work.partitions))


def choose(work: Sorting, settled_by: int) -> dict[str, Any]:
    """Takes some of the rows that are left, as `select` does on one machine, with all of them held.

    The best are taken first, and each may forbid others: it is one task, of some 60 bytes a row,
    and 128 more of each row that is left where similar ones are passed over.
    """

    def make() -> dict[str, Any]:
        settings, starts = work.recipe.curate, work.starts()
        facts = pl.concat([_facts(work, number) for number in range(work.partitions)])
        gone = [facts.with_row_index("position").filter(~pl.col("open")).select("position")]
        gone += [
            work.spilled("settled", settled_by, number).select(
                pl.col("position") + pl.lit(start, pl.UInt32)
            )
            for number, start in enumerate(starts[:-1].tolist() if settled_by else ())
        ]
        rows = CandidateRows.all_of(work.run, work.recipe.generate)
        sketches: dict[Side, Sketch] = {}
        if settings.select.by_shingles:
            parts = [_sketches(work, number, ["text"])["text"] for number in range(work.partitions)]
            sketches["text"] = Sketch(
                np.concatenate([part.prints for part in parts]),
                np.concatenate([part.slots for part in parts]),
            )
        ranked = facts.with_columns(rank=rank())
        tools, _ = _looking(work)
        settling = Settling(ranked, gone, sketches, rows, tools, compiled=work.compiled)
        chosen = settling.select(settings.select)
        _leave_claims(work, "chosen", 0, _far(chosen))
        return {"gone": chosen.height}

    return work.once("choose", 0, make)


def split(work: Sorting, number: int, bounds: Sequence[tuple[float, int]]) -> dict[str, Any]:
    """Leaves the partition's scores by the stretch of the ranking that they are in, for `order`.

    Args:
        work: What to do.
        number: Of the partition.
        bounds: Score and segment from which the second, the third, ... stretch begins.

    Returns:
        How many `rows` each stretch has.
    """

    def make() -> dict[str, Any]:
        start = int(work.starts()[number])
        scores = _facts(work, number).select(
            *_ranked_by(), row=pl.int_range(pl.len(), dtype=pl.UInt32) + pl.lit(start, pl.UInt32)
        )
        score, segment = scores["score"].to_numpy(), scores["segment"].to_numpy()
        stretch = np.zeros(score.size, np.int64)
        for bound, of in bounds:
            stretch += (score > bound) | ((score == bound) & (segment >= np.uint64(of)))
        parts = parted(scores, stretch, len(bounds) + 1)
        write_spill(work.path("scores", number, "arrow"), parts)
        return {"rows": [part.height for part in parts]}

    return work.once("split", number, make)


def order(work: Sorting, stretch: int, before: int) -> dict[str, Any]:
    """Leaves each partition the places of its rows in a stretch of the ranking.

    Args:
        work: What to do.
        stretch: Of the ranking.
        before: Rows of the stretches before.
    """

    def make() -> dict[str, Any]:
        scores, starts = work.spilled("scores", work.partitions, stretch), work.starts()
        ranked = scores.select("row", rank=rank() + before)
        row = ranked["row"].to_numpy().astype(np.int64)
        of = np.searchsorted(starts, row, side="right") - 1
        ranked = ranked.with_columns(row=pl.Series(row - starts[of], dtype=pl.UInt32))
        write_spill(work.path("ranked", stretch, "arrow"), parted(ranked, of, work.partitions))
        return {"rows": ranked.height}

    return work.once("order", stretch, make)


def write(
    work: Sorting, number: int, partition: Sequence[Stretch], by: Mapping[str, int]
) -> dict[str, Any]:
    """Writes the partition's rows, kept and rejected.

    Args:
        work: What to do.
        number: Of the partition.
        partition: What it is.
        by: Step -> how many left something for it: `settled`, `chosen`, `ranked`.

    Returns:
        `kept`, `gone`, `masked`, `buckets` and `rejections` of its rows; `apart`: segments of
        which other partitions have samples, so that the account of them is elsewhere.
    """

    def make() -> dict[str, Any]:
        tools, _ = _looking(work)
        rows = _rows(work, number, partition)
        found = [_far(pl.read_parquet(work.path("claims", number, "parquet")))]
        found += [
            work.spilled(step, by[step], number) for step in ("settled", "chosen") if by[step]
        ]
        claims = pl.concat(found).sort("position")
        ranks = work.spilled("ranked", by["ranked"], number).sort("row")["rank"]
        facts = _facts(work, number).select("segment", "suspect", rank=ranks)
        written = write_sorted(
            work.run, number, sorted_out(rows, claims, facts, work.recipe.curate.private, tools)
        )
        verdicts = Verdicts(claims, facts, 0)
        reasons, (_, apart) = verdicts.reasons(), _again(work, number)
        elsewhere = pl.col("segment").is_in(apart.implode())
        far = reasons.filter(elsewhere).select("segment", "rank", "reason")
        part = (far["segment"] % work.parts).to_numpy().astype(np.int64)
        write_spill(work.path("apart", number, "arrow"), parted(far, part, work.parts))
        return {
            "kept": written.kept,
            "gone": written.gone,
            "masked": written.masked,
            "buckets": buckets(reasons.filter(~elsewhere)),
            "rejections": verdicts.rejections(),
            "apart": far.height,
        }

    return work.once("write", number, make)


def account(work: Sorting, part: int) -> dict[str, Any]:
    """The `buckets` of segments whose samples are in several partitions."""
    return work.once(
        "account",
        part,
        lambda: {"buckets": buckets(work.spilled("apart", work.partitions, part))},
    )

"""What rows are met by -> batches of rows that are settled together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.stages.partitions.naming import rows_of
from synth.stages.partitions.work import Sorting, facts_of, save, sketches_of
from synth.store.candidate_rows import Stretch
from synth.store.spills import parted, read_spill, write_spill
from synth.tables.groups import Rows
from synth.tables.meeting import batches, carried, forest, kinds, met, texts_needed
from synth.tables.sketches import SLOTS, Signatures


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
        save(work.path("edges", reader, "npy"), edges)
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
                np.flatnonzero(facts_of(work, number)["open"].to_numpy()) + start
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


def gather(work: Sorting, number: int, partition: Sequence[Stretch], into: int) -> dict[str, Any]:
    """Leaves the partition's rows that are settled with others, for `settle_batch`."""

    def make() -> dict[str, Any]:
        found = work.spilled("grouped", 1, number)
        settings = work.recipe.curate.duplicates
        rows, start = found["row"].to_numpy(), int(work.starts()[number])
        sketches = sketches_of(work, number, settings.sides)
        frame = carried(facts_of(work, number), sketches, rows).with_columns(
            position=pl.Series(rows + start, dtype=pl.UInt32)
        )
        names = texts_needed(settings)
        if names:
            texts = [pl.DataFrame(schema=dict.fromkeys(names, pl.String))]
            at = 0
            for block in rows_of(work, number, partition).blocks(*names) if rows.size else ():
                first, last = np.searchsorted(rows, [at, at + block.height])
                texts.append(block[rows[first:last] - at])
                at += block.height
            frame = frame.hstack(pl.concat(texts))
        write_spill(
            work.path("gathered", number, "arrow"), parted(frame, found["batch"].to_numpy(), into)
        )
        return {"rows": frame.height}

    return work.once("gather", number, make)

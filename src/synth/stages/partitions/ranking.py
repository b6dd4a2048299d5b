"""Scores of rows -> their places among all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from synth.stages.partitions.work import Sorting, facts_of, ranked_by
from synth.store.spills import parted, write_spill
from synth.tables.curation import rank


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
        scores = facts_of(work, number).select(
            *ranked_by(), row=pl.int_range(pl.len(), dtype=pl.UInt32) + pl.lit(start, pl.UInt32)
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

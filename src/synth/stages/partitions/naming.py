"""Names of segments -> rows that say nothing new, and segments that several partitions have."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from synth.stages.partitions.work import Sorting
from synth.store.candidate_rows import CandidateRows, Stretch
from synth.store.repeats import Repeats, is_new
from synth.store.spills import parted, write_spill

_NAMES = {"row": pl.get_index_type(), "segment": pl.UInt64, "request": pl.UInt64}


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


def again(work: Sorting, number: int) -> tuple[Repeats, pl.Series]:
    """Rows of a partition that say nothing new, and segments that other partitions have too."""
    found = work.spilled("again", work.parts, number)
    gone = found.filter("gone").select("row", "request")
    apart = found.filter("apart", ~pl.col("gone"))["segment"].unique()
    return Repeats(gone.height, gone), apart


def rows_of(work: Sorting, number: int, partition: Sequence[Stretch]) -> CandidateRows:
    """The candidates of a partition."""
    twice, _ = again(work, number)
    return CandidateRows.within(work.run, work.recipe.generate, partition, twice)

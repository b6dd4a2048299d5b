"""A partition and what is decided of it -> its rows, and the account of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from synth.stages.curate import write_sorted
from synth.stages.partitions.naming import again, rows_of
from synth.stages.partitions.settling import far
from synth.stages.partitions.work import Sorting, facts_of, looking
from synth.store.candidate_rows import Stretch
from synth.store.spills import parted, write_spill
from synth.tables.curation import Verdicts, buckets
from synth.tables.sorting import sorted_out


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
        tools, _ = looking(work)
        rows = rows_of(work, number, partition)
        found = [far(pl.read_parquet(work.path("claims", number, "parquet")))]
        found += [
            work.spilled(step, by[step], number) for step in ("settled", "chosen") if by[step]
        ]
        claims = pl.concat(found).sort("position")
        ranks = work.spilled("ranked", by["ranked"], number).sort("row")["rank"]
        facts = facts_of(work, number).select("segment", "suspect", rank=ranks)
        written = write_sorted(
            work.run, number, sorted_out(rows, claims, facts, work.recipe.curate.private, tools)
        )
        verdicts = Verdicts(claims, facts, 0)
        reasons, (_, apart) = verdicts.reasons(), again(work, number)
        elsewhere = pl.col("segment").is_in(apart.implode())
        others = reasons.filter(elsewhere).select("segment", "rank", "reason")
        part = (others["segment"] % work.parts).to_numpy().astype(np.int64)
        write_spill(work.path("apart", number, "arrow"), parted(others, part, work.parts))
        return {
            "kept": written.kept,
            "gone": written.gone,
            "masked": written.masked,
            "buckets": buckets(reasons.filter(~elsewhere)),
            "rejections": verdicts.rejections(),
            "apart": others.height,
        }

    return work.once("write", number, make)


def account(work: Sorting, part: int) -> dict[str, Any]:
    """The `buckets` of segments whose samples are in several partitions."""
    return work.once(
        "account",
        part,
        lambda: {"buckets": buckets(work.spilled("apart", work.partitions, part))},
    )

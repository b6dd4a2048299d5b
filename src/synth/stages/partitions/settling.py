"""Rows that are settled together -> claims on some of them."""

from typing import Any

import numpy as np
import polars as pl

from synth.settings.curation import Side
from synth.stages.partitions.work import Sorting, facts_of, looking, sketches_of
from synth.store.candidate_rows import CandidateRows
from synth.store.spills import parted, write_spill
from synth.tables.curation import rank
from synth.tables.meeting import TOLD, settle
from synth.tables.settling import Settling
from synth.tables.sketches import Sketch


def settle_batch(work: Sorting, batch: int) -> dict[str, Any]:
    """Decides between rows that hang together; leaves the claims, for `write`."""

    def make() -> dict[str, Any]:
        rows = work.spilled("gathered", work.partitions, batch)
        tools, _ = looking(work)
        claims = settle(rows, work.recipe.curate, tools, compiled=work.compiled)
        leave_claims(work, "settled", batch, claims)
        return {"gone": claims.height}

    return work.once("settle", batch, make)


def choose(work: Sorting, settled_by: int) -> dict[str, Any]:
    """Takes some of the rows that are left, as `select` does on one machine, with all of them held.

    The best are taken first, and each may forbid others: it is one task, of some 60 bytes a row,
    and 128 more of each row that is left where similar ones are passed over.
    """

    def make() -> dict[str, Any]:
        settings, starts = work.recipe.curate, work.starts()
        facts = pl.concat([facts_of(work, number) for number in range(work.partitions)])
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
            every = range(work.partitions)
            parts = [sketches_of(work, number, ["text"])["text"] for number in every]
            sketches["text"] = Sketch(
                np.concatenate([part.prints for part in parts]),
                np.concatenate([part.slots for part in parts]),
            )
        ranked = facts.with_columns(rank=rank())
        tools, _ = looking(work)
        settling = Settling(ranked, gone, sketches, rows, tools, compiled=work.compiled)
        chosen = settling.select(settings.select)
        leave_claims(work, "chosen", 0, far(chosen))
        return {"gone": chosen.height}

    return work.once("choose", 0, make)


def far(claims: pl.DataFrame) -> pl.DataFrame:
    """Claims (`CLAIM`) that name no other row, as rows of `TOLD`."""
    return claims.with_columns(collided_with=pl.lit(None, pl.String)).select(*TOLD)


def leave_claims(work: Sorting, step: str, number: int, claims: pl.DataFrame) -> None:
    """Leaves each partition the claims on its rows; positions then count from its first."""
    starts, position = work.starts(), claims["position"].to_numpy().astype(np.int64)
    of = np.searchsorted(starts, position, side="right") - 1
    claims = claims.with_columns(position=pl.Series(position - starts[of], dtype=pl.UInt32))
    write_spill(work.path(step, number, "arrow"), parted(claims, of, work.partitions))

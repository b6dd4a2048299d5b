"""Candidates -> for those that go the rule that they fail first, and what that rule measured."""

from collections.abc import Sequence

import polars as pl

from synth.tables.claims import CLAIM, claims
from synth.tables.rules import Rule


def unfit(rows: pl.DataFrame) -> pl.DataFrame:
    """Claims (`CLAIM`) on the rows that nothing was generated for.

    Args:
        rows: Candidates with their `position`.
    """
    skipped = pl.col("skip").fill_null("") != ""
    gone = rows.filter(skipped | (pl.col("finish") == "error").fill_null(value=False))
    reason = pl.when(skipped).then("segment_" + pl.col("skip")).otherwise(pl.lit("engine_error"))
    value = pl.when(~skipped).then("error")
    return claims(
        gone["position"],
        gone.select(reason).to_series(),
        value=gone.select(value).to_series(),
    )


def judge(rows: pl.DataFrame, lawful: Sequence[Rule]) -> pl.DataFrame:
    """Claims (`CLAIM`) of the rules.

    Args:
        rows: Candidates with their `position` and measures.
        lawful: The rules, in the order in which they claim a row.
    """
    found = [pl.DataFrame(schema=CLAIM)]
    for rule in lawful:
        if rows.is_empty():
            break
        measured, good = rule.judged(rows)
        if not good.all():
            gone = measured.filter(~good)
            found.append(claims(gone["position"], rule.name, value=gone["value"].cast(pl.String)))
            rows = rows.filter(good)
    return pl.concat(found)

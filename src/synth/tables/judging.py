"""Candidates -> for each the rule that it fails first, and what that rule measured."""

import polars as pl

from synth.settings import Curate
from synth.tables.measures import measure
from synth.tables.rules import Rule, rules

VERDICT = {"reason": pl.String, "value": pl.String}
"""Columns of a verdict; both are null for a good row."""


def judge(frame: pl.DataFrame, settings: Curate, task: str = "", *, compiled: bool) -> pl.DataFrame:
    """One verdict for each candidate, in their order.

    Args:
        frame: Candidates.
        settings: Thresholds.
        task: The prompt's own words.
        compiled: Whether to compile loops (see kernels.py); the result is the same.

    Raises:
        RecipeError: A rule of the recipe's own that cannot be used.
    """
    lawful = rules(settings, task)
    verdicts = frame.select(
        reason=pl.when(pl.col("skip") != "")
        .then("segment_" + pl.col("skip"))
        .when(pl.col("finish") == "error")
        .then(pl.lit("engine_error")),
        value=pl.when((pl.col("skip").fill_null("") == "") & (pl.col("finish") == "error")).then(
            "error"
        ),
    )
    left = frame.with_row_index("position").filter(verdicts["reason"].is_null())
    left = measure(left, settings, compiled=compiled)
    for rule in lawful:
        if left.is_empty():
            break
        left, claimed = _apply(rule, left)
        verdicts = verdicts.with_columns(
            verdicts["reason"].scatter(claimed["position"], rule.name),
            verdicts["value"].scatter(claimed["position"], claimed["value"]),
        )
    return verdicts


def _apply(rule: Rule, left: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that the rule leaves, and those that it claims."""
    measured = left.with_columns(rule.value.alias("value"))
    good = measured.select(rule.good.fill_null(value=False)).to_series()
    if good.all():
        return left, measured.clear().select("position", pl.col("value").cast(pl.String))
    claimed = measured.filter(~good).select("position", pl.col("value").cast(pl.String))
    return left.filter(good), claimed

"""Candidates -> the first rule that each fails."""

import polars as pl

from synth.settings import Curate
from synth.tables.rules import copied, rules


def judge(frame: pl.DataFrame, settings: Curate, *, compiled: bool) -> pl.DataFrame:
    """Row for row `reason`, null for a good one, and `value`, what was measured.

    Args:
        frame: Candidates.
        settings: Thresholds.
        compiled: Whether to compile loops.
    """
    del compiled
    frame = frame.with_columns(
        reason=pl.when(pl.col("skip") != "")
        .then("segment_" + pl.col("skip"))
        .when(pl.col("finish") == "error")
        .then(pl.lit("engine_error")),
        why=pl.when(pl.col("finish") == "error").then("error"),
    )
    frame = _claim(frame, "copied", copied(frame, settings.max_copied_words), pl.lit("true"))
    for rule in rules(settings):
        frame = frame.with_columns(rule.value.alias("value"))
        bad = frame.select(~rule.good.fill_null(value=False)).to_series()
        frame = _claim(frame, rule.name, bad, pl.col("value").cast(pl.String))
    return frame.select("reason", pl.col("why").alias("value"))


def _claim(frame: pl.DataFrame, name: str, bad: pl.Series, value: pl.Expr) -> pl.DataFrame:
    claimed = pl.col("reason").is_null() & bad
    return frame.with_columns(
        reason=pl.when(claimed).then(pl.lit(name)).otherwise("reason"),
        why=pl.when(claimed).then(value).otherwise("why"),
    )

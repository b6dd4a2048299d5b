"""Candidates -> curated, rejected (each with one reason) and how many rows each bucket holds."""

from dataclasses import dataclass

import polars as pl

from synth.settings import Curate
from synth.tables.duplicates import exact_duplicates, near_duplicates
from synth.tables.rules import copied, rules

CANDIDATE = {
    "segment_id": pl.String,
    "document_id": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
    "text": pl.String,
    "skip": pl.String,
    "instruction": pl.String,
    "finish": pl.String,
    "tokens": pl.Int64,
    "logprob": pl.Float64,
    "wanted": pl.String,
    "metadata": pl.String,
}
"""Columns of a candidate; `metadata` is a JSON object; skipped segments lack what was generated."""


@dataclass(frozen=True, slots=True)
class Curation:
    """What was kept, what was dropped and why, in the order of the candidates.

    `rejected` has three columns more: `reason`, `value` (what the rule measured) and, for
    duplicates, `collided_with` (the segment id of the row that stayed).
    """

    curated: pl.DataFrame
    rejected: pl.DataFrame

    def buckets(self) -> dict[str, int]:
        """Bucket -> rows; `kept` first, then the reasons, most frequent first."""
        reasons = (
            self.rejected.group_by("reason").len().sort(["len", "reason"], descending=[True, False])
        )
        return {"kept": self.curated.height, **dict(reasons.iter_rows())}


def curate(candidates: pl.DataFrame, settings: Curate) -> Curation:
    """Applies every rule, then removes duplicates on both sides, best log-probability first.

    Args:
        candidates: Rows of `CANDIDATE`.
        settings: Thresholds.
    """
    frame = candidates.with_row_index("position").with_columns(
        reason=pl.when(pl.col("skip") != "").then("segment_" + pl.col("skip")),
        why=pl.lit(None, pl.String),
        collided_with=pl.lit(None, pl.String),
    )
    frame = _claim(frame, "copied", copied(frame, settings.max_copied_words), "true")
    for rule in rules(settings):
        frame = frame.with_columns(rule.value.alias("value"))
        bad = frame.select(~rule.good.fill_null(value=False)).to_series()
        frame = _claim(frame, rule.name, bad, pl.col("value").cast(pl.String))
    for name, column, near in (
        ("same_text", "text", False),
        ("same_instruction", "instruction", False),
        ("near_text", "text", True),
        ("near_instruction", "instruction", True),
    ):
        frame = _drop_duplicates(frame, name, column, settings.near_duplicate if near else None)
    frame = frame.sort("position")
    kept = pl.col("reason").is_null()
    curated = frame.filter(kept).select(candidates.columns)
    rejected = frame.filter(~kept).select(
        *candidates.columns, "reason", pl.col("why").alias("value"), "collided_with"
    )
    assert curated.height + rejected.height == candidates.height
    return Curation(curated, rejected)


def _claim(frame: pl.DataFrame, name: str, bad: pl.Series, value: pl.Expr | str) -> pl.DataFrame:
    """Gives the rows where `bad` and that no rule claimed yet the reason `name`."""
    claimed = pl.col("reason").is_null() & bad
    shown = pl.lit(value) if isinstance(value, str) else value
    return frame.with_columns(
        reason=pl.when(claimed).then(pl.lit(name)).otherwise("reason"),
        why=pl.when(claimed).then(shown).otherwise("why"),
    )


def _drop_duplicates(
    frame: pl.DataFrame, name: str, column: str, threshold: float | None
) -> pl.DataFrame:
    """Claims the rows not yet claimed that are the same as, or near, a better one."""
    open_rows = frame.filter(pl.col("reason").is_null()).sort(
        ["logprob", "segment_id"], descending=[True, False]
    )
    if open_rows.is_empty():
        return frame
    texts = open_rows[column]
    found = exact_duplicates(texts) if threshold is None else near_duplicates(texts, threshold)
    hits = pl.DataFrame(
        {
            "position": open_rows["position"],
            "other": open_rows["segment_id"].gather(found.fill_null(0)),
            "found": found.is_not_null(),
        }
    ).filter("found")
    joined = frame.join(
        hits.select("position", "other"), on="position", how="left", maintain_order="left"
    )
    joined = joined.with_columns(collided_with=pl.coalesce("collided_with", "other"))
    return _claim(joined, name, joined["other"].is_not_null(), pl.lit(column)).drop("other")

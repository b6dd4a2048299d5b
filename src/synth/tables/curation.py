"""Candidates -> curated, rejected (each with one reason) and how many rows each bucket holds."""

from dataclasses import dataclass

import polars as pl

from synth.settings import Curate
from synth.tables.candidate import CANDIDATE as CANDIDATE
from synth.tables.duplicates import exact_duplicates, near_duplicates
from synth.tables.judging import judge
from synth.tables.kernels import COMPILE_FROM

_LOWER_IS_BETTER = {"first": "sample", "r_ifd": "r_ifd", "ifd": "ifd"}


@dataclass(frozen=True, slots=True)
class Curation:
    """What was kept, what was dropped and why, in the order of the candidates.

    `rejected` has four columns more: `reason`, `value` (what the rule measured), for duplicates
    `collided_with` (the segment id of the row that stayed), and `rank` (place among all by score).
    """

    curated: pl.DataFrame
    rejected: pl.DataFrame

    def buckets(self) -> dict[str, int]:
        """Bucket -> segments, each in one: `kept` first, then the reasons, most frequent first.

        A segment none of whose samples was kept is in the bucket of its best sample.
        """
        left = (
            self.rejected.filter(pl.col("reason") != "outranked")
            .join(self.curated, on="segment_id", how="anti")
            .sort("rank", maintain_order=True)
            .unique("segment_id", keep="first", maintain_order=True)
        )
        return {"kept": self.curated.height, **_counted(left)}

    def rejections(self) -> dict[str, int]:
        """Reason -> candidates, most frequent first; with several samples more than segments."""
        return _counted(self.rejected)


def _counted(rows: pl.DataFrame) -> dict[str, int]:
    counts = rows.group_by("reason").len().sort(["len", "reason"], descending=[True, False])
    return dict(counts.iter_rows())


def curate(candidates: pl.DataFrame, settings: Curate) -> Curation:
    """Applies every rule, keeps a segment's best sample, then removes duplicates on both sides.

    Of two duplicates that of the better score stays (`settings.rank`).

    Args:
        candidates: Rows of `CANDIDATE`.
        settings: Thresholds.
    """
    judged = judge(candidates, settings, compiled=candidates.height >= COMPILE_FROM)
    frame = candidates.with_row_index("position").with_columns(
        judged["reason"],
        judged["value"].alias("why"),
        collided_with=pl.lit(None, pl.String),
        rank=_rank(settings),
    )
    good_rank = pl.when(pl.col("reason").is_null()).then("rank")
    outranked = frame.select(good_rank > good_rank.min().over("segment_id")).to_series()
    frame = _claim(frame, "outranked", outranked.fill_null(value=False), pl.lit(settings.rank))
    for name, column, near in (
        ("same_text", "text", False),
        ("same_instruction", "instruction", False),
        ("near_text", "text", True),
        ("near_instruction", "instruction", True),
    ):
        frame = _drop_duplicates(frame, name, column, settings.duplicates.near if near else None)
    frame = frame.sort("position")
    kept = pl.col("reason").is_null()
    curated = frame.filter(kept).select(candidates.columns)
    rejected = frame.filter(~kept).select(
        *candidates.columns, "reason", pl.col("why").alias("value"), "collided_with", "rank"
    )
    assert curated.height + rejected.height == candidates.height
    return Curation(curated, rejected)


def _rank(settings: Curate) -> pl.Expr:
    """Place of each row by its score, 0 the best, ties by id and sample; nulls are last."""
    score = (
        -pl.col("logprob")
        if settings.rank == "logprob"
        else pl.col(_LOWER_IS_BETTER[settings.rank])
    )
    order = pl.arg_sort_by(
        score.fill_null(float("inf")) if settings.rank != "first" else score,
        "segment_id",
        "sample",
        nulls_last=True,
    )
    return order.arg_sort().cast(pl.Int64)


def _claim(frame: pl.DataFrame, name: str, bad: pl.Series, value: pl.Expr) -> pl.DataFrame:
    """Gives the rows where `bad` and that no rule claimed yet the reason `name`."""
    claimed = pl.col("reason").is_null() & bad
    return frame.with_columns(
        reason=pl.when(claimed).then(pl.lit(name)).otherwise("reason"),
        why=pl.when(claimed).then(value).otherwise("why"),
    )


def _drop_duplicates(
    frame: pl.DataFrame, name: str, column: str, threshold: float | None
) -> pl.DataFrame:
    """Claims the rows not yet claimed that are the same as, or near, a better one."""
    open_rows = frame.filter(pl.col("reason").is_null()).sort("rank")
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

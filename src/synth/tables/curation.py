"""Candidates -> for each its fate: kept, or the one reason for which it goes.

The rows are looked at in blocks and more than once; what is remembered of a row is a few numbers,
so that their texts are never held together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.settings import Curate
from synth.settings.curation import Side
from synth.tables.ahead import ahead
from synth.tables.candidate import CANDIDATE
from synth.tables.duplicates import SAME, Repeats, repeats
from synth.tables.judging import judge
from synth.tables.kernels import COMPILE_FROM

REJECTED = CANDIDATE | {
    "reason": pl.String,
    "value": pl.String,
    "collided_with": pl.String,
    "evidence": pl.String,
    "rank": pl.Int64,
}
"""Columns of a rejected candidate: why, what was measured, the segment id of the row that stayed,
what was found (JSON) where a reason needs showing, and its place by score among all."""

CLAIM = {
    "position": pl.UInt32,
    "reason": pl.String,
    "value": pl.String,
    "other": pl.UInt32,
    "evidence": pl.String,
}
"""Why a row goes: its place among the candidates, the reason, what was measured, the place of the
row that stays instead, and what was found (JSON) where a reason needs showing."""

_LOWER_IS_BETTER = {"first": "sample", "r_ifd": "r_ifd", "ifd": "ifd"}


class Candidates(Protocol):
    """Rows of `CANDIDATE` that can be read again and again, in the same order."""

    @property
    def count(self) -> int:
        """How many there are."""

    def blocks(self, *columns: str) -> Iterator[pl.DataFrame]:
        """These columns of all rows, block by block."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The fate of every candidate.

    `claims` has the columns of `CLAIM`, by position, one row for each candidate that goes; `rows`
    has `segment` (a hash) and `rank` (place by score, 0 the best) of every candidate.
    """

    claims: pl.DataFrame
    rows: pl.DataFrame

    def buckets(self) -> dict[str, int]:
        """Bucket -> segments, each in one: `kept` first, then the reasons, most frequent first.

        A segment none of whose samples was kept is in the bucket of its best sample.
        """
        of = self.rows.with_row_index("position").join(
            self.claims.select("position", "reason"), on="position", how="left"
        )
        kept = of.filter(pl.col("reason").is_null())["segment"].unique()
        left = (
            of.filter(
                pl.col("reason").is_not_null(),
                pl.col("reason") != "outranked",
                ~pl.col("segment").is_in(kept.implode()),
            )
            .sort("rank")
            .unique("segment", keep="first", maintain_order=True)
        )
        return {"kept": kept.len(), **_counted(left)}

    def rejections(self) -> dict[str, int]:
        """Reason -> candidates, most frequent first; with several samples more than segments."""
        return _counted(self.claims)


def _counted(rows: pl.DataFrame) -> dict[str, int]:
    counts = rows.group_by("reason").len().sort(["len", "reason"], descending=[True, False])
    return dict(counts.iter_rows())


def curate(candidates: Candidates, settings: Curate) -> Verdicts:
    """Applies every rule, keeps a segment's best sample, then removes what says the same twice.

    Args:
        candidates: Rows of `CANDIDATE`.
        settings: Thresholds.
    """
    compiled = candidates.count >= COMPILE_FROM
    claims: list[pl.DataFrame] = []
    seen: list[pl.DataFrame] = []
    start = 0
    for facts, claimed in ahead(
        lambda block: _look(block, settings, compiled), candidates.blocks(*CANDIDATE)
    ):
        seen.append(facts)
        claims.append(claimed.with_columns(pl.col("position") + start))
        start += facts.height
    if start != candidates.count:
        raise AssertionError(f"{start} of {candidates.count} candidates were read")
    rows = pl.concat(seen) if seen else pl.DataFrame(schema=_FACTS)
    rows = rows.select("segment", "length", rank=_rank())
    settle = _Settling(rows, claims)
    settle.outrank(settings.rank)
    for side in settings.duplicates.on:
        settle.repeated(side, candidates, settings)
    return Verdicts(settle.claimed(), rows.select("segment", "rank"))


_FACTS = {"segment": pl.UInt64, "length": pl.UInt32, "score": pl.Float64}


def _look(
    block: pl.DataFrame, settings: Curate, compiled: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is remembered of each row, and the claims of the rules."""
    name = settings.rank
    score = -pl.col("logprob") if name == "logprob" else pl.col(_LOWER_IS_BETTER[name])
    facts = block.select(
        segment=pl.col("segment_id").str.to_integer(base=16, dtype=pl.UInt64),
        length=pl.col("text").str.len_chars(),
        score=score.cast(pl.Float64),
    )
    judged = judge(block, settings, compiled=compiled).with_row_index("position")
    claims = judged.filter(pl.col("reason").is_not_null()).select(
        "position",
        "reason",
        "value",
        other=pl.lit(None, pl.UInt32),
        evidence=pl.lit(None, pl.String),
    )
    return facts, claims


def _rank() -> pl.Expr:
    """Place of each row by its score, the lowest first, ties by id and place; nulls are last."""
    order = pl.arg_sort_by(
        pl.col("score").fill_null(float("inf")).fill_nan(float("inf")),
        "segment",
        maintain_order=True,
    )
    return order.arg_sort().cast(pl.Int64)


class _Settling:
    """What is decided between rows: who is still open, and the claims so far."""

    def __init__(self, rows: pl.DataFrame, claims: list[pl.DataFrame]) -> None:
        self._rows = rows
        self._claims = claims
        self._open = np.ones(rows.height, bool)
        for claim in claims:
            self._open[claim["position"].to_numpy()] = False

    def claimed(self) -> pl.DataFrame:
        """All claims, by position."""
        return pl.concat([pl.DataFrame(schema=CLAIM), *self._claims]).sort("position")

    def outrank(self, by: str) -> None:
        """Of a segment's open rows that of the best rank stays."""
        best = (
            self._rows.with_row_index("position")
            .filter(pl.Series(self._open))
            .select("position", worse=pl.col("rank") > pl.col("rank").min().over("segment"))
            .filter("worse")
        )
        self._claim(best["position"].to_numpy(), "outranked", value=by)

    def repeated(self, side: Side, candidates: Candidates, settings: Curate) -> None:
        """Of rows that say the same on a side one stays."""
        names = [side] if side != "both" else ["instruction", "text"]

        def texts() -> Iterator[pl.Series]:
            for block in candidates.blocks(*names):
                yield block.select(
                    pl.concat_str(pl.all().fill_null(""), separator="\n")
                ).to_series()

        order = self._order(settings.duplicates.keep)
        found = repeats(texts, candidates.count, order, settings.duplicates.near)
        same = found.similarity == SAME
        self._claim(found.rows[same], f"same_{side}", found.others[same])
        near = Repeats(found.rows[~same], found.others[~same], found.similarity[~same])
        shown = pl.Series(near.similarity).round(3).cast(pl.String)
        self._claim(near.rows, f"near_{side}", near.others, shown)

    def _order(self, keep: str) -> npt.NDArray[np.int64]:
        """The open rows, those first that stay when others say the same."""
        rows = self._rows.with_row_index("position").filter(pl.Series(self._open))
        if keep == "longest":
            rows = rows.sort(["length", "rank"], descending=[True, False])
        elif keep == "best":
            rows = rows.sort("rank")
        return rows["position"].to_numpy().astype(np.int64)

    def _claim(
        self,
        rows: npt.NDArray[np.int64],
        reason: str,
        others: npt.NDArray[np.int64] | None = None,
        value: pl.Series | str | None = None,
    ) -> None:
        self._open[rows] = False
        self._claims.append(
            pl.DataFrame({"position": pl.Series(rows, dtype=pl.UInt32)}).with_columns(
                reason=pl.lit(reason),
                value=pl.lit(value, pl.String) if not isinstance(value, pl.Series) else value,
                other=pl.lit(None, pl.UInt32)
                if others is None
                else pl.Series(others, dtype=pl.UInt32),
                evidence=pl.lit(None, pl.String),
            )
        )


def sorted_out(
    candidates: Candidates, verdicts: Verdicts
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Block by block the rows that are kept (`CANDIDATE`) and those that go (`REJECTED`)."""
    claims = verdicts.claims.with_columns(
        collided_with=_names(candidates, verdicts.claims["other"])
    )
    places = claims["position"].to_numpy()
    start = 0
    for block in candidates.blocks(*CANDIDATE):
        end = start + block.height
        first, last = np.searchsorted(places, [start, end])
        rows = block.with_columns(
            pl.int_range(start, end, dtype=pl.UInt32).alias("position"),
            verdicts.rows["rank"][start:end],
        ).join(
            claims[int(first) : int(last)].drop("other"),
            on="position",
            how="left",
            maintain_order="left",
        )
        goes = pl.col("reason").is_not_null()
        yield rows.filter(~goes).select(*CANDIDATE), rows.filter(goes).select(*REJECTED)
        start = end


def _names(candidates: Candidates, others: pl.Series) -> pl.Series:
    """Segment ids of the rows at those places; null where there is none."""
    wanted = others.drop_nulls().unique().sort()
    names: list[pl.Series] = []
    start, places = 0, wanted.to_numpy()
    for block in candidates.blocks("segment_id") if wanted.len() else ():
        first, last = np.searchsorted(places, [start, start + block.height])
        names.append(block["segment_id"].gather(places[first:last] - start))
        start += block.height
    name = pl.concat(names) if names else pl.Series(dtype=pl.String)
    return others.to_frame("other").join(
        pl.DataFrame({"other": wanted, "name": name}), on="other", how="left", maintain_order="left"
    )["name"]

"""The fate of every candidate, and how many segments each bucket holds."""

from dataclasses import dataclass, field

import polars as pl

CLAIM = {
    "position": pl.UInt32,
    "reason": pl.String,
    "value": pl.String,
    "other": pl.UInt32,
    "evidence": pl.String,
}
"""Why a row goes: its place among the candidates, the reason, what was measured, the place of the
row that stays instead, and what was found (JSON) where a reason needs showing."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Who goes, and why.

    Attributes:
        claims: Columns of `CLAIM`, by position: one row for each candidate that goes.
        rows: `segment` (a hash) and `rank` (place by score, 0 the best) of every candidate.
        spared: Candidates that share stock wording, and nothing else, with a benchmark.
    """

    claims: pl.DataFrame
    rows: pl.DataFrame
    spared: int = field(default=0)

    def buckets(self) -> dict[str, int]:
        """Bucket -> segments, each in one: `kept` first, then the reasons, most frequent first.

        A segment none of whose samples was kept is in the bucket of its best sample.
        """
        fates = self.rows.with_row_index("position").join(
            self.claims.select("position", "reason"), on="position", how="left"
        )
        kept = fates.filter(pl.col("reason").is_null())["segment"].unique()
        left = (
            fates.filter(
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


def claim(
    positions: pl.Series,
    reason: str | pl.Series,
    *,
    value: pl.Series | str | None = None,
    other: pl.Series | None = None,
    evidence: pl.Series | None = None,
) -> pl.DataFrame:
    """Rows of `CLAIM`."""
    none = pl.Series([None], dtype=pl.String)
    columns = {
        "position": positions,
        "reason": pl.Series([reason]) if isinstance(reason, str) else reason,
        "value": pl.Series([value], dtype=pl.String) if isinstance(value, str) else value,
        "other": other,
        "evidence": evidence,
    }
    made = {
        name: (none if column is None else column).cast(CLAIM[name], strict=True)
        for name, column in columns.items()
    }
    return pl.DataFrame(
        {
            name: column.extend_constant(column[0], positions.len() - 1)
            if column.len() == 1 and positions.len() > 1
            else column[: positions.len()]
            for name, column in made.items()
        },
        schema=CLAIM,
    )


def _counted(rows: pl.DataFrame) -> dict[str, int]:
    counts = rows.group_by("reason").len().sort(["len", "reason"], descending=[True, False])
    return dict(counts.iter_rows())

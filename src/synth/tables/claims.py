"""What is said of a candidate that goes."""

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


def claims(
    positions: pl.Series, reason: str | pl.Series, **facts: str | pl.Series | None
) -> pl.DataFrame:
    """Rows of `CLAIM`, with nulls for what is not said."""
    said = {"reason": reason, **facts}
    return pl.DataFrame({"position": positions}).select(
        pl.col("position").cast(CLAIM["position"]),
        *(pl.lit(said.get(name)).cast(CLAIM[name]).alias(name) for name in list(CLAIM)[1:]),
    )

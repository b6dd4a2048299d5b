"""Rows and what people said of them -> claims, how many were read, and which to read next."""

import math
from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.records import content_id
from synth.tables.claims import claims
from synth.tables.runs import BASE, MIX

REASON = "reviewed"
NOT_READ = {"read": 0, "good": 0, "bad": 0}
"""What `tally` finds where nobody read anything."""
CANDIDATE_OF = ("segment_id", "sample", "wanted", "provenance")
"""The columns that say which generated row a row is."""
_STRATA = 10
_Z = 1.959963984540054  # of the normal distribution, for 95 %


def candidate_ids(rows: pl.DataFrame) -> pl.Series:
    """Of each row the id of its generation; a mark holds for it alone.

    Args:
        rows: Columns of `CANDIDATE_OF`.
    """
    found = [content_id(*one) for one in rows.select(CANDIDATE_OF).iter_rows()]
    return pl.Series("candidate", found, dtype=pl.String)


def reviewed(rows: pl.DataFrame, bad: Mapping[str, Mapping[str, str]]) -> pl.DataFrame:
    """Claims (`CLAIM`) on the rows that people marked bad; `value` is their comment, or "bad".

    Args:
        rows: Candidates with their `position`; only those of marked segments are looked at.
        bad: Segment id -> id of a candidate -> comment.
    """
    rows = rows.filter(_is_in(bad))
    said = {name: comment for marks in bad.values() for name, comment in marks.items()}
    names = candidate_ids(rows).to_list()
    found = [place for place, name in enumerate(names) if name in said]
    comments = pl.Series([said[names[place]] or "bad" for place in found], dtype=pl.String)
    return claims(rows["position"].gather(found), REASON, value=comments)


def overruled(found: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
    """The claims, of which those of people go first.

    Args:
        found: Claims on rows, each on another one.
        said: Claims of people; they get as `evidence` what else a row goes for, if anything.
    """
    also = found.select("position", also="reason")
    told = pl.when(pl.col("also").is_not_null()).then(pl.struct("also").struct.json_encode())
    first = said.join(also, on="position", how="left", maintain_order="left")
    others = found.join(said, on="position", how="anti", maintain_order="left")
    return pl.concat([others, first.with_columns(evidence=told).drop("also")])


def tally(
    kept: pl.LazyFrame, gone: pl.LazyFrame, good: Mapping[str, Collection[str]]
) -> dict[str, int]:
    """How many rows people read, and what they said.

    Only rows count that are kept, or would be if it were not for people: what a rule rejects says
    nothing of what is kept.

    Args:
        kept: Rows of `CURATED`.
        gone: Rows of `REJECTED`.
        good: Segment id -> ids of candidates marked good.
    """
    bad = gone.filter(pl.col("reason") == REASON, pl.col("evidence").is_null()).select(pl.len())
    names = {name for of_segment in good.values() for name in of_segment}
    found = 0
    if names:
        rows = kept.select(CANDIDATE_OF).filter(_is_in(good)).collect(engine="streaming")
        found = sum(name in names for name in candidate_ids(rows))
    lost = int(bad.collect(engine="streaming").item())
    return {"read": found + lost, "good": found, "bad": lost}


def share_interval(good: int, read: int) -> tuple[float, float]:
    """Between which shares that of all rows lies, with 95 %: the score interval of Wilson (1927).

    Args:
        good: Rows found good.
        read: Rows drawn at random and read.
    """
    if not read:
        return 0.0, 1.0
    share, spread = good / read, _Z**2 / read
    middle = share + spread / 2
    width = math.sqrt(spread * (share * (1 - share) + spread / 4))
    return max(0.0, (middle - width) / (1 + spread)), min(1.0, (middle + width) / (1 + spread))


def review_sample(rows: pl.DataFrame, count: int, seed: int = 0) -> pl.Series:
    """Places of so many rows: as many, give or take one, from each tenth of the rows by score.

    Whoever stops early has read evenly too: every ten rows in this order are one of each tenth.
    Within a tenth a hash of the id decides, so that few others are drawn when rows come and go. Of
    fewer than ten rows each is from another one of so many parts.

    Args:
        rows: `segment_id`, `sample` and `logprob` of all rows.
        count: How many are wanted.
        seed: Another one draws other rows.
    """
    strata = max(1, min(count, _STRATA))
    drawn = pl.Series("drawn", _mixed(rows, seed), dtype=pl.UInt64)
    return (
        rows.select("segment_id", "sample", pl.col("logprob").fill_nan(None), drawn)
        .with_row_index("place")
        .sort(["logprob", "segment_id", "sample"], descending=[True, False, False], nulls_last=True)
        .with_columns(stratum=pl.int_range(pl.len()) * strata // pl.len())
        .with_columns(turn=pl.col("drawn").rank("ordinal").over("stratum"))
        .sort("turn", "drawn", "place")["place"]
        .head(count)
    )


def _mixed(rows: pl.DataFrame, seed: int) -> npt.NDArray[np.uint64]:
    """Of each row a number that looks random and depends on its id and the seed alone."""
    ids = rows["segment_id"].str.to_integer(base=16, dtype=pl.UInt64).to_numpy()
    samples = rows["sample"].fill_null(0).cast(pl.UInt64).to_numpy()
    mixed = ids + (samples + np.uint64(seed)) * np.uint64(BASE)
    for shift in (30, 27):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(MIX)
    found: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return found


def _is_in(segments: Collection[str]) -> pl.Expr:
    return pl.col("segment_id").is_in(pl.Series(list(segments), dtype=pl.String).implode())

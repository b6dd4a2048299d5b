"""Segments that stand more than once in the files of a run: which of their rows say nothing new.

Two documents of one id that begin alike have segments in common; so have runs over one corpus, when
they are taken together. Such a segment is one segment: its requests compete as its samples do, and
a request that stands there twice is one request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from synth.store.idset import IdSet

_BLOCK = 65536  # ids looked at together
_ROWS = {"row": pl.get_index_type(), "request": pl.UInt64}


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows that are left out.

    Attributes:
        segments: How many segments stood there before.
        rows: `row`, a place in the files, and `request`, null where that segment was skipped.
    """

    segments: int
    rows: pl.DataFrame

    def left_out(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The rows (one for each `request`, numbered by `row` of the files) that are new."""
        keys = ["row", "request"]
        return rows.join(
            self.rows.lazy(), on=keys, how="anti", nulls_equal=True, maintain_order="left"
        )


def repeats(files: Sequence[Path]) -> Repeats:
    """What repeats in files of segments; the first of its kind stays. Holds 8 bytes a segment."""
    segments = pl.scan_parquet(list(files))
    number = pl.col("segment_id").str.to_integer(base=16, dtype=pl.UInt64)
    seen, again = IdSet(), []
    for block in segments.select(number).collect_batches(chunk_size=_BLOCK):
        ids = block.to_series().to_numpy()
        again.append(ids[~seen.add(ids)])
    found = np.concatenate(again) if again else np.empty(0, np.uint64)
    if not len(found):
        return Repeats(0, pl.DataFrame(schema=_ROWS))
    names = pl.Series([f"{number:016x}" for number in np.unique(found)])
    rows = (
        segments.select("segment_id", "requests")
        .with_row_index("row")
        .filter(pl.col("segment_id").is_in(names.implode()))
        .explode("requests", empty_as_null=True)
        .rename({"requests": "request", "segment_id": "segment"})
        .collect(engine="streaming")
        .sort("row", maintain_order=True)
    )
    return Repeats(len(found), rows.filter(~is_new()).select(*_ROWS))


def is_new() -> pl.Expr:
    """Whether a row (`segment`, `request`) is the first of its kind."""
    skipped = pl.col("request").is_null()
    first = pl.when(skipped).then(pl.col("segment").is_first_distinct())
    return first.otherwise(pl.col("request").is_first_distinct())

"""What a candidate is: a segment, its instruction, its scores, and where they came from."""

from collections.abc import Iterator
from typing import Protocol

import polars as pl

CANDIDATE = {
    "segment_id": pl.String,
    "sample": pl.Int64,
    "document_id": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
    "text": pl.String,
    "skip": pl.String,
    "instruction": pl.String,
    "finish": pl.String,
    "tokens": pl.Int64,
    "logprob": pl.Float64,
    "r_ifd": pl.Float64,
    "ifd": pl.Float64,
    "error": pl.String,
    "wanted": pl.String,
    "seed": pl.Int64,
    "shortened": pl.Boolean,
    "metadata": pl.String,
    "provenance": pl.String,
}
"""Columns of a candidate; `metadata` and `provenance` are JSON objects; a segment that was skipped
is one row that lacks what is generated."""


class Candidates(Protocol):
    """Rows of `CANDIDATE` that can be read again and again, in the same order."""

    @property
    def count(self) -> int:
        """How many there are."""

    def blocks(self, *columns: str) -> Iterator[pl.DataFrame]:
        """These columns of all rows, block by block."""

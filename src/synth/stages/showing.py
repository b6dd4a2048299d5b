"""Sorted rows -> those that a page shows, each with what a reader wants to know of it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from synth.store.run import Run
from synth.tables.overview import KEPT, source
from synth.tables.reviews import candidate_ids

_OTHER_CLIP = 3000  # characters of the row that stayed instead
_SHOWN = (
    "segment_id sample document_id start end text instruction reason value collided_with evidence"
    " masked finish tokens logprob r_ifd ifd wanted metadata provenance"
).split()
_ADDED = "source candidate chars before after part parts document_end".split()
_CONTEXT = 240  # characters of the document that are shown on either side
_SCORES = ("logprob", "r_ifd", "ifd")


@dataclass(frozen=True, slots=True)
class Shown:
    """Rows of a page.

    Attributes:
        rows: What it shows of each.
        others: Segment id -> the row that stayed, of those that went for one.
        provenance: What `provenance` of a row counts into.
    """

    rows: list[dict[str, Any]]
    others: dict[str, dict[str, Any]]
    provenance: list[dict[str, Any]]


def sorted_rows(run: Run) -> pl.LazyFrame:
    """All rows, kept ones first, with their `reason`."""
    kept = pl.scan_parquet(run.curated).with_columns(reason=pl.lit(KEPT))
    return pl.concat([kept, pl.scan_parquet(run.rejected)], how="diagonal")


def shown_rows(run: Run, places: pl.Series, clip: int) -> Shown:
    """The rows at those places of `sorted_rows`.

    Args:
        run: A run that was curated.
        places: Ascending.
        clip: Characters that are shown of a text.
    """
    chosen = (
        sorted_rows(run)
        .with_row_index("place")
        .filter(pl.col("place").is_in(places.implode()))
        .with_columns(source=source(), chars=pl.col("text").str.len_chars())
        .collect(engine="streaming")
        .sort("place")
    )
    chosen = chosen.with_columns(candidate=candidate_ids(chosen)).join(
        _around(run, chosen["document_id"].unique()),
        on="segment_id",
        how="left",
        maintain_order="left",
    )
    collided = chosen["collided_with"].drop_nulls().unique()
    stayed = (
        pl.scan_parquet(run.curated)
        .filter(pl.col("segment_id").is_in(collided.implode()))
        .select("segment_id", "instruction", "document_id", pl.col("text").str.head(_OTHER_CLIP))
        .collect(engine="streaming")
    )
    numbers: dict[str, int] = {}
    rows = [
        _row(row, clip, numbers) for row in chosen.select(*_SHOWN, *_ADDED).iter_rows(named=True)
    ]
    others = {row.pop("segment_id"): row for row in stayed.iter_rows(named=True)}
    return Shown(rows, others, [json.loads(text) for text in numbers])


def _around(run: Run, documents: pl.Series) -> pl.DataFrame:
    """Of each segment of those documents what stands on either side of it, as far as is known.

    Returns:
        `segment_id`, the ends of its neighbours (`before`, `after`), its number among the
        document's segments (`part` of `parts`), and where the last of them ends (`document_end`).
    """
    of_document = pl.col("document_id")
    return (
        sorted_rows(run)
        .filter(of_document.is_in(documents.implode()))
        .select(
            "segment_id", "document_id", "start", "end",
            head=pl.col("text").str.head(_CONTEXT), tail=pl.col("text").str.tail(_CONTEXT),
        )
        .unique("segment_id")
        .collect(engine="streaming")
        .sort("document_id", "start", "segment_id")
        .select(
            "segment_id",
            before=pl.col("tail").shift(1).over("document_id").fill_null(""),
            after=pl.col("head").shift(-1).over("document_id").fill_null(""),
            part=pl.int_range(1, pl.len() + 1).over("document_id"),
            parts=pl.len().over("document_id"),
            document_end=pl.col("end").max().over("document_id"),
        )
    )  # fmt: skip


def _row(row: dict[str, Any], clip: int, provenances: dict[str, int]) -> dict[str, Any]:
    """What the page shows of a row; numbers its provenance."""
    told = provenances.setdefault(row["provenance"] or "{}", len(provenances))
    return row | {
        "text": row["text"][:clip],
        "clipped": row.pop("chars"),
        "metadata": json.loads(row["metadata"] or "{}"),
        "provenance": told,
        **{name: _finite(row[name]) for name in _SCORES},
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 5)


def strata(shown: pl.DataFrame, of: Mapping[str, int]) -> list[dict[str, Any]]:
    """Of each reason how many rows are shown, and of how many; `kept` first, then the largest.

    Args:
        shown: `reason` of the rows shown.
        of: Reason -> rows there are.
    """
    counts = dict(shown.group_by("reason").len().iter_rows())
    order = sorted(of, key=lambda reason: (reason != KEPT, -of[reason], reason))
    return [{"reason": name, "shown": counts.get(name, 0), "of": of[name]} for name in order]

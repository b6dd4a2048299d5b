"""Rows that nobody holds together -> which of them are to be settled together, and their fate.

What `linking.py` says of rows in memory is found here from one kind of key at a time, of all rows:
whoever has the rows of one kind sees who meets whom in it. What remains of that are edges of a
forest; joined they tell what hangs together, and `Settling` decides on that as it does on all.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.settings import Curate, Duplicates
from synth.settings.curation import Side
from synth.tables.claims import CLAIM
from synth.tables.curation import rank
from synth.tables.groups import Groups, Rows
from synth.tables.linking import equal
from synth.tables.looking import Tools
from synth.tables.near import (
    band_keys,
    band_starts,
    band_width,
    crowded,
    equal_keys,
    perhaps_near,
)
from synth.tables.private import SIDES
from synth.tables.settling import Settling
from synth.tables.sketches import SLOTS, Signatures, Sketch, similarities
from synth.tables.words import Hashes

TOLD = {name: kind for name, kind in CLAIM.items() if name != "other"} | {
    "collided_with": pl.String
}
"""Columns of a claim whose other row may be far: `collided_with` is the id of its segment."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of key: rows of equal keys have to be settled together.

    Attributes:
        side: Whose texts are looked at; None: the rows' segments are the keys.
        start: First slot of a band of their signatures; None: their fingerprints are the keys.
    """

    side: Side | None = None
    start: int | None = None


def kinds(settings: Duplicates) -> list[Kind]:
    """The kinds of keys by which rows meet."""
    found = [Kind()]
    for side in settings.sides:
        found.append(Kind(side))
        if settings.near is not None:
            found += [Kind(side, start) for start in band_starts(settings.near)]
    return found


def keys(
    kind: Kind,
    rows: Rows,
    segments: npt.NDArray[np.uint64],
    sketches: Mapping[Side, Sketch],
    settings: Duplicates,
) -> tuple[Hashes, Rows]:
    """The keys of that kind, and the rows that have one.

    Args:
        kind: Of which kind.
        rows: Ascending.
        segments: Of all rows.
        sketches: Side -> what is remembered of the texts of all rows.
        settings: What is compared.
    """
    if kind.side is None:
        return segments[rows], rows
    sketch = sketches[kind.side]
    rows = rows[sketch.prints[rows] != 0]  # a text without words is like none
    if kind.start is None or settings.near is None:
        return sketch.prints[rows], rows
    return band_keys(sketch.slots, rows, kind.start, band_width(settings.near)), rows


def met(
    kind: Kind,
    key: Hashes,
    settings: Duplicates,
    slots_of: Callable[[Rows], Signatures],
) -> tuple[Rows, Rows]:
    """Places of later and earlier rows that have to be settled together.

    Args:
        kind: Of the keys.
        key: Of each row, in the order of the rows.
        settings: What is compared.
        slots_of: Gives the signatures of the side's texts at some places, ascending.
    """
    if kind.start is None or settings.near is None:
        return equal(key)
    later, earlier = equal_keys(key, np.arange(key.size), 8 * band_width(settings.near))
    told = crowded(later)
    doubtful = np.flatnonzero(~told)
    places, at = np.unique(
        np.concatenate([later[doubtful], earlier[doubtful]]), return_inverse=True
    )
    slots = slots_of(places)
    estimates = similarities(slots, at[: doubtful.size], at[doubtful.size :])
    told[doubtful] = perhaps_near(estimates, settings.near)
    return later[told], earlier[told]


def forest(later: Rows, earlier: Rows, *, compiled: bool) -> tuple[Rows, Rows]:
    """The rows of some pairs, ascending, and of each the first that it hangs together with.

    Args:
        later: Rows.
        earlier: The row that each has to be settled with.
        compiled: Whether to compile the loop; the result is the same.
    """
    rows, at = np.unique(np.concatenate([later, earlier]), return_inverse=True)
    groups = Groups(rows.size, compiled=compiled)
    groups.join(at[: later.size], at[later.size :])
    return rows, rows[groups.firsts()]


def batches(first: Rows, most: int) -> npt.NDArray[np.int64]:
    """Of each row the batch in which it is settled: some `most` rows, and never parts of a group.

    Args:
        first: Of each row the first of its group.
        most: Rows of a batch; a larger group is one by itself.
    """
    groups, at, sizes = np.unique(first, return_inverse=True, return_counts=True)
    number: npt.NDArray[np.int64] = (np.cumsum(sizes) - sizes) // most
    _, dense = np.unique(number, return_inverse=True)
    found: npt.NDArray[np.int64] = dense[at] if groups.size else np.empty(0, np.int64)
    return found


def carried(facts: pl.DataFrame, sketches: Mapping[Side, Sketch], rows: Rows) -> pl.DataFrame:
    """What `settle` needs of some rows, their texts apart.

    Args:
        facts: `segment`, `length` and `score` of all rows.
        sketches: Side -> what is remembered of the texts of all rows.
        rows: Which rows.
    """
    columns: dict[str, pl.Series] = {}
    for side, sketch in sketches.items():
        columns[f"print {side}"] = pl.Series(sketch.prints[rows])
        if sketch.slots.size:
            columns[f"slots {side}"] = pl.Series(
                sketch.slots[rows], dtype=pl.Array(pl.UInt8, SLOTS)
            )
    return facts[rows].select("segment", "length", "score").with_columns(**columns)


@dataclass(frozen=True, slots=True)
class _Held:
    """Candidates in memory."""

    rows: pl.DataFrame

    @property
    def count(self) -> int:
        return self.rows.height

    def blocks(self, *columns: str) -> Iterator[pl.DataFrame]:
        yield self.rows.select(columns)


def settle(rows: pl.DataFrame, settings: Curate, tools: Tools, *, compiled: bool) -> pl.DataFrame:
    """Claims (`TOLD`) on some of the rows, as if all rows there are had been settled.

    Args:
        rows: In their order, groups whole: `position`, what `carried` gives and, if shingles or
            embeddings are compared, the texts.
        settings: What is compared.
        tools: What other rooms lend.
        compiled: Whether to compile loops; the result is the same.
    """
    sketches = {side: _sketch(rows, side) for side in settings.duplicates.sides}
    facts = rows.select("segment", "length", "score").with_columns(rank=rank())
    settling = Settling(facts, [], sketches, _Held(rows), tools, compiled=compiled)
    settling.outrank(settings.rank)
    settling.repeated(settings.duplicates)
    claimed = settling.claimed()
    segments = rows["segment"].to_numpy()
    others = [None if at is None else f"{segments[at]:016x}" for at in claimed["other"]]
    return claimed.with_columns(
        position=rows["position"].gather(claimed["position"]),
        collided_with=pl.Series(others, dtype=pl.String),
    ).select(*TOLD)


def _sketch(rows: pl.DataFrame, side: Side) -> Sketch:
    slots = f"slots {side}"
    signed = rows[slots].to_numpy() if slots in rows.columns else np.zeros((0, SLOTS), np.uint8)
    return Sketch(rows[f"print {side}"].to_numpy(), signed)


def texts_needed(settings: Duplicates) -> tuple[str, ...]:
    """The texts without which repeats cannot be settled."""
    return SIDES if settings.near is not None or settings.semantic is not None else ()

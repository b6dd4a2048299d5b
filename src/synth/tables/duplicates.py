"""Texts -> which of them say the same as one that stays: word for word, or nearly."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.tables.ahead import ahead
from synth.tables.kernels import COMPILE_FROM
from synth.tables.near import Rows, near_duplicates, suspects
from synth.tables.sketches import (
    SLOTS,
    ShingleSets,
    Signatures,
    fingerprints,
    shingle_sets,
    signatures,
)
from synth.tables.words import Hashes, words

Texts = Callable[[], Iterator[pl.Series]]
"""Gives the same texts again and again, block by block."""


SAME = 2.0
"""The similarity of texts of the same words."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows that go (`rows`), the rows that stay instead, and how similar the two are."""

    rows: Rows
    others: Rows
    similarity: npt.NDArray[np.float32]


def repeats(texts: Texts, count: int, order: Rows, near: float | None) -> Repeats:
    """The rows of `order` that are the same as, or near, one before them that stays.

    Equal are texts that differ in case, spacing and punctuation alone; a text without words is
    equal to none.

    Args:
        texts: All texts, `count` of them.
        count: How many there are.
        order: Those that are compared, best first.
        near: Jaccard similarity of 5-word shingles from which a row goes; None: only equal ones go.
    """
    compiled = count >= COMPILE_FROM
    asked = np.zeros(count, bool)
    asked[order] = True
    prints, slots = np.zeros(count, np.uint64), np.zeros((count if near else 0, SLOTS), np.uint8)

    def look(block: tuple[Rows, pl.Series]) -> tuple[Rows, Hashes, Signatures | None]:
        rows, found = block[0], words(block[1], compiled=compiled)
        return rows, fingerprints(found), signatures(found, compiled=compiled) if near else None

    for rows, some_prints, some_slots in ahead(look, _blocks(texts, asked)):
        prints[rows] = some_prints
        if some_slots is not None:
            slots[rows] = some_slots
    same = _same(prints[order])
    left = order[same < 0]
    first = same[same >= 0]
    gone = [Repeats(order[same >= 0], order[first], np.full(first.size, SAME, np.float32))]
    if near:
        left = left[prints[left] != 0]
        found, similarity = near_duplicates(
            slots, left, near, lambda rows: _sets(texts, count, rows, compiled), compiled=compiled
        )
        gone.append(Repeats(left[found >= 0], found[found >= 0], similarity[found >= 0]))
    return Repeats(
        np.concatenate([part.rows for part in gone]),
        np.concatenate([part.others for part in gone]),
        np.concatenate([part.similarity for part in gone]),
    )


def near_any(texts: pl.Series, others: pl.Series, threshold: float) -> pl.Series:
    """For each text whether it is as similar as the threshold to one of the others.

    Args:
        texts: Strings.
        others: Strings they are compared with.
        threshold: Jaccard similarity of the sets of 5-word shingles.
    """
    split, near = len(others), np.zeros(len(texts), bool)
    if not split or not len(texts):
        return pl.Series("near", near)
    both = pl.concat([others, texts])
    compiled = len(both) >= COMPILE_FROM
    found = words(both, compiled=compiled)
    sets = shingle_sets(found, compiled=compiled)
    slots = signatures(found, compiled=compiled)
    for later, earlier in suspects(slots, np.arange(len(both)), threshold):
        across = (later >= split) & (earlier < split)
        for row, other in zip(later[across].tolist(), earlier[across].tolist(), strict=True):
            if not near[row - split]:
                near[row - split] = _jaccard(sets, row, other) >= threshold
    return pl.Series("near", near)


def _blocks(texts: Texts, asked: npt.NDArray[np.bool_]) -> Iterator[tuple[Rows, pl.Series]]:
    """The rows that are asked for, and their texts, block by block."""
    start = 0
    for block in texts():
        rows = start + np.flatnonzero(asked[start : start + len(block)])
        if rows.size:
            yield rows, block.gather(rows - start)
        start += len(block)


def _same(prints: Hashes) -> Rows:
    """For each place that of the first with the same print, -1 for a first and for 0."""
    frame = pl.DataFrame({"print": prints}).with_row_index("place")
    first = frame.select(pl.col("place").first().over("print"))["place"].to_numpy().astype(np.int64)
    first[(first == np.arange(first.size)) | (prints == 0)] = -1
    return first


def _sets(texts: Texts, count: int, rows: Rows, compiled: bool) -> ShingleSets:
    """The shingles of those rows, which are ascending."""
    asked = np.zeros(count, bool)
    asked[rows] = True
    parts = list(
        ahead(
            lambda block: shingle_sets(words(block[1], compiled=compiled), compiled=compiled),
            _blocks(texts, asked) if rows.size else (),
        )
    )
    sizes = [part.hashes.size for part in parts]
    ends = [part.ends + start for part, start in zip(parts, np.cumsum([0, *sizes]), strict=False)]
    return ShingleSets(
        np.concatenate([np.empty(0, np.uint32), *(part.hashes for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *ends]),
    )


def _jaccard(sets: ShingleSets, one: int, other: int) -> float:
    a, b = (
        sets.hashes[(sets.ends[row - 1] if row else 0) : sets.ends[row]] for row in (one, other)
    )
    both = np.intersect1d(a, b, assume_unique=True).size
    return float(both / max(a.size + b.size - both, 1))

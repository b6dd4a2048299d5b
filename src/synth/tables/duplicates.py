"""Texts -> which of them say the same as one that stays: word for word, or nearly."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.tables.ahead import ahead
from synth.tables.groups import Rows
from synth.tables.kernels import COMPILE_FROM
from synth.tables.near import alike, near_duplicates, neighbours, suspects
from synth.tables.sketches import (
    ShingleSets,
    Sketch,
    shingle_sets,
    signatures,
)
from synth.tables.words import SLICE, Hashes, words

Texts = Callable[[], Iterator[pl.Series]]
"""Gives the same texts again and again, block by block."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows that go (`rows`), the rows that stay instead, and how similar the two are (1: equal)."""

    rows: Rows
    others: Rows
    similarity: npt.NDArray[np.float32]

    def where(self, these: npt.NDArray[np.bool_]) -> "Repeats":
        """Some of them."""
        return Repeats(self.rows[these], self.others[these], self.similarity[these])


Check = Callable[[Rows, Rows], Repeats]
"""Of rows that stay and others, best first: those others that say the same as one that stays, or
as a better one of the others that does not go itself."""


class Shingled:
    """The shingles of those texts whose sketches leave doubts; none is read twice."""

    def __init__(self, texts: Texts, count: int, *, compiled: bool) -> None:
        """Has read none of these texts, `count` of them."""
        self._texts, self._compiled = texts, compiled
        self._place = np.full(count, -1, np.int32)
        self._sets = ShingleSets(np.empty(0, np.uint32), np.empty(0, np.int64))

    def of(self, rows: Rows) -> tuple[ShingleSets, Rows]:
        """The shingles of those rows among others', and the places of theirs."""
        new = np.sort(rows[self._place[rows] < 0])
        if new.size:
            read, known = _sets(self._texts, self._place.size, new, self._compiled), self._sets
            self._place[new] = known.ends.size + np.arange(new.size)
            if known.ends.size:
                read = ShingleSets(
                    np.concatenate([known.hashes, read.hashes]),
                    np.concatenate([known.ends, known.hashes.size + read.ends]),
                )
            self._sets = read
        return self._sets, self._place[rows].astype(np.int64)


class Side:
    """One side of all candidates: of those that are compared their sketches, not their texts."""

    def __init__(self, sketch: Sketch, texts: Texts, *, compiled: bool) -> None:
        """Has what was read.

        Args:
            sketch: Of all texts.
            texts: All texts; some are read again where their sketches leave doubts.
            compiled: Whether to compile loops (see kernels.py); the result is the same.
        """
        self._sketch, self._compiled = sketch, compiled
        self._shingled = Shingled(texts, sketch.prints.size, compiled=self._compiled)

    @classmethod
    def read(cls, texts: Texts, count: int, asked: Rows, *, slots: bool) -> Self:
        """Reads those of `count` texts that will be compared."""
        sketch = Sketch.empty(count, slots=slots)
        chosen = np.zeros(count, bool)
        chosen[asked] = True

        compiled = count >= COMPILE_FROM

        def look(block: tuple[Rows, pl.Series]) -> None:
            for first in range(0, block[0].size, SLICE):
                some = slice(first, first + SLICE)
                found = words(block[1][some], compiled=compiled)
                sketch.put(block[0][some], found, compiled=compiled)

        for _ in ahead(look, _blocks(texts, chosen)):
            pass
        return cls(sketch, texts, compiled=compiled)

    def same(self, kept: Rows, left: Rows) -> Repeats:
        """A `Check`: equal are texts that differ in case, spacing and punctuation alone.

        A text without words is equal to none.
        """
        order = np.concatenate([kept, left])
        first = _same(self._sketch.prints[order])
        first[: kept.size] = -1
        gone = np.flatnonzero(first >= 0)
        return Repeats(order[gone], order[first[gone]], np.ones(gone.size, np.float32))

    def near(self, threshold: float) -> Check:
        """A `Check`: near are texts that share that share of their shingles."""

        def check(kept: Rows, left: Rows) -> Repeats:
            left = left[self._sketch.prints[left] != 0]
            if self._compiled and kept.size:  # few rows are compared with all as soon
                kept = neighbours(self._sketch.slots, kept, left, threshold, compiled=True)
            found, similarity = near_duplicates(
                self._sketch.slots,
                np.concatenate([kept, left]),
                threshold,
                self._shingled.of,
                compiled=self._compiled,
            )
            found, similarity = found[kept.size :], similarity[kept.size :]
            return Repeats(left, found, similarity).where(found >= 0)

        return check

    def prepare(self, rows: Rows, threshold: float) -> None:
        """Reads at once the shingles that checks of some of these rows may ask for."""
        rows = rows[self._sketch.prints[rows] != 0]
        self._shingled.of(alike(self._sketch.slots, rows, threshold, compiled=self._compiled))


def settled(checks: Mapping[str, Check], order: Rows) -> Iterator[tuple[str, Repeats]]:
    """Which rows go by which check: each for one that stays when all checks are done.

    A row that went for one which another check sends away is looked at again.

    Args:
        checks: Reason -> check.
        order: The rows, best first.
    """
    kept = order[:0]
    stays = np.zeros(int(order.max(initial=-1)) + 1, bool)
    while order.size:
        if kept.size:  # for these first, or each row of a hot cluster would take a round to go
            for reason, check in checks.items():
                found = check(kept, order)
                found = found.where(stays[found.others])
                yield reason, found
                order = _without(order, found.rows, stays.size)
        left, gone = order, []
        for reason, check in checks.items():
            found = check(kept, left)
            left = _without(left, found.rows, stays.size)
            gone.append((reason, found))
        stays[left] = True
        kept = np.concatenate([kept, left])
        settled_rows = [left]
        for reason, found in gone:
            final = found.where(stays[found.others])
            yield reason, final
            settled_rows.append(final.rows)
        order = _without(order, np.concatenate(settled_rows), stays.size)


def _without(order: Rows, rows: Rows, count: int) -> Rows:
    stay = np.ones(count, bool)
    stay[rows] = False
    left: Rows = order[stay[order]]
    return left


def repeats(texts: Texts, count: int, order: Rows, near: float | None) -> Repeats:
    """The rows of `order` that are the same as, or near, one before them that stays.

    Args:
        texts: All texts, `count` of them.
        count: How many there are.
        order: Those that are compared, best first.
        near: Jaccard similarity of 5-word shingles from which a row goes; None: only equal ones go.
    """
    side = Side.read(texts, count, order, slots=near is not None)
    checks = {"same": side.same} | ({} if near is None else {"near": side.near(near)})
    gone = [found for _, found in settled(checks, order)]
    return Repeats(
        np.concatenate([order[:0], *(part.rows for part in gone)]),
        np.concatenate([order[:0], *(part.others for part in gone)]),
        np.concatenate([np.empty(0, np.float32), *(part.similarity for part in gone)]),
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
    for later, earlier in suspects(slots, np.arange(len(both)), threshold, compiled=compiled):
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
            yield rows, block if rows.size == len(block) else block.gather(rows - start)
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

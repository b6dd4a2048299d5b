"""Unit vectors of texts, best first -> for each the row that stays and says the same."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from synth.tables.duplicates import Check, Repeats, Texts
from synth.tables.groups import Rows

Vectors = npt.NDArray[np.float32]
"""(texts, width): embeddings of length 1, or 0 for what says nothing."""
Embed = Callable[[Sequence[str]], Vectors]
"""Embeds texts."""

_BLOCK = 1024  # rows that are compared at a time
_KEPT = 4096  # with so many that stay: the products fit the processor's cache
_ROUNDING = 1e-6  # how far a product of unit vectors in 32 bits may be from the cosine


class Meanings:
    """The embeddings of some rows."""

    def __init__(self, texts: Texts, asked: npt.NDArray[np.bool_], embed: Embed) -> None:
        """Embeds the rows that are asked for, of all texts."""
        self._place = np.cumsum(asked) - 1
        parts, start = [embed([])], 0
        for block in texts():
            rows = np.flatnonzero(asked[start : start + len(block)])
            parts.append(embed(block.gather(rows).to_list()))
            start += len(block)
        self._vectors = np.concatenate(parts)

    def of(self, rows: Rows) -> Vectors:
        """(rows, width): their embeddings."""
        found: Vectors = self._vectors[self._place[rows]]
        return found

    def check(self, threshold: float) -> Check:
        """A `Check` by the cosine."""

        def near(kept: Rows, left: Rows) -> Repeats:
            order = np.concatenate([kept, left])
            found = semantic_duplicates(self.of(order), threshold)[kept.size :]
            rows, others = left[found >= 0], order[found[found >= 0]]
            cosines = np.einsum("ij,ij->i", self.of(rows), self.of(others))
            return Repeats(rows, others, cosines)

        return near


def semantic_duplicates(
    vectors: npt.NDArray[np.float32], threshold: float
) -> npt.NDArray[np.int64]:
    """For each row the best row that stays and whose cosine reaches the threshold.

    A row goes only for one that stays, so likeness is never passed on from row to row. Every row is
    compared with every one that stays: n * n / 2 products if all do, in little memory.

    Args:
        vectors: (rows, dimensions), each of length 1 (or 0: near to nothing), best first.
        threshold: Cosine.

    Returns:
        Row numbers; -1 for a row that stays.
    """
    near = np.full(len(vectors), -1, np.int64)
    kept = np.empty_like(vectors, order="C")
    rows = np.empty(len(vectors), np.int64)  # of the kept ones
    count, least = 0, np.float32(threshold - _ROUNDING)
    for first in range(0, len(vectors), _BLOCK):
        block = vectors[first : first + _BLOCK]
        found = _nearest(block, kept[:count], least)
        settled = np.where(found >= 0, rows[found], -1)
        _settle(block, settled, first, least)
        near[first : first + len(block)] = settled
        stay = np.flatnonzero(settled < 0)
        kept[count : count + stay.size] = block[stay]
        rows[count : count + stay.size] = first + stay
        count += stay.size
    return near


def _nearest(
    block: npt.NDArray[np.float32], kept: npt.NDArray[np.float32], least: np.float32
) -> npt.NDArray[np.int64]:
    """For each row of the block the first kept one that is near enough, or -1."""
    found = np.full(len(block), -1, np.int64)
    open_ = np.arange(len(block))
    for first in range(0, len(kept), _KEPT):
        products = block[open_] @ kept[first : first + _KEPT].T
        hits = np.flatnonzero(products.max(axis=1) >= least)
        found[open_[hits]] = first + (products[hits] >= least).argmax(axis=1)
        open_ = np.delete(open_, hits)
        if not open_.size:
            break
    return found


def _settle(
    block: npt.NDArray[np.float32], settled: npt.NDArray[np.int64], first: int, least: np.float32
) -> None:
    """Settles the rows that no row before the block did, by those of the block that stay."""
    open_ = np.flatnonzero(settled < 0)
    close = np.tril(block[open_] @ block[open_].T >= least, -1)
    stays = np.ones(open_.size, np.bool_)
    for place in np.flatnonzero(close.any(axis=1)):
        others = np.flatnonzero(close[place] & stays)
        if others.size:
            stays[place] = False
            settled[open_[place]] = first + open_[others[0]]

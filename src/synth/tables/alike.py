"""Rows -> how similar they are to other rows, by their MinHash sketches or their embeddings."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Similarities = npt.NDArray[np.float32]

_TILE = 4096  # rows whose counts, for some hundreds of others, stay in a core's cache


class Near(Protocol):
    """How similar rows are, which are named by their place in the frame."""

    def between(self, rows: Rows, others: Rows) -> Similarities:
        """(rows, others): similarities, 1 for the same."""
        ...


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Similarity is the cosine."""

    unit: npt.NDArray[np.float32]
    """(rows, width): vectors of length 1."""

    def between(self, rows: Rows, others: Rows) -> Similarities:
        """(rows, others): cosines."""
        return self.unit[rows] @ self.unit[others].T


@dataclass(frozen=True, slots=True)
class Sketches:
    """Similarity is the Jaccard coefficient that equal bytes of MinHash signatures estimate.

    Two bytes are equal by chance once in 256 times, which is taken out (b-bit minwise hashing, Li
    and König 2010).
    """

    low: npt.NDArray[np.uint8]
    """(rows, width): one byte of each smallest hash; at most 255 of them."""

    def between(self, rows: Rows, others: Rows) -> Similarities:
        """(rows, others): estimates, 0 for what is no more alike than by chance."""
        width = self.low.shape[1]
        same = np.zeros((len(rows), len(others)), np.uint8)
        equal = np.empty((len(rows), min(_TILE, len(others))), np.bool_)
        ours = np.ascontiguousarray(self.low[rows].T)
        for first in range(0, len(others), _TILE):
            theirs = np.ascontiguousarray(self.low[others[first : first + _TILE]].T)
            part, hits = same[:, first : first + _TILE], equal[:, : theirs.shape[1]]
            for place in range(width):
                np.equal(ours[place][:, None], theirs[place], out=hits)
                part += hits.view(np.uint8)
        by_chance = 1 / 256
        shares = np.arange(width + 1) / width
        estimates = np.maximum(shares - by_chance, 0) / (1 - by_chance)
        found: Similarities = estimates.astype(np.float32)[same]
        return found


def any_near(near: Near, rows: Rows, others: Rows, limit: float) -> npt.NDArray[np.bool_]:
    """Of each row, whether it is as similar as the limit to one of the others.

    Args:
        near: Similarities.
        rows: Places of rows.
        others: Places of the rows they are compared with.
        limit: Least similarity.
    """
    found = np.zeros(len(rows), np.bool_)
    for first in range(0, len(others), _TILE):
        open_ = np.flatnonzero(~found)
        if open_.size:
            part = near.between(rows[open_], others[first : first + _TILE])
            found[open_] = part.max(axis=1) >= limit
    return found

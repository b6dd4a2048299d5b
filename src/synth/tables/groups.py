"""Pairs of places -> the groups that hang together, each known by its lowest place."""

import numpy as np
import numpy.typing as npt

from synth.tables.kernels import kernel

Rows = npt.NDArray[np.int64]


class Groups:
    """Places that hang together: a forest (union-find), the root of each tree being its lowest."""

    def __init__(self, count: int, *, compiled: bool) -> None:
        """So many places, each alone.

        Args:
            count: How many.
            compiled: Whether to compile loops (see kernels.py); the result is the same.
        """
        self._parent = np.arange(count)
        self._compiled = compiled

    def apart(self, later: Rows, earlier: Rows) -> npt.NDArray[np.bool_]:
        """Of each pair whether its places do not hang together yet."""
        if not self._compiled:
            first = self.firsts()
            different: npt.NDArray[np.bool_] = first[later] != first[earlier]
            return different
        found = np.empty(later.size, np.bool_)
        _apart.way(compiled=True)(later, earlier, self._parent, found)
        return found

    def join(self, later: Rows, earlier: Rows) -> None:
        """Makes each pair hang together."""
        if not self._compiled:  # few pairs are left for the loop
            fresh = self.apart(later, earlier)
            later, earlier = later[fresh], earlier[fresh]
        _join.way(self._compiled)(later, earlier, self._parent)

    def firsts(self) -> Rows:
        """Of each place the lowest that it hangs together with, itself where it is alone."""
        while (self._parent[self._parent] != self._parent).any():
            self._parent = self._parent[self._parent]
        return self._parent


@kernel
def _apart(later: Rows, earlier: Rows, parent: Rows, found: npt.NDArray[np.bool_]) -> None:
    """Fills in whether the roots of each pair differ, and shortens the ways to them."""
    for pair in range(later.size):
        a, b = later[pair], earlier[pair]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        found[pair] = a != b


@kernel
def _join(later: Rows, earlier: Rows, parent: Rows) -> None:
    """Joins the trees of each pair; the lower root is that of both."""
    for pair in range(later.size):
        a, b = later[pair], earlier[pair]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a < b:
            parent[b] = a
        elif b < a:
            parent[a] = b

"""Sets of 64-bit ids that take little room."""

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.uint64]


class IdSet:
    """64-bit ids at 8 bytes each: sorted runs, merged as they grow, so that few are searched."""

    def __init__(self, ids: Ids | None = None) -> None:
        self._runs: list[Ids] = []
        if ids is not None and len(ids):
            self._runs.append(np.unique(ids))

    def holds(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Of each id, whether it is in the set."""
        found = np.zeros(len(ids), dtype=np.bool_)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, ids), len(run) - 1)
            found |= run[at] == ids
        return found

    def add(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Adds the ids; of each, whether it is new, and the first of its kind among them."""
        _, firsts = np.unique(ids, return_index=True)
        first = np.zeros(len(ids), dtype=np.bool_)
        first[firsts] = True
        fresh: npt.NDArray[np.bool_] = first & ~self.holds(ids)
        if fresh.any():
            self._runs.append(np.sort(ids[fresh]))
        while len(self._runs) > 1 and 2 * len(self._runs[-1]) > len(self._runs[-2]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]))
        return fresh

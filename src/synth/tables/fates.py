"""Rows that the rules leave -> which are kept, from what became of them when others were left."""

from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synth.errors import RecipeError
from synth.settings import Curate
from synth.tables.groups import Rows
from synth.tables.near import band_width
from synth.tables.settling import Settling

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fate:
    """Of each row whether the rules leave it, whether it goes for another, whether it is kept."""

    left: Mask
    away: Mask
    taken: Mask


class Fates:
    """Settles rows, those alone of which something changed."""

    def __init__(
        self, settling: Settling, rows: Rows, settings: Curate, *, sure: bool, compiled: bool
    ) -> None:
        """Finds out which rows hang together (see linking.py)."""
        self._settling, self._rows, self._settings = settling, rows, settings
        self._sure, self._compiled = sure, compiled
        self._link()

    def _link(self) -> None:
        self._group = self._settling.linked(
            self._rows, self._settings.duplicates, sure=self._sure, compiled=self._compiled
        )
        self._sizes = np.bincount(self._group, minlength=self._rows.size)
        self._several = (self._sizes > 1)[self._group]
        self._whole: Mask | None = None

    def read(self) -> None:
        """Reads at once what is asked for under any value."""
        self._settling.prepare(self._rows[self._several], self._settings.duplicates)

    def prepare(self) -> None:
        """Settles first what most values ask for: groups of which all rows are left."""
        self.read()
        self._whole = self._away(self._several)

    def under(self, settings: Curate) -> "Fates":
        """The same where rows are compared by another threshold, one that is not lower."""
        other = copy(self)
        other._settings, other._whole = settings, None
        widths = [band_width(one.duplicates.near or 1.0) for one in (settings, self._settings)]
        if widths[0] != widths[1]:
            other._link()
        return other

    def after(self, before: Fate | None, left: Mask) -> Fate:
        """What becomes of the rows that the rules leave, from what became of others."""
        if before is None:
            none = np.zeros(left.size, bool)
            before = Fate(none, none, none)
        changed = before.left != left
        if not changed.any():
            return before
        touched = np.zeros(left.size, bool)
        touched[self._group[changed]] = True
        touched = touched[self._group]
        there = touched & left
        counts = np.bincount(self._group[there], minlength=left.size)
        away = before.away & ~touched
        if self._whole is None:
            known = np.zeros(left.size, bool)
        else:
            known = there & (counts == self._sizes)[self._group]
            away |= self._whole & known
        away |= self._away(there & ~known & (counts > 1)[self._group])
        return Fate(left, away, self._taken(left & ~away))

    def _away(self, scope: Mask) -> Mask:
        """Which of these rows go for another of them."""
        if not scope.any():
            return scope
        some = self._settling.among(self._wide(scope))
        some.outrank(self._settings.rank)
        some.repeated(self._settings.duplicates)
        gone: Mask = scope & ~some.open[self._rows]
        return gone

    def _taken(self, stay: Mask) -> Mask:
        if not self._settings.select.asks:
            return stay
        some = self._settling.among(self._wide(stay))
        try:
            some.select(self._settings.select)
        except RecipeError:
            return np.zeros(stay.size, bool)
        return some.open[self._rows]

    def _wide(self, mask: Mask) -> Mask:
        wide = np.zeros(self._settling.open.size, bool)
        wide[self._rows[mask]] = True
        return wide

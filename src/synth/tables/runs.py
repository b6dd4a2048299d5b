"""Runs of words in a row -> 64-bit keys, and a table of such keys to look up in.

Two different runs of a million have the same key once in forty million tables, so keys stand for
runs.
"""

from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np

from synth.tables.words import Hashes, Places, Words

BASE = 0x9E3779B97F4A7C15
MIX = 0xBF58476D1CE4E5B9
Whole = TypeVar("Whole", Hashes, Places)
STOCK = -1
"""Place of a run that is stock wording."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of runs of `length` words, and where among all words each run begins."""

    length: int
    keys: Hashes
    places: Places

    @classmethod
    def of(cls, found: Words, length: int, places: Places | None = None) -> Self:
        """The runs of words that lie within one text.

        Args:
            found: Words of texts.
            length: Words of a run.
            places: Where runs begin, ascending; None: wherever one can.
        """
        if places is None:
            places = run_places(found, length)
            return cls(length, run_keys(found.hashes, length)[places], places)
        ends = found.ends[np.searchsorted(found.ends, places, side="right")]
        places = places[places + length <= ends]
        values = np.zeros(places.size, np.uint64)
        for step in range(length):
            values *= np.uint64(BASE)
            values += found.hashes[places + step]
        return cls(length, _mixed(values), places)

    def take(self, which: Places) -> Self:
        """These of them."""
        return type(self)(self.length, self.keys[which], self.places[which])

    def ordered(self) -> Self:
        """Sorted by their keys, equal ones in the order that they have."""
        # Sorting numbers is several times quicker than sorting places, so places go with the keys.
        bits = np.uint64(max(1, int(self.keys.size - 1).bit_length()))
        packed = np.sort(self.keys >> bits << bits | np.arange(self.keys.size, dtype=np.uint64))
        made = self.take((packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64))
        if (made.keys[1:] < made.keys[:-1]).any():  # they differ in the bits that gave way alone
            made = made.take(np.argsort(made.keys, kind="stable"))
        return made


@dataclass(frozen=True, slots=True)
class Table:
    """Sorted keys, each with the place of its run, or once with `STOCK`."""

    length: int
    keys: Hashes
    places: Places

    @classmethod
    def build(cls, runs: Keys, ends: Places, least: int, ignored: Hashes) -> Self:
        """Sorts the runs; those in so many different texts, and the ignored ones, are stock.

        Args:
            runs: In order of their places.
            ends: Where the words of each text end.
            least: Different texts that make a run stock.
            ignored: Keys of runs that are stock wherever they stand.
        """
        runs = runs.ordered()
        keys, places = runs.keys, runs.places
        first = np.ones(keys.size, np.bool_)
        np.not_equal(keys[1:], keys[:-1], out=first[1:])
        heads = np.flatnonzero(first)
        counts = np.diff(heads, append=keys.size)
        often = np.flatnonzero(counts >= least)
        members = _stretches(heads[often], counts[often])
        texts = np.searchsorted(ends, places[members], side="right")
        other = np.cumsum(np.diff(texts, prepend=-1) != 0)  # counts on from run to run
        last = np.cumsum(counts[often]) - 1
        different = other[last] - other[last - counts[often] + 1] + 1
        stock = np.union1d(often[different >= least], entries_of(ignored, keys[heads])[1])
        places[heads[stock]] = STOCK
        stays = np.ones(keys.size, np.bool_)
        stays[_stretches(heads[stock] + 1, counts[stock] - 1)] = False
        return cls(runs.length, keys[stays], places[stays])

    def only(self, places: Places) -> Self:
        """The table of the runs that begin at these places (sorted), and of stock wording."""
        stays = self.places == STOCK
        stays[entries_of(self.places, places)[0]] = True
        return type(self)(self.length, self.keys[stays], self.places[stays])

    def look(self, runs: Keys) -> tuple[Places, Places]:
        """The runs that the table has: where each begins, and the place that the table has for it.

        A run comes as often as it is in the table, and they come in no order.
        """
        runs = runs.ordered()  # looks that are near each other are quick
        which, entries = entries_of(runs.keys, self.keys)
        counts = np.searchsorted(self.keys, runs.keys[which], side="right") - entries
        return np.repeat(runs.places[which], counts), self.places[_stretches(entries, counts)]


def run_keys(hashes: Hashes, length: int) -> Hashes:
    """Keys of the runs that begin at each word, as far as there are so many words."""
    values, size = hashes, 1
    for bit in bin(length)[3:]:
        power = np.uint64(pow(BASE, size, 1 << 64))
        values = values[: max(0, values.size - size)] * power + values[size:]
        size *= 2
        if bit == "1":
            values = values[:-1] * np.uint64(BASE) + hashes[size:]
            size += 1
    return _mixed(values)


def run_places(found: Words, length: int) -> Places:
    """Where among the words a run of so many begins that lies within one text."""
    return _stretches(found.starts, np.maximum(found.counts - length + 1, 0))


def entries_of(values: Whole, keys: Whole) -> tuple[Places, Places]:
    """Which of the values are among sorted keys, and the first place of each there."""
    if not keys.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    entries = np.searchsorted(keys, values)
    which = np.flatnonzero(keys[np.minimum(entries, keys.size - 1)] == values)
    return which, entries[which]


def _mixed(values: Hashes) -> Hashes:
    mixed: Hashes = (values ^ (values >> np.uint64(29))) * np.uint64(MIX)
    return mixed


def _stretches(starts: Places, counts: Places) -> Places:
    """So many numbers from each start on, one stretch after the other."""
    shift: Places = np.repeat(starts - (np.cumsum(counts) - counts), counts)
    return shift + np.arange(shift.size)

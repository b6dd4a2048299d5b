"""Runs of words in a row -> 64-bit keys, and a table of such keys that is quick to look up in.

Two different runs of a million have the same key once in forty million tables, so keys stand for
runs.
"""

from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from synth.tables.kernels import kernel
from synth.tables.words import Hashes, Places, Words

_BASE = 0x9E3779B97F4A7C15
_MIX = 0xBF58476D1CE4E5B9
_FILL = 10  # keys in a bucket on average, at most; few buckets fit the processor's cache
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
        ends = np.repeat(found.ends, found.counts)
        if places is None:
            places = np.arange(found.hashes.size)
        places = places[places + length <= ends[places]]
        values = np.zeros(places.size, np.uint64)
        for step in range(length):
            values *= np.uint64(_BASE)
            values += found.hashes[places + step]
        return cls(length, (values ^ (values >> np.uint64(29))) * np.uint64(_MIX), places)

    def take(self, which: Places) -> Self:
        """These of them."""
        return type(self)(self.length, self.keys[which], self.places[which])


@dataclass(frozen=True, slots=True)
class Table:
    """Sorted keys, each with the place of its run, or once with `STOCK`.

    The highest bits of a key are the number of its bucket. `starts` says where in `keys` a bucket
    begins; `marks` has three bits for each key that is in it, so that almost every run that is not
    in the table ends in one look at a few megabytes (Bloom 1970, one word of 64 bits a bucket).
    """

    length: int
    keys: Hashes
    places: Places
    marks: Hashes
    starts: npt.NDArray[np.int32]

    @classmethod
    def build(cls, runs: Keys, texts: Places, least: int, ignored: Hashes) -> Self:
        """Sorts the runs; those in so many different texts, and the ignored ones, are stock.

        Args:
            runs: In order of their places.
            texts: Of each the text that it stands in.
            least: Different texts that make a run stock.
            ignored: Keys of runs that are stock wherever they stand.
        """
        order = np.argsort(runs.keys, kind="stable")
        keys, places, texts = runs.keys[order], runs.places[order], texts[order]
        first = np.ones(keys.size, np.bool_)
        np.not_equal(keys[1:], keys[:-1], out=first[1:])
        heads = np.flatnonzero(first)
        other_text = first.copy()
        other_text[1:] |= texts[1:] != texts[:-1]
        stock = np.zeros(heads.size, np.bool_)
        if heads.size:
            stock = np.add.reduceat(other_text, heads, dtype=np.int64) >= least
            stock[entries_of(ignored, keys[heads])[1]] = True
        places[heads[stock]] = STOCK
        every = np.repeat(stock, np.diff(heads, append=keys.size))
        stays = ~every | first
        return cls._over(runs.length, keys[stays], places[stays])

    @classmethod
    def plain(cls, runs: Keys) -> Self:
        """Only sorts the runs."""
        order = np.argsort(runs.keys, kind="stable")
        return cls._over(runs.length, runs.keys[order], runs.places[order])

    @classmethod
    def _over(cls, length: int, keys: Hashes, places: Places) -> Self:
        bits = max(1, (keys.size // _FILL).bit_length())
        buckets = (keys >> np.uint64(64 - bits)).astype(np.int64)
        starts = np.zeros((1 << bits) + 1, np.int32)
        np.cumsum(np.bincount(buckets, minlength=1 << bits), out=starts[1:])
        marks = np.zeros(1 << bits, np.uint64)
        np.bitwise_or.at(marks, buckets, _marks(keys))
        return cls(length, keys, places, marks, starts)

    def only(self, places: Places) -> Self:
        """The table of the runs that begin at these places (sorted), and of stock wording."""
        stays = self.places == STOCK
        stays[entries_of(self.places, places)[0]] = True
        return self._over(self.length, self.keys[stays], self.places[stays])

    def scan(self, found: Words, *, compiled: bool) -> tuple[Places, Places]:
        """Where runs of texts are in the table: place among the texts' words, place in `keys`."""
        if not compiled:
            runs = Keys.of(found, self.length)
            which, entries = self.look(runs.keys)
            return runs.places[which], entries
        size = found.hashes.size
        at, entries = np.empty(size, np.int64), np.empty(size, np.int64)
        count = _scan.way(compiled=True)(
            found.hashes,
            found.ends,
            self.length,
            np.uint64(pow(_BASE, self.length - 1, 1 << 64)),
            self.keys,
            self.marks,
            self.starts,
            self._shift,
            np.empty(int(found.counts.max(initial=0)), np.uint64),
            at,
            entries,
        )
        return at[:count].copy(), entries[:count].copy()

    def look(self, keys: Hashes) -> tuple[Places, Places]:
        """Which of these keys the table has, and the first place of each in `self.keys`."""
        marks = _marks(keys)
        likely = np.flatnonzero(self.marks[keys >> self._shift] & marks == marks)
        which, entries = entries_of(keys[likely], self.keys)
        return likely[which], entries

    @property
    def _shift(self) -> np.uint64:
        """Bits of a key that are not in the number of its bucket."""
        return np.uint64(64 - (self.marks.size.bit_length() - 1))

    def expand(self, which: Places) -> tuple[Places, Places]:
        """All runs of the keys that begin there: which of `which` it is, and the run's place."""
        last = np.searchsorted(self.keys, self.keys[which], side="right")
        counts = last - which
        source = np.repeat(np.arange(which.size), counts)
        step = np.arange(source.size) - np.repeat(np.cumsum(counts) - counts, counts)
        return source, self.places[which[source] + step]


def entries_of(values: Whole, keys: Whole) -> tuple[Places, Places]:
    """Which of the values are among sorted keys, and the first place of each there."""
    if not keys.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    entries = np.searchsorted(keys, values)
    which = np.flatnonzero(keys[np.minimum(entries, keys.size - 1)] == values)
    return which, entries[which]


def _marks(keys: Hashes) -> Hashes:
    """Three bits of 64 for each key, from its lowest 18."""
    one, six = np.uint64(1), np.uint64(63)
    marks: Hashes = (
        one << (keys & six)
        | one << ((keys >> np.uint64(6)) & six)
        | one << ((keys >> np.uint64(12)) & six)
    )
    return marks


@kernel
def _scan(
    hashes: Hashes,
    ends: Places,
    length: int,
    oldest: np.uint64,
    keys: Hashes,
    marks: Hashes,
    starts: npt.NDArray[np.int32],
    shift: np.uint64,
    scratch: Hashes,
    at: Places,
    entries: Places,
) -> int:
    """Fills `at` and `entries` as `Table.scan` returns them; returns how many there are."""
    base, mix, one, six = np.uint64(_BASE), np.uint64(_MIX), np.uint64(1), np.uint64(63)
    count, start = 0, 0
    for end in ends:
        runs = end - start - length + 1
        value, gone = np.uint64(0), np.uint64(0)
        for place in range(start, start + length - 1 if runs > 0 else start):
            value = value * base + hashes[place]
        # Keys first, looks afterwards: then the looks wait for memory side by side.
        for run in range(runs):
            value = (value - gone * oldest) * base + hashes[start + run + length - 1]
            gone = hashes[start + run]
            scratch[run] = (value ^ (value >> np.uint64(29))) * mix
        for run in range(runs):
            key = scratch[run]
            bits = (
                one << (key & six)
                | one << ((key >> np.uint64(6)) & six)
                | one << ((key >> np.uint64(12)) & six)
            )
            bucket = key >> shift
            if marks[bucket] & bits == bits:
                for entry in range(starts[bucket], starts[bucket + one]):
                    if keys[entry] == key:
                        at[count], entries[count] = start + run, entry
                        count += 1
                        break
        start = end
    return count

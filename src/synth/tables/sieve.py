"""Runs of words to look for -> the few places of texts where one of them may begin.

A run of 13 words holds seven stretches of seven words, one behind the other. Where a stretch is in
no run looked for, no run that holds it can be, so that a text is searched in steps of seven words,
each run from its end (as Boyer and Moore 1977 search for a word). Which stretches there are is in
a small table of bits (Bloom 1970), so that a few of a million that it lets through are not.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from synth.tables.kernels import kernel
from synth.tables.runs import BASE, MIX, run_keys, run_places
from synth.tables.words import Hashes, Places, Words

_FILL = 16  # stretches in 64 bits on average, at most; the table should fit the processor's cache


@dataclass(frozen=True, slots=True)
class Sieve:
    """The stretches of runs of `length` words.

    The highest bits of a stretch's key say which of `marks` has its two bits.
    """

    length: int
    marks: Hashes

    @classmethod
    def of(cls, found: Words, length: int, places: Places) -> Self:
        """Lets through the runs of so many words that begin at these places."""
        stretch = _stretch(length)
        edges = np.zeros(found.hashes.size + 1, np.int32)
        edges[places] = 1
        edges[places + length - stretch + 1] -= 1
        held = np.flatnonzero(np.cumsum(edges))
        keys = run_keys(found.hashes, stretch)[held]
        size = 1 << max(1, (keys.size // _FILL).bit_length())
        marks = np.zeros((size, 64), np.bool_)
        block = (keys >> _shift(size)).astype(np.int64)
        for six in (keys, keys >> np.uint64(6)):
            marks[block, (six & np.uint64(63)).astype(np.int64)] = True
        return cls(length, np.packbits(marks, bitorder="little").view("<u8").astype(np.uint64))

    def begins(self, found: Words, *, compiled: bool) -> Places:
        """Where among the texts' words a run may begin, ascending: wherever one does at least.

        Args:
            found: Words of texts.
            compiled: Whether to compile the loop; the result is the same.
        """
        stretch, shift = _stretch(self.length), _shift(self.marks.size)
        if compiled:
            at = np.empty(found.hashes.size, np.int64)
            count = _sift.way(compiled=True)(
                found.hashes, found.ends, self.length, stretch, self.marks, shift, at
            )
            return at[:count].copy()
        keys = run_keys(found.hashes, stretch)
        bits = _bits(keys)
        passes = self.marks[keys >> shift] & bits == bits
        before = np.concatenate([[0], np.cumsum(passes)])
        places = run_places(found, self.length)
        steps = self.length - stretch + 1
        begins: Places = places[before[places + steps] - before[places] == steps]
        return begins


def _stretch(length: int) -> int:
    """Words of a stretch: short ones are common, long ones make small steps."""
    return length // 2 + 1


def _shift(size: int) -> np.uint64:
    """Bits of a key that do not say which of so many marks is its own."""
    return np.uint64(64 - (size.bit_length() - 1))


def _bits(keys: Hashes) -> Hashes:
    """Two bits of 64 for each key, from its lowest 12."""
    one, six = np.uint64(1), np.uint64(63)
    bits: Hashes = one << (keys & six) | one << ((keys >> np.uint64(6)) & six)
    return bits


@kernel
def _sift(
    hashes: Hashes,
    ends: Places,
    length: int,
    stretch: int,
    marks: Hashes,
    shift: np.uint64,
    at: Places,
) -> int:
    """Fills `at` as `Sieve.begins` returns it; returns how many there are."""
    base, mix, one, six = np.uint64(BASE), np.uint64(MIX), np.uint64(1), np.uint64(63)
    count, start = 0, 0
    for end in ends:
        begin, unknown = start, start  # stretches from `begin` to before `unknown` are there
        while begin + length <= end:
            last = begin + length - stretch
            place = last
            while place >= unknown:
                value = hashes[place]
                for step in range(1, stretch):
                    value = value * base + hashes[place + step]
                key = (value ^ (value >> np.uint64(29))) * mix
                bits = one << (key & six) | one << ((key >> np.uint64(6)) & six)
                if marks[key >> shift] & bits != bits:
                    break
                place -= 1
            if place < unknown:
                at[count] = begin
                count += 1
                begin += 1
            else:
                begin = place + 1
            unknown = last + 1
        start = end
    return count

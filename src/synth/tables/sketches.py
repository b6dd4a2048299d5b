"""Words of texts -> MinHash signatures, sets of shingles, and fingerprints of what is the same.

A shingle is five words in a row (Broder 1997); a shorter text is one. A signature keeps 8 bits of
the least hash of a text's shingles under each of 128 permutations (b-bit minwise hashing: Li and
König 2010), so that the share of equal slots of two signatures tells their Jaccard similarity.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from synth.tables.kernels import kernel
from synth.tables.words import Hashes, Places, Words

Signatures = npt.NDArray[np.uint8]
"""(texts, 128)."""

SLOTS = 128
_SHINGLE = 5
_BASE = np.uint64(0xD1342543DE82EF95)
_MIX = np.uint64(0x94D049BB133111EB)
# A permutation multiplies by an odd number. These are sums, so that most products are sums too:
# where processors multiply slowly, that is what a signature costs. Measured, the estimates err as
# those of numbers drawn one by one do.
_LANES = 32
_rng = np.random.default_rng(1)
_ODD = _rng.integers(0, 1 << 32, _LANES, dtype=np.uint32) | np.uint32(1)
_EVEN = _rng.integers(0, 1 << 32, SLOTS // _LANES, dtype=np.uint32) & ~np.uint32(1)
_FACTORS = (_EVEN[:, None] + _ODD).ravel()


@dataclass(frozen=True, slots=True)
class ShingleSets:
    """Of several texts the sorted, distinct hashes of their shingles, text after text."""

    hashes: npt.NDArray[np.uint32]
    ends: Places


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is remembered of many texts.

    Attributes:
        prints: (texts,) a hash of each; 0 for one without words.
        slots: (texts, slots) their signatures; (0, slots) where only equal texts are looked for.
    """

    prints: Hashes
    slots: Signatures

    @classmethod
    def empty(cls, count: int, *, slots: bool) -> Self:
        """Of so many texts of which nothing is known."""
        signed = count if slots else 0
        return cls(np.zeros(count, np.uint64), np.zeros((signed, SLOTS), np.uint8))

    def put(self, rows: npt.NDArray[np.integer], found: Words, *, compiled: bool) -> None:
        """Remembers the words of those texts."""
        self.prints[rows] = fingerprints(found, compiled=compiled)
        if self.slots.size:
            self.slots[rows] = signatures(found, compiled=compiled)

    def put_all(self, start: int, others: "Sketch") -> None:
        """Remembers what others remember, of the texts from `start` on."""
        self.prints[start : start + others.prints.size] = others.prints
        if self.slots.size:
            self.slots[start : start + others.prints.size] = others.slots


def signatures(words: Words, *, compiled: bool) -> Signatures:
    """The MinHash signature of each text; zeros for one without words.

    Args:
        words: Words of the texts.
        compiled: Whether to compile the loops; the result is the same.
    """
    slots = np.zeros((words.ends.size, SLOTS), np.uint8)
    shingles, ends = _shingles(words, compiled=compiled)
    if compiled:
        _minima.way(compiled=True)(shingles, ends, _ODD, _EVEN, slots)
        return slots
    filled = np.flatnonzero(np.diff(ends, prepend=0))
    if filled.size:
        starts = np.concatenate([[0], ends[:-1]])[filled]
        for slot in range(SLOTS):
            least = np.minimum.reduceat(shingles * _FACTORS[slot], starts)
            slots[filled, slot] = (least >> np.uint32(12)) & np.uint32(255)
    return slots


def similarities(
    slots: Signatures, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Estimated Jaccard similarity J of pairs of rows; its error has std sqrt(J (1 - J) / 128)."""
    equal = np.empty(left.size, np.float32)
    for start in range(0, left.size, 1 << 15):
        part = slice(start, start + (1 << 15))
        equal[part] = np.count_nonzero(slots[left[part]] == slots[right[part]], axis=1)
    return (equal / np.float32(SLOTS) - np.float32(1 / 256)) / np.float32(1 - 1 / 256)


def shingle_sets(words: Words, *, compiled: bool) -> ShingleSets:
    """The set of shingles of each text."""
    shingles, ends = _shingles(words, compiled=compiled)
    rows = np.repeat(
        np.arange(ends.size, dtype=np.uint64) << np.uint64(32), np.diff(ends, prepend=0)
    )
    rows |= shingles
    rows.sort()
    keys = rows[np.insert(rows[1:] != rows[:-1], 0, True)] if rows.size else rows
    counts = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=ends.size)
    return ShingleSets(keys.astype(np.uint32), np.cumsum(counts))


def fingerprints(words: Words, *, compiled: bool = False) -> Hashes:
    """Hash of each text's words in their order: equal for what differs in case and signs alone.

    0 is that of a text without words.

    Args:
        words: Words of the texts.
        compiled: Whether to compile the loop; the result is the same.
    """
    counts, total = words.counts, words.hashes.size
    prints = np.zeros(counts.size, np.uint64)
    if compiled:
        _sum_up.way(compiled=True)(words.hashes, words.ends, _BASE, _MIX, prints)
        return prints
    filled = np.flatnonzero(counts)
    if filled.size:
        power = np.cumprod(np.full(int(counts.max()), _BASE, np.uint64))
        place = np.arange(total) - np.repeat(words.starts, counts)
        sums = np.add.reduceat(words.hashes * power[place], words.starts[filled])
        prints[filled] = (sums ^ (sums >> np.uint64(31))) * _MIX | np.uint64(1)
    return prints


def _shingles(words: Words, *, compiled: bool) -> tuple[npt.NDArray[np.uint32], Places]:
    """Hashes of the shingles of each text, and where they end."""
    counts = words.counts
    made = np.where(counts >= _SHINGLE, counts - (_SHINGLE - 1), np.minimum(counts, 1))
    ends = np.cumsum(made)
    shingles = np.empty(ends[-1] if ends.size else 0, np.uint32)
    if compiled:
        _roll.way(compiled=True)(words.hashes, words.ends, _SHINGLE, _BASE, _MIX, shingles)
        return shingles, ends
    at = np.arange(shingles.size) + np.repeat(words.starts - (ends - made), made)
    stop = np.repeat(words.ends, made)
    value = np.zeros(at.size, np.uint64)
    for step in range(_SHINGLE):
        here = np.minimum(at + step, words.hashes.size - 1)
        value = value * _BASE + np.where(at + step < stop, words.hashes[here], np.uint64(0))
    value = (value ^ (value >> np.uint64(32))) * _MIX
    return (value >> np.uint64(32)).astype(np.uint32), ends


@kernel
def _sum_up(hashes: Hashes, ends: Places, base: np.uint64, mix: np.uint64, prints: Hashes) -> None:
    """Fills in the fingerprints of texts that have words."""
    start = 0
    for row in range(ends.size):
        total, power = np.uint64(0), base
        for at in range(start, ends[row]):
            total += hashes[at] * power
            power *= base
        if ends[row] > start:
            prints[row] = (total ^ (total >> np.uint64(31))) * mix | np.uint64(1)
        start = ends[row]


@kernel
def _roll(
    hashes: Hashes,
    ends: Places,
    length: int,
    base: np.uint64,
    mix: np.uint64,
    shingles: npt.NDArray[np.uint32],
) -> None:
    """Fills in the hash of each run of `length` words; a shorter text is one run."""
    nothing, turn, out = np.uint64(0), np.uint64(32), np.uint64(1)
    for _ in range(length):
        out *= base
    start, made = 0, 0
    for end in ends:
        value = nothing
        for at in range(start, max(end, start + length) if end > start else end):
            value = value * base + (hashes[at] if at < end else nothing)
            if at >= start + length:
                value -= hashes[at - length] * out
            if at >= start + length - 1:
                mixed = (value ^ (value >> turn)) * mix
                shingles[made] = np.uint32(mixed >> turn)
                made += 1
        start = end


@kernel
def _minima(
    shingles: npt.NDArray[np.uint32],
    ends: Places,
    odd: npt.NDArray[np.uint32],
    even: npt.NDArray[np.uint32],
    slots: Signatures,
) -> None:
    """Fills in the signatures: 8 bits of the least value of each permutation.

    Four shingles are taken at a time, the last one again where there are fewer.
    """
    least = np.empty(SLOTS, np.uint32)
    products = np.empty((4, _LANES), np.uint32)
    start = 0
    for row in range(ends.size):
        end = ends[row]
        if end > start:
            least[:] = np.uint32(0xFFFFFFFF)
            last = end - 1
            for at in range(start, end, 4):
                a, b = shingles[at], shingles[min(at + 1, last)]
                c, d = shingles[min(at + 2, last)], shingles[min(at + 3, last)]
                for lane in range(_LANES):
                    products[0, lane] = np.uint32(odd[lane] * a)
                    products[1, lane] = np.uint32(odd[lane] * b)
                    products[2, lane] = np.uint32(odd[lane] * c)
                    products[3, lane] = np.uint32(odd[lane] * d)
                for block in range(SLOTS // _LANES):
                    e, f = np.uint32(even[block] * a), np.uint32(even[block] * b)
                    g, h = np.uint32(even[block] * c), np.uint32(even[block] * d)
                    first = block * _LANES
                    for lane in range(_LANES):
                        one = min(
                            np.uint32(products[0, lane] + e), np.uint32(products[1, lane] + f)
                        )
                        two = min(
                            np.uint32(products[2, lane] + g), np.uint32(products[3, lane] + h)
                        )
                        least[first + lane] = min(least[first + lane], min(one, two))
            for slot in range(SLOTS):
                slots[row, slot] = (least[slot] >> np.uint32(12)) & np.uint32(255)
        start = end

"""Words of texts -> how much of each text repeats: the n-gram rules of Gopher.

Rae et al. 2021, table A1, with two changes: shares are of words rather than of characters, and of
50 words at least, the length of Gopher's shortest document, so that in a short text a phrase said
twice is no fault.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.tables.kernels import kernel
from synth.tables.words import Hashes, Places, Words, words

_SHORTEST = 50  # words
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)

Shares = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def ngrams(
    found: Words, top: Mapping[int, float], repeated: Mapping[int, float], *, compiled: bool
) -> tuple[Shares, Shares]:
    """What the most frequent n-gram covers of each text, and what those that stood before do.

    Both are shares over their limit, the worst of all n, so that more than 1 is too much. An n-gram
    that stands once covers nothing.

    Args:
        found: Words of the texts.
        top: n -> limit of what the most frequent one covers.
        repeated: n -> limit of what those cover that stood before.
        compiled: Whether to compile the loop; the result is the same.
    """
    sizes = np.array(sorted({*top, *repeated}), np.int64)
    most, again = _covered(found, sizes, compiled=compiled)
    return _worst(found, most, sizes, top), _worst(found, again, sizes, repeated)


def repeats(found: Words, *, compiled: bool) -> Shares:
    """Share of each text's words that stood in it before; null (NaN) without words."""
    if compiled:
        again = _covered(found, np.ones(1, np.int64), compiled=True)[1][:, 0]
    else:
        before = stood_before(found.hashes, found.rows)
        again = np.bincount(found.rows[before], minlength=found.ends.size)
    with np.errstate(invalid="ignore"):
        share: Shares = again / found.counts
    return share


@cache
def hashed(listed: str) -> Hashes:
    """The hashes of the words of a list, sorted."""
    return np.sort(words(pl.Series([listed]), compiled=False).hashes)


def stood_before(hashes: Hashes, rows: Places) -> npt.NDArray[np.bool_]:
    """Of each hash whether an earlier one of its row is the same."""
    keys = keyed(hashes, rows)
    order = np.argsort(keys, kind="stable")
    before = np.zeros(keys.size, bool)
    before[order[1:]] = keys[order[1:]] == keys[order[:-1]]
    return before


def keyed(hashes: Hashes, rows: Places) -> Hashes:
    """Hashes that differ between rows."""
    mixed = (hashes ^ (rows.astype(np.uint64) * _BASE)) * _MIX
    return mixed ^ (mixed >> np.uint64(32))


def _worst(found: Words, covered: Counts, sizes: Places, limits: Mapping[int, float]) -> Shares:
    share = covered / np.maximum(found.counts, _SHORTEST)[:, None]
    worst = np.zeros(found.ends.size)
    for column, size in enumerate(sizes.tolist()):
        if size in limits:
            worst = np.maximum(worst, share[:, column] / limits[size])
    return worst


def _covered(found: Words, sizes: Places, *, compiled: bool) -> tuple[Counts, Counts]:
    """(texts, sizes): words that the most frequent n-gram covers, and that repeated ones do."""
    top = np.zeros((found.ends.size, sizes.size), np.int64)
    again = np.zeros_like(top)
    if compiled:
        longest = int(found.counts.max(initial=1))
        slots = np.zeros(1 << (4 * longest).bit_length(), np.int64)
        _count.way(compiled=True)(found.hashes, found.ends, sizes, slots, longest, top, again)
    else:
        for column, size in enumerate(sizes.tolist()):
            top[:, column], again[:, column] = _with_numpy(found, found.rows, size)
    return top, again


def _with_numpy(found: Words, rows: Places, size: int) -> tuple[Counts, Counts]:
    count = found.ends.size
    grams = found.hashes.copy()
    for place in range(1, size):
        grams[:-place] = grams[:-place] * _BASE + found.hashes[place:]
    whole = np.arange(rows.size) + size <= np.repeat(found.ends, found.counts)
    grams, at, of = grams[whole], np.flatnonzero(whole), rows[whole]
    # How often each n-gram stands, and the most of each row.
    _, kind, often = np.unique(keyed(grams, of), return_inverse=True, return_counts=True)
    most = np.zeros(count, np.int64)
    np.maximum.at(most, of, often[kind])
    top = np.where(most > 1, np.minimum(most * size, found.counts), 0)
    begins = at[stood_before(grams, of)]
    edges = np.zeros(rows.size + 1, np.int64)
    np.add.at(edges, begins, 1)
    np.add.at(edges, begins + size, -1)
    covered = np.concatenate([[0], np.cumsum(np.cumsum(edges[:-1]) > 0)])
    return top, covered[found.ends] - covered[found.starts]


@kernel
def _count(  # noqa: C901  (a kernel calls no function of ours)
    hashes: Hashes,
    ends: Places,
    sizes: Places,
    slots: Counts,
    longest: int,
    top: Counts,
    again: Counts,
) -> None:
    """Fills `top` and `again` by a hash table; a turn is one n of one text.

    A slot holds where an n-gram stood first: its place counted through all turns, so that what it
    holds of the turns before is out of date by itself.

    Args:
        hashes: Words.
        ends: Where those of each text end.
        sizes: Each n, ascending.
        slots: An empty table.
        longest: Words of the longest text.
        top: (texts, sizes) words covered by the most frequent n-gram.
        again: (texts, sizes) words covered by those that stood before.
    """
    base, mix, one = np.uint64(_BASE), np.uint64(_MIX), np.uint64(1)
    mask, shift = np.uint64(slots.size - 1), np.uint64(32)
    # Per place in the text the n-gram that stood there first, how often it did, and the last turn
    # in which it stood twice.
    grams, often = np.zeros(longest, np.uint64), np.zeros(longest, np.int64)
    alive = np.zeros(longest, np.int64)
    turn, past, start = 0, 0, 0
    for row in range(ends.size):
        for column in range(sizes.size):
            size = sizes[column]
            turn += 1
            most, covered, until = 0, 0, 0
            for at in range(ends[row] - start - size + 1):
                if column > 0 and alive[at] != turn - 1:
                    continue  # what is longer stands no more often
                gram = hashes[start + at]
                for place in range(start + at + 1, start + at + size):
                    gram = gram * base + hashes[place]
                slot = (gram * mix >> shift) & mask
                while slots[slot] > past and grams[slots[slot] - past - 1] != gram:
                    slot = (slot + one) & mask
                if slots[slot] <= past:
                    slots[slot] = past + at + 1
                    grams[at], often[at] = gram, 1
                    continue
                first = slots[slot] - past - 1
                often[first] += 1
                most = max(most, often[first])
                alive[at] = alive[first] = turn
                covered += at + size - max(at, until)
                until = at + size
            past += ends[row] - start
            if most == 0:
                break
            top[row, column] = min(most * size, ends[row] - start)
            again[row, column] = covered
        start = ends[row]

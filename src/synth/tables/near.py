"""Signatures of texts, best first -> for each the text that stays and that it is too near to.

Bands of the signatures tell who is worth comparing; groups that hang together are only where one
looks. In each the rows are taken best first, and a row goes only if one that *stays* is near:
nothing is chained. Estimates decide where they are sure, the shingles themselves where not.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from synth.tables.ahead import ahead
from synth.tables.groups import Groups, Rows
from synth.tables.kernels import kernel
from synth.tables.sketches import SLOTS, ShingleSets, Signatures, similarities
from synth.tables.words import Hashes, Places

_MARGIN = 0.12  # three standard deviations of an estimate at 0.7: nearer than this is unsure
_FAR = 0.25  # six: in a group of thousands some estimate is off by four
_LEADERS = 8  # a row is compared with so many of its bucket's best: a hot bucket stays linear
_MIX = np.uint64(0x9E3779B97F4A7C15)
_TABLE = 1 << 18  # keys
_PART = 1 << 16  # rows


def near_duplicates(
    slots: Signatures,
    order: Rows,
    threshold: float,
    shingles_of: Callable[[Rows], tuple[ShingleSets, Rows]],
    *,
    compiled: bool,
) -> tuple[Rows, npt.NDArray[np.float32]]:
    """For each row of `order` the row that stays and is near, and how near it is.

    That row is -1 where the row itself stays.

    Args:
        slots: Signatures of all rows.
        order: The rows that are compared, best first.
        threshold: Jaccard similarity of the sets of shingles from which a row goes.
        shingles_of: Gives the shingles of some rows, among others, and the places of theirs.
        compiled: Whether to compile the loops; the result is the same.
    """
    found, nearness = np.full(order.size, -1, np.int64), np.zeros(order.size, np.float32)
    group = _groups(slots, order, threshold, compiled=compiled)
    sizes = np.bincount(group, minlength=order.size)
    members = np.flatnonzero(sizes[group] > 1)
    root = group[members]
    by_group = np.argsort(root, kind="stable")
    members, root = members[by_group], root[by_group]
    ends = np.append(np.flatnonzero(np.diff(root)) + 1, root.size)
    rows = order[members]
    asked = _unsure(slots, rows, ends, threshold)
    place = np.full(rows.size, -1, np.int64)
    sets, place[asked] = shingles_of(rows[asked])
    kept_by, alike = np.full(rows.size, -1, np.int64), np.zeros(rows.size, np.float32)
    _settle.way(compiled)(
        slots, rows, ends, place, sets.hashes, sets.ends, threshold, _MARGIN, _FAR, kept_by, alike
    )
    gone = kept_by >= 0
    found[members[gone]] = rows[kept_by[gone]]
    nearness[members[gone]] = alike[gone]
    return found, nearness


def alike(slots: Signatures, order: Rows, threshold: float, *, compiled: bool) -> Rows:
    """The rows that seem as similar as the threshold to another one, by their signatures."""
    group = _groups(slots, order, threshold, compiled=compiled)
    found: Rows = order[(np.bincount(group, minlength=order.size) > 1)[group]]
    return found


def hanging(
    slots: Signatures, order: Rows, threshold: float, *, sure: bool, compiled: bool
) -> Iterator[tuple[Rows, Rows]]:
    """Places of rows on which `near_duplicates` decides together, whatever rows are left out.

    Args:
        slots: Signatures of all rows.
        order: The rows.
        threshold: Jaccard similarity.
        sure: Pairs that cannot be that similar are told as well, so that no row that is not told
            shares a band with one that is.
        compiled: Whether to compile the loop; the result is the same.
    """
    for later, earlier in suspects(slots, order, threshold, compiled=compiled):
        if not sure:
            told = crowded(later)
            doubtful = np.flatnonzero(~told)
            pair = order[later[doubtful]], order[earlier[doubtful]]
            told[doubtful] = perhaps_near(similarities(slots, *pair), threshold)
            later, earlier = later[told], earlier[told]
        yield later, earlier


def crowded(later: Rows) -> npt.NDArray[np.bool_]:
    """Of pairs of a bucket whether others are compared when some of the best are left out.

    Args:
        later: As `equal_keys` gives it.
    """
    found: npt.NDArray[np.bool_] = (np.bincount(later) >= _LEADERS)[later]
    return found


def perhaps_near(estimates: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.bool_]:
    """Whether pairs of such estimated similarity may be as similar as the threshold."""
    found: npt.NDArray[np.bool_] = estimates >= threshold - _MARGIN
    return found


def suspects(
    slots: Signatures, order: Rows, threshold: float, *, compiled: bool
) -> Iterator[tuple[Rows, Rows]]:
    """Places (in `order`) of later and earlier rows that are equal in a band, band by band.

    25 bands of 5 slots find 0.9999 of the pairs of similarity 0.8, and 0.990 of those of 0.7.
    """
    width = band_width(threshold)
    place = np.argsort(order, kind="stable")  # the signatures are read from first to last
    rows = order[place]

    def equal(start: int) -> tuple[Rows, Rows]:
        if not compiled:
            return equal_keys(band_keys(slots, rows, start, width), place, 8 * width)
        key, at = np.empty(rows.size, np.uint64), np.empty(rows.size, np.int64)
        seen = np.zeros(1 << max(0, rows.size.bit_length() - 3), np.uint64)
        count = _standing_twice.way(compiled=True)(slots, rows, start, width, seen, key, at)
        return equal_keys(key[:count], place[at[:count]], 8 * width)

    yield from ahead(equal, band_starts(threshold))


def neighbours(
    slots: Signatures, rows: Rows, others: Rows, threshold: float, *, compiled: bool
) -> Rows:
    """The rows that may be near one of the others: those equal to one in a band."""
    width, starts = band_width(threshold), np.array(band_starts(threshold))
    size = 1 << int(2 * others.size + 1).bit_length()
    at_once = max(1, _TABLE // size)  # bands; what they hold then stays near the processor

    def meeting(part: Rows) -> Rows:
        found = np.zeros(part.size, bool)
        for first in range(0, starts.size, at_once):
            bands = starts[first : first + at_once]
            tables = np.zeros((bands.size, size), np.uint64)
            _meets.way(compiled)(slots, part, others, bands, width, tables, found)
        near: Rows = part[found]
        return near

    step = max(_PART, _LEADERS * others.size)  # each part has the others in tables of its own
    parts = (rows[first : first + step] for first in range(0, rows.size, step))
    return np.concatenate([rows[:0], *ahead(meeting, parts)])


def band_width(threshold: float) -> int:
    """Slots of a band; the bands of an equal width tell the same rows apart."""
    return 5 if threshold >= 0.7 else 4 if threshold >= 0.6 else 3


def band_starts(threshold: float) -> range:
    """The first slot of each band."""
    width = band_width(threshold)
    return range(0, SLOTS - width + 1, width)


def band_keys(slots: Signatures, rows: Rows, start: int, width: int) -> Hashes:
    """What those rows have in the `width` slots of a band, as a number.

    It is read at once, with the slots that follow: three at least behind each band of five.
    """
    kind = np.dtype("<u8" if width > 4 else "<u4")
    read = slots[:, start : start + kind.itemsize].view(kind)[:, 0]
    return read[rows].astype(np.uint64) & np.uint64((1 << 8 * width) - 1)


def equal_keys(key: Hashes, place: Rows, key_bits: int) -> tuple[Rows, Rows]:
    """Places of later and earlier rows of equal keys: each with the first `_LEADERS` of its bucket.

    Args:
        key: Of each row.
        place: Of each row; the lowest is the first.
        key_bits: How many bits a key has.
    """
    bits = np.uint64(max(1, int(place.max(initial=0)).bit_length()))
    if key_bits + int(bits) > 64:  # room for the place, so that one sort does for both
        key = (key * _MIX) >> bits
    packed = np.sort(key << bits | place.astype(np.uint64))
    key, found = packed >> bits, packed & ((np.uint64(1) << bits) - np.uint64(1))
    same = key[1:] == key[:-1]
    shared = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    rows, first = found[shared].astype(np.int64), np.insert(~same, 0, True)[shared]
    best = np.maximum.accumulate(np.where(first, np.arange(shared.size), 0))
    rank = np.arange(shared.size) - best
    behind = [np.flatnonzero(rank > leader) for leader in range(_LEADERS)]
    later = [rows[them] for them in behind]
    earlier = [rows[best[them] + leader] for leader, them in enumerate(behind)]
    return np.concatenate(later), np.concatenate(earlier)


def _groups(slots: Signatures, order: Rows, threshold: float, *, compiled: bool) -> Rows:
    """Place -> lowest place of the group it hangs together with, itself where it is alone."""
    groups = Groups(order.size, compiled=compiled)
    for later, earlier in suspects(slots, order, threshold, compiled=compiled):
        fresh = groups.apart(later, earlier)
        later, earlier = later[fresh], earlier[fresh]
        alike = perhaps_near(similarities(slots, order[later], order[earlier]), threshold)
        groups.join(later[alike], earlier[alike])
    return groups.firsts()


def _unsure(slots: Signatures, rows: Rows, ends: Places, threshold: float) -> Rows:
    """Places of the rows whose shingles are needed: all but those of a pair that is surely near."""
    sizes = np.diff(ends, prepend=0)
    first = (ends - sizes)[sizes == 2]
    sure = similarities(slots, rows[first], rows[first + 1]) >= threshold + _MARGIN
    asked = np.ones(rows.size, bool)
    asked[first[sure]] = asked[first[sure] + 1] = False
    return np.flatnonzero(asked)


@kernel
def _standing_twice(
    slots: Signatures,
    rows: Rows,
    start: int,
    width: int,
    seen: npt.NDArray[np.uint64],
    key: Hashes,
    at: Rows,
) -> int:
    """Fills in the rows that may be equal to another one in the band that begins there.

    Most are equal to none, and need not be sorted. `seen`, of a power of two, has two bits for each
    of many hashes: whether a key has it, and whether another has it as well. Signatures pass by in
    a loop of their own, or they would drive `seen` out of the processor's cache.

    Returns:
        How many there are: `at` is where each stands among the rows, `key` what it has in the band.
    """
    one, five, low = np.uint64(1), np.uint64(5), np.uint64(31)
    room = np.uint64(seen.size - 1)
    for number in range(rows.size):
        value = np.uint64(0)
        for slot in range(start, start + width):
            value = value << np.uint64(8) | np.uint64(slots[rows[number], slot])
        key[number] = value
    for number in range(rows.size):
        mixed = key[number] * _MIX >> np.uint64(24)
        place, bits = mixed >> five & room, (mixed & low) << one
        before = seen[place] >> bits & one
        seen[place] |= (before << one | one) << bits
    count = 0
    for number in range(rows.size):
        mixed = key[number] * _MIX >> np.uint64(24)
        key[count], at[count] = key[number], number
        again = seen[mixed >> five & room] >> ((mixed & low) << one) >> one & one
        count += int(np.int64(again))
    return count


@kernel
def _meets(
    slots: Signatures,
    rows: Rows,
    others: Rows,
    bands: Places,
    width: int,
    tables: npt.NDArray[np.uint64],
    found: npt.NDArray[np.bool_],
) -> None:
    """Whether each row is equal to one of the others in one of the bands that begin there.

    A line of `tables`, larger than `others` by half at least and of a size that is a power of two,
    holds the others' keys of a band: each where its hash says, or behind.
    """
    nothing, one, room = np.uint64(0), np.uint64(1), np.uint64(tables.shape[1] - 1)
    for number in range(others.size + rows.size):
        asked = number - others.size
        if asked >= 0 and found[asked]:
            continue
        row = rows[asked] if asked >= 0 else others[number]
        for band in range(bands.size):
            key = one  # no key is 0, which is a free place
            for slot in range(bands[band], bands[band] + width):
                key = key << np.uint64(8) | np.uint64(slots[row, slot])
            at = (key * _MIX >> np.uint64(24)) & room
            while tables[band, at] != nothing and tables[band, at] != key:
                at = (at + one) & room
            if asked < 0:
                tables[band, at] = key
            elif tables[band, at] == key:
                found[asked] = True
                break


@kernel
def _settle(  # noqa: C901  (a kernel calls no function of ours)
    slots: Signatures,
    rows: Rows,
    ends: Places,
    place: Rows,
    hashes: npt.NDArray[np.uint32],
    set_ends: Places,
    threshold: float,
    margin: float,
    far: float,
    kept_by: Rows,
    nearness: npt.NDArray[np.float32],
) -> None:
    """Of each group, best first: who goes (`kept_by`: place of the row that stays), who stays."""
    keepers = np.empty(64, np.int64)  # so many that stay are compared with
    start = 0
    for end in ends:
        stay = 0
        for row in range(start, end):
            for keeper in keepers[:stay]:
                equal = (slots[rows[row]] == slots[rows[keeper]]).sum()
                alike = (equal / 128 - 1 / 256) / (1 - 1 / 256)
                if alike < threshold - far:
                    continue
                one, other = place[row], place[keeper]
                if alike < threshold + margin and one >= 0 and other >= 0:
                    a = set_ends[one - 1] if one > 0 else 0
                    b = set_ends[other - 1] if other > 0 else 0
                    both, size = 0, set_ends[one] - a + set_ends[other] - b
                    while a < set_ends[one] and b < set_ends[other]:
                        if hashes[a] == hashes[b]:
                            both += 1
                            a += 1
                            b += 1
                        elif hashes[a] < hashes[b]:
                            a += 1
                        else:
                            b += 1
                    alike = both / max(size - both, 1)
                if alike >= threshold:
                    kept_by[row] = keeper
                    nearness[row] = alike
                    break
            if kept_by[row] < 0 and stay < keepers.size:
                keepers[stay] = row
                stay += 1
        start = end

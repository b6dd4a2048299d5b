"""Instructions and their texts -> how much of what is asked stands in the text.

Copied runs, ungrounded words, strange numbers and names: an instruction that its text cannot have
answered, or one that gives the answer away.
"""

import re

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.tables.grams import hashed, keyed, stood_before
from synth.tables.kernels import kernel
from synth.tables.words import Flags, Hashes, Places, Words

_ASKING_WORDS = """
about advantages among and are biography cause causes compare cons could define describe
detailed differ difference different disadvantages does each example explain find from give good
have history how instructions into kinds known life list made main make makes name pros recipe
short should some story tell than that the their them these they types used uses using was were
what when where which who why with would write you your
"""
# 1,000 and 1000 are one number.
_NUMBER = r"\d+(?:[.,]\d+)*"
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SPELT = "zero one two three four five six seven eight nine ten eleven twelve".split()


def copied_words(asked: Words, said: Words, *, compiled: bool) -> Places:
    """Length of the longest run of the instruction's words that stands in the text."""
    if not compiled:
        return _longest_with_numpy(asked, said)
    longest = np.zeros(asked.ends.size, np.int64)
    _longest_runs.way(compiled=True)(
        asked.hashes, asked.ends, said.hashes, said.ends, _slots(asked), longest
    )
    return longest


def grounded_words(asked: Words, said: Words, *, compiled: bool) -> npt.NDArray[np.float64]:
    """Share of the instruction's content words that stand in the text; 0 without content words.

    Content words are of three letters and more and say more than that something is asked; they are
    compared by their first five letters, so that `volcanoes` finds `volcanic`.
    """
    content = asked.of_substance & ~_asking(asked.hashes, compiled=compiled)
    stems = asked.stems, said.stems
    every, there = _standing(asked, said, stems, content, once=True, compiled=compiled)
    share: npt.NDArray[np.float64] = there / np.maximum(every, 1)
    return share


def strange_names(asked: Words, said: Words, *, compiled: bool) -> Places:
    """How many words of the instruction are capitalized within a sentence and not in the text."""
    names = asked.capitalized
    names[names] = ~_asking(asked.hashes[names], compiled=compiled)
    hashes = asked.hashes, said.hashes
    every, there = _standing(asked, said, hashes, names, once=False, compiled=compiled)
    return every - there


def strange_numbers(asked: pl.Series, said: pl.Series) -> pl.Series:
    """How many different numbers of the instruction the text lacks.

    What counts as a number is written in digits. Up to twelve the text may spell it.

    Args:
        asked: Instructions.
        said: Texts.
    """
    frame = pl.DataFrame({"asked": asked, "said": said}).with_row_index()
    counts = pl.zeros(frame.height, pl.Int64, eager=True)
    some = frame.filter(pl.col("asked").str.contains(r"\d"))
    strange = some.select(
        "said",
        *(pl.col(side).str.extract_all(_NUMBER).alias(f"in_{side}") for side in ("asked", "said")),
    )
    return counts.scatter(some["index"], [_strange(*row) for row in strange.iter_rows()])


def _strange(text: str, asked: list[str], said: list[str]) -> int:
    missing = _numbers(asked) - _numbers(said)
    return sum(not _spelt(number, text) for number in missing)


def _numbers(found: list[str]) -> set[str]:
    """Numbers without separators of thousands and zeros in front."""
    plain = (n.replace(",", "") if _THOUSANDS.fullmatch(n) else n for n in found)
    return {number.lstrip("0") or "0" for number in plain}


def _spelt(number: str, text: str) -> bool:
    """Whether a small number stands in the text as a word."""
    if len(number) > 2 or not number.isdecimal() or int(number) >= len(_SPELT):
        return False
    word, low = _SPELT[int(number)], text.lower()
    return word in low and re.search(rf"\b{word}\b", low) is not None


def _asking(hashes: Hashes, *, compiled: bool) -> Flags:
    """Of each word whether it says no more than that something is asked."""
    known = hashed(_ASKING_WORDS)
    if not compiled:
        place = np.searchsorted(known, hashes) % known.size
        same: Flags = known[place] == hashes
        return same
    found = np.zeros(hashes.size, np.bool_)
    _find.way(compiled=True)(hashes, known, found)
    return found


def _standing(
    asked: Words,
    said: Words,
    hashes: tuple[Hashes, Hashes],
    chosen: Flags,
    *,
    once: bool,
    compiled: bool,
) -> tuple[Places, Places]:
    """How many words of each instruction are chosen, and how many of these its text has.

    Args:
        asked: Words of the instructions.
        said: Words of the texts.
        hashes: What the words of both are compared by.
        chosen: The instructions' words that are looked for.
        once: Whether the same word counts only once.
        compiled: Whether to compile the loop; the result is the same.
    """
    if compiled:
        every, there = np.zeros((2, asked.ends.size), np.int64)
        _stand.way(compiled=True)(
            hashes[0], asked.ends, chosen, hashes[1], said.ends, once, _slots(asked), every, there
        )
        return every, there
    sought, rows = hashes[0][chosen], asked.rows[chosen]
    if once:
        first = ~stood_before(sought, rows)
        sought, rows = sought[first], rows[first]
    keys, others = keyed(sought, rows), keyed(hashes[1], said.rows)
    heads = np.zeros(1 << 16, bool)
    heads[keys >> np.uint64(48)] = True
    found = np.isin(keys, others[heads[others >> np.uint64(48)]])  # few are left to sort
    of = (np.bincount(those, minlength=asked.ends.size) for those in (rows, rows[found]))
    every, there = of
    return every, there


def _slots(asked: Words) -> Places:
    """An empty table with room for the words of the longest instruction."""
    return np.zeros(1 << max(10, int(4 * asked.counts.max(initial=1)).bit_length()), np.int64)


@kernel
def _find(hashes: Hashes, known: Hashes, found: Flags) -> None:
    """Of each hash whether it is known; a table of a few times as many slots holds the known."""
    size = 64
    while size < 4 * known.size:
        size *= 2
    table, mask, shift = np.zeros(size, np.uint64), np.uint64(size - 1), np.uint64(32)
    one, empty = np.uint64(1), np.uint64(0)
    for word in known:
        slot = (word >> shift) & mask
        while table[slot] != empty:
            slot = (slot + one) & mask
        table[slot] = word
    for at in range(hashes.size):
        slot = (hashes[at] >> shift) & mask
        while table[slot] != empty and table[slot] != hashes[at]:
            slot = (slot + one) & mask
        found[at] = table[slot] != empty


@kernel
def _stand(  # noqa: C901  (a kernel calls no function of ours)
    sought: Hashes,
    ends: Places,
    chosen: Flags,
    said: Hashes,
    said_ends: Places,
    once: bool,
    slots: Places,
    every: Places,
    there: Places,
) -> None:
    """Fills `every` and `there` (see `_standing`) by a hash table of the words looked for.

    A slot holds the place of a word, counted through all rows from 1 on, so that what it holds of
    the rows before is out of date by itself.
    """
    one, mask, shift = np.uint64(1), np.uint64(slots.size - 1), np.uint64(32)
    times = np.zeros(slots.size, np.int64)  # per word of the row how often it is looked for
    first, start = 0, 0
    for row in range(ends.size):
        left = 0
        for at in range(first, ends[row]):
            if not chosen[at]:
                continue
            slot = (sought[at] >> shift) & mask
            while slots[slot] > first and sought[slots[slot] - 1] != sought[at]:
                slot = (slot + one) & mask
            if slots[slot] <= first:
                slots[slot] = at + 1
                times[at - first] = 0
                left += 1
            elif once:
                continue
            times[slots[slot] - 1 - first] += 1
            every[row] += 1
        for place in range(start, said_ends[row]):
            if left == 0:
                break
            slot = (said[place] >> shift) & mask
            while slots[slot] > first and sought[slots[slot] - 1] != said[place]:
                slot = (slot + one) & mask
            if slots[slot] > first and times[slots[slot] - 1 - first] > 0:
                there[row] += times[slots[slot] - 1 - first]
                times[slots[slot] - 1 - first] = 0
                left -= 1
        first, start = ends[row], said_ends[row]


@kernel
def _longest_runs(  # noqa: C901  (a kernel calls no function of ours)
    asked: Hashes,
    asked_ends: Places,
    said: Hashes,
    said_ends: Places,
    slots: Places,
    longest: Places,
) -> None:
    """Fills `longest` by a hash table of the instruction's words; its slots are as in `_stand`."""
    one, mask, shift = np.uint64(1), np.uint64(slots.size - 1), np.uint64(32)
    before = np.zeros(slots.size, np.int64)  # per word of the row the same one before it
    first, start = 0, 0
    for row in range(longest.size):
        end, stop = asked_ends[row], said_ends[row]
        for at in range(first, end):
            slot = (asked[at] >> shift) & mask
            while slots[slot] > first and asked[slots[slot] - 1] != asked[at]:
                slot = (slot + one) & mask
            before[at - first] = slots[slot]
            slots[slot] = at + 1
        for place in range(start, stop):
            slot = (said[place] >> shift) & mask
            while slots[slot] > first and asked[slots[slot] - 1] != said[place]:
                slot = (slot + one) & mask
            after = slots[slot]
            while after > first:
                at = after - 1
                after = before[at - first]
                most = longest[row]
                if (
                    at + most >= end
                    or place + most >= stop
                    or said[place + most] != asked[at + most]
                ):
                    continue  # no longer than one that was measured
                size = 0
                while (
                    at + size < end
                    and place + size < stop
                    and said[place + size] == asked[at + size]
                ):
                    size += 1
                longest[row] = max(most, size)
        first, start = end, stop


def _longest_with_numpy(asked: Words, said: Words) -> Places:
    """The same as `_longest_runs` for a few rows."""
    longest = np.zeros(asked.ends.size, np.int64)
    for row in range(longest.size):
        text = said.of(row)
        run = np.zeros(text.size + 1, np.int64)  # of words that end before each place
        for word in asked.of(row):
            run[1:] = np.where(text == word, run[:-1] + 1, 0)
            longest[row] = max(longest[row], run.max())
    return longest

"""Instructions and their texts -> how much of what is asked stands in the text.

Copied runs, ungrounded words, strange numbers and names: an instruction that its text cannot have
answered, or one that gives the answer away.
"""

import re

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.tables.grams import hashed, stood_before
from synth.tables.kernels import kernel
from synth.tables.letters import Flags, Letters
from synth.tables.words import Hashes, Places, Words

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
    _longest_runs.way(compiled=True)(asked.hashes, asked.ends, said.hashes, said.ends, longest)
    return longest


def grounded_words(
    asked: Words, asked_letters: Letters, said: Words, said_letters: Letters, *, compiled: bool
) -> npt.NDArray[np.float64]:
    """Share of the instruction's content words that stand in the text; 0 without content words.

    Content words are of three letters and more and say more than that something is asked; they are
    compared by their first five letters, so that `volcanoes` finds `volcanic`.
    """
    content = asked_letters.of_substance() & ~_among(asked.hashes, _ASKING_WORDS)
    rows = np.repeat(np.arange(asked.ends.size), asked.counts)[content]
    stems = asked_letters.stems()[content]
    once = ~stood_before(stems, rows)
    rows, stems = rows[once], stems[once]
    found = _standing(stems, rows, said_letters.stems(), said.ends, compiled=compiled)
    every = np.bincount(rows, minlength=asked.ends.size)
    there = np.bincount(rows, weights=found, minlength=asked.ends.size)
    share: npt.NDArray[np.float64] = there / np.maximum(every, 1)
    return share


def strange_names(asked: Words, asked_letters: Letters, said: Words, *, compiled: bool) -> Places:
    """How many words of the instruction are capitalized within a sentence and not in the text."""
    names = asked_letters.capitalized() & ~_among(asked.hashes, _ASKING_WORDS)
    rows = np.repeat(np.arange(asked.ends.size), asked.counts)[names]
    found = _standing(asked.hashes[names], rows, said.hashes, said.ends, compiled=compiled)
    return np.bincount(rows[~found], minlength=asked.ends.size)


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


def _among(hashes: Hashes, listed: str) -> Flags:
    """Of each word whether it is listed."""
    known = hashed(listed)
    place = np.searchsorted(known, hashes) % known.size
    same: Flags = known[place] == hashes
    return same


def _standing(sought: Hashes, rows: Places, said: Hashes, ends: Places, *, compiled: bool) -> Flags:
    """Of each hash whether it is among those that its row says."""
    found = np.zeros(sought.size, np.bool_)
    _find.way(compiled)(sought, rows, said, ends, found)
    return found


@kernel
def _find(sought: Hashes, rows: Places, said: Hashes, ends: Places, found: Flags) -> None:
    for one in range(sought.size):
        row, word = rows[one], sought[one]
        for at in range(ends[row - 1] if row > 0 else 0, ends[row]):
            if said[at] == word:
                found[one] = True
                break


@kernel
def _longest_runs(
    asked: Hashes, asked_ends: Places, said: Hashes, said_ends: Places, longest: Places
) -> None:
    first, start = 0, 0
    for row in range(longest.size):
        end = asked_ends[row]
        for at in range(first, end):
            word = asked[at]
            for place in range(start, said_ends[row]):
                if said[place] != word or (
                    at > first and place > start and said[place - 1] == asked[at - 1]
                ):
                    continue  # no match, or one within a run that was measured
                size = 1
                while (
                    at + size < end
                    and place + size < said_ends[row]
                    and said[place + size] == asked[at + size]
                ):
                    size += 1
                longest[row] = max(longest[row], size)
        first, start = end, said_ends[row]


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

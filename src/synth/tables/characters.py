"""Code point -> what it is to words: its lower case and a few signs, in one table of numbers.

A letter stands here for all that words are made of: letters, marks and digits. In scripts that are
written without spaces (Han, Kana, Thai, Lao, Khmer, Burmese, Tibetan) each is a word of its own.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

Kinds = npt.NDArray[np.uint32]

TOP = 0x40000  # what lies above is no script
FOLDED = 0x1FFFFF
"""Bits of the lower case; 0 between words."""
ALONE = 1 << 31
"""A letter that is a word of its own."""
SYMBOL = 1 << 30
"""Neither a letter of a script, nor its mark, nor a space."""
GOES_ON = 1 << 29
"""After it a capital letter does not begin a sentence."""
BLANK = 1 << 28
"""Before it is what tells whether a sentence begins."""

LETTER = 1 << 27
"""A letter that can belong to a longer word."""

_PLANES = 0x20000  # above it there are Han characters only
_WORD = r"^[\p{L}\p{M}\p{N}]$"
_NO_SPACES = r"^[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]$"
_NO_SYMBOL = r"^[\p{L}\p{M}\s]$"
_BLANKS = (0x20, 0x09, 0xA0)
_GOING_ON = tuple(map(ord, ",-&/'\u2019"))


@cache
def kinds() -> Kinds:
    """Code point -> the bits above; the last of the `TOP + 1` is for all that lie above."""
    codes = np.concatenate([np.arange(0xD800), np.arange(0xE000, TOP)])
    marks = pl.Series(list(codes.astype("<u4").tobytes().decode("utf-32-le")))
    table = np.zeros(TOP + 1, np.uint32)
    some = codes < _PLANES
    table[codes[some]] = _folded(marks.filter(some))
    table[_PLANES:TOP] = np.arange(_PLANES, TOP, dtype=np.uint32) | np.uint32(ALONE)
    table[(table != 0) & (table < ALONE)] |= np.uint32(LETTER)
    table[table != 0] |= np.uint32(GOES_ON)
    table[list(_GOING_ON)] |= np.uint32(GOES_ON)
    table[list(_BLANKS)] |= np.uint32(BLANK)
    symbols = np.ones(table.size, bool)
    symbols[codes] = ~marks.str.contains(_NO_SYMBOL).to_numpy()
    table[symbols] |= np.uint32(SYMBOL)
    return table


def _folded(marks: pl.Series) -> Kinds:
    """Of each character 0 between words, else its lower case, and whether it stands alone."""
    lower = marks.str.to_lowercase()
    lower = lower.set(lower.str.len_chars() != 1, None).fill_null(marks)
    fold = np.frombuffer("".join(lower).encode("utf-32-le"), "<u4").astype(np.uint32)
    fold[~marks.str.contains(_WORD).to_numpy()] = 0
    fold[marks.str.contains(_NO_SPACES).to_numpy() & (fold != 0)] |= np.uint32(ALONE)
    return fold

"""Texts -> the hashes of their words, in one pass: what shingles, n-grams and shares are made of.

A word is a run of letters, marks and digits, whatever its case; in scripts that are written
without spaces (Han, Kana, Thai, Lao, Khmer, Burmese, Tibetan) each character is one.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.tables.kernels import kernel

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

_TOP = 0x40000  # what lies above is no script
_PLANES = 0x20000  # above it there are Han characters only
_ALONE = np.uint32(1 << 31)
_BASE = 0x9E3779B97F4A7C15
_BASE_INVERSE = pow(_BASE, -1, 1 << 64)
_MIX = 0xBF58476D1CE4E5B9
_BLOCK = 256  # texts whose characters are worked on at once: they fit the processor's cache
_WORD = r"^[\p{L}\p{M}\p{N}]$"
_NO_SPACES = r"^[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]$"


@dataclass(frozen=True, slots=True)
class Words:
    """The words of several texts.

    `hashes` holds 64-bit hashes of all words, text after text; `ends[i]` is where those of text i
    end, so that they begin at `ends[i - 1]`, or 0.
    """

    hashes: Hashes
    ends: Places

    @property
    def starts(self) -> Places:
        """Where the words of each text begin."""
        return np.concatenate([[0], self.ends[:-1]])

    @property
    def counts(self) -> Places:
        """Words of each text."""
        return np.diff(self.ends, prepend=0)

    def of(self, text: int) -> Hashes:
        """The words of one text."""
        return self.hashes[(self.ends[text - 1] if text else 0) : self.ends[text]]


def words(texts: pl.Series, *, compiled: bool) -> Words:
    """The words of each text; a null has none.

    Args:
        texts: Strings.
        compiled: Whether to compile the loop (see kernels.py); the result is the same.
    """
    if texts.is_empty():
        return Words(np.empty(0, np.uint64), np.empty(0, np.int64))
    if compiled:
        arrow = texts.fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest())
        _, offsets, data = arrow.buffers()
        places = np.frombuffer(offsets, np.int64)[arrow.offset : arrow.offset + len(arrow) + 1]
        raw = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
        most = (int(places[-1] - places[0]) + len(arrow)) // 2 + 1
        hashes, ends = np.empty(most, np.uint64), np.empty(len(arrow), np.int64)
        count = _split.way(compiled=True)(raw, places, _folding(), hashes, ends)
        return Words(hashes[:count].copy(), ends)
    texts = texts.fill_null("")
    parts = [
        _split_with_numpy(texts[start : start + _BLOCK]) for start in range(0, len(texts), _BLOCK)
    ]
    before = np.cumsum([0] + [part.hashes.size for part in parts])
    every = [part.ends + start for part, start in zip(parts, before, strict=False)]
    return Words(np.concatenate([part.hashes for part in parts]), np.concatenate(every))


def word_spans(text: str) -> list[tuple[int, int]]:
    """Start and end, in characters, of each word of a text, in the order of its hashes."""
    starts, ends = _bounds(_folded(text))
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def excerpts(texts: pl.Series, first: Places, counts: Places) -> list[str]:
    """Of each text so many words from a certain one on, with all that is between them.

    Args:
        texts: Strings, without nulls, that have these words.
        first: Of each text the word that it begins with, counted from 0.
        counts: Words.
    """
    cut: list[str] = []
    for block in range(0, len(texts), _BLOCK):
        some = slice(block, block + _BLOCK)
        joined = "\n".join(texts[some])
        starts, ends = _bounds(_folded(joined))
        lengths = texts[some].str.len_chars().to_numpy().astype(np.int64) + 1
        word = np.searchsorted(starts, np.cumsum(lengths) - lengths) + first[some]
        bounds = zip(starts[word].tolist(), ends[word + counts[some] - 1].tolist(), strict=True)
        cut += [joined[start:end] for start, end in bounds]
    return cut


@cache
def _folding() -> npt.NDArray[np.uint32]:
    """Code point -> 0 between words, else its lower case; the highest bit: a word of its own."""
    codes = np.concatenate([np.arange(0xD800), np.arange(0xE000, _PLANES)])
    text = codes.astype("<u4").tobytes().decode("utf-32-le")
    marks = pl.Series(list(text))
    lower = marks.str.to_lowercase()
    lower = lower.set(lower.str.len_chars() != 1, None).fill_null(marks)
    fold = np.frombuffer("".join(lower).encode("utf-32-le"), "<u4").astype(np.uint32)
    fold[~marks.str.contains(_WORD).to_numpy()] = 0
    fold[marks.str.contains(_NO_SPACES).to_numpy() & (fold != 0)] |= _ALONE
    table = np.zeros(_TOP, np.uint32)
    table[codes] = fold
    table[_PLANES:] = np.arange(_PLANES, _TOP, dtype=np.uint32) | _ALONE
    return table


@kernel
def _split(  # noqa: C901  (a kernel calls no function of ours)
    raw: npt.NDArray[np.uint8],
    places: Places,
    fold: npt.NDArray[np.uint32],
    hashes: Hashes,
    ends: Places,
) -> int:
    """Fills `hashes` and `ends` from UTF-8 between `places`; returns the number of words."""
    base, mix, zero = np.uint64(_BASE), np.uint64(_MIX), np.uint64(0)
    count = 0
    for row in range(ends.size):
        at, end = places[row], places[row + 1]
        value, open_ = zero, False
        while at < end:
            first = raw[at]
            if first < 0x80:
                code = np.int64(first)
                at += 1
            elif first < 0xE0:
                code = (np.int64(first) & 0x1F) << 6 | np.int64(raw[at + 1]) & 0x3F
                at += 2
            elif first < 0xF0:
                code = (
                    (np.int64(first) & 0x0F) << 12
                    | (np.int64(raw[at + 1]) & 0x3F) << 6
                    | np.int64(raw[at + 2]) & 0x3F
                )
                at += 3
            else:
                code = (
                    (np.int64(first) & 0x07) << 18
                    | (np.int64(raw[at + 1]) & 0x3F) << 12
                    | (np.int64(raw[at + 2]) & 0x3F) << 6
                    | np.int64(raw[at + 3]) & 0x3F
                )
                at += 4
            folded = fold[code] if code < fold.size else np.uint32(0)
            alone = folded >= np.uint32(0x80000000)
            if open_ and (folded == 0 or alone):
                hashes[count] = (value ^ (value >> np.uint64(29))) * mix
                count += 1
                value, open_ = zero, False
            if folded != 0:
                value = value * base + np.uint64(folded)
                open_ = True
                if alone:
                    hashes[count] = (value ^ (value >> np.uint64(29))) * mix
                    count += 1
                    value, open_ = zero, False
        if open_:
            hashes[count] = (value ^ (value >> np.uint64(29))) * mix
            count += 1
        ends[row] = count
    return count


def _split_with_numpy(texts: pl.Series) -> Words:
    """The same as `_split` for a few texts, all characters at once."""
    folded = _folded("\n".join(texts) + "\n")
    start, end = _bounds(folded)
    # Horner's rule over each word, from sums of code * base^-place over all characters.
    inverse = np.full(folded.size, _BASE_INVERSE, np.uint64)
    inverse[0] = 1
    power = np.full(folded.size, _BASE, np.uint64)
    power[0] = 1
    sums = np.concatenate(
        [np.zeros(1, np.uint64), np.cumsum(folded.astype(np.uint64) * np.cumprod(inverse))]
    )
    value = (sums[end] - sums[start]) * np.cumprod(power)[end - 1]
    hashes = (value ^ (value >> np.uint64(29))) * np.uint64(_MIX)
    lengths = texts.str.len_chars().to_numpy().astype(np.int64) + 1
    return Words(hashes, np.searchsorted(start, np.cumsum(lengths)).astype(np.int64))


def _folded(text: str) -> npt.NDArray[np.uint32]:
    """`_folding` of each character."""
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    folded: npt.NDArray[np.uint32] = np.where(
        codes < _TOP, _folding()[np.minimum(codes, _TOP - 1)], np.uint32(0)
    )
    return folded


def _bounds(folded: npt.NDArray[np.uint32]) -> tuple[Places, Places]:
    """Where words start and end."""
    word, alone = folded != 0, folded >= _ALONE
    whole = word & ~alone
    start, end = word.copy(), word
    start[1:] &= ~whole[:-1] | alone[1:]
    end[:-1] &= ~whole[1:] | alone[:-1]
    return np.flatnonzero(start), np.flatnonzero(end) + 1

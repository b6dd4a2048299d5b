"""Texts -> the hashes of their words, in one pass: what shingles, n-grams and shares are made of.

A word is a run of letters, marks and digits, whatever its case; in scripts that are written
without spaces each character is one (see characters.py).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.tables.characters import ALONE, BLANK, FOLDED, GOES_ON, LETTER, SYMBOL, TOP, Kinds, kinds
from synth.tables.kernels import kernel

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Marks = npt.NDArray[np.uint8]

SLICE = 8192
"""Texts that are best looked at together: their words fit the processor's cache."""

_BASE = 0x9E3779B97F4A7C15
_BASE_INVERSE = pow(_BASE, -1, 1 << 64)
_MIX = 0xBF58476D1CE4E5B9
_STEM = 5  # letters: `volcanoes` finds `volcanic`
_SUBSTANCE = 3  # letters
_LONG, _NAME = 1, 2  # bits of what is marked
_BLOCK = 256  # texts whose characters are worked on at once: they fit the processor's cache


@dataclass(frozen=True, slots=True)
class Words:
    """The words of several texts, and what their letters tell.

    `hashes` holds 64-bit hashes of all words, text after text, `stems` those of their first
    letters; `ends[i]` is where those of text i end, so that they begin at `ends[i - 1]`, or 0.
    `symbols` counts the characters of each text that are neither letters, nor marks, nor spaces.
    """

    hashes: Hashes
    ends: Places
    stems: Hashes
    marks: Marks
    symbols: Places

    @property
    def starts(self) -> Places:
        """Where the words of each text begin."""
        return np.concatenate([[0], self.ends[:-1]])

    @property
    def counts(self) -> Places:
        """Words of each text."""
        return np.diff(self.ends, prepend=0)

    @property
    def rows(self) -> Places:
        """The text of each word."""
        return np.repeat(np.arange(self.ends.size), self.counts)

    @property
    def of_substance(self) -> Flags:
        """Of each word whether it is not short; a character of a script without spaces is not."""
        long: Flags = self.marks & _LONG != 0
        return long

    @property
    def capitalized(self) -> Flags:
        """Of each word of two letters or more whether a capital opens it within a sentence."""
        names: Flags = self.marks & _NAME != 0
        return names

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
        none, nowhere = np.empty(0, np.uint64), np.empty(0, np.int64)
        return Words(none, nowhere, none, np.empty(0, np.uint8), nowhere)
    if not compiled:
        texts = texts.fill_null("")
        blocks = range(0, len(texts), _BLOCK)
        return _joined([_split_with_numpy(texts[block : block + _BLOCK]) for block in blocks])
    arrow = texts.fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = arrow.buffers()
    places = np.frombuffer(offsets, np.int64)[arrow.offset : arrow.offset + len(arrow) + 1]
    raw = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
    most = (int(places[-1] - places[0]) + len(arrow)) // 2 + 1
    hashes, stems = np.empty((2, most), np.uint64)
    marks = np.empty(most, np.uint8)
    ends, symbols = np.empty(len(arrow), np.int64), np.empty(len(arrow), np.int64)
    count = _split.way(compiled=True)(raw, places, kinds(), hashes, stems, marks, ends, symbols)
    return Words(hashes[:count], ends, stems[:count], marks[:count], symbols)


def _joined(parts: list[Words]) -> Words:
    before = np.cumsum([0, *(part.hashes.size for part in parts)])
    return Words(
        np.concatenate([part.hashes for part in parts]),
        np.concatenate([part.ends + start for part, start in zip(parts, before, strict=False)]),
        np.concatenate([part.stems for part in parts]),
        np.concatenate([part.marks for part in parts]),
        np.concatenate([part.symbols for part in parts]),
    )


def word_spans(text: str) -> list[tuple[int, int]]:
    """Start and end, in characters, of each word of a text, in the order of its hashes."""
    starts, ends = _bounds(_kinds_of(text)[1])
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
        starts, ends = _bounds(_kinds_of(joined)[1])
        lengths = texts[some].str.len_chars().to_numpy().astype(np.int64) + 1
        word = np.searchsorted(starts, np.cumsum(lengths) - lengths) + first[some]
        bounds = zip(starts[word].tolist(), ends[word + counts[some] - 1].tolist(), strict=True)
        cut += [joined[start:end] for start, end in bounds]
    return cut


@kernel
def _split(  # noqa: C901  (a kernel calls no function of ours)
    raw: npt.NDArray[np.uint8],
    places: Places,
    table: Kinds,
    hashes: Hashes,
    stems: Hashes,
    marks: Marks,
    ends: Places,
    symbols: Places,
) -> int:
    """Fills the arrays of `Words` from UTF-8 between `places`; returns the number of words.

    A word is written where it ends, and after every other character that is none, too: it counts
    only if there was one.
    """
    base, mix, turn = np.uint64(_BASE), np.uint64(_MIX), np.uint64(29)
    alone, letter, folding = np.uint32(ALONE), np.uint32(LETTER), np.uint32(FOLDED)
    goes_on, blank, symbol = np.uint32(GOES_ON), np.uint32(BLANK), np.uint32(SYMBOL)
    bits, six, none = np.uint32(0x3F), np.uint32(6), np.uint32(0)
    nothing, one, two, three = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
    count = nothing
    for row in range(ends.size):
        at, end = np.uint64(places[row]), np.uint64(places[row + 1])
        value, stem, length, capital = nothing, nothing, nothing, False
        within, signs = none, none
        while at < end:
            code = np.uint32(raw[at])
            at += one
            if code >= 0x80:
                if code < 0xE0:
                    code = (code & np.uint32(0x1F)) << six | raw[at] & bits
                    at += one
                elif code < 0xF0:
                    code = (code & np.uint32(0x0F)) << six | raw[at] & bits
                    code = code << six | raw[at + one] & bits
                    at += two
                else:
                    code = (code & np.uint32(0x07)) << six | raw[at] & bits
                    code = code << six | raw[at + one] & bits
                    code = code << six | raw[at + two] & bits
                    code = min(code, np.uint32(TOP))
                    at += three
            kind = table[code]
            signs += (kind & symbol) // symbol
            if kind & letter:
                folded = kind & folding
                if length == nothing:
                    capital = within != none and code != folded
                value = value * base + np.uint64(folded)
                length += one
                if length <= _STEM:
                    stem = value
                within = goes_on
            else:
                hashes[count] = (value ^ (value >> turn)) * mix
                stems[count] = (stem ^ (stem >> turn)) * mix
                marks[count] = _LONG * (length >= _SUBSTANCE) | _NAME * (capital and length > one)
                count += np.uint64(length > nothing)
                value, length = nothing, nothing
                if kind & alone:
                    word = np.uint64(kind & (alone | folding))
                    hashes[count] = stems[count] = (word ^ (word >> turn)) * mix
                    marks[count] = _LONG
                    count += one
                within = (within if kind & blank else kind) & goes_on
        hashes[count] = (value ^ (value >> turn)) * mix
        stems[count] = (stem ^ (stem >> turn)) * mix
        marks[count] = _LONG * (length >= _SUBSTANCE) | _NAME * (capital and length > one)
        count += np.uint64(length > nothing)
        ends[row], symbols[row] = count, signs
    return int(count)


def _split_with_numpy(texts: pl.Series) -> Words:
    """The same as `_split` for a few texts, all characters at once."""
    codes, kind = _kinds_of("\n".join(texts) + "\n")
    folded, alone = kind & np.uint32(FOLDED), kind >= ALONE
    start, end = _bounds(kind)
    # Horner's rule over each word, from sums of code * base^-place over all characters.
    inverse, power = np.full((2, codes.size), [[_BASE_INVERSE], [_BASE]], np.uint64)
    inverse[0] = power[0] = 1
    inverse, power = np.cumprod(inverse), np.cumprod(power)
    letters = (kind & np.uint32(ALONE | FOLDED)).astype(np.uint64)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(letters * inverse)])
    hashes, stems = (
        _mixed((sums[stop] - sums[start]) * power[stop - 1])
        for stop in (end, np.minimum(end, start + _STEM))
    )
    # The character before each word, apart from blanks, tells whether its sentence begins there.
    seen = np.where(kind & BLANK != 0, 0, np.arange(codes.size))
    before = np.maximum.accumulate(seen)[np.maximum(start - 1, 0)]
    within = (kind[before] & GOES_ON != 0) & (start > 0)
    capital = within & (codes[start] != folded[start]) & (end - start > 1)
    long = alone[start] | (end - start >= _SUBSTANCE)
    marks = (_LONG * long | _NAME * capital).astype(np.uint8)
    ends = np.cumsum(texts.str.len_chars().to_numpy().astype(np.int64) + 1)
    symbols = np.add.reduceat(
        kind & np.uint32(SYMBOL) != 0, np.concatenate([[0], ends[:-1]]), dtype=np.int64
    )
    return Words(hashes, np.searchsorted(start, ends).astype(np.int64), stems, marks, symbols)


def _kinds_of(text: str) -> tuple[npt.NDArray[np.uint32], Kinds]:
    """The code points of a text, and their kinds."""
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    return codes, np.take(kinds(), codes, mode="clip")


def _bounds(kind: Kinds) -> tuple[Places, Places]:
    """Where words start and end."""
    alone, joins = kind >= ALONE, kind & LETTER != 0
    start = np.flatnonzero(alone | (joins & ~np.insert(joins[:-1], 0, False)))
    return start, np.flatnonzero(alone | (joins & ~np.append(joins[1:], False))) + 1


def _mixed(value: Hashes) -> Hashes:
    mixed: Hashes = (value ^ (value >> np.uint64(29))) * np.uint64(_MIX)
    return mixed

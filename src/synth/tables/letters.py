"""Texts -> their characters in one array, and what is told from them: stems, names, symbols."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.tables.words import _ALONE, _BASE, _TOP, Hashes, Places, _folding

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint32] | npt.NDArray[np.uint8]

_STEM = 5  # letters: `volcanoes` finds `volcanic`
_BLANK = (0x20, 0x09, 0xA0)
# After these, or after a word, a capital letter does not begin a sentence.
_GOES_ON = tuple(map(ord, ",-&/'\u2019"))


@dataclass(frozen=True)
class Letters:
    """The characters of several texts, each text followed by a line end.

    `folded` is 0 between words and else the small letter (see words.py), `alone` says which letters
    are words of their own; `ends[i]` is where text i and its line end are over.
    """

    codes: Codes
    folded: Codes
    alone: Flags | None
    ends: Places

    @cached_property
    def starts(self) -> Places:
        """Where each word begins; in the order of its hash in `words`."""
        word = self.folded != 0
        inside = word if self.alone is None else word & ~self.alone
        word[1:] &= ~(inside[:-1] & inside[1:])
        return np.flatnonzero(word)

    def stems(self) -> Hashes:
        """A hash of the first letters of each word; another one where `alone` is given."""
        if self.alone is None:
            return self._narrow_stems()
        stems = self.folded[self.starts].astype(np.uint64)
        open_ = self._goes_on(0)
        for place in range(1, _STEM):
            open_ &= self._goes_on(place)
            letter = self.folded[np.minimum(self.starts + place, self.folded.size - 1)]
            stems = np.where(open_, stems * np.uint64(_BASE) + letter, stems)
        return stems

    def _narrow_stems(self) -> Hashes:
        """The letters themselves, as the bytes of a number, up to the first byte that is 0."""
        padded = self.folded.tobytes() + bytes(8)
        eight = np.ndarray(self.folded.size, "<u8", padded, strides=1)[self.starts]
        # The lowest bit that is left marks the first byte that is 0; below it all are letters.
        marks = eight - np.uint64(0x0101010101010101)
        marks &= ~eight
        marks &= np.uint64(0x8080808080808080)
        marks ^= marks - np.uint64(1)
        eight &= marks
        eight &= np.uint64((1 << 8 * _STEM) - 1)
        return eight

    def of_substance(self) -> Flags:
        """Of each word whether it is not short; a character of a script without spaces is not."""
        long = self._goes_on(0) & self._goes_on(1) & self._goes_on(2)
        return long if self.alone is None else long | self.alone[self.starts]

    def capitalized(self) -> Flags:
        """Of each word of two letters or more whether a capital opens it within a sentence."""
        seen = np.where(np.isin(self.codes, _BLANK), 0, np.arange(self.codes.size))
        before = np.maximum.accumulate(seen)[np.maximum(self.starts - 1, 0)]
        within = (self.folded[before] != 0) | np.isin(self.codes[before], _GOES_ON)
        capital = self.codes[self.starts] != self.folded[self.starts]
        names: Flags = within & capital & self._goes_on(0) & self._goes_on(1)
        return names & (self.starts > 0)

    def symbols(self) -> Places:
        """Of each text how many characters are neither letters, nor their marks, nor spaces."""
        table = _symbols()
        if self.alone is None:
            marked = self.codes.tobytes().translate(table[:256].tobytes())
            found = np.frombuffer(marked, np.bool_)
        else:
            found = np.take(table, self.codes, mode="clip")
        return np.diff(np.searchsorted(np.flatnonzero(found), self.ends), prepend=0)

    def _goes_on(self, place: int) -> Flags:
        """Of each word whether what stands so far behind its start can belong to a longer word."""
        at = np.minimum(self.starts + place, self.folded.size - 1)
        inside: Flags = self.folded[at] != 0
        return inside if self.alone is None else inside & ~self.alone[at]


def letters(texts: pl.Series, *, narrow: bool) -> Letters:
    """The characters of each text, at least one text; a null has none.

    Args:
        texts: Strings.
        narrow: Whether all are ASCII, which is quicker to work on.
    """
    texts = texts.fill_null("")
    joined = "\n".join(texts) + "\n"
    ends = np.cumsum(texts.str.len_chars().to_numpy().astype(np.int64) + 1)
    if narrow:
        raw = joined.encode("ascii")
        folded = np.frombuffer(raw.translate(_ascii_folding()), np.uint8)
        return Letters(np.frombuffer(raw, np.uint8), folded, None, ends)
    codes = np.frombuffer(joined.encode("utf-32-le"), "<u4")
    folds = np.take(np.append(_folding(), np.uint32(0)), codes, mode="clip")
    return Letters(codes, folds & ~_ALONE, folds >= _ALONE, ends)


@cache
def _ascii_folding() -> bytes:
    return _folding()[:128].astype(np.uint8).tobytes() + bytes(128)


@cache
def _symbols() -> Flags:
    """Code point -> whether it is neither a letter, nor a mark, nor a space."""
    codes = np.concatenate([np.arange(0xD800), np.arange(0xE000, _TOP)])
    marks = pl.Series(list(codes.astype("<u4").tobytes().decode("utf-32-le")))
    table = np.ones(_TOP + 1, bool)
    table[codes] = ~marks.str.contains(r"^[\p{L}\p{M}\s]$").to_numpy()
    return table

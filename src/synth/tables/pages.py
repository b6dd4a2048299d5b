"""Texts -> signs of a poor page: links, repeated lines, boilerplate, damage, a cut end."""

from functools import cache

import numpy as np
import polars as pl
from ftfy.badness import BADNESS_RE

from synth.tables.grams import hashed, stood_before
from synth.tables.kernels import kernel
from synth.tables.words import Hashes, Places, Words

# The words of Gopher's stop-word rule (Rae et al. 2021).
_FUNCTION_WORDS = "the be to of and that have with"
_LINK = r"(?:https?://|www\.)\S+"
# What a sign holds, in small letters: to search for it first is quicker.
_BOILERPLATE_WORDS = (
    "cookie|privacy policy|rights reserved|sign in|log in|subscribe|terms of |skip to|newsletter"
)
_BOILERPLATE = (
    r"(?i)(accept (all )?cookies|cookie policy|privacy policy|all rights reserved|sign in|log in"
    r"|subscribe|terms of (use|service)|skip to (main )?content|newsletter)"
)
# A text that ends so goes on elsewhere. Its last line must be prose: headings, lists, code and
# tables may end in anything, and "a" may be a letter ("vitamin A").
_PROSE = r"(?:^|\n)\p{L}(?:[^\n|{};=<>]*?[^\S\n]){4}[^\n|{};=<>]*"
_CUT_END = (
    r"((?:[\p{Ll}\d],|\p{Ll}-|[\s(](?:the|an|and|or|nor|but|because|although|whose|its|their"
    r"|such as|of|from|than))\s*)$"
)
_SLOT = np.uint64(63)
_TAIL = 400  # characters in which the last line is looked for
_END = 24  # characters that tell that it may be cut


def function_words(found: Words, *, compiled: bool) -> Places:
    """How many different ones of eight common English words each text has."""
    known = hashed(_FUNCTION_WORDS)
    if compiled:
        counts = np.zeros(found.ends.size, np.int64)
        _count_kinds.way(compiled=True)(found.hashes, found.ends, *_apart(known), counts)
        return counts
    which = np.minimum(np.searchsorted(known, found.hashes), known.size - 1)
    same = known[which] == found.hashes
    seen = np.zeros((found.ends.size, known.size), bool)
    seen[found.rows[same], which[same]] = True
    count: Places = seen.sum(axis=1, dtype=np.int64)
    return count


def _apart(known: Hashes) -> tuple[Hashes, int]:
    """64 slots, and by how many bits hashes are shifted so that each of a few has its own.

    The other slots repeat a hash, which is not looked for there.
    """
    shift = next(
        bits for bits in range(59) if np.unique(known >> np.uint64(bits) & _SLOT).size == known.size
    )
    slots = np.full(64, known[0])
    slots[known >> np.uint64(shift) & _SLOT] = known
    return slots, shift


def link_share(texts: pl.Series) -> pl.Series:
    """Share of the characters that belong to links; null for an empty text."""
    text = pl.col("text")
    share = (
        text.str.extract_all(_LINK).list.eval(pl.element().str.len_chars()).list.sum()
        / text.str.len_chars()
    )
    return _where(texts, text.str.contains(r"http|www\."), share, 0.0)


def repeated_lines(texts: pl.Series) -> pl.Series:
    """Share of the lines that stood before, among those that are not blank."""
    lines = (
        texts.alias("line")
        .to_frame()
        .with_row_index("row")
        .filter(pl.col("line").str.contains("\n", literal=True))
        .with_columns(pl.col("line").str.split("\n"))
        .explode("line")
        .with_columns(pl.col("line").str.strip_chars())
        .filter(pl.col("line") != "")
        .with_columns(pl.col("line").hash(seed=1))
    )
    rows = lines["row"].to_numpy().astype(np.int64)
    again = stood_before(lines["line"].to_numpy(), rows)
    every = np.bincount(rows, minlength=len(texts))
    return pl.Series(np.bincount(rows, weights=again, minlength=len(texts)) / np.maximum(every, 1))


def boilerplate(texts: pl.Series) -> pl.Series:
    """How many signs of a website's furniture there are."""
    text = pl.col("text")
    some = text.str.to_lowercase().str.contains(_BOILERPLATE_WORDS)
    return _where(texts, some, text.str.count_matches(_BOILERPLATE), 0)


def damaged(texts: pl.Series) -> pl.Series:
    """How many signs there are that the text was decoded wrongly: ftfy's, and U+FFFD."""
    text = pl.col("text")
    some = text.str.len_bytes() != text.str.len_chars()
    return _where(texts, some, text.str.count_matches(_signs_of_damage()), 0)


@cache
def _signs_of_damage() -> str:
    """The expression of ftfy for polars, without spacing: that would be lost within classes too.

    What is a part of a word to Python and not to polars are fractions and raised digits.
    """
    kept, in_class, in_comment = [], False, False
    for character in BADNESS_RE.pattern:
        in_comment = (in_comment or (character == "#" and not in_class)) and character != "\n"
        if in_comment or (character in " \n" and not in_class):
            continue
        in_class = (in_class or character == "[") and character != "]"
        kept.append(character)
    return "".join(kept).replace(r"\w", r"[\w\p{N}]") + "|\ufffd"


def cut_end(texts: pl.Series) -> pl.Series:
    """The end of a text that stops within a sentence, empty for any other."""
    line = pl.col("text").str.tail(_TAIL).str.extract(rf"({_PROSE})\s*$", 1).fill_null("")
    end = line.str.extract(_CUT_END, 1).str.strip_chars().fill_null("")
    return _where(texts, pl.col("text").str.tail(_END).str.contains(_CUT_END), end, "")


def _where(texts: pl.Series, some: pl.Expr, measure: pl.Expr, otherwise: float | str) -> pl.Series:
    """The measure of those rows that can have one; of the others what is known of them.

    Args:
        texts: Strings, column `text`.
        some: Whether a row needs the measure; quick.
        measure: What is measured; slow.
        otherwise: The measure of all other rows.
    """
    frame = texts.alias("text").to_frame().with_row_index()
    hits = frame.filter(some).select("index", measure.alias("measure"))
    known = pl.repeat(otherwise, frame.height, dtype=hits["measure"].dtype, eager=True)
    return known.scatter(hits["index"], hits["measure"])


@kernel
def _count_kinds(hashes: Hashes, ends: Places, slots: Hashes, shift: int, counts: Places) -> None:
    """Fills in how many different ones of the hashes in `slots` each text has."""
    bits, one = np.uint64(shift), np.uint64(1)
    start = 0
    for row in range(ends.size):
        seen = np.uint64(0)  # a bit for each slot
        for at in range(start, ends[row]):
            slot = hashes[at] >> bits & np.uint64(63)
            seen |= np.uint64(slots[slot] == hashes[at]) << slot
        while seen:
            seen &= seen - one
            counts[row] += 1
        start = ends[row]

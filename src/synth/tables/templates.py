"""Instructions and their texts -> which instructions are worded alike."""

import re
from functools import cache

import polars as pl
from stop_words import get_stop_words

# A word; in scripts that are written without spaces each character is one.
_WORD = re.compile(
    r"[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]"
    r"|[^\W_]+(?:['\u2019][^\W_]+)*"
)
_STEM = 5  # letters that words are compared by, so that `volcano` finds `volcanoes`
_BLANK = "_"
# What instructions are worded with, beside function words.
_ASKING = """
advantages answer article benefits biography brief causes compare considerations could create
define describe detailed detail difference differences different disadvantages discuss effects
essay example examples explain explanation facts features find following generate give guide
history identify importance important impact information instructions key kinds known letter life
list main make meaning method methods name origin outline overview paragraph people poem process
pros cons provide purpose reasons recipe role short show significance some steps story suggest
summarize summary tell tips types use used uses using ways write
""".split()
_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "da", "sv", "nb")


def templates(instruction: pl.Series, text: pl.Series) -> pl.Series:
    """A hash of each instruction's wording: what is left without the words of its text.

    `What are the uses of copper?` and `What are the uses of tin?` are one. Words that the text
    holds too, and all that have a digit, are blank, several together one blank; function words and
    those that instructions are made of stay.

    Args:
        instruction: Instructions.
        text: Their responses.

    Returns:
        UInt64, null where the instruction is.
    """
    worded = [
        None if asked is None else _worded(asked, (said or "").casefold())
        for asked, said in zip(instruction, text, strict=True)
    ]
    return pl.Series("template", worded, pl.String).hash(seed=1).set(instruction.is_null(), None)


def _worded(instruction: str, text: str) -> str:
    """The words that stay, and one blank for each run of others."""
    fixed, words, last = _fixed(), [], ""
    for word in _WORD.findall(instruction.casefold()):
        if word not in fixed and (word[:_STEM] in text or not word.isalpha()):
            word = _BLANK
        if word != _BLANK or last != _BLANK:
            words.append(word)
        last = word
    return " ".join(words)


@cache
def _fixed() -> frozenset[str]:
    words = {word for language in _LANGUAGES for word in get_stop_words(language)}
    return frozenset(word.casefold() for word in words.union(_ASKING))

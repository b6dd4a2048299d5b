"""Candidates -> the same with what the rules of curation judge by: a fixed set of measures."""

import numpy as np
import polars as pl

from synth.settings import Curate
from synth.tables import pages
from synth.tables.asked import copied_words, grounded_words, strange_names, strange_numbers
from synth.tables.grams import ngrams, repeats
from synth.tables.languages import languages
from synth.tables.words import SLICE, Words, words

MEASURES: dict[str, tuple[type[pl.DataType], str]] = {
    "licence": (pl.String, "`licence` (or `license`) of the metadata; null where none is stated"),
    "instruction_chars": (pl.Int64, "characters of the instruction"),
    "text_chars": (pl.Int64, "characters of the text"),
    "instruction_words": (pl.Int64, "words of the instruction"),
    "text_words": (pl.Int64, "words of the text"),
    "length_ratio": (pl.Float64, "characters of the instruction for each one of the text"),
    "copied_words": (pl.Int64, "longest run of the instruction's words that stands in the text"),
    "repeated_words": (pl.Float64, "share of the instruction's words that stood in it before"),
    "grounded_words": (pl.Float64, "share of the instruction's content words that the text has"),
    "strange_numbers": (pl.Int64, "numbers of the instruction that the text lacks"),
    "strange_names": (pl.Int64, "capitalized words of the instruction that the text lacks"),
    "link_share": (pl.Float64, "share of the text's characters that belong to links"),
    "symbol_share": (pl.Float64, "share of the text's characters: neither letters nor spaces"),
    "repeated_lines": (pl.Float64, "share of the text's lines that stood in it before"),
    "top_ngrams": (pl.Float64, "what the most frequent n-gram covers, over its limit; the worst n"),
    "repeated_ngrams": (pl.Float64, "what repeated n-grams cover, over their limit; the worst n"),
    "function_words": (pl.Int64, "different ones of 8 common English words in the text"),
    "boilerplate": (pl.Int64, "signs of a website's furniture in the text"),
    "damaged": (pl.Int64, "signs in the text of a wrong decoding"),
    "cut_end": (pl.String, "the end of a text that stops within a sentence, otherwise empty"),
    "language_instruction": (pl.String, "ISO 639-1 code; only where a rule on languages is set"),
    "language_text": (pl.String, "ISO 639-1 code; only where a rule on languages is set"),
}
"""Name -> type and meaning. Measures of a null instruction are null, or 0 where they count."""

MEASURED = {name: kind for name, (kind, _) in MEASURES.items()}


def measure(frame: pl.DataFrame, settings: Curate, *, compiled: bool) -> pl.DataFrame:
    """Adds the columns of `MEASURES`.

    Args:
        frame: Candidates.
        settings: The n-grams' limits, and whether languages matter.
        compiled: Whether to compile loops (see kernels.py); the result is the same.
    """
    parts = [pl.DataFrame(schema=MEASURED)]
    for part in frame.iter_slices(SLICE) if frame.height else ():
        asked, said = (words(part[side], compiled=compiled) for side in ("instruction", "text"))
        parts.append(measured(part, asked, said, settings, compiled=compiled))
    return frame.hstack(pl.concat(parts))


def measured(
    frame: pl.DataFrame, asked: Words, said: Words, settings: Curate, *, compiled: bool
) -> pl.DataFrame:
    """The columns of `MEASURES` of rows whose words are there; best for `SLICE` rows at a time.

    Args:
        frame: Candidates.
        asked: Words of their instructions.
        said: Words of their texts.
        settings: The n-grams' limits, and whether languages matter.
        compiled: Whether to compile loops (see kernels.py); the result is the same.
    """
    found = {
        **_sizes(frame),
        **_of_words(frame, asked, said, settings, compiled=compiled),
        **_of_pages(frame["text"]),
        **_languages(frame, settings),
    }
    return pl.DataFrame(found, schema=MEASURED)


def stated_licence() -> pl.Expr:
    """The licence that a row's metadata states; null where there is none."""
    return pl.col("metadata").str.json_path_match("$['licence','license']").str.strip_chars()


def _sizes(frame: pl.DataFrame) -> dict[str, object]:
    chars = frame.select(
        asked=pl.col("instruction").str.len_chars().cast(pl.Int64),
        said=pl.col("text").str.len_chars().cast(pl.Int64),
    )
    ratio = pl.when(pl.col("said") > 0).then(pl.col("asked") / pl.col("said"))
    return {
        "licence": _licences(frame["metadata"]),
        "instruction_chars": chars["asked"],
        "text_chars": chars["said"],
        "length_ratio": chars.select(ratio).to_series(),
    }


def _licences(metadata: pl.Series) -> pl.Series:
    """What each states; rows of a document follow each other, so that equal ones are read once."""
    runs = metadata.rle().struct.unnest()
    stated = runs.select(metadata="value").select(stated_licence()).to_series()
    return stated.gather(np.repeat(np.arange(runs.height), runs["len"]))


def _of_words(
    frame: pl.DataFrame, asked: Words, said: Words, settings: Curate, *, compiled: bool
) -> dict[str, object]:
    """What the words of the instructions and those of the texts tell."""
    top, repeated = ngrams(
        said, settings.max_top_ngrams, settings.max_repeated_ngrams, compiled=compiled
    )
    chars = frame["text"].str.len_chars()
    return {
        "instruction_words": asked.counts,
        "text_words": said.counts,
        "copied_words": copied_words(asked, said, compiled=compiled),
        "repeated_words": pl.Series(repeats(asked, compiled=compiled), nan_to_null=True),
        "grounded_words": grounded_words(asked, said, compiled=compiled),
        "strange_numbers": strange_numbers(frame["instruction"], frame["text"]),
        "strange_names": strange_names(asked, said, compiled=compiled),
        "symbol_share": (pl.Series(said.symbols) / chars).fill_nan(None),
        "top_ngrams": top,
        "repeated_ngrams": repeated,
        "function_words": pages.function_words(said, compiled=compiled),
    }


def _of_pages(texts: pl.Series) -> dict[str, object]:
    return {
        "link_share": pages.link_share(texts),
        "repeated_lines": pages.repeated_lines(texts),
        "boilerplate": pages.boilerplate(texts),
        "damaged": pages.damaged(texts),
        "cut_end": pages.cut_end(texts),
    }


def _languages(frame: pl.DataFrame, settings: Curate) -> dict[str, object]:
    if not settings.same_language and settings.languages is None:
        return {name: [None] * frame.height for name in ("language_instruction", "language_text")}
    asks, says = languages(frame["instruction"], frame["text"])
    return {"language_instruction": asks, "language_text": says}

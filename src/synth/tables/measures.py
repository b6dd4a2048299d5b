"""Candidates -> the same with what the rules of curation judge by: a fixed set of measures."""

import polars as pl

from synth.settings import Curate
from synth.tables import asked, pages
from synth.tables.grams import ngrams, repeats
from synth.tables.languages import languages
from synth.tables.letters import letters
from synth.tables.words import Words, words

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

_SLICE = 2048


def measure(frame: pl.DataFrame, settings: Curate, *, compiled: bool) -> pl.DataFrame:
    """Adds the columns of `MEASURES`.

    Args:
        frame: Candidates.
        settings: The n-grams' limits, and whether languages matter.
        compiled: Whether to compile loops (see kernels.py); the result is the same.
    """
    places = slices(frame)
    parts = [
        frame.clear().with_columns(pl.lit(None, kind).alias(n) for n, (kind, _) in MEASURES.items())
    ]
    for rows in places:
        part = frame[rows]
        ask, say = (words(part[side], compiled=compiled) for side in ("instruction", "text"))
        parts.append(measured(part, ask, say, settings, compiled=compiled))
    return pl.concat(parts)[pl.concat([pl.Series(dtype=pl.UInt32), *places]).arg_sort()]


def slices(frame: pl.DataFrame) -> list[pl.Series]:
    """Places of rows to be looked at together: few, that no array is large; those of ASCII apart.

    What is ASCII alone is quicker to look at.
    """
    narrow = frame.select(_ascii()).to_series()
    return [
        rows[first : first + _SLICE].cast(pl.UInt32)
        for rows in (narrow.arg_true(), (~narrow).arg_true())
        for first in range(0, rows.len(), _SLICE)
    ]


def measured(
    frame: pl.DataFrame, ask: Words, say: Words, settings: Curate, *, compiled: bool
) -> pl.DataFrame:
    """Adds the columns of `MEASURES` to the rows of a slice.

    Args:
        frame: Candidates.
        ask: Words of their instructions.
        say: Words of their texts.
        settings: The n-grams' limits, and whether languages matter.
        compiled: Whether to compile loops (see kernels.py); the result is the same.
    """
    schema = {name: kind for name, (kind, _) in MEASURES.items()}
    found = {
        **_sizes(frame),
        **_of_words(frame, ask, say, settings, compiled=compiled),
        **_of_pages(frame["text"]),
        **_languages(frame, settings),
    }
    return frame.hstack(pl.DataFrame(found, schema=schema))


def stated_licence() -> pl.Expr:
    """The licence that a row's metadata states; null where there is none."""
    return pl.col("metadata").str.json_path_match("$['licence','license']").str.strip_chars()


def _ascii() -> pl.Expr:
    """Whether both sides of a row are ASCII."""
    sides = (pl.col(side).fill_null("") for side in ("instruction", "text"))
    return pl.all_horizontal(side.str.len_bytes() == side.str.len_chars() for side in sides)


def _sizes(frame: pl.DataFrame) -> dict[str, object]:
    chars = frame.select(
        asked=pl.col("instruction").str.len_chars().cast(pl.Int64),
        said=pl.col("text").str.len_chars().cast(pl.Int64),
    )
    ratio = pl.when(pl.col("said") > 0).then(pl.col("asked") / pl.col("said"))
    return {
        "licence": frame.select(stated_licence()).to_series(),
        "instruction_chars": chars["asked"],
        "text_chars": chars["said"],
        "length_ratio": chars.select(ratio).to_series(),
    }


def _of_words(
    frame: pl.DataFrame, ask: Words, say: Words, settings: Curate, *, compiled: bool
) -> dict[str, object]:
    instructions, texts = frame["instruction"], frame["text"]
    narrow = bool(frame.select(_ascii().all()).item())
    ask_letters, say_letters = (letters(side, narrow=narrow) for side in (instructions, texts))
    top, repeated = ngrams(
        say, settings.max_top_ngrams, settings.max_repeated_ngrams, compiled=compiled
    )
    chars = texts.str.len_chars()
    return {
        "instruction_words": ask.counts,
        "text_words": say.counts,
        "copied_words": asked.copied_words(ask, say, compiled=compiled),
        "repeated_words": pl.Series(repeats(ask), nan_to_null=True),
        "grounded_words": asked.grounded_words(
            ask, ask_letters, say, say_letters, compiled=compiled
        ),
        "strange_numbers": asked.strange_numbers(instructions, texts),
        "strange_names": asked.strange_names(ask, ask_letters, say, compiled=compiled),
        "symbol_share": (pl.Series(say_letters.symbols()) / chars).fill_nan(None),
        "top_ngrams": top,
        "repeated_ngrams": repeated,
        "function_words": pages.function_words(say),
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

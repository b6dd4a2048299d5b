"""The rules of curation: each a name, what it measures, and which values are good, with its source.

A rule is true of a good row. A null measure is bad unless the rule says otherwise, so no row slips
through a missing value.
"""

from dataclasses import dataclass

import polars as pl

from synth.settings import Curate

# The words of Gopher's stop-word rule (Rae et al. 2021).
_FUNCTION_WORDS = ["the", "be", "to", "of", "and", "that", "have", "with"]
_ASKING_WORDS = """
about advantages among and are biography cause causes compare cons could define describe
detailed differ difference different disadvantages does each example explain find from give good
have history how instructions into kinds known life list made main make makes name pros recipe
short should some story tell than that the their them these they types used uses using was were
what when where which who why with would write you your
""".split()
_NO_INSTRUCTION = (
    r"(?i)^(sure\b|here (is|are)\b|i\b|i'm\b|as an\b|this (text|passage|article)\b|it is\b"
    r"|there (is|are)\b|yes\b|no,|sorry\b)"
)
_ABOUT_THE_INPUT = (
    r"(?i)\b(the|this|given|provided|following)"
    r" (text|passage|input|article|paragraph|excerpt|document)\b"
    r"|###"
)
_BOILERPLATE = (
    r"(?i)(accept (all )?cookies|cookie policy|privacy policy|all rights reserved|sign in|log in"
    r"|subscribe|terms of (use|service)|skip to (main )?content|newsletter)"
)
_DAMAGED = "\ufffd|â€|Ã[\u0080-\u00bf©¨¤¶¼±³]|Â[\u00a0-\u00bf]"  # UTF-8 read as Latin-1 or cp1252
_LINK = r"(?:https?://|www\.)\S+"


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason to reject: `good` is an expression over `value` (what was measured) and columns."""

    name: str
    value: pl.Expr
    good: pl.Expr
    source: str


def rules(settings: Curate) -> list[Rule]:
    """The rules in the order in which they claim a row."""
    value = pl.col("value")
    instruction, text = pl.col("instruction"), pl.col("text")
    return [
        Rule("unfinished", pl.col("finish"), value == "stop", "cut off by the token limit"),
        Rule(
            "declined",
            instruction.str.to_lowercase().str.strip_chars(" .\"'"),
            ~value.is_in(["", "null", "none", "n/a"]),
            "the model's own null (FineInstructions)",
        ),
        Rule(
            "instruction_short",
            instruction.str.len_chars(),
            value >= settings.min_instruction_chars,
            "synth",
        ),
        Rule(
            "instruction_long",
            instruction.str.len_chars(),
            value <= settings.max_instruction_chars,
            "REInstruct: 500",
        ),
        Rule(
            "no_instruction",
            instruction.str.extract(_NO_INSTRUCTION, 0).fill_null(""),
            value == "",
            "synth",
        ),
        Rule(
            "about_the_input",
            instruction.str.extract(_ABOUT_THE_INPUT, 0).fill_null(""),
            value == "",
            "REInstruct",
        ),
        Rule("repetitive", _repeated(instruction), value <= settings.max_repeated_words, "Gopher"),
        Rule("ungrounded", _grounded(), value >= settings.min_grounded_words, "synth"),
        Rule("unlikely", pl.col("logprob"), value >= settings.min_logprob, "Humpback's M0 scores"),
        Rule(
            "damaged_text", text.str.extract(_DAMAGED, 0).fill_null(""), value == "", "ftfy's signs"
        ),
        Rule("boilerplate", text.str.count_matches(_BOILERPLATE), value < 2, "C4"),
        Rule(
            "links",
            text.str.extract_all(_LINK).list.eval(pl.element().str.len_chars()).list.sum()
            / text.str.len_chars(),
            value <= settings.max_link_share,
            "web corpora: link-heavy pages",
        ),
        Rule(
            "symbols",
            1 - text.str.count_matches(r"[\p{L}\s]") / text.str.len_chars(),
            value <= settings.max_symbol_share,
            "Gopher",
        ),
        Rule(
            "few_function_words",
            _words(text).list.unique().list.set_intersection(pl.lit(_FUNCTION_WORDS)).list.len(),
            value >= settings.min_function_words,
            "Gopher: 2 of 8",
        ),
    ]


def copied(frame: pl.DataFrame, words: int) -> pl.Series:
    """Of each row, whether the instruction holds a run of so many words of the text.

    Args:
        frame: Candidates.
        words: Length of the run.
    """
    instruction = frame.with_row_index("row").select(
        "row",
        _words(pl.col("instruction")).alias("word"),
        (" " + _words(pl.col("text")).list.join(" ") + " ").alias("text"),
    )
    grams = instruction.filter(pl.col("word").list.len() >= words).explode("word")
    run = [pl.col("word").shift(-i).over("row") for i in range(words)]
    hits = (
        grams.with_columns((" " + pl.concat_str(run, separator=" ") + " ").alias("gram"))
        .drop_nulls("gram")
        .filter(pl.col("text").str.contains(pl.col("gram"), literal=True))
    )
    return instruction["row"].is_in(hits["row"].unique().implode())


def leaking(frame: pl.DataFrame, words: int) -> pl.Series:
    """Of each row, whether the instruction copies the text or speaks of it as "the text".

    Args:
        frame: Columns `instruction` and `text`.
        words: Length of a run of words that counts as copied.
    """
    about = frame["instruction"].str.contains(_ABOUT_THE_INPUT).fill_null(value=False)
    return about | copied(frame, words)


def _words(text: pl.Expr) -> pl.Expr:
    """Lower-case words."""
    return text.str.to_lowercase().str.extract_all(r"[\p{L}\p{N}]+")


def _repeated(text: pl.Expr) -> pl.Expr:
    """Share of the words that stood before."""
    words = _words(text)
    return 1 - words.list.n_unique() / words.list.len()


def _grounded() -> pl.Expr:
    """Share of the instruction's content words that stand in the text; 0 without content words.

    Words are compared by their first five letters, so that `volcanoes` finds `volcano`.
    """
    stems = pl.element().str.slice(0, 5)
    asked = (
        _words(pl.col("instruction"))
        .list.eval(pl.element().filter(pl.element().str.len_chars() > 2))
        .list.set_difference(pl.lit(_ASKING_WORDS))
        .list.eval(stems)
        .list.unique()
    )
    there = _words(pl.col("text")).list.eval(stems).list.unique()
    return (asked.list.set_intersection(there).list.len() / asked.list.len()).fill_nan(0.0)

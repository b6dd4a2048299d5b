"""The rules of curation: each a name, what it measures, and which values are good, with its source.

A rule is true of a good row. A null measure is bad unless the rule says otherwise, so no row slips
through a missing value. Rules are expressions over the columns of a candidate and its measures (see
measures.py); the texts themselves are read there.
"""

import json
from dataclasses import dataclass

import polars as pl

from synth.errors import RecipeError
from synth.settings import Curate, OwnRule
from synth.tables.asked import copied_words
from synth.tables.candidate import CANDIDATE
from synth.tables.measures import MEASURES
from synth.tables.words import words

# What a model says that answers, refuses or speaks of itself instead of asking.
_NO_INSTRUCTION = (
    r"(?i)^\W*(sure\b|certainly\b|of course\b|absolutely\b|ok(ay)?\b|here('s|\u2019s| is| are)\b"
    r"|i\b|as an? (ai|language|large|assistant)\b|this (text|passage|article)\b|it is\b"
    r"|there (is|are)\b|yes\b|no,|sorry\b|unfortunately\b|my apologies\b"
    r"|(the )?(answer|response|output|assistant|instruction) ?(is\b|:)|thank you\b)"
)
# "I" also opens what people ask for.
_I_ASK = (
    r"(?i)^\W*i(['\u2019]d like|['\u2019]m (looking|trying)| (want|need|wish|would like|have a)"
    r"| am (looking|trying|planning|writing))\b"
)
_ABOUT_THE_INPUT = (
    r"(?i)\b((the|this|that|given|provided|following|above)"
    r" (text|passage|input|article|paragraph|excerpt|document|snippet)"
    r"|(given|provided) (context|information|content)"
    r"|(context|information|content|text|passage) (above|below|given|provided)"
    r"|(mentioned|described|discussed|stated|listed) (above|in the (text|passage|article|input)))\b"
)
# Headers of instruction templates, and their sentences.
_PROMPT = (
    r"(?i)(#{2,} ?(instruction|input|response|output|answer|user|assistant)\b|###"
    r"|\[/?inst\]|<\|?(im_start|im_end|user|assistant|system|endoftext|eot_id)\|?>|</?s>"
    r"|below is an instruction|appropriately completes the request"
    r"|use the provided input|instruction that could have been used|generate the response with"
    r"|^wanted: )"
)
_NULLS = ["", "null", "none", "n/a"]
_LONG = "REInstruct: 500"
_VALUE = pl.col("value")
_INSTRUCTION = pl.col("instruction")
_COPIED_TASK = 8  # words in a row of the prompt's task that are no chance
_RECIPE = "the recipe"
# What an expression does with other rows, as polars names it.
_OTHER_ROWS = frozenset(("Agg", "Over", "Len", "Quantile", "Correlation"))
# Reasons that are given elsewhere in `synth curate`.
_TAKEN = frozenset(
    "kept engine_error outranked contaminated private same_text same_instruction same_both"
    " near_text near_instruction near_both semantic_text semantic_instruction semantic_both"
    " document_cap template_cap quota too_similar not_selected reviewed".split()
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason to reject: `good` is an expression over `value` (what was measured) and columns.

    A rule that is not `on` judges nothing: its threshold is not set.
    """

    name: str
    value: pl.Expr
    good: pl.Expr
    source: str
    on: bool = True

    def judged(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
        """Rows with their `value`, and whether each is good.

        Raises:
            RecipeError: When a rule of the recipe's own fails on one of them.
        """
        try:
            measured = rows.with_columns(self.value.alias("value"))
            return measured, measured.select(self.good.fill_null(value=False)).to_series()
        except pl.exceptions.PolarsError as error:
            if self.source != _RECIPE:
                raise
            reason = str(error).splitlines()[0]
            raise RecipeError(
                f"curate.rules: {self.name}: fails on a row: {reason}; mend the SQL expression"
                " (TRY_CAST gives null where CAST fails)"
            ) from error


def rules(settings: Curate, task: str = "") -> list[Rule]:
    """The rules in the order in which they claim a row, the recipe's own last.

    Args:
        settings: Thresholds.
        task: The prompt's own words, which an instruction may not repeat.

    Raises:
        RecipeError: A rule of the recipe's own that cannot be used.
    """
    built_in = [
        _licence(settings),
        *_of_generation(),
        *_of_instructions(settings, task),
        *_of_pairs(settings),
        *_of_scores(settings),
        *_of_texts(settings),
        *_of_repetition(settings),
    ]
    names = {rule.name for rule in built_in} | _TAKEN
    own = []
    for rule in settings.rules:
        if rule.name in names or rule.name.startswith("segment_"):
            raise RecipeError(f"curate.rules: {rule.name}: the name is taken; choose another one")
        names.add(rule.name)
        own.append(_own(rule))
    return [rule for rule in built_in if rule.on] + own


def _licence(settings: Curate) -> Rule:
    """Licences whatever their case, with spaces or hyphens (`CC BY 4.0`).

    One that is not stated is not among those allowed.
    """
    allowed, denied = settings.allow_licences, settings.deny_licences
    stated = _VALUE.str.to_lowercase().str.replace_all(r"\s+", "-")
    good = ~stated.is_in(_ids(denied)).fill_null(value=False)
    if allowed is not None:
        good &= stated.is_in(_ids(allowed))
    return Rule("licence", pl.col("licence"), good, "synth", bool(denied) or allowed is not None)


def _ids(listed: list[str]) -> list[str]:
    return ["-".join(name.lower().split()) for name in listed]


def _of_generation() -> list[Rule]:
    null = _INSTRUCTION.str.to_lowercase().str.strip_chars(" .\"'")
    return [
        Rule("unfinished", pl.col("finish"), _VALUE == "stop", "cut off by the token limit"),
        Rule("declined", null, ~_VALUE.is_in(_NULLS), "the model's own null (FineInstructions)"),
    ]


def _of_instructions(settings: Curate, task: str) -> list[Rule]:
    answer = pl.when(_INSTRUCTION.str.contains(_I_ASK)).then(pl.lit(""))
    return [
        _least("instruction_short", "instruction_chars", settings.min_instruction_chars, "synth"),
        _most("instruction_long", "instruction_chars", settings.max_instruction_chars, _LONG),
        _most("length_ratio", "length_ratio", settings.max_length_ratio, "synth"),
        _without("copy_of_prompt", _copied_prompt(task), "templates; the recipe's prompt"),
        _without(
            "no_instruction",
            answer.otherwise(_INSTRUCTION.str.extract(_NO_INSTRUCTION, 0)),
            "synth",
        ),
        _without("about_the_input", _INSTRUCTION.str.extract(_ABOUT_THE_INPUT, 0), "REInstruct"),
        _most("repetitive", "repeated_words", settings.max_repeated_words, "Gopher"),
    ]


def _copied_prompt(task: str) -> pl.Expr:
    """What an instruction has of templates or of the prompt's task."""
    templates = _INSTRUCTION.str.extract(_PROMPT, 0)
    said = task.split()
    if not said:
        return templates
    starts = range(max(1, len(said) - _COPIED_TASK + 1))
    runs = [" ".join(said[start : start + _COPIED_TASK]) for start in starts]
    some = _INSTRUCTION.str.contains_any(_signs(said), ascii_case_insensitive=True)
    flat = pl.when(some).then(_INSTRUCTION).str.replace_all(r"\s+", " ")
    found = flat.str.extract_many(runs, ascii_case_insensitive=True).list.first()
    return pl.coalesce(templates, found)


def _signs(said: list[str]) -> list[str]:
    """Words of which every run has one: to search for them first is quicker.

    They stand at equal distances; the longest are rarest.
    """
    size = min(_COPIED_TASK, len(said))
    return max((said[at::size] for at in range(size)), key=lambda some: min(map(len, some)))


def _of_pairs(settings: Curate) -> list[Rule]:
    instruction = pl.col("language_instruction")
    same = (pl.col("language_text") == _VALUE).fill_null(value=True)  # null: no letters
    return [
        Rule(
            "copied",
            pl.col("copied_words"),
            settings.max_copied_words > _VALUE,
            "an instruction that gives its answer away (REInstruct)",
        ),
        _least("ungrounded", "grounded_words", settings.min_grounded_words, "synth"),
        _most("strange_numbers", "strange_numbers", settings.max_strange_numbers, "synth"),
        _most("strange_names", "strange_names", settings.max_strange_names, "synth"),
        Rule("other_language", instruction, same, "synth", settings.same_language),
    ]


def _of_scores(settings: Curate) -> list[Rule]:
    return [
        _least("unlikely", "logprob", settings.min_logprob, "Humpback's M0 scores"),
        _most("likely", "logprob", settings.max_logprob, "synth"),
        _between("r_ifd", settings.r_ifd, "Reflection-Tuning (Li et al. 2024)"),
        _between("ifd", settings.ifd, "Cherry LLM (Li et al. 2023)"),
    ]


def _of_texts(settings: Curate) -> list[Rule]:
    languages = settings.languages
    return [
        Rule("damaged_text", pl.col("damaged"), _VALUE == 0, "ftfy's signs"),
        Rule("boilerplate", pl.col("boilerplate"), _VALUE < 2, "C4"),
        _most("links", "link_share", settings.max_link_share, "web corpora: link-heavy pages"),
        _most("symbols", "symbol_share", settings.max_symbol_share, "Gopher"),
        _least("few_function_words", "function_words", settings.min_function_words, "Gopher: 2"),
        Rule(
            "language",
            pl.col("language_text"),
            _VALUE.is_in([language.strip().lower() for language in languages or []]),
            "py3langid",
            languages is not None,
        ),
    ]


def _of_repetition(settings: Curate) -> list[Rule]:
    gopher = "Gopher (Rae et al. 2021, table A1)"
    return [
        _most("repeated_lines", "repeated_lines", settings.max_repeated_lines, gopher),
        _most("top_ngrams", "top_ngrams", 1.0, gopher),
        _most("repeated_ngrams", "repeated_ngrams", 1.0, gopher),
        _without("truncated", pl.col("cut_end"), "segments that end within a sentence"),
    ]


def _most(name: str, measure: str, limit: float | None, source: str) -> Rule:
    return Rule(name, pl.col(measure), pl.lit(limit) >= _VALUE, source, limit is not None)


def _least(name: str, measure: str, limit: float | None, source: str) -> Rule:
    good = (pl.lit(limit) <= _VALUE) & _VALUE.is_not_nan()  # to polars NaN is above all
    return Rule(name, pl.col(measure), good, source, limit is not None)


def _between(measure: str, limits: tuple[float, float] | None, source: str) -> Rule:
    lowest, highest = limits or (0.0, 0.0)
    good = _VALUE.is_between(lowest, highest)
    return Rule(measure, pl.col(measure), good, source, limits is not None)


def _without(name: str, found: pl.Expr, source: str) -> Rule:
    """A rule on what must not be found; null, for nothing found, is good."""
    return Rule(name, found.fill_null(""), _VALUE == "", source)


def _own(rule: OwnRule) -> Rule:
    """A rule of the recipe's own, tried on no rows."""
    good = _expression(rule, rule.good)
    value = pl.lit(rule.good) if rule.value is None else _expression(rule, rule.value)
    return Rule(rule.name, value, good, _RECIPE)


def _expression(rule: OwnRule, sql: str) -> pl.Expr:
    place = f"curate.rules: {rule.name}: {sql!r}"
    columns = pl.Schema(CANDIDATE | {name: kind for name, (kind, _) in MEASURES.items()})
    try:
        expression = pl.sql_expr(sql)
        result = pl.DataFrame(schema=columns).select(expression.alias("result"))
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(f"{place}: {reason}; mend the SQL expression") from error
    if _sees_other_rows(json.loads(expression.meta.serialize(format="json"))):
        raise RecipeError(
            f"{place} looks at more than its row, which would make a row's fate depend on how the"
            " rows are read; compare with a number"
        )
    if result.height:
        raise RecipeError(f"{place} does not depend on the row; compare columns or measures")
    if sql is rule.good and result.schema["result"] != pl.Boolean:
        kind = result.schema["result"]
        raise RecipeError(f"{place} is of type {kind}, not true or false; compare it with a limit")
    if result.schema["result"].is_nested():
        raise RecipeError(f"{place} is a list, which cannot be shown; name one of its values")
    return expression


def _sees_other_rows(node: object) -> bool:
    """Whether an expression, as polars serializes it, counts, ranks or sums up rows."""
    if isinstance(node, dict):
        within = (value for key, value in node.items() if key not in ("Literal", "Column"))
        return not _OTHER_ROWS.isdisjoint(node) or any(map(_sees_other_rows, within))
    if isinstance(node, list):
        return any(map(_sees_other_rows, node))
    return node in _OTHER_ROWS


def leaking(frame: pl.DataFrame, most: int) -> pl.Series:
    """Of each row, whether the instruction copies the text or speaks of it as "the text".

    Args:
        frame: Columns `instruction` and `text`.
        most: Length of a run of words that counts as copied.
    """
    asked = frame["instruction"]
    about = asked.str.contains(_ABOUT_THE_INPUT) | asked.str.contains(_PROMPT)
    runs = copied_words(
        words(asked, compiled=False), words(frame["text"], compiled=False), compiled=False
    )
    return about.fill_null(value=False) | pl.Series(runs >= most)

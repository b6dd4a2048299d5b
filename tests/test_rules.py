"""Rules of curation: which row each claims, where its threshold lies, and the recipe's own."""

import json
from typing import Any

import polars as pl
import pytest

from synth.errors import RecipeError
from synth.settings import Curate, OwnRule
from synth.tables.candidate import CANDIDATE
from synth.tables.looking import Look
from synth.tables.measures import MEASURES
from synth.tables.rules import leaking, rules
from tests.candidates import TOOLS

TEXT = (
    "The potter's wheel is a machine that shapes round pots from clay. It stood in workshops of"
    " Mesopotamia by 3000 BC, and people have turned it with a foot or a stick ever since."
)
GOOD: dict[str, Any] = {
    **dict.fromkeys(CANDIDATE),
    "segment_id": "0" * 16,
    "text": TEXT,
    "skip": "",
    "instruction": "How does a potter's wheel shape clay?",
    "finish": "stop",
    "logprob": -0.5,
    "metadata": json.dumps({"licence": "MIT"}),
}
EVERYTHING = Curate(
    allow_licences=["mit"],
    deny_licences=["proprietary"],
    max_strange_names=0,
    same_language=True,
    languages=["en"],
    max_logprob=-0.01,
    r_ifd=(0.1, 0.9),
    ifd=(0.1, 0.9),
)


def verdicts(*changes: dict[str, Any], settings: Curate | None = None) -> list[tuple[str, str]]:
    """Reason and value of the good row, changed."""
    frame = pl.DataFrame([GOOD | change for change in changes], schema=CANDIDATE)
    claims = Look(settings or Curate(), TOOLS, compiled=False)(frame).claims
    assert claims["position"].is_unique().all()
    places = pl.DataFrame({"position": range(len(changes))}, schema={"position": pl.UInt32})
    told = places.join(claims, on="position", how="left", maintain_order="left")
    return told.select("reason", "value").rows()


def reasons(*changes: dict[str, Any], settings: Curate | None = None) -> list[str | None]:
    return [reason for reason, _ in verdicts(*changes, settings=settings)]


def asked(instruction: str) -> dict[str, Any]:
    return {"instruction": instruction}


def said(text: str) -> dict[str, Any]:
    return {"text": text}


FAILING: list[tuple[str, dict[str, Any]]] = [
    ("segment_short", {"skip": "short", "instruction": None, "finish": "error"}),
    ("engine_error", {"finish": "error"}),
    ("licence", {"metadata": '{"licence": "GPL-3.0"}'}),
    ("licence", {"metadata": "{}"}),
    ("unfinished", {"finish": "length"}),
    ("unfinished", {"finish": None}),
    ("declined", asked(" None.")),
    ("declined", asked("")),
    ("declined", {"instruction": None}),
    ("instruction_short", asked("Clay?")),
    ("instruction_long", asked("What is clay? " * 40)),
    ("length_ratio", asked("How does a potter's wheel " * 8)),
    ("copy_of_prompt", asked("### Response: How does a wheel shape clay?")),
    ("copy_of_prompt", asked("Use the provided input to create a wheel.")),
    ("copy_of_prompt", asked("<|im_start|>user How does a wheel shape clay?")),
    ("copy_of_prompt", asked("Below is an instruction that describes a wheel.")),
    ("no_instruction", asked("Sure, a potter's wheel shapes clay.")),
    ("no_instruction", asked("Here's a question on the potter's wheel.")),
    ("no_instruction", asked("I cannot say how a wheel shapes clay.")),
    ("no_instruction", asked("As an AI model, I shape no clay.")),
    ("no_instruction", asked("Answer: the potter's wheel.")),
    ("about_the_input", asked("What does the text say of the wheel?")),
    ("about_the_input", asked("Describe the wheel mentioned above.")),
    ("about_the_input", asked("What is the wheel, from the context given?")),
    ("repetitive", asked("Clay clay clay wheel clay clay?")),
    ("copied", asked(TEXT[:90])),
    ("ungrounded", asked("How do volcanoes erupt at sea?")),
    ("strange_numbers", asked("How was a potter's wheel used in 2500 BC?")),
    ("strange_names", asked("How is a potter's wheel used in Rome?")),
    ("other_language", asked("Qu'est-ce que c'est que 'round pots from clay', et pourquoi?")),
    ("unlikely", {"logprob": -2.5}),
    ("unlikely", {"logprob": None}),
    ("likely", {"logprob": -0.001}),
    ("r_ifd", {"r_ifd": 0.05}),
    ("r_ifd", {"r_ifd": None}),
    ("ifd", {"ifd": 0.95}),
    ("damaged_text", said(TEXT + " Itâ€™s old.")),
    ("boilerplate", said(TEXT + " Sign in. All rights reserved.")),
    ("links", said(TEXT + " https://example.org/" + "wheel/" * 10 + " .")),
    ("symbols", said(TEXT + "+" * 100)),
    ("few_function_words", said("Potters shape clay on wheels: pots, cups, bowls; round ones.")),
    ("language", said("Potters wheel clay that of the: Die Scheibe dreht den Ton, und der Töpfer"
                      " formt mit beiden Händen ein rundes Gefäß, das er dann brennt.")),
    ("repeated_lines", said(TEXT + "\nMore on clay." * 3)),
    ("top_ngrams", said(TEXT + " By the wheel" * 6 + ".")),
    ("repeated_ngrams", said(TEXT.removesuffix(".") + ", and so " + TEXT)),
    ("truncated", said(TEXT + " The clay is wetted and then the")),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "change"), FAILING)
def test_each_rule_claims_its_row(reason: str, change: dict[str, Any]) -> None:
    good = {"r_ifd": 0.5, "ifd": 0.5}
    # The language rules come first where they look at what another rule is about.
    settings = EVERYTHING
    if reason == "language":
        settings = settings.model_copy(update={"same_language": False})
    elif reason == "few_function_words":
        settings = settings.model_copy(update={"same_language": False, "languages": None})
    assert reasons(good, good | change, good, settings=settings) == [None, reason, None]


@pytest.mark.parametrize(
    "task",
    [
        "Ask what a b c d this text\u00a0is the\nanswer to. Ask it as one who wants to know would",
        "Ask it",
    ],
)
def test_each_run_of_the_prompts_task_is_found(task: str) -> None:
    said = task.split()
    size = min(8, len(said))
    runs = [said[start : start + size] for start in range(len(said) - size + 1)]
    rows = [asked(f"How is clay \n{chr(9).join(run).upper()}, then?") for run in runs]
    shorter = [asked(f"How is clay {' '.join(run[1:])}, then?") for run in runs[:1]]
    frame = pl.DataFrame([GOOD | row for row in (*rows, *shorter)], schema=CANDIDATE)
    rule = next(rule for rule in rules(Curate(), task) if rule.name == "copy_of_prompt")
    found = frame.select(rule.value).to_series().to_list()
    assert found == [*(" ".join(run).upper() for run in runs), ""]


def test_the_table_of_rows_leaves_out_no_rule() -> None:
    names = [rule.name for rule in rules(EVERYTHING)]
    assert len(set(names)) == len(names)
    assert set(names) == {reason for reason, _ in FAILING} - {"segment_short", "engine_error"}


@pytest.mark.parametrize(
    "instruction",
    [
        "I want to know how a potter's wheel shapes clay.",
        "As an apprentice potter, how do I shape clay on a wheel?",
        "Write a text on the potter's wheel and its clay.",
        "Okra aside, how does a potter's wheel shape clay?",
    ],
)
def test_what_only_looks_like_an_answer_is_kept(instruction: str) -> None:
    assert reasons(asked(instruction)) == [None]


WORDS = "the of potter wheel clay " + " ".join(f"w{c}x" for c in "abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize(
    ("setting", "change", "at", "beyond", "reason"),
    [
        ("min_instruction_chars", asked("Shape clay?"), 11, 12, "instruction_short"),
        ("max_instruction_chars", asked("Shape clay?"), 11, 10, "instruction_long"),
        ("max_length_ratio", said("of the potter, 37 characters: clay..."), 1, 0.9, "length_ratio"),
        ("max_repeated_words", asked("Shape clay on clay?"), 0.25, 0.24, "repetitive"),
        ("max_copied_words", asked("Why people have turned it with clay?"), 6, 5, "copied"),
        ("min_grounded_words", asked("Shape clay or a volcano?"), 2 / 3, 0.67, "ungrounded"),
        ("max_strange_numbers", asked("Shape clay 15 or 16 times?"), 2, 1, "strange_numbers"),
        ("max_strange_names", asked("Shape clay in Rome or Bonn?"), 2, 1, "strange_names"),
        ("min_logprob", {}, -0.5, -0.49, "unlikely"),
        ("max_logprob", {}, -0.5, -0.51, "likely"),
        ("r_ifd", {"r_ifd": 0.5}, (0.5, 0.6), (0.51, 0.6), "r_ifd"),
        ("r_ifd", {"r_ifd": 0.5}, (0.4, 0.5), (0.4, 0.49), "r_ifd"),
        ("ifd", {"ifd": 0.5}, (0.5, 0.5), (0.0, 0.49), "ifd"),
        ("max_link_share", said("clay the of www.example.org/ab"), 0.6, 0.59, "links"),
        ("max_symbol_share", said("shape clay the of++++"), 4 / 21, 0.19, "symbols"),
        ("min_function_words", said("shape clay, the of"), 2, 3, "few_function_words"),
        ("max_repeated_lines", said("clay the of\nclay the of\n"), 0.5, 0.49, "repeated_lines"),
        ("max_top_ngrams", said(WORDS + " the of clay"), {2: 0.08}, {2: 0.079}, "top_ngrams"),
        (
            "max_repeated_ngrams",
            said(WORDS + " the of potter wheel clay"),
            {5: 0.1, 6: 0.01},
            {5: 0.099},
            "repeated_ngrams",
        ),
        ("allow_licences", {}, ["mit"], ["cc0-1.0"], "licence"),
        ("deny_licences", {}, ["cc0-1.0"], ["Mit"], "licence"),
        ("languages", {}, ["EN"], ["de"], "language"),
    ],
)  # fmt: skip
def test_a_threshold_is_exact_and_is_that_of_its_rule_alone(
    setting: str, change: dict[str, Any], at: Any, beyond: Any, reason: str
) -> None:
    loose: dict[str, Any] = {
        "min_grounded_words": 0.0, "max_strange_numbers": None, "max_length_ratio": None,
        "max_repeated_lines": 1.0, "max_link_share": 1.0,
        "max_top_ngrams": {}, "max_repeated_ngrams": {},
    }  # fmt: skip
    rows = [change, *(failing for _, failing in FAILING)]
    before, after = (
        reasons(*rows, settings=Curate(**(loose | {setting: limit}))) for limit in (at, beyond)
    )
    assert (before[0], after[0]) == (None, reason)
    for one, other in zip(before, after, strict=True):
        assert one == other or reason in (one, other)


def test_what_is_not_set_judges_nothing() -> None:
    off = Curate(max_strange_numbers=None, max_length_ratio=None, max_strange_names=None)
    on = {rule.name for rule in rules(EVERYTHING)}
    assert on - {rule.name for rule in rules(off)} == {
        "licence", "length_ratio", "strange_numbers", "strange_names", "other_language", "likely",
        "r_ifd", "ifd", "language",
    }  # fmt: skip


def test_a_licence_that_is_not_stated_is_not_denied() -> None:
    rows = [{"metadata": "{}"}, {"metadata": '{"license": "X"}'}]
    assert reasons(*rows, settings=Curate(deny_licences=["x"])) == [None, "licence"]


@pytest.mark.parametrize("listed", ["CC-BY-4.0", "cc by 4.0", "CC  BY-4.0"])
def test_a_licence_is_the_same_with_spaces_and_with_hyphens(listed: str) -> None:
    rows = [{"metadata": json.dumps({"licence": name})} for name in ("CC BY 4.0", "cc-by-4.0")]
    assert reasons(*rows, settings=Curate(allow_licences=[listed])) == [None, None]
    assert reasons(*rows, settings=Curate(deny_licences=[listed])) == ["licence", "licence"]


def test_the_first_rule_in_order_claims_a_row() -> None:
    assert verdicts({"finish": "length", "logprob": -9.0}) == [("unfinished", "length")]


def test_a_rejected_row_says_what_was_measured() -> None:
    found = verdicts(
        {},
        {"logprob": -3.5},
        {"finish": None},
        {"skip": "short", "instruction": None},
        {"finish": "error", "error": "400"},
        asked("Clay?"),
    )
    assert found == [
        (None, None),
        ("unlikely", "-3.5"),
        ("unfinished", None),
        ("segment_short", None),
        ("engine_error", "400"),
        ("instruction_short", "5"),
    ]


def own(name: str, good: str, value: str | None = None) -> Curate:
    return Curate(rules=[OwnRule(name=name, good=good, value=value)])


def test_own_rules_judge_by_columns_and_measures() -> None:
    settings = own("too_dull", "text_words > 10 AND licence = 'MIT'", "text_words")
    rows = [{}, said("The wheel of potters that shape clay is made round."), {"metadata": "{}"}]
    assert verdicts(*rows, settings=settings) == [
        (None, None),
        ("too_dull", "10"),
        ("too_dull", "35"),
    ]


def test_an_own_rule_shows_itself_where_it_has_no_value() -> None:
    assert verdicts({}, settings=own("never", "tokens > 0")) == [("never", "tokens > 0")]


@pytest.mark.parametrize(
    ("name", "good", "value", "told"),
    [
        ("bad", "text_words >", None, "bad.*parse"),
        ("bad", "txt_words > 1", None, "bad.*txt_words"),
        ("bad", "text_words + 1", None, "bad.*Int64"),
        ("bad", "text > 3", None, "bad.*compare"),
        ("bad", "true", None, "bad.*row"),
        ("bad", "avg(text_words) > 3", None, "bad.*row"),
        ("bad", "logprob >= avg(logprob)", None, "bad.*more than its row"),
        ("bad", "lead(tokens) over (order by tokens) > 3", None, "bad.*more than its row"),
        ("bad", "tokens > 3", "rank() over (order by tokens)", "bad.*more than its row"),
        ("bad", "text_words > 3", "string_to_array(text, ' ')", "bad.*list"),
        ("bad", "text_words > 3", "nope(text)", "bad.*nope"),
        ("copied", "text_words > 3", None, "copied.*taken"),
        ("likely", "text_words > 3", None, "likely.*taken"),
        ("same_text", "text_words > 3", None, "same_text.*taken"),
        ("segment_short", "text_words > 3", None, "segment_short.*taken"),
    ],
)
def test_an_own_rule_that_cannot_be_used_is_told_before_any_row_is_judged(
    name: str, good: str, value: str | None, told: str
) -> None:
    with pytest.raises(RecipeError, match=told) as raised:
        Look(own(name, good, value), TOOLS, compiled=False)
    assert "\n" not in str(raised.value)


def test_an_own_rule_may_speak_of_what_it_may_not_do() -> None:
    settings = own("mine", "text NOT IN ('Len', 'Agg') AND instruction <> 'Over'")
    assert verdicts({}, settings=settings) == verdicts({})


@pytest.mark.parametrize("sql", ["CAST(instruction AS INTEGER) > 3", "CAST(text AS DATE) IS NULL"])
def test_an_own_rule_that_fails_on_a_row_is_told_in_a_line(sql: str) -> None:
    with pytest.raises(RecipeError, match=r"mine: fails on a row: .*TRY_CAST") as raised:
        verdicts({}, settings=own("mine", sql))
    assert "\n" not in str(raised.value)


def test_a_score_that_is_no_number_is_not_likely() -> None:
    assert verdicts({"logprob": float("nan")}) == [("unlikely", "NaN")]


def test_two_own_rules_have_two_names() -> None:
    rule = OwnRule(name="mine", good="text_words > 3")
    with pytest.raises(RecipeError, match="mine"):
        rules(Curate(rules=[rule, rule]))


def test_rules_can_use_every_measure() -> None:
    for name in MEASURES:
        assert len(rules(own("mine", f"{name} IS NOT NULL"))) == len(rules(Curate())) + 1


def test_leaks_are_copies_and_talk_of_the_text() -> None:
    rows = pl.DataFrame(
        {
            "instruction": ["a b c d?", "What does the passage say?", "### Input", "a b x d", None],
            "text": ["z a b c y", "x", "x", "a b c d", ""],
        }
    )
    assert leaking(rows, 3).to_list() == [True, True, True, False, False]

"""What is decided between rows, and what leaks: repeats, benchmarks, private data, selection."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import synth.tables.ahead as ahead
from synth.settings import Contamination, Curate, Duplicates, Private, Select
from synth.store.benchmarks import QUESTIONS
from synth.tables.duplicates import Check, Repeats, settled
from tests.candidates import GOOD, ID, LOOSE, TOOLS, Sorted, reasons, row, sort

Rows = npt.NDArray[np.int64]


def collisions(result: Sorted) -> dict[str, str]:
    return dict(
        result.rejected.drop_nulls("collided_with")
        .select("segment_id", "collided_with")
        .iter_rows()
    )


def test_a_row_stays_whose_better_twin_goes_itself() -> None:
    asked = "What is a tool that people have used?"
    rows = [
        row(0, logprob=-0.1, instruction=asked),
        row(1, logprob=-0.2, instruction=asked),  # asks as 0 does
        row(2, logprob=-0.3, text=row(1)["text"], instruction="Why is a thingbax used?"),
    ]
    result = sort(*rows)
    # 2 says what 1 says, but 1 goes for 0: without 2 its text would be lost.
    assert reasons(result) == {ID[1]: "same_instruction"}
    assert collisions(result) == {ID[1]: ID[0]}


def test_a_hot_cluster_that_goes_on_its_other_side_does_so_at_once() -> None:
    asked = "What is a tool that people have used?"
    best = row(0, logprob=-0.1, instruction=asked)
    cluster = [row(1, segment_id=ID[i], logprob=-0.2, instruction=asked) for i in range(1, 40)]
    result = sort(best, *cluster)
    assert result.curated["segment_id"].to_list() == [ID[0]]
    assert set(collisions(result).values()) == {ID[0]}


Pairs = list[tuple[int, int]]


def by_hand(checks: Sequence[set[frozenset[int]]], order: list[int]) -> list[int]:
    """Who stays: a row that no check finds near one that stays."""
    stay: list[int] = []
    for one in order:
        if not any(frozenset((one, other)) in check for check in checks for other in stay):
            stay.append(one)
    return stay


def check_of(near: set[frozenset[int]]) -> Check:
    def check(kept: Rows, left: Rows) -> Repeats:
        stay, rows, others = kept.tolist(), [], []
        for one in left.tolist():
            by = next((other for other in stay if frozenset((one, other)) in near), None)
            if by is None:
                stay.append(one)
            else:
                rows.append(one)
                others.append(by)
        return Repeats(np.array(rows, int), np.array(others, int), np.ones(len(rows), np.float32))

    return check


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25),
        min_size=1,
        max_size=3,
    ),
    st.permutations(range(10)),
)
def test_several_checks_settle_as_one_greedy_pass(
    near: list[set[tuple[int, int]]], order: list[int]
) -> None:
    sets = [{frozenset(pair) for pair in pairs if pair[0] != pair[1]} for pairs in near]
    checks = {str(number): check_of(one) for number, one in enumerate(sets)}
    gone: dict[int, int] = {}
    for name, found in settled(checks, np.array(order)):
        for one, other in zip(found.rows.tolist(), found.others.tolist(), strict=True):
            assert one not in gone
            assert frozenset((one, other)) in sets[int(name)]
            gone[one] = other
    stay = [one for one in order if one not in gone]
    assert set(gone.values()) <= set(stay)
    assert not any({one, other} in sets_ for sets_ in sets for one in stay for other in stay)
    if len(sets) == 1:
        assert stay == by_hand(sets, order)


QUESTION = (
    "Which of the following animals is known to sleep through most of the long winter in its den"
    " and to wake only when the first warm days of spring have come?"
)
RUN = "sleep through most of the long winter in its den and to wake only when the first"
TESTED = replace(
    TOOLS,
    questions=pl.DataFrame(
        {"benchmark": ["exam"] * 6, "number": [7, 8, 9, 10, 11, 12], "question": [
            QUESTION, *(f"{stem} one of the following statements about the use of this tool in a"
            " modern yard is most likely to be true?" for stem in "ABCDE")]},
        schema=QUESTIONS,
    ),
)  # fmt: skip


def test_a_text_with_a_benchmark_question_goes_with_the_evidence() -> None:
    text = f"{row(0)['text']} Bears {RUN} flowers are out."
    rejected = sort(row(0, text=text), row(1), tools=TESTED).rejected
    assert rejected.select("segment_id", "reason", "value").rows() == [
        (ID[0], "contaminated", "exam[7]")
    ]
    evidence = json.loads(rejected["evidence"][0])
    assert evidence.pop("coverage") == pytest.approx(16 / 29, abs=0.01)
    assert evidence == {
        "side": "text", "benchmark": "exam", "number": 7, "span": RUN, "question_span": RUN
    }  # fmt: skip


def test_an_instruction_with_a_benchmark_question_goes_too() -> None:
    asked = f"Does a thingaax {RUN} leaf falls?"
    loose = LOOSE.model_copy(update={"min_grounded_words": 0.0, "max_length_ratio": None})
    rejected = sort(row(0, instruction=asked), tools=TESTED, settings=loose).rejected
    assert rejected["reason"].to_list() == ["contaminated"]
    assert json.loads(rejected["evidence"][0])["side"] == "instruction"


def test_stock_wording_is_spared_and_counted_and_rules_come_first() -> None:
    stock = "one of the following statements about the use of this tool in a modern yard is most"
    rows = [
        row(0, text=f"{row(0)['text']} Say {stock} now."),
        row(1, text=f"{row(1)['text']} Bears {RUN} flowers are out.", logprob=-9.0),
        row(2),
    ]
    result = sort(*rows, tools=TESTED)
    assert reasons(result) == {ID[1]: "unlikely"}
    assert result.verdicts.spared == 1


def test_private_data_is_masked_in_what_stays_and_in_what_goes() -> None:
    mail = "jane.doe@example.com"
    rows = [
        row(
            0, text=f"{row(0)['text']} Write to {mail}.", instruction=f"Who is {mail} of thingaax?"
        ),
        row(1, text=f"{row(1)['text']} Write to {mail}.", logprob=-9.0),
        row(2),
    ]
    loose = LOOSE.model_copy(update={"min_grounded_words": 0.0})
    result = sort(*rows, settings=loose)
    assert result.curated["instruction"].to_list()[0] == "Who is <EMAIL_1> of thingaax?"
    assert result.curated["text"][0].endswith("Write to <EMAIL_1>.")
    assert [json.loads(one or "{}") for one in result.curated["masked"]] == [{"email": 2}, {}]
    assert result.rejected["text"][0].endswith("Write to <EMAIL_1>.")
    assert json.loads(result.rejected["masked"][0]) == {"email": 1}


def test_rows_are_dropped_for_private_data_where_the_recipe_says_so_and_masked_as_well() -> None:
    mail, card = "jane.doe@example.com", "4111 1111 1111 1111"
    rows = [
        row(0, text=f"{row(0)['text']} Write to {mail}."),
        row(1, text=f"{row(1)['text']} Pay with {card} or write to {mail}."),
        row(2, text=f"{row(2)['text']} Pay with {card}.", logprob=-9.0),
    ]
    asked = Private(card="drop", email="keep")
    result = sort(*rows, settings=LOOSE.model_copy(update={"private": asked}))
    assert reasons(result) == {ID[1]: "private", ID[2]: "unlikely"}
    assert result.rejected["value"].to_list()[0] == "card"
    assert mail in result.curated["text"][0]
    assert mail in result.rejected["text"][0]
    assert not any(card in text for text in result.rejected["text"])


def test_what_a_rule_shows_of_a_text_is_masked() -> None:
    own = {"name": "mine", "good": "instruction NOT LIKE '%@%'", "value": "instruction"}
    loose = Curate.model_validate({"rules": [own], "min_grounded_words": 0.0})
    rejected = sort(row(0, instruction="Who is jane@example.com here?"), settings=loose).rejected
    assert rejected["value"].to_list() == ["Who is <EMAIL_1> here?"]


@pytest.mark.parametrize("threads", [1, 3])
def test_rows_of_one_meaning_are_repeats(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "THREADS", threads)
    meant = {"What is a thingaax?": 0.0, "Say what a thingbax is.": 0.2, "Why a thingcax?": 1.5}

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        angles = np.array([meant[text] for text in texts], np.float32)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    rows = [row(n, instruction=asked) for n, asked in enumerate(meant)]
    wanted = Duplicates(sides=["instruction"], semantic=0.95)
    result = sort(
        *rows,
        settings=Curate(duplicates=wanted, embedder="scripted"),
        tools=replace(TOOLS, embed=embed),
    )
    rejected = result.rejected.select("segment_id", "reason", "value", "collided_with")
    assert rejected.rows() == [(ID[1], "semantic_instruction", "0.98", ID[0])]


def test_embeddings_need_a_model() -> None:
    with pytest.raises(ValueError, match=r"name one in curate\.embedder"):
        Curate(duplicates=Duplicates(semantic=0.9))
    with pytest.raises(ValueError, match=r"name one in curate\.embedder"):
        Curate(select=Select(diversity=0.9, over="embeddings"))


def chosen(*rows: dict[str, Any], **asked: Any) -> Sorted:
    return sort(*rows, settings=LOOSE.model_copy(update={"select": Select(**asked)}))


def test_the_best_rows_are_taken_last_of_all() -> None:
    rows = [row(n, logprob=-0.1 - n / 10) for n in range(4)]
    rows.append(row(4, text=row(0)["text"], logprob=-0.05))
    result = chosen(*rows, rows=2)
    assert reasons(result) == {ID[0]: "same_text", ID[2]: "not_selected", ID[3]: "not_selected"}
    assert result.verdicts.buckets() == {"kept": 2, "not_selected": 2, "same_text": 1}


def test_a_document_and_a_wording_have_their_caps() -> None:
    rows = [row(n, document_id="one", logprob=-n / 10) for n in range(3)] + [row(3), row(4)]
    assert reasons(chosen(*rows, per_document=2)) == {ID[2]: "document_cap"}
    capped = reasons(chosen(*rows, per_template=3))
    assert list(capped.values()) == ["template_cap"] * 2


def test_a_quota_is_on_a_field_of_the_metadata_or_on_a_column() -> None:
    rows = [
        row(n, logprob=-n / 10, metadata=json.dumps({"my source": "wiki" if n < 3 else "news"}))
        for n in range(4)
    ]
    assert reasons(chosen(*rows, quotas={"my source": {"wiki": 0.5}})) == {
        ID[1]: "quota", ID[2]: "quota"
    }  # fmt: skip
    finish = chosen(*rows, quotas={"document_id": {"*": 0.25}}, per_document=1)
    assert reasons(finish) == {}


def test_rows_of_like_texts_are_passed_over() -> None:
    words = " ".join(f"word{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(60))
    text = f"{GOOD.format('thingaax', 'x')} {words}"
    more = f"{text} And some more words of the thingbax."
    rows = [row(0, text=text, logprob=-0.1), row(1, text=more)]
    result = chosen(*rows, row(2), diversity=0.6)
    assert reasons(result) == {ID[1]: "too_similar"}


def test_rows_of_equal_score_are_drawn_by_the_seed() -> None:
    rows = [row(n) for n in range(20)]
    taken = [set(chosen(*rows, rows=5, seed=seed).curated["segment_id"]) for seed in (1, 1, 2)]
    assert taken[0] == taken[1] != taken[2]


def test_no_instruction_repeats_the_prompt() -> None:
    task = "Use the provided page to write one question whose answer the page gives in full."
    asked = "Write one  question whose answer\nthe page gives about thingaax."
    loose = LOOSE.model_copy(update={"min_grounded_words": 0.0})
    assert reasons(sort(row(0, instruction=asked), settings=loose)) == {}
    told = sort(row(0, instruction=asked), settings=loose, tools=replace(TOOLS, task=task)).rejected
    assert told["reason"].to_list() == ["copy_of_prompt"]
    assert Contamination().words == 13

"""Curation: every candidate ends in one bucket, with its reason, and the counts add up."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.settings import Curate, Duplicates
from tests.candidates import GOOD, ID, LOOSE, reasons, row, sort

LONG_RUN = "the thingaax is a tool that people have used with care for a"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"skip": "short", "instruction": None, "finish": None, "logprob": None}, "segment_short"),
        ({"skip": "too_long", "instruction": None, "finish": None}, "segment_too_long"),
        ({"finish": "error", "instruction": "", "error": "400"}, "engine_error"),
        ({"finish": "length"}, "unfinished"),
        ({"finish": None}, "unfinished"),
        ({"instruction": "null"}, "declined"),
        ({"instruction": ""}, "declined"),
        ({"instruction": None}, "copied|declined"),
        ({"instruction": "thingaax?"}, "instruction_short"),
        ({"instruction": "What is a thingaax? " + "Say why so. " * 50}, "instruction_long"),
        ({"instruction": "Sure, a thingaax is a tool."}, "no_instruction"),
        ({"instruction": "What does the text above say of a thingaax?"}, "about_the_input"),
        ({"instruction": "What is the thingaax in this passage?"}, "about_the_input"),
        ({"instruction": "What is a thingaax a thingaax a thingaax a thingaax?"}, "repetitive"),
        ({"instruction": "What is a volcano eruption?"}, "ungrounded"),
        ({"instruction": "What is it and why is it so?"}, "ungrounded"),
        ({"logprob": -3.0}, "unlikely"),
        ({"logprob": None}, "unlikely"),
        ({"instruction": f"Why is it that {LONG_RUN} long time?"}, "copied"),
        ({"text": GOOD.format("thingaax", "itâ€™s")}, "damaged_text"),
        ({"text": GOOD.format("thingaax", "Sign in. All rights reserved.")}, "boilerplate"),
        ({"text": "The thingaax and https://example.org/" + "a" * 80 + " with the rest"}, "links"),
        ({"text": "The thingaax and with 12 34 56 78 90 12 34 56 78 90 == ++ 12 34 56"}, "symbols"),
        ({"text": "Ein thingaax ist ein Werkzeug, das man im Hof findet."}, "few_function_words"),
    ],
)  # fmt: skip
def test_each_rule_claims_its_row(changes: dict[str, Any], reason: str) -> None:
    result = sort(row(0, **changes), row(1))
    assert result.curated["segment_id"].to_list() == [ID[1]]
    assert reasons(result)[ID[0]] in reason.split("|")


def test_a_good_row_is_kept() -> None:
    result = sort(row(0), row(1), row(2))
    assert result.curated.height == 3
    assert result.verdicts.buckets() == {"kept": 3}


def test_a_rejected_row_says_what_the_rule_measured() -> None:
    rejected = sort(row(0, logprob=-3.5), row(1)).rejected
    assert rejected.select("reason", "value").row(0) == ("unlikely", "-3.5")


def test_the_better_of_two_equal_texts_stays() -> None:
    text = row(0)["text"]
    result = sort(row(0, logprob=-0.9), row(1, text=text.upper(), instruction="Define a thingaax."))
    assert result.curated["segment_id"].to_list() == [ID[1]]
    assert result.rejected.select("reason", "collided_with").row(0) == ("same_text", ID[1])


def test_equal_instructions_are_duplicates_too() -> None:
    asked = "What is a tool that people have?"
    result = sort(row(0, instruction=asked), row(1, instruction=asked.lower()))
    assert reasons(result) == {ID[1]: "same_instruction"}
    assert result.rejected["collided_with"].to_list() == [ID[0]]


def test_near_texts_are_duplicates_and_chains_are_not() -> None:
    words = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(120)]

    def text(first: int) -> str:
        return "the and with " + " ".join(words[first : first + 80])

    rows = [
        row(i, text=text(shift), instruction=f"What is {words[shift + 20]} number {chr(97 + i)}?")
        for i, shift in enumerate((0, 8, 16))
    ]
    result = sort(*rows, settings=Curate(duplicates=Duplicates(near=0.7)))
    # Neighbours are near (Jaccard 0.79), the ends are not (0.63): the middle one goes alone.
    assert reasons(result) == {ID[1]: "near_text"}
    assert result.rejected["collided_with"].to_list() == [ID[0]]


def test_the_threshold_is_exact() -> None:
    words = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(60)]
    one = "the and with " + " ".join(words)
    two = one.replace(words[30], "other")
    # 63 words have 59 shingles; one changed word changes 5: Jaccard 54 / 64.
    rows = (
        row(0, text=one, instruction="What is wordab?"),
        row(1, text=two, instruction="Why wordac now?"),
    )
    exact = Curate(duplicates=Duplicates(near=54 / 64))
    assert reasons(sort(*rows, settings=exact)) == {ID[1]: "near_text"}
    assert reasons(sort(*rows, settings=Curate(duplicates=Duplicates(near=54 / 64 + 1e-9)))) == {}


def test_the_order_of_the_candidates_does_not_matter() -> None:
    rows = [row(i, logprob=-0.1 * (i % 5)) for i in range(20)]
    rows += [row(i + 20, text=rows[i]["text"]) for i in range(5)]
    forward, backward = sort(*rows), sort(*rows[::-1])
    assert sorted(forward.curated["segment_id"]) == sorted(backward.curated["segment_id"])
    assert reasons(forward) == reasons(backward)


def test_no_candidates_is_no_error() -> None:
    assert sort().verdicts.buckets() == {"kept": 0}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.text(max_size=60)),
            st.text(max_size=120),
            st.one_of(st.none(), st.floats(-5, 0)),
            st.sampled_from([None, "stop", "length"]),
        ),
        max_size=12,
    )
)
def test_kept_and_rejected_add_up_on_wild_rows(rows: list[tuple[Any, ...]]) -> None:
    made = [
        row(i, instruction=r[0], text=r[1], logprob=r[2], finish=r[3]) for i, r in enumerate(rows)
    ]
    result = sort(*made, settings=Curate())
    ids = [*result.curated["segment_id"], *result.rejected["segment_id"]]
    assert sorted(ids) == [r["segment_id"] for r in made]
    assert result.rejected["reason"].null_count() == 0
    assert sum(result.verdicts.buckets().values()) == len(made)


def samples(number: int, *changes: dict[str, Any]) -> list[dict[str, Any]]:
    """The same segment asked several times."""
    return [
        row(
            number,
            sample=n,
            instruction=f"What is a thing{chr(97 + number)}ax like ({chr(97 + n)})?",
            **c,
        )
        for n, c in enumerate(changes)
    ]


@pytest.mark.parametrize(
    ("rank", "best"),
    [("first", 0), ("logprob", 1), ("r_ifd", 2), ("ifd", 3)],
)
def test_of_several_samples_the_best_by_the_score_stays(rank: str, best: int) -> None:
    rows = samples(
        0,
        {"logprob": -0.5, "r_ifd": 0.9, "ifd": 0.9},
        {"logprob": -0.1, "r_ifd": 0.8, "ifd": 0.8},
        {"logprob": -0.4, "r_ifd": 0.2, "ifd": 0.7},
        {"logprob": -0.3, "r_ifd": 0.5, "ifd": 0.1},
    )
    result = sort(*rows, row(1), settings=LOOSE.model_copy(update={"rank": rank}))
    kept = result.curated.filter(pl.col("segment_id") == ID[0])
    assert kept["sample"].to_list() == [best]
    lost = result.rejected.filter(pl.col("segment_id") == ID[0])
    assert set(lost["reason"]) == {"outranked"}
    assert set(lost["value"]) == {rank}
    assert result.verdicts.buckets() == {"kept": 2}
    assert result.verdicts.rejections() == {"outranked": 3}


def test_a_sample_that_fails_a_rule_leaves_its_place_to_the_next() -> None:
    rows = samples(0, {"logprob": -0.1, "finish": "length"}, {"logprob": -0.5}, {"logprob": -0.6})
    result = sort(*rows)
    assert result.curated["sample"].to_list() == [1]
    assert result.rejected["reason"].to_list() == ["unfinished", "outranked"]
    assert result.verdicts.buckets() == {"kept": 1}


def test_a_segment_without_a_good_sample_is_in_one_bucket() -> None:
    rows = samples(0, {"logprob": -3.0}, {"logprob": -0.2, "finish": "length"})
    result = sort(*rows, row(1))
    assert result.verdicts.buckets() == {"kept": 1, "unfinished": 1}
    assert result.verdicts.rejections() == {"unfinished": 1, "unlikely": 1}


def test_a_missing_score_ranks_last() -> None:
    rows = samples(0, {"r_ifd": None}, {"r_ifd": 0.9})
    result = sort(*rows, settings=LOOSE.model_copy(update={"rank": "r_ifd"}))
    assert result.curated["sample"].to_list() == [1]

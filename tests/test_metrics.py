"""The report card's text metrics, on texts small enough to work out by hand; the unusable texts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.text import metrics
from synth.text.junk import junk

TEXT = "The kettle is a pot with a spout in which water is boiled. " * 5


def test_agreement_with_the_reference() -> None:
    same = ["What is a kettle?", "Name a fish."]
    assert metrics.chrf(same, same) == pytest.approx(100)
    assert metrics.rouge_l(same, same) == pytest.approx(1)
    assert metrics.chrf(["xyz"], ["What?"]) == 0
    # LCS of 2 words; precision 2/4, recall 2/3, F = 4/7; the other pair shares nothing.
    found = metrics.rouge_l(["what is the kettle", "b"], ["what a kettle", "a"])
    assert found == pytest.approx(4 / 7 / 2)


def test_diversity() -> None:
    assert metrics.distinct_trigrams(["a b c d", "a b c"]) == pytest.approx(2 / 3)
    assert metrics.distinct_trigrams(["a b"]) == 1
    assert metrics.opening_entropy(["What is it?", "what else?"]) == 0
    assert metrics.opening_entropy(["What?", "Why?", "How?", ""]) == pytest.approx(2)
    assert metrics.self_bleu(["the same old question here"] * 3) == pytest.approx(100)
    assert metrics.self_bleu(["one two three four", "five six seven eight"]) < 1
    assert metrics.self_bleu(["alone"]) == 0


def test_lengths_are_nearest_rank_percentiles() -> None:
    texts = [" ".join("w" * n) for n in range(1, 11)]
    assert metrics.word_counts(texts) == {"p10": 1, "p50": 5, "p90": 9}


def test_unusable_texts_differ_depend_on_content_and_come_in_every_kind() -> None:
    texts = [f"{i} {TEXT}" for i in range(60)]
    made = [junk(text, 1) for text in texts]
    assert made == [junk(text, 1) for text in texts]
    assert made != [junk(text, 2) for text in texts]
    assert all(text not in TEXT or len(text) < 75 for text in made)
    kinds = {
        "links": sum(t.startswith("https://") for t in made),
        "cut": sum(t in f"{TEXT}" for t in made),
        "furniture": sum(any(w in t for w in (" | ", "\n", " \u00b7 ", "  ")) for t in made),
    }
    assert all(count >= 5 for count in kinds.values())
    assert sum(kinds.values()) - kinds["links"] < len(made)


@given(st.text(max_size=200))
def test_any_text_can_be_made_unusable(text: str) -> None:
    assert isinstance(junk(text, 1), str)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_metrics_take_any_text(texts: list[str]) -> None:
    for value in (
        metrics.chrf(texts, texts[::-1]),
        metrics.rouge_l(texts, texts[::-1]),
        metrics.distinct_trigrams(texts),
        metrics.opening_entropy(texts),
        metrics.self_bleu(texts),
    ):
        assert math.isfinite(value)
        assert value >= 0

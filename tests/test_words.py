"""Words of texts: what counts as one, and that both ways of finding them agree."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.tables.words import excerpts, word_spans, words

WORDS_OF = {
    "Hello, World! don't stop": ["Hello", "World", "don", "t", "stop"],
    "": [],
    " \n\t ": [],
    "日本語のテキスト abc中d": [*"日本語のテキスト", "abc", "中", "d"],
    "ÀÉ straße x²": ["ÀÉ", "straße", "x²"],
    "हिन्दी में": ["हिन्दी", "में"],
    "𠀀a😀b": ["𠀀", "a", "b"],
}


@pytest.mark.parametrize("text", WORDS_OF)
def test_what_a_word_is(text: str) -> None:
    assert [text[start:end] for start, end in word_spans(text)] == WORDS_OF[text]


def test_case_does_not_matter_and_letters_do() -> None:
    found = words(pl.Series(["The CAT", "the cat", "cat the", "thecat"]), compiled=False)
    assert found.counts.tolist() == [2, 2, 2, 1]
    assert (found.of(0) == found.of(1)).all()
    assert (found.of(0)[::-1] == found.of(2)).all()
    assert len(set(found.hashes.tolist())) == 3


@settings(deadline=None)
@given(st.lists(st.none() | st.text(max_size=40), max_size=8))
def test_both_ways_and_the_spans_agree(texts: list[str | None]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    one, other = (words(series, compiled=compiled) for compiled in (False, True))
    assert one.hashes.tolist() == other.hashes.tolist()
    assert one.ends.tolist() == other.ends.tolist()
    assert one.counts.tolist() == [len(word_spans(text or "")) for text in texts]


def test_many_texts_are_counted_through() -> None:
    texts = pl.Series([" ".join("abcdef"[: row % 7]) for row in range(600)])
    one, other = (words(texts, compiled=compiled) for compiled in (False, True))
    assert one.counts.tolist() == [row % 7 for row in range(600)]
    assert (one.hashes.tolist(), one.ends.tolist()) == (other.hashes.tolist(), other.ends.tolist())


def test_excerpts_are_cut_from_each_text_as_it_is_written() -> None:
    texts = [
        "(One, two)\nthree!",
        "日本語",
        "a",
        *["x -- y"] * 300,
    ]  # more than are worked on at once
    first, counts = np.zeros(303, np.int64), np.ones(303, np.int64)
    first[:2], counts[:2], counts[-1] = (1, 0), (2, 3), 2
    cut = excerpts(pl.Series(texts), first, counts)
    assert cut == ["two)\nthree", "日本語", "a", *["x"] * 299, "x -- y"]
    assert excerpts(pl.Series(dtype=pl.String), first[:0], counts[:0]) == []

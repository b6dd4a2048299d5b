"""Words of texts: what counts as one, and that both ways of finding them agree."""

from dataclasses import fields
from itertools import compress

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.tables.near import suspects
from synth.tables.sketches import SLOTS, fingerprints, shingle_sets, signatures
from synth.tables.words import Words, excerpts, word_spans, words

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


@pytest.mark.parametrize(
    ("text", "long", "capitalized", "symbols"),
    [
        ("Anna, Bo and I: Cat", "Anna and Cat", "Bo", 2),
        (" \u00a0Anna \u00a0Bert\nCarl-Dan's 'Eve'", "Anna Bert Carl Dan Eve", "Bert Dan Eve", 4),
        ("\u2019Tis 1 Été 富士 Yes", "Tis Été 富 士 Yes", "Tis Été Yes", 2),
        ("x² É\U00100000 Ab\ufffd Cd", "", "", 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("compiled", [False, True])
def test_what_letters_tell(
    text: str, long: str, capitalized: str, symbols: int, compiled: bool
) -> None:
    # A text before it does not matter.
    found = words(pl.Series(["so", text]), compiled=compiled)
    told = [text[start:end] for start, end in word_spans(text)]
    assert list(compress(told, found.of_substance[1:])) == long.split()
    assert list(compress(told, found.capitalized[1:])) == capitalized.split()
    assert found.symbols.tolist() == [0, symbols]


def test_stems_are_the_first_five_letters() -> None:
    found = words(pl.Series(["volcanoes Volcanic volca volc 火 火火 火山"]), compiled=False)
    kinds = [found.stems.tolist().index(stem) for stem in found.stems]
    assert kinds == [0, 0, 0, 3, 4, 4, 4, 4, 8]


@settings(deadline=None)
@given(
    st.lists(st.none() | st.text(max_size=40) | st.text("aB é日,- \n²\0", max_size=40), max_size=8)
)
def test_both_ways_and_the_spans_agree(texts: list[str | None]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    one, other = (words(series, compiled=compiled) for compiled in (False, True))
    for field in fields(Words):
        assert getattr(one, field.name).tolist() == getattr(other, field.name).tolist()
    spans = [word_spans(text or "") for text in texts]
    assert one.counts.tolist() == [len(each) for each in spans]


FEW_WORDS = st.lists(st.sampled_from("a b c".split()), max_size=12).map(" ".join)


@settings(deadline=None)
@given(st.lists(FEW_WORDS, max_size=8))
def test_both_ways_sketch_texts_alike(texts: list[str]) -> None:
    found = words(pl.Series(texts, dtype=pl.String), compiled=False)
    one, other = (
        (
            fingerprints(found, compiled=compiled).tolist(),
            signatures(found, compiled=compiled).tolist(),
            shingle_sets(found, compiled=compiled).hashes.tolist(),
        )
        for compiled in (False, True)
    )
    assert one == other
    prints = one[0]
    assert [mark == 0 for mark in prints] == [not text for text in texts]
    assert len(set(prints)) == len(set(texts))


def test_many_texts_are_counted_through() -> None:
    texts = pl.Series([" ".join("abcdef"[: row % 7]) for row in range(600)])
    one, other = (words(texts, compiled=compiled) for compiled in (False, True))
    assert one.counts.tolist() == [row % 7 for row in range(600)]
    for field in fields(Words):
        assert getattr(one, field.name).tolist() == getattr(other, field.name).tolist()


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


@pytest.mark.parametrize(("count", "threshold"), [(0, 0.7), (1, 0.7), (3000, 0.7), (3000, 0.6)])
def test_both_ways_find_the_same_pairs(count: int, threshold: float) -> None:
    rng = np.random.default_rng(count)
    slots = rng.integers(0, 256, (count, SLOTS), np.uint8)
    slots[count // 2 : count // 2 + count // 10] = slots[: count // 10]
    slots[: count // 50] = slots[:1]  # a hot bucket
    order = rng.permutation(count)[: count * 9 // 10]
    ways = (suspects(slots, order, threshold, compiled=way) for way in (True, False))
    pairs = [[sorted(zip(*map(list, band), strict=True)) for band in way] for way in ways]
    assert pairs[0] == pairs[1]
    assert all(earlier < later for band in pairs[0] for later, earlier in band)
    assert (sum(map(len, pairs[0])) > 0) == (count > 1)

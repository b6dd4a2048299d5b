"""Keys of runs of words, their tables, and the sieve before them."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.tables import sieve
from synth.tables.runs import STOCK, Keys, Table
from synth.tables.sieve import Sieve
from synth.tables.words import Words, words

TEXTS = st.lists(st.text("ab ", max_size=40), max_size=6)


def words_of(texts: list[str]) -> Words:
    return words(pl.Series(texts, dtype=pl.String), compiled=False)


@pytest.mark.parametrize("length", range(1, 18))
def test_a_key_is_the_same_however_it_is_made(length: int) -> None:
    found = words_of(["a b c d e f g h i j k l m n o p", "", "q r s t u v w x y", "z"])
    every = Keys.of(found, length)
    one_by_one = Keys.of(found, length, np.arange(found.hashes.size))
    assert every.places.tolist() == one_by_one.places.tolist()
    assert every.keys.tolist() == one_by_one.keys.tolist()
    assert every.places.size == sum(max(0, count - length + 1) for count in (16, 0, 9, 1))


def test_keys_that_differ_in_their_last_bit_are_told_apart() -> None:
    keys = np.array([9, 8, 9, 1 << 63, 8, (1 << 63) - 1], np.uint64)
    ordered = Keys(1, keys, np.arange(6)).ordered()
    assert ordered.places.tolist() == [1, 4, 0, 2, 5, 3]
    assert ordered.keys.tolist() == sorted(keys.tolist())


def test_a_table_has_stock_wording_once_and_the_rest_as_often_as_it_stands() -> None:
    asked = words_of(["a b", "a b c", "a b", "b c b c", "d e"])
    runs = Keys.of(asked, 2)
    ignored = Keys.of(words_of(["d e"]), 2).keys
    table = Table.build(runs, asked.ends, 3, ignored)
    begins, places = table.look(Keys.of(words_of(["a b c", "d e", "e f"]), 2))
    assert sorted(zip(begins.tolist(), places.tolist(), strict=True)) == [
        (0, STOCK),  # in three texts
        (1, 3),
        (1, 7),  # in two, three times
        (1, 9),
        (3, STOCK),
    ]


@settings(deadline=None, max_examples=60)
@given(texts=TEXTS, asked=TEXTS, length=st.integers(2, 9))
def test_every_way_lets_the_same_places_through(
    texts: list[str], asked: list[str], length: int
) -> None:
    held, found = words_of(asked), words_of(texts + asked)
    runs = Keys.of(held, length)
    made = Sieve.of(held, length, runs.places)
    begins = made.begins(found, compiled=False)
    assert begins.tolist() == made.begins(found, compiled=True).tolist()
    at, stretch = np.empty(found.hashes.size, np.int64), length // 2 + 1
    shift = np.uint64(65 - made.marks.size.bit_length())
    loop = sieve._sift.way(compiled=False)
    count = loop(found.hashes, found.ends, length, stretch, made.marks, shift, at)
    assert begins.tolist() == at[:count].tolist()
    there = Keys.of(found, length)
    assert set(there.places[np.isin(there.keys, runs.keys)].tolist()) <= set(begins.tolist())


@pytest.mark.parametrize("compiled", [False, True])
def test_hardly_anything_else_is_let_through(compiled: bool) -> None:
    rng = np.random.default_rng(5)
    lines = [" ".join(map(str, rng.integers(0, 10**6, 40))) for _ in range(2_000)]
    held, others = words_of(lines[:1_000]), words_of(lines[1_000:])
    made = Sieve.of(held, 13, Keys.of(held, 13).places)
    assert made.begins(held, compiled=compiled).tolist() == Keys.of(held, 13).places.tolist()
    assert made.begins(others, compiled=compiled).size <= 3
    assert made.marks.nbytes <= 2 * held.hashes.size  # 100,000 questions: a few megabytes

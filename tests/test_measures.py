"""Measures of candidates: what each says, on wild text too, and in both ways of running loops."""

from collections import Counter
from difflib import SequenceMatcher
from typing import Any

import polars as pl
import pytest
from ftfy.badness import badness
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from synth.settings import Curate
from synth.tables.asked import copied_words, grounded_words, strange_names
from synth.tables.grams import ngrams, repeats
from synth.tables.measures import MEASURES, measure
from synth.tables.pages import damaged
from synth.tables.words import words

SCHEMA = {"instruction": pl.String, "text": pl.String, "metadata": pl.String}
LANGUAGES = Curate(same_language=True)


def measured(
    *rows: tuple[str | None, str], metadata: str = "{}", settings: Curate | None = None
) -> pl.DataFrame:
    """Measures of instructions and texts."""
    made = [(asked, said, metadata) for asked, said in rows]
    frame = pl.DataFrame(made, schema=SCHEMA, orient="row")
    return measure(frame, settings or Curate(), compiled=False)


def one(name: str, instruction: str | None, text: str) -> Any:
    return measured((instruction, text))[name].item()


@pytest.mark.parametrize(
    ("name", "instruction", "text", "value"),
    [
        ("instruction_chars", "Why é?", "", 6),
        ("instruction_chars", None, "", None),
        ("text_chars", "", "日本", 2),
        ("instruction_words", "What is it?", "", 3),
        ("text_words", "", "don't 日本", 4),
        ("length_ratio", "four", "four and", 0.5),
        ("length_ratio", "four", "", None),
        ("repeated_words", "a b A c", "", 0.25),
        ("repeated_words", "?!", "", None),
        ("grounded_words", "What is a volcanic eruption?", "Volcanoes are old", 0.5),
        ("grounded_words", "Explain CATS", "the catsuit", 0.0),
        ("grounded_words", "Explain CATS", "the Cats", 1.0),
        ("grounded_words", "What is it?", "It is it", 0.0),
        ("grounded_words", "富士山とは", "富士の山", 3 / 5),
        ("strange_numbers", "Why 1,000 and 07 of 1990s?", "1000 and 7 in 1990", 0),
        ("strange_numbers", "Why 3.5 and 1,5?", "3 5 and 1 5", 2),
        ("strange_numbers", "Give 3 and 4 and one", "Three, and fourteen", 1),
        ("strange_numbers", "Why 0.5 and ٣?", "half", 2),
        ("strange_numbers", "In 12 years", "from 1912", 1),
        ("strange_names", "Why did Anna see Rome?", "Rome is old", 1),
        ("strange_names", "Anna? Then Berta. Did she, Eve?", "they did", 2),
        ("strange_names", "Was I in the USA", "he was", 1),
        ("strange_names", "Say: Why, Who", "-", 0),
        ("link_share", "", "ab https://x.yz", 12 / 15),
        ("link_share", "", "httpx and www", 0.0),
        ("symbol_share", "", "ab 1?", 0.4),
        ("symbol_share", "", "हिन्दी में é", 0.0),
        ("symbol_share", "", "", None),
        ("repeated_lines", "", "a\n b\n\n\na \nc", 0.25),
        ("repeated_lines", "", "a a", 0.0),
        ("repeated_lines", "", "\n \n", 0.0),
        ("function_words", "", "The the OF toe and", 3),
        ("boilerplate", "", "Sign in. All Rights Reserved.", 2),
        ("damaged", "", "itâ€™s", 1),
        ("damaged", "", "Ă™½", 1),
        ("damaged", "", "a \ufffd b \ufffd", 2),
        ("damaged", "", "“Müller” — naïve, it\u2019s £5", 0),
        ("cut_end", "", "It is well known that it works and ", "and"),
        ("cut_end", "", "It is known.\nThe house is built of stone, brick,", "k,"),
        ("cut_end", "", "The words of this line are brok-", "k-"),
        ("cut_end", "", "# Heading that ends in the", ""),
        ("cut_end", "", "- an item of a list and the", ""),
        ("cut_end", "", "| a cell of a table and the", ""),
        ("cut_end", "", "def f(a, b, c, d, e):\n    return g(a, b, c, d,", ""),
        ("cut_end", "", "What is good for you is vitamin A", ""),
        ("cut_end", "", "It ends as it should, and well.", ""),
    ],
)  # fmt: skip
def test_what_a_measure_says(name: str, instruction: str | None, text: str, value: Any) -> None:
    found = one(name, instruction, text)
    assert found == value if value is None else found == pytest.approx(value)


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ('{"licence": " MIT "}', "MIT"),
        ('{"title": "x", "license": "cc-by-4.0"}', "cc-by-4.0"),
        ('{"license": null}', None),
        ("{}", None),
        ("not JSON", None),
    ],
)
def test_the_licence_is_read_from_the_metadata(metadata: str, licence: str | None) -> None:
    assert measured(("a", "b"), metadata=metadata)["licence"].item() == licence


@pytest.mark.parametrize(
    ("instruction", "text", "languages"),
    [
        ("What is a volcano?", "A volcano is a mountain that can erupt with hot rock.", "en en"),
        ("Was ist das?", "Ein Vulkan ist ein Berg, aus dem heißes Gestein kommt.", "de de"),
        (
            "Explain why the mountain erupts and what the people of the town should do.",
            "Ein Vulkan ist ein Berg, aus dem heißes Gestein kommt.",
            "en de",
        ),
        ("火山とは何ですか", "A volcano is a mountain that can erupt.", "ja en"),
        ("Что это?", "A volcano is a mountain that can erupt.", "ru en"),
        ("화산", "화산은 산이다", "ko ko"),
        ("12?", "A volcano is a mountain that can erupt.", "None en"),
        (None, "12", "None None"),
    ],
)
def test_languages_are_told(instruction: str | None, text: str, languages: str) -> None:
    found = measured((instruction, text), settings=LANGUAGES)
    told = found.select("language_instruction", "language_text").row(0)
    assert " ".join(map(str, told)) == languages


def test_languages_are_told_only_where_they_matter() -> None:
    assert one("language_text", "What?", "A volcano is a mountain.") is None


WILD = st.one_of(st.text(max_size=50), st.text("aB é日01,\n.-中\0\ufffd", max_size=50))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.none() | WILD, WILD), max_size=6))
def test_both_ways_agree_and_rows_keep_their_place(rows: list[tuple[str | None, str]]) -> None:
    made = [(*row, "{}") for row in rows]
    frame = pl.DataFrame(made, schema=SCHEMA, orient="row")
    one, other = (measure(frame, LANGUAGES, compiled=compiled) for compiled in (False, True))
    assert_frame_equal(one, other, check_exact=True)
    assert_frame_equal(one.select(*SCHEMA), frame)
    assert one.columns == [*SCHEMA, *MEASURES]
    alone = [measure(frame[i : i + 1], LANGUAGES, compiled=False) for i in range(len(rows))]
    if alone:
        assert_frame_equal(pl.concat(alone), one)


def test_slices_are_put_together_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("Why é?", "a b"), ("Why?", "a"), (None, "b é c"), ("b", "b"), ("é", "")]
    whole = measured(*rows)
    monkeypatch.setattr("synth.tables.measures.SLICE", 2)
    assert_frame_equal(measured(*rows), whole)


FEW_WORDS = st.lists(st.sampled_from("a b ccc ddd".split()), max_size=70).map(" ".join)


@settings(deadline=None)
@given(st.lists(FEW_WORDS, min_size=1, max_size=3), st.booleans())
def test_ngrams_are_counted_as_by_hand(texts: list[str], compiled: bool) -> None:
    top, again = ngrams(
        words(pl.Series(texts), compiled=False), {2: 0.2, 3: 0.1}, {4: 0.1}, compiled=compiled
    )
    for row, text in enumerate(texts):
        said = text.split()
        most = {n: max(Counter(grams(said, n)).values(), default=0) for n in (2, 3)}
        shares = [
            min(n * most[n], len(said)) / max(50, len(said)) / limit if most[n] > 1 else 0.0
            for n, limit in ((2, 0.2), (3, 0.1))
        ]
        assert top[row] == pytest.approx(max(shares))
        fours = grams(said, 4)
        covered = {at + k for at, gram in enumerate(fours) if gram in fours[:at] for k in range(4)}
        assert again[row] == pytest.approx(len(covered) / max(50, len(said)) / 0.1)


def grams(said: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(said[i : i + size]) for i in range(len(said) - size + 1)]


@settings(deadline=None)
@given(st.lists(st.tuples(FEW_WORDS, FEW_WORDS), min_size=1, max_size=3), st.booleans())
def test_copied_words_are_the_longest_common_run(
    rows: list[tuple[str, str]], compiled: bool
) -> None:
    asked, said = (words(pl.Series(side), compiled=False) for side in zip(*rows, strict=True))
    found = copied_words(asked, said, compiled=compiled)
    for size, (one, other) in zip(found, rows, strict=True):
        match = SequenceMatcher(None, one.split(), other.split(), autojunk=False)
        assert size == match.find_longest_match().size


@settings(deadline=None)
@given(st.lists(st.tuples(FEW_WORDS, FEW_WORDS), min_size=1, max_size=3), st.booleans())
def test_words_are_looked_for_as_by_hand(rows: list[tuple[str, str]], compiled: bool) -> None:
    dressed = [("Oh " + one.upper(), other) for one, other in rows]
    asked, said = (words(pl.Series(side), compiled=False) for side in zip(*dressed, strict=True))
    repeated = repeats(asked, compiled=compiled)
    grounded = grounded_words(asked, said, compiled=compiled)
    strange = strange_names(asked, said, compiled=compiled)
    for row, (one, other) in enumerate(rows):
        sought, there = one.split(), other.split()
        kinds = {word for word in sought if len(word) > 2}
        assert repeated[row] == (len(sought) - len(set(sought))) / (1 + len(sought))
        assert grounded[row] == len(kinds & set(there)) / max(1, len(kinds))
        assert strange[row] == sum(len(word) > 1 and word not in there for word in sought)


MOJIBAKE = st.text("â€™œÃ©Â£½¹² aŒвЂ\u201aÄ√±ÐàØÙ\xd7°“”\x85\xa0\n[]", min_size=1, max_size=8)


@settings(deadline=None, max_examples=300)
@given(st.lists(MOJIBAKE, min_size=1, max_size=20))
def test_damage_is_what_ftfy_says(texts: list[str]) -> None:
    assert damaged(pl.Series(texts)).to_list() == [badness(text) for text in texts]

"""Contamination: what counts as a question in a text, what is spared, and the evidence shown."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.settings import Contamination
from synth.tables.contamination import FOUND, Hits, Index
from synth.tables.words import word_spans, words

FOX = "the quick brown fox jumps over a lazy dog while seven old owls watch from above"
SEA = "which of these rivers flows into the black sea after passing through four capital cities"


def found_in(
    texts: Sequence[str | None], questions: list[str], *, compiled: bool = False, **changes: Any
) -> Hits:
    frame = pl.DataFrame(
        {"benchmark": "b", "number": range(100, 100 + len(questions)), "question": questions},
        schema={"benchmark": pl.String, "number": pl.Int64, "question": pl.String},
    )
    index = Index.build(frame, Contamination(benchmarks=[], **changes), compiled=compiled)
    return index.hits(pl.Series(texts, dtype=pl.String), compiled=compiled)


def rows(hits: Hits) -> list[int]:
    assert hits.found.schema == pl.Schema(FOUND)
    return hits.found["row"].to_list()


def first(text: str, count: int) -> str:
    return " ".join(text.split()[:count])


def test_thirteen_words_in_a_row_are_found_and_twelve_are_not() -> None:
    texts = [f"so {first(FOX, count)} ended it" for count in (12, 13, 16)]
    assert rows(found_in(texts, [FOX])) == [1, 2]
    assert rows(found_in(texts, [FOX], words=12)) == [0, 1, 2]
    assert rows(found_in([f"{first(FOX, 9)} er {first(FOX, 9)}"], [FOX])) == []


def test_the_evidence_is_cut_from_both_as_they_are_written() -> None:
    text = "Read: THE QUICK, brown fox\njumps (over a lazy dog) while seven old owls... watch TV."
    question = f"Why? {FOX.capitalize()}!"
    hits = found_in(["nothing", text, None], [SEA, question])
    assert hits.found.to_dicts() == [
        {
            "row": 1,
            "benchmark": "b",
            "number": 101,
            "span": text[6:-4],
            "question_span": "The quick brown fox jumps over a lazy dog while seven old owls watch",
            "coverage": 14 / 17,
        }
    ]
    assert hits.spared.tolist() == []


def test_the_question_with_most_words_in_runs_is_shown_and_its_longest_run() -> None:
    text = f"{first(FOX, 13)} / {first(SEA, 14)} / {first(FOX, 13)}"
    both = f"{first(FOX, 13)} and {first(SEA, 14)} too"
    assert found_in([text], [FOX, SEA]).found["number"].to_list() == [101]
    assert found_in([text], [FOX, SEA, both]).found.row(0)[2:] == (
        102,
        first(SEA, 14),
        first(SEA, 14),
        27 / 29,
    )
    torn = f"{' '.join(FOX.split()[3:])} / {first(SEA, 3)} / {first(FOX, 15)}"
    assert found_in([torn], [FOX]).found.row(0)[3:] == (first(FOX, 15), first(FOX, 15), 1.0)
    assert found_in([FOX], [FOX, FOX]).found["number"].to_list() == [100]


def test_a_run_does_not_cross_from_one_text_to_the_next() -> None:
    halves: Sequence[str | None] = [first(FOX, 8), " ".join(FOX.split()[8:])]
    assert rows(found_in(halves, [FOX])) == []
    assert rows(found_in([FOX], [str(half) for half in halves], words=9)) == [0]
    assert rows(found_in([FOX], [first(FOX, 7), " ".join(FOX.split()[7:14])], words=8)) == []
    # The second text goes on, in its place and the question's, where the first ends.
    follows = [first(FOX, 13), f"so {' '.join(FOX.split()[1:14])}"]
    assert found_in(follows, [FOX]).found["span"].to_list() == [follows[0], follows[1][3:]]


@pytest.mark.parametrize("compiled", [False, True])
def test_words_at_hand_give_the_same(compiled: bool) -> None:
    asked = [FOX, SEA, *(f"{first(FOX, 13)} {i} of {SEA[i:]}" for i in range(3)), first(SEA, 9)]
    texts = pl.Series(["none", first(FOX, 13), None, f"{SEA}, {FOX}", "", f"so {first(SEA, 9)}"])
    frame = pl.DataFrame({"benchmark": "b", "number": range(len(asked)), "question": asked})
    index = Index.build(frame, Contamination(benchmarks=[]), compiled=compiled)
    one = index.hits(texts, compiled=compiled)
    parts = [
        index.shared(words(texts[first : first + 2], compiled=compiled), first, compiled=compiled)
        for first in range(0, len(texts), 2)
    ]
    other = index.told(parts, texts)
    assert (rows(one), one.spared.tolist()) == ([3, 5], [1])
    assert one.found.equals(other.found)
    assert one.spared.tolist() == other.spared.tolist()


def test_rows_are_counted_through_blocks_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.tables.contamination._BLOCK", 2)
    hits = found_in([None, FOX, "", first(FOX, 13), SEA], [f"{FOX} {i}" for i in range(3)])
    assert (rows(hits), hits.spared.tolist()) == ([1, 3], [])


@pytest.mark.parametrize("compiled", [False, True])
def test_wording_of_many_questions_is_spared_and_counted(compiled: bool) -> None:
    asked = [f"{FOX} variant {i} of {'abcd'[i]}" for i in range(4)]
    texts: Sequence[str | None] = [FOX, f"{FOX} variant 2 of", "clean"]
    hits = found_in(texts, [*asked, SEA], compiled=compiled)
    assert (rows(hits), hits.spared.tolist()) == ([1], [0])
    # Only runs that reach past the stock wording count, of which those ending in "2" are the first.
    assert hits.found.row(0)[2] == 102
    assert hits.found.row(0)[3] == " ".join(FOX.split()[5:]) + " variant 2 of"
    assert rows(found_in(texts, [*asked, SEA], compiled=compiled, stock_questions=5)) == [0, 1]
    assert rows(found_in(texts, [asked[0]] * 3, compiled=compiled)) == [0, 1]
    twice_in_one = [f"{FOX}. {FOX}. {FOX}. {FOX}."]
    assert rows(found_in(texts, twice_in_one, compiled=compiled)) == [0, 1]


def test_runs_inside_an_ignored_phrase_do_not_count() -> None:
    phrase = "The quick, brown fox jumps over a lazy dog while seven old owls watch"
    hits = found_in([FOX, first(FOX, 14), SEA], [FOX, SEA], ignore=[phrase, "black sea"])
    assert (rows(hits), hits.spared.tolist()) == ([0, 2], [1])
    short = found_in([FOX], [first(FOX, 9)], ignore=[phrase])
    assert (rows(short), short.spared.tolist()) == ([], [0])


def test_coverage_asks_for_a_share_of_the_question() -> None:
    text = first(SEA, 13)
    assert found_in([text], [SEA]).found["coverage"].to_list() == [13 / 15]
    assert rows(found_in([text], [SEA], coverage=13 / 15)) == [0]
    hits = found_in([text], [SEA], coverage=0.9)
    assert (rows(hits), hits.spared.tolist()) == ([], [])
    # The question with fewer words in runs, but a larger share of its own, is the one that is left.
    longer = f"{first(SEA, 14)} {' '.join(f'w{i}' for i in range(20))}"
    texts: Sequence[str | None] = [first(SEA, 14)]
    assert found_in(texts, [longer, text], coverage=0.9).found["number"].to_list() == [101]


def test_short_questions_must_stand_there_as_a_whole() -> None:
    eight, nine = (
        "who wrote the novel about the white whale",
        "what is the name of the largest moon of",
    )
    texts: Sequence[str | None] = [
        f"Tell me: {eight}?",
        first(eight, 7),
        f"{nine} Mars",
        first(nine, 8),
    ]
    hits = found_in(texts, [eight, nine, first(FOX, 7)])
    assert hits.found.select("row", "number", "coverage").rows() == [(0, 100, 1.0), (2, 101, 1.0)]
    assert rows(found_in([first(FOX, 7)], [first(FOX, 7)])) == []
    longer = f"{nine} some planet"
    assert found_in(texts, [longer, nine]).found["number"].to_list() == [101]
    stock = found_in(texts, [nine, eight, *(f"{nine} planet {i} in {SEA}" for i in range(3))])
    assert (rows(stock), stock.spared.tolist()) == ([0], [2])


def test_each_character_is_a_word_where_there_are_no_spaces() -> None:
    question = "日本で一番高い山は何という山ですか"
    texts: Sequence[str | None] = [f"質問:{question}", question[:13], question[:12], "日本の山"]
    hits = found_in(texts, [question])
    assert rows(hits) == [0, 1]
    assert hits.found["span"].to_list() == [question, question[:13]]


def test_nothing_is_found_where_there_is_nothing() -> None:
    for compiled in (False, True):
        assert rows(found_in([], [FOX], compiled=compiled)) == []
        assert rows(found_in([FOX, None, ""], [], compiled=compiled)) == []
        assert rows(found_in([None, ""], ["", FOX], compiled=compiled)) == []


def holds(text: list[str], run: list[str]) -> bool:
    return any(text[i : i + len(run)] == run for i in range(len(text) - len(run) + 1))


def places_of(text: list[str], question: list[str], size: int) -> list[range]:
    """Words of the question that stand in the text, run by run, found the long way."""
    length = min(size, len(question))
    if length < min(size, 8):
        return []
    starts = range(len(question) - length + 1)
    return [range(i, i + length) for i in starts if holds(text, question[i : i + length])]


def expected(
    texts: list[list[str]], asked: list[list[str]], *, size: int, stock: int, coverage: float
) -> tuple[list[tuple[int, int, float]], list[int]]:
    """Row, question and coverage of each hit, and the rows spared, found the long way."""
    hits, spared = [], []
    for row, text in enumerate(texts):
        shared, counting = 0, []
        for number, question in enumerate(asked):
            runs = places_of(text, question, size)
            shared += len(runs)
            rare = [
                run
                for run in runs
                if sum(holds(other, [question[i] for i in run]) for other in asked) < stock
            ]
            covered = len({place for run in rare for place in run})
            if covered:
                counting.append((-covered, 100 + number, covered / len(question)))
        best = min([hit for hit in counting if hit[2] >= coverage], default=None)
        if best:
            hits.append((row, *best[1:]))
        if shared and not counting:
            spared.append(row)
    return hits, spared


SOME_WORDS = st.lists(st.sampled_from("ab"), max_size=16)


@settings(deadline=None, max_examples=100)
@given(
    texts=st.lists(SOME_WORDS, max_size=4),
    asked=st.lists(SOME_WORDS, max_size=5),
    size=st.integers(5, 11),
    stock=st.integers(2, 4),
    coverage=st.sampled_from([0.0, 0.6, 0.9]),
)
def test_it_finds_what_the_long_way_finds(
    texts: list[list[str]], asked: list[list[str]], size: int, stock: int, coverage: float
) -> None:
    lines: Sequence[str | None] = [" ".join(text) for text in texts]
    for compiled in (False, True):
        hits = found_in(
            lines,
            [", ".join(question).upper() for question in asked],
            compiled=compiled,
            words=size,
            stock_questions=stock,
            coverage=coverage,
        )
        told = hits.found.select("row", "number", "coverage").rows()
        assert (told, hits.spared.tolist()) == expected(
            texts, asked, size=size, stock=stock, coverage=coverage
        )
        for text, question in hits.found.select("span", "question_span").iter_rows():
            assert text.split() == question.lower().split(", ")
            assert len(text.split()) >= min(size, 8)


WILD = st.lists(st.text(max_size=30), max_size=6)


@settings(deadline=None, max_examples=50)
@given(texts=WILD, asked=WILD)
def test_both_ways_agree_on_any_text(texts: list[str], asked: list[str]) -> None:
    # Questions stand in the texts too, so that there is something to find.
    lines: Sequence[str | None] = [
        *texts,
        *asked,
        *(f"{a} {b}" for a, b in zip(texts, asked, strict=False)),
    ]
    one, other = (found_in(lines, asked, compiled=compiled, words=5) for compiled in (False, True))
    assert one.found.equals(other.found)
    assert one.spared.tolist() == other.spared.tolist()
    for row, number, text, question in one.found.select(
        "row", "number", "span", "question_span"
    ).iter_rows():
        assert text in str(lines[row])
        assert question in asked[number - 100]
        assert len(word_spans(text)) == len(word_spans(question)) >= 5

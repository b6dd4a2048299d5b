"""What a report draws of rows, and which rows it shows."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from synth.settings import Curate
from synth.tables.overview import (
    KEPT,
    NUMBERS,
    histograms,
    licence,
    shares,
    similarities,
    source,
    stratified,
)
from synth.text.verbs import asked, verb_and_object


def numbers(**columns: list[Any]) -> pl.DataFrame:
    """Rows of `NUMBERS`; what is not named is null."""
    size = len(next(iter(columns.values())))
    schema = {"reason": pl.String, **dict.fromkeys(NUMBERS, pl.Float32)}
    rows = {name: columns.get(name, [None] * size) for name in schema}
    return pl.DataFrame(rows, schema=schema, strict=False)


def test_every_value_is_in_one_bin() -> None:
    values = [-9.0, *np.linspace(-2, -0.1, 500).tolist(), float("nan"), None]
    frame = numbers(reason=[KEPT, *["unlikely"] * 500, KEPT, KEPT], logprob=values)
    (drawn,) = histograms(frame, Curate(), [])
    assert drawn.name == "logprob"
    assert len(drawn.edges) == len(drawn.counts["kept"]) + 1
    assert drawn.edges == sorted(drawn.edges)
    assert sum(drawn.counts["kept"]) == 1  # neither NaN nor null
    assert sum(drawn.counts["rejected"]) == 500
    assert drawn.counts["kept"][0] == 1  # beyond the edge, and so in the bin there
    assert drawn.limits == [{"setting": "min_logprob", "value": -2.0}]


def test_lengths_are_drawn_against_the_pairs() -> None:
    frame = numbers(reason=[KEPT] * 3, instruction_chars=[10, 11, 12], text_chars=[5, 5, 5])
    asked_chars, said_chars = histograms(frame, Curate(), [(10, 700), (12, 800)])
    assert asked_chars.edges == [10.0, 11.0, 12.0, 13.0]
    assert asked_chars.counts == {"kept": [1, 1, 1], "pairs": [1, 0, 1]}
    assert sum(said_chars.counts["pairs"]) == 2
    assert [limit["value"] for limit in asked_chars.limits] == [10, 500]


def test_duplicates_are_drawn_by_their_likeness() -> None:
    repeats = pl.DataFrame(
        {"reason": ["near_text", "near_text", "same_text"], "value": ["0.71", "0.9", None]}
    )
    drawn = similarities(repeats, Curate())
    assert drawn is not None
    at = {
        name: [drawn.edges[bin_] for bin_, n in enumerate(counts) if n]
        for name, counts in drawn.counts.items()
    }
    assert at == {"near_text": [0.7, 0.9], "same_text": [1.0]}
    assert similarities(repeats.clear(), Curate()) is None


def test_duplicates_in_meaning_are_drawn_with_their_threshold() -> None:
    rows = {
        "reason": ["near_text", "semantic_text", "semantic_text"],
        "value": ["0.8", "0.9", "0.31"],
    }
    settings = Curate.model_validate({"duplicates": {"semantic": 0.3}, "embedder": "e"})
    drawn = similarities(pl.DataFrame(rows), settings)
    assert drawn is not None
    assert sum(map(sum, drawn.counts.values())) == 3
    assert drawn.edges[0] == 0.3
    assert drawn.limits == [
        {"setting": "duplicates.near", "value": 0.7},
        {"setting": "duplicates.semantic", "value": 0.3},
    ]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ('{"source": "wiki", "url": "https://a.example/x"}', "wiki"),
        ('{"url": "https://a.example:80/x?y#z"}', "a.example:80"),
        ('{"url": "no address"}', ""),
        ("{}", ""),
    ],
)
def test_where_a_row_is_from(metadata: str, expected: str) -> None:
    frame = pl.DataFrame({"metadata": [metadata]})
    assert frame.select(source()).item() == expected


def test_shares_count_kept_and_rejected() -> None:
    rows = pl.LazyFrame(
        {
            "reason": [KEPT, "unlikely", KEPT, "links"],
            "metadata": ['{"licence": "MIT"}'] * 3 + ["{}"],
        }
    )
    assert shares(rows, licence()) == [("MIT", 2, 1), ("", 0, 1)]


def test_few_rows_are_all_shown() -> None:
    frame = pl.DataFrame({"reason": [KEPT] * 5, "logprob": [None] * 5, "segment_id": list("abcde")})
    assert stratified(frame, 5)["place"].to_list() == [0, 1, 2, 3, 4]


def test_a_sample_has_some_of_every_reason_and_is_even_over_scores() -> None:
    draw = np.random.default_rng(3)
    reasons = [KEPT] * 6000 + ["near_text"] * 3000 + ["links"] * 50 + ["declined"] * 3
    frame = pl.DataFrame(
        {
            "reason": reasons,
            "logprob": draw.uniform(-2, 0, len(reasons)),
            "segment_id": [f"{n:016x}" for n in range(len(reasons))],
        }
    )
    taken = stratified(frame, 1000)
    assert taken["place"].is_sorted()
    assert taken["place"].is_unique().all()
    counts = dict(taken.group_by("reason").len().iter_rows())
    assert counts == {KEPT: 500, "near_text": 491, "links": 40, "declined": 3}
    kept = frame[taken.filter(pl.col("reason") == KEPT)["place"]]["logprob"]
    everything = frame.filter(pl.col("reason") == KEPT)["logprob"]
    for quantile in (0.1, 0.5, 0.9):
        assert kept.quantile(quantile) == pytest.approx(everything.quantile(quantile), abs=0.02)


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("Write a short story about a brave dog.", ("write", "story")),
        ("Please rewrite the following sentence in passive voice.", ("rewrite", "sentence")),
        ("Can you summarize the history of Rome?", ("summarize", "history")),
        ("How do I make a chocolate cake?", ("make", "cake")),
        ("What are the different types of grass?", ("what", "type")),
        ("Explain.", None),
        ("!!!", None),
        ("", None),
    ],
)
def test_verb_and_object(instruction: str, expected: tuple[str, str] | None) -> None:
    assert verb_and_object(instruction) == expected


def test_verbs_are_counted() -> None:
    found = asked(["Write a poem.", "Write a poem about rain.", "Hm"])
    assert found == {("write", "poem"): 2}

"""What lies in `candidates/`: ids, answers that can be used again, and rows that add up."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.records import Completion, Segment
from synth.settings import Generate
from synth.store.candidate_rows import candidates, unanswered
from synth.store.candidates import Asked, Scores, Shards, finished, writing_segments
from synth.store.idset import IdSet
from synth.store.run import Run

BATCHES = st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=12)


@given(BATCHES)
def test_an_id_set_is_a_set(batches: list[list[int]]) -> None:
    ids, expected = IdSet(), set()
    for batch in batches:
        fresh = ids.add(np.array(batch, dtype=np.uint64))
        for number, new in zip(batch, fresh, strict=True):
            assert new == (number not in expected)
            expected.add(number)
        everything = np.arange(41, dtype=np.uint64)
        assert {int(n) for n in everything[ids.holds(everything)]} == expected


def test_an_id_set_takes_eight_bytes_an_id_and_stays_quick() -> None:
    ids = IdSet()
    for start in range(0, 200_000, 500):
        ids.add(np.arange(start, start + 500, dtype=np.uint64))
    assert sum(run.nbytes for run in ids._runs) == 8 * 200_000
    assert len(ids._runs) < 20


def asked(number: int) -> Asked:
    return Asked(number, Segment.of("d", 0, 1, "t"), 0, 7, "", False, [1])


def said(**changes: object) -> Completion:
    values = {"text": "What?", "tokens": 5, "finish": "stop", "logprob": -0.5} | changes
    return Completion(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("completion", "limit", "fits"),
    [
        (said(), 5, True),
        (said(), 4, False),
        (said(finish="length"), 5, True),
        (said(finish="length"), 6, False),
        (said(finish="error", tokens=0, text="", error="no"), 5, False),
    ],
)
def test_an_answer_is_used_again_where_the_settings_would_give_it(
    tmp_path: Path, completion: Completion, limit: int, fits: bool
) -> None:
    run = Run(tmp_path)
    Shards(run, "{}").write([(asked(3), completion, Scores())])
    found = finished(run, Generate(max_new_tokens=limit))
    assert found.holds(np.array([3], dtype=np.uint64)).tolist() == [fits]
    scored = finished(run, Generate(max_new_tokens=limit, scores=["ifd"]))
    assert not scored.holds(np.array([3], dtype=np.uint64)).any()


def test_every_segment_has_its_rows_whatever_else_lies_in_the_shards(tmp_path: Path) -> None:
    run, settings = Run(tmp_path), Generate(max_new_tokens=5)
    with writing_segments(run) as add:
        add([Segment.of("d", 0, 1, "a"), Segment.of("d", 1, 2, "b", "short")], [[1, 2], []])
        add([], [])
        add([Segment.of("e", 0, 1, "c")], [[3]])
    Shards(run, "{}").write([
        (asked(2), said(text="two"), Scores()),
        (asked(3), said(finish="error", error="e"), Scores()),
        (asked(9), said(text="of another corpus"), Scores()),
    ])  # fmt: skip
    assert unanswered(run, settings) == 1
    later = Shards(run, "{}")
    later.write([(asked(1), said(text="one"), Scores()), (asked(3), said(text="3"), Scores())])
    assert [path.name for path in run.shards()] == ["part-00000.parquet", "part-00001.parquet"]
    assert unanswered(run, settings) == 0
    rows = candidates(run, settings).select("document_id", "start", "skip", "instruction").collect()
    assert rows.rows() == [
        ("d", 0, "", "one"),
        ("d", 0, "", "two"),
        ("d", 1, "short", None),
        ("e", 0, "", "3"),
    ]


def test_segments_are_written_in_groups_and_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synth.store.candidates._ROW_GROUP", 2)
    run = Run(tmp_path)
    with writing_segments(run) as add:
        for n in range(5):
            add([Segment.of(f"d{n}", 0, 1, "a")], [[n]])
    assert pl.read_parquet(run.segments)["document_id"].to_list() == [f"d{n}" for n in range(5)]
    with pytest.raises(KeyboardInterrupt), writing_segments(run) as add:
        add([Segment.of("x", 0, 1, "a")], [[]])
        raise KeyboardInterrupt
    assert pl.read_parquet(run.segments).height == 5
    assert not list(tmp_path.rglob("*.part"))

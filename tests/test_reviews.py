"""What people said of rows: kept through kills and crowds, and obeyed by curation."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from synth.errors import InputError, RunError
from synth.store.reviews import Mark, add_mark, read_marks
from synth.store.run import Run
from synth.tables.claims import claims
from synth.tables.reviews import candidate_ids, overruled, review_sample, reviewed, share_interval
from tests.candidates import ID, TOOLS, reasons, row, sort


def mark(number: int = 0, verdict: str = "bad", comment: str = "", **changes: Any) -> Mark:
    """Of the row of that number."""
    of = {"candidate": name_of(row(number)), "segment_id": ID[number], "sample": 0}
    return Mark(**{**of, "verdict": verdict, "comment": comment, **changes})


def name_of(one: dict[str, Any]) -> str:
    return str(candidate_ids(pl.DataFrame([one]))[0])


def lines(run: Run) -> list[str]:
    return run.reviews.read_text("utf-8").splitlines()


# --- the file ----------------------------------------------------------------------------------


def test_the_latest_mark_holds_and_one_taken_back_is_none(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    assert read_marks(run) == {}
    first = add_mark(run, mark(0, "bad", "not so\nat all \u2028 漢字"))
    add_mark(run, mark(1, "good"))
    last = add_mark(run, mark(2, "bad"))
    assert read_marks(run)[first.candidate] == first
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.time)
    add_mark(run, mark(1, ""))
    now = add_mark(run, mark(0, "good"))
    assert list(read_marks(run).values()) == [now, last]
    assert len(run.reviews.read_bytes().split(b"\n")) == 6
    assert json.loads(lines(run)[-1]) == asdict(now)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verdict": "great"}, "verdict 'great' is none of 'good', 'bad', ''"),
        ({"comment": "x" * 2001}, "comment has 2001 characters, at most 2000 can be kept"),
        ({"comment": "\ud83d"}, "half a character"),
        ({"comment": None}, "comment or time is no text"),
        ({"candidate": "../../etc"}, "candidate is no id"),
        ({"segment_id": 7}, "segment_id is no id"),
        ({"sample": -1}, "sample is no number"),
        ({"sample": True}, "sample is no number"),
    ],
)
def test_a_mark_that_cannot_be_kept_is_one_line(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as told:
        add_mark(Run(tmp_path), mark(**changes))
    assert "\n" not in str(told.value)
    assert not Run(tmp_path).reviews.exists()
    assert add_mark(Run(tmp_path), mark(comment="x" * 2000)).comment == "x" * 2000


def test_a_torn_last_line_is_passed_over_and_swallows_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    kept = [add_mark(run, mark(number)) for number in range(2)]
    whole = run.reviews.read_bytes()
    for size in range(len(lines(run)[0]) + 1, len(whole)):
        run.reviews.write_bytes(whole[:size])
        is_whole = size == len(whole) - 1  # only the end of the line is missing
        assert list(read_marks(run).values()) == kept[: 2 if is_whole else 1]
        added = add_mark(run, mark(2))
        assert list(read_marks(run).values()) == [*kept[: 2 if is_whole else 1], added]


@pytest.mark.parametrize(
    "line", [b"nonsense", b"[]", b'{"candidate": 1}', b"\xff", b'{"a": 1}', b'"good"', b"12"]
)
def test_a_line_that_is_no_mark_is_named(line: bytes, tmp_path: Path) -> None:
    run = Run(tmp_path)
    add_mark(run, mark(0))
    run.reviews.write_bytes(b"\n" + run.reviews.read_bytes() + line + b"\n")
    with pytest.raises(InputError, match=r"reviews\.jsonl:3: .*; correct or delete the line"):
        read_marks(run)


def test_marks_that_cannot_be_read_or_written_are_one_line(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.reviews.mkdir()
    with pytest.raises(RunError, match=r"reviews\.jsonl: cannot be read and written: Is a dir"):
        read_marks(run)
    with pytest.raises(RunError, match=r"reviews\.jsonl: cannot be read and written: Is a dir"):
        add_mark(run, mark(0))


def test_a_full_disk_is_one_line_and_leaves_no_half_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    kept = add_mark(run, mark(0))
    whole, write = run.reviews.read_bytes(), os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: write(file, data[:20]))
        with pytest.raises(RunError, match=r"reviews\.jsonl: the disk is full"):
            add_mark(run, mark(1))
    assert run.reviews.read_bytes() == whole
    assert list(read_marks(run).values()) == [kept]


WRITER = """
import sys
from pathlib import Path
from synth.store.reviews import Mark, add_mark
from synth.store.run import Run
folder, name = sys.argv[1:]
for number in range(100_000):
    add_mark(Run(Path(folder)), Mark(f"{name}{number:015x}", "0" * 16, number, "bad", "x" * 1500))
    print(number, flush=True)
"""


def test_processes_that_append_at_once_and_are_killed_lose_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = {
        name: subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True)
        for name in "abc"
    }
    told = Counter[str]()

    def listen(name: str) -> None:
        with writers[name] as writer:
            for _ in writer.stdout or ():
                told[name] += 1

    ears = [threading.Thread(target=listen, args=(name,)) for name in writers]
    for ear in ears:
        ear.start()
    deadline = time.monotonic() + 60
    for name, least in (("a", 20), ("b", 40), ("c", 60)):
        while told[name] < least and time.monotonic() < deadline:
            time.sleep(0.001)
        writers[name].send_signal(signal.SIGKILL)
    for ear in ears:
        ear.join()
    assert min(told.values()) >= 20
    found = Counter(name[0] for name in read_marks(run))
    for name, count in told.items():
        assert count <= found[name] <= count + 1  # the last one may not have been told of
        numbers = [
            one["sample"] for one in map(json.loads, lines(run)) if one["candidate"][0] == name
        ]
        assert numbers == list(range(found[name]))


# --- curation ----------------------------------------------------------------------------------


def marked(*rows: dict[str, Any], comment: str = "") -> Any:
    """Tools of curation that know these rows as bad."""
    bad: dict[str, dict[str, str]] = {}
    for one in rows:
        bad.setdefault(one["segment_id"], {})[name_of(one)] = comment
    return replace(TOOLS, bad=bad)


def test_a_row_marked_bad_goes_and_says_why() -> None:
    rows = [row(number) for number in range(20)]
    result = sort(*rows, tools=marked(rows[3], rows[9], comment="it is no hut"))
    assert reasons(result) == {ID[3]: "reviewed", ID[9]: "reviewed"}
    assert result.rejected["value"].to_list() == ["it is no hut"] * 2
    assert result.rejected["evidence"].null_count() == 2
    assert result.verdicts.buckets() == {"kept": 18, "reviewed": 2}
    silent = sort(*rows, tools=marked(rows[3]))
    assert silent.rejected["value"].to_list() == ["bad"]


def test_people_are_asked_before_rules_and_after_what_was_never_made() -> None:
    skipped = row(0, skip="short", instruction=None, finish=None)
    failed = row(1, finish="error", instruction="", error="400")
    unlikely = row(2, logprob=-3.0)
    result = sort(skipped, failed, unlikely, row(3), tools=marked(skipped, failed, unlikely))
    assert reasons(result) == {ID[0]: "segment_short", ID[1]: "engine_error", ID[2]: "reviewed"}
    evidence = result.rejected.filter(pl.col("reason") == "reviewed")["evidence"]
    assert evidence.to_list() == ['{"also":"unlikely"}']


def test_a_duplicate_of_a_row_marked_bad_stays() -> None:
    better = row(0, logprob=-0.1)
    twin = row(1, logprob=-0.9, text=better["text"], instruction="Define a thingaax.")
    assert reasons(sort(better, twin)) == {ID[1]: "same_text"}
    result = sort(better, twin, tools=marked(better))
    assert reasons(result) == {ID[0]: "reviewed"}


def test_a_sample_marked_bad_leaves_its_place_to_the_next() -> None:
    rows = [
        row(0, sample=n, instruction=f"What is a thingaax ({chr(97 + n)})?", logprob=-0.1 * (n + 1))
        for n in range(3)
    ]
    result = sort(*rows, tools=marked(rows[0]))
    assert result.curated["sample"].to_list() == [1]
    assert result.rejected["reason"].to_list() == ["reviewed", "outranked"]
    assert result.verdicts.buckets() == {"kept": 1}


def test_a_mark_does_not_hold_for_another_generation() -> None:
    old = row(0, provenance='{"adapter": "old"}')
    assert reasons(sort(row(0), row(1), tools=marked(old))) == {}
    assert reasons(sort(row(0), row(1), tools=marked(row(0, sample=1)))) == {}


def test_only_rows_of_marked_segments_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    ids = candidate_ids

    def spying(rows: pl.DataFrame) -> pl.Series:
        seen.append(rows.height)
        return ids(rows)

    rows = [row(number) for number in range(30)]
    tools = marked(rows[4])
    monkeypatch.setattr("synth.tables.reviews.candidate_ids", spying)
    assert reasons(sort(*rows, tools=tools)) == {ID[4]: "reviewed"}
    assert sum(seen) == 1


def test_claims_of_people_take_the_place_of_others() -> None:
    rows = pl.DataFrame([row(number) for number in range(3)]).with_row_index("position")
    bad = {ID[n]: {name_of(row(n)): "no"} for n in (0, 2)}
    found = claims(pl.Series([1, 2]), "private", value=pl.Series(["email", "key"]))
    claimed = overruled(found, reviewed(rows, bad)).sort("position")
    assert claimed.select("position", "reason", "value", "evidence").rows() == [
        (0, "reviewed", "no", None),
        (1, "private", "email", None),
        (2, "reviewed", "no", '{"also":"private"}'),
    ]


def test_private_data_of_a_comment_is_masked() -> None:
    tools = marked(row(0), comment="ask jane.doe@example.com")
    assert sort(row(0), row(1), tools=tools).rejected["value"].to_list() == ["ask <EMAIL_1>"]


# --- how many were good ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "read", "expected"),
    [
        (0, 0, (0.0, 1.0)),
        (0, 10, (0.0, 0.2775)),
        (10, 10, (0.7225, 1.0)),
        (5, 10, (0.2366, 0.7634)),
        (81, 263, (0.2553, 0.3662)),  # Newcombe 1998, table I
        (15, 148, (0.0624, 0.1605)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_the_interval_is_that_of_wilson(
    good: int, read: int, expected: tuple[float, float]
) -> None:
    assert share_interval(good, read) == pytest.approx(expected, abs=5e-5)


# --- what to read next -------------------------------------------------------------------------


def scored(count: int, first: int = 0) -> pl.DataFrame:
    """Rows whose scores fall with their number; every 50th has none."""
    numbers = range(first, first + count)
    scores = [None if n % 50 == 49 else -0.01 * n for n in numbers]
    names = [f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}" for n in numbers]
    schema = {"segment_id": pl.String, "sample": pl.Int64, "logprob": pl.Float64}
    return pl.DataFrame(list(zip(names, [0] * count, scores, strict=True)), schema, orient="row")


def test_a_sample_takes_as_many_of_each_tenth_however_early_one_stops() -> None:
    rows = scored(1000).sample(fraction=1, shuffle=True, seed=1)
    order = rows.with_row_index("place").sort("logprob", descending=True, nulls_last=True)
    tenths = {place: rank // 100 for rank, place in enumerate(order["place"])}
    sample = review_sample(rows, 200)
    assert sample.n_unique() == 200
    for read in (10, 50, 200):
        counts = Counter(tenths[place] for place in sample[:read])
        assert counts == dict.fromkeys(range(10), read // 10)
    assert sample[:30].to_list() == review_sample(rows, 30).to_list()
    assert set(Counter(tenths[p] for p in review_sample(rows, 25)).values()) == {2, 3}
    few = Counter(tenths[p] // 2 for p in review_sample(rows, 5))
    assert few == dict.fromkeys(range(5), 1)


def test_a_sample_hangs_on_content_and_seed_and_stays_when_rows_come_and_go() -> None:
    rows = scored(1000)
    names = set(rows["segment_id"].gather(review_sample(rows, 100)))
    mixed = rows.sample(fraction=1, shuffle=True, seed=3)
    assert set(mixed["segment_id"].gather(review_sample(mixed, 100))) == names
    fewer = rows.sample(fraction=0.98, seed=2)
    assert len(names & set(fewer["segment_id"].gather(review_sample(fewer, 100)))) >= 85
    other = set(rows["segment_id"].gather(review_sample(rows, 100, seed=1)))
    assert len(names & other) < 30


def test_a_sample_of_few_rows_is_all_of_them() -> None:
    for count in (0, 1, 4, 9, 13):
        rows = scored(count)
        assert sorted(review_sample(rows, 20)) == list(range(count))
        assert review_sample(rows, 0).len() == 0

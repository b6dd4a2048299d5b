"""`synth curate` over a run folder: equal bytes however it is read, and bad input named."""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import synth.tables.ahead as ahead
from synth.cli import app
from synth.errors import InputError, RunError
from synth.models.local import LocalModels
from synth.recipe import Recipe, load_recipe
from synth.stages.curate import curate, what_if
from synth.stages.explain import explain
from synth.stages.export import export
from synth.stages.sweep import sweep
from synth.store.candidate_rows import candidates
from synth.store.reviews import Mark, add_mark, read_marks
from synth.store.run import Run
from synth.tables.reviews import candidate_ids
from tests.candidates import ID, row

ANSWER = [
    "sample", "seed", "wanted", "shortened", "instruction", "finish", "tokens", "logprob",
    "r_ifd", "ifd", "error", "provenance",
]  # fmt: skip
MAIL = "jane.doe@example.com"


def recipe_of(*sets: str) -> Recipe:
    return load_recipe("nano", ["generate.scores=[]", *sets])


def made(count: int) -> list[dict[str, Any]]:
    """Good rows, among them repeats, private data, rows that fail, and a benchmark's question."""
    draw = random.Random(5)
    rows = []
    for number in range(count):
        one = row(number % 60, segment_id=f"{number * 7919:016x}", logprob=-draw.random())
        if number % 60 != number or number % 9 == 0:
            one["text"] += f" Its place is hut {chr(97 + number % 26)}{chr(97 + number // 26)}."
        if number % 5 == 0:
            one["text"] += f" Write to {MAIL} of it."
        if number % 11 == 0:
            one["logprob"] = -7.0
        rows.append(one)
    return rows


def run_of(folder: Path, rows: list[dict[str, Any]], shards: int = 1) -> Run:
    """A run folder with these candidates, their answers in so many shards, in random order."""
    run = Run(folder)
    run.open(recipe_of())
    run.segments.parent.mkdir()
    frame = pl.DataFrame(rows).with_columns(
        pl.int_range(1, len(rows) + 1, dtype=pl.UInt64).alias("n")
    )
    of_corpus = ["segment_id", "document_id", "start", "end", "text", "skip", "metadata"]
    segments = frame.select(*of_corpus, requests=pl.concat_list("n"))
    segments.write_parquet(run.segments)
    order = random.Random(shards).sample(range(len(rows)), len(rows))
    answers = frame[order].select(pl.col("n").alias("request"), *ANSWER)
    answers = answers.cast({"r_ifd": pl.Float64, "ifd": pl.Float64})
    size = -(-len(rows) // shards)
    for number, part in enumerate(answers.iter_slices(size)):
        part.write_parquet(run.shard(number))
    counts = {
        "documents": 1, "bad_lines": 0, "repeated_documents": 0, "empty_documents": 0,
        "segments": len(rows), "candidates": len(rows),
    }  # fmt: skip
    run.commit("backtranslate", "made", counts, time.time())
    return run


def hashes(run: Run) -> list[str]:
    files = (run.curated_file(0), run.rejected_file(0), run.ledger)
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def test_equal_bytes_over_shards_and_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = made(200)
    found = []
    for shards, threads in ((1, 1), (1, 2), (37, 2)):
        monkeypatch.setattr(ahead, "THREADS", threads)
        run = run_of(tmp_path / f"{shards}-{threads}", rows, shards)
        assert len(run.shards()) == min(shards, 34)  # of 6 each
        ledger = curate(run, recipe_of(), LocalModels()).counts
        found.append(hashes(run))
    assert found[0] == found[1] == found[2]
    assert {"kept", "near_text", "unlikely"} <= set(ledger["buckets"])
    assert sum(ledger["buckets"].values()) == 200
    assert ledger["masked"]["curated"]["email"] > 0


@pytest.mark.parametrize("noise", [-2e-7, 2e-7])
def test_what_stays_does_not_hang_on_an_engines_last_digits(tmp_path: Path, noise: float) -> None:
    rows = [row(1, logprob=-0.30002), row(2, text=row(1)["text"], logprob=-0.30002 + noise)]
    run = run_of(tmp_path / "run", rows)
    curate(run, recipe_of(), LocalModels())
    assert pl.read_parquet(run.curated)["segment_id"].to_list() == [min(ID[1], ID[2])]


def test_equal_bytes_in_a_process_of_one_thread(tmp_path: Path) -> None:
    rows = made(120)
    here = run_of(tmp_path / "here", rows)
    curate(here, recipe_of(), LocalModels())
    there = run_of(tmp_path / "there", rows)
    command = [sys.executable, "-m", "synth", "curate", "--run", str(there.folder), "--json"]
    alone = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--set", "generate.scores=[]"], check=True, env=alone)
    assert hashes(here) == hashes(there)


def test_private_data_is_nowhere_in_what_is_written(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", made(60))
    ledger = curate(run, recipe_of(), LocalModels()).counts
    for path in (run.curated, run.rejected):
        assert MAIL not in pl.read_parquet(path).write_json()
    masked = {name: counts["email"] for name, counts in ledger["masked"].items()}
    assert sum(masked.values()) == 12
    kept = curate(run, recipe_of("curate.private.email=keep"), LocalModels()).counts
    assert kept["masked"] == {"curated": {}, "rejected": {}}
    assert MAIL in pl.read_parquet(run.curated).write_json()


@pytest.mark.parametrize("damage", ["lose", "cut", "change the ledger"])
def test_what_is_lost_of_the_sorted_is_made_again(damage: str, tmp_path: Path) -> None:
    rows = made(30)
    run, recipe = run_of(tmp_path / "run", rows), recipe_of()
    assert not curate(run, recipe, LocalModels()).skipped
    whole = hashes(run)
    assert curate(run, recipe, LocalModels()).skipped
    if damage == "lose":
        run.rejected_file(0).unlink()
    elif damage == "cut":
        run.rejected_file(0).write_bytes(run.rejected_file(0).read_bytes()[:-9])
        with pytest.raises(RunError, match=r"cannot be read .*run `synth curate`"):
            explain(run, recipe, rows[0]["segment_id"])
    else:
        run.ledger.write_text("{}")
    assert not curate(run, recipe, LocalModels()).skipped
    assert hashes(run) == whole


def test_a_benchmark_without_a_question_is_an_error(tmp_path: Path) -> None:
    run, name = run_of(tmp_path / "run", made(5)), exam(tmp_path, "", " ")
    with pytest.raises(InputError, match="no question in the column 'question'"):
        curate(run, recipe_of(name), LocalModels())


@pytest.mark.parametrize(
    "columns", [(pl.exclude("logprob"),), (pl.exclude("tokens"), pl.col("tokens").cast(pl.String))]
)
def test_a_shard_with_other_columns_is_named(tmp_path: Path, columns: tuple[pl.Expr, ...]) -> None:
    run = run_of(tmp_path / "run", made(30), shards=3)
    pl.read_parquet(run.shard(1)).select(*columns).write_parquet(run.shard(1))
    with pytest.raises(RunError, match=r"part-00001\.parquet: cannot be read"):
        curate(run, recipe_of(), LocalModels())
    assert not run.curated


def test_a_rule_that_rejects_everything_leaves_an_account(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", made(30))
    strict = recipe_of('curate.rules=[{name: none, good: "text_words < 0", value: text_words}]')
    ledger = curate(run, strict, LocalModels()).counts
    assert ledger["buckets"]["kept"] == 0
    assert sum(ledger["buckets"].values()) == 30
    assert pl.read_parquet(run.curated).height == 0
    with pytest.raises(RunError, match="no row was kept"):
        export(run, strict, tmp_path / "out")


def test_no_candidates_at_all(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", made(1))
    pl.read_parquet(run.segments).clear().write_parquet(run.segments)
    run.shard(0).unlink()
    done = run.done("backtranslate")
    assert done is not None
    run.commit("backtranslate", "made", done.counts | {"segments": 0}, time.time())
    assert curate(run, recipe_of(), LocalModels()).counts["buckets"] == {"kept": 0}
    assert pl.read_parquet(run.curated).height == pl.read_parquet(run.rejected).height == 0


def marks_of(run: Run) -> dict[str, Mark]:
    """Segment id -> a mark, still without a verdict, of each candidate."""
    rows = candidates(run, recipe_of().generate).collect()
    names = zip(candidate_ids(rows), rows["segment_id"], strict=True)
    return {segment: Mark(name, segment, 0, "") for name, segment in names}


def say(run: Run, mark: Mark, verdict: str, comment: str = "") -> None:
    add_mark(run, replace(mark, verdict=verdict, comment=comment))


def test_marks_of_people_sort_again_and_without_a_new_one_nothing_is_done(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [row(n, logprob=-7.0 if n == 9 else -0.3) for n in range(10)])
    counts = curate(run, recipe_of(), LocalModels()).counts
    assert counts["buckets"] == {"kept": 9, "unlikely": 1}
    assert counts["reviewed"] == {"read": 0, "good": 0, "bad": 0}
    before, marks = hashes(run), marks_of(run)
    for number, verdict in enumerate(("bad", "good", "good")):
        say(run, marks[ID[number]], verdict, "no hut")
    # What a rule rejects is told apart: it says nothing of the rows kept.
    say(run, marks[ID[9]], "bad")
    done = curate(run, recipe_of(), LocalModels())
    assert done.counts["buckets"] == {"kept": 8, "reviewed": 2}
    assert done.counts["reviewed"] == {"read": 3, "good": 2, "bad": 1}
    assert json.loads(run.ledger.read_text("utf-8")) == done.counts
    told = pl.read_parquet(run.rejected).select("segment_id", "reason", "value", "evidence")
    assert told.rows() == [
        (ID[0], "reviewed", "no hut", None),
        (ID[9], "reviewed", "bad", '{"also":"unlikely"}'),
    ]
    assert curate(run, recipe_of(), LocalModels()).skipped
    say(run, marks[ID[1]], "good", "well put")  # a comment on a good row changes nothing
    assert curate(run, recipe_of(), LocalModels()).skipped
    for number in (0, 1, 2, 9):
        say(run, marks[ID[number]], "")
    assert not curate(run, recipe_of(), LocalModels()).skipped
    assert hashes(run) == before


def test_good_marks_on_rows_that_are_not_kept_do_not_count(tmp_path: Path) -> None:
    rows = [row(0), row(1, logprob=-7.0), row(2), row(3, text=row(2)["text"], logprob=-0.9)]
    run = run_of(tmp_path / "run", rows)
    for mark in marks_of(run).values():
        say(run, mark, "good")
    counts = curate(run, recipe_of(), LocalModels()).counts
    assert counts["buckets"] == {"kept": 2, "same_text": 1, "unlikely": 1}
    assert counts["reviewed"] == {"read": 2, "good": 2, "bad": 0}


def test_what_if_and_the_story_of_a_segment_know_the_marks(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [row(n) for n in range(6)])
    mark = marks_of(run)[ID[4]]
    say(run, mark, "bad", "no hut")
    assert what_if(run, {"as it is": recipe_of()}, LocalModels()).counts["kept"] == {"as it is": 5}
    curate(run, recipe_of(), LocalModels())
    (story,) = explain(run, recipe_of(), ID[4]).counts["samples"]
    assert (story["fate"], story["value"]) == ("reviewed", "no hut")
    assert story["mark"] == {
        "verdict": "bad", "comment": "no hut", "time": read_marks(run)[mark.candidate].time,
    }  # fmt: skip
    command = ["curate", "--run", str(run.folder), "--set", "generate.scores=[]"]
    told = CliRunner().invoke(app, [*command, "--explain", ID[4]])
    assert "no hut" in told.stdout


def test_the_ledger_and_the_card_tell_what_people_found(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [row(n) for n in range(20)])
    out, recipe = tmp_path / "out", recipe_of()
    curate(run, recipe, LocalModels())
    export(run, recipe, out)
    assert "were not read by people" in (out / "README.md").read_text("utf-8")
    rows = (out / "data" / "train-00000-of-00001.parquet").read_bytes()
    marks = list(marks_of(run).values())
    for mark in marks[:10]:
        say(run, mark, "good")
    command = ["export", "--run", str(run.folder), "--to", str(out), "--set", "generate.scores=[]"]
    told = CliRunner().invoke(app, command)
    assert (
        "reviewed: people read 10 rows and found 10 good: 100.0% (95 % interval 72.2% to 100.0%);"
        " those found bad (0) are removed" in told.stdout.splitlines()
    )
    card = (out / "README.md").read_text("utf-8")
    assert "People read 10 of the 20 rows that the rules kept" in card
    assert "100.0% (95 % interval 72.2% to 100.0%, Wilson 1927)." in card
    assert (out / "data" / "train-00000-of-00001.parquet").read_bytes() == rows
    say(run, marks[0], "bad")
    assert CliRunner().invoke(app, command).exit_code == 0
    card = (out / "README.md").read_text("utf-8")
    assert "found 9 good: 90.0% (95 % interval 59.6% to 98.2%, Wilson 1927). They were" in card
    assert "| rejected: reviewed | 1 |" in card.splitlines()


def test_a_comment_outlives_its_verdict_and_sorts_nothing(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [row(n) for n in range(4)])
    curate(run, recipe_of(), LocalModels())
    for number, mark in enumerate(marks_of(run).values()):
        comment = "odd" if number == 0 else ""
        for verdict in ("bad", ""):
            say(run, mark, verdict, comment)
    assert [(mark.verdict, mark.comment) for mark in read_marks(run).values()] == [("", "odd")]
    assert curate(run, recipe_of(), LocalModels()).skipped


def test_a_broken_mark_stops_curation_in_one_line(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [row(0)])
    run.reviews.write_text("good\n", encoding="utf-8")
    command = ["curate", "--run", str(run.folder), "--set", "generate.scores=[]", "--quiet"]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 1
    assert "reviews.jsonl:1: not a mark; correct or delete the line" in told.stderr
    assert len(told.stderr.splitlines()) == 1


QUESTION = (
    "Which of the following animals is known to sleep through most of the long winter in its den"
    " and to wake only when the first warm days of spring have come?"
)


def exam(folder: Path, *questions: str) -> str:
    path = folder / "exam.jsonl"
    path.write_text("".join(json.dumps({"question": one}) + "\n" for one in questions))
    return f"curate.contamination={{benchmarks: [{{path: {path}}}]}}"


def test_benchmarks_are_read_from_files_and_a_changed_one_is_read_again(tmp_path: Path) -> None:
    rows = [row(0, text=f"{row(0)['text']} {QUESTION}"), row(1)]
    run = run_of(tmp_path / "run", rows)
    recipe = recipe_of(exam(tmp_path, "What is a tool?"))
    assert curate(run, recipe, LocalModels()).counts["buckets"] == {"kept": 2}
    assert curate(run, recipe, LocalModels()).skipped
    assert recipe == recipe_of(exam(tmp_path, "What is a tool?", QUESTION))
    counts = curate(run, recipe, LocalModels()).counts
    assert counts["buckets"] == {"kept": 1, "contaminated": 1}
    assert counts["contamination"] == {"questions": 2, "spared": 0, "missing": {}}
    assert pl.read_parquet(run.rejected)["value"].to_list() == [f"{tmp_path}/exam.jsonl[1]"]


def test_a_benchmark_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", made(3))
    recipe = recipe_of("curate.contamination={benchmarks: [{path: nowhere.jsonl}]}")
    with pytest.raises(InputError, match=r"nowhere\.jsonl: no such file of questions"):
        curate(run, recipe, LocalModels())


def test_a_benchmark_out_of_reach_is_told_and_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path / "run", [row(0, text=f"{row(0)['text']} {QUESTION}"), row(1)])
    away = "curate.contamination={benchmarks: [{dataset: exams/winter}]}"
    command = ["curate", "--run", str(run.folder), "--set", "generate.scores=[]", "--set", away]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0
    assert "NOT CHECKED against exams/winter" in told.stdout
    assert curate(run, recipe_of(away), LocalModels()).skipped
    # Now the dataset can be had: here it is a folder of that name.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exams/winter").mkdir(parents=True)
    pl.DataFrame({"question": [QUESTION]}).write_parquet("exams/winter/test.parquet")
    done = curate(run, recipe_of(away), LocalModels())
    assert not done.skipped
    assert done.counts["buckets"] == {"kept": 1, "contaminated": 1}
    assert ID[0] in pl.read_parquet(run.rejected)["segment_id"].to_list()


def test_a_sweep_says_what_curate_would_keep_and_writes_nothing(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", made(60))
    asked = pl.DataFrame({"segment_id": [f"{7919:016x}", "f" * 16], "sample": [0, 0]})
    swept = {one.setting: one for one in sweep(run, recipe_of(), LocalModels(), asked)}
    assert not run.curated
    for one in (swept["min_logprob"], swept["duplicates.near"]):
        kept = curate(run, recipe_of(one.given[0]), LocalModels()).counts["buckets"]["kept"]
        there = f"{7919:016x}" in pl.read_parquet(run.curated)["segment_id"]
        assert (one.kept[0], one.stays[0].tolist()) == (kept, [there, False])
    now = curate(run, recipe_of(), LocalModels()).counts["buckets"]["kept"]
    assert {one.kept[one.current] for one in swept.values()} == {now}


def test_a_sweep_of_lists_is_asked_for_by_the_command(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", made(20))
    lists = "curate.allow_licences=[MIT,Apache-2.0],[nobody's],null"
    args = ["curate", "--run", str(run.folder), "--what-if", lists, "--json"]
    told = CliRunner().invoke(app, [*args, "--set", "generate.scores=[]"])
    kept = json.loads(told.stdout)["stages"]["what_if"]["kept"]
    assert list(kept) == ["[MIT,Apache-2.0]", "[nobody's]", "null"]
    assert kept["[nobody's]"] == 0 < kept["null"]


def test_progress_is_told_unless_nobody_wants_it(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", made(30))
    command = ["curate", "--run", str(run.folder), "--set", "generate.scores=[]"]
    loud = CliRunner().invoke(app, command)
    last = loud.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"curate: 30/30 candidates, [\d,.]+/s, 0:00:\d\d \(27 kept, 3 rejected; writing\)", last
    )
    run.forget("curate")
    quiet = CliRunner().invoke(app, [*command, "--quiet"])
    assert quiet.stderr == ""
    assert _but_for_time(quiet.stdout) == _but_for_time(loud.stdout)


def _but_for_time(text: str) -> str:
    return re.sub(r"done in [\d:]+", "done", text)

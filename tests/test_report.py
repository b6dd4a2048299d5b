"""`synth report`: what the page is made from, when it is made again, and how it is asked for."""

import base64
import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from synth.cli import app
from synth.errors import InputError, RunError
from synth.models.local import LocalModels
from synth.report import page as page_module
from synth.report.page import page
from synth.stages.curate import curate
from synth.stages.report import report
from synth.store.reviews import Mark, add_mark
from synth.store.run import Run
from tests.candidates import row
from tests.test_curate import made, recipe_of, run_of


def facts_in(path: Path) -> dict[str, Any]:
    """What lies in a page."""
    (packed,) = re.findall(r'id="data">([^<]*)<', path.read_text(encoding="utf-8"))
    facts: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed)))
    return facts


def curated_run(folder: Path, rows: list[dict[str, Any]], *sets: str) -> Run:
    run = run_of(folder, rows)
    curate(run, recipe_of(*sets), LocalModels())
    return run


def test_the_page_has_all_rows_where_they_are_few(tmp_path: Path) -> None:
    run = curated_run(tmp_path / "run", made(200))
    outcome = report(run, recipe_of(), LocalModels())
    facts = facts_in(run.report)
    assert outcome.counts["rows"] == len(facts["rows"]) == 200
    assert outcome.counts["bytes"] == run.report.stat().st_size
    assert len({row["candidate"] for row in facts["rows"]}) == 200
    counts = {one["reason"]: one["of"] for one in facts["strata"]}
    assert counts == facts["ledger"]["buckets"]
    assert all(one["shown"] == one["of"] for one in facts["strata"])
    near = [row for row in facts["rows"] if row["reason"] == "near_text"]
    assert near
    assert all(facts["others"][row["collided_with"]]["text"] for row in near)
    assert facts["review"] is False


def test_it_is_made_again_only_when_something_changed(tmp_path: Path) -> None:
    run = curated_run(tmp_path / "run", made(40))
    assert not report(run, recipe_of(), LocalModels()).skipped
    first = run.report.read_bytes()
    assert report(run, recipe_of(), LocalModels()).skipped
    kept = facts_in(run.report)["rows"][0]
    add_mark(run, Mark(kept["candidate"], kept["segment_id"], kept["sample"], "good"))
    assert not report(run, recipe_of(), LocalModels()).skipped
    assert run.report.read_bytes() != first
    run.report.unlink()
    assert not report(run, recipe_of(), LocalModels()).skipped


def test_private_data_is_masked_in_it(tmp_path: Path) -> None:
    run = curated_run(tmp_path / "run", made(40))
    report(run, recipe_of(), LocalModels())
    told = json.dumps(facts_in(run.report))
    assert "<EMAIL_1>" in told
    assert "jane.doe@example.com" not in told


def test_nothing_of_a_corpus_is_html(tmp_path: Path) -> None:
    wild = "</script><script>alert(1)</script>"
    run = curated_run(
        tmp_path / "run", [row(1, document_id=wild, metadata=json.dumps({"a": wild}))]
    )
    report(run, recipe_of(), LocalModels())
    assert "alert(1)" not in run.report.read_text(encoding="utf-8")
    assert facts_in(run.report)["rows"][0]["document_id"] == wild


def test_a_long_text_is_clipped_and_says_so(tmp_path: Path) -> None:
    text = row(1)["text"] + " word" * 300_000
    run = curated_run(tmp_path / "run", [row(1, text=text), row(2)])
    report(run, recipe_of(), LocalModels())
    shown = {one["segment_id"]: one for one in facts_in(run.report)["rows"]}
    long = shown[row(1)["segment_id"]]
    assert (len(long["text"]), long["clipped"]) == (20_000, len(text))
    assert run.report.stat().st_size < 1_500_000


def test_a_page_that_would_be_large_has_less_of_each_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synth.stages.report._PAGE", 1)
    monkeypatch.setattr("synth.stages.report._CLIPS", (20_000, 100))
    run = curated_run(tmp_path / "run", made(60))
    report(run, recipe_of(), LocalModels())
    assert max(len(one["text"]) for one in facts_in(run.report)["rows"]) == 100


def test_scores_without_bound_are_in_no_picture(tmp_path: Path) -> None:
    wild = [row(1, r_ifd=float("inf")), row(2, logprob=float("-inf")), row(3, r_ifd=0.5)]
    run = curated_run(tmp_path / "run", wild)
    report(run, recipe_of(), LocalModels())
    drawn = {one["name"]: one for one in facts_in(run.report)["portrait"]["histograms"]}
    assert sum(map(sum, drawn["r_ifd"]["counts"].values())) == 1
    assert sum(map(sum, drawn["logprob"]["counts"].values())) == 2


def test_a_rule_of_ones_own_is_no_duplicate_whatever_its_name(tmp_path: Path) -> None:
    sets = "curate.rules=[{name: near_end, good: text_words >= 9999, value: text}]"
    run = curated_run(tmp_path / "run", [row(1), row(2)], sets)
    report(run, recipe_of(sets), LocalModels())
    facts = facts_in(run.report)
    assert [one["reason"] for one in facts["rows"]] == ["near_end"] * 2
    assert "similarity" not in {one["name"] for one in facts["portrait"]["histograms"]}


def test_a_run_with_nothing_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with pytest.raises(RunError, match="nothing to report"):
        report(run, recipe_of(), LocalModels())


def test_a_package_without_the_page_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "_TEMPLATE", tmp_path / "page.html")
    with pytest.raises(InputError, match="install synth again"):
        page({})


def test_the_command_takes_the_recipe_of_the_run(tmp_path: Path) -> None:
    run = curated_run(tmp_path / "run", made(40), "curate.min_logprob=-1")
    run.open(recipe_of("curate.min_logprob=-1"))
    result = CliRunner().invoke(app, ["report", "--run", str(run.folder), "--quiet", "--json"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)["stages"]["report"]
    assert told["page"] == str(run.report)
    limits = [one["limits"] for one in facts_in(run.report)["portrait"]["histograms"]]
    assert [{"setting": "min_logprob", "value": -1.0}] in limits


def test_the_command_names_a_run_that_is_none(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", "--run", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "no run of synth here" in result.stderr


def test_a_row_knows_its_place_in_its_document(tmp_path: Path) -> None:
    spans = [(0, 100), (100, 230), (240, 300)]
    rows = [row(n, document_id="d", start=start, end=end) for n, (start, end) in enumerate(spans)]
    run = curated_run(tmp_path / "run", [*rows, row(9)])
    report(run, recipe_of(), LocalModels())
    shown = {one["segment_id"]: one for one in facts_in(run.report)["rows"]}
    middle = shown[rows[1]["segment_id"]]
    assert (middle["part"], middle["parts"], middle["document_end"]) == (2, 3, 300)
    assert middle["before"] == rows[0]["text"][-240:]
    assert middle["after"] == rows[2]["text"][:240]
    alone = shown[row(9)["segment_id"]]
    assert (alone["before"], alone["after"], alone["part"], alone["parts"]) == ("", "", 1, 1)


def test_a_run_with_the_candidates_of_others_has_a_page_too(tmp_path: Path) -> None:
    rows = made(60)
    ones = [run_of(tmp_path / name, part) for name, part in (("a", rows[:30]), ("b", rows[30:]))]
    run = Run(tmp_path / "both")
    run.open(recipe_of())
    curate(run, recipe_of(), LocalModels(), sources=[one.folder for one in ones])
    report(run, recipe_of(), LocalModels())
    facts = facts_in(run.report)
    assert len(facts["rows"]) == 60
    assert facts["sweeps"]


def test_thresholds_are_not_tried_on_rows_of_another_recipe(tmp_path: Path) -> None:
    run = curated_run(tmp_path / "run", made(60))
    report(run, recipe_of(), LocalModels())
    assert facts_in(run.report)["sweeps"]
    assert facts_in(run.report)["unswept"] == ""
    report(run, recipe_of("curate.min_logprob=-0.5"), LocalModels())
    assert facts_in(run.report)["sweeps"] == []
    assert "synth curate" in facts_in(run.report)["unswept"]


def test_marks_are_told_without_their_comments(tmp_path: Path) -> None:
    run = curated_run(tmp_path / "run", made(40))
    report(run, recipe_of(), LocalModels())
    kept = facts_in(run.report)["rows"][0]
    mark = Mark(kept["candidate"], kept["segment_id"], kept["sample"], "good", "ask jane.doe")
    add_mark(run, mark)
    report(run, recipe_of(), LocalModels())
    facts = facts_in(run.report)
    assert [(one["candidate"], one["verdict"]) for one in facts["marks"]] == [
        (kept["candidate"], "good")
    ]
    assert "ask jane.doe" not in json.dumps(facts)


def test_rows_sorted_before_their_candidates_changed_are_told_of(tmp_path: Path) -> None:
    run = curated_run(tmp_path / "run", made(60))
    report(run, recipe_of(), LocalModels())
    assert facts_in(run.report)["changed"] == ""
    stages = json.loads(run.manifest.read_text("utf-8"))
    stages["stages"]["backtranslate"]["finished"] = "2999-01-01T00:00:00Z"
    run.manifest.write_text(json.dumps(stages), "utf-8")
    report(run, recipe_of(), LocalModels())
    facts = facts_in(run.report)
    assert "have changed since" in facts["changed"]
    assert facts["unswept"] == facts["changed"]
    assert facts["sweeps"] == []


def test_a_run_without_its_candidates_is_drawn_all_the_same(tmp_path: Path) -> None:
    run = curated_run(tmp_path / "run", made(60))
    shutil.rmtree(run.candidates)
    report(run, recipe_of(), LocalModels())
    facts = facts_in(run.report)
    assert len(facts["rows"]) == 60
    assert "not in the run's folder" in facts["unswept"]

"""The command as users meet it: statuses, one-line errors, clean output, speed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from synth.cli.voice import safe
from synth.recipe import load_recipe
from synth.store.candidate_rows import candidates
from synth.store.run import Run
from tests.conftest import write_jsonl


def synth(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "synth", *args], cwd=cwd, capture_output=True, text=True, check=False
    )


def one_line_error(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1, result.stderr
    lines = [
        line
        for line in result.stderr.splitlines()
        if not line.startswith(("finetune:", "backtranslate:"))
    ]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("synth: ")
    return lines[0]


def test_help_is_quick() -> None:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        result = subprocess.run(
            [sys.executable, "-m", "synth", "--help"], capture_output=True, text=True, check=True
        )
        times.append(time.perf_counter() - started)
    assert "backtranslate" in result.stdout
    # 0.4 s on a quiet machine; twice that leaves room for a busy one.
    assert min(times) < 0.8


@pytest.mark.parametrize(
    "args",
    [
        ["finetune", "--bogus"],
        ["finetune", "--push-to-hub", ""],
        ["finetune", "--public"],
        ["backtranslate"],
        ["nonsense"],
        ["export"],
        ["curate", "--explain", "0", "--what-if", "curate.min_logprob=-1"],
        ["curate", "--what-if", "nonsense", "--what-if", "curate.min_logprob=-1"],
    ],
)
def test_wrong_usage_is_status_2(args: list[str], in_tmp: Path) -> None:
    assert synth(*args, cwd=in_tmp).returncode == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["finetune", "--recipe", "nan"], "nan: no such recipe"),
        (["finetune", "--set", "finetune.stps=1"], "did you mean steps?"),
        (["backtranslate", "none.jsonl"], "none.jsonl: no such file; check the path"),
        (["run", "none.jsonl"], "none.jsonl: no such file; check the path"),
        (["curate"], "nothing from `synth backtranslate` here yet; run it first"),
        (["export", "--to", "out"], "nothing from `synth backtranslate` here yet; run it first"),
        (["evaluate"], "no adapter of synth here; run `synth finetune` first"),
        (["finetune", "--set", "model.base=./nowhere"], "./nowhere: no such folder; check the"),
        (["finetune", "--set", "model.tokenizer=/nowhere"], "/nowhere: no such folder; check the"),
        (["finetune", "--set", "pairs.sources.0.path=p.jsonl"], "p.jsonl: no such file of pairs"),
    ],
)
def test_errors_are_one_line_with_status_1(args: list[str], message: str, in_tmp: Path) -> None:
    assert message in one_line_error(synth(*args, cwd=in_tmp))


def test_a_recipe_that_nobody_named_takes_the_place_of_no_other(in_tmp: Path) -> None:
    Run(in_tmp / "r").open(load_recipe("nano", ["name=mine"]))
    asked = synth("curate", "--run", "r", cwd=in_tmp)
    assert "r: made by the recipe mine, and none is named" in one_line_error(asked)
    for name in ("r/recipe.yaml", "nano"):
        told = one_line_error(synth("curate", "--run", "r", "--recipe", name, cwd=in_tmp))
        assert "nothing from `synth backtranslate` here yet" in told
    assert load_recipe("r/recipe.yaml").name == "nano"


def test_strict_stops_at_a_bad_line_and_without_it_the_run_goes_on(
    tiny_files: Path, tiny_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    (tmp_path / "c.jsonl").write_text(
        '{"id": "a", "text": "The gate stands in the yard of the farm."}\n{"id": "b"}\n', "utf-8"
    )
    common = ["--recipe", str(tiny_files / "recipe.yaml"), "--run", "run"]
    strict = synth("backtranslate", "c.jsonl", "--strict", *common, cwd=tmp_path)
    assert "c.jsonl:2: no text in the field 'text'" in one_line_error(strict)
    result = synth("backtranslate", "c.jsonl", "--json", *common, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    counts = json.loads(result.stdout)["stages"]["backtranslate"]
    assert (counts["documents"], counts["bad_lines"], counts["segments"]) == (1, 1, 1)
    assert (counts["unchanged"], counts["skipped"]) == (False, {})  # not one and the same
    again = synth("backtranslate", "c.jsonl", "--json", *common, cwd=tmp_path)
    assert json.loads(again.stdout)["stages"]["backtranslate"]["unchanged"] is True


def shards(run: Path) -> list[Path]:
    return sorted((run / "candidates").glob("part-*.parquet"))


def start(tmp_path: Path, tiny_files: Path, tiny_run: Path) -> tuple[list[str], Path]:
    """Command and run folder of a backtranslation that takes a while."""
    shutil.copytree(tiny_run, tmp_path / "run")
    texts = [f"The pump number {i} stands in the yard of the farm." for i in range(240)]
    write_jsonl(tmp_path / "c.jsonl", [{"id": f"d{i}", "text": t} for i, t in enumerate(texts)])
    recipe = ["--recipe", str(tiny_files / "recipe.yaml"), "--set", "generate.shard=4"]
    command = [sys.executable, "-m", "synth", "backtranslate", "c.jsonl", *recipe]
    return command, tmp_path / "run"


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_killed_run_ends_with_the_rows_of_an_undisturbed_one(
    sent: signal.Signals, status: int, tmp_path: Path, tiny_files: Path, tiny_run: Path
) -> None:
    command, run = start(tmp_path, tiny_files, tiny_run)
    whole = tmp_path / "whole"
    shutil.copytree(run, whole)
    process = subprocess.Popen([*command, "--run", "run"], cwd=tmp_path, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(shards(run)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sent)
    process.communicate(timeout=60)
    assert process.returncode == status
    assert 3 <= len(shards(run)) < 60
    for folder in ("run", "whole"):
        subprocess.run([*command, "--run", folder], cwd=tmp_path, check=True, capture_output=True)
    settings = load_recipe(str(tiny_files / "recipe.yaml")).generate
    disturbed, undisturbed = (candidates(Run(f), settings).collect() for f in (run, whole))
    assert disturbed["segment_id"].n_unique() == disturbed.height == 240
    assert pl.concat(map(pl.read_parquet, shards(run))).height == 240
    # Batches fall otherwise after a restart, which shows in the last digits of a sum alone.
    assert_frame_equal(disturbed, undisturbed, rel_tol=1e-4)


def test_the_whole_way_by_commands(tiny_files: Path, tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    loose = ["min_grounded_words=0", "min_logprob=-99", "max_repeated_words=1", "duplicates.near=1"]
    sets = [part for rule in loose for part in ("--set", f"curate.{rule}")]
    common = ["--recipe", str(tiny_files / "recipe.yaml"), "--run", "run", *sets]
    result = synth("run", str(tiny_files / "corpus.jsonl"), *common, cwd=tmp_path)
    # The tiny model's instructions are noise cut off by the token limit, so nothing may be kept.
    assert "Report card: 4 held-out pairs" in result.stdout
    assert "Ledger: 8 documents, 0 bad lines" in result.stdout
    stages = ("finetune: ", "evaluate: ", "backtranslate: ", "curate: ", "export: ", "synth: ")
    assert all(line.startswith(stages) for line in result.stderr.splitlines())
    assert (tmp_path / "run/logs/run.log").read_text("utf-8").startswith("=== ")
    assert result.returncode in {0, 1}
    if result.returncode == 1:
        assert "no row was kept" in result.stderr


def test_text_cannot_command_the_terminal() -> None:
    assert safe("a\x1b[2Jb\u202ec\x07d\ne") == "a\ufffd[2Jb\ufffdc\ufffdd\ne"


def test_the_environment_has_no_effect_on_where_runs_lie(in_tmp: Path) -> None:
    assert not any(key.startswith("SYNTH_") for key in os.environ)
    synth("curate", cwd=in_tmp)
    assert (in_tmp / "runs" / "nano" / "recipe.yaml").is_file()

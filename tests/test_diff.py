"""`synth diff`: rows, reasons, scores and settings of two versions."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from synth.cli import app
from synth.errors import HubError, InputError, RunError
from synth.models.local import LocalModels
from synth.stages.curate import curate
from synth.stages.diff import diff
from synth.stages.export import export
from synth.store.run import Run
from tests.candidates import row
from tests.test_curate import recipe_of, run_of


def curated(folder: Path, rows: list[dict[str, Any]], *sets: str) -> Run:
    run = run_of(folder, rows)
    recipe = recipe_of(*sets)
    run.open(recipe)
    curate(run, recipe, LocalModels())
    return run


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Run, Run]:
    old = [row(n, logprob=-0.1 * n) for n in range(10)]
    new = [row(n, logprob=-0.1 * n + 0.05) for n in range(2, 12)]
    new[0]["instruction"] = "What is the thingcax for?"
    new[1]["logprob"] = -1.5  # now below the limit
    return curated(tmp_path / "old", old), curated(tmp_path / "new", new, "curate.min_logprob=-1.4")


def test_runs_and_their_datasets_differ_alike(versions: tuple[Run, Run], tmp_path: Path) -> None:
    found = diff(*(str(run.folder) for run in versions)).counts
    assert {k: v for k, v in found["rows"].items() if k != "logprob"} == {
        "same": 6, "changed": 1, "added": 2, "removed": 3
    }  # fmt: skip
    assert found["rows"]["logprob"]["moved"] == pytest.approx(0.05)
    assert found["segments"] == {"kept": [10, 9], "unlikely": [0, 1]}
    assert found["settings"] == {"curate.min_logprob": [-2.0, -1.4]}
    versions[1].open(recipe_of())  # as any later command does, told nothing of it
    assert diff(*(str(run.folder) for run in versions)).counts == found
    for run, limit in zip(versions, ("-2", "-1.4"), strict=True):
        recipe = recipe_of(f"curate.min_logprob={limit}")
        export(run, recipe, tmp_path / f"{run.folder.name}-out")
    names = [str(tmp_path / f"{run.folder.name}-out") for run in versions]
    exported = diff(*names).counts
    assert exported == found | dict(zip(("old", "new"), names, strict=True))


def test_a_version_and_itself_do_not_differ(versions: tuple[Run, Run]) -> None:
    name = str(versions[0].folder)
    found = diff(name, name).counts
    assert found["rows"]["same"] == 10
    assert found["segments"] == found["settings"] == {}


def test_the_command_prints_tables_or_json(versions: tuple[Run, Run]) -> None:
    names = [str(run.folder) for run in versions]
    told = CliRunner().invoke(app, ["diff", *names])
    assert told.exit_code == 0
    assert "removed" in told.stdout
    assert "curate.min_logprob" in told.stdout
    plain = CliRunner().invoke(app, ["diff", *names, "--json"])
    assert json.loads(plain.stdout) == diff(*names).counts


def test_what_is_no_version_is_named(versions: tuple[Run, Run], tmp_path: Path) -> None:
    run = versions[0]
    for name, error, told in (
        (str(tmp_path), InputError, "neither a run nor a dataset"),
        ("no/where", HubError, "no/where: the Hub"),
    ):
        with pytest.raises(error, match=told):
            diff(name, str(run.folder))
    run.forget("curate")
    with pytest.raises(RunError, match="synth curate"):
        diff(str(run.folder), str(run.folder))
    assert pl.read_parquet(run.curated).height == 10
    failed = CliRunner().invoke(app, ["diff", "no/where", str(run.folder)])
    assert failed.exit_code == 1
    assert failed.stderr.startswith("synth: no/where")
    assert failed.stderr.count("\n") == 1

"""`synth export --to-hub` against a Hub on loopback: what arrives, is kept, and is refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from synth.cli import app
from synth.store.run import Run
from tests.candidates import row
from tests.hub import READ_TOKEN, TOKEN, Fault, Hub
from tests.hub.client import Mode, environment, script
from tests.test_curate import run_of

REPO = "me/mine"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_of(tmp_path / "run", [row(n, document_id=f"d{n // 2}") for n in range(20)])


def export(
    hub: Hub, run: Run, *args: str, mode: Mode = "lfs", token: str = TOKEN
) -> subprocess.CompletedProcess[str]:
    """The command, in a process that knows only this Hub."""
    command = [sys.executable, "-m", "synth", "export", "--to-hub", REPO, "--run", str(run.folder)]
    command += ["--json", "--set", "generate.scores=[]", *args]
    known = environment(hub, run.folder.parent / f"home-{mode}", mode, token)
    return subprocess.run(command, env=known, capture_output=True, text=True, check=False)


def told(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)["stages"]["publish"]
    return found


LOAD = """
import json, sys
from datasets import load_dataset
rows = load_dataset("me/mine", split="train", revision=sys.argv[1])
stream = load_dataset("me/mine", split="test", streaming=True, revision=sys.argv[1])
print(json.dumps([list(rows["messages"]), [one["messages"] for one in stream]]))
"""


def test_a_dataset_arrives_in_one_commit_and_loads(hub: Hub, run: Run, mode: Mode) -> None:
    result = export(hub, run, "--tag", "v1", mode=mode)
    counts = told(result)
    repo = hub.repos["dataset", REPO]
    assert (counts["commit"], counts["visible"]) == (
        repo.head,
        "to those whom its owner lets in",
    )
    assert len(repo.made) == 1
    loaded = script(hub, run.folder.parent, mode, LOAD, "v1")
    assert loaded.returncode == 0, loaded.stderr
    train, test = json.loads(loaded.stdout)
    curated = pl.read_parquet(run.curated)
    pairs = {(turns[0]["content"], turns[1]["content"]) for turns in [*train, *test]}
    assert pairs == set(curated.select("instruction", "text").iter_rows())
    assert len(test) == 2
    again = told(export(hub, run, "--tag", "v1", mode=mode))
    assert again == counts | {"sent": "nothing, all was there"}
    assert len(repo.made) == 1
    assert hub.leaked == []
    shown = [result.stdout, result.stderr, *(p.read_text() for p in run.folder.glob("*.json"))]
    assert not any(TOKEN in text for text in shown)


def test_notes_are_kept_and_a_new_version_says_what_changed(hub: Hub, run: Run) -> None:
    told(export(hub, run))
    repo = hub.repos["dataset", REPO]
    card = hub.files("dataset", REPO)["README.md"].decode()
    assert "First version." in card
    begin, end = "<!-- notes -->", "<!-- /notes -->"
    written = card[: card.index(begin)] + f"{begin}\nAsk Ann.\n{end}" + card.split(end)[1]
    edit = (
        "from huggingface_hub import HfApi; import sys;"
        "HfApi().upload_file(path_or_fileobj=sys.argv[1].encode(), path_in_repo='README.md',"
        "repo_id='me/mine', repo_type='dataset')"
    )
    assert script(hub, run.folder.parent, "lfs", edit, written).returncode == 0
    told(
        export(
            hub, run, "--set", "curate.max_instruction_chars=100", "--set", "export.test_share=0"
        )
    )
    files = hub.files("dataset", REPO)
    now = files["README.md"].decode()
    assert f"{begin}\nAsk Ann.\n{end}" in now
    assert "0 rows added, 0 removed, 0 changed, 20 the same" in now
    assert "`curate.max_instruction_chars` `500` to `100`" in now
    # There is no test split any more, so its file went with the same commit.
    assert [name for name in files if name.startswith("data/")] == [
        "data/train-00000-of-00001.parquet"
    ]
    commits = len(repo.made)
    told(
        export(
            hub, run, "--set", "curate.max_instruction_chars=100", "--set", "export.test_share=0"
        )
    )
    assert len(repo.made) == commits
    assert hub.files("dataset", REPO)["README.md"].decode() == now


def test_a_branch_and_a_pull_request(hub: Hub, run: Run) -> None:
    told(export(hub, run))
    main = hub.repos["dataset", REPO].head
    on_branch = told(export(hub, run, "--branch", "next", "--set", "export.test_share=0"))
    assert on_branch["url"].endswith("/tree/next")
    asked = told(export(hub, run, "--pr", "--set", "export.test_share=0"))
    assert "/discussions/" in asked["url"]
    assert hub.repos["dataset", REPO].head == main


def test_a_lost_answer_makes_no_second_commit(hub: Hub, run: Run, mode: Mode) -> None:
    hub.faults.append(Fault("POST .*/commit/main", 500, how="lost"))
    told(export(hub, run, mode=mode))
    assert len(hub.repos["dataset", REPO].made) == 1


def refused(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("synth:")]
    assert len(lines) == 1
    assert "Traceback" not in result.stderr
    return lines[0]


def test_what_the_hub_refuses_is_one_line(hub: Hub, run: Run) -> None:
    assert "does not know your token" in refused(export(hub, run, token="hf_wrong"))
    assert not run.curated  # it is asked for before anything is made
    assert not run.dataset.exists()
    assert "may not write" in refused(export(hub, run, token=READ_TOKEN))
    assert not hub.repos or not hub.files("dataset", REPO)


@pytest.mark.parametrize("name", ["data/train.parquet", "data/train-00000-of-00001.parquet"])
def test_files_of_others_stay_as_they_are(name: str, hub: Hub, run: Run) -> None:
    make = (
        "from huggingface_hub import HfApi; api = HfApi();"
        "api.create_repo('me/mine', repo_type='dataset');"
        f"api.upload_file(path_or_fileobj=b'x', path_in_repo='{name}',"
        "repo_id='me/mine', repo_type='dataset')"
    )
    made = script(hub, run.folder.parent, "lfs", make)
    assert made.returncode == 0, made.stderr
    line = refused(export(hub, run))
    assert f"holds {name}, which synth did not put there" in line
    files = hub.files("dataset", REPO)
    assert (set(files), files[name]) == ({".gitattributes", name}, b"x")


def test_what_is_published_is_what_was_exported(hub: Hub, run: Run) -> None:
    told(export(hub, run))
    files = hub.files("dataset", REPO)
    for path in run.dataset.glob("data/train-*"):
        path.unlink()
    (run.dataset / ".DS_Store").write_text("of a file manager")
    told(export(hub, run))
    assert hub.files("dataset", REPO) == files
    assert len(hub.repos["dataset", REPO].made) == 1
    (run.dataset / "data" / "more.txt").write_text("by hand")
    told(export(hub, run))
    assert hub.files("dataset", REPO) == files


def test_a_name_without_its_owner_is_ones_own(hub: Hub, run: Run) -> None:
    args = ("--to-hub", "mine")
    assert told(export(hub, run, *args))["sent"] == "what differed"
    assert 'load_dataset("me/mine"' in hub.files("dataset", REPO)["README.md"].decode()
    assert told(export(hub, run, *args))["sent"] == "nothing, all was there"


def test_the_version_before_is_the_one_on_the_hub_now(hub: Hub, run: Run) -> None:
    """Not a copy from the time before: a fault that passes is waited for, one that stays told."""
    told(export(hub, run))
    less = ("--set", "curate.select.rows=10")
    told(export(hub, run, *less))  # the first version is in the cache now
    again = ("--set", "curate.select.rows=12")
    hub.faults.append(Fault("/tree/", 503))
    told(export(hub, run, *again))
    card = hub.files("dataset", REPO)["README.md"].decode()
    assert "- 2 rows added, 0 removed, 0 changed, 10 the same" in card
    hub.faults.append(Fault("/tree/", 503, times=99))
    assert "the Hub fails for now" in refused(export(hub, run))
    assert hub.files("dataset", REPO)["README.md"].decode() == card


def test_a_damaged_version_is_replaced_and_the_card_says_so(hub: Hub, run: Run) -> None:
    told(export(hub, run))
    repo = hub.repos["dataset", REPO]
    hub.fill(repo, {**hub.files("dataset", REPO), "provenance.json": b"{}"})
    told(export(hub, run, "--set", "curate.select.rows=10"))
    assert (
        "The version before could not be read." in hub.files("dataset", REPO)["README.md"].decode()
    )


def test_a_revision_that_is_not_there_is_no_version(hub: Hub, run: Run) -> None:
    told(export(hub, run))
    ask = "import sys; from synth.cli import main; sys.argv = ['synth', *sys.argv[1:]]; main()"
    found = script(hub, run.folder.parent, "lfs", ask, "diff", f"{REPO}@v9", str(run.folder))
    assert f"{REPO}@v9: the dataset has no such revision" in refused(found)


def test_nothing_is_published_of_nothing(hub: Hub, run: Run) -> None:
    assert "no row was kept" in refused(
        export(hub, run, "--set", "curate.min_instruction_chars=99")
    )
    assert not hub.repos


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], "--to DIR or --to-hub"),
        (["--to", "x", "--pr"], "goes with --to-hub"),
        (["--to", "x", "--public"], "goes with --to-hub"),
        (["--to-hub", ""], "is empty"),
        (["--to-hub", "me/x", "--branch", ""], "is empty"),
        (["--to-hub", "me/x", "--branch", "b", "--pr"], "goes to main"),
    ],
)
def test_wrong_usage_is_told(args: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["export", *args])
    assert result.exit_code == 2
    assert told in result.stderr


def test_pairs_are_asked_for_by_an_option(run: Run, tmp_path: Path) -> None:
    command = ["export", "--to", str(tmp_path / "out"), "--run", str(run.folder)]
    command += ["--set", "generate.scores=[]"]
    assert CliRunner().invoke(app, command).exit_code == 0
    asked = CliRunner().invoke(app, [*command, "--include-pairs"])
    assert asked.exit_code == 1  # nobody taught this run's adapter anything
    assert "adapter" in asked.stderr
    assert "include_pairs: true" in run.recipe.read_text("utf-8")

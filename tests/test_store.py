"""The run folder and whole files."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from synth.errors import RunError
from synth.recipe import load_recipe
from synth.store.files import file_hash, whole, write_text
from synth.store.frames import frame_of
from synth.store.run import Run


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), whole(path) as part:
        part.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert path.read_text("utf-8") == "old"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_the_hash_of_a_file_is_of_its_content(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "x")
    write_text(tmp_path / "b", "x")
    assert file_hash(tmp_path / "a") == file_hash(tmp_path / "b")
    write_text(tmp_path / "b", "y")
    assert file_hash(tmp_path / "a") != file_hash(tmp_path / "b")


def test_the_manifest_remembers_stages(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.done("curate") is None
    with pytest.raises(RunError, match="nothing from `synth curate` here yet"):
        run.need("curate")
    run.commit("curate", "f1", {"kept": 3}, started=0.0)
    run.commit("export", "f2", {}, started=0.0)
    assert run.need("curate").counts == {"kept": 3}
    run.forget("curate")
    assert run.done("curate") is None
    assert run.need("export").fingerprint == "f2"
    entry = json.loads(run.manifest.read_text("utf-8"))["stages"]["export"]
    assert entry["versions"]["polars"] == pl.__version__


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense"])
def test_a_damaged_manifest_is_a_named_error(tmp_path: Path, text: str) -> None:
    run = Run(tmp_path)
    run.manifest.write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"manifest.json: not a manifest of synth"):
        run.done("curate")


def test_a_run_is_locked_against_a_second_synth(tmp_path: Path) -> None:
    with (
        Run(tmp_path).lock(),
        pytest.raises(RunError, match="another synth is at work"),
        Run(tmp_path).lock(),
    ):
        pass
    with Run(tmp_path).lock():
        pass


def test_the_resolved_recipe_is_kept(tmp_path: Path) -> None:
    run, recipe = Run(tmp_path), load_recipe("nano")
    run.open(recipe)
    assert load_recipe(str(run.recipe)) == recipe


def test_rows_become_a_frame_column_by_column() -> None:
    schema = {"name": pl.String, "size": pl.Float64, "ids": pl.List(pl.UInt64)}
    rows = [("a", 1.0, [1, 2**64 - 1]), (None, None, []), ("\u00e9", 0.5, [3])]
    frame = frame_of(rows, schema)
    assert frame.schema == schema
    assert frame.rows() == rows
    assert frame_of([], schema).schema == schema
    assert frame_of([("a", 1.0, [])], schema)["ids"].to_list() == [[]]


def test_writing_candidates_needs_no_pandas(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from synth.records import Segment\n"
        "from synth.store.candidates import writing_segments\n"
        "from synth.store.run import Run\n"
        "with writing_segments(Run(Path(sys.argv[1]))) as add:\n"
        "    add([Segment.of('d', 0, 1, 'a')], [[1]])\n"
        "assert 'pandas' not in sys.modules  # half a second\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)

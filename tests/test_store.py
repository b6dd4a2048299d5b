"""The run folder, whole files, datasets and cards."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from synth.errors import RunError
from synth.recipe import load_recipe
from synth.store.card import CardFacts, card
from synth.store.dataset import Split, licences, write_split
from synth.store.files import file_hash, whole, write_text
from synth.store.run import Run
from synth.tables.candidate import CANDIDATE


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


def candidates(texts: list[str], licence: str = "MIT") -> pl.DataFrame:
    rows = [
        {
            "segment_id": f"s{i}",
            "sample": 0,
            "document_id": f"d{i}",
            "start": 0,
            "end": len(text),
            "text": text,
            "skip": "",
            "instruction": f"What is {i}?",
            "finish": "stop",
            "tokens": 4,
            "logprob": -0.5,
            "metadata": json.dumps({"licence": licence}),
        }
        for i, text in enumerate(texts)
    ]
    return pl.DataFrame(rows, schema=CANDIDATE)


def test_a_split_loads_with_datasets(tmp_path: Path) -> None:
    from datasets import load_dataset

    wild = ["plain", "quotes \" ' `", "line\nbreak\ttab", "漢字 🙂 \u202e", "\x00 nul"]
    split = write_split(tmp_path, "train", candidates(wild))
    assert split.rows == 5
    loaded = load_dataset(str(tmp_path), split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["messages"][1]["content"] for row in loaded] == wild
    assert loaded[0]["messages"][0] == {"role": "user", "content": "What is 0?"}


def facts(text: str, licence: dict[str, int]) -> CardFacts:
    return CardFacts(
        name="d",
        base="base/model",
        licence=None,
        licences=licence,
        splits=[Split("train", 1, 10, 5)],
        ledger={"documents": 1, "segments": 2, "buckets": {"kept": 1, "declined": 1}},
        evaluation={
            "held_out": 4,
            "before": {"nats_per_token": 4.0},
            "after": {"nats_per_token": 1.0, "retrieval": 0.75},
        },
        samples=[("What?", text)],
        version="0",
    )


def test_the_card_has_metadata_and_funnel() -> None:
    text = card(facts("a text", {"Apache-2.0": 1}))
    metadata = yaml.safe_load(text.split("---")[1])
    assert metadata["license"] == "apache-2.0"
    assert metadata["tags"] == ["synthetic", "synth"]
    assert metadata["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*"}]
    assert "| rejected: declined | 1 |" in text
    assert "from 4.00 to 1.00 nats" in text
    assert "75% of the instructions find their own text" in text


@pytest.mark.parametrize("found", [{"MIT": 1, "GPL-3.0": 2}, {"": 3}, {"see <b>here</b>": 1}])
def test_mixed_or_unclear_licences_are_other(found: dict[str, int]) -> None:
    metadata = yaml.safe_load(card(facts("t", found)).split("---")[1])
    assert metadata["license"] == "other"


def test_untrusted_text_cannot_leave_its_block() -> None:
    evil = "```\n# not a heading\n<script>alert(1)</script>\n````"
    body = card(facts(evil, {"MIT": 1}))
    assert f"`````text\n{evil}\n`````" in body


def test_licences_are_counted() -> None:
    rows = pl.concat([candidates(["a", "b"]), candidates(["c"], licence="GPL")])
    assert licences(rows) == {"MIT": 2, "GPL": 1}

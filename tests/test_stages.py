"""The stages on a tiny real model: what they write, what they skip, and that nothing is lost."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from synth.errors import AdapterError, InputError, NoGoError, RunError, TrainingError
from synth.models.local import LocalModels
from synth.models.protocols import Engine, Request
from synth.recipe import Recipe, load_recipe
from synth.records import Completion, Progress
from synth.stages.backtranslate import backtranslate
from synth.stages.curate import curate
from synth.stages.evaluate import evaluate
from synth.stages.export import export
from synth.stages.finetune import finetune
from synth.stages.run import run_all
from synth.store.run import Run
from tests.conftest import write_jsonl


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Run:
    shutil.copytree(tiny_run, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture
def corpus(tiny_files: Path) -> list[str]:
    return [str(tiny_files / "corpus.jsonl")]


def recipe_of(files: Path, *overrides: str) -> Recipe:
    return load_recipe(str(files / "recipe.yaml"), overrides)


def rows(run: Run) -> list[tuple[Any, ...]]:
    order = pl.read_parquet(run.segments)
    shards = pl.concat([pl.read_parquet(path) for path in run.shards()])
    return list(order.join(shards, on="segment_id", how="left", maintain_order="left").iter_rows())


class Scripted(LocalModels):
    """The tiny model's tokenizer with scripted completions; counts, and may die at the nth call."""

    def __init__(self, die_at: int = 0) -> None:
        self.asked: list[int] = []
        self.die_at = die_at

    def engine(self, recipe: Recipe, weights: Path) -> Engine:
        self.tokenizer_ = self.tokenizer(recipe)
        return ScriptedEngine(self)


class ScriptedEngine:
    def __init__(self, owner: Scripted) -> None:
        self.owner = owner
        self.tokenizer = owner.tokenizer_

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.owner.asked.append(len(requests))
        if len(self.owner.asked) == self.owner.die_at:
            raise KeyboardInterrupt
        words = [self.tokenizer.decode(r.ids, skip_special_tokens=True) for r in requests]
        subjects = [text.split("### Input:\nThe ")[1].split()[0] for text in words]
        return [Completion(f"What is a {s} in the yard?", 9, "stop", -0.5) for s in subjects]

    def close(self) -> None:
        pass


def test_finetune_learns_and_says_what_it_did(run: Run, tiny_files: Path) -> None:
    done = run.need("finetune")
    assert done.counts["pairs"] == 20
    assert done.counts["held_out"] == 4
    info = json.loads((run.adapter / "synth.json").read_text("utf-8"))
    held_out = [point["held_out"] for point in info["losses"] if point["held_out"] is not None]
    assert held_out[-1] < held_out[0]
    assert not list(run.folder.glob("*.part"))


def test_finetune_is_skipped_only_while_nothing_changed(run: Run, tiny_files: Path) -> None:
    models = LocalModels()
    assert finetune(run, recipe_of(tiny_files), models).skipped
    assert finetune(run, recipe_of(tiny_files, "curate.min_logprob=-1"), models).skipped
    assert not finetune(run, recipe_of(tiny_files, "finetune.steps=1"), models).skipped


def test_the_same_recipe_gives_the_same_adapter(run: Run, tiny_files: Path, tmp_path: Path) -> None:
    other = Run(tmp_path / "other")
    finetune(other, recipe_of(tiny_files), LocalModels())
    name = "adapter_model.safetensors"
    assert (other.adapter / name).read_bytes() == (run.adapter / name).read_bytes()


def test_four_bits_train_and_generate(tiny_files: Path, corpus: list[str], tmp_path: Path) -> None:
    run, models = Run(tmp_path / "run"), LocalModels()
    recipe = recipe_of(tiny_files, "model.quantization=nf4", "finetune.steps=2")
    finetune(run, recipe, models)
    assert backtranslate(run, recipe, models, corpus).counts["segments"] == 8
    assert evaluate(run, recipe, models).counts["after"]["nats_per_token"] > 0


def test_a_loss_that_is_no_number_stops_the_training(tiny_files: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with pytest.raises(TrainingError, match="training would teach nothing"):
        finetune(run, recipe_of(tiny_files, "finetune.learning_rate=1e30"), LocalModels())
    assert run.done("finetune") is None
    assert not run.adapter.exists()


def test_backtranslate_gives_every_segment_one_row(
    run: Run, tiny_files: Path, corpus: list[str]
) -> None:
    outcome = backtranslate(run, recipe_of(tiny_files), LocalModels(), corpus)
    assert outcome.counts["segments"] == 8
    assert [path.name for path in run.shards()] == [f"part-0000{i}.parquet" for i in range(3)]
    found = rows(run)
    assert [row[1] for row in found] == [f"d{i}" for i in range(8)]
    assert all(row[6] is not None and row[9] < 0 for row in found)
    assert backtranslate(run, recipe_of(tiny_files), LocalModels(), corpus).skipped


def test_a_run_cut_off_goes_on_where_it_was(
    run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    shutil.copytree(run.folder, tmp_path / "whole")
    recipe, whole = recipe_of(tiny_files), Run(tmp_path / "whole")
    backtranslate(whole, recipe, Scripted(), corpus)
    dying = Scripted(die_at=2)
    with pytest.raises(KeyboardInterrupt):
        backtranslate(run, recipe, dying, corpus)
    assert run.done("backtranslate") is None
    with pytest.raises(RunError, match="run it first"):
        curate(run, recipe)
    again = Scripted()
    outcome = backtranslate(run, recipe, again, corpus)
    assert again.asked == [3, 2]
    assert outcome.counts["reused"] == 3
    assert rows(run) == rows(whole)
    assert [p.read_bytes() for p in run.shards()] == [p.read_bytes() for p in whole.shards()]


def test_a_half_written_shard_is_not_believed(
    run: Run, tiny_files: Path, corpus: list[str]
) -> None:
    run.candidates.mkdir()
    (run.candidates / "part-00000.parquet.part").write_bytes(b"PAR1 half")
    backtranslate(run, recipe_of(tiny_files), Scripted(), corpus)
    assert len(rows(run)) == 8


def test_a_grown_corpus_reuses_what_was_generated(
    run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files)
    backtranslate(run, recipe, Scripted(), corpus)
    more = write_jsonl(tmp_path / "m.jsonl", [{"id": "n", "text": "The spade stands in the yard."}])
    models = Scripted()
    outcome = backtranslate(run, recipe, models, [str(more), *corpus])
    assert models.asked == [1]
    assert outcome.counts["segments"] == 9
    assert rows(run)[0][1] == "n"
    shrunk = backtranslate(run, recipe, Scripted(die_at=1), [str(more)])
    assert shrunk.counts["segments"] == 1
    assert sum(curate(run, recipe).counts["buckets"].values()) == 1


def test_other_settings_set_generations_aside_and_bring_them_back(
    run: Run, tiny_files: Path, corpus: list[str]
) -> None:
    recipe, other = recipe_of(tiny_files), recipe_of(tiny_files, "generate.max_new_tokens=5")
    backtranslate(run, recipe, Scripted(), corpus)
    models = Scripted()
    backtranslate(run, other, models, corpus)
    assert sum(models.asked) == 8
    back = Scripted(die_at=1)
    assert backtranslate(run, recipe, back, corpus).counts["reused"] == 8
    assert back.asked == []


def test_bad_lines_are_listed_and_counted(run: Run, tiny_files: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    good = {"id": "g", "text": "The gate stands in the yard."}
    path.write_text(f"{json.dumps(good)}\nnope\n{json.dumps(good)}\n", encoding="utf-8")
    recipe = recipe_of(tiny_files)
    counts = backtranslate(run, recipe, Scripted(), [str(path)]).counts
    assert (counts["documents"], counts["bad_lines"], counts["repeated_documents"]) == (1, 1, 1)
    assert json.loads(run.bad_lines.read_text("utf-8")) == {
        "place": "c.jsonl:2",
        "reason": "not JSON",
    }
    with pytest.raises(InputError, match=r"c\.jsonl:2: not JSON; correct the line"):
        backtranslate(run, recipe, Scripted(), [str(path)], strict=True)


def test_a_corpus_without_documents_is_an_error(run: Run, tiny_files: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="holds no document; check"):
        backtranslate(run, recipe_of(tiny_files), Scripted(), [str(path)])
    path.write_text("nope\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"1 bad lines; the first: c\.jsonl:1: not JSON"):
        backtranslate(run, recipe_of(tiny_files), Scripted(), [str(path)])


def test_an_adapter_must_fit(run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path) -> None:
    models = Scripted()
    with pytest.raises(AdapterError, match="another prompt"):
        backtranslate(run, recipe_of(tiny_files, "prompt.task=Other."), models, corpus)
    with pytest.raises(AdapterError, match="another base"):
        backtranslate(run, recipe_of(tiny_files, "model.base=bundled:data/nano"), models, corpus)
    with pytest.raises(AdapterError, match="run `synth finetune` first"):
        backtranslate(Run(tmp_path / "empty"), recipe_of(tiny_files), models, corpus)
    (run.adapter / "synth.json").write_text("{}", encoding="utf-8")
    with pytest.raises(AdapterError, match="damaged"):
        backtranslate(run, recipe_of(tiny_files), models, corpus)


def test_the_whole_way_and_again(
    run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files, "export.test_share=0.25")
    heard: list[Progress] = []
    first = list(run_all(run, recipe, Scripted(), corpus, heard.append))
    assert [o.stage for o in first] == ["finetune", "evaluate", "backtranslate", "curate", "export"]
    assert {p.stage for p in heard} == {"evaluate", "backtranslate", "curate", "export"}
    assert first[3].counts["buckets"] == {"kept": 8}
    assert (first[4].counts["train"], first[4].counts["test"]) == (6, 2)
    assert [o.skipped for o in first] == [True, False, False, False, False]
    assert all(o.skipped for o in run_all(run, recipe, Scripted(die_at=1), corpus))
    changed = recipe_of(tiny_files, "export.test_share=0.25", "curate.min_logprob=-0.1")
    stages = run_all(run, changed, Scripted(die_at=1), corpus)
    assert [next(stages).skipped for _ in range(4)] == [True, True, True, False]
    with pytest.raises(RunError, match="no row was kept \\(unlikely 8\\)"):
        next(stages)


def test_a_no_go_stops_the_run_unless_forced(run: Run, tiny_files: Path, corpus: list[str]) -> None:
    recipe = recipe_of(tiny_files, "evaluate.min_fall=0.99", "evaluate.min_finished=1")
    stages = run_all(run, recipe, Scripted(), corpus)
    assert next(stages).stage == "finetune"
    assert next(stages).counts["go"] is False
    with pytest.raises(NoGoError, match=r"report.json: no-go \(loss_fall, finished\).*--force"):
        next(stages)
    assert run.done("evaluate") is not None
    assert run.done("backtranslate") is None
    forced = [o.stage for o in run_all(run, recipe, Scripted(), corpus, force=True)]
    assert forced[-1] == "export"


def test_export_is_byte_identical_and_split_by_document(
    run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files, "export.test_share=0.25")
    backtranslate(run, recipe, Scripted(), corpus)
    curate(run, recipe)
    for name in ("one", "two"):
        export(run, recipe, tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert [str(f) for f in files] == [
        "README.md",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
        "provenance.json",
        "recipe.yaml",
    ]
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    train, test = (pl.read_parquet(tmp_path / "one" / f) for f in (files[2], files[1]))
    assert not set(train["document_id"]) & set(test["document_id"])


def test_export_does_not_replace_what_is_not_its_own(
    run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files)
    backtranslate(run, recipe, Scripted(), corpus)
    curate(run, recipe)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match="is no dataset of synth"):
        export(run, recipe, tmp_path / "home")
    assert (tmp_path / "home" / "thesis.txt").read_text("utf-8") == "years of work"

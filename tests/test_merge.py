"""Merging: the closest way is taken, its gap is small, and the model says what the adapter says."""

import shutil
from pathlib import Path

import pytest
from safetensors import SafetensorError
from transformers import PreTrainedModel

from synth.errors import AdapterError, RunError
from synth.models.local import LocalModels
from synth.models.protocols import completions
from synth.recipe import Recipe, load_recipe
from synth.stages.backtranslate import backtranslate
from synth.stages.common import prompt_of
from synth.stages.finetune import finetune
from synth.stages.merge import merge
from synth.store.run import Run


def recipe_of(files: Path, *overrides: str) -> Recipe:
    return load_recipe(str(files / "recipe.yaml"), overrides)


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Run:
    shutil.copytree(tiny_run, tmp_path / "run")
    return Run(tmp_path / "run")


def said(recipe: Recipe, weights: Path) -> list[str]:
    engine = LocalModels().engine(recipe, weights)
    prompt = prompt_of(recipe)
    texts = ["A kettle is red.", "People keep a rope in boats.", "The mill grinds corn."]
    ids = [prompt.render(text, engine.tokenizer, 256).ids for text in texts]
    return [c.text for c in completions(engine, ids)]


def test_a_merged_model_says_what_the_adapter_says(run: Run, tiny_files: Path) -> None:
    recipe = recipe_of(tiny_files)
    outcome = merge(run, recipe, LocalModels())
    assert outcome.counts["onto"] == "original base"
    assert 0 < outcome.counts["largest_logit_gap"]["original base"] < 1e-3
    assert said(recipe, run.merged) == said(recipe, run.adapter)
    assert merge(run, recipe, LocalModels()).skipped
    assert not list(run.folder.glob("*.part"))


def test_of_a_4_bit_base_the_closer_way_is_taken(tiny_files: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    recipe = recipe_of(tiny_files, "model.quantization=nf4")
    finetune(run, recipe, LocalModels())
    counts = merge(run, recipe, LocalModels()).counts
    gaps = counts["largest_logit_gap"]
    assert set(gaps) == {"dequantized base", "original base"}
    assert counts["onto"] == min(gaps, key=lambda way: gaps[way]) == "dequantized base"
    assert gaps["dequantized base"] < gaps["original base"] / 5
    assert said(recipe, run.merged) == said(recipe, run.adapter)


def test_backtranslate_runs_a_merged_model(run: Run, tiny_files: Path) -> None:
    corpus = [str(tiny_files / "corpus.jsonl")]
    recipe = recipe_of(tiny_files, "generate.weights=merged")
    with pytest.raises(RunError, match="no merged model; run `synth finetune --merge` first"):
        backtranslate(run, recipe, LocalModels(), corpus)
    merge(run, recipe, LocalModels())
    assert backtranslate(run, recipe, LocalModels(), corpus).counts["segments"] == 8


def test_a_new_adapter_outdates_the_merged_model(run: Run, tiny_files: Path) -> None:
    models = LocalModels()
    merge(run, recipe_of(tiny_files), models)
    changed = recipe_of(tiny_files, "finetune.steps=2")
    finetune(run, changed, models)
    assert run.done("merge") is None
    assert not merge(run, changed, models).skipped


def test_a_full_disk_is_one_line_and_leaves_no_half_model(
    run: Run, tiny_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object, folder: str) -> None:
        (Path(folder) / "model.safetensors").write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedModel, "save_pretrained", full)
        with pytest.raises(RunError, match=r"merged\.part: the disk is full; free space"):
            merge(run, recipe_of(tiny_files), LocalModels())
    assert not list(run.folder.glob("*.part"))
    assert not merge(run, recipe_of(tiny_files), LocalModels()).skipped


def test_without_an_adapter_there_is_nothing_to_merge(tiny_files: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="run `synth finetune` first"):
        merge(Run(tmp_path), recipe_of(tiny_files), LocalModels())

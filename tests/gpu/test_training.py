"""QLoRA on a CUDA device: it learns, is saved, is resumed, packs, and takes what was planned."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from synth.models.loading import load_base, load_tokenizer, load_with_adapter
from synth.models.local import LocalModels
from synth.models.watch import last_whole_checkpoint
from synth.recipe import Recipe, load_recipe
from synth.stages.finetune import finetune
from synth.store.run import Run
from tests.bases import WAYS
from tests.conftest import ROOT, write_jsonl
from tests.gpu.conftest import QLORA, STEPS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("default"),  # the model libraries' own are not ours to mend
]


def losses(run: Run, kind: str = "held_out") -> dict[int, float]:
    """Step -> loss."""
    points = json.loads((run.adapter / "synth.json").read_text("utf-8"))["losses"]
    return {point["step"]: point[kind] for point in points if point[kind] is not None}


@torch.inference_mode()
def logits(model: Any, recipe: Recipe) -> torch.Tensor:
    """Of a text, in 32 bits."""
    ids = load_tokenizer(recipe.model)("A kettle is a thing to boil water in.")["input_ids"]
    found: torch.Tensor = model(input_ids=torch.tensor([ids], device=model.device)).logits
    return found.float().cpu()


def test_qlora_learns_and_what_is_saved_is_what_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, run, trained = load_recipe("nano", [*STEPS, *QLORA]), Run(tmp_path), []
    save = PeftModel.save_pretrained

    def look(model: PeftModel, folder: str, **values: Any) -> None:
        if Path(folder).name == "adapter.part":
            kinds = {type(layer).__name__ for layer in model.modules()}
            model.eval()
            trained.append((kinds, logits(model, recipe)))
        save(model, folder, **values)

    monkeypatch.setattr(PeftModel, "save_pretrained", look)
    finetune(run, recipe, LocalModels())
    held_out = losses(run)
    assert list(held_out) == [10, 20, 30, 40]
    assert held_out[40] < 0.8 * held_out[10]
    kinds, wanted = trained[0]
    assert "Linear4bit" in kinds
    loaded = load_with_adapter(recipe.model, run.adapter)
    assert loaded.device.type == "cuda"
    moved = (logits(load_base(recipe.model), recipe) - wanted).abs().max()
    assert (logits(loaded, recipe) - wanted).abs().max() < 0.05 * moved


def test_a_killed_qlora_training_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    more = ("finetune.steps=60", "finetune.schedule=cosine", "finetune.lora.dropout=0.1")
    sets = [*STEPS, *QLORA, *more, "finetune.keep_best=false"]
    run, whole = Run(tmp_path / "run"), Run(tmp_path / "whole")
    command = [sys.executable, "-m", "synth", "finetune", "--run", str(run.folder)]
    command += [part for one in sets for part in ("--set", one)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while last_whole_checkpoint(run.training) is None and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run.done("finetune") is None
    recipe = load_recipe("nano", sets)
    counts = finetune(run, recipe, LocalModels()).counts
    finetune(whole, recipe, LocalModels())
    assert counts["resumed_from"] >= 10
    assert list(losses(run)) == [10, 20, 30, 40, 50, 60]
    assert losses(run) == pytest.approx(losses(whole), rel=1e-3)
    assert losses(run, "train") == pytest.approx(losses(whole, "train"), rel=1e-3)


@pytest.mark.parametrize("checkpointing", ["true", "false"])
def test_packed_examples_do_not_see_one_another(tmp_path: Path, checkpointing: str) -> None:
    lines = (ROOT / "data/sample/pairs.jsonl").read_text("utf-8").splitlines()[:28]
    pairs = write_jsonl(tmp_path / "pairs.jsonl", [json.loads(line) for line in lines])
    # One step sees every pair, however they are put together.
    sets = [f"pairs.sources.0.path={pairs}", "pairs.held_out=4", "finetune.steps=2"]
    sets += ["finetune.batch=24", "finetune.null_share=0", "finetune.loss=text"]
    sets += ["finetune.eval_every=1", f"finetune.gradient_checkpointing={checkpointing}"]
    found = {}
    for packing in ("true", "false"):
        run = Run(tmp_path / packing)
        recipe = load_recipe("nano", [*sets, f"finetune.packing={packing}"])
        finetune(run, recipe, LocalModels())
        found[packing] = losses(run, "train")
    assert list(found["true"]) == [1, 2]
    assert found["true"] == pytest.approx(found["false"], rel=1e-3)


def test_packed_qlora_learns_as_the_lesson_does(tmp_path: Path) -> None:
    packed = ("finetune.packing=true", "finetune.loss=text", "finetune.group_by_length=false")
    run = Run(tmp_path)
    finetune(run, load_recipe("nano", [*STEPS, *QLORA, *packed]), LocalModels())
    held_out = losses(run)
    assert held_out[40] < held_out[10]


@pytest.mark.parametrize("checkpointing", ["true", "false"])
@pytest.mark.parametrize("way", WAYS)
def test_training_takes_the_memory_that_was_planned(
    medium: Path, tmp_path: Path, way: str, checkpointing: str
) -> None:
    rows = [
        {"instruction": f"What is item {number}?", "response": f"Item {number} is red. " * 200}
        for number in range(40)
    ]
    pairs = write_jsonl(tmp_path / "pairs.jsonl", rows)
    recipe = load_recipe("mistral-7b", [
        f"model.base={medium}", f"pairs.sources=[{{path: {pairs}}}]", "pairs.held_out=4",
        "pairs.train=null", "pairs.near_held_out=1", "finetune.steps=3", "finetune.eval_every=3",
        "finetune.batch=4", "finetune.accumulation=1", "finetune.max_tokens=1024",
        f"finetune.gradient_checkpointing={checkpointing}", *WAYS[way],
    ])  # fmt: skip
    planned = finetune(Run(tmp_path), recipe, LocalModels(), dry_run=True).counts["memory_gib"]
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    finetune(Run(tmp_path), recipe, LocalModels())
    taken = (torch.cuda.max_memory_allocated() - before) / 2**30
    assert sum(planned.values()) == pytest.approx(taken, rel=0.2), planned


def test_the_loss_on_the_card_is_that_of_the_processor(tmp_path: Path) -> None:
    """TRL's Triton kernel and synth's own loss, by the first step of the same training."""
    sets = [*STEPS, "finetune.steps=2", "finetune.eval_every=1"]
    here = Run(tmp_path / "here")
    finetune(here, load_recipe("nano", sets), LocalModels())
    command = [sys.executable, "-m", "synth", "finetune", "--run", str(tmp_path / "there")]
    command += [part for one in sets for part in ("--set", one)]
    hidden = {"CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **hidden})
    there = Run(tmp_path / "there")
    for kind in ("train", "held_out"):
        assert losses(here, kind) == pytest.approx(losses(there, kind), rel=1e-3)
    assert list(losses(here)) == [1, 2]

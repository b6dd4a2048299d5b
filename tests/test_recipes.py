"""Every recipe that comes with synth loads, resolves and becomes trainer arguments."""

from pathlib import Path

import pytest
import torch

from synth.models.loading import lora_config, quantization_config
from synth.models.training import trainer_config
from synth.recipe import bundle, load_recipe, recipe_names
from synth.settings import TASK, Pairs
from synth.store.pairs import read_pairs
from tests.conftest import lesson_prompt, write_jsonl


def test_the_sweep_finds_the_recipes() -> None:
    assert set(recipe_names()) >= {
        "nano", "smollm2-135m", "qwen3-8b", "mistral-7b", "eurollm-9b", "mistral-7b-lesson",
    }  # fmt: skip
    assert len(recipe_names()) == len(list((bundle() / "recipes").glob("*.y*ml")))


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_becomes_trainer_arguments(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    config = trainer_config(recipe, tmp_path)
    assert config.max_steps == recipe.finetune.steps
    assert config.learning_rate == recipe.finetune.learning_rate
    assert lora_config(recipe.finetune).r == recipe.finetune.lora.r
    assert (quantization_config(recipe.model) is None) == (recipe.model.quantization == "none")


def test_the_lesson_is_reproduced_value_by_value(tmp_path: Path) -> None:
    recipe = load_recipe("mistral-7b-lesson")
    assert recipe.model.base == "mistralai/Mistral-7B-Instruct-v0.1"
    assert recipe.model.tokenizer == "mistralai/Mistral-7B-v0.1"
    source = recipe.pairs.sources[0]
    assert (source.dataset, source.where) == ("mosaicml/instruct-v3", {"source": "dolly_hhrlhf"})
    assert (source.instruction, source.response) == ("prompt", "response")
    assert (recipe.pairs.train, recipe.pairs.held_out) == (5000, 200)
    quantization = quantization_config(recipe.model)
    assert quantization is not None
    assert quantization.load_in_4bit
    assert quantization.bnb_4bit_quant_type == "nf4"
    assert quantization.bnb_4bit_use_double_quant
    assert quantization.bnb_4bit_compute_dtype == torch.bfloat16
    lora = lora_config(recipe.finetune)
    assert (lora.r, lora.lora_alpha, lora.lora_dropout, lora.bias) == (64, 16, 0.1, "none")
    assert lora.target_modules is None  # PEFT's choice for the architecture, as in the lesson
    config = trainer_config(recipe, tmp_path)
    assert (config.max_steps, config.per_device_train_batch_size, config.eval_steps) == (100, 4, 20)
    assert (config.learning_rate, config.lr_scheduler_type) == (2e-4, "constant")
    assert (config.max_length, config.packing) == (2048, True)
    assert config.gradient_accumulation_steps == 1
    assert recipe.model.dtype == "bfloat16"  # on CUDA also the trainer's arithmetic
    assert recipe.finetune.loss == "text"
    assert recipe.finetune.null_share == 0
    assert recipe.prompt.style == "plain"
    assert recipe.prompt.task == TASK
    passage = recipe.evaluate.passages[0]
    assert passage.startswith("There are more than 12,000 species of grass.")
    assert passage.endswith("Bermuda grass is harder but can grow in drier soil.")


def test_the_lessons_wrapper_is_stripped(tmp_path: Path) -> None:
    source = load_recipe("mistral-7b-lesson").pairs.sources[0]
    rows = [{"prompt": lesson_prompt("Name a fish."), "response": "Eel.", "source": "dolly_hhrlhf"}]
    local = {"dataset": None, "path": str(write_jsonl(tmp_path / "p.jsonl", rows))}
    pairs = read_pairs(Pairs(sources=[source.model_copy(update=local)])).pairs
    assert [(p.instruction, p.response) for p in pairs] == [("Name a fish.", "Eel.")]

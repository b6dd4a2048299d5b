"""A tiny Mistral made in place, and recipes that use it: small real things instead of mocks."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub import Hub, running
from tests.hub.client import MODES, Mode

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

ROOT = Path(__file__).parents[1]

PAIRS: list[dict[str, Any]] = [
    {
        "instruction": f"What is a {noun}?",
        "response": f"A {noun} is a {colour} thing. People keep a {noun} in {place}.",
    }
    for noun in ("kettle", "lamp", "spade", "rope", "drum", "sail", "loom", "oar")
    for colour, place in (("red", "barns"), ("blue", "boats"), ("green", "sheds"))
]


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Mistral of some 100,000 parameters, fresh weights, and nano's tokenizer."""
    import torch
    from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

    folder = tmp_path_factory.mktemp("tiny-base")
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "data" / "nano")
    torch.manual_seed(1)
    config = MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=512,
        sliding_window=None,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    MistralForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A folder with `recipe.yaml` over the tiny base, `pairs.jsonl` and `corpus.jsonl`."""
    import yaml

    folder = tmp_path_factory.mktemp("tiny-files")
    write_jsonl(folder / "pairs.jsonl", PAIRS)
    documents = [
        {
            "id": f"d{i}",
            "text": f"The {w} stands in the yard. To use the {w}, lift it with the hand.",
        }
        for i, w in enumerate(("pump", "gate", "cart", "bell", "mill", "well", "plough", "rake"))
    ]
    write_jsonl(folder / "corpus.jsonl", documents)
    recipe: dict[str, Any] = {
        "name": "tiny",
        "about": "For tests.",
        "model": {"base": str(tiny_base), "dtype": "float32"},
        "pairs": {"sources": [{"path": str(folder / "pairs.jsonl")}], "held_out": 4},
        "finetune": {
            "lora": {"r": 8, "alpha": 16, "dropout": 0.0},
            "steps": 4,
            "learning_rate": 0.005,
            "max_tokens": 256,
            "eval_every": 2,
        },
        "evaluate": {
            "samples": 1,
            "retrieval_texts": 3,
            "min_fall": 0.0,
            "min_retrieval": 0.0,
            "max_leak": 1.0,
            "min_finished": 0.0,
            "max_declined": 1.0,
        },
        "corpus": {"min_chars": 20, "max_chars": 400, "shortest": 20},
        "generate": {"temperature": 0.0, "max_tokens": 256, "max_new_tokens": 6, "shard": 3},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_run(tiny_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder in which the tiny recipe was finetuned. Copy it before writing to it."""
    from synth.models.local import LocalModels
    from synth.recipe import load_recipe
    from synth.stages.finetune import finetune
    from synth.store.run import Run

    folder = tmp_path_factory.mktemp("tiny-run")
    finetune(Run(folder), load_recipe(str(tiny_files / "recipe.yaml")), LocalModels())
    return folder


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The test's own folder as the current one."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Writes a jsonl file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def lesson_prompt(instruction: str) -> str:
    """The instruction in the wrapper of the lesson's dataset."""
    return (
        "Below is an instruction that describes a task. Write a response that appropriately"
        f" completes the request.\n\n### Instruction:\n{instruction}\n\n### Response:\n"
    )


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A Hub on loopback, which no token leaves."""
    with running() as hub:
        yield hub
        assert hub.leaked == []


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Mode:
    """The ways in which the Hub's client uploads."""
    found: Mode = request.param
    return found

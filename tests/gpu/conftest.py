"""What the tests on a CUDA device share: one short training of nano, and a clean card for each."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from synth.models.local import LocalModels
from synth.recipe import Recipe, load_recipe
from synth.stages.finetune import finetune
from synth.store.run import Run

STEPS = ("finetune.steps=40", "finetune.eval_every=10", "generate.max_new_tokens=24")
QLORA = (
    "model.quantization=nf4",
    "model.dtype=bfloat16",
    "finetune.optimizer=paged_adamw_8bit",
    "finetune.gradient_checkpointing=true",
    "finetune.group_by_length=true",
)


@pytest.fixture(autouse=True)
def card() -> Iterator[None]:
    """A CUDA device on which nothing of another test lies.

    Raises:
        RuntimeError: When there is none.
    """
    torch.zeros(1, device="cuda")
    yield
    gc.collect()
    torch.cuda.empty_cache()


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """Nano in 32 bits, in which two ways to the same logits can be told from two other logits."""
    return load_recipe("nano", STEPS)


@pytest.fixture(scope="session")
def taught(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with an adapter; copy it before writing to it."""
    run = Run(tmp_path_factory.mktemp("taught"))
    finetune(run, recipe, LocalModels())
    return run


@pytest.fixture(scope="session")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of half a billion parameters."""
    from tests.bases import write_base

    folder = tmp_path_factory.mktemp("medium")
    write_base(folder, layers=8)
    return folder

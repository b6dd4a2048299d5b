"""What the tests of the real vLLM share: one short training of nano."""

import shutil
from pathlib import Path

import pytest

from synth.models.local import LocalModels
from synth.recipe import Recipe, load_recipe
from synth.stages.finetune import finetune
from synth.store.run import Run

STEPS = ["finetune.steps=15", "finetune.eval_every=15", "generate.max_new_tokens=20"]


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return load_recipe("nano", [*STEPS, "generate.engine=vllm"])


@pytest.fixture(scope="session")
def taught(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with an adapter, for copies."""
    run = Run(tmp_path_factory.mktemp("taught"))
    finetune(run, recipe, LocalModels())
    return run


@pytest.fixture(scope="module")
def run(taught: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return copy_of(taught, tmp_path_factory.mktemp("run"))


def copy_of(run: Run, folder: Path) -> Run:
    """The run as it is, in a folder that is there."""
    shutil.copytree(run.folder, folder, dirs_exist_ok=True)
    return Run(folder)

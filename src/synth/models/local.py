"""The models of this machine: what stages ask for, fulfilled."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from synth.models import loading
from synth.models.protocols import Engine, Judge, Training
from synth.models.training import train_adapter
from synth.models.transformers_engine import TransformersEngine
from synth.models.vllm_engine import VllmEngine
from synth.prompt import Example
from synth.recipe import Recipe
from synth.records import Listener


class LocalModels:
    """Fulfils `protocols.Models` with the libraries installed here."""

    def train(
        self,
        recipe: Recipe,
        train: Sequence[Example],
        held_out: Sequence[Example],
        folder: Path,
        listen: Listener,
    ) -> Training:
        """Trains an adapter on the examples and writes it into `folder`."""
        torch.manual_seed(recipe.finetune.seed)
        return train_adapter(recipe, train, held_out, folder, listen)

    def tokenizer(self, recipe: Recipe) -> Any:  # noqa: ANN401
        """The tokenizer of the recipe's base."""
        return loading.load_tokenizer(recipe.model)

    def identity(self, recipe: Recipe) -> str:
        """Which base model this is."""
        return loading.base_identity(recipe.model)

    def judge(self, recipe: Recipe, adapter: Path) -> Judge:
        """The base with the adapter in transformers, decoding greedily."""
        settings = recipe.generate.model_copy(update={"temperature": 0.0})
        model = loading.load_with_adapter(recipe.model, adapter)
        return TransformersEngine(model, loading.load_tokenizer(recipe.model), settings)

    def engine(self, recipe: Recipe, adapter: Path) -> Engine:
        """The recipe's engine over the base with the adapter."""
        if recipe.generate.engine == "vllm":
            return VllmEngine(recipe, adapter)
        model = loading.load_with_adapter(recipe.model, adapter)
        return TransformersEngine(model, loading.load_tokenizer(recipe.model), recipe.generate)

"""The models of this machine: what stages ask for, fulfilled; libraries load when needed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth.models.naming import base_identity, embedder_identity
from synth.models.protocols import Embedder, Engine, Judge, Merge, Training, TrainingPlan
from synth.prompt import Example
from synth.recipe import Recipe
from synth.records import Listener
from synth.settings import Generate


class LocalModels:
    """Fulfils `protocols.Models` with the libraries installed here."""

    main = os.environ.get("RANK", "0") == "0"  # as `accelerate launch` and torchrun set it

    def train(
        self,
        recipe: Recipe,
        train: Sequence[Example],
        held_out: Sequence[Example],
        folder: Path,
        checkpoints: Path,
        listen: Listener,
    ) -> Training:
        """Trains an adapter on the examples into `folder`, going on from a checkpoint if any."""
        from synth.models.training import train_adapter

        return train_adapter(recipe, train, held_out, folder, checkpoints, listen)

    def plan(self, recipe: Recipe, train: Sequence[Example]) -> TrainingPlan:
        """What training on these examples will take, found without loading weights."""
        from synth.models.planning import plan_training

        return plan_training(recipe, train, int(os.environ.get("WORLD_SIZE", "1")))

    def merge(
        self,
        recipe: Recipe,
        adapter: Path,
        examples: Sequence[Example],
        folder: Path,
        listen: Listener,
    ) -> Merge:
        """Writes the merged model into `folder`, by the way that is closest on the examples."""
        from synth.models.merging import merge_adapter

        return merge_adapter(recipe, adapter, examples, folder, listen)

    def tokenizer(self, recipe: Recipe) -> Any:  # noqa: ANN401
        """The tokenizer of the recipe's base."""
        from synth.models.loading import load_tokenizer

        return load_tokenizer(recipe.model)

    def identity(self, recipe: Recipe) -> str:
        """Which base model this is."""
        return base_identity(recipe.model)

    def judge(self, recipe: Recipe, adapter: Path) -> Judge:
        """The base with the adapter in transformers, decoding greedily."""
        settings = recipe.generate.model_copy(update={"temperature": 0.0})
        return _with_transformers(recipe, adapter, settings, fold=False)

    def engine(self, recipe: Recipe, weights: Path) -> Engine:
        """The recipe's engine over an adapter on its base or a merged model."""
        if recipe.generate.engine == "vllm":
            from synth.models.vllm_engine import VllmEngine

            return VllmEngine(recipe, weights)
        if recipe.generate.engine == "endpoint":
            from synth.models.endpoint_engine import EndpointEngine

            return EndpointEngine(recipe)
        # IFD asks for the base alone as well.
        fold = "ifd" not in recipe.generate.scores
        return _with_transformers(recipe, weights, recipe.generate, fold=fold)

    def embedder(self, name: str) -> Embedder:
        """The embedding model of that folder or Hub id."""
        from synth.models.embedding import load_embedder

        return load_embedder(name)

    def embedder_identity(self, name: str) -> str:
        """Which embedding model that is."""
        return embedder_identity(name)


def _with_transformers(recipe: Recipe, weights: Path, settings: Generate, *, fold: bool) -> Judge:
    from synth.models.loading import load_tokenizer, load_weights
    from synth.models.transformers_engine import TransformersEngine

    model = load_weights(recipe.model, weights, fold=fold)
    return TransformersEngine(model, load_tokenizer(recipe.model), settings)

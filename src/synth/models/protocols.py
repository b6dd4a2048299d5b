"""What stages ask of models; `local.py` fulfils it, tests may fulfil it with scripts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from synth.prompt import Example, Tokenizer
from synth.recipe import Recipe
from synth.records import Completion, Listener


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt's token ids, and the seed of its draw."""

    ids: list[int]
    seed: int


@dataclass(frozen=True, slots=True)
class LossPoint:
    """Losses at a step of training: mean nats per supervised token; None where not measured."""

    step: int
    train: float | None
    held_out: float | None


@dataclass(frozen=True, slots=True)
class Training:
    """What a training run did."""

    losses: list[LossPoint]
    steps: int
    best_step: int | None
    resumed_from: int
    trainable: int
    supervised_tokens: int
    shortened: int


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What a training run will take; memory per device, by use, in GiB (estimated)."""

    parameters: int
    trainable: int
    supervised_tokens: int
    tokens: int
    steps: int
    epochs: float
    memory_gib: dict[str, float]


@dataclass(frozen=True, slots=True)
class Score:
    """What an example's supervised tokens cost: nats in all, and how many tokens."""

    nats: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Merge:
    """Way of merging -> largest logit difference from the adapter on its base; the way taken."""

    gaps: dict[str, float]
    taken: str


class Engine(Protocol):
    """What generates text."""

    tokenizer: Tokenizer

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion per request, in their order; the same request gives the same draw."""

    def close(self) -> None:
        """Frees the model."""


class Judge(Engine, Protocol):
    """An engine that can also switch its adapter off and measure a loss: what `evaluate` needs."""

    def use_adapter(self, on: bool) -> None:
        """Switches the adapter on or off for what follows."""

    def scores(self, examples: Sequence[Example]) -> list[Score]:
        """What each example's supervised tokens cost the model."""


class Models(Protocol):
    """What stages do with models."""

    main: bool
    """Whether this is the first of several processes that train together: it alone writes."""

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

    def plan(self, recipe: Recipe, train: Sequence[Example]) -> TrainingPlan:
        """What training on these examples will take, found without loading weights."""

    def merge(
        self, recipe: Recipe, adapter: Path, examples: Sequence[Example], folder: Path
    ) -> Merge:
        """Writes the merged model into `folder`, by the way that is closest on the examples."""

    def tokenizer(self, recipe: Recipe) -> Tokenizer:
        """The tokenizer of the recipe's base."""

    def identity(self, recipe: Recipe) -> str:
        """Which base model this is: a content hash of a local one, id and commit of a Hub one."""

    def judge(self, recipe: Recipe, adapter: Path) -> Judge:
        """The base with the adapter, for measuring."""

    def engine(self, recipe: Recipe, weights: Path) -> Engine:
        """The recipe's engine over an adapter on its base or a merged model, for bulk work."""

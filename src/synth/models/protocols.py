"""What stages ask of models; `local.py` fulfils it, tests may fulfil it with scripts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from synth.prompt import Example, Tokenizer
from synth.recipe import Recipe
from synth.records import Completion, Listener

Vectors = npt.NDArray[np.float32]
"""(texts, dimensions), each of length 1."""


class Request(NamedTuple):
    """A prompt's token ids, the seed of its draw, and a key by which its completion is known."""

    ids: list[int]
    seed: int
    key: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """An example whose loss is wanted, with the adapter or without, and a key for the answer."""

    example: Example
    adapter: bool = True
    key: int = 0


@dataclass(frozen=True, slots=True)
class LossPoint:
    """What was logged at a step of training; None where it was not.

    Attributes:
        step: Steps done.
        train: Loss on the examples since the last such point, mean nats per supervised token.
        held_out: Loss on the held-out pairs, in the same unit.
        learning_rate: At this step.
        grad_norm: Norm of the gradients before they are clipped; None too where it is no number,
            as at a step that half precision skips.
    """

    step: int
    train: float | None
    held_out: float | None
    learning_rate: float | None = None
    grad_norm: float | None = None


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
    """What generates text, and measures it.

    Both methods take a stream and yield (key, result) as results come, in any order. They read on
    only as far as the engine has room, so a corpus passes through without being held.
    """

    tokenizer: Tokenizer

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        """Completions by key; the same request gives the same draw, whatever is beside it.

        Raises:
            ModelError: When the engine died or hangs.
        """

    def score(self, questions: Iterable[Question]) -> Iterator[tuple[int, Score]]:
        """What each example's supervised tokens cost the model, by key.

        Raises:
            ModelError: When the engine died or hangs.
        """

    def close(self) -> None:
        """Frees the model."""


class Judge(Engine, Protocol):
    """An engine whose adapter can be switched off for generation too: what `evaluate` needs."""

    def use_adapter(self, on: bool) -> None:
        """Switches the adapter on or off for what is generated next."""


class Embedder(Protocol):
    """What says where texts stand by their meaning."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A unit vector of each text, in their order; what is beyond the model's length is unread.

        A text in which a static model knows no word has a vector of zeros.
        """


def completions(engine: Engine, prompts: Sequence[Sequence[int]]) -> list[Completion]:
    """One completion for each prompt, in their order, each drawn with the seed 0."""
    requests = (Request(list(ids), 0, key) for key, ids in enumerate(prompts))
    return [completion for _, completion in sorted(engine.generate(requests), key=_key)]


def losses(engine: Engine, examples: Sequence[Example], *, adapter: bool) -> list[Score]:
    """What each example's supervised tokens cost, in their order."""
    questions = (Question(example, adapter, key) for key, example in enumerate(examples))
    return [score for _, score in sorted(engine.score(questions), key=_key)]


def _key(item: tuple[int, object]) -> int:
    return item[0]


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
        self,
        recipe: Recipe,
        adapter: Path,
        examples: Sequence[Example],
        folder: Path,
        listen: Listener,
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

    def embedder(self, name: str) -> Embedder:
        """The embedding model of that folder or Hub id."""

    def embedder_identity(self, name: str) -> str:
        """Which embedding model that is: content hash of a local one, id and commit of a Hub's."""

"""Answers -> the same with their scores: how well instruction and text explain one another."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from synth.errors import TooLongError
from synth.models.protocols import Engine, Question
from synth.prompt import Example
from synth.recipe import Recipe
from synth.records import Completion
from synth.stages.common import prompt_of
from synth.store.candidates import Asked, Scores

Answer = tuple[Asked, Completion]

_ALONE, _GIVEN, _FREE = range(3)  # instruction alone; text given the instruction; text alone


def scored(
    engine: Engine,
    answers: Sequence[Answer],
    recipe: Recipe,
    measured: Callable[[], None] = lambda: None,
) -> list[tuple[Asked, Completion, Scores]]:
    """The answers with the scores that the recipe wants; tells of every measure.

    r-IFD is the instruction's loss given the text over its loss without one, under the adapter; IFD
    is the text's loss given the instruction over its loss alone, under the base (Li et al. 2024).
    Losses are means over tokens. An answer without text has neither loss, and the worst score, and
    so has one that leaves no room for the prompt.
    """
    wanted = recipe.generate.scores
    if not wanted:
        return [(asked, said, Scores()) for asked, said in answers]
    questions = [
        Question(example, part == _ALONE, 3 * row + part)
        for row, (asked, said) in enumerate(answers)
        if said.text
        for part, example in _examples(engine, asked, said.text, recipe)
    ]
    mean: dict[int, float] = {}
    for key, found in engine.score(questions):
        mean[key] = found.nats / max(1, found.tokens)
        measured()

    def score(row: int, said: Completion) -> Scores:
        alone, given, free = (mean.get(3 * row + part) for part in (_ALONE, _GIVEN, _FREE))
        own = -said.logprob if said.text else None
        return Scores(
            _ratio(own, alone) if "r_ifd" in wanted else None,
            _ratio(given, free) if "ifd" in wanted else None,
        )

    return [(asked, said, score(row, said)) for row, (asked, said) in enumerate(answers)]


def _examples(
    engine: Engine, asked: Asked, instruction: str, recipe: Recipe
) -> list[tuple[int, Example]]:
    """What must be measured of an answer, and as which part of its scores."""
    prompt, room = prompt_of(recipe), recipe.generate.max_tokens
    found: list[tuple[int, Example]] = []
    if "r_ifd" in recipe.generate.scores:
        with suppress(TooLongError):
            example = prompt.example(instruction, "", engine.tokenizer, room, asked.wanted)
            found.append((_ALONE, example))
    if "ifd" in recipe.generate.scores:
        pair = prompt.forwards(instruction, asked.segment.text, engine.tokenizer, room)
        found += zip((_GIVEN, _FREE), pair, strict=True)
    return found


def _ratio(above: float | None, below: float | None) -> float:
    return float("inf") if above is None or not below else above / below

"""Pairs -> adapter."""

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from synth.errors import TooLongError, TrainingError
from synth.models.protocols import Models
from synth.prompt import Example, Tokenizer
from synth.recipe import Recipe
from synth.records import Listener, Outcome, Pair, Progress, content_id, silent
from synth.stages.common import AdapterInfo, junk_pairs, prompt_of, split_pairs, wanted_of
from synth.store.files import replace_folder, write_text
from synth.store.run import Run

STAGE = "finetune"
_LENGTHS = 2000  # pairs whose lengths are remembered


def finetune(
    run: Run,
    recipe: Recipe,
    models: Models,
    listen: Listener = silent,
    *,
    dry_run: bool = False,
) -> Outcome:
    """Trains the recipe's adapter into `run.adapter`, unless that is done and unchanged.

    With `dry_run` nothing is trained or written: the counts say what training would take.

    Raises:
        SynthError: For pairs that cannot be read, a base that cannot be loaded, or a run that
            would teach nothing.
    """
    started = time.time()
    split = split_pairs(recipe.pairs)
    identity = models.identity(recipe)
    fingerprint = content_id(
        STAGE, 3, identity, recipe.model.fingerprint(), recipe.prompt.fingerprint(), split.hash,
        len(split.held_out), recipe.finetune.fingerprint(),
    )  # fmt: skip
    done = run.done(STAGE)
    if not dry_run and done and done.fingerprint == fingerprint and run.adapter.is_dir():
        return Outcome(STAGE, done.counts, skipped=True)
    listen(Progress(STAGE, 0, recipe.finetune.steps, "step", f"loading {recipe.model.base}"))
    tokenizer = models.tokenizer(recipe)
    drawn = [*split.train, *split.held_out]
    lessons = _lessons(drawn, recipe, tokenizer)
    too_long = [pair.id for pair in drawn if pair.id not in lessons]
    split = split.without(too_long)
    train, held_out = split.train, split.held_out
    if not train or not held_out:
        raise TrainingError(
            f"{len(train)} pairs to learn from and {len(held_out)} held out: {len(too_long)} others"
            f" have an instruction that leaves no room for its text in {recipe.finetune.max_tokens}"
            " tokens; raise finetune.max_tokens or shorten the instructions"
        )
    share = recipe.finetune.null_share
    unusable = junk_pairs(train, round(len(train) * share / (1 - share)), recipe.finetune.seed)
    counts = {
        "pairs": len(train),
        "unusable_texts": len(unusable),
        "held_out": len(held_out),
        "dropped": split.dropped,
    }
    wanted = [lessons[pair.id].wanted for pair in train]
    learnt = [lessons[pair.id].example for pair in train]
    # An unusable text is asked for what the pair it was made from was: only the text tells it.
    learnt += examples(unusable, wanted[: len(unusable)], recipe, tokenizer)
    if dry_run:
        plan = asdict(models.plan(recipe, learnt))
        shortened = sum(example.shortened for example in learnt)
        return Outcome(STAGE, counts | {"shortened": shortened} | plan, planned=True)
    part = run.adapter.with_name("adapter.part")
    if models.main:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _ready_checkpoints(run, fingerprint)
    measured = [lessons[pair.id].example for pair in held_out]
    training = models.train(recipe, learnt, measured, part, run.training, listen)
    counts |= {
        "shortened": training.shortened,
        "steps": training.steps,
        "best_step": training.best_step,
        "resumed_from": training.resumed_from,
        "trainable_parameters": training.trainable,
        "supervised_tokens": training.supervised_tokens,
    }
    if models.main:
        losses = [asdict(point) for point in training.losses]
        info = AdapterInfo(
            recipe.model.base, identity, prompt_of(recipe).hash, len(train), split.hash,
            fingerprint, losses, dict(Counter(wanted)) if any(wanted) else {}, lengths(train),
            too_long,
        )  # fmt: skip
        info.write(part)
        run.forget(STAGE)
        replace_folder(part, run.adapter)
        run.forget("merge")
        run.forget("evaluate")  # the card is another adapter's
        run.commit(STAGE, fingerprint, counts, started)
        shutil.rmtree(run.training, ignore_errors=True)
    return Outcome(STAGE, counts)


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What a pair becomes: the control line of its prompt, and the example."""

    wanted: str
    example: Example


def _lessons(pairs: Sequence[Pair], recipe: Recipe, tokenizer: Tokenizer) -> dict[str, _Lesson]:
    """Id -> lesson of each pair whose instruction leaves room for its text."""
    found: dict[str, _Lesson] = {}
    for pair in pairs:
        wanted = wanted_of(pair.instruction, recipe)
        with suppress(TooLongError):
            found[pair.id] = _Lesson(wanted, examples([pair], [wanted], recipe, tokenizer)[0])
    return found


def lengths(pairs: Sequence[Pair]) -> list[list[int]]:
    """Characters of instruction and response of at most 2,000 pairs, at even steps."""
    step = max(1, -(-len(pairs) // _LENGTHS))
    return [[len(pair.instruction), len(pair.response)] for pair in pairs[::step]]


def _ready_checkpoints(run: Run, fingerprint: str) -> None:
    """Keeps the checkpoints of this very training, and no others."""
    stamp = run.training / "fingerprint"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != fingerprint:
        shutil.rmtree(run.training, ignore_errors=True)
        write_text(stamp, fingerprint)


def examples(
    pairs: Sequence[Pair], wanted: Sequence[str], recipe: Recipe, tokenizer: Tokenizer
) -> list[Example]:
    """The training examples of the pairs, with their control lines, as the loss wants them.

    Raises:
        TooLongError: When an instruction leaves no room for its text.
    """
    prompt, room = prompt_of(recipe), recipe.finetune.max_tokens
    made = [
        prompt.example(pair.instruction, pair.response, tokenizer, room, asked)
        for pair, asked in zip(pairs, wanted, strict=True)
    ]
    if recipe.finetune.loss == "text":
        return [example.over_whole_text() for example in made]
    return made

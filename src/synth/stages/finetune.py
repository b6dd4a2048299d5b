"""Pairs -> adapter."""

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

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
    train, held_out = split.train, split.held_out
    pairs_hash = content_id(*(pair.id for pair in (*train, *held_out)))
    identity = models.identity(recipe)
    fingerprint = content_id(
        STAGE, 3, identity, recipe.model.fingerprint(), recipe.prompt.fingerprint(), pairs_hash,
        len(held_out), recipe.finetune.fingerprint(),
    )  # fmt: skip
    done = run.done(STAGE)
    if not dry_run and done and done.fingerprint == fingerprint and run.adapter.is_dir():
        return Outcome(STAGE, done.counts, skipped=True)
    listen(Progress(STAGE, 0, recipe.finetune.steps, "step", f"loading {recipe.model.base}"))
    tokenizer = models.tokenizer(recipe)
    share = recipe.finetune.null_share
    unusable = junk_pairs(train, round(len(train) * share / (1 - share)), recipe.finetune.seed)
    counts = {
        "pairs": len(train),
        "unusable_texts": len(unusable),
        "held_out": len(held_out),
        "dropped": split.dropped,
    }
    # An unusable text is asked for what the pair it was made from was: only the text tells it.
    wanted = [wanted_of(pair.instruction, recipe) for pair in (*train, *train[: len(unusable)])]
    learnt = examples([*train, *unusable], wanted, recipe, tokenizer)
    if dry_run:
        plan = asdict(models.plan(recipe, learnt))
        shortened = sum(example.shortened for example in learnt)
        return Outcome(STAGE, counts | {"shortened": shortened} | plan, planned=True)
    part = run.adapter.with_name("adapter.part")
    if models.main:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _ready_checkpoints(run, fingerprint)
    measured = examples(
        held_out, [wanted_of(p.instruction, recipe) for p in held_out], recipe, tokenizer
    )
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
            recipe.model.base, identity, prompt_of(recipe).hash, len(train), pairs_hash,
            fingerprint, losses, dict(Counter(wanted[: len(train)])) if any(wanted) else {},
            lengths(train),
        )  # fmt: skip
        info.write(part)
        run.forget(STAGE)
        replace_folder(part, run.adapter)
        run.forget("merge")
        run.commit(STAGE, fingerprint, counts, started)
        shutil.rmtree(run.training, ignore_errors=True)
    return Outcome(STAGE, counts)


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
    """The training examples of the pairs, with their control lines, as the loss wants them."""
    prompt, room = prompt_of(recipe), recipe.finetune.max_tokens
    made = [
        prompt.example(pair.instruction, pair.response, tokenizer, room, asked)
        for pair, asked in zip(pairs, wanted, strict=True)
    ]
    if recipe.finetune.loss == "text":
        return [example.over_whole_text() for example in made]
    return made

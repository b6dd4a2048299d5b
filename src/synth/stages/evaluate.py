"""Adapter + held-out pairs -> a report card: before against after, and a go or no-go."""

import math
import time
from collections.abc import Sequence
from typing import Any

import polars as pl

from synth.errors import RunError
from synth.models.protocols import Judge, Models, completions, losses
from synth.prompt import Example
from synth.recipe import Recipe
from synth.records import Completion, Listener, Outcome, Pair, content_id, silent
from synth.settings import Evaluate
from synth.stages.common import junk_pairs, prompt_of, read_adapter, split_pairs, wanted_of
from synth.stages.telling import TellingJudge, Told
from synth.store.files import write_json
from synth.store.run import Run
from synth.tables.rules import leaking
from synth.text import metrics
from synth.text.junk import declines

STAGE = "evaluate"


def evaluate(run: Run, recipe: Recipe, models: Models, listen: Listener = silent) -> Outcome:
    """Measures the adapter into `run.evaluation`, unless that is done and unchanged.

    The counts hold the metrics `before`, `after` and, where they apply, of the `reference`
    (README.md says what each is), the `checks` behind `go`, and `samples`.

    Raises:
        SynthError: Without an adapter that fits the recipe, and that learnt from its pairs.
    """
    started = time.time()
    adapter = read_adapter(run.adapter, recipe, models)
    pairs = split_pairs(recipe.pairs).without(adapter.too_long)
    if adapter.pairs_hash != pairs.hash:
        raise RunError(
            f"{run.adapter}: did not learn from the recipe's pairs as they are now, so that those"
            " held out may be among what it learnt; run `synth finetune`, or restore the pairs"
        )
    held_out = pairs.held_out
    fingerprint = content_id(
        STAGE, 3, adapter.fingerprint, recipe.evaluate.fingerprint(), recipe.model.fingerprint(),
        *(pair.id for pair in held_out), recipe.finetune.max_tokens, recipe.finetune.seed,
        recipe.generate.max_tokens, recipe.generate.max_new_tokens, recipe.curate.max_copied_words,
    )  # fmt: skip
    done = run.done(STAGE)
    if done and done.fingerprint == fingerprint and run.evaluation.is_file():
        return Outcome(STAGE, done.counts, skipped=True)
    # Nobody wrote an instruction for a passage: it is asked for one like the first pair's.
    shown = [Pair(held_out[0].instruction, text) for text in recipe.evaluate.passages]
    told = Told(STAGE, 2 * _answers_of_a_model(recipe, len(held_out), len(shown)), listen)
    told.tell(f"loading {recipe.model.base}")
    judge = TellingJudge(models.judge(recipe, run.adapter), told)
    try:
        told.tell("before")
        before, said_before = _measure(judge, recipe, held_out, shown, adapter=False)
        told.tell("after")
        after, said_after = _measure(judge, recipe, held_out, shown, adapter=True)
    finally:
        judge.close()
    checks = _checks(before, after, recipe.evaluate)
    references = [""] * len(shown) + [p.instruction for p in held_out]
    shown += held_out[: recipe.evaluate.samples]
    counts = {
        "held_out": len(held_out),
        "retrieval_texts": min(recipe.evaluate.retrieval_texts, len(held_out)),
        "go": all(check["passed"] for check in checks.values()),
        "checks": checks,
        "before": before,
        "after": after,
        "reference": _of_texts([pair.instruction for pair in held_out]),
        "samples": [
            {"text": p.response, "reference": reference, "before": b, "after": a}
            for p, reference, b, a in zip(shown, references, said_before, said_after, strict=False)
        ],
    }
    run.forget(STAGE)
    write_json(run.evaluation, counts)
    run.commit(STAGE, fingerprint, counts, started)
    return Outcome(STAGE, counts)


Metrics = dict[str, float]


def _answers_of_a_model(recipe: Recipe, held_out: int, shown: int) -> int:
    """How much one model is asked: texts to write for, and instructions to measure."""
    settings = recipe.evaluate
    others = min(settings.retrieval_pairs, held_out) * (min(settings.retrieval_texts, held_out) - 1)
    return shown + 2 * held_out + held_out + others


def _checks(before: Metrics, after: Metrics, settings: Evaluate) -> dict[str, dict[str, Any]]:
    """What a go needs: name -> measured value, bound, whether it is met."""
    fall = 1 - after["nats_per_token"] / before["nats_per_token"]
    lowest = {
        "loss_fall": (fall, settings.min_fall),
        "retrieval": (after["retrieval"], settings.min_retrieval),
        "finished": (after["finished"], settings.min_finished),
    }
    highest = {
        "leak": (after["leak"], settings.max_leak),
        "declined": (after["declined"], settings.max_declined),
    }
    checks = {
        name: {"value": round(value, 4), "at_least": bound, "passed": value >= bound}
        for name, (value, bound) in lowest.items()
    }
    return checks | {
        name: {"value": round(value, 4), "at_most": bound, "passed": value <= bound}
        for name, (value, bound) in highest.items()
    }


def _measure(
    judge: Judge, recipe: Recipe, held_out: Sequence[Pair], shown: Sequence[Pair], *, adapter: bool
) -> tuple[Metrics, list[str]]:
    """The metrics, and what is generated for the shown texts, then for the held-out ones."""
    judge.use_adapter(adapter)
    pairs = [*shown, *held_out]
    answers = _answers(judge, recipe, pairs, pairs)
    said = [answer.text for answer in answers]
    mine, ours = answers[len(shown) :], said[len(shown) :]
    references = [pair.instruction for pair in held_out]
    rows = pl.DataFrame(
        {"instruction": ours, "text": [pair.response for pair in held_out]},
        schema={"instruction": pl.String, "text": pl.String},
    )
    leaks = leaking(rows, recipe.curate.max_copied_words)
    found = {
        **_likelihoods(judge, recipe, held_out, adapter=adapter),
        "chrf": metrics.chrf(ours, references),
        "rouge_l": metrics.rouge_l(ours, references),
        "leak": sum(leaks) / len(ours),
        "finished": sum(answer.finish == "stop" for answer in mine) / len(mine),
        **_of_texts(ours),
        **_null(judge, recipe, held_out, ours),
    }
    return {name: round(value, 4) for name, value in found.items()}, said


def _answers(
    judge: Judge, recipe: Recipe, pairs: Sequence[Pair], like: Sequence[Pair]
) -> list[Completion]:
    """What is generated for the pairs' responses, asked for instructions like those of `like`."""
    prompt, limit = prompt_of(recipe), recipe.generate.max_tokens
    prompts = [
        prompt.render(pair.response, judge.tokenizer, limit, wanted_of(other.instruction, recipe))
        for pair, other in zip(pairs, like, strict=True)
    ]
    return completions(judge, [rendered.ids for rendered in prompts])


def _of_texts(texts: Sequence[str]) -> Metrics:
    """The metrics that need nothing but the instructions."""
    return {
        "distinct_trigrams": round(metrics.distinct_trigrams(texts), 4),
        "opening_entropy": round(metrics.opening_entropy(texts), 4),
        "self_bleu": round(metrics.self_bleu(texts), 4),
        **{f"words_{name}": count for name, count in metrics.word_counts(texts).items()},
    }


def _likelihoods(
    judge: Judge, recipe: Recipe, held_out: Sequence[Pair], *, adapter: bool
) -> Metrics:
    """Loss on the held-out instructions and their eos, and how well they find their texts."""
    count = min(recipe.evaluate.retrieval_texts, len(held_out))
    tried = min(recipe.evaluate.retrieval_pairs, len(held_out))
    own = [_example(judge, recipe, pair, pair) for pair in held_out]
    others = [
        _example(judge, recipe, pair, held_out[(i + step) % len(held_out)])
        for i, pair in enumerate(held_out[:tried])
        for step in range(1, count)
    ]
    scores = losses(judge, [*own, *others], adapter=adapter)
    nats = math.fsum(score.nats for score in scores[: len(own)])
    tokens = sum(score.tokens for score in scores[: len(own)])
    size = sum(len(pair.instruction.encode()) for pair in held_out)
    hits = 0
    for i in range(tried):
        start = len(own) + i * (count - 1)
        found = [scores[i].nats < other.nats for other in scores[start : start + count - 1]]
        hits += bool(found) and all(found)
    return {
        "nats_per_token": nats / tokens,
        "bits_per_byte": nats / math.log(2) / size,
        "retrieval": hits / tried,
    }


def _example(judge: Judge, recipe: Recipe, asked: Pair, text: Pair) -> Example:
    prompt, room = prompt_of(recipe), recipe.finetune.max_tokens
    wanted = wanted_of(asked.instruction, recipe)
    return prompt.example(asked.instruction, text.response, judge.tokenizer, room, wanted)


def _null(judge: Judge, recipe: Recipe, held_out: Sequence[Pair], said: Sequence[str]) -> Metrics:
    """How well good texts are told from unusable ones, of which there are as many."""
    wrong = sum(declines(text) for text in said)
    unusable = junk_pairs(held_out, len(held_out), recipe.finetune.seed)
    junk = _answers(judge, recipe, unusable, held_out)
    right = sum(declines(answer.text) for answer in junk)
    return {
        "declined": wrong / len(said),
        "null_precision": right / (right + wrong) if right + wrong else 0.0,
        "null_recall": right / len(junk),
    }

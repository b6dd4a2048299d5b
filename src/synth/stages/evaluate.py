"""Adapter + held-out pairs -> a report card: before against after, and a go or no-go."""

import time
from collections.abc import Sequence

from synth.models.protocols import Judge, Models, Request
from synth.recipe import Recipe
from synth.records import Listener, Outcome, Pair, Progress, content_id, silent
from synth.stages.common import prompt_of, read_adapter, split_pairs
from synth.store.files import write_json
from synth.store.run import Run

STAGE = "evaluate"


def evaluate(run: Run, recipe: Recipe, models: Models, listen: Listener = silent) -> Outcome:
    """Measures the adapter into `run.evaluation`, unless that is done and unchanged.

    The counts hold `loss_before`, `loss_after` (nats per token of the held-out instructions and
    their eos, whatever loss the recipe trains), `fall` (a share), `go`, and `samples`.

    Raises:
        SynthError: Without an adapter that fits the recipe.
    """
    started = time.time()
    adapter = read_adapter(run.adapter, recipe, models)
    held_out = split_pairs(recipe.pairs).held_out
    fingerprint = content_id(
        STAGE, 1, adapter.fingerprint, recipe.evaluate.fingerprint(), *(p.id for p in held_out),
        recipe.generate.max_tokens, recipe.generate.max_new_tokens,
    )  # fmt: skip
    done = run.done(STAGE)
    if done and done.fingerprint == fingerprint and run.evaluation.is_file():
        return Outcome(STAGE, done.counts, skipped=True)
    listen(Progress(STAGE, 0, 2, "model", "before"))
    judge = models.judge(recipe, run.adapter)
    passages = [Pair("", text) for text in recipe.evaluate.passages]
    shown = [*passages, *held_out[: recipe.evaluate.samples]]
    try:
        judge.use_adapter(False)
        before = _measure(judge, recipe, held_out, shown)
        listen(Progress(STAGE, 1, 2, "model", "after"))
        judge.use_adapter(True)
        after = _measure(judge, recipe, held_out, shown)
    finally:
        judge.close()
    listen(Progress(STAGE, 2, 2, "model"))
    fall = 1 - after[0] / before[0]
    counts = {
        "held_out": len(held_out),
        "loss_before": round(before[0], 4),
        "loss_after": round(after[0], 4),
        "fall": round(fall, 4),
        "go": fall >= recipe.evaluate.min_fall,
        "samples": [
            {"text": p.response, "reference": p.instruction, "before": b, "after": a}
            for p, b, a in zip(shown, before[1], after[1], strict=True)
        ],
    }
    run.forget(STAGE)
    write_json(run.evaluation, counts)
    run.commit(STAGE, fingerprint, counts, started)
    return Outcome(STAGE, counts)


def _measure(
    judge: Judge, recipe: Recipe, held_out: Sequence[Pair], shown: Sequence[Pair]
) -> tuple[float, list[str]]:
    """(mean loss on the held-out instructions, what is generated for the shown texts)."""
    prompt, room = prompt_of(recipe), recipe.finetune.max_tokens
    loss = judge.loss(
        [prompt.example(p.instruction, p.response, judge.tokenizer, room) for p in held_out]
    )
    limit = recipe.generate.max_tokens
    prompts = [prompt.render(p.response, judge.tokenizer, limit) for p in shown]
    completions = judge.generate([Request(rendered.ids, 0) for rendered in prompts])
    return loss, [completion.text for completion in completions]

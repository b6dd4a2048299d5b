"""Adapter -> merged model: the base with the adapter folded in, as close as can be had."""

import shutil
import time

from synth.models.protocols import Models
from synth.recipe import Recipe
from synth.records import Listener, Outcome, Progress, content_id, silent
from synth.stages.common import prompt_of, read_adapter, split_pairs, wanted_of
from synth.store.files import replace_folder
from synth.store.run import Run

STAGE = "merge"
_COMPARED = 16  # held-out prompts on which the ways of merging are compared


def merge(run: Run, recipe: Recipe, models: Models, listen: Listener = silent) -> Outcome:
    """Merges into `run.merged`, unless that is done and unchanged.

    The counts hold the largest difference of a logit, way by way, and which way was taken.

    Raises:
        SynthError: Without an adapter that fits the recipe, a base that can be loaded, or room on
            the disk.
    """
    started = time.time()
    adapter = read_adapter(run.adapter, recipe, models)
    fingerprint = content_id(STAGE, 1, adapter.fingerprint, adapter.base_identity)
    done = run.done(STAGE)
    if done and done.fingerprint == fingerprint and run.merged.is_dir():
        return Outcome(STAGE, done.counts, skipped=True)
    listen(Progress(STAGE, note=f"loading {recipe.model.base}"))
    tokenizer, prompt = models.tokenizer(recipe), prompt_of(recipe)
    examples = [
        prompt.example(
            pair.instruction,
            pair.response,
            tokenizer,
            recipe.finetune.max_tokens,
            wanted_of(pair.instruction, recipe),
        )
        for pair in split_pairs(recipe.pairs).without(adapter.too_long).held_out[:_COMPARED]
    ]
    part = run.merged.with_name("merged.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        result = models.merge(recipe, run.adapter, examples, part, listen)
        run.forget(STAGE)
        replace_folder(part, run.merged)
    finally:
        shutil.rmtree(part, ignore_errors=True)  # of a merge that failed: as large as the base
    counts = {"largest_logit_gap": result.gaps, "onto": result.taken, "compared": len(examples)}
    run.commit(STAGE, fingerprint, counts, started)
    return Outcome(STAGE, counts)

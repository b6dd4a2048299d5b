"""Pairs and corpus -> adapter, report card, candidates, curated rows and dataset, in order."""

from collections.abc import Iterator, Sequence

from synth.models.protocols import Models
from synth.recipe import Recipe
from synth.records import Listener, Outcome, silent
from synth.stages.backtranslate import backtranslate
from synth.stages.curate import curate
from synth.stages.evaluate import evaluate
from synth.stages.export import export
from synth.stages.finetune import finetune
from synth.store.corpus import check_corpus
from synth.store.run import Run


def run_all(
    run: Run,
    recipe: Recipe,
    models: Models,
    corpus: Sequence[str],
    listen: Listener = silent,
    *,
    strict: bool = False,
) -> Iterator[Outcome]:
    """Every stage in order, each skipped when done and unchanged; yields what each did.

    Raises:
        SynthError: Whatever a stage raises; what is done stays done.
    """
    check_corpus(corpus)  # before the training, not after it
    yield finetune(run, recipe, models, listen)
    yield evaluate(run, recipe, models, listen)
    yield backtranslate(run, recipe, models, corpus, listen, strict=strict)
    yield curate(run, recipe, listen)
    yield export(run, recipe, run.dataset, listen)

"""Pairs and corpus -> adapter, report card, candidates, curated rows, dataset, report, in order."""

from collections.abc import Iterator, Sequence

from synth.errors import NoGoError
from synth.models.protocols import Models
from synth.recipe import Recipe
from synth.records import Listener, Outcome, silent
from synth.stages.backtranslate import backtranslate
from synth.stages.curate import curate
from synth.stages.evaluate import evaluate
from synth.stages.export import export
from synth.stages.finetune import finetune
from synth.stages.report import report
from synth.store.corpus import find_corpus
from synth.store.run import Run


def run_all(
    run: Run,
    recipe: Recipe,
    models: Models,
    corpus: Sequence[str],
    listen: Listener = silent,
    *,
    strict: bool = False,
    force: bool = False,
) -> Iterator[Outcome]:
    """Every stage in order, each skipped when done and unchanged; yields what each did.

    Raises:
        NoGoError: When the report card says no-go and `force` is not set.
        SynthError: Whatever a stage raises; what is done stays done.
    """
    find_corpus(corpus, recipe.corpus)  # before the training, not after it
    yield finetune(run, recipe, models, listen)
    card = evaluate(run, recipe, models, listen)
    yield card
    if not card.counts["go"] and not force:
        failed = [name for name, check in card.counts["checks"].items() if not check["passed"]]
        raise NoGoError(
            f"{run.evaluation}: no-go ({', '.join(failed)}): a corpus run with this adapter would"
            " be wasted; improve pairs or training, change evaluate.* in the recipe, or --force"
        )
    yield backtranslate(run, recipe, models, corpus, listen, strict=strict)
    yield curate(run, recipe, models, listen)
    yield export(run, recipe, run.dataset, listen)
    yield report(run, recipe, models, listen)

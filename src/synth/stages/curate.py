"""Candidates -> curated + rejected + ledger."""

import time
from typing import Any

import polars as pl

from synth.errors import RecipeError, RunError
from synth.recipe import Recipe
from synth.records import Listener, Outcome, Progress, content_id, silent
from synth.store.candidates import CandidateRows, unanswered
from synth.store.files import write_json, writing_parquet
from synth.store.run import Run
from synth.tables.candidate import CANDIDATE
from synth.tables.curation import REJECTED, Verdicts, sorted_out
from synth.tables.curation import curate as curate_rows

STAGE = "curate"
STAGE_WHAT_IF = "what_if"


def curate(run: Run, recipe: Recipe, listen: Listener = silent) -> Outcome:
    """Sorts the run's candidates into kept and rejected, unless that is done and unchanged.

    Raises:
        RunError: Without candidates.
    """
    started = time.time()
    made = run.need("backtranslate")
    shards = [(path.name, path.stat().st_size) for path in run.shards()]
    fingerprint = content_id(STAGE, 3, made.fingerprint, recipe.curate.fingerprint(), shards)
    done = run.done(STAGE)
    if done and done.fingerprint == fingerprint and run.curated.is_file():
        return Outcome(STAGE, done.counts, skipped=True)
    _check_rank(recipe)
    lost = unanswered(run, recipe.generate)
    if lost:
        raise RunError(
            f"{run.candidates}: {lost} requests have no answer by the recipe's settings; run"
            " `synth backtranslate` again"
        )
    rows = CandidateRows(run, recipe.generate)
    listen(Progress(STAGE, 0, rows.count, "candidate"))
    result = curate_rows(rows, recipe.curate)
    ledger: dict[str, Any] = {
        "documents": made.counts["documents"],
        "bad_lines": made.counts["bad_lines"],
        "repeated_documents": made.counts["repeated_documents"],
        "empty_documents": made.counts["empty_documents"],
        "segments": made.counts["segments"],
        "buckets": result.buckets(),
    }
    if recipe.generate.samples > 1:
        ledger["rejected_candidates"] = result.rejections()
    counted = sum(ledger["buckets"].values())
    if counted != made.counts["segments"]:
        raise RunError(
            f"{run.candidates}: {counted} of {made.counts['segments']} segments are accounted for;"
            " run `synth backtranslate` again"
        )
    run.forget(STAGE)
    _write(run, rows, result, listen)
    write_json(run.ledger, ledger)
    run.commit(STAGE, fingerprint, ledger, started)
    return Outcome(STAGE, ledger)


def what_if(run: Run, recipes: dict[str, Recipe]) -> Outcome:
    """How many segments each of these recipes would keep; writes nothing.

    Raises:
        RunError: Without candidates.
        RecipeError: When `curate.rank` is a score that was not measured.
    """
    run.need("backtranslate")
    kept = {}
    for name, recipe in recipes.items():
        _check_rank(recipe)
        verdicts = curate_rows(CandidateRows(run, recipe.generate), recipe.curate)
        kept[name] = verdicts.buckets()["kept"]
    return Outcome(STAGE_WHAT_IF, {"kept": kept})


def _check_rank(recipe: Recipe) -> None:
    if recipe.curate.rank in ("r_ifd", "ifd") and recipe.curate.rank not in recipe.generate.scores:
        raise RecipeError(
            f"curate.rank is {recipe.curate.rank}, which generate.scores does not measure; add it"
            " there, or rank by logprob"
        )


def _write(run: Run, rows: CandidateRows, verdicts: Verdicts, listen: Listener) -> None:
    """Writes the rows that stay and those that go, each file whole."""
    with (
        writing_parquet(run.curated, pl.Schema(CANDIDATE)) as curated,
        writing_parquet(run.rejected, pl.Schema(REJECTED)) as rejected,
    ):
        written = 0
        for kept, gone in sorted_out(rows, verdicts):
            curated.add(kept)
            rejected.add(gone)
            written += kept.height + gone.height
            listen(Progress(STAGE, written, rows.count, "candidate"))
    if written != rows.count:
        raise RunError(f"{run.candidates}: changed while it was read; curate again")

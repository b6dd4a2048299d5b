"""Candidates -> curated + rejected + ledger."""

import time

import polars as pl

from synth.errors import RunError
from synth.recipe import Recipe
from synth.records import Listener, Outcome, Progress, content_id, silent
from synth.store.files import write_json, write_parquet
from synth.store.run import Run
from synth.tables.curation import curate as curate_rows

STAGE = "curate"


def curate(run: Run, recipe: Recipe, listen: Listener = silent) -> Outcome:
    """Sorts the run's candidates into kept and rejected, unless that is done and unchanged.

    Raises:
        RunError: Without candidates.
    """
    started = time.time()
    made = run.need("backtranslate")
    fingerprint = content_id(STAGE, 1, made.fingerprint, recipe.curate.fingerprint())
    done = run.done(STAGE)
    if done and done.fingerprint == fingerprint and run.curated.is_file():
        return Outcome(STAGE, done.counts, skipped=True)
    candidates = _candidates(run)
    listen(Progress(STAGE, 0, candidates.height, "candidate"))
    result = curate_rows(candidates, recipe.curate)
    ledger = {
        "documents": made.counts["documents"],
        "bad_lines": made.counts["bad_lines"],
        "repeated_documents": made.counts["repeated_documents"],
        "segments": made.counts["segments"],
        "buckets": result.buckets(),
    }
    if sum(result.buckets().values()) != made.counts["segments"]:
        raise RunError(
            f"{run.candidates}: holds {candidates.height} of {made.counts['segments']} segments;"
            " run `synth backtranslate` again"
        )
    run.forget(STAGE)
    write_parquet(run.curated, result.curated)
    write_parquet(run.rejected, result.rejected)
    write_json(run.ledger, ledger)
    run.commit(STAGE, fingerprint, ledger, started)
    listen(Progress(STAGE, candidates.height, candidates.height, "candidate"))
    return Outcome(STAGE, ledger)


def _candidates(run: Run) -> pl.DataFrame:
    """The rows of the present corpus, in its order, whichever shards they lie in."""
    shards = run.shards()
    if not shards:
        raise RunError(f"{run.candidates}: no candidates; run `synth backtranslate` first")
    order = pl.scan_parquet(run.segments)
    rows = pl.scan_parquet(shards)
    return order.join(rows, on="segment_id", how="inner", maintain_order="left").collect()

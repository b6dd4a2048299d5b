"""Candidates -> curated + rejected + ledger."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from synth.errors import RecipeError, RunError
from synth.models.protocols import Models
from synth.recipe import Recipe, resolve_path
from synth.records import Listener, Outcome, Progress, content_id, silent
from synth.store.benchmarks import Benchmarks, read_benchmarks
from synth.store.candidates import CandidateRows, unanswered
from synth.store.files import file_hash, write_json, writing_parquet
from synth.store.parts import need_corpus, settle, take_from
from synth.store.reviews import Mark, read_marks
from synth.store.run import Done, Run
from synth.tables.curation import Verdicts
from synth.tables.curation import curate as curate_rows
from synth.tables.looking import Tools
from synth.tables.reviews import tally
from synth.tables.sorting import CURATED, REJECTED, Sorted, masked_values, sorted_out
from synth.text.private import SUSPECT, find

STAGE = "curate"
STAGE_WHAT_IF = "what_if"


def curate(
    run: Run,
    recipe: Recipe,
    models: Models,
    listen: Listener = silent,
    *,
    sources: Sequence[Path] = (),
) -> Outcome:
    """Sorts the run's candidates into kept and rejected, unless that is done and unchanged.

    Args:
        run: Where the candidates lie, and the result goes.
        recipe: How to sort.
        models: For an embedder, where the recipe compares embeddings.
        listen: Told how far it is.
        sources: Run folders whose candidates are sorted together; the run remembers them.

    Raises:
        RunError: Without candidates, or with only some parts of a corpus.
        InputError: For a benchmark or a mark that cannot be used.
        RecipeError: For a rule or a quota that cannot be used.
        ModelError: For an embedder that cannot be loaded.
    """
    started = time.time()
    if sources:
        take_from(run, sources)
    settle(run)
    made = need_corpus(run)
    marks = read_marks(run)
    depends = [*_depends(run, recipe, models), *_said(marks)]
    fingerprint = content_id(STAGE, 4, made.fingerprint, *depends)
    done = run.done(STAGE)
    if (
        done
        and done.fingerprint == fingerprint
        and run.curated.is_file()
        and not _reach(recipe, done)
    ):
        return Outcome(STAGE, done.counts, skipped=True)
    check_rank(recipe)
    lost = unanswered(run, recipe.generate)
    if lost:
        raise RunError(
            f"{run.candidates}: {lost} requests have no answer by the recipe's settings; run"
            " `synth backtranslate` again"
        )
    listen(Progress(STAGE, note="reading benchmarks"))
    benchmarks = read_benchmarks(recipe.curate.contamination)
    tools = tools_of(recipe, models, benchmarks, marks)
    rows = CandidateRows(run, recipe.generate)
    result = curate_rows(
        rows,
        recipe.curate,
        tools,
        lambda done: listen(Progress(STAGE, done, rows.count, "candidate", "looking")),
    )
    ledger = _ledger(recipe, made.counts, rows.repeated_segments, result, benchmarks)
    counted = sum(ledger["buckets"].values())
    if counted != ledger["segments"]:
        raise RunError(
            f"{run.candidates}: {counted} of {ledger['segments']} segments are accounted for;"
            " run `synth backtranslate` again"
        )
    run.forget(STAGE)
    sorting = sorted_out(rows, result, recipe.curate.private, tools)
    ledger["masked"] = _write(run, sorting, rows.count, listen)
    ledger["reviewed"] = _reviewed(run, marks)
    write_json(run.ledger, ledger)
    run.commit(STAGE, fingerprint, ledger, started)
    return Outcome(STAGE, ledger)


def _depends(run: Run, recipe: Recipe, models: Models) -> list[object]:
    """What the result depends on beside the generations."""
    files = [one.path for one in recipe.curate.contamination.benchmarks if one.path is not None]
    embedder = recipe.curate.embedder
    return [
        recipe.curate.fingerprint(),
        [(path.name, path.stat().st_size) for path in run.shards()],
        [file_hash(path) for path in map(resolve_path, files) if path.is_file()],
        models.embedder_identity(embedder) if embedder and recipe.curate.embeds else None,
    ]


def _said(marks: Mapping[str, Mark]) -> list[tuple[str, str, str]]:
    """What the result depends on of the marks: a comment is told of bad rows only."""
    return sorted(
        (name, mark.verdict, mark.comment if mark.verdict == "bad" else "")
        for name, mark in marks.items()
    )


def _by_segment(marks: Mapping[str, Mark], verdict: str) -> dict[str, dict[str, str]]:
    """Segment id -> id of a candidate with that verdict -> comment."""
    found: dict[str, dict[str, str]] = {}
    for mark in marks.values():
        if mark.verdict == verdict:
            found.setdefault(mark.segment_id, {})[mark.candidate] = mark.comment
    return found


def _reviewed(run: Run, marks: Mapping[str, Mark]) -> dict[str, int]:
    """What people said of the rows that are kept, or would be without them."""
    kept, gone = pl.scan_parquet(run.curated), pl.scan_parquet(run.rejected)
    return tally(kept, gone, _by_segment(marks, "good"))


def _reach(recipe: Recipe, done: Done) -> bool:
    """Whether a benchmark that was out of reach can be had now."""
    missing = done.counts["contamination"]["missing"]
    return bool(missing) and read_benchmarks(recipe.curate.contamination).missing != missing


def tools_of(
    recipe: Recipe, models: Models, benchmarks: Benchmarks, marks: Mapping[str, Mark]
) -> Tools:
    """What curation borrows: patterns, questions, marks, an embedder if meanings are compared."""
    embedder = recipe.curate.embedder
    embed = models.embedder(embedder).embed if embedder and recipe.curate.embeds else None
    bad = _by_segment(marks, "bad")
    return Tools(find, SUSPECT, benchmarks.questions, embed, recipe.prompt.task, bad)


def _ledger(
    recipe: Recipe,
    made: Mapping[str, Any],
    repeated: int,
    result: Verdicts,
    benchmarks: Benchmarks,
) -> dict[str, Any]:
    read = ("documents", "bad_lines", "repeated_documents", "empty_documents", "segments")
    ledger = {key: made[key] for key in read} | {"buckets": result.buckets()}
    if repeated:
        ledger["segments"] -= repeated
        ledger["repeated_segments"] = repeated
    if recipe.generate.samples > 1:
        ledger["rejected_candidates"] = result.rejections()
    ledger["contamination"] = {
        "questions": benchmarks.questions.height,
        "spared": result.spared,
        "missing": benchmarks.missing,
    }
    return ledger


def what_if(run: Run, recipes: dict[str, Recipe], models: Models) -> Outcome:
    """How many segments each of these recipes would keep; writes nothing.

    Raises:
        SynthError: As `curate` does.
    """
    need_corpus(run)
    kept = {}
    for name, recipe in recipes.items():
        check_rank(recipe)
        benchmarks = read_benchmarks(recipe.curate.contamination)
        tools = tools_of(recipe, models, benchmarks, read_marks(run))
        verdicts = curate_rows(CandidateRows(run, recipe.generate), recipe.curate, tools)
        kept[name] = verdicts.buckets()["kept"]
    return Outcome(STAGE_WHAT_IF, {"kept": kept})


def check_rank(recipe: Recipe) -> None:
    """Raises a `RecipeError` where candidates lack the score they are ranked by."""
    if recipe.curate.rank in ("r_ifd", "ifd") and recipe.curate.rank not in recipe.generate.scores:
        raise RecipeError(
            f"curate.rank is {recipe.curate.rank}, which generate.scores does not measure; add it"
            " there, or rank by logprob"
        )


def _write(
    run: Run, sorting: Iterable[Sorted], count: int, listen: Listener
) -> dict[str, dict[str, int]]:
    """Writes the rows that stay and those that go, each file whole.

    Returns:
        File -> kind of private data -> how many values were masked.
    """
    written, masked = 0, {"curated": Counter[str](), "rejected": Counter[str]()}
    with (
        writing_parquet(run.curated, pl.Schema(CURATED)) as curated,
        writing_parquet(run.rejected, pl.Schema(REJECTED)) as rejected,
    ):
        for part in sorting:
            curated.add(part.kept)
            rejected.add(part.gone)
            masked["curated"] += masked_values(part.kept)
            masked["rejected"] += masked_values(part.gone)
            written += part.kept.height + part.gone.height
            listen(Progress(STAGE, written, count, "candidate", "writing"))
    if written != count:
        raise RunError(f"{run.candidates}: changed while it was read; curate again")
    return {name: dict(sorted(counts.items())) for name, counts in masked.items()}

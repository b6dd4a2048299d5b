"""Candidates -> curated + rejected + ledger."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from synth.errors import RecipeError, RunError
from synth.models.protocols import Models
from synth.recipe import Recipe, resolve_path
from synth.records import Listener, Outcome, Progress, content_id, silent
from synth.settings import Curate
from synth.store.benchmarks import Benchmarks, read_benchmarks
from synth.store.candidate_rows import CandidateRows, unanswered
from synth.store.files import file_hash, write_json, writing_parquet
from synth.store.parts import need_corpus, settle, take_from
from synth.store.reviews import Mark, read_marks
from synth.store.run import Done, Run
from synth.tables.curation import curate as curate_rows
from synth.tables.looking import Tools
from synth.tables.reviews import tally
from synth.tables.sorting import CURATED, REJECTED, Sorted, masked_values, named, sorted_out
from synth.text.private import SUSPECT, find

STAGE = "curate"
STAGE_WHAT_IF = "what_if"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be sorted, and by what.

    Attributes:
        counts: What is told of the making of the candidates.
        marks: What people said of rows.
        settings: By what it is sorted.
        fingerprint: Of the result.
    """

    counts: Mapping[str, Any]
    marks: Mapping[str, Mark]
    settings: Curate
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Sums:
    """What all candidates add up to; see `Verdicts`."""

    buckets: Mapping[str, int]
    rejections: Mapping[str, int]
    spared: int
    repeated_segments: int


@dataclass(frozen=True, slots=True)
class Written:
    """Rows that were kept and rejected, and file -> kind of private data -> values masked in it."""

    kept: int
    gone: int
    masked: Mapping[str, Mapping[str, int]]


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
    asked = what_is_asked(run, recipe, models, sources)
    before = finished(run, recipe, asked)
    if before is not None:
        return Outcome(STAGE, before.counts, skipped=True)
    check_scores(recipe)
    check_answered(run, unanswered(run, recipe.generate))
    listen(Progress(STAGE, note="reading benchmarks"))
    benchmarks = read_benchmarks(recipe.curate.contamination)
    tools = tools_of(recipe, models, benchmarks.questions, asked.marks)
    rows = CandidateRows.all_of(run, recipe.generate)
    result = curate_rows(
        rows,
        recipe.curate,
        tools,
        lambda done: listen(Progress(STAGE, done, rows.count, "candidate", _looking(done, rows))),
    )
    sums = Sums(result.buckets(), result.rejections(), result.spared, rows.repeated_segments)
    ledger = ledger_of(run, recipe, asked.counts, sums, benchmarks)
    run.forget(STAGE)
    shutil.rmtree(run.sorting, ignore_errors=True)
    claims = named(rows, result.claims)
    sorting = sorted_out(rows, claims, result.rows, recipe.curate.private, tools)
    written = write_sorted(run, 0, sorting, _telling(rows.count, listen))
    if written.kept + written.gone != rows.count:
        raise RunError(f"{run.candidates}: changed while it was read; curate again")
    return commit(run, asked, ledger, written, 1, started)


def what_is_asked(run: Run, recipe: Recipe, models: Models, sources: Sequence[Path]) -> Asked:
    """What is to be sorted; the arguments are those of `curate`.

    Raises:
        SynthError: As `curate` does, for candidates that are not complete.
    """
    if sources:
        take_from(run, sources)
    settle(run)
    made = need_corpus(run)
    marks = read_marks(run)
    depends = [*_depends(run, recipe, models), *_said(marks)]
    fingerprint = content_id(STAGE, 5, made.fingerprint, *depends)
    return Asked(made.counts, marks, recipe.curate, fingerprint)


def finished(run: Run, recipe: Recipe, asked: Asked) -> Done | None:
    """What the manifest says where that is done, and all rows and the ledger are there."""
    done = run.done(STAGE)
    if done is None or done.fingerprint != asked.fingerprint or _reach(recipe, done):
        return None
    ledger, files = done.counts, (run.curated, run.rejected)
    try:
        told = json.loads(run.ledger.read_text(encoding="utf-8"))
        there = [sum(pq.read_metadata(path).num_rows for path in paths) for paths in files]
    except (pa.ArrowException, OSError, ValueError):
        return None
    gone = ledger.get("rejected_candidates", ledger["buckets"])
    rows = [ledger["buckets"]["kept"], sum(n for reason, n in gone.items() if reason != "kept")]
    return done if all(files) and there == rows and told == ledger else None


def _looking(done: int, rows: CandidateRows) -> str:
    return "looking" if done < rows.count else "comparing with one another"


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
        if mark.verdict
    )


def _by_segment(marks: Mapping[str, Mark], verdict: str) -> dict[str, dict[str, str]]:
    """Segment id -> id of a candidate with that verdict -> comment."""
    found: dict[str, dict[str, str]] = {}
    for mark in marks.values():
        if mark.verdict == verdict:
            found.setdefault(mark.segment_id, {})[mark.candidate] = mark.comment
    return found


def _reach(recipe: Recipe, done: Done) -> bool:
    """Whether a benchmark that was out of reach can be had now."""
    missing = done.counts["contamination"]["missing"]
    return bool(missing) and read_benchmarks(recipe.curate.contamination).missing != missing


def tools_of(
    recipe: Recipe, models: Models, questions: pl.DataFrame, marks: Mapping[str, Mark]
) -> Tools:
    """What curation borrows: patterns, questions, marks, an embedder if meanings are compared."""
    embedder = recipe.curate.embedder
    embed = models.embedder(embedder).embed if embedder and recipe.curate.embeds else None
    bad = _by_segment(marks, "bad")
    return Tools(find, SUSPECT, questions, embed, recipe.prompt.task, bad)


def check_answered(run: Run, lost: int) -> None:
    """Raises a `RunError` where requests have no answer."""
    if lost:
        raise RunError(
            f"{run.candidates}: {lost} requests have no answer by the recipe's settings; run"
            " `synth backtranslate` again"
        )


def ledger_of(
    run: Run, recipe: Recipe, made: Mapping[str, Any], sums: Sums, benchmarks: Benchmarks
) -> dict[str, Any]:
    """The account of the sorting.

    Raises:
        RunError: When a segment is missing in it.
    """
    read = ("documents", "bad_lines", "repeated_documents", "empty_documents", "segments")
    ledger = {key: made[key] for key in read} | {"buckets": dict(sums.buckets)}
    if sums.repeated_segments:
        ledger["segments"] -= sums.repeated_segments
        ledger["repeated_segments"] = sums.repeated_segments
    if recipe.generate.samples > 1:
        ledger["rejected_candidates"] = dict(sums.rejections)
    ledger["contamination"] = {
        "questions": benchmarks.questions.height,
        "spared": sums.spared,
        "missing": benchmarks.missing,
    }
    counted = sum(sums.buckets.values())
    if counted != ledger["segments"]:
        raise RunError(
            f"{run.candidates}: {counted} of {ledger['segments']} segments are accounted for;"
            " run `synth backtranslate` again"
        )
    return ledger


def what_if(run: Run, recipes: dict[str, Recipe], models: Models) -> Outcome:
    """How many segments each of these recipes would keep; writes nothing.

    Raises:
        SynthError: As `curate` does.
    """
    need_corpus(run)
    kept = {}
    for name, recipe in recipes.items():
        check_scores(recipe)
        benchmarks = read_benchmarks(recipe.curate.contamination)
        tools = tools_of(recipe, models, benchmarks.questions, read_marks(run))
        verdicts = curate_rows(CandidateRows.all_of(run, recipe.generate), recipe.curate, tools)
        kept[name] = verdicts.buckets()["kept"]
    return Outcome(STAGE_WHAT_IF, {"kept": kept})


def check_scores(recipe: Recipe) -> None:
    """Raises a `RecipeError` where candidates lack a score that they are sorted by."""
    settings = recipe.curate
    for score in ("r_ifd", "ifd"):
        if score in recipe.generate.scores:
            continue
        if settings.rank == score:
            raise RecipeError(
                f"curate.rank is {score}, which generate.scores does not measure; add it there, or"
                " rank by logprob"
            )
        if getattr(settings, score) is not None:
            raise RecipeError(
                f"curate.{score} has limits, but generate.scores does not measure it; add it there,"
                " or leave the limits out"
            )


def write_sorted(
    run: Run,
    number: int,
    sorting: Iterable[Sorted],
    told: Callable[[Sorted], None] = lambda _: None,
) -> Written:
    """Writes the rows that stay and those that go, each file whole.

    Args:
        run: Where they go.
        number: Of the files.
        sorting: The rows, block by block.
        told: Called with each block that was written.
    """
    kept = gone = 0
    masked = {"curated": Counter[str](), "rejected": Counter[str]()}
    with (
        writing_parquet(run.curated_file(number), pl.Schema(CURATED)) as curated,
        writing_parquet(run.rejected_file(number), pl.Schema(REJECTED)) as rejected,
    ):
        for part in sorting:
            curated.add(part.kept)
            rejected.add(part.gone)
            masked["curated"] += masked_values(part.kept)
            masked["rejected"] += masked_values(part.gone)
            kept, gone = kept + part.kept.height, gone + part.gone.height
            told(part)
    return Written(kept, gone, {name: dict(counts) for name, counts in masked.items()})


def _telling(count: int, listen: Listener) -> Callable[[Sorted], None]:
    counts = Counter[str]()

    def tell(part: Sorted) -> None:
        counts.update(kept=part.kept.height, rejected=part.gone.height)
        told = dict(counts)
        listen(Progress(STAGE, counts.total(), count, "candidate", "writing", counts=told))

    return tell


def commit(
    run: Run,
    asked: Asked,
    ledger: Mapping[str, Any],
    written: Written,
    files: int,
    started: float,
) -> Outcome:
    """Says that the candidates are sorted, into the first `files` files of each kind."""
    for path in (*run.curated[files:], *run.rejected[files:]):
        path.unlink()
    kept, gone = pl.scan_parquet(run.curated), pl.scan_parquet(run.rejected)
    counts = {
        **ledger,
        "masked": {name: dict(sorted(kinds.items())) for name, kinds in written.masked.items()},
        "reviewed": tally(kept, gone, _by_segment(asked.marks, "good")),
    }
    write_json(run.ledger, counts)
    run.commit(STAGE, asked.fingerprint, counts, started, asked.settings)
    return Outcome(STAGE, counts)

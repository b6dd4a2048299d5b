"""Everything in the run -> one HTML page."""

import json
import shlex
import time
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import polars as pl

from synth import __version__
from synth.errors import RunError
from synth.models.protocols import Models
from synth.recipe import Recipe
from synth.records import Listener, Outcome, Progress, content_id, silent
from synth.report.page import page
from synth.stages.common import adapter_facts
from synth.stages.showing import shown_rows, sorted_rows, strata
from synth.stages.sweep import bits, described, sweep
from synth.store.files import write_text
from synth.store.reviews import read_marks
from synth.store.run import Run
from synth.tables import overview
from synth.tables.languages import languages
from synth.tables.sweeping import Swept
from synth.text.verbs import asked

STAGE = "report"
_FACTS = 5  # version of what the page is made from
_ROWS = 3000  # shown of a run, where it has more
_CLIPS = (20_000, 6_000, 2_000, 800)  # characters of a text; the first with which the page is small
_PAGE = 14_000_000  # characters of the page
_MOST_COMPARED = 20_000  # segments, where thresholds are tried on embeddings
_LOOKED_AT = 1500  # kept rows whose language and verbs are told
_VERBS = 20  # drawn, each with its
_OBJECTS = 6  # most frequent objects
_REPEATS = "^(same|near|semantic)_(text|instruction|both)$"


def report(run: Run, recipe: Recipe, models: Models, listen: Listener = silent) -> Outcome:
    """Writes the page of whatever the run has so far, unless it is there and nothing changed.

    Raises:
        RunError: For a run that has nothing yet.
        InputError: Where synth was installed without the page.
    """
    started = time.time()
    known = {name: entry for name, entry in run.stages().items() if name != STAGE}
    marks = [(mark.candidate, mark.verdict) for mark in read_marks(run).values()]
    fingerprint = content_id(STAGE, _FACTS, __version__, json.dumps(known), marks, recipe.to_yaml())
    done = run.done(STAGE)
    if done and done.fingerprint == fingerprint and run.report.is_file():
        return Outcome(STAGE, done.counts, skipped=True)
    text, rows = drawn(run, recipe, models, listen)
    write_text(run.report, text)
    counts = {"page": str(run.report), "bytes": len(text.encode()), "rows": len(rows)}
    run.commit(STAGE, fingerprint, counts, started)
    return Outcome(STAGE, counts)


def drawn(
    run: Run,
    recipe: Recipe,
    models: Models,
    listen: Listener = silent,
    *,
    review: pl.Series | None = None,
) -> tuple[str, list[dict[str, Any]]]:
    """The page, and the rows that it shows.

    Args:
        run: A run that has something.
        recipe: Its recipe.
        models: For an embedder, where the recipe compares embeddings.
        listen: Told how far it is.
        review: Places of rows (in `sorted_rows`) that people are asked to read; None: the page is
            not for review.

    Raises:
        SynthError: As `report` does.
    """
    facts = _of_run(run, recipe) | {"review": review is not None}
    if review is None:  # comments are for those who review: nobody masked what they quote
        facts["marks"] = [mark | {"comment": ""} for mark in facts["marks"]]
    if run.done("curate") is None:
        return page(facts | _NO_ROWS), []
    listen(Progress(STAGE, note="counting"))
    numbers = _numbers(run)
    facts |= _of_rows(run, recipe, numbers)
    turns = {place: turn for turn, place in enumerate(review if review is not None else ())}
    chosen = _chosen(numbers, turns)
    facts["strata"] = strata(chosen, dict(numbers.group_by("reason").len().iter_rows()))
    swept, facts["unswept"] = _swept(run, recipe, models, chosen, listen)
    facts["sweeps"] = [described(one) for one in swept]
    stays = bits(swept, chosen.height)
    listen(Progress(STAGE, note="drawing"))
    for clip in _CLIPS:
        shown = shown_rows(run, chosen["place"], clip)
        for row, place, kept in zip(shown.rows, chosen["place"], stays, strict=True):
            row |= {"asked": turns.get(place), "stays": kept}
        text = page(facts | asdict(shown))
        if len(text) <= _PAGE:
            break
    return text, shown.rows


def _chosen(numbers: pl.DataFrame, asked_for: Collection[int]) -> pl.DataFrame:
    """`place`, `reason`, `segment_id` and `sample` of the rows that are shown, by place."""
    taken = overview.stratified(numbers, _ROWS)["place"]
    places = sorted({*taken.to_list(), *asked_for})
    rows = numbers[places].select("reason", "segment_id", "sample")
    return rows.with_columns(place=pl.Series(places, dtype=pl.UInt32))


def _swept(
    run: Run, recipe: Recipe, models: Models, chosen: pl.DataFrame, listen: Listener
) -> tuple[list[Swept], str]:
    """What other thresholds would keep, or why nobody tried them."""
    counts = run.need("curate").counts
    if changed := _changed(run):
        return [], changed
    if not all(path.is_file() for path in run.segment_files()):
        return [], "The candidates are not in the run's folder; nothing else can be tried on them."
    if recipe.curate.embeds and counts["segments"] > _MOST_COMPARED:
        return [], f"Embeddings of more than {_MOST_COMPARED:,} segments are not compared for it."
    swept = sweep(run, recipe, models, chosen, listen)
    kept = counts["buckets"]["kept"]
    if any(one.kept[one.current] != kept for one in swept):
        return [], "The rows were sorted by another recipe than this; run synth curate first."
    return swept, ""


def _changed(run: Run) -> str:
    """What is to be said where other candidates are there than those that were sorted."""
    stages = run.stages()
    made, sorted_ = stages.get("backtranslate"), stages.get("curate")
    if sorted_ is None or (made and made["finished"] <= sorted_["finished"]):
        return ""
    return "The candidates have changed since the rows were sorted; run synth curate."


_NO_ROWS: dict[str, Any] = {
    "portrait": None, "strata": [], "rows": [], "others": {}, "provenance": [], "sweeps": [],
    "unswept": "",
}  # fmt: skip


def _of_run(run: Run, recipe: Recipe) -> dict[str, Any]:
    """What the manifest and the files beside it tell."""
    stages = run.stages()
    stages.pop(STAGE, None)
    if not stages:
        raise RunError(f"{run.folder}: nothing to report yet; run `synth finetune` first")
    curated = stages.get("curate")
    return {
        "name": recipe.name,
        "about": recipe.about,
        "base": recipe.model.base,
        "engine": recipe.generate.engine,
        "synth": __version__,
        "recipe": recipe.to_yaml(),
        "versions": {k: v for entry in stages.values() for k, v in entry["versions"].items()},
        "stages": [
            {"stage": name, "finished": entry["finished"], "seconds": entry["seconds"]}
            for name, entry in stages.items()
        ],
        "losses": adapter_facts(run.adapter).get("losses", []),
        "evaluation": stages["evaluate"]["counts"] if "evaluate" in stages else None,
        "made": stages["backtranslate"]["counts"] if "backtranslate" in stages else None,
        "ledger": curated["counts"] if curated else None,
        "changed": _changed(run),
        "command": sort_again(run),
        "marks": [asdict(mark) for mark in read_marks(run).values()],
    }


def sort_again(run: Run) -> str:
    """The command that sorts the run by the recipe it has, whatever else is the default."""
    words = ["synth", "curate", "--recipe", str(run.recipe), "--run", str(run.folder)]
    return shlex.join(words)


def _numbers(run: Run) -> pl.DataFrame:
    """Of all rows what is drawn of each, in the order of `sorted_rows`."""
    wanted = {**overview.NUMBERS, "segment_id": pl.col("segment_id"), "sample": pl.col("sample")}
    return sorted_rows(run).select("reason", **wanted).collect(engine="streaming")


def _of_rows(run: Run, recipe: Recipe, numbers: pl.DataFrame) -> dict[str, Any]:
    rows = sorted_rows(run)
    pairs = adapter_facts(run.adapter).get("lengths", [])
    histograms = overview.histograms(numbers, recipe.curate, pairs)
    repeats = rows.filter(pl.col("reason").str.contains(_REPEATS)).select("reason", "value")
    alike = overview.similarities(repeats.collect(engine="streaming"), recipe.curate)
    if alike:
        histograms.append(alike)
    looked = _looked_at(run, numbers)
    return {
        "portrait": {
            "histograms": [asdict(one) for one in histograms],
            "sources": overview.shares(rows, overview.source()),
            "licences": overview.shares(rows, overview.licence()),
            "languages": _languages(looked),
            "verbs": _verbs(looked),
        }
    }


def _looked_at(run: Run, numbers: pl.DataFrame) -> pl.DataFrame:
    """Instruction and text of kept rows, evenly by score."""
    kept = numbers.filter(pl.col("reason") == overview.KEPT)
    step = max(1, -(-kept.height // _LOOKED_AT))
    rows = pl.scan_parquet(run.curated).select("instruction", "text").gather_every(step)
    return rows.collect(engine="streaming")


def _languages(rows: pl.DataFrame) -> dict[str, Any]:
    counts: dict[str, list[int]] = {}
    for side, codes in enumerate(languages(rows["instruction"], rows["text"])):
        for code in codes.drop_nulls():
            counts.setdefault(code, [0, 0])[side] += 1
    found = sorted(counts.items(), key=lambda item: (-item[1][1], item[0]))
    return {"looked_at": rows.height, "found": [(code, *sides) for code, sides in found]}


def _verbs(rows: pl.DataFrame) -> dict[str, Any]:
    """The most frequent verbs, each with its most frequent objects."""
    found = asked(rows["instruction"])
    verbs: dict[str, list[tuple[str, int]]] = {}
    for (verb, noun), times in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        verbs.setdefault(verb, []).append((noun, times))
    order = sorted(verbs, key=lambda verb: (-sum(n for _, n in verbs[verb]), verb))[:_VERBS]
    drawn_of = [(verb, noun, n) for verb in order for noun, n in verbs[verb][:_OBJECTS]]
    return {"looked_at": rows.height, "found": drawn_of}

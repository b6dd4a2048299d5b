"""Segment id -> the whole story of its candidates: measures, rules, fate, where it came from."""

import json
from typing import Any

import polars as pl

from synth.errors import RunError
from synth.recipe import Recipe
from synth.records import Outcome
from synth.store.candidate_rows import candidates
from synth.store.candidates import readable
from synth.store.reviews import Mark, read_marks
from synth.store.run import Run
from synth.tables.candidate import CANDIDATE
from synth.tables.measures import measure
from synth.tables.reviews import candidate_ids
from synth.tables.rules import rules

STAGE = "explain"
_WHICH = ("sample", "seed", "wanted", "shortened", "provenance")  # of a segment's candidates
_WHY = ("reason", "value", "collided_with", "evidence", "rank", "masked")


def explain(run: Run, recipe: Recipe, name: str) -> Outcome:
    """What became of every sample of a segment, and what each rule measured of it.

    Args:
        run: A run that was curated.
        recipe: Its recipe.
        name: The segment's id, or how it begins.

    Raises:
        RunError: When nothing was curated yet, no segment or several have that id, or a file
            cannot be read.
        InputError: For a mark that cannot be read.
    """
    run.need("curate")
    is_it = pl.col("segment_id").str.starts_with(name.lower())
    with readable(run):
        rows = candidates(run, recipe.generate).select(*CANDIDATE).filter(is_it).collect()
    found = rows["segment_id"].unique().sort().to_list()
    if not name or len(found) != 1:
        some = (
            f"{len(found)} segments begin so: {', '.join(found[:3])}..." if name and found else ""
        )
        raise RunError(
            f"{run.candidates}: {some or 'no segment of this run'} ({name!r});"
            " give the segment_id of a row in curated/ or rejected/"
        )
    files = (run.rejected, run.curated)
    try:
        sorted_rows = [pl.scan_parquet(paths).filter(is_it) for paths in files]
        fates = pl.concat(sorted_rows, how="diagonal").select(*_WHICH, *_WHY).collect()
        rows = rows.join(fates, on=_WHICH, how="left", nulls_equal=True, maintain_order="left")
        collided = rows["collided_with"].drop_nulls().unique().to_list()
        other = pl.scan_parquet(run.curated).filter(pl.col("segment_id").is_in(collided))
        others = {row["segment_id"]: row for row in other.collect().to_dicts()}
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"{run.folder}: curated/ or rejected/ cannot be read ({reason:.120}); run `synth"
            " curate`, which makes them again"
        ) from error
    marks = read_marks(run)
    said = [marks.get(candidate) for candidate in candidate_ids(rows)]
    stories = [
        _story(rows[number], others, recipe) | {"mark": _told(said[number])}
        for number in range(rows.height)
    ]  # a row each, as a frame
    return Outcome(STAGE, {"segment": found[0], "samples": stories})


def _told(mark: Mark | None) -> dict[str, str] | None:
    """What somebody said of a row."""
    if mark is None:
        return None
    return {"verdict": mark.verdict, "comment": mark.comment, "time": mark.time}


def _story(row: pl.DataFrame, others: dict[str, dict[str, Any]], recipe: Recipe) -> dict[str, Any]:
    facts = row.to_dicts()[0]
    other = others.get(facts["collided_with"] or "")
    return {
        "document": facts["document_id"],
        "span": [facts["start"], facts["end"]],
        "text": facts["text"],
        "sample": facts["sample"],
        "instruction": facts["instruction"],
        "fate": facts["reason"] or "kept",
        "value": facts["value"],
        "collided_with": facts["collided_with"],
        "other": {key: other[key] for key in ("instruction", "text")} if other else None,
        "evidence": json.loads(facts["evidence"] or "null"),
        "masked": json.loads(facts["masked"] or "null"),
        "scores": {
            key: facts[key] for key in ("finish", "tokens", "logprob", "r_ifd", "ifd", "rank")
        },
        "rules": _rules(row.select(*CANDIDATE), recipe) if facts["instruction"] else [],
        "metadata": json.loads(facts["metadata"] or "{}"),
        "provenance": json.loads(facts["provenance"] or "{}"),
    }


def _rules(row: pl.DataFrame, recipe: Recipe) -> list[dict[str, Any]]:
    """Every rule, what it measured, and whether it is content."""
    measured = measure(row, recipe.curate, compiled=False)
    told = []
    for rule in rules(recipe.curate, recipe.prompt.task):
        judged, good = rule.judged(measured)
        value = judged.select(pl.col("value").cast(pl.String)).item()
        told.append({"rule": rule.name, "value": value, "good": good.item(), "source": rule.source})
    return told

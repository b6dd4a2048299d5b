"""Curated -> a dataset folder: splits by document, card, provenance, recipe."""

import json
import time
from pathlib import Path
from typing import Any

import polars as pl

from synth import __version__
from synth.errors import RunError
from synth.recipe import Recipe
from synth.records import Listener, Outcome, Progress, content_id, silent
from synth.store.card import CardFacts, card
from synth.store.dataset import Split, licences, replacing, write_split
from synth.store.files import write_json, write_text
from synth.store.run import Run

STAGE = "export"
_SAMPLES = 10


def export(run: Run, recipe: Recipe, folder: Path, listen: Listener = silent) -> Outcome:
    """Writes the run's curated rows to `folder`; the same input gives the same bytes.

    Raises:
        RunError: Without curated rows.
        InputError: When `folder` holds something else.
    """
    started = time.time()
    made = run.need("curate")
    fingerprint = content_id(STAGE, 1, made.fingerprint, recipe.export.fingerprint(), recipe.name)
    done = run.done(STAGE)
    target = str(folder)
    if (
        done
        and done.fingerprint == fingerprint
        and done.counts["folder"] == target
        and (folder / "provenance.json").is_file()
    ):
        return Outcome(STAGE, done.counts, skipped=True)
    rows = pl.read_parquet(run.curated)
    if rows.is_empty():
        reasons = ", ".join(f"{k} {v}" for k, v in made.counts["buckets"].items() if k != "kept")
        raise RunError(
            f"{run.folder}: no row was kept ({reasons}); loosen the rules with --set curate..."
        )
    listen(Progress(STAGE, 0, rows.height, "row"))
    in_test = _in_test(rows, recipe.export.test_share)
    with replacing(folder) as part:
        splits = [write_split(part, "train", rows.filter(~in_test))]
        if in_test.any():
            splits.append(write_split(part, "test", rows.filter(in_test)))
        write_text(part / "recipe.yaml", recipe.to_yaml())
        write_text(part / "README.md", card(_facts(run, recipe, rows, splits, made.counts)))
        write_json(part / "provenance.json", _provenance(run, splits))
    counts: dict[str, Any] = {"folder": target, **{split.name: split.rows for split in splits}}
    run.commit(STAGE, fingerprint, counts, started)
    listen(Progress(STAGE, rows.height, rows.height, "row"))
    return Outcome(STAGE, counts)


def _in_test(rows: pl.DataFrame, share: float) -> pl.Series:
    """Which rows go to the test split: the documents of lowest hash, never all of them."""
    documents = sorted(set(rows["document_id"]), key=lambda name: content_id("test", name))
    count = min(round(len(documents) * share), len(documents) - 1)
    return rows["document_id"].is_in(documents[:count])


def _facts(
    run: Run, recipe: Recipe, rows: pl.DataFrame, splits: list[Split], ledger: dict[str, Any]
) -> CardFacts:
    best = rows.sort(["logprob", "segment_id"], descending=[True, False])
    step = max(1, best.height // _SAMPLES)
    samples = best.gather_every(step).head(_SAMPLES).select("instruction", "text")
    evaluation = run.done("evaluate")
    return CardFacts(
        name=recipe.name,
        base=recipe.model.base,
        licence=recipe.export.licence,
        licences=licences(rows),
        splits=splits,
        ledger=ledger,
        evaluation=evaluation.counts if evaluation else None,
        samples=list(samples.iter_rows()),
        version=__version__,
    )


def _provenance(run: Run, splits: list[Split]) -> dict[str, Any]:
    """The chain from training pairs to rows: fingerprints, counts and versions, without times."""
    manifest = json.loads(run.manifest.read_text(encoding="utf-8"))["stages"]
    stages = {
        name: {key: entry[key] for key in ("fingerprint", "versions", "counts")}
        for name, entry in manifest.items()
        if name != STAGE
    }
    return {"synth": __version__, "stages": stages, "splits": {s.name: s.rows for s in splits}}

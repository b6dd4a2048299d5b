"""A curated run -> a page on this machine, on which people mark its rows."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import polars as pl

from synth.errors import InputError, RunError
from synth.models.protocols import Models
from synth.recipe import Recipe
from synth.records import Listener, silent
from synth.report.server import ReviewServer
from synth.stages.report import drawn
from synth.store.reviews import Mark, add_mark, read_marks
from synth.store.run import Run
from synth.tables.reviews import review_sample


def review(
    run: Run,
    recipe: Recipe,
    models: Models,
    count: int,
    port: int = 0,
    listen: Listener = silent,
) -> ReviewServer:
    """A server of the page, bound but not yet serving.

    Args:
        run: A run that was curated.
        recipe: Its recipe.
        models: For an embedder, where the recipe compares embeddings.
        count: Kept rows that people are asked to read, drawn evenly over the scores.
        port: Of the server; 0 takes a free one.
        listen: Told how far it is.

    Raises:
        RunError: When nothing was curated, or the port is taken.
        SynthError: As `report` does.
    """
    run.need("curate")
    kept = pl.scan_parquet(run.curated).select("segment_id", "sample", "logprob")
    asked = review_sample(kept.collect(engine="streaming"), count)
    text, rows = drawn(run, recipe, models, listen, review=asked)
    known = {row["candidate"]: row for row in rows}

    def keep(sent: Mapping[str, Any]) -> None:
        row = known.get(sent.get("candidate", ""))
        if row is None:
            raise InputError("no row of this page; load it again")
        place = (row["candidate"], row["segment_id"], row["sample"])
        add_mark(run, Mark(*place, sent.get("verdict", ""), sent.get("comment", "")))

    def marks() -> list[dict[str, Any]]:
        return [asdict(mark) for mark in read_marks(run).values()]

    try:
        return ReviewServer(text, marks, keep, port)
    except OSError as error:
        raise RunError(f"port {port}: {error.strerror}; name another --port") from error

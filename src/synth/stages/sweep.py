"""Candidates -> how many segments each value of each threshold of `curate` would keep."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel

from synth.models.protocols import Models
from synth.recipe import Recipe
from synth.records import Listener, Progress, silent
from synth.settings import Curate, Duplicates
from synth.stages.curate import check_scores, tools_of
from synth.store.benchmarks import read_benchmarks
from synth.store.candidate_rows import CandidateRows
from synth.store.parts import need_corpus
from synth.store.reviews import read_marks
from synth.store.run import Run
from synth.tables.sweeping import Swept
from synth.tables.sweeping import sweep as sweep_rows

STAGE = "sweep"


def sweep(
    run: Run, recipe: Recipe, models: Models, asked: pl.DataFrame, listen: Listener = silent
) -> list[Swept]:
    """What `curate` would keep if one threshold were another; writes nothing.

    Args:
        run: A run with candidates.
        recipe: Its recipe.
        models: Where an embedder comes from, if the recipe names one.
        asked: Rows of which it is to be told whether they stay: `segment_id` and `sample`.
        listen: Told of progress.

    Raises:
        SynthError: As `curate` does.
    """
    need_corpus(run)
    check_scores(recipe)
    listen(Progress(STAGE, note="reading benchmarks"))
    questions = read_benchmarks(recipe.curate.contamination).questions
    tools = tools_of(recipe, models, questions, read_marks(run))
    rows = CandidateRows.all_of(run, recipe.generate)
    return sweep_rows(
        rows,
        recipe.curate,
        tools,
        asked,
        lambda done: listen(Progress(STAGE, done, rows.count, "candidate", "looking")),
    )


def described(swept: Swept) -> dict[str, Any]:
    """What a page needs to draw it, beside the rows."""
    section, *keys = reversed(swept.setting.split("."))
    settings: type[BaseModel] = {"duplicates": Duplicates}.get("".join(keys), Curate)
    told = asdict(swept)
    del told["stays"], told["measure"]
    told["given"] = [f"--set {shlex.quote(one)}" for one in swept.given]
    return told | {"about": settings.model_fields[section].description or ""}


def bits(swept: Sequence[Swept], count: int) -> list[list[int]]:
    """Of each of `count` rows asked about, and each threshold: under which values the row stays."""
    places = [1 << np.arange(len(one.values), dtype=np.int64) for one in swept]
    found = [at @ one.stays.astype(np.int64) for at, one in zip(places, swept, strict=True)]
    return np.stack(found, axis=1).tolist() if found else [[] for _ in range(count)]

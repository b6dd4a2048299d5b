"""What all who work on partitions of the candidates know and share."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.models.protocols import Models
from synth.recipe import Recipe
from synth.settings.curation import Side
from synth.stages.curate import tools_of
from synth.store.files import whole, write_json
from synth.store.locks import working_for
from synth.store.reviews import Mark
from synth.store.run import Run
from synth.store.spills import read_spill
from synth.tables.looking import Look, Tools
from synth.tables.sketches import Sketch


@dataclass(frozen=True, slots=True)
class Sorting:
    """What all who work on partitions of the candidates must know.

    Attributes:
        run: Whose candidates they are; on a file system that all share.
        recipe: The recipe.
        models: What they load; travels to them.
        marks: What people said of rows.
        folder: Where what they find goes.
        chief: The command that they work for.
        here: The folder in which that was given; names in a recipe are relative to it.
        partitions: How many partitions there are.
        parts: Into how many parts goes what is looked up by a hash.
        batch: Rows that are settled together, where more would do.
        compiled: Whether to compile loops (see kernels.py); the result is the same.
    """

    run: Run
    recipe: Recipe
    models: Models
    marks: Mapping[str, Mark]
    folder: Path
    chief: str
    here: str
    partitions: int
    parts: int
    batch: int
    compiled: bool

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Keeps the next command waiting until what is under way here is over."""
        os.chdir(self.here)
        with working_for(self.run.workers, self.chief):
            yield

    def path(self, step: str, number: int, end: str) -> Path:
        """Where a step puts what it found."""
        return self.folder / f"{step}-{number:05d}.{end}"

    def spilled(self, step: str, by: int, reader: int) -> pl.DataFrame:
        """What the first `by` of those who did a step left for a reader."""
        return read_spill([self.path(step, number, "arrow") for number in range(by)], reader)

    def once(self, step: str, number: int, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What a step tells; it is made if nobody did before."""
        path = self.path(step, number, "json")
        with self.begun():
            try:
                told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                told = make()
                write_json(path, told)
        return told

    def starts(self) -> npt.NDArray[np.int64]:
        """Of each partition the place of its first row among all, and after the last how many."""
        found: npt.NDArray[np.int64] = np.load(self.folder / "starts.npy")
        return found


_made: dict[str, tuple[Tools, Look]] = {}


def looking(work: Sorting) -> tuple[Tools, Look]:
    """What this process looks with; benchmarks are indexed once."""
    if work.chief not in _made:
        _made.clear()
        questions = pl.read_parquet(work.folder / "questions.parquet")
        tools = tools_of(work.recipe, work.models, questions, work.marks)
        _made[work.chief] = tools, Look(work.recipe.curate, tools, compiled=work.compiled)
    return _made[work.chief]


def facts_of(work: Sorting, number: int) -> pl.DataFrame:
    """What `look` remembers of a partition's rows: `FACTS`, and whether each is `open`."""
    return pl.read_ipc(work.path("facts", number, "arrow"))


def sketches_of(work: Sorting, number: int, sides: Sequence[Side]) -> dict[Side, Sketch]:
    """What it remembers of their texts; read from disk as it is used."""

    def load(what: str, side: Side) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = np.load(work.path(f"{what}-{side}", number, "npy"), mmap_mode="r")
        return found

    return {side: Sketch(load("prints", side), load("slots", side)) for side in sides}


def ranked_by() -> tuple[pl.Expr, pl.Expr]:
    """Score, of which lower is better, and segment: by these `rank` orders rows."""
    score = pl.col("score").fill_null(float("inf")).fill_nan(float("inf"))
    return score, pl.col("segment")


def save(path: Path, array: npt.NDArray[Any]) -> None:
    """Writes an array whole."""
    with whole(path) as part, part.open("wb") as file:
        np.save(file, array)

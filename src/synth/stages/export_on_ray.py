"""Curated -> a dataset folder on a cluster: the rows, splits and card of one machine.

Tasks write the parts. A node that dies costs the tasks that it had; a command that dies is given
again and writes the dataset anew. Curation on a cluster leaves its rows in other files than one
machine does, so their shards are cut elsewhere.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from synth.recipe import Recipe
from synth.records import Listener, Outcome, Progress, silent
from synth.stages.cluster import cluster, in_order
from synth.stages.dataset_parts import Wanted, write_dataset
from synth.stages.export import STAGE, exported
from synth.store.dataset import Config
from synth.store.run import Run
from synth.tables.published import Painted

T = TypeVar("T")


def export_on_ray(
    run: Run, recipe: Recipe, folder: Path, listen: Listener = silent, *, repo: str | None = None
) -> Outcome:
    """Writes the run's curated rows to `folder`, which the nodes share; the arguments of `export`.

    Raises:
        RunError: For a cluster that cannot be reached, and as `export` does.
        InputError: When `folder` holds something else.
    """
    run = Run(run.folder.absolute())

    def write(part: Path, wanted: Wanted, listen: Listener) -> tuple[list[Config], Painted]:
        listen(Progress(STAGE, note="starting ray"))
        with cluster(recipe.ray) as nodes:

            def each(
                function: Callable[..., T], calls: Sequence[tuple[object, ...]]
            ) -> Iterator[T]:
                for done, found in enumerate(in_order(function, calls, nodes), 1):
                    listen(Progress(STAGE, done, len(calls), "task", "writing"))
                    yield found

            return write_dataset(part.absolute(), wanted, each)

    return exported(run, recipe, folder, listen, repo, write)

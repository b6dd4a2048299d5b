"""Curated -> a dataset folder on a cluster: the rows, splits and card of one machine.

Tasks write the shards of some files of rows each; the shards are then moved together and numbered.
How rows are cut into shards differs from one machine, where a shard goes on over all files. Two
tasks hold something of all rows: one some 60 bytes of each, to choose the split and the rows that
the card shows, and one some 40, for the quantiles. A node that dies costs the tasks that it had; a
command that dies is given again and writes the dataset anew.
"""

import pickle
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from synth.recipe import Recipe
from synth.records import Listener, Outcome, Progress, silent
from synth.stages.cluster import cluster, in_order
from synth.stages.export import STAGE, Wanted, documents, exported, samples, write_configs
from synth.store.dataset import SHARD_BYTES, Config, joined
from synth.store.run import Run
from synth.tables.published import (
    Painted,
    Portrait,
    document_hashes,
    last_for_test,
)

_PARTS = "parts"  # where tasks write, within the folder that becomes the dataset
_PORTRAIT = "portrait"


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
            return _write(part.absolute(), wanted, listen, nodes)

    return exported(run, recipe, folder, listen, repo, write)


@dataclass(frozen=True, slots=True)
class _Survey:
    """What is known of all rows before they are written.

    Attributes:
        rows: How many are kept.
        samples: Places of those that the card shows.
        last: The highest hash of a document whose rows are for testing.
    """

    rows: int
    samples: list[int]
    last: int


def _survey(wanted: Wanted) -> _Survey:
    rows = wanted.rows()
    last = last_for_test(document_hashes(documents(rows)), wanted.settings.test_share)
    return _Survey(rows.generated, samples(rows).to_list(), last)


def _write(
    part: Path, wanted: Wanted, listen: Listener, nodes: Sequence[Any]
) -> tuple[list[Config], Painted]:
    """Writes every config, by tasks."""
    (survey,) = in_order(_survey, [(wanted,)], nodes)
    calls: list[tuple[Path, Wanted, list[str], _Survey, int]] = []
    start = 0
    for files in _groups(wanted.files):
        rows = sum(_rows(path) for path in files)
        last = start + rows == survey.rows
        some = replace(wanted, files=files, rejected=[], pairs=wanted.pairs if last else [])
        names = [name for name in wanted.configs() if name != "rejected"]
        calls.append((part / _PARTS / str(len(calls)), some, names, survey, start))
        start += rows
    if "rejected" in wanted.configs():
        for files in _groups(wanted.rejected):
            some = replace(wanted, rejected=files)
            calls.append((part / _PARTS / str(len(calls)), some, ["rejected"], survey, 0))
    written = []
    for one in in_order(_write_some, calls, nodes):
        written.append(one)
        listen(Progress(STAGE, len(written), len(calls), "task", "writing"))
    found = [
        joined(part, [(at, of) for at, configs in written for of in configs if of.name == name])
        for name in wanted.configs()
    ]
    portraits = [
        at / _PORTRAIT for at, configs in written if any(of.name == "messages" for of in configs)
    ]
    (painted,) = in_order(_paint, [(portraits,)], nodes)
    shutil.rmtree(part / _PARTS)
    return found, painted


def _groups(files: Sequence[Path]) -> list[list[Path]]:
    """Files of which a task makes a shard or some more; those without rows only where all are."""
    groups: list[list[Path]] = []
    held = SHARD_BYTES
    for path in files:
        metadata = pq.read_metadata(path)
        size = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
        if not metadata.num_rows:
            continue
        if held + size > SHARD_BYTES:
            groups.append([])
            held = 0
        groups[-1].append(path)
        held += size
    return groups or [list(files)]


def _rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _write_some(
    folder: Path, wanted: Wanted, names: Sequence[str], survey: _Survey, start: int
) -> tuple[Path, list[Config]]:
    """Writes configs of some of the rows; leaves what the card says of them.

    Args:
        folder: Where to make a dataset folder of their own.
        wanted: The rows.
        names: Of the configs.
        survey: What is known of all rows.
        start: Place of the first of these among the kept ones.

    Returns:
        That folder, which no other task writes to, and the configs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(dir=folder))
    portrait = Portrait(survey.rows, pl.Series(survey.samples, dtype=pl.UInt32), start)
    ids = pl.Series(dtype=pl.String) if names == ["rejected"] else documents(wanted.rows())
    test = ids.filter(pl.Series(document_hashes(ids) <= survey.last, dtype=pl.Boolean))
    configs = write_configs(own, wanted, names, portrait, test)
    (own / _PORTRAIT).write_bytes(pickle.dumps(portrait))
    return own, configs


def _paint(portraits: Sequence[Path]) -> Painted:
    """What the card says of all rows."""
    every: list[Portrait] = [pickle.loads(path.read_bytes()) for path in portraits]
    for other in every[1:]:
        every[0].join(other)
    return every[0].painted()

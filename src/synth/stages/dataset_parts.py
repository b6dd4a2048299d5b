"""Curated rows -> the configs of a dataset, part by part, whoever does the parts.

A part is some row groups of the run: a shard of each config. Parts know nothing of one another but
the survey, so threads of this machine or tasks of a cluster may write them; the shards are then
moved together and numbered. Two steps hold something of all rows: the survey some 60 bytes of each,
to choose the split and the rows that the card shows, and the painting some 40, for the quantiles.
"""

import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar

import polars as pl
import pyarrow as pa

from synth.records import Pair
from synth.settings import Export
from synth.store.dataset import (
    GENERATED,
    Config,
    Rows,
    joined,
    layout,
    write_config,
)
from synth.tables.published import Painted, Portrait, for_test, last_for_test
from synth.tables.reviews import review_sample

SHARD_BYTES = 500_000_000  # uncompressed; as `datasets` cuts them (MAX_SHARD_SIZE)
_SAMPLES = 10
_PARTS = "parts"  # where parts are written, within the folder that becomes the dataset
_PORTRAIT = "portrait"

Told = Callable[[Mapping[str, int]], None]
"""Called with the rows of each block that was taken, by split."""

R_co = TypeVar("R_co", covariant=True)


class Each(Protocol):
    """Whoever does the work."""

    def __call__(
        self, function: Callable[..., R_co], calls: Sequence[tuple[object, ...]], /
    ) -> Iterator[R_co]:
        """What the function returns for each of the calls, in their order."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported.

    Attributes:
        kept: Rows that were kept, and pairs that stand after them.
        rejected: Rows that were not.
        settings: How.
    """

    kept: Rows
    rejected: Rows
    settings: Export

    @classmethod
    def of(
        cls,
        curated: Sequence[Path],
        pairs: Sequence[Pair],
        rejected: Sequence[Path],
        settings: Export,
    ) -> Self:
        """What files of kept and of rejected rows hold."""
        return cls(Rows.of(curated, pairs), Rows.of(rejected, origin=False), settings)

    def configs(self) -> list[str]:
        """Names of the configs, `messages` first."""
        return sorted(self.settings.configs, key=lambda name: name != "messages")

    def total(self) -> int:
        """Rows of all configs."""
        rows = {"rejected": self.rejected.count}
        return sum(rows.get(name, self.kept.count) for name in self.configs())


@dataclass(frozen=True, slots=True)
class _Survey:
    """What is known of all rows before they are written.

    Attributes:
        rows: How many are kept.
        samples: Places of those that the card shows, likeliest first.
        last: The highest hash of a document whose rows are for testing.
    """

    rows: int
    samples: list[int]
    last: int


@dataclass(frozen=True, slots=True)
class _Part:
    """Some rows, the configs that are made of them, and the place of their first among all."""

    rows: Rows
    names: list[str]
    start: int = 0


def untold(rows: Mapping[str, int]) -> None:
    """Hears nothing."""


def write_dataset(
    folder: Path, wanted: Wanted, each: Each, wrote: Told = untold
) -> tuple[list[Config], Painted]:
    """Writes every config into an empty folder.

    Args:
        folder: The folder.
        wanted: What is to be written.
        each: Does the steps, in this process or another one.
        wrote: Told how many rows were taken.

    Returns:
        The configs, and what the card says of the kept rows.
    """
    (survey,) = each(_survey, [(wanted,)])
    calls = [
        (folder / _PARTS / str(number), part, wanted.settings, survey, wrote)
        for number, part in enumerate(_parts(wanted))
    ]
    written = list(each(_write_part, calls))
    found = {
        name: [(at, config) for at, configs in written for config in configs if config.name == name]
        for name in wanted.configs()
    }
    configs = list(each(joined, [(folder, parts, SHARD_BYTES) for parts in found.values()]))
    (painted,) = each(_paint, [([at / _PORTRAIT for at, _ in found["messages"]],)])
    shutil.rmtree(folder / _PARTS)
    return configs, painted


def _parts(wanted: Wanted) -> Iterator[_Part]:
    names = [name for name in wanted.configs() if name != "rejected"]
    start = 0
    for rows in wanted.kept.parts(SHARD_BYTES):
        yield _Part(rows, names, start)
        start += rows.generated
    if "rejected" in wanted.configs():
        for rows in wanted.rejected.parts(SHARD_BYTES):
            yield _Part(rows, ["rejected"])


def _survey(wanted: Wanted) -> _Survey:
    last = last_for_test(_documents(wanted.kept), wanted.settings.test_share)
    return _Survey(wanted.kept.generated, _samples(wanted.kept), last)


def _samples(rows: Rows) -> list[int]:
    """Places of the rows to show, likeliest first."""
    scores = _frame(rows.whole("segment_id", "sample", "logprob"))
    shown = scores.with_row_index("place")[review_sample(scores, _SAMPLES)]
    likeliest = shown.sort("logprob", descending=True, nulls_last=True, maintain_order=True)
    return likeliest["place"].to_list()


def _documents(rows: Rows) -> pl.Series:
    """Ids of the documents that the rows are of, each once."""
    return _frame(rows.whole("document_id"))["document_id"].unique()


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _write_part(
    folder: Path, part: _Part, settings: Export, survey: _Survey, wrote: Told
) -> tuple[Path, list[Config]]:
    """Writes the configs of some rows, each of which reads them once; leaves a portrait of them.

    Args:
        folder: Where to make a dataset folder of their own.
        part: The rows.
        settings: How.
        survey: What is known of all rows.
        wrote: Told how many rows were taken.

    Returns:
        That folder, which no other task writes to, and the configs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(dir=folder))
    portrait = Portrait(survey.rows, pl.Series(survey.samples, dtype=pl.UInt32), part.start)
    rows, configs = part.rows, []
    test = _test_documents(rows, survey) if rows.origin else None
    for name in part.names:
        shape = layout(name, settings, rows.columns)
        blocks = rows.blocks(shape.columns)
        if name == "messages":
            blocks = _portrayed(rows.blocks({*shape.columns, *Portrait.COLUMNS}), portrait)
        split = "rejected" if name == "rejected" else "train"
        configs.append(
            # A part is a shard, unless a single row group is too much for one.
            write_config(
                own, shape, blocks, 2 * SHARD_BYTES, split=split, test_documents=test, wrote=wrote
            )
        )
    (own / _PORTRAIT).write_bytes(pickle.dumps(portrait))
    return own, configs


def _test_documents(rows: Rows, survey: _Survey) -> pa.Array | None:
    test = for_test(_documents(rows), survey.last)
    return test.to_arrow().cast(pa.large_string()) if test.len() else None


def _portrayed(blocks: Iterator[pa.Table], portrait: Portrait) -> Iterator[pa.Table]:
    """The blocks, once the portrait has seen them."""
    for block in blocks:
        portrait.add(_frame(block).filter(pl.col("origin") == GENERATED))
        yield block


def _paint(portraits: Sequence[Path]) -> Painted:
    """What the card says of all rows."""
    every: list[Portrait] = [pickle.loads(path.read_bytes()) for path in portraits]
    for other in every[1:]:
        every[0].join(other)
    return every[0].painted()

"""Rows of a run -> tables of some tens of megabytes, one after the other."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from synth.errors import RunError
from synth.records import Pair
from synth.store.dataset.layouts import GENERATED, PAIR

_BLOCK_BYTES = 20_000_000  # uncompressed
_MOST_ROWS = 8192

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group of a file, with its bytes uncompressed."""

    path: Path
    number: int
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Row groups of files of the run, and pairs that are to stand after their rows.

    Attributes:
        schema: Of the files.
        groups: In their order.
        pairs: What stands after them.
        origin: Whether the blocks can have an `origin`.
    """

    schema: pa.Schema
    groups: Sequence[_Group]
    pairs: Sequence[Pair] = ()
    origin: bool = True

    @classmethod
    def of(cls, files: Sequence[Path], pairs: Sequence[Pair] = (), *, origin: bool = True) -> Self:
        """All rows of parquet files, at least one.

        Raises:
            RunError: For a file that cannot be read.
        """
        metadata = [_readable(path, partial(pq.read_metadata, path)) for path in files]
        groups = [
            _Group(path, number, group.num_rows, group.total_byte_size)
            for path, of_file in zip(files, metadata, strict=True)
            for number, group in enumerate(map(of_file.row_group, range(of_file.num_row_groups)))
        ]
        return cls(metadata[0].schema.to_arrow_schema(), groups, pairs, origin)

    @property
    def generated(self) -> int:
        """How many rows the files have."""
        return sum(group.rows for group in self.groups)

    @property
    def count(self) -> int:
        """How many rows there are, pairs among them."""
        return self.generated + len(self.pairs)

    @property
    def columns(self) -> list[str]:
        """What the blocks can have."""
        return [*self.schema.names, *(["origin"] if self.origin else [])]

    def parts(self, most: int) -> list[Self]:
        """The rows in parts of much the same size, cut between row groups; pairs are in the last.

        There is one part or an even number, so that two that are written side by side end together.

        Args:
            most: Bytes of a part, uncompressed; a part may have half a row group more.
        """
        total = sum(group.bytes for group in self.groups)
        count = -(-total // most)
        if count <= 1:
            return [self]
        parts: list[list[_Group]] = [[] for _ in range(count + count % 2)]
        before = 0
        for group in self.groups:
            parts[(before + group.bytes // 2) * len(parts) // total].append(group)
            before += group.bytes
        found = [replace(self, groups=groups, pairs=()) for groups in parts if groups]
        return [*found[:-1], replace(found[-1], pairs=self.pairs)]

    def whole(self, *columns: str) -> pa.Table:
        """These columns of all rows of the files, at once: for short ones."""
        read = [
            _readable(path, partial(file.read_row_groups, numbers, list(columns)))
            for path, file, numbers in self._files()
        ]
        return pa.concat_tables([self._empty(columns), *read])

    def blocks(self, columns: Collection[str]) -> Iterator[pa.Table]:
        """These columns of all rows; an empty block where there are none."""
        wanted = [name for name in self.schema.names if name in columns]
        marked = "origin" in columns
        if self.count == 0:
            empty = self._empty(wanted)
            yield _marked(empty, GENERATED) if marked else empty
        rows = self._block_rows()
        for path, file, numbers in self._files():
            batches = file.iter_batches(rows, row_groups=numbers, columns=wanted)
            while (batch := _readable(path, partial(next, batches, None))) is not None:
                table = pa.Table.from_batches([batch]).select(wanted)
                yield _marked(table, GENERATED) if marked else table
        for start in range(0, len(self.pairs), rows):
            table = _of_pairs(self.pairs[start : start + rows], self._empty(wanted).schema)
            yield _marked(table, PAIR) if marked else table

    def _empty(self, columns: Collection[str]) -> pa.Table:
        return pa.schema([self.schema.field(name) for name in columns]).empty_table()

    def _block_rows(self) -> int:
        row_bytes = sum(group.bytes for group in self.groups) / max(1, self.generated)
        return max(1, min(_MOST_ROWS, int(_BLOCK_BYTES / max(1.0, row_bytes))))

    def _files(self) -> Iterator[tuple[Path, pq.ParquetFile, list[int]]]:
        """The files, open one after the other, and which of their row groups are meant."""
        for path, groups in groupby(self.groups, attrgetter("path")):
            # A buffer made ahead would keep every row group that was read, to the end.
            with _readable(path, partial(pq.ParquetFile, path, pre_buffer=False)) as file:
                yield path, file, [group.number for group in groups]


def _readable(path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except (pa.ArrowException, OSError) as error:
        raise RunError(
            f"{path}: cannot be read ({' '.join(str(error).split()):.120}); delete it,"
            " and `synth curate` makes it again"
        ) from error


def _marked(table: pa.Table, origin: str) -> pa.Table:
    return table.append_column("origin", pa.repeat(pa.scalar(origin), table.num_rows))


def _of_pairs(pairs: Sequence[Pair], schema: pa.Schema) -> pa.Table:
    """Pairs as rows: what a pair has not is null."""
    known: dict[str, list[str]] = {
        "segment_id": [pair.id for pair in pairs],
        "instruction": [pair.instruction for pair in pairs],
        "text": [pair.response for pair in pairs],
        "metadata": [json.dumps({"source": p.source}, ensure_ascii=False) for p in pairs],
    }
    empty = [None] * len(pairs)
    return pa.table({name: known.get(name, empty) for name in schema.names}, schema=schema)

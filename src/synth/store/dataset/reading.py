"""Rows of a run -> tables of some tens of megabytes, one after the other."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from synth.errors import RunError
from synth.records import Pair
from synth.store.dataset.layouts import GENERATED, PAIR

_BLOCK_BYTES = 20_000_000  # uncompressed
_MOST_ROWS = 8192

T = TypeVar("T")


class Rows:
    """Parquet files of the run, and pairs that are to stand after their rows.

    `columns` are what the blocks can have: those of the files and, unless `origin` is not wanted,
    `origin`.
    """

    def __init__(
        self, files: Sequence[Path], pairs: Sequence[Pair] = (), *, origin: bool = True
    ) -> None:
        self._files = files
        of_files = [_readable(path, partial(pq.read_metadata, path)) for path in files]
        self._schema: pa.Schema = of_files[0].schema.to_arrow_schema()
        self._pairs = pairs
        self.generated = sum(metadata.num_rows for metadata in of_files)
        self.count = self.generated + len(pairs)
        self.columns = [*self._schema.names, *(["origin"] if origin else [])]
        size = sum(
            metadata.row_group(group).total_byte_size
            for metadata in of_files
            for group in range(metadata.num_row_groups)
        )
        row_bytes = size / max(1, self.generated)
        self._rows = max(1, min(_MOST_ROWS, int(_BLOCK_BYTES / max(1.0, row_bytes))))

    def whole(self, *columns: str) -> pa.Table:
        """These columns of all rows of the files, at once: for short ones."""
        return pa.concat_tables(
            _readable(path, partial(pq.read_table, path, columns=list(columns)))
            for path in self._files
        )

    def blocks(self, columns: Collection[str]) -> Iterator[pa.Table]:
        """These columns of all rows; an empty block where there are none."""
        wanted = [name for name in self._schema.names if name in columns]
        marked = "origin" in columns
        schema = pa.schema([self._schema.field(name) for name in wanted])
        if self.count == 0:
            yield _marked(schema.empty_table(), GENERATED) if marked else schema.empty_table()
        for path in self._files:
            for table in self._of_file(path, wanted):
                yield _marked(table, GENERATED) if marked else table
        for start in range(0, len(self._pairs), self._rows):
            table = _of_pairs(self._pairs[start : start + self._rows], schema)
            yield _marked(table, PAIR) if marked else table

    def _of_file(self, path: Path, wanted: list[str]) -> Iterator[pa.Table]:
        # A buffer made ahead would keep every row group that was read, to the end.
        with _readable(path, partial(pq.ParquetFile, path, pre_buffer=False)) as file:
            batches = file.iter_batches(self._rows, columns=wanted)
            while (batch := _readable(path, partial(next, batches, None))) is not None:
                yield pa.Table.from_batches([batch]).select(wanted)


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

"""Tables -> the parquet shards of a config's splits; the same rows give the same bytes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synth.store.dataset.layouts import Layout, Places

GROUP_BYTES = 100_000_000  # uncompressed; more than the Hub's viewer reads at once
_SMALL = 4  # times less than a shard may hold: not worth a file each
_TEXTS = {"id", "content", "instruction", "output", "text"}  # too varied for a dictionary


@dataclass(frozen=True, slots=True)
class Split:
    """A split as written: its rows, bytes in memory and bytes of files."""

    name: str
    rows: int
    bytes: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Config:
    """A config as written: where, with which columns, and its splits that have rows."""

    name: str
    folder: str
    schema: pa.Schema
    splits: list[Split] = field(default_factory=list)


class Shards:
    """Writes tables as a split's shards, in row groups cut by size alone; a thread compresses.

    Args:
        folder: Where.
        split: Its name.
        schema: Of the tables.
        most: Bytes of a shard, uncompressed.
    """

    def __init__(self, folder: Path, split: str, schema: pa.Schema, most: int) -> None:
        self._folder, self._split, self._schema, self._most = folder, split, schema, most
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._paths: list[Path] = []
        self._file: pq.ParquetWriter | None = None
        self._file_bytes = 0
        self._rows = self._bytes = 0
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown()
        if self._file:
            self._file.close()

    def add(self, table: pa.Table) -> None:
        """More rows, of the schema."""
        self._held.append(table)
        self._held_bytes += table.nbytes
        while self._held_bytes >= GROUP_BYTES:
            held = pa.concat_tables(self._held)
            rows = max(1, held.num_rows * GROUP_BYTES // self._held_bytes)
            self._submit(held.slice(0, rows))
            self._held = [held.slice(rows)]
            self._held_bytes = self._held[0].nbytes

    def finish(self) -> Split:
        """Writes the rest and gives the shards their names, which tell how many there are."""
        rest = pa.concat_tables([self._schema.empty_table(), *self._held])
        if rest.num_rows or not self._rows:
            self._submit(rest)
        self._wait()
        if self._file:
            self._file.close()
            self._file = None
        for number, path in enumerate(self._paths):
            name = f"{self._split}-{number:05d}-of-{len(self._paths):05d}.parquet"
            self._paths[number] = path.rename(path.with_name(name))
        size = sum(path.stat().st_size for path in self._paths)
        return Split(self._split, self._rows, self._bytes, size)

    def _submit(self, group: pa.Table) -> None:
        self._wait()
        self._rows += group.num_rows
        self._bytes += group.nbytes
        self._writing = self._thread.submit(self._write, group)

    def _wait(self) -> None:
        if self._writing:
            self._writing.result()

    def _write(self, group: pa.Table) -> None:
        if self._file and self._file_bytes + group.nbytes > self._most:
            self._file.close()
            self._file = None
        if self._file is None:
            path = self._folder / f"{self._split}-{len(self._paths):05d}.parquet"
            self._file = pq.ParquetWriter(
                path,
                self._schema,
                compression="zstd",
                use_dictionary=[name for name in _leaves(self._schema) if not _is_text(name)],
                use_content_defined_chunking=True,  # the Hub then resends only what changed
                write_page_index=True,
            )
            self._paths.append(path)
            self._file_bytes = 0
        self._file.write_table(group, row_group_size=max(1, group.num_rows))
        self._file_bytes += group.nbytes


def _leaves(schema: pa.Schema, above: str = "") -> list[str]:
    """Paths of the columns as parquet names them."""
    paths: list[str] = []
    for column in schema:
        path, kind = f"{above}{column.name}", column.type
        if pa.types.is_list(kind):
            path, kind = f"{path}.list.element", kind.value_type
        nested = pa.types.is_struct(kind)
        paths += _leaves(pa.schema(list(kind)), f"{path}.") if nested else [path]
    return paths


def _is_text(path: str) -> bool:
    return path.rpartition(".")[2] in _TEXTS


def write_config(
    folder: Path,
    layout: Layout,
    blocks: Iterable[pa.Table],
    most: int,
    *,
    split: str = "train",
    test_documents: pa.Array | None = None,
    wrote: Callable[[Mapping[str, int]], None] = lambda rows: None,
) -> Config:
    """Writes `<layout.folder>/<split>-00000-of-0000N.parquet`, and `test-...` beside it.

    Args:
        folder: The dataset folder.
        layout: What is made of the rows.
        blocks: The rows, at least one block; tables with the columns of the layout.
        most: Bytes of a shard, uncompressed.
        split: Of all rows that are not in the test split.
        test_documents: Ids of the documents whose rows are; None for no test split.
        wrote: Called with the rows of each block that was taken, by split.
    """
    target = folder / layout.folder
    target.mkdir()
    shards: dict[str, Shards] = {}
    schema = pa.schema([])
    with ExitStack() as stack:
        for block in blocks:
            parts = _parted(block, split, test_documents)
            for name, places in parts.items():
                table = layout(block, places)
                schema = table.schema
                if name not in shards:
                    shards[name] = stack.enter_context(Shards(target, name, schema, most))
                shards[name].add(table)
            wrote({name: len(places) for name, places in parts.items()})
        order = sorted(shards, key=lambda name: name != split)
        return Config(layout.name, layout.folder, schema, [shards[name].finish() for name in order])


def joined(folder: Path, parts: Sequence[tuple[Path, Config]], most: int) -> Config:
    """Makes one config of those that parts of its rows were written to, in their order.

    Shards that came out small, as those of a test split do, are written anew as fewer.

    Args:
        folder: The dataset folder.
        parts: Dataset folders on the same file system, whose files are moved, and their configs.
        most: Bytes of a shard, uncompressed, that is written anew.
    """
    first = parts[0][1]
    target = folder / first.folder
    target.mkdir()
    found: dict[str, list[tuple[Path, Split]]] = {}
    for place, config in parts:
        for split in config.splits:
            found.setdefault(split.name, []).append((place / config.folder, split))
    # The split without a name of its own comes first, whatever the first part holds.
    order = sorted(found, key=lambda name: name == "test")
    splits = []
    for name in order:
        paths = [path for place, _ in found[name] for path in sorted(place.glob(f"{name}-*"))]
        of = [split for _, split in found[name]]
        rows, size, files = (
            sum(getattr(split, what) for split in of) for what in ("rows", "bytes", "file_bytes")
        )
        if len(paths) > 1 and size < len(paths) * most // _SMALL:
            splits.append(_packed(target, name, first.schema, paths, most))
            continue
        for number, path in enumerate(paths):
            path.rename(target / f"{name}-{number:05d}-of-{len(paths):05d}.parquet")
        splits.append(Split(name, rows, size, files))
    return Config(first.name, first.folder, first.schema, splits)


def _packed(folder: Path, split: str, schema: pa.Schema, paths: Sequence[Path], most: int) -> Split:
    """Writes the rows of all these files as shards of a good size."""
    with Shards(folder, split, schema, most) as shards:
        for path in paths:
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for group in range(file.num_row_groups):
                    shards.add(file.read_row_group(group))
        return shards.finish()


def _parted(block: pa.Table, split: str, test: pa.Array | None) -> dict[str, Places]:
    """The places of the block's rows by split, without splits that get none of them."""
    if test is None:
        return {split: np.arange(block.num_rows)}
    in_test = pc.is_in(block["document_id"], value_set=test).to_numpy()
    parts = {split: np.flatnonzero(~in_test), "test": np.flatnonzero(in_test)}
    return {name: places for name, places in parts.items() if len(places)}

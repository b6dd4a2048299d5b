"""Files that are written whole or not at all: `.part`, fsync, rename."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import polars as pl

from synth.errors import RunError, is_full
from synth.store.frames import Row, Schema, frame_of

CODEC: Literal["lz4"] = "lz4"
"""How parquet rests in a run, where it is read several times: unpacked in half the time of zstd,
and 1.6 times as large. What is published is zstd."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A `.part` path to write to; takes the place of `path` when the block ends without error.

    Raises:
        RunError: When the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, pl.exceptions.ComputeError) as error:
        if not is_full(error, path.parent):
            raise
        raise RunError(
            f"{path}: the disk is full; free space, and the same command goes on"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file whole."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Writes a JSON file whole."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_parquet(path: Path, frame: pl.DataFrame) -> None:
    """Writes a parquet file whole."""
    with whole(path) as part:
        frame.write_parquet(part, compression=CODEC)


_ROW_GROUP = 1 << 15


class RowGroups:
    """Writes frames to a parquet file in row groups of one size, however the frames are cut.

    A thread of its own compresses one row group while the next one comes in.
    """

    def __init__(self, path: Path, schema: Schema, group: int = _ROW_GROUP) -> None:
        import pyarrow.parquet as pq  # here: reading a corpus does not need it

        self._group = group
        self._held: list[pl.DataFrame] = []
        self._rows = 0
        self._empty = pl.DataFrame(schema=schema)
        self._writer = pq.ParquetWriter(path, self._empty.to_arrow().schema, compression=CODEC)
        self._thread = ThreadPoolExecutor(1)
        self._under_way: Future[None] | None = None

    def add(self, frame: pl.DataFrame) -> None:
        """More rows."""
        self._held.append(frame)
        self._rows += frame.height
        if self._rows >= self._group:
            rows = pl.concat(self._held)
            whole_groups = rows.height - rows.height % self._group
            self._write(rows[:whole_groups])
            self._held = [rows[whole_groups:]]
            self._rows = rows.height - whole_groups

    def close(self) -> None:
        """Writes the rest."""
        with self._thread, self._writer:
            self._write(pl.concat([self._empty, *self._held]))
            self._wait()

    def _write(self, rows: pl.DataFrame) -> None:
        self._wait()
        if not rows.is_empty():
            self._under_way = self._thread.submit(
                lambda: self._writer.write_table(rows.to_arrow(), row_group_size=self._group)
            )

    def _wait(self) -> None:
        """Until what was given is written; raises what went wrong."""
        if self._under_way is not None:
            self._under_way.result()


@contextmanager
def writing_parquet(path: Path, schema: Schema, group: int = _ROW_GROUP) -> Iterator[RowGroups]:
    """A writer of a parquet file, which is whole when the block ends without error."""
    with whole(path) as part:
        writer = RowGroups(part, schema, group)
        try:
            yield writer
        finally:
            writer.close()


@contextmanager
def writing_rows(path: Path, schema: Schema, group: int) -> Iterator[Callable[[Row], None]]:
    """What adds a row to a parquet file, which is whole when the block ends without error.

    Args:
        path: The file.
        schema: Its columns.
        group: Rows of a row group; so many are held.
    """
    held: list[Row] = []

    def add(row: Row) -> None:
        held.append(row)
        if len(held) >= group:
            writer.add(frame_of(held, schema))
            held.clear()

    with writing_parquet(path, schema, group) as writer:
        yield add
        writer.add(frame_of(held, schema))


def file_hash(path: Path) -> str:
    """Content hash of a file (blake2b, 64 bits)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def replace_folder(new: Path, old: Path) -> None:
    """Puts a finished folder in the place of the old one."""
    shutil.rmtree(old, ignore_errors=True)
    new.rename(old)

"""Files that are written whole or not at all: `.part`, fsync, rename."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from synth.errors import RunError, is_full


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
        frame.write_parquet(part)


def file_hash(path: Path) -> str:
    """Content hash of a file (blake2b, 64 bits)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def replace_folder(new: Path, old: Path) -> None:
    """Puts a finished folder in the place of the old one."""
    shutil.rmtree(old, ignore_errors=True)
    new.rename(old)

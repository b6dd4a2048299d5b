"""Rows -> a dataset folder: parquet splits, card and provenance, written whole or not at all."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from synth.errors import InputError

_MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
_SCHEMA = pa.schema(
    [
        ("messages", pa.list_(_MESSAGE)),
        ("id", pa.string()),
        ("document_id", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("logprob", pa.float64()),
        ("metadata", pa.string()),
    ]
)
_SHARD_BYTES = 500 << 20  # uncompressed; the Hub advises files of some hundred MB
_OURS = ("data", "README.md", "provenance.json", "recipe.yaml")


@dataclass(frozen=True, slots=True)
class Split:
    """A split as written: its rows, and bytes of text before compression and of files after."""

    name: str
    rows: int
    bytes: int
    file_bytes: int


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `folder` when the block ends without error.

    Raises:
        InputError: When `folder` holds anything but a dataset that synth exported.
    """
    if folder.exists() and not _is_ours(folder):
        raise InputError(
            f"{folder}: exists and is no dataset of synth; name another folder for --to"
        )
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir()}
    return not names or ("provenance.json" in names and names <= set(_OURS))


def write_split(folder: Path, name: str, rows: pl.DataFrame) -> Split:
    """Writes `data/<name>-00000-of-0000N.parquet`.

    Content-defined chunking lets the Hub resend only what changed.

    Args:
        folder: The dataset folder.
        name: `train` or `test`.
        rows: Curated candidates.
    """
    table = _table(rows)
    shards = max(1, -(-table.nbytes // _SHARD_BYTES))
    per_shard = max(1, -(-table.num_rows // shards))
    written = 0
    (folder / "data").mkdir(exist_ok=True)
    for number in range(shards):
        path = folder / "data" / f"{name}-{number:05d}-of-{shards:05d}.parquet"
        pq.write_table(
            table.slice(number * per_shard, per_shard),
            path,
            compression="zstd",
            use_content_defined_chunking=True,
            write_page_index=True,
        )
        written += path.stat().st_size
    return Split(name, table.num_rows, table.nbytes, written)


def _table(rows: pl.DataFrame) -> pa.Table:
    messages = [
        [{"role": "user", "content": instruction}, {"role": "assistant", "content": text}]
        for instruction, text in rows.select("instruction", "text").iter_rows()
    ]
    columns: dict[str, Any] = {
        "messages": messages,
        "id": rows["segment_id"].to_list(),
        **{
            key: rows[key].to_list()
            for key in ("document_id", "start", "end", "logprob", "metadata")
        },
    }
    return pa.table(columns, schema=_SCHEMA)


def features() -> list[dict[str, Any]]:
    """The columns as `dataset_info` in a card names them."""
    message = [{"name": "role", "dtype": "string"}, {"name": "content", "dtype": "string"}]
    plain = [{"name": field.name, "dtype": _dtype(field.type)} for field in _SCHEMA][1:]
    return [{"name": "messages", "list": message}, *plain]


def _dtype(kind: pa.DataType) -> str:
    return {"double": "float64"}.get(str(kind), str(kind))


def licences(rows: pl.DataFrame) -> Mapping[str, int]:
    """Licence named in the metadata -> rows; '' where none is."""
    counts: dict[str, int] = {}
    for metadata in rows["metadata"]:
        licence = str(json.loads(metadata).get("licence", ""))
        counts[licence] = counts.get(licence, 0) + 1
    return counts

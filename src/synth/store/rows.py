"""A file of rows -> its rows, each with the place where it stands: .jsonl, .csv and .parquet."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from synth.errors import InputError
from synth.recipe import resolve_path

Rows = Iterator[tuple[str, Mapping[str, Any]]]
"""Place (`file:line`) and columns of each row."""

_LONGEST_FIELD = (1 << 31) - 1  # characters; the most that the module takes on every platform


def read_rows(name: str, what: str, setting: str) -> Rows:
    """The rows of a file in their order.

    Args:
        name: Path of the file, or `bundled:...`.
        what: What the rows are, for messages.
        setting: Where the recipe names the file, for messages.

    Raises:
        InputError: For a file that is missing, damaged, or of another format.
    """
    path = resolve_path(name)
    if not path.is_file():
        raise InputError(f"{path}: no such file of {what}; check {setting}")
    readers = {".jsonl": _jsonl, ".parquet": _parquet, ".csv": _csv}
    if path.suffix not in readers:
        raise InputError(f"{path}: {what} come as {', '.join(readers)}; convert the file")
    return readers[path.suffix](path)


def check_columns(place: str, row: Mapping[str, Any], names: Iterable[str], setting: str) -> None:
    """Sees to it that the row has the columns.

    Raises:
        InputError: When it lacks one.
    """
    for name in names:
        if name not in row:
            raise InputError(
                f"{place}: has no column {name!r}, only {', '.join(map(str, row))};"
                f" correct {setting} in the recipe, or the row"
            )


def _jsonl(path: Path) -> Rows:
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            place = f"{path.name}:{number}"
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                if not text.strip():
                    continue
                row = json.loads(text)
            except ValueError as error:
                raise InputError(
                    f"{place}: not JSON in UTF-8; correct or delete the line"
                ) from error
            if not isinstance(row, dict):
                raise InputError(f"{place}: not a JSON object; correct or delete the line")
            yield place, row


def _csv(path: Path) -> Rows:
    csv.field_size_limit(_LONGEST_FIELD)  # else 131,072
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(
                        f"{path.name}:{reader.line_num}: has not the columns of the first line;"
                        " correct the row"
                    )
                yield f"{path.name}:{reader.line_num}", row
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: not CSV in UTF-8: {error}; convert the file") from error


def _parquet(path: Path) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    yield f"{path.name}[{number}]", row
                    number += 1
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path.name}: cannot be read as parquet; check the file") from error

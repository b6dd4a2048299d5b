"""Corpus files -> documents, streamed; a line that holds none comes out as a bad line."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from synth.errors import InputError
from synth.recipe import resolve_path
from synth.records import BadLine, Document, content_id
from synth.settings import Corpus


def check_corpus(paths: Sequence[str]) -> list[Path]:
    """The corpus's files.

    Raises:
        InputError: For a missing file, a folder, or a format that synth does not read.
    """
    if not paths:
        raise InputError("no corpus named; give one or more .jsonl files")
    files = [resolve_path(path) for path in paths]
    for file in files:
        if not file.exists():
            raise InputError(f"{file}: no such file; check the path")
        if not file.is_file() or file.suffix not in {".jsonl", ".ndjson"}:
            raise InputError(
                f"{file}: a corpus is a .jsonl file, one JSON object a line; convert it"
            )
    return files


def read_corpus(paths: Sequence[Path], settings: Corpus) -> Iterator[Document | BadLine]:
    """Documents in the order of the files; blank lines are passed over."""
    for path in paths:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if raw.strip():
                    yield _document(raw, f"{path.name}:{number}", settings)


def _document(raw: bytes, place: str, settings: Corpus) -> Document | BadLine:
    try:
        row: Any = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return BadLine(place, f"not UTF-8 (byte {error.start + 1})")
    except (ValueError, RecursionError):
        return BadLine(place, "not JSON")
    if not isinstance(row, dict):
        return BadLine(place, "not a JSON object")
    text = row.get(settings.text)
    if not isinstance(text, str) or not text.strip():
        return BadLine(place, f"no text in the field {settings.text!r}")
    metadata = {key: str(row[key]) for key in settings.metadata if row.get(key) is not None}
    name = row.get(settings.id)
    document = Document(content_id(text) if name is None else str(name), text, place, metadata)
    try:
        "".join((document.id, text, *metadata.values())).encode("utf-8")
    except UnicodeEncodeError:
        return BadLine(place, "half a surrogate pair, which is no Unicode text")
    return document

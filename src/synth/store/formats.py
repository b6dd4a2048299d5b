"""One file of a corpus -> its documents, streamed; a line, row or file without one is a bad line.

Lines and rows are counted from 1; of a CSV row that spans lines the first counts.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any

from synth.errors import InputError
from synth.records import BadLine, Document, content_id
from synth.settings import Corpus
from synth.store.remote import Location, Ranges, RemoteFile

Item = Document | BadLine

_BOM = b"\xef\xbb\xbf"
_LONGEST_CELL = 2**27  # characters; bounds what a quote that is never closed can swallow
_BLOCK = 1 << 16  # bytes of a compressed file that are read at once
_COLUMN = 1 << 20  # bytes of a column of a parquet file that are read at once
_REMOTE_COLUMN = 1 << 22  # the same, where asking takes its time
_ROWS = 1024  # rows of a parquet file that are in memory at once
_HALF = "half a surrogate pair, which is no Unicode text"
_STEP = 64  # documents between two tellings of how far a file was read
_JSON_SPACE = " \t\r\n"
_decoded = json.JSONDecoder().raw_decode
"""A value and where it ends, without what `loads` looks at first; that takes as long again."""


@dataclass(slots=True)
class Meter:
    """Tells `advance` what was read of a file, in steps that add up to its size."""

    size: int
    advance: Callable[[int], None]
    told: int = 0

    def at(self, position: int) -> None:
        """So many bytes were read since the file's beginning."""
        step = min(position, self.size) - self.told
        if step > 0:
            self.told += step
            self.advance(step)


def split_name(name: str) -> tuple[str, str, str] | None:
    """`tea.md.gz` -> (`tea`, `.md`, `.gz`); None for a format that synth does not read."""
    lower = name.lower()
    packing = next((end for end in _CODECS if lower.endswith(end)), "")
    lower = lower.removesuffix(packing)
    suffix = next((end for end in _READERS if lower.endswith(end)), "")
    if not packing and lower.endswith(".parquet"):
        suffix = ".parquet"
    return (name[: len(lower) - len(suffix)], suffix, packing) if suffix else None


def read_file(path: Location, name: str, settings: Corpus, meter: Meter) -> Iterator[Item]:
    """The documents of a file of a known format, in its order.

    Args:
        path: The file; its suffixes tell the format.
        name: What places call it; an error that ends the run says the path.
        settings: Names of the fields.
        meter: Is told now and then, and whenever reading ends, how far into the file that is.

    Raises:
        InputError: For a file that cannot be opened, is damaged or has no column of texts.
    """
    parts = split_name(path.name)
    if parts is None:
        raise InputError(f"{path}: not a format that synth reads; use {KNOWN}")
    _, suffix, packing = parts
    with damage(path):
        if suffix == ".parquet":
            yield from parquet(path, name, settings, meter)
        else:
            with _opened(path, packing) as (file, tell):
                try:
                    for number, item in enumerate(_READERS[suffix](file, path, name, settings)):
                        yield item
                        if number % _STEP == 0:
                            meter.at(tell())
                except GeneratorExit:  # nobody wants the rest
                    meter.at(tell())
                    raise
    meter.at(meter.size)


@contextmanager
def damage(path: Location) -> Iterator[None]:
    """Turns what the libraries raise for a file that cannot be read into an InputError."""
    import pyarrow as pa

    try:
        yield
    except (OSError, EOFError, pa.ArrowException) as error:
        system = getattr(error, "strerror", None)  # the codecs' OSErrors have none
        if system:
            raise InputError(f"{path}: cannot be read: {system}") from error
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: damaged or cut short ({reason:.120}); get or write the file anew"
        ) from error


@contextmanager
def _opened(path: Location, packing: str) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The file's bytes, unpacked, and what tells how many of the packed ones were read."""
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        if not packing:
            yield file, file.tell
            return
        import pyarrow as pa

        if not file.peek(1):
            raise EOFError("the file is empty")
        stream = stack.enter_context(
            pa.CompressedInputStream(pa.PythonFile(file), _CODECS[packing])
        )
        yield io.BufferedReader(stream, _BLOCK), file.tell


def of_row(row: Mapping[str, Any], place: str, settings: Corpus) -> Item:
    """The document that a row holds."""
    text = row.get(settings.text)
    if not isinstance(text, str) or not text or text.isspace():
        return BadLine(place, f"no text in the field {settings.text!r}")
    metadata = {key: _plain(row[key]) for key in settings.metadata if row.get(key) is not None}
    name = row.get(settings.id)
    return Document(content_id(text) if name in (None, "") else _plain(name), text, place, metadata)


def _plain(value: object) -> str:
    """A value of a row as a text: lists, objects and truths as JSON writes them."""
    if isinstance(value, list | dict | bool):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def unicode_only(item: Item) -> Item:
    """The item, or a bad line for a document with half a surrogate pair."""
    if isinstance(item, Document):
        try:
            "".join((item.id, item.text, *item.metadata.values())).encode("utf-8")
        except UnicodeEncodeError:
            return BadLine(item.place, _HALF)
    return item


def jsonl(lines: Iterable[bytes], name: str, settings: Corpus, first: int = 1) -> Iterator[Item]:
    """A JSON object a line, the first of that number; blank lines are passed over."""
    for number, raw in enumerate(lines, first):
        if raw.isspace():
            continue
        place = f"{name}:{number}"
        try:
            line = raw.removeprefix(_BOM).decode("utf-8").strip(_JSON_SPACE)
            row, end = _decoded(line)
        except UnicodeDecodeError as error:
            yield BadLine(place, _not_utf8(error))
            continue
        except (ValueError, RecursionError):
            yield BadLine(place, "not JSON")
            continue
        if end < len(line):
            yield BadLine(place, "not JSON")
            continue
        if not isinstance(row, dict):
            yield BadLine(place, "not a JSON object")
            continue
        item = of_row(row, place, settings)
        # Bytes that decode hold no half pair; only an escape such as \ud800 can make one.
        yield unicode_only(item) if "\\" in line and "\\u" in line else item


def _lines(file: IO[bytes], path: Location, name: str, settings: Corpus) -> Iterator[Item]:
    return jsonl(file, name, settings)


def _csv(file: IO[bytes], path: Location, name: str, settings: Corpus) -> Iterator[Item]:
    """RFC 4180 with a header row; cells may span lines, an empty cell counts as missing."""
    csv.field_size_limit(_LONGEST_CELL)
    lines: list[str] = []  # those of the row that is being read
    with io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="") as source:
        reader = csv.reader(_kept(source, lines), strict=True)
        header = _header(reader, lines, path, settings)
        while True:
            lines.clear()
            place = f"{name}:{reader.line_num + 1}"
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield BadLine(place, f"not CSV ({error})")
                continue
            if cells is None:
                return
            if cells:
                yield _csv_row(cells, lines, header, place, settings)


def _csv_row(
    cells: Sequence[str], lines: Sequence[str], header: Sequence[str], place: str, settings: Corpus
) -> Item:
    bad = _bad_bytes(lines)
    if bad is None and len(cells) != len(header):
        bad = f"{len(cells)} columns, not the {len(header)} of the header"
    if bad is not None:
        return BadLine(place, bad)
    row = {key: cell or None for key, cell in zip(header, cells, strict=True)}
    return of_row(row, place, settings)


def _kept(lines: Iterable[str], into: list[str]) -> Iterator[str]:
    for line in lines:
        into.append(line)
        yield line


def _header(
    reader: Iterator[list[str]], lines: Sequence[str], path: Location, settings: Corpus
) -> list[str]:
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise InputError(f"{path}:1: not CSV ({error}); write the file anew") from error
    if not header:
        raise InputError(f"{path}: has no header row; name the columns in its first line")
    if settings.text not in header:
        bad = _bad_bytes(lines)
        if bad is not None:
            raise InputError(f"{path}:1: {bad}; write the file anew as UTF-8")
        if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
            found = "semicolons" if ";" in header[0] else "tabs"
            raise InputError(
                f"{path}:1: has {found} between its columns, not commas; write the file anew"
            )
    check_column(header, str(path), settings)
    return header


def _bad_bytes(lines: Sequence[str]) -> str | None:
    """Why these lines are not UTF-8, if they are not; what was no UTF-8 is escaped in them."""
    row = "".join(lines)
    if row.isascii():
        return None
    try:
        row.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError as error:
        return _not_utf8(error)
    return None


def _text(file: IO[bytes], path: Location, name: str, settings: Corpus) -> Iterator[Item]:
    """One document; its id is the name, its title the name without folder and suffixes."""
    try:
        text = file.read().removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        yield BadLine(name, _not_utf8(error))
        return
    if not text or text.isspace():
        yield BadLine(name, "no text")
        return
    stem, suffix, _ = split_name(name.rpartition("/")[2]) or (name, "", "")
    metadata = {"title": stem} if "title" in settings.metadata else {}
    yield Document(name, text, name, metadata, "" if suffix == ".txt" else "markdown")


def parquet(
    path: Location, name: str, settings: Corpus, meter: Meter, groups: range | None = None
) -> Iterator[Item]:
    """A document a row of these row groups, or of all; only the columns needed are read."""
    with opened_parquet(path) as file:
        there = file.schema_arrow.names
        check_column(there, str(path), settings)
        wanted = [key for key in columns_of(settings) if key in there]
        groups = range(file.num_row_groups) if groups is None else groups
        counts = [file.metadata.row_group(number).num_rows for number in range(groups.stop)]
        rows = before = sum(counts[: groups.start])
        total = max(1, sum(counts) - before)
        for batch in file.iter_batches(_ROWS, list(groups), wanted, use_threads=False):
            columns = [_values(batch.column(key)) for key in wanted]
            for cells in zip(*columns, strict=True):
                rows += 1
                place = f"{name}:{rows}"
                row = dict(zip(wanted, cells, strict=True))
                bad = _bad_cell(row)
                yield BadLine(place, bad) if bad else of_row(row, place, settings)
                meter.at(meter.size * (rows - before) // total)


def _bad_cell(row: Mapping[str, Any]) -> str | None:
    """Which column of a row is not UTF-8, if one is not; what was no UTF-8 is escaped in it."""
    for column, cell in row.items():
        bad = _bad_bytes([cell]) if isinstance(cell, str) else None
        if bad is not None:
            return f"column {_printable(column)!r}: {bad}"
    return None


@contextmanager
def opened_parquet(path: Location) -> Iterator[Any]:
    """The `pyarrow.parquet.ParquetFile`; of an object no more is fetched than what is read."""
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        where: Location | Ranges = path
        buffer = _COLUMN
        if isinstance(path, RemoteFile):
            where, buffer = stack.enter_context(Ranges(path)), _REMOTE_COLUMN
        yield stack.enter_context(pq.ParquetFile(where, buffer_size=buffer, pre_buffer=False))


def _values(column: Any) -> list[Any]:  # noqa: ANN401
    """Values of a column; bytes that are not UTF-8 come as lone surrogates (surrogateescape)."""
    import pyarrow as pa

    try:
        if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
            return list(column.to_pylist())
    except UnicodeDecodeError:
        pass
    raw = column.cast(pa.large_binary()).to_pylist()
    return [None if cell is None else cell.decode("utf-8", "surrogateescape") for cell in raw]


def columns_of(settings: Corpus) -> list[str]:
    """The columns that a document is made of, each once."""
    return list(dict.fromkeys((settings.text, settings.id, *settings.metadata)))


def check_column(columns: Sequence[str], name: str, settings: Corpus) -> None:
    """Raises InputError where the column of texts is missing."""
    if settings.text not in columns:
        shown = ", ".join(_printable(column) for column in columns)
        raise InputError(
            f"{name}: has no column {settings.text!r}, only {shown:.200};"
            " name the one that holds the text in corpus.text"
        )


def _printable(name: str) -> str:
    return name if name.isprintable() else repr(name)[1:-1]


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"not UTF-8 (byte {error.start + 1})"


_READERS: dict[str, Callable[[IO[bytes], Location, str, Corpus], Iterator[Item]]] = {
    **dict.fromkeys((".jsonl", ".ndjson"), _lines),
    ".csv": _csv,
    **dict.fromkeys((".txt", ".md", ".markdown"), _text),
}
_CODECS = {".gz": "gzip", ".zst": "zstd"}
KNOWN = f"{', '.join(_READERS)} (each also with {' or '.join(_CODECS)}), .parquet"
"""The suffixes that synth reads, for people."""

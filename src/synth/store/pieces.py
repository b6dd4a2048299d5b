"""A corpus -> pieces, stretches of it that are each read without the rest.

Where they begin depends on the corpus and their size alone, never on who works on them. A piece is
read like any other sources; its places are those of the undivided corpus.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from synth.errors import InputError
from synth.records import BadLine, Document, content_id
from synth.settings import Corpus
from synth.store.corpus import FileSource, Source, StandardInput
from synth.store.files import whole
from synth.store.formats import Meter, damage, jsonl, opened_parquet, parquet, split_name
from synth.store.idset import Ids
from synth.store.remote import Location, RemoteFile

_MOST = 99_999  # pieces; their files' names have five digits
_BLOCK = 1 << 20
_LINE = 1 << 16  # bytes that are read at once to find the end of a line


@dataclass(frozen=True, slots=True)
class FileRange:
    """The lines of a jsonl file between two of its bytes; `first` is the number of the first."""

    path: Location
    name: str
    start: int
    size: int
    first: int = 1

    def identity(self) -> str:
        """Hash of these bytes; in a store of their place, and of what that says of the object."""
        if isinstance(self.path, RemoteFile):
            return content_id(self.path.identity(), self.start, self.size)
        digest = hashlib.blake2b(digest_size=8)
        for block in _blocks(self.path, self.start, self.size):
            digest.update(block)
        return digest.hexdigest()

    def lines(self) -> int:
        """How many lines end here."""
        return sum(block.count(b"\n") for block in _blocks(self.path, self.start, self.size))

    def read(
        self, settings: Corpus, advance: Callable[[int], None]
    ) -> Iterator[Document | BadLine]:
        """Its documents in order."""
        meter = Meter(self.size, advance)
        with damage(self.path):
            yield from jsonl(self._lines(meter), self.name, settings, self.first)

    def _lines(self, meter: Meter) -> Iterator[bytes]:
        done = 0
        with self.path.open("rb") as file:
            file.seek(self.start)
            while done < self.size and (line := file.readline()):
                yield line
                done += len(line)
                meter.at(done)


@dataclass(frozen=True, slots=True)
class FileRows:
    """Row groups `start` to `stop` (without it) of a parquet file."""

    path: Location
    name: str
    size: int
    start: int
    stop: int

    def identity(self) -> str:
        """Hash of their bytes and the file's schema; in a store as that of a `FileRange`."""
        if isinstance(self.path, RemoteFile):
            return content_id(self.path.identity(), self.start, self.stop)
        with damage(self.path), opened_parquet(self.path) as file:
            schema = file.schema_arrow.to_string(show_field_metadata=False)
            chunks = [
                file.metadata.row_group(group).column(column)
                for group in range(self.start, self.stop)
                for column in range(file.metadata.num_columns)
            ]
            places = [
                (
                    chunk.dictionary_page_offset or chunk.data_page_offset,
                    chunk.total_compressed_size,
                )
                for chunk in chunks
            ]
        digest = hashlib.blake2b(schema.encode(), digest_size=8)
        for start, size in places:
            for block in _blocks(self.path, start, size):
                digest.update(block)
        return digest.hexdigest()

    def read(
        self, settings: Corpus, advance: Callable[[int], None]
    ) -> Iterator[Document | BadLine]:
        """Its documents in order."""
        groups = range(self.start, self.stop)
        meter = Meter(self.size, advance)
        with damage(self.path):
            yield from parquet(self.path, self.name, settings, meter, groups)
        meter.at(self.size)


def divide(sources: Sequence[Source], most: int) -> list[list[Source]]:
    """The corpus in pieces of about `most` bytes on disk; small files share one.

    A packed file, a CSV file or a Hub dataset is read from its beginning, and never divided.

    Raises:
        InputError: For standard input; for more pieces than can be named.
    """
    pieces: list[list[Source]] = []
    held = most  # bytes of the last piece
    for source in sources:
        if isinstance(source, StandardInput):
            raise InputError(
                "-: standard input cannot be read in pieces; write it to a file, or leave out --on"
            )
        for part in _cut(source, most):
            alone = not part.size  # nobody knows how much it is
            if alone or held + part.size > most:
                pieces.append([])
                held = 0
            pieces[-1].append(part)
            held += most if alone else part.size
    if len(pieces) > _MOST:
        raise InputError(f"{len(pieces)} pieces of the corpus are too many; raise ray.piece_mib")
    return pieces


def _cut(source: Source, most: int) -> Iterator[Source]:
    if not isinstance(source, FileSource):
        yield source
        return
    if isinstance(source.path, Path):  # workers may stand elsewhere
        source = replace(source, path=source.path.absolute())
    known = split_name(source.path.name)
    if source.size <= most or known is None or known[2]:
        yield source
    elif known[1] == ".parquet":
        yield from _row_groups(source, most)
    elif known[1] in {".jsonl", ".ndjson"}:
        yield from _ranges(source, most)
    else:
        yield source


def _ranges(source: FileSource, most: int) -> Iterator[FileRange]:
    """Each range begins where a line does."""
    start = 0
    with damage(source.path), source.path.open("rb", _LINE) as file:
        while start < source.size:
            file.seek(min(start + most, source.size) - 1)
            file.readline()
            end = min(file.tell(), source.size)
            yield FileRange(source.path, source.name, start, end - start)
            start = end


def _row_groups(source: FileSource, most: int) -> Iterator[FileRows]:
    with damage(source.path), opened_parquet(source.path) as file:
        sizes = [
            sum(group.column(column).total_compressed_size for column in range(group.num_columns))
            for group in map(file.metadata.row_group, range(file.num_row_groups))
        ]
    start = held = 0
    for number, size in enumerate([*sizes, most + 1]):
        if held and held + size > most:
            yield FileRows(source.path, source.name, held, start, number)
            start, held = number, 0
        held += size


def numbered(pieces: Sequence[Sequence[Source]], lines: Sequence[int]) -> list[list[Source]]:
    """The pieces with the number of the first line of each range.

    Args:
        pieces: As `divide` made them.
        lines: How many lines the first range of each piece has; 0 where a piece has none.
    """
    first: dict[Location, int] = {}
    found: list[list[Source]] = []
    for piece, count in zip(pieces, lines, strict=True):
        found.append([])
        for source in piece:
            if isinstance(source, FileRange):
                number = first.get(source.path, 1)
                first[source.path] = number + count
                found[-1].append(replace(source, first=number))
            else:
                found[-1].append(source)
    return found


def _blocks(path: Location, start: int, size: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(start)
            while size > 0 and (block := file.read(min(size, _BLOCK))):
                yield block
                size -= len(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Survey:
    """What must be known of the pieces before them to read each piece.

    Attributes:
        lines: Of each piece, how many lines its range of a file has.
        again: Of each piece, the keys of its documents that stand in a piece before it.
    """

    lines: list[int]
    again: list[Ids]

    def write(self, path: Path, fingerprint: str) -> None:
        """Writes it; the fingerprint is of all that it depends on."""
        again = pl.Series(self.again, dtype=pl.List(pl.UInt64))
        frame = pl.DataFrame({"lines": self.lines, "again": again})
        with whole(path) as part:
            frame.with_columns(fingerprint=pl.lit(fingerprint)).write_parquet(part)

    @classmethod
    def read(cls, path: Path, fingerprint: str) -> "Survey | None":
        """What was written with that fingerprint; None where nothing was."""
        try:
            frame = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError):
            return None
        if set(frame["fingerprint"]) != {fingerprint}:
            return None
        again = [keys.to_numpy().astype(np.uint64) for keys in frame["again"]]
        return cls(frame["lines"].to_list(), again)


def survey_id(pieces: Sequence[Sequence[Source]], corpus: Corpus, identities: Sequence[str]) -> str:
    """Hash of all that a survey of the pieces depends on."""
    names = [source.name for piece in pieces for source in piece]
    lengths = map(len, pieces)
    return content_id("survey", corpus.fingerprint(), *lengths, *names, *identities)

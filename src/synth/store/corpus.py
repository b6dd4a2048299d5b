"""Files, objects, folders, patterns, standard input and Hub datasets -> documents, streamed.

A line, row or file that holds no document comes out as a bad line. Nothing is held in memory.
"""

import re
import sys
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Protocol, TypeVar

from synth.errors import InputError
from synth.recipe import resolve_path
from synth.records import BadLine, Document, content_id
from synth.settings import Corpus
from synth.store.files import file_hash
from synth.store.formats import (
    KNOWN,
    Meter,
    check_column,
    columns_of,
    jsonl,
    of_row,
    read_file,
    split_name,
    unicode_only,
)
from synth.store.remote import Location, RemoteFile, is_remote, objects, shown_url

_HUB = "hub:"
_WILD = re.compile(r"[*?\[]")
_P = TypeVar("_P", bound=PurePath)


class Source(Protocol):
    """One file, or what is read like one."""

    @property
    def name(self) -> str:
        """What places call it."""

    @property
    def size(self) -> int:
        """Bytes on disk; 0 when nobody knows."""

    def identity(self) -> str:
        """A value that is another when the content is another."""

    def read(
        self, settings: Corpus, advance: Callable[[int], None]
    ) -> Iterator[Document | BadLine]:
        """Its documents in order; `advance` is told of the bytes on disk that were read."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on disk, or an object in a store."""

    path: Location
    name: str
    size: int

    def identity(self) -> str:
        """Hash of the content, or of what a store says of it.

        Of texts without fields also of the name, which is their id.
        """
        content = _content(self.path)
        parts = split_name(self.path.name)
        is_text = parts is not None and parts[1] in {".txt", ".md", ".markdown"}
        return content_id(self.name, content) if is_text else content

    def read(
        self, settings: Corpus, advance: Callable[[int], None]
    ) -> Iterator[Document | BadLine]:
        """Its documents in order."""
        return read_file(self.path, self.name, settings, Meter(self.size, advance))


def _content(path: Location) -> str:
    if isinstance(path, RemoteFile):
        return path.identity()
    try:
        return file_hash(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class StandardInput:
    """What is piped in, as jsonl."""

    name: str = "stdin"
    size: int = 0

    def identity(self) -> str:
        """Always another: what will come cannot be known."""
        return uuid.uuid4().hex

    def read(
        self, settings: Corpus, advance: Callable[[int], None]
    ) -> Iterator[Document | BadLine]:
        """Its documents as they come."""
        return jsonl(sys.stdin.buffer, self.name, settings)


@dataclass(frozen=True, slots=True)
class HubSource:
    """A split of a dataset on the Hub, at one commit."""

    dataset: str
    config: str | None
    split: str
    commit: str
    size: int = 0

    @property
    def name(self) -> str:
        """`hub:OWNER/NAME`."""
        return _HUB + self.dataset

    def identity(self) -> str:
        """Hash of id, config, split and commit."""
        return content_id(_HUB, self.dataset, self.config, self.split, self.commit)

    def read(
        self, settings: Corpus, advance: Callable[[int], None]
    ) -> Iterator[Document | BadLine]:
        """Its documents in order, as they are downloaded."""
        from datasets import load_dataset

        with hub_errors(self.name):
            rows: Any = load_dataset(
                self.dataset, self.config, split=self.split, revision=self.commit, streaming=True
            )
            if rows.features is not None:
                check_column(list(rows.features), self.name, settings)
                rows = rows.select_columns([c for c in columns_of(settings) if c in rows.features])
            for number, row in enumerate(rows, 1):
                if number == 1:
                    check_column(list(row), self.name, settings)
                yield unicode_only(of_row(row, f"{self.name}:{number}", settings))


def ignore(_: int) -> None:
    """Is told of bytes and does nothing."""


def find_corpus(names: Sequence[str], settings: Corpus) -> list[Source]:
    """What the names stand for, in their order, each once.

    Args:
        names: Files, folders, patterns (`**` for folders at any depth), URLs of such in a store,
            `-` for jsonl on standard input, `bundled:...`, or `hub:OWNER/NAME`.
        settings: Config, split and revision of a Hub dataset.

    Raises:
        InputError: For a name that stands for nothing, or for nothing that synth reads; for a
            store or a Hub dataset that cannot be reached.
    """
    if not names:
        raise InputError("no corpus named; give files, folders, patterns, hub:OWNER/NAME or -")
    found: dict[Location | str, Source] = {}
    for name in names:
        if name == "-":
            found.setdefault(name, StandardInput())
        elif name.startswith(_HUB):
            if name not in found:
                found[name] = _hub(name.removeprefix(_HUB), settings)
        else:
            for source in _objects(name) if is_remote(name) else _files(name):
                path = source.path
                found.setdefault(path.resolve() if isinstance(path, Path) else path, source)
    return list(found.values())


def read_corpus(
    sources: Sequence[Source], settings: Corpus, advance: Callable[[int], None] = ignore
) -> Generator[Document | BadLine, None, None]:
    """Documents in the order of the sources.

    Args:
        sources: As `find_corpus` found them.
        settings: Names of the fields.
        advance: Is told how many bytes on disk were read since its last call; of a file they add
            up to its size. Of a packed file the packed bytes count.

    Raises:
        InputError: For a source that cannot be read, is damaged or has no column of texts.
    """
    for source in sources:
        yield from source.read(settings, advance)


def _files(name: str) -> list[FileSource]:
    path = resolve_path(name)
    if path.is_dir():
        return _inside(path, "**/*", name)
    if not path.exists():
        if _WILD.search(name):
            return _matching(path, name)
        raise InputError(f"{name}: no such file; check the path")
    _check_format(path, name)
    if not path.is_file():
        raise InputError(f"{name}: neither a file nor a folder; pipe jsonl in and name it -")
    return [_file(path, path.name)]


def _objects(url: str) -> list[FileSource]:
    """What is there in a store; an object is called by its URL."""
    found = objects(url)
    if isinstance(found, RemoteFile):
        _check_format(found, str(found))
        return [FileSource(found, str(found), found.size)]
    files = [found[place] for place in _wanted(found)]
    return _some([FileSource(file, str(file), file.size) for file in files], shown_url(url))


def _matching(path: Path, name: str) -> list[FileSource]:
    """The files that match a pattern; its folder is what stands before the first wildcard."""
    depth = next(n for n, part in enumerate(path.parts) if _WILD.search(part))
    # Only a whole `**` stands for folders; not every Python takes it as part of a name.
    parts = [p if p == "**" else re.sub(r"\*+", "*", p) for p in path.parts[depth:]]
    if parts[-1] == "**":
        parts.append("*")
    return _inside(Path(*path.parts[:depth]), "/".join(parts), name)


def _inside(folder: Path, pattern: str, name: str) -> list[FileSource]:
    """The files below a folder that match."""
    paths = {path.relative_to(folder): path for path in folder.glob(pattern)}
    wanted = [place for place in _wanted(paths) if paths[place].is_file()]
    return _some([_file(paths[place], place.as_posix()) for place in wanted], name)


def _wanted(places: Iterable[_P]) -> list[_P]:
    """Those that synth reads, sorted; hidden ones are passed over."""
    return [
        place
        for place in sorted(places)
        if split_name(place.name) is not None
        and not any(part.startswith(".") for part in place.parts)
    ]


def _some(files: list[FileSource], name: str) -> list[FileSource]:
    if not files:
        raise InputError(f"{name}: no file there that synth reads; it reads {KNOWN}")
    return files


def _check_format(path: Location, name: str) -> None:
    if split_name(path.name) is None:
        raise InputError(f"{name}: not a format that synth reads; convert it to one of {KNOWN}")


def _file(path: Path, name: str) -> FileSource:
    # Linux allows any bytes in a name; those that are no Unicode are shown as escapes.
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return FileSource(path, shown, path.stat().st_size)


def _hub(dataset: str, settings: Corpus) -> HubSource:
    """The dataset at the commit that its revision is now."""
    from huggingface_hub import HfApi

    name = _HUB + dataset
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", dataset):
        raise InputError(f"{name}: a dataset on the Hub is hub:OWNER/NAME; correct it")
    if Path(dataset).exists():  # `datasets` would read that instead
        raise InputError(f"{name}: {dataset} is also a path here; name that, or run elsewhere")
    with hub_errors(name):
        commit = HfApi().dataset_info(dataset, revision=settings.revision).sha
    return HubSource(dataset, settings.config, settings.split, str(commit))


@contextmanager
def hub_errors(name: str) -> Iterator[None]:
    """Turns what the Hub's libraries raise for a dataset into an InputError."""
    import httpx2
    from datasets.exceptions import DatasetsError

    try:
        yield
    except (OSError, ValueError, RuntimeError, httpx2.TransportError, DatasetsError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{name}: cannot be read: {reason:.200}; check the id, config, split and revision, the"
            " network, and for a gated dataset your login (`hf auth login`)"
        ) from error

"""Local files, and what a commit holds -> what has to be sent, and what has to go."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

_BLOCK = 1 << 20


class LocalFile:
    """A file to be published: on the disk, or in memory."""

    def __init__(self, name: str, source: Path | bytes) -> None:
        self.name, self.source = name, source

    def read(self) -> bytes:
        """The whole content."""
        return self.source.read_bytes() if isinstance(self.source, Path) else self.source

    @cached_property
    def size(self) -> int:
        """Bytes."""
        return self.source.stat().st_size if isinstance(self.source, Path) else len(self.source)

    @cached_property
    def sha256(self) -> str:
        """What names the content of a large file."""
        return self._digest(hashlib.sha256())

    @cached_property
    def git_id(self) -> str:
        """What names a file that is kept in git itself."""
        return self._digest(hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False))

    def _digest(self, told: "hashlib._Hash") -> str:
        if isinstance(self.source, bytes):
            told.update(self.source)
        else:
            with self.source.open("rb") as file:
                while block := file.read(_BLOCK):
                    told.update(block)
        return told.hexdigest()


@dataclass(frozen=True, slots=True)
class Changes:
    """What a commit has to do: true when there is anything."""

    changed: tuple[str, ...]
    gone: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone)

    @property
    def first(self) -> str:
        """One of them, to be named."""
        return (*self.changed, *self.gone)[0]


def changes_to(
    there: Mapping[str, "RepoFile"], files: Mapping[str, LocalFile], owned: tuple[str, ...]
) -> Changes:
    """Compares a commit with the files that it is to hold.

    Args:
        there: Path -> what the Hub says of it (huggingface_hub's `RepoFile`).
        files: Path -> the file that is to be there.
        owned: Folders, like `data/`, in which nothing else may stay.
    """
    changed = [name for name, file in files.items() if not _same(file, there.get(name))]
    gone = [name for name in there if name not in files and name.startswith(owned)]
    return Changes(tuple(sorted(changed)), tuple(sorted(gone)))


def _same(file: LocalFile, entry: "RepoFile | None") -> bool:
    if entry is None or entry.size != file.size:
        return False
    if entry.lfs is not None:
        return bool(entry.lfs.sha256 == file.sha256)
    return bool(entry.blob_id == file.git_id)

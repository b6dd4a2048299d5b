"""A dataset folder that is there whole or not at all."""

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from synth.errors import InputError, RunError, is_full
from synth.settings import ConfigName

CARD, PROVENANCE, RECIPE = "README.md", "provenance.json", "recipe.yaml"
_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what file managers leave
_OURS = {"data", *get_args(ConfigName), CARD, PROVENANCE, RECIPE}


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `folder` when the block ends without error.

    It lies hidden beside it, and so does the old one until the new one is there.

    Raises:
        InputError: When `folder` cannot be written, or holds anything but a dataset that synth
            exported.
        RunError: When the disk is full.
    """
    place = folder.resolve()
    part, old = (place.with_name(f".{place.name}.synth-{end}") for end in ("part", "old"))
    with _writable(folder):
        if old.is_dir() and not place.exists():
            old.rename(place)  # a process was killed between two steps of the last lines
        check_target(folder)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    try:
        yield part
        with _writable(folder):
            shutil.rmtree(old, ignore_errors=True)
            if place.exists():
                place.rename(old)
            part.rename(place)
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if is_full(error, part):
            raise _full(folder) from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """What goes wrong in the block is said of the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(folder) from error
        raise InputError(
            f"{folder!s:.120}: cannot be written ({error.strerror}); name another folder for --to"
        ) from error


def _full(folder: Path) -> RunError:
    return RunError(f"{folder}: the disk is full; free space, and the same command starts again")


def check_target(folder: Path) -> None:
    """Sees to it that a dataset may take the place of the folder.

    Raises:
        InputError: When it holds anything but a dataset that synth exported, or is where one is.
    """
    place = folder.resolve()
    if place.exists() and not is_ours(place):
        strange = sorted(_names(place) - _OURS) if place.is_dir() else []
        what = f"holds {strange[0]}, which" if strange else "exists and"
        raise InputError(f"{folder}: {what} is no dataset of synth; name another folder for --to")
    here = Path.cwd()
    if place == here or place in here.parents:
        raise InputError(f"{folder}: is where you are; name a folder in it for --to")


def files_of(folder: Path) -> dict[str, Path]:
    """Path in the dataset -> file, of all that a dataset folder holds, but for hidden files."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = ((path.relative_to(folder), path) for path in files)
    return {
        name.as_posix(): path
        for name, path in named
        if _LITTER.isdisjoint(name.parts) and not any(part.startswith(".") for part in name.parts)
    }


def sizes_of(folder: Path) -> dict[str, int]:
    """Path in the dataset -> bytes, of what is written before card and provenance."""
    files = files_of(folder).items()
    return {name: path.stat().st_size for name, path in files if name not in (CARD, PROVENANCE)}


def holds(folder: Path, fingerprint: str) -> bool:
    """Whether the folder holds the dataset of that export, all of it and nothing else."""
    try:
        told = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))["export"]
        same = told == {"fingerprint": fingerprint, "bytes": sizes_of(folder)}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return same and (folder / CARD).is_file()


def folders() -> tuple[str, ...]:
    """The folders that a dataset's rows are in."""
    return tuple(f"{name}/" for name in sorted(_OURS - {CARD, PROVENANCE, RECIPE, "messages"}))


def is_ours(folder: Path) -> bool:
    """Whether the folder is empty or holds a dataset of synth and nothing else."""
    if not folder.is_dir():
        return False
    names = _names(folder)
    return not names or (PROVENANCE in names and names <= _OURS)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - _LITTER

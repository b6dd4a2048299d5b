"""A dataset folder that is there whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from synth.errors import InputError, RunError, is_full
from synth.settings import ConfigName

CARD, PROVENANCE, RECIPE = "README.md", "provenance.json", "recipe.yaml"
_OURS = {"data", *get_args(ConfigName), CARD, PROVENANCE, RECIPE}


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `folder` when the block ends without error.

    Raises:
        InputError: When `folder` cannot be written, or holds anything but a dataset that synth
            exported.
        RunError: When the disk is full.
    """
    place = folder.resolve()
    _check(folder, place)
    part, old = (place.with_name(f"{place.name}.{end}") for end in ("part", "old"))
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        shutil.rmtree(old, ignore_errors=True)
        if place.exists():
            place.rename(old)
        part.rename(place)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if part.is_dir() and is_full(error, part):
            raise RunError(
                f"{folder}: the disk is full; free space, and the same command starts again"
            ) from error
        if isinstance(error, PermissionError | NotADirectoryError | FileExistsError):
            raise InputError(
                f"{folder}: cannot be written ({error.strerror}); name another folder for --to"
            ) from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check(folder: Path, place: Path) -> None:
    if place.exists() and not is_ours(place):
        raise InputError(
            f"{folder}: exists and is no dataset of synth; name another folder for --to"
        )
    here = Path.cwd()
    if place == here or place in here.parents:
        raise InputError(f"{folder}: is where you are; name a folder in it for --to")


def files_of(folder: Path) -> dict[str, Path]:
    """Path in the dataset -> file, of all that a dataset folder holds."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in files}


def folders() -> tuple[str, ...]:
    """The folders that a dataset's rows are in."""
    return tuple(f"{name}/" for name in sorted(_OURS - {CARD, PROVENANCE, RECIPE, "messages"}))


def is_ours(folder: Path) -> bool:
    """Whether the folder is empty or holds a dataset of synth and nothing else."""
    if not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir()}
    return not names or (PROVENANCE in names and names <= _OURS)

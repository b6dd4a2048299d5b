"""Locks between processes, also of several machines on one file system; they end with their holder.

They are `flock`s. Over NFS Linux turns them into locks on byte ranges, for which a file must be
open for reading to be shared, and for writing to be held alone: it is opened for both.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from synth.errors import RunError


@contextmanager
def exclusive(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds the file alone.

    Args:
        path: The file; it is made, and stays.
        wait: Whether to wait while somebody else holds it.

    Raises:
        RunError: When somebody else holds it, or its file system has no locks.
    """
    with path.open("a+", encoding="utf-8") as file:
        if not _held(file, path, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB):
            raise _busy(path, "")
        yield


@contextmanager
def in_company(path: Path, what: str) -> Iterator[None]:
    """Holds the file together with all who are at the same. One at a time may come in.

    Args:
        path: The file; it says what those who hold it are at.
        what: What that is.

    Raises:
        RunError: When somebody holds it alone or is at something else.
    """
    with path.open("a+", encoding="utf-8") as file:
        if _held(file, path, fcntl.LOCK_EX | fcntl.LOCK_NB):
            file.truncate(0)
            file.write(what)
            file.flush()
        if not _held(file, path, fcntl.LOCK_SH | fcntl.LOCK_NB):
            raise _busy(path, "")
        file.seek(0)
        others = file.read()
        if others != what:
            raise _busy(path, f", on {others}")
        yield


def _held(file: IO[str], path: Path, how: int) -> bool:
    """Whether the lock could be had.

    Raises:
        RunError: Where there are no locks.
    """
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    except OSError as error:
        raise RunError(
            f"{path}: cannot be locked ({error.strerror}); mount its file system with locks, or put"
            " --run elsewhere"
        ) from error
    return True


def _busy(path: Path, more: str) -> RunError:
    return RunError(
        f"{path.parent}: another synth is at work here{more}; wait or name another --run"
    )

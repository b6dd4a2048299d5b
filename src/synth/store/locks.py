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


@contextmanager
def chief(path: Path, name: str) -> Iterator[None]:
    """Waits until nobody works for a chief of before, and becomes the one that is worked for.

    Args:
        path: The file that those hold who work for the one it names.
        name: Whom they will work for from now on.
    """
    with exclusive(path, wait=True):
        path.write_text(name, encoding="utf-8")
    yield


@contextmanager
def working_for(path: Path, name: str) -> Iterator[None]:
    """Holds the file together with all who work for that chief.

    Raises:
        RunError: When there is another now.
    """
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH)
        except OSError as error:
            raise _no_locks(path, error) from error
        file.seek(0)
        if file.read() != name:
            raise RunError(f"{path.parent}: the command that this was work for is no more")
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
        raise _no_locks(path, error) from error
    return True


def _no_locks(path: Path, error: OSError) -> RunError:
    return RunError(
        f"{path}: cannot be locked ({error.strerror}); mount its file system with locks, or put"
        " --run elsewhere"
    )


def _busy(path: Path, more: str) -> RunError:
    return RunError(
        f"{path.parent}: another synth is at work here{more}; wait or name another --run"
    )

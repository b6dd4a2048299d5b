"""What people said of rows: marks, each a line of `reviews.jsonl`, appended and on disk at once.

Several processes may append at the same time. A line that a kill left half written, which only the
last one can be, counts as not written.
"""

import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from synth.errors import InputError, RunError, is_full
from synth.store.run import Run

VERDICTS = ("good", "bad", "")
"""What a mark says; the empty one takes back what was said before."""
MOST_CHARS = 2000
"""Of a comment."""

_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody said of a generated row.

    Attributes:
        candidate: Id of the row: of its segment, its sample and its provenance, so that a mark does
            not hold for another generation (see `candidate_ids`).
        segment_id: Of the row.
        sample: Of the row.
        verdict: One of `VERDICTS`.
        comment: Why.
        time: When, UTC (ISO 8601); empty until the mark is kept.
    """

    candidate: str
    segment_id: str
    sample: int
    verdict: str
    comment: str = ""
    time: str = ""


def add_mark(run: Run, mark: Mark) -> Mark:
    """Appends a mark; when this returns, it is on disk.

    Returns:
        The mark as kept, with its time.

    Raises:
        InputError: For a mark that cannot be kept: an unknown verdict, too long a comment, or what
            is no id.
        RunError: When the disk is full, or nobody may write there.
    """
    wrong = _wrong(mark)
    if wrong:
        raise InputError(f"mark of {str(mark.candidate)[:40]!r}: {wrong}; mark it again")
    kept = replace(mark, time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    line = json.dumps(asdict(kept), ensure_ascii=False).encode() + b"\n"
    run.folder.mkdir(parents=True, exist_ok=True)
    with _locked(run.reviews) as file:
        line = _mended(file) + line
        size = os.fstat(file).st_size
        try:
            if os.write(file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        except OSError as error:
            os.ftruncate(file, size)
            if not is_full(error, run.folder):
                raise _unusable(run.reviews, error) from error
            raise RunError(
                f"{run.reviews}: the disk is full; free space, and mark the row again"
            ) from error
    return kept


def read_marks(run: Run) -> dict[str, Mark]:
    """Candidate -> its latest mark; in the order of the file.

    One that was taken back is left out, unless a comment is left of it.

    Raises:
        InputError: For a line that is no mark.
        RunError: For a file that cannot be read.
    """
    try:
        lines = run.reviews.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unusable(run.reviews, error) from error
    marks: dict[str, Mark] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        mark = _parsed(line)
        if isinstance(mark, Mark):
            marks[mark.candidate] = mark
        elif number < len(lines):
            raise InputError(f"{run.reviews}:{number}: {mark}; correct or delete the line")
    return {name: mark for name, mark in marks.items() if mark.verdict or mark.comment}


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A descriptor of the file that appends; nobody else has one meanwhile."""
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _unusable(path: Path, error: OSError) -> RunError:
    return RunError(f"{path}: cannot be read and written: {error.strerror}; see to its permissions")


def _mended(file: int) -> bytes:
    """What is to stand before the next line; a last line that is half written is taken away."""
    size = os.fstat(file).st_size
    if size == 0 or os.pread(file, 1, size - 1) == b"\n":
        return b""
    last = os.pread(file, size, 0).rpartition(b"\n")[2]
    if isinstance(_parsed(last), Mark):  # only its end is missing
        return b"\n"
    os.ftruncate(file, size - len(last))
    return b""


def _parsed(line: bytes) -> Mark | str:
    """The mark of a line, or what is wrong with it."""
    try:
        mark = Mark(**json.loads(line))
    except (ValueError, TypeError):
        return "not a mark"
    return _wrong(mark) or mark


def _wrong(mark: Mark) -> str:
    """What is wrong with the mark; empty where it can be kept."""
    for name in ("candidate", "segment_id"):
        value = getattr(mark, name)
        if not isinstance(value, str) or not _ID.fullmatch(value):
            return f"{name} is no id"
    if type(mark.sample) is not int or mark.sample < 0:
        return "sample is no number"
    if mark.verdict not in VERDICTS:
        return f"verdict {str(mark.verdict)[:40]!r} is none of {', '.join(map(repr, VERDICTS))}"
    if not isinstance(mark.comment, str) or not isinstance(mark.time, str):
        return "comment or time is no text"
    if len(mark.comment) > MOST_CHARS:
        return f"comment has {len(mark.comment)} characters, at most {MOST_CHARS} can be kept"
    if any("\ud800" <= character <= "\udfff" for character in mark.comment + mark.time):
        return "comment has half a character (a lone surrogate)"
    return ""

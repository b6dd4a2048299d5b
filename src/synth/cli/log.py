"""What libraries write while a command works -> a file; its last lines are shown on a failure."""

import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TextIO

import typer

from synth.cli.voice import lent, remark, safe
from synth.errors import EndpointError, ModelError, SynthError, TrainingError

_SHOWN = 15  # lines of a log
_READ = 1 << 16  # bytes of a log in which its last lines are looked for
_LONGEST = 300  # characters of a line
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Log:
    """While it is open, stdout and stderr are a file, for child processes and C libraries too.

    What synth says goes where it went (see `voice`). When a model, a training or synth itself
    fails, the last lines of the command's part are shown; a user's mistake needs none, and a
    server's failure none from here.
    """

    def __init__(self, path: Path, command: str) -> None:
        self._path = path
        self._command = command
        self._begins = 0
        self._open = ExitStack()

    def __enter__(self) -> "Log":
        """Adds a line that says when and what to the file, and takes the streams."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        # Never closed: libraries' handlers keep it, and may write until the process ends.
        number = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        file = os.fdopen(
            number, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False
        )
        with ExitStack() as stack:
            file.write(f"=== {now} synth {self._command}\n")
            self._begins = file.tell()
            stack.enter_context(_taken(file))
            stack.enter_context(_listening(file))
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives the streams back, and shows how the log ends if that may tell why it failed."""
        self._open.close()
        lines = self._last_lines() if _is_failure(error) else []
        if lines:
            shown = [f"  | {safe(line)}" for line in lines]
            remark("\n".join([*shown, f"  the whole log: {self._path}"]))

    def _last_lines(self) -> list[str]:
        """How the command's part of the file ends; of a line that was drawn over, what stayed."""
        with self._path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self._begins, end - _READ))
            text = file.read().decode("utf-8", "replace")
        lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
        plain = (_ESCAPES.sub("", line).rstrip()[:_LONGEST] for line in lines)
        return [line for line in plain if line][-_SHOWN:]


def _is_failure(error: BaseException | None) -> bool:
    """Whether it is one that no user can mend without knowing more."""
    if not isinstance(error, Exception) or isinstance(error, BrokenPipeError):
        return False
    if isinstance(error, SynthError):
        here = not isinstance(error, EndpointError)
        return here and isinstance(error, ModelError | TrainingError)
    return not isinstance(error, typer.Exit | typer.Abort | typer.BadParameter)


@contextmanager
def _taken(file: TextIO) -> Iterator[None]:
    """Descriptors 1 and 2, and what Python calls by their names, are the file for a while."""
    streams = sys.stdout, sys.stderr
    for stream in streams:
        stream.flush()
    saved = os.dup(1), os.dup(2)
    with ExitStack() as stack:
        lent.out, lent.err = (stack.enter_context(_kept(stream)) for stream in streams)
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            sys.stdout = sys.stderr = file
            yield
        finally:
            for stream in streams:  # whoever kept them wrote to the log
                stream.flush()
            sys.stdout, sys.stderr = streams
            for number, descriptor in enumerate(saved, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)
            lent.out = lent.err = None


@contextmanager
def _kept(stream: TextIO) -> Iterator[TextIO]:
    """A stream to where this one goes now; itself where it is none of the process's own."""
    try:
        number = stream.fileno()
    except (OSError, AttributeError):
        number = -1
    if number not in (1, 2):
        yield stream
        return
    copy = os.dup(number)  # not inherited by child processes
    with os.fdopen(copy, "w", encoding=stream.encoding, errors=stream.errors, buffering=1) as kept:
        yield kept


@contextmanager
def _listening(file: TextIO) -> Iterator[None]:
    """What synth's own modules log goes to the file as well."""
    logger = logging.getLogger("synth")
    handler, level = logging.StreamHandler(file), logger.level
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)

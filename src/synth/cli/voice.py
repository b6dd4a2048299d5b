"""What synth itself says: results to stdout, the rest to stderr, even while a log has both.

A command that lends stdout and stderr to a log (see `log`) would lose what is written to
`sys.stdout`, as libraries do. So nothing in this folder prints but through this module.
"""

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import typer

if TYPE_CHECKING:
    from rich.console import Console

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_WIDE = 120  # columns of a table that goes to no terminal


@dataclass(slots=True)
class Lent:
    """The streams that synth keeps for itself while a log has stdout and stderr."""

    out: TextIO | None = None
    err: TextIO | None = None


lent = Lent()
"""Of this process, as file descriptors are."""


def stdout() -> TextIO:
    """Where results go."""
    return lent.out or sys.stdout


def stderr() -> TextIO:
    """Where progress and errors go."""
    return lent.err or sys.stderr


def say(text: str) -> None:
    """A line of a result."""
    typer.echo(text, file=stdout())


def remark(text: str) -> None:
    """A line beside the results: progress, an error."""
    typer.echo(text, file=stderr())


def safe(text: str) -> str:
    """The text without characters that command a terminal or turn its direction."""
    return _CONTROL.sub("\ufffd", text)


def console(stream: TextIO) -> "Console":
    """Rich's console on that stream; where it is no terminal no code is written, whatever is set.

    The environment decides on colours (NO_COLOR, TERM).
    """
    from rich.console import Console

    if not stream.isatty():
        return Console(file=stream, force_terminal=False, width=_WIDE)
    width, height = size(stream)
    return Console(file=stream, width=width, height=height)


def size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of the terminal behind a stream; rich would ask stdout, which a log has."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except OSError:
        columns, lines = 0, 0
    told = os.environ.get("COLUMNS", "")
    return int(told) if told.isdigit() and int(told) else columns or 80, lines or 24

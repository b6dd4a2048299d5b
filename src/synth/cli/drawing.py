"""Progress, to stderr: bars on a terminal, plain lines elsewhere."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from synth.records import Listener, Progress

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_PLAIN_EVERY = 5.0  # seconds between two lines of progress without a terminal


def safe(text: str) -> str:
    """The text without characters that command a terminal or turn its direction."""
    return _CONTROL.sub("\ufffd", text)


@contextmanager
def drawing(quiet: bool) -> Iterator[tuple["Listener", Callable[[], None]]]:
    """A listener that draws bars on a terminal and lines elsewhere, and what wipes the bars."""
    if quiet:
        yield lambda _: None, lambda: None
        return
    if not sys.stderr.isatty():
        yield _plain_listener(), lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.fields[stage]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    bars = Bars(*columns, console=Console(stderr=True), transient=True)
    tasks: dict[str, Any] = {}

    def listen(progress: "Progress") -> None:
        fields: dict[str, Any] = {
            "stage": progress.stage,
            "unit": progress.unit,
            "note": safe(progress.note),
        }
        if progress.stage not in tasks:
            bars.start()
            tasks[progress.stage] = bars.add_task("", total=None, **fields)
        total = progress.total or None
        bars.update(tasks[progress.stage], completed=progress.done, total=total, **fields)

    def wipe() -> None:
        for task in tasks.values():
            bars.remove_task(task)
        tasks.clear()
        bars.stop()

    try:
        yield listen, wipe
    finally:
        wipe()


def _plain_listener() -> "Listener":
    last = {"": 0.0}

    def listen(progress: "Progress") -> None:
        now = time.monotonic()
        ends = progress.done == progress.total > 0
        if progress.stage in last and now - last[progress.stage] < _PLAIN_EVERY and not ends:
            return
        last[progress.stage] = now
        amount = f" {progress.done}/{progress.total} {progress.unit}s" if progress.total else ""
        note = f" ({safe(progress.note)})" if progress.note else ""
        typer.echo(f"{progress.stage}:{amount}{note}", err=True)

    return listen

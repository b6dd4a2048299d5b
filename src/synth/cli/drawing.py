"""Progress, to stderr: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from synth.cli import voice
from synth.cli.pace import Pace, outcomes_told, pace_told
from synth.cli.voice import remark, safe

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from synth.records import Listener, Progress

_PLAIN_EVERY = 5.0  # seconds between two lines of progress without a terminal
_BAR = 40  # columns of a bar, at most
_REFRESHES = 8  # a second


@contextmanager
def drawing(quiet: bool) -> Iterator[tuple["Listener", Callable[[], None]]]:
    """A listener that draws a bar on a terminal and lines elsewhere, and what wipes the bar."""
    if quiet:
        yield lambda _: None, lambda: None
        return
    console = voice.console(voice.stderr()) if voice.stderr().isatty() else None
    if console is None or not console.is_interactive:  # as where TERM is dumb
        yield _Lines().listen, lambda: None
        return
    bar = _Bar(console)
    try:
        yield bar.listen, bar.wipe
    finally:
        bar.wipe()


class _Bar:
    """Two lines that are drawn over: the bar of the stage at work, and what came of it so far."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._live: Live | None = None
        self._now: tuple[Progress, Pace] | None = None

    def listen(self, progress: "Progress") -> None:
        """Shows how far a stage is."""
        now = time.monotonic()
        new = self._now is None or self._now[0].stage != progress.stage
        pace = Pace(now) if self._now is None or new else self._now[1]
        pace.hear(progress, now)
        self._now = progress, pace
        if self._live is None:
            self._live = self._started()

    def wipe(self) -> None:
        """Takes the bar away."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
        self._now = None

    def _started(self) -> "Live":
        from rich.live import Live

        # Where a log has what libraries print, rich must not bring it here.
        redirect = voice.lent.err is None
        live = Live(
            get_renderable=self._drawn,
            console=self._console,
            transient=True,
            refresh_per_second=_REFRESHES,
            redirect_stdout=redirect,
            redirect_stderr=redirect,
        )
        live.start(refresh=True)
        return live

    def _drawn(self) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        if self._now is None:
            return ""
        (progress, pace), now = self._now, time.monotonic()
        self._console.size = voice.size(voice.stderr())  # a window may be made larger
        told = ", ".join(pace_told(progress, pace, now))
        bar = ProgressBar(
            total=progress.total or None,
            completed=progress.done,
            pulse=not progress.total,
            animation_time=now,
            width=max(4, min(_BAR, self._console.width - len(progress.stage) - len(told) - 4)),
        )
        line = Table.grid(padding=(0, 1))
        line.add_row(progress.stage, bar, Text(told, no_wrap=True, overflow="ellipsis"))
        below = Text(f"  {safe(outcomes_told(progress))}", no_wrap=True, overflow="ellipsis")
        return Group(line, below)


class _Lines:
    """A line of each stage now and then: at its first report, every few seconds, at its last."""

    def __init__(self) -> None:
        self._paces: dict[str, Pace] = {}
        self._last: dict[str, tuple[float, str, bool]] = {}

    def listen(self, progress: "Progress") -> None:
        """Tells how far a stage is, unless it was told just now."""
        now = time.monotonic()
        pace = self._paces.setdefault(progress.stage, Pace(now))
        pace.hear(progress, now)
        if not self._is_due(progress, now):
            return
        self._last[progress.stage] = now, progress.note, _ends(progress)
        amount, outcomes = ", ".join(pace_told(progress, pace, now)), safe(outcomes_told(progress))
        told = f"{amount} ({outcomes})" if amount and outcomes else amount or outcomes
        remark(f"{progress.stage}: {told}")

    def _is_due(self, progress: "Progress", now: float) -> bool:
        if progress.stage not in self._last:
            return True
        before, note, ended = self._last[progress.stage]
        waits = progress.done <= progress.found  # loading, as a rule
        new = progress.note != note and (waits or _ends(progress))
        return new or _ends(progress) > ended or now - before >= _PLAIN_EVERY


def _ends(progress: "Progress") -> bool:
    return progress.done == progress.total > 0

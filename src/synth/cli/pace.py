"""Progress as it is heard -> how fast a stage is, and when it will be done."""

import datetime
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synth.records import Progress

_WINDOW = 60.0  # seconds over which the rate is taken
_FEWEST = 8  # reports over which it is taken however long they took


@dataclass(frozen=True, slots=True)
class Sample:
    """What was done at a time (`time.monotonic`), without what was found done."""

    time: float
    done: int


class Pace:
    """The pace of one stage: of what it does itself, not of what it found done."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._samples: deque[Sample] = deque()

    def hear(self, progress: "Progress", now: float) -> None:
        """One report more; a count that falls begins another part of the stage."""
        sample = Sample(now, progress.done - progress.found)
        if self._samples and (sample.done <= 0 or sample.done < self._samples[-1].done):
            self._samples.clear()
        self._samples.append(sample)
        while len(self._samples) > _FEWEST and now - self._samples[0].time > _WINDOW:
            self._samples.popleft()

    def elapsed(self, now: float) -> float:
        """Seconds since the stage began."""
        return now - self._began

    def rate(self) -> float | None:
        """Units per second, lately; None where nobody knows yet."""
        if not self._samples:
            return None
        first, last = self._samples[0], self._samples[-1]
        if last.done <= first.done or last.time <= first.time:
            return None
        return (last.done - first.done) / (last.time - first.time)

    def left(self, progress: "Progress", now: float) -> float | None:
        """Seconds until all is done, at this rate; None where nobody knows."""
        rate = self.rate()
        if rate is None or progress.done >= progress.total:
            return None
        due = self._samples[-1].time + (progress.total - progress.done) / rate
        return max(0.0, due - now)


def duration(seconds: float) -> str:
    """As `1:02:03`."""
    return str(datetime.timedelta(seconds=round(seconds)))


def pace_told(progress: "Progress", pace: Pace, now: float) -> list[str]:
    """How much, how fast, since when and for how long still: the parts that are known."""
    parts = []
    if progress.total:
        parts.append(f"{progress.done:,}/{progress.total:,} {progress.unit}s")
    elif progress.done:
        parts.append(f"{progress.done:,} {progress.unit}s")
    rate, left = pace.rate(), pace.left(progress, now)
    if rate is not None:
        parts.append(f"{_figure(rate)}/s")
    if parts:
        parts.append(duration(pace.elapsed(now)))
    if left is not None:
        parts.append(f"ETA {duration(left)}")
    return parts


def outcomes_told(progress: "Progress") -> str:
    """Counts by outcome, and the note."""
    counts = ", ".join(f"{count:,} {name}" for name, count in progress.counts.items() if count)
    return "; ".join(part for part in (counts, progress.note) if part)


def _figure(rate: float) -> str:
    if rate >= 100:
        return f"{rate:,.0f}"
    return f"{rate:.1f}" if rate >= 1 else f"{rate:.2g}"

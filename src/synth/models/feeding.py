"""A stream of items -> their results as they finish, worked on by an event loop in a thread.

The caller stays synchronous: its own thread reads the items, so whatever they come from needs no
lock; the loop's thread does nothing but the work.
"""

import asyncio
import concurrent.futures
import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

from synth.errors import ModelError

T = TypeVar("T")
R = TypeVar("R")

_BATCH = 32  # items that are handed to the loop at once: each waking of it costs a system call
_GRACE = 10.0  # seconds that cancelled work, or a closing loop, has to end
_CLOSED = "the engine was closed at work; run the stage again"


class LoopThread:
    """An event loop that runs in a daemon thread until `close`."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, name: str) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name=name, daemon=True
        )
        self._thread.start()
        self._ready.wait()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """What the coroutine returns or raises, run on the loop; interrupting cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """Cancels what is under way and ends loop and thread; a second time does nothing."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_GRACE)


def never() -> float:
    """The sign of life of what gives none but its results."""
    return -math.inf


def feed(
    items: Iterable[T],
    work: Callable[[T], Coroutine[Any, Any, R]],
    width: int,
    loop: asyncio.AbstractEventLoop,
    stall_seconds: float,
    hung: ModelError,
    alive: Callable[[], float] = never,
) -> Generator[R, None, None]:
    """Results of `work` as they finish, in any order, with at most `width` items under way.

    Items are read in the caller's thread, as far as there is room: the place of a finished item is
    filled before its result is yielded, so at most twice `width` items are read and not yielded.
    However the generator ends (closed, interrupted, failed), what is under way is cancelled and has
    ended before it returns.

    Args:
        items: What to work on.
        work: Turns an item into its result, on the loop.
        width: Items under way at once.
        loop: A loop that runs in another thread (see `LoopThread`).
        stall_seconds: Nothing finishing for so long is hanging.
        hung: What to raise then.
        alive: When the engine last gave a sign of life, in seconds of `time.monotonic`; a time to
            come is a promise not to be awaited before.

    Raises:
        ModelError: When nothing finishes for `stall_seconds`, or the loop is closed meanwhile.
        Exception: Whatever `work` or the items raise.
    """
    crew = _Crew(work, loop)
    source = iter(items)
    try:
        under_way = crew.start(source, width)
        while under_way:
            finished = crew.finished(stall_seconds, hung, alive)
            under_way += crew.start(source, len(finished)) - len(finished)
            for task in finished:
                try:
                    result = task.result()
                except asyncio.CancelledError:
                    raise ModelError(_CLOSED) from None
                yield result
    finally:
        crew.end()


class _Crew(Generic[T, R]):
    """The tasks under way; both threads use it, each its own part."""

    def __init__(
        self, work: Callable[[T], Coroutine[Any, Any, R]], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._work = work
        self._loop = loop
        self._tasks: set[asyncio.Task[R]] = set()  # touched by the loop's thread alone
        self._done: queue.SimpleQueue[asyncio.Task[R]] = queue.SimpleQueue()

    def start(self, source: Iterator[T], room: int) -> int:
        """Starts the next `room` items, as many as there are; how many that was."""
        started = 0
        while started < room:
            batch = list(islice(source, min(_BATCH, room - started)))
            if not batch:
                break
            try:
                self._loop.call_soon_threadsafe(self._start, batch)
            except RuntimeError:  # the loop is closed
                raise ModelError(_CLOSED) from None
            started += len(batch)
        return started

    def _start(self, batch: list[T]) -> None:
        for item in batch:
            task = self._loop.create_task(self._work(item))
            self._tasks.add(task)
            task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[R]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as seen, should nobody ask for it any more
        self._done.put(task)

    def finished(
        self, stall_seconds: float, hung: ModelError, alive: Callable[[], float]
    ) -> list[asyncio.Task[R]]:
        """At least one finished task, and whatever else has finished."""
        tasks = [self._first(stall_seconds, hung, alive)]
        with contextlib.suppress(queue.Empty):
            while True:
                tasks.append(self._done.get_nowait())
        return tasks

    def _first(
        self, stall_seconds: float, hung: ModelError, alive: Callable[[], float]
    ) -> asyncio.Task[R]:
        deadline = time.monotonic() + stall_seconds
        while True:
            wait = min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
            try:
                return self._done.get(timeout=wait)
            except queue.Empty:
                later = alive() + stall_seconds
                if later <= deadline:
                    raise hung from None
                deadline = later

    def end(self) -> None:
        """Cancels what is under way and waits for it to end."""
        if self._loop.is_closed():
            return
        ending = asyncio.run_coroutine_threadsafe(self._cancel(), self._loop)
        with contextlib.suppress(concurrent.futures.TimeoutError):  # a loop that is blocked
            ending.result(2 * _GRACE)

    async def _cancel(self) -> None:
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE)

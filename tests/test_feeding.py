"""Feeding an event loop: every result once, never too many at a time, nothing left behind."""

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from itertools import count

import pytest

from synth.errors import ModelError
from synth.models.feeding import LoopThread, feed

LONG = 60.0  # seconds, far beyond any test
HUNG = ModelError("it hangs")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    before = set(threading.enumerate())
    thread = LoopThread("test-loop")
    yield thread.loop
    thread.close()
    assert set(threading.enumerate()) <= before


class Gate:
    """Work that waits until it is let through, and remembers who came, stayed and was sent home."""

    def __init__(self) -> None:
        self.inside: set[int] = set()
        self.most = 0
        self.cancelled: set[int] = set()
        self.open: set[int] = set()
        self.changed = threading.Condition()

    async def work(self, item: int) -> int:
        self.inside.add(item)
        self.most = max(self.most, len(self.inside))
        try:
            while item not in self.open:
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)  # ending takes a while
            self.cancelled.add(item)
            raise
        self.inside.discard(item)
        return -item


def until(loop: asyncio.AbstractEventLoop) -> None:
    """Waits until the loop has gone round a few times."""
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0.02), loop).result()


def test_every_item_has_one_result(loop: asyncio.AbstractEventLoop) -> None:
    async def work(item: int) -> int:
        await asyncio.sleep(0.001 * (item % 3))
        return item * item

    found = list(feed(range(500), work, 7, loop, LONG, HUNG))
    assert sorted(found) == [i * i for i in range(500)]
    assert found != sorted(found)  # as they finish, not in order
    assert list(feed([], work, 7, loop, LONG, HUNG)) == []


@pytest.mark.parametrize("width", [1, 5, 40])  # 40 is more than one batch
def test_no_more_than_the_width_is_read_or_under_way(
    loop: asyncio.AbstractEventLoop, width: int
) -> None:
    gate, read = Gate(), []
    readers = set()

    def items() -> Iterator[int]:
        for item in count():
            read.append(item)
            readers.add(threading.current_thread())
            yield item

    gate.open.add(0)
    results = feed(items(), gate.work, width, loop, LONG, HUNG)
    assert read == []
    assert next(results) == 0
    until(loop)
    assert read == list(range(width + 1))
    assert gate.inside == set(range(1, width + 1))
    gate.open.update(range(10 * width))
    for _ in range(5 * width):
        next(results)
    results.close()
    assert gate.most == width
    assert len(read) <= 7 * width
    assert readers == {threading.current_thread()}


def test_closing_cancels_what_is_under_way_and_waits_for_its_end(
    loop: asyncio.AbstractEventLoop,
) -> None:
    gate = Gate()
    gate.open.add(0)
    results = feed(range(9), gate.work, 3, loop, LONG, HUNG)
    next(results)
    until(loop)
    results.close()
    assert gate.cancelled == {1, 2, 3}


def test_an_error_of_the_work_reaches_the_caller_and_ends_the_rest(
    loop: asyncio.AbstractEventLoop,
) -> None:
    gate = Gate()

    async def work(item: int) -> int:
        if item == 2:
            await asyncio.sleep(0.01)
            raise ZeroDivisionError
        return await gate.work(item)

    with pytest.raises(ZeroDivisionError):
        list(feed(range(4), work, 4, loop, LONG, HUNG))
    assert gate.cancelled == {0, 1, 3}


def test_an_error_of_the_items_reaches_the_caller_and_ends_the_rest(
    loop: asyncio.AbstractEventLoop,
) -> None:
    gate = Gate()
    gate.open.add(0)

    def items() -> Iterator[int]:
        yield from range(2)
        raise ZeroDivisionError

    results = feed(items(), gate.work, 2, loop, LONG, HUNG)
    with pytest.raises(ZeroDivisionError):
        list(results)
    assert gate.cancelled == {1}


def test_nothing_finishing_for_too_long_is_hanging(loop: asyncio.AbstractEventLoop) -> None:
    gate = Gate()
    gate.open.update({0, 1})
    found = []
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"^it hangs$"):
        for result in feed(range(4), gate.work, 4, loop, 0.2, HUNG):
            found.append(result)
    assert sorted(found) == [-1, 0]
    assert 0.2 <= time.monotonic() - start < 1
    assert gate.cancelled == {2, 3}


def test_a_sign_of_life_puts_hanging_off(loop: asyncio.AbstractEventLoop) -> None:
    gate = Gate()
    start = time.monotonic()
    with pytest.raises(ModelError):
        list(feed([1], gate.work, 1, loop, 0.1, HUNG, lambda: start + 0.3))
    assert 0.4 <= time.monotonic() - start < 1


def test_a_caller_that_takes_its_time_is_not_hanging(loop: asyncio.AbstractEventLoop) -> None:
    async def work(item: int) -> int:
        return item

    for _ in feed(range(6), work, 2, loop, 0.05, HUNG):
        time.sleep(0.06)


def test_a_loop_closed_at_work_is_an_error() -> None:
    thread, gate = LoopThread("test-loop"), Gate()
    gate.open.add(0)
    results = feed(range(9), gate.work, 2, thread.loop, LONG, HUNG)
    next(results)
    thread.close()
    with pytest.raises(ModelError, match="closed at work"):
        list(results)
    thread.close()
    assert thread.loop.is_closed()


def test_errors_that_nobody_asks_for_are_not_logged(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(item: int) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(feed(range(4), work, 4, loop, LONG, HUNG))
    gc.collect()
    assert caplog.records == []


def test_results_are_not_kept(loop: asyncio.AbstractEventLoop) -> None:
    class Result:
        pass

    alive: weakref.WeakSet[Result] = weakref.WeakSet()

    async def work(item: int) -> Result:
        result = Result()
        alive.add(result)
        return result

    results = feed(range(200), work, 4, loop, LONG, HUNG)
    assert max(len(alive) for _ in results) <= 12


INTERRUPTED = """
import asyncio, os, signal, sys, threading
from itertools import count
from synth.models.feeding import LoopThread, feed

ended = []

async def work(item):
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        ended.append(item)
        raise

thread = LoopThread("test-loop")
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    if sys.argv[1] == "feed":
        list(feed(count(), work, 1, thread.loop, 60, None))
    else:
        thread.run(work(0))
except KeyboardInterrupt:
    thread.close()
    print("interrupted", ended)
"""


@pytest.mark.parametrize("way", ["feed", "run"])
def test_an_interrupt_cancels_what_is_under_way(way: str) -> None:
    # In a process of its own: once one SIGINT came, libraries of other tests swallow the next.
    command = [sys.executable, "-c", INTERRUPTED, way]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "interrupted [0]\n"


def test_run_returns_raises_and_leaves_no_thread() -> None:
    async def half(number: int) -> int:
        await asyncio.sleep(0)
        return 10 // number

    before = set(threading.enumerate())
    thread = LoopThread("test-loop")
    assert thread.run(half(2)) == 5
    with pytest.raises(ZeroDivisionError):
        thread.run(half(0))
    thread.close()
    assert set(threading.enumerate()) == before


def test_feeding_costs_little(loop: asyncio.AbstractEventLoop) -> None:
    async def work(item: int) -> int:
        await asyncio.sleep(0)
        return item

    start = time.process_time()
    assert sum(1 for _ in feed(range(20_000), work, 256, loop, LONG, HUNG)) == 20_000
    assert (time.process_time() - start) / 20_000 < 100e-6  # some 7 microseconds when idle

"""A function over many blocks, a few at a time: in order, and never holding them all."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREADS = 2
"""Blocks worked on at once; polars has threads of its own for what it does."""


def ahead(function: Callable[[T], R], blocks: Iterable[T]) -> Iterator[R]:
    """What the function makes of each block, in their order."""
    with ThreadPoolExecutor(THREADS) as threads:
        under_way: deque[Future[R]] = deque()
        for block in blocks:
            under_way.append(threads.submit(function, block))
            if len(under_way) > THREADS:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

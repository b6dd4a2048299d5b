"""Loops over arrays -> the same loops, compiled where there is enough to do.

Compiling takes seconds, so few rows are worked through by the interpreter: one source, one result.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Generic, ParamSpec, TypeVar

import numpy as np

COMPILE_FROM = 20_000
"""Rows from which a run compiles its loops (numba)."""

P = ParamSpec("P")
R = TypeVar("R")


class Kernel(Generic[P, R]):
    """A loop over numpy arrays, without Python objects and calls of other kernels.

    Unsigned arithmetic wraps around in both ways of running it. Compiled code lets go of the
    interpreter, so threads run it side by side; numba keeps it on disk for the next process.
    """

    def __init__(self, loop: Callable[P, R]) -> None:
        self._loop = loop

    @cached_property
    def _compiled(self) -> Callable[P, R]:
        from numba import njit

        compiled: Callable[P, R] = njit(cache=True, nogil=True, error_model="numpy")(self._loop)
        return compiled

    def way(self, compiled: bool) -> Callable[P, R]:
        """The loop, compiled or as it is written."""
        return self._compiled if compiled else self._interpreted

    def _interpreted(self, *args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(over="ignore"):
            return self._loop(*args, **kwargs)


def kernel(loop: Callable[P, R]) -> Kernel[P, R]:
    """Makes a kernel of a function."""
    return Kernel(loop)

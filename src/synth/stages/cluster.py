"""A recipe's `ray` section -> a cluster to work on, and how many engines it has room for."""

import logging
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from synth import errors
from synth.errors import ModelError, RunError, SynthError
from synth.recipe import Recipe
from synth.settings import Ray

_AHEAD = 4  # tasks asked for at once, for each CPU
_TASK_CPUS = 1  # what Ray Data takes for a task that reads
_Out = TypeVar("_Out")


@dataclass(frozen=True, slots=True)
class Fleet:
    """Engines: at least, at most, and what each takes of a node."""

    least: int
    most: int
    cpus: float
    gpus: float


def fleet_of(recipe: Recipe, nodes: Sequence[Mapping[str, float]]) -> Fleet:
    """How many engines the nodes have room for, next to a task that reads.

    Ray Data waits without a word for a CPU that engines never give back. So however they spread,
    some node must keep a whole one.

    Args:
        recipe: What engines there are to be.
        nodes: `CPU` and `GPU` of each node.

    Raises:
        RunError: When there is not even room for `ray.min_replicas`.
    """
    settings = recipe.ray
    cpus, gpus = settings.cpus, _gpus(recipe, nodes)
    room = spoilt = 0  # engines that fit; that take the last whole CPU of every node, at least
    for node in nodes:
        fit = math.floor(node.get("CPU", 0) / cpus + 1e-9)
        if gpus:
            fit = min(fit, math.floor(node.get("GPU", 0) / gpus + 1e-9))
        room += fit
        free = node.get("CPU", 0) - _TASK_CPUS
        if free >= 0:
            takes = math.floor(free / cpus + 1e-9) + 1
            spoilt += takes if takes <= fit else fit + 1
    most = min(settings.max_replicas, room, spoilt - 1)
    if most < settings.min_replicas:
        here = " and ".join(
            f"{sum(node.get(kind, 0) for node in nodes):g} {kind}" for kind in ("CPU", "GPU")
        )
        raise RunError(
            f"ray: engines that there is room for: {max(0, most)} of {settings.min_replicas}; each"
            f" takes {cpus:g} CPU and {gpus:g} GPU, reading takes {_TASK_CPUS} CPU, and the cluster"
            f" has {here} (nodes: {len(nodes)});"
            " change ray.min_replicas, ray.cpus or ray.gpus, or add nodes"
        )
    return Fleet(settings.min_replicas, most, cpus, gpus)


def _gpus(recipe: Recipe, nodes: Sequence[Mapping[str, float]]) -> float:
    """GPUs of an engine.

    Raises:
        RunError: When they are fewer than its parallelism takes.
    """
    engine, given = recipe.generate, recipe.ray.gpus
    if engine.engine == "endpoint":
        return given or 0.0
    parallel = 1
    if engine.engine == "vllm":
        for axis in ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"):
            parallel *= int(engine.vllm.get(axis, 1))
    if given is None:
        return float(parallel) if any(node.get("GPU", 0) for node in nodes) else 0.0
    if given and given < parallel > 1:
        raise RunError(
            f"ray.gpus: {given:g} GPUs are too few for an engine that runs on {parallel};"
            " correct it, or generate.vllm"
        )
    return given


@contextmanager
def cluster(settings: Ray) -> Iterator[list[Mapping[str, float]]]:
    """Connects to the cluster, or starts one here; leaves it as it was. Yields its nodes.

    Raises:
        ModelError: Without the library.
        RunError: When the cluster cannot be reached, or fails in the block.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else its C++ writes to the terminal
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ModelError("ray: is not installed; `pip install synth[ray]`") from error
    connected = ray.is_initialized()
    try:
        with _settled():
            if not connected:
                _connect(settings)
            yield [node["Resources"] for node in ray.nodes() if node["Alive"]]
    except (ray.exceptions.RayTaskError, ray.exceptions.UserCodeException):
        raise  # a fault of ours in a worker; those that are told of come as values
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())
        raise RunError(f"ray: {reason:.300}; the same command goes on") from error
    finally:
        if not connected:
            ray.shutdown()


def _connect(settings: Ray) -> None:
    import ray

    # Without an address Ray would join whatever cluster it finds traces of on this machine.
    address = settings.address or os.environ.get("RAY_ADDRESS") or "local"
    more: dict[str, Any] = {}
    if address == "local":
        more = {"num_cpus": settings.local_cpus, "include_dashboard": False}
    try:
        with _no_stderr():
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **more)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"ray: no cluster at {address} ({reason:.200}); check ray.address or RAY_ADDRESS"
        ) from error


@contextmanager
def _no_stderr() -> Iterator[None]:
    """What Ray's C++ says as it starts, past all levels and handlers, goes nowhere."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _settled() -> Iterator[None]:
    """Ray Data as we want it: its logs go to files in its own folder, and to no terminal."""
    from ray.data import DataContext

    context = DataContext.get_current()
    scaling = context.autoscaling_config
    bars, said = context.enable_progress_bars, context.print_on_execution_start
    full = scaling.actor_pool_util_upscaling_threshold
    context.enable_progress_bars = context.print_on_execution_start = False
    # Engines are given one piece at a time; a pool in which all have one is full, and may grow.
    scaling.actor_pool_util_upscaling_threshold = 1.0
    to_terminal = [
        (logger, handler)
        for logger in map(logging.getLogger, ("ray", "ray.data"))
        for handler in logger.handlers
        if isinstance(handler, logging.StreamHandler)
        and not isinstance(handler, logging.FileHandler)
    ]
    for logger, handler in to_terminal:
        logger.removeHandler(handler)
    try:
        yield
    finally:
        context.enable_progress_bars, context.print_on_execution_start = bars, said
        scaling.actor_pool_util_upscaling_threshold = full
        for logger, handler in to_terminal:
            logger.addHandler(handler)


def told(function: Callable[..., _Out], *arguments: object) -> tuple[_Out | None, str, str]:
    """What it returns, or the name and the text of the SynthError that it raised.

    An error that Ray carries comes wrapped in traces of both processes; a value does not.
    """
    try:
        return function(*arguments), "", ""
    except SynthError as error:
        return None, type(error).__name__, str(error)


def raise_told(name: str, text: str) -> None:
    """Raises the error that `told` caught, if it did."""
    if name:
        raise getattr(errors, name)(text)


def in_order(
    function: Callable[..., _Out], calls: Iterable[tuple[object, ...]], nodes: Sequence[Any]
) -> Iterator[_Out]:
    """What the function returns for each of the calls, made as tasks all over the cluster.

    Raises:
        RunError: When no node has a CPU for a task, which would wait without a word.
        SynthError: What a call raised.
    """
    if all(node.get("CPU", 0) < _TASK_CPUS for node in nodes):
        raise RunError("ray: no node has a whole CPU for a task; start the nodes with more")
    import ray

    task = _task()
    ahead = _AHEAD * max(1, round(sum(node.get("CPU", 0) for node in nodes)))
    waiting: deque[Any] = deque()
    for call in calls:
        waiting.append(task.remote(function, *call))
        if len(waiting) > ahead:
            yield _got(ray.get(waiting.popleft()))
    while waiting:
        yield _got(ray.get(waiting.popleft()))


@cache
def _task() -> Any:  # noqa: ANN401
    """`told` as a task; to Ray another one each time it is made."""
    import ray

    return ray.remote(num_cpus=_TASK_CPUS)(told)


def _got(answer: tuple[_Out, str, str]) -> _Out:
    value, name, text = answer
    raise_told(name, text)
    return value

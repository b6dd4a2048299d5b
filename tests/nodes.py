"""Nodes of a Ray cluster, all on this machine, whose processes can be killed."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT


class Nodes:
    """A cluster of a head, where drivers connect, and of nodes that may die.

    Attributes:
        address: Where drivers connect to.
    """

    def __init__(self, **room: float) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(True, head_node_args={"include_dashboard": False, **room})
        self._nodes: list[Any] = [self._cluster.head_node]
        self.address: str = self._cluster.address

    def add(self, **room: float) -> None:
        """One node more."""
        self._nodes.append(self._cluster.add_node(**room))

    def workers(self, node: int) -> dict[int, str]:
        """The processes of a node's workers, and what Ray says that each is at."""
        titles = {pid: _title(pid) for pid in children(self._raylet(node))}
        return {pid: title for pid, title in titles.items() if title.startswith("ray::")}

    def kill(self, node: int) -> None:
        """Kills all processes of a node at once, as when its machine goes down."""
        raylet = self._raylet(node)
        for pid in [raylet, *children(raylet)]:
            kill(pid)
        self._cluster.remove_node(self._nodes.pop(node), allow_graceful=False)

    def close(self) -> None:
        """Ends all nodes."""
        self._cluster.shutdown()

    def _raylet(self, node: int) -> int:
        return int(self._nodes[node].all_processes["raylet"][0].process.pid)


@contextmanager
def nodes(*rooms: dict[str, float]) -> Iterator[Nodes]:
    """A cluster with a node for each, the head first; notices within seconds that one is dead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        patch.setenv("RAY_health_check_period_ms", "500")
        patch.setenv("RAY_worker_niceness", "0")  # else a busy machine hardly lets them begin
        found = Nodes(**rooms[0])
        try:
            for room in rooms[1:]:
                found.add(**room)
            yield found
        finally:
            found.close()


def children(pid: int) -> list[int]:
    """The processes that a process started, and those that they did."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended meanwhile
        parents.setdefault(parent, []).append(int(path.parent.name))
    found, left = [], [pid]
    while left:
        below = parents.get(left.pop(), [])
        found += below
        left += below
    return found


def kill(pid: int) -> bool:
    """Kills a process; says whether there was one."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().strip("\0 ")
    except OSError:
        return ""

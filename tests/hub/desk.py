"""What a test of publishing works with: a Hub and a worker for each mode, shared by its module."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.hub.client import MODES, Mode, Result, Worker, worker
from tests.hub.server import running
from tests.hub.state import CAS_TOKENS, READ_TOKEN, TOKEN, Hub

CARD = b"---\nlicense: mit\n---\n\nRows.\n"
OWNED = ["data/"]


@dataclass
class Desk:
    """A Hub, a worker that knows it, and a repository of this test's own."""

    hub: Hub
    worker: Worker
    repo: str
    seed: str

    def files(self, *changes: str, size: int = 60_000) -> dict[str, bytes]:
        """A dataset that no other test has."""
        rng = random.Random(self.seed + "".join(changes))
        rows = rng.randbytes(size) + b"and text, " * 3000
        return {
            "README.md": CARD,
            "data/train-00000-of-00001.parquet": rows,
            "provenance.json": rng.randbytes(8).hex().encode(),
        }

    def publish(self, files: dict[str, bytes] | None = None, **options: Any) -> Result:
        return self.worker.publish(files or self.files(), self.repo, **{"owned": OWNED, **options})

    @property
    def made(self) -> list[str]:
        """Messages of the commits that were made."""
        return self.hub.repos["dataset", self.repo].made

    def there(self, revision: str = "main") -> dict[str, bytes]:
        found = self.hub.files("dataset", self.repo, revision)
        return {name: data for name, data in found.items() if name != ".gitattributes"}


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Mode, tuple[Hub, Worker]]]:
    with ExitStack() as stack:
        found: dict[Mode, tuple[Hub, Worker]] = {}
        for mode in MODES:
            hub = stack.enter_context(running())
            folder = tmp_path_factory.mktemp(f"hub-{mode}")
            found[mode] = hub, stack.enter_context(worker(hub, folder, mode))
        yield found
        for hub, at_work in found.values():
            said = (at_work.folder.parent / "stderr").read_text()
            assert not any(token in said for token in (TOKEN, READ_TOKEN, *CAS_TOKENS.values()))
            assert hub.leaked == []


@pytest.fixture(params=["lfs", "xet"])
def desk(request: pytest.FixtureRequest, desks: dict[Mode, tuple[Hub, Worker]]) -> Iterator[Desk]:
    hub, at_work = desks[request.param]
    seed = request.node.name
    hub.asked.clear()
    yield Desk(hub, at_work, f"me/t{random.Random(seed).randrange(10**9)}", seed)
    hub.faults.clear()
    hub.part_size, hub.page_size, hub.shared_names = None, 1000, False


def commits(result: Result, desk: Desk) -> list[str]:
    """What was committed by a publication that went well."""
    assert result.error == ""
    assert result.value["commit"] == desk.hub.repos["dataset", desk.repo].head
    return desk.made

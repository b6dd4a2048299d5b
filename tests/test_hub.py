"""Publishing to a Hub on loopback: what arrives, and how each fault ends, in both upload modes."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.hub import READ_TOKEN, TOKEN, Fault, Hub, running
from tests.hub.client import Mode, Result, Worker, worker

CARD = b"---\nlicense: mit\n---\n\nRows.\n"
OWNED = ["data/"]
FOREVER = 999


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
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Hub, Worker]]]:
    modes: tuple[Mode, ...] = ("lfs", "xet")
    with ExitStack() as stack:
        found = {}
        for mode in modes:
            hub = stack.enter_context(running())
            folder = tmp_path_factory.mktemp(f"hub-{mode}")
            found[mode] = hub, stack.enter_context(worker(hub, folder, mode))
        yield found
        for mode in modes:
            stderr = (found[mode][1].folder.parent / "stderr").read_text()
            assert "hf_" not in stderr
            assert found[mode][0].leaked == []


@pytest.fixture(params=["lfs", "xet"])
def desk(request: pytest.FixtureRequest, desks: dict[str, tuple[Hub, Worker]]) -> Iterator[Desk]:
    hub, at_work = desks[request.param]
    seed = request.node.name
    hub.asked.clear()
    yield Desk(hub, at_work, f"me/t{random.Random(seed).randrange(10**9)}", seed)
    hub.faults.clear()
    hub.part_size, hub.page_size, hub.shared_names = None, 1000, False


def only(mode: str) -> pytest.MarkDecorator:
    """For a fault that the other mode cannot have."""
    return pytest.mark.parametrize("desk", [mode], indirect=True)


def commits(result: Result, desk: Desk) -> list[str]:
    """What was committed by a publication that went well."""
    assert result.error == ""
    assert result.value["commit"] == desk.hub.repos["dataset", desk.repo].head
    return desk.made


def test_a_dataset_arrives_whole_in_one_commit_and_only_once(desk: Desk) -> None:
    files = desk.files()
    first = desk.publish(files, message="Add 3 rows")
    assert commits(first, desk) == ["Add 3 rows"]
    assert desk.there() == files
    page = f"{desk.hub.api}/datasets/{desk.repo}"
    assert first.value == {
        "url": page, "commit": first.value["commit"], "changed": True, "private": True
    }  # fmt: skip
    assert desk.hub.repos["dataset", desk.repo].private
    desk.hub.asked.clear()
    again = desk.publish(files)
    assert again.value == {**first.value, "changed": False}
    assert len(desk.made) == 1
    assert desk.hub.count("POST|PUT") == 0


def test_only_what_changed_is_sent_and_what_is_gone_goes(desk: Desk) -> None:
    files = desk.files()
    desk.publish({**files, "data/old.parquet": b"old rows", "notes/by-hand.md": b"mine"})
    desk.hub.sent.clear()
    files = {**files, "provenance.json": b'{"run": 2}'}
    assert commits(desk.publish(files), desk) == ["Add rows"] * 2
    assert desk.there() == {**files, "notes/by-hand.md": b"mine"}
    assert sum(desk.hub.sent.values()) < 5000


def test_a_public_repository_is_asked_for(desk: Desk) -> None:
    assert desk.publish(private=False).value["private"] is False
    assert not desk.hub.repos["dataset", desk.repo].private


def test_a_long_tree_is_read_page_by_page(desk: Desk) -> None:
    desk.hub.page_size = 3
    files = {**desk.files(), **{f"data/{i}.txt": b"%d" % i for i in range(8)}}
    desk.publish(files)
    assert desk.publish(files).value["changed"] is False
    assert desk.hub.count("cursor=") >= 6


def test_a_model_and_a_dataset_have_pages_of_their_own(desk: Desk) -> None:
    desk.publish()
    model = desk.worker.publish({"model.safetensors": b"weights"}, desk.repo, "model")
    assert model.value["url"] == f"{desk.hub.api}/{desk.repo}"
    assert desk.hub.files("model", desk.repo)["model.safetensors"] == b"weights"
    assert len(desk.made) == 1


def test_a_branch_is_made_and_main_stays(desk: Desk) -> None:
    files = desk.files()
    desk.publish(files)
    done = desk.publish({**files, "provenance.json": b"{}"}, branch="next")
    assert done.value["url"].endswith(f"{desk.repo}/tree/next")
    assert desk.there() == files
    assert desk.there("next")["provenance.json"] == b"{}"
    assert (
        desk.publish({**files, "provenance.json": b"{}"}, branch="next").value["changed"] is False
    )


def test_a_pull_request_is_opened_once_and_gone_on_with(desk: Desk) -> None:
    files = desk.files()
    desk.publish(files)
    news = {**files, "provenance.json": b"{}"}
    done = desk.publish(news, pr=True)
    assert done.value["url"].endswith(f"{desk.repo}/discussions/1")
    assert desk.there() == files
    assert desk.there("refs/pr/1") == news
    assert desk.publish(news, pr=True).value == {**done.value, "changed": False}
    more = {**news, "provenance.json": b"[]"}
    assert desk.publish(more, pr=True).value["url"] == done.value["url"]
    assert desk.there("refs/pr/1") == more
    assert len(desk.hub.repos["dataset", desk.repo].pulls) == 1


def test_a_pull_request_goes_to_a_repository_of_others(desk: Desk) -> None:
    desk.repo = desk.repo.replace("me/", "you/")
    desk.hub.make("dataset", desk.repo, private=False)
    files = desk.files()
    assert desk.publish(files, pr=True).value["url"].endswith("/discussions/1")
    assert desk.there("refs/pr/1") == files
    assert "may not write here" in desk.publish(files).error


def test_a_pull_request_that_would_change_nothing_is_not_opened(desk: Desk) -> None:
    desk.publish()
    assert desk.publish(pr=True).value["changed"] is False
    assert desk.hub.repos["dataset", desk.repo].pulls == []


def test_a_tag_marks_the_commit_and_is_never_moved(desk: Desk) -> None:
    files = desk.files()
    done = desk.publish(files, tag="v1")
    refs = desk.hub.repos["dataset", desk.repo].refs
    assert refs["refs/tags/v1"] == done.value["commit"]
    assert desk.publish(files, tag="v1").error == ""
    refused = desk.publish(desk.files("other"), tag="v1")
    assert refused.error == f"{desk.repo}: the tag v1 is taken; choose another one"
    assert desk.there() == files


def test_large_files_go_in_parts(desk: Desk) -> None:
    desk.hub.part_size = 50_000
    files = desk.files(size=140_000)
    assert commits(desk.publish(files), desk) == ["Add rows"]
    assert desk.there() == files
    assert desk.hub.count("PUT /part/") == (4 if desk.worker.mode == "lfs" else 0)


def at_once(match: str, status: int, **options: Any) -> Fault:
    """A fault after which the client itself waits as little as it can."""
    return Fault(match, status, headers={"Retry-After": "0"}, **options)


HTML = {"body": b"<html>Bad gateway</html>", "headers": {"Content-Type": "text/html"}}
LIMITED = {"RateLimit": '"api";r=0;t=7'}

PASSING: list[tuple[Fault, list[float]]] = [
    (Fault("whoami", 429, headers={"Retry-After": "2"}), [2]),
    (Fault("whoami", 503, times=3), [1, 2, 4]),
    (Fault("whoami", how="reset"), [1]),
    (Fault("whoami", 200, **HTML), [1]),
    (Fault("repos/create", 429, headers={"Retry-After": "3"}), [3]),
    (Fault("repos/create", 500), [1]),
    (Fault("repos/create", how="reset"), [1]),
    (Fault("repos/create", how="lost"), [1]),
    (Fault("validate-yaml", 429, headers=LIMITED), [7]),
    (Fault("validate-yaml", 502, **HTML), [1]),
    (Fault("validate-yaml", how="cut"), [1]),
    (Fault("GET /api/datasets/[^/]+/[^/]+$", 503), [1]),
    (Fault("GET /api/datasets/[^/]+/[^/]+$", how="cut"), [1]),
    (at_once("/tree/", 500), []),
    (at_once("/preupload/", 429), []),
    (Fault("/commit/", 500), [1]),
    (Fault("/commit/", 429, headers={"Retry-After": "4"}), [4]),
    (Fault("/commit/", 409), [1]),
    (Fault("/commit/", how="reset"), [1]),
    (Fault("/commit/", how="lost"), [1]),
    (Fault("/commit/", 504, times=4), [1, 2, 4, 8]),
]
PASSING_IN = {
    "lfs": [
        at_once("/objects/batch", 500),
        at_once("/lfs-verify", 500),
        at_once("PUT /put/", 503),
        Fault("PUT /put/", how="reset"),
        Fault("PUT /put/", how="lost"),
    ],
    "xet": [
        at_once("xet-write-token", 500),
        Fault("/v1/xorbs/", 500),
        Fault("/v1/xorbs/", 429, headers={"Retry-After": "2"}),
        Fault("/v1/xorbs/", how="reset"),
        Fault("/v1/xorbs/", how="lost"),
        Fault("/v1/shards", 503),
        Fault("/v1/shards", how="lost"),
    ],
}


def name(fault: Fault) -> str:
    what = str(fault.status) if fault.how == "answer" else fault.how
    times = "" if fault.times == 1 else f"-{'forever' if fault.times == FOREVER else fault.times}"
    return f"{fault.match.strip('/').replace('/', '-')}-{what}{times}"


@pytest.mark.parametrize(
    ("fault", "waits"), PASSING, ids=lambda x: name(x) if isinstance(x, Fault) else ""
)
def test_a_fault_that_passes_ends_in_one_commit(
    desk: Desk, fault: Fault, waits: list[float]
) -> None:
    fault = replace(fault)
    desk.hub.faults.append(fault)
    files = desk.files()
    result = desk.publish(files)
    assert commits(result, desk) == ["Add rows"]
    assert desk.there() == files
    assert fault.times == 0
    assert result.waits == waits
    assert desk.publish(files).value["changed"] is False


@pytest.mark.parametrize(
    ("desk", "fault"),
    [(mode, fault) for mode, faults in PASSING_IN.items() for fault in faults],
    indirect=["desk"],
    ids=lambda x: name(x) if isinstance(x, Fault) else x,
)
def test_the_client_sends_again_what_was_lost_on_the_way(desk: Desk, fault: Fault) -> None:
    fault = replace(fault)
    desk.hub.faults.append(fault)
    files = desk.files()
    assert commits(desk.publish(files), desk) == ["Add rows"]
    assert desk.there() == files
    assert fault.times == 0


REFUSED: list[tuple[Fault, str]] = [
    (Fault("whoami", 401, times=FOREVER), "the Hub does not know your token"),
    (Fault("whoami", 429, headers={"Retry-After": "900"}), "the Hub asks to wait 900 s"),
    (Fault("whoami", 503, times=FOREVER), "cannot be reached"),
    (Fault("repos/create", 402, times=FOREVER), "the Hub refused"),
    (Fault("repos/create", how="reset", times=FOREVER), "cannot be reached"),
    (Fault("validate-yaml", 502, times=FOREVER, **HTML), "cannot be reached"),
    (Fault("/preupload/", 403, times=FOREVER), "your token may not write here"),
    (Fault("/commit/", 503, times=FOREVER), "cannot be reached"),
    (Fault("/commit/", 403, times=FOREVER), "your token may not write here"),
    (Fault("/commit/", 413, times=FOREVER), "the Hub refused"),
]
REFUSED_IN = {
    "lfs": [
        (at_once("/preupload/", 429, times=FOREVER), "cannot be reached"),
        (at_once("PUT /put/", 503, times=FOREVER), "cannot be reached"),
        (Fault("PUT /put/", 403, times=FOREVER), "your token may not write here"),
    ],
    "xet": [
        (Fault("/v1/xorbs/", 503, times=FOREVER), "cannot be reached"),
        (Fault("/v1/xorbs/", 401, times=FOREVER), "the Hub"),
        (Fault("/v1/xorbs/", 403, times=FOREVER), "your token may not write here"),
        (Fault("xet-write-token", 401, times=FOREVER), "the Hub"),
        (Fault("xet-write-token", 404, times=FOREVER), "the Hub"),
        (Fault("/v1/shards", 500, times=FOREVER), "cannot be reached"),
    ],
}


@pytest.mark.parametrize(
    ("desk", "fault", "told"),
    [
        (mode, fault, told)
        for mode in ("lfs", "xet")
        for fault, told in [*REFUSED, *REFUSED_IN[mode]]
    ],
    indirect=["desk"],
    ids=lambda x: name(x) if isinstance(x, Fault) else x if x in ("lfs", "xet") else "",
)
def test_a_fault_that_lasts_is_one_line_and_the_same_call_goes_on(
    desk: Desk, fault: Fault, told: str
) -> None:
    desk.hub.faults.append(replace(fault))
    files = desk.files()
    result = desk.publish(files)
    assert result.value is None
    assert result.error.startswith(f"{desk.repo}: ")
    assert told in result.error
    assert "\n" not in result.error
    print(result.error)
    assert not any(x in result.shown for x in (TOKEN, "xet-token"))
    assert ("dataset", desk.repo) not in desk.hub.repos or desk.made == []
    desk.hub.faults.clear()
    assert commits(desk.publish(files), desk) == ["Add rows"]
    assert desk.there() == files

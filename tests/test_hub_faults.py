"""The whole table of faults, in both upload modes: what each ends in."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.hub import TOKEN, Fault, running
from tests.hub.client import MODES, Mode, worker
from tests.hub.desk import Desk, commits, desk, desks

__all__ = ["desk", "desks"]

FOREVER = 999


def at_once(match: str, status: int, **options: Any) -> Fault:
    """A fault after which the client itself waits as little as it can."""
    return Fault(match, status, headers={"Retry-After": "0"}, **options)


def page(match: str, status: int, times: int = 1) -> Fault:
    """A gateway's page where JSON should be."""
    return Fault(
        match, status, times, headers={"Content-Type": "text/html"}, body=b"<html>no</html>"
    )


LIMITED = {"RateLimit": '"api";r=0;t=7'}

PASSING: list[tuple[Fault, list[float]]] = [
    (Fault("whoami", 429, headers={"Retry-After": "2"}), [2]),
    (Fault("whoami", 503, times=3), [1, 2, 4]),
    (Fault("whoami", how="reset"), [1]),
    (page("whoami", 200), [1]),
    (Fault("repos/create", 429, headers={"Retry-After": "3"}), [3]),
    (Fault("repos/create", 500), [1]),
    (Fault("repos/create", how="reset"), [1]),
    (Fault("repos/create", how="lost"), [1]),
    (Fault("validate-yaml", 429, headers=LIMITED), [7]),
    (page("validate-yaml", 502), [1]),
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
    (Fault("whoami", 503, times=FOREVER), "the Hub fails for now"),
    (Fault("repos/create", 402, times=FOREVER), "the Hub refuses"),
    (Fault("repos/create", how="reset", times=FOREVER), "the Hub fails for now"),
    (page("validate-yaml", 502, FOREVER), "the Hub fails for now"),
    (Fault("/preupload/", 403, times=FOREVER), "your token may not write here"),
    (Fault("/commit/", 503, times=FOREVER), "the Hub fails for now"),
    (Fault("/commit/", 403, times=FOREVER), "your token may not write here"),
    (Fault("/commit/", 413, times=FOREVER), "the Hub refuses"),
]
REFUSED_IN = {
    "lfs": [
        (at_once("/preupload/", 429, times=FOREVER), "the Hub fails for now"),
        (at_once("PUT /put/", 503, times=FOREVER), "the Hub fails for now"),
        (Fault("PUT /put/", 403, times=FOREVER), "your token may not write here"),
    ],
    "xet": [
        (Fault("/v1/xorbs/", 503, times=FOREVER), "the Hub fails for now"),
        (Fault("/v1/xorbs/", 401, times=FOREVER), "the Hub"),
        (Fault("/v1/xorbs/", 403, times=FOREVER), "your token may not write here"),
        (Fault("xet-write-token", 401, times=FOREVER), "the Hub"),
        (Fault("xet-write-token", 404, times=FOREVER), "the Hub"),
        (Fault("/v1/shards", 500, times=FOREVER), "the Hub fails for now"),
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
    assert not any(x in result.shown for x in (TOKEN, "xet-token"))
    assert ("dataset", desk.repo) not in desk.hub.repos or desk.made == []
    desk.hub.faults.clear()
    assert commits(desk.publish(files), desk) == ["Add rows"]
    assert desk.there() == files


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        (Fault("/branch/", 503), {"branch": "next"}),
        (Fault("/branch/", how="lost"), {"branch": "next"}),
        (Fault("/refs", how="cut"), {"branch": "next"}),
        (Fault("/tag/", 500), {"tag": "v1"}),
        (Fault("/tag/", how="lost"), {"tag": "v1"}),
        (Fault("/discussions", 503), {"pr": True}),
        (Fault("/commit/", 503), {"pr": True}),
        (Fault("/commit/", how="lost"), {"pr": True}),
    ],
    ids=lambda x: name(x) if isinstance(x, Fault) else "-".join(x),
)
def test_a_branch_a_tag_or_a_pull_request_is_made_once(
    desk: Desk, fault: Fault, options: dict[str, str | bool]
) -> None:
    fault = replace(fault)
    desk.hub.faults.append(fault)
    files = desk.files()
    result = desk.publish(files, **options)
    assert result.error == ""
    assert fault.times == 0
    repo = desk.hub.repos["dataset", desk.repo]
    assert repo.made == ["Add rows"]
    assert desk.there(result.value["commit"]) == files
    names = {"branch": "refs/heads/next", "tag": "refs/tags/v1", "pr": "refs/pr/1"}
    (expected,) = (names[option] for option in options)
    assert sorted(repo.refs) == sorted({"refs/heads/main", expected})
    assert repo.refs[expected] == result.value["commit"]


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (Fault("GET /datasets/.*/resolve/", how="cut"), [1]),
        (Fault("GET /datasets/.*/resolve/", 503), [1]),
        (Fault("HEAD /datasets/.*/resolve/", how="reset"), [1]),
        (at_once("HEAD /datasets/.*/resolve/", 429), []),
    ],
    ids=lambda x: name(x) if isinstance(x, Fault) else "",
)
def test_a_text_is_read_through_faults_and_never_from_an_older_copy(
    desk: Desk, fault: Fault, waits: list[float]
) -> None:
    repo = desk.hub.make("dataset", desk.repo)
    desk.hub.fill(repo, {"README.md": b"old\n" * 99})
    assert desk.worker.text(desk.repo, "README.md").value == "old\n" * 99
    desk.hub.fill(repo, {"README.md": b"new\n" * 99})
    desk.hub.faults.append(replace(fault))
    result = desk.worker.text(desk.repo, "README.md")
    assert (result.value, result.waits) == ("new\n" * 99, waits)


def test_a_text_that_cannot_be_read_is_not_taken_for_none(desk: Desk) -> None:
    desk.hub.fill(desk.hub.make("dataset", desk.repo), {"README.md": b"mine\n"})
    desk.hub.faults.append(Fault("GET /datasets/.*/resolve/", times=FOREVER))
    result = desk.worker.text(desk.repo, "README.md")
    assert (result.value, result.waits) == (None, [1, 2])
    assert "the Hub fails for now (503 Service Unavailable" in result.error


@pytest.mark.parametrize("mode", MODES)
def test_a_hub_that_is_not_there_is_one_line(mode: Mode, tmp_path: Path) -> None:
    with running() as hub:
        pass
    with worker(hub, tmp_path, mode) as at_work:
        result = at_work.publish({"a.parquet": b"rows"}, "me/gone")
    assert result.waits == [1, 2, 4, 8]
    assert result.error.startswith("me/gone: the Hub fails for now (")

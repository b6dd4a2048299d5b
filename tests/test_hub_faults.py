"""The whole table of faults, in both upload modes: what each ends in."""

import json
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
    assert (result.value["changed"], result.waits) == (True, waits)
    again = 1 if "preupload" in fault.match else 0
    assert desk.hub.count("/preupload/") == 1 + again  # what was sent is not asked about again
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


ALL: list[float] = [1, 2, 4, 8]
REFUSED: list[tuple[Fault, str, list[float]]] = [
    (Fault("whoami", 401, FOREVER), "the Hub does not know your token", []),
    (Fault("whoami", 429, headers={"Retry-After": "900"}), "the Hub asks to wait 900 s", []),
    (Fault("whoami", 503, FOREVER), "the Hub fails for now (503 Service Unavailable", ALL),
    (Fault("repos/create", 402, FOREVER), "the Hub refuses (402 Payment Required", []),
    (Fault("repos/create", 0, FOREVER, "reset"), "the Hub fails for now (", ALL),
    (page("validate-yaml", 502, FOREVER), "the Hub fails for now (502 Bad Gateway", ALL),
    (Fault("/preupload/", 403, FOREVER), "your token may not write here", []),
    (Fault("/commit/", 503, FOREVER), "the Hub fails for now (503", ALL),
    (Fault("/commit/", 403, FOREVER), "your token may not write here", []),
    (Fault("/commit/", 413, FOREVER), "the Hub refuses (413 Request Entity Too Large", []),
]
# An upload is not tried again: the client has done that.
REFUSED_IN: dict[str, list[tuple[Fault, str]]] = {
    "lfs": [
        (at_once("/preupload/", 429, times=FOREVER), "the Hub fails for now (429"),
        (at_once("PUT /put/", 503, times=FOREVER), "the Hub fails for now (503"),
        (Fault("PUT /put/", 403, FOREVER), "your token may not write here"),
    ],
    "xet": [
        (Fault("/v1/xorbs/", 503, FOREVER), "the Hub fails for now (Server error"),
        (Fault("/v1/xorbs/", 0, FOREVER, "reset"), "the Hub fails for now (Network error"),
        (Fault("/v1/xorbs/", 401, FOREVER), "the Hub does not know your token"),
        (Fault("/v1/xorbs/", 403, FOREVER), "your token may not write here"),
        (Fault("xet-write-token", 401, FOREVER), "the Hub does not know your token"),
        (Fault("xet-write-token", 404, FOREVER), "the Hub does not have it"),
        (Fault("/v1/shards", 500, FOREVER), "the Hub fails for now (Server error"),
    ],
}


@pytest.mark.parametrize(
    ("desk", "fault", "told", "waits"),
    [
        (mode, *row)
        for mode in MODES
        for row in [*REFUSED, *((fault, told, []) for fault, told in REFUSED_IN[mode])]
    ],
    indirect=["desk"],
    ids=lambda x: name(x) if isinstance(x, Fault) else x if x in MODES else "",
)
def test_a_fault_that_lasts_is_one_line_and_the_same_call_goes_on(
    desk: Desk, fault: Fault, told: str, waits: list[float]
) -> None:
    desk.hub.faults.append(replace(fault))
    files = desk.files()
    result = desk.publish(files)
    assert (result.value, result.waits) == (None, waits)
    assert result.error.startswith(f"{desk.repo}: {told}")
    assert "\n" not in result.error
    assert not any(x in result.shown for x in (TOKEN, "xet-token"))
    assert ("dataset", desk.repo) not in desk.hub.repos or desk.made == []
    desk.hub.faults.clear()
    assert commits(desk.publish(files), desk) == ["Add rows"]
    assert desk.there() == files


@pytest.mark.parametrize("desk", ["lfs"], indirect=True)
@pytest.mark.parametrize(
    "fault", [at_once("PUT /part/.*/2$", 500), Fault("PUT /part/.*/2$", how="reset")], ids=name
)
def test_only_the_part_that_was_lost_is_sent_again(desk: Desk, fault: Fault) -> None:
    desk.hub.part_size = 50_000
    desk.hub.faults.append(replace(fault))
    files = desk.files(size=140_000)
    assert commits(desk.publish(files), desk) == ["Add rows"]
    assert desk.there() == files
    assert [desk.hub.count(f"PUT /part/.*/{i}$") for i in (1, 2, 3, 4)] == [1, 2, 1, 1]


def test_what_the_hub_says_is_shown_without_tokens_and_signatures(desk: Desk) -> None:
    said = f"no {TOKEN}, no hf_another, see http://s3/x?X-Amz-Signature=abc"
    body = json.dumps({"error": said}).encode()
    desk.hub.faults.append(Fault("/commit/", 413, body=body))
    error = desk.publish().error
    assert "no ***, no ***, see http://s3/x;" in error.replace(")", "")
    assert not any(secret in error for secret in (TOKEN, "hf_another", "abc"))


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        (Fault("/branch/", 503), {"branch": "next"}),
        (Fault("/branch/", how="lost"), {"branch": "next"}),
        (Fault("/refs", how="cut"), {"tag": "v1"}),
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

"""The server of `synth review`: who is answered, what is kept, and that nothing else is served."""

import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from synth.cli import app
from synth.errors import InputError, RunError
from synth.models.local import LocalModels
from synth.report.server import Marks, ReviewServer
from synth.stages.curate import curate
from synth.stages.review import review
from synth.store.reviews import read_marks
from synth.store.run import Run
from tests.test_curate import made, recipe_of, run_of

Asked = tuple[int, bytes]


class Site:
    """A server and what it was asked to keep."""

    def __init__(self, marks: Marks = lambda: [{"candidate": "a"}]) -> None:
        self.kept: list[Mapping[str, Any]] = []
        self.server = ReviewServer("<p>page</p>", marks, self.keep)
        parts = urlsplit(self.server.url)
        self.port = parts.port or 0
        self.token = parts.query.removeprefix("token=")

    def keep(self, sent: Mapping[str, Any]) -> None:
        if sent.get("verdict") == "what":
            raise InputError("no such verdict")
        self.kept.append(sent)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> Asked:
        """A request with the token and our own host, unless told otherwise."""
        named: dict[str, str | None] = {"Host": f"127.0.0.1:{self.port}"}
        named["X-Synth-Token"] = self.token
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.putrequest(method, path, skip_host=True)
        if body is not None:
            named.setdefault("Content-Length", str(len(body)))
        for name, value in named.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content


@pytest.fixture
def site() -> Iterator[Site]:
    made_ = Site()
    thread = threading.Thread(target=made_.server.serve)
    thread.start()
    yield made_
    made_.server.close()
    thread.join()


def test_the_page_and_the_marks(site: Site) -> None:
    assert site.ask("GET", "/") == (200, b"<p>page</p>")
    assert site.ask("GET", f"/?token={site.token}", X_Synth_Token=None)[0] == 200
    assert site.ask("GET", "/marks") == (200, b'[{"candidate": "a"}]')
    mark = {"candidate": "a", "verdict": "good", "comment": "\u00e9"}
    assert site.ask("POST", "/marks", json.dumps(mark).encode())[0] == 204
    assert site.kept == [mark]


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Synth_Token": None},
        {"X_Synth_Token": "wrong"},
        {"X_Synth_Token": "\u00e9"},
        {"Host": "evil.example"},
        {"Host": None},
        {"Host": "127.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/marks"), ("POST", "/marks")])
def test_others_are_refused(
    headers: dict[str, str | None], method: str, path: str, site: Site
) -> None:
    body = b'{"verdict": "good"}' if method == "POST" else None
    status, told = site.ask(method, path, body, **headers)
    assert status == 403
    assert b"page" not in told or b"address" in told
    assert site.token.encode() not in told
    assert site.kept == []


def test_its_own_origin_is_let_in(site: Site) -> None:
    for host in ("127.0.0.1", "localhost"):
        own = f"{host}:{site.port}"
        assert site.ask("GET", "/", Host=own, Origin=f"http://{own}")[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/../recipe.yaml", "/..%2frecipe.yaml", "//x", "/marks/..", "/reviews.jsonl"],
)
def test_no_file_is_served(path: str, site: Site) -> None:
    assert site.ask("GET", path)[0] == 404
    assert site.ask("POST", path, b"{}")[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff",
        b'{"verdict": "what"}',
        b'"' + b"a" * 70_000 + b'"',
        b"[" * 60_000,
    ],
)
def test_what_is_no_mark_is_refused(body: bytes, site: Site) -> None:
    status, told = site.ask("POST", "/marks", body)
    assert status == 400
    assert told.strip()
    assert site.kept == []


def test_a_length_that_lies_is_refused(site: Site) -> None:
    assert site.ask("POST", "/marks", b"{}", Content_Length="x")[0] == 400
    assert site.ask("POST", "/marks", b"{}", Content_Length="-1")[0] == 400


def test_a_page_closed_while_it_is_sent_is_nobodys_fault(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    reset = struct.pack("ii", 1, 0)  # closes with RST, whatever is under way
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", site.port)) as caller:
            caller.sendall(f"GET / HTTP/1.1\r\nX-Synth-Token: {site.token}\r\n".encode())
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    assert site.ask("GET", "/")[0] == 200
    assert capfd.readouterr().err == ""


def test_marks_that_cannot_be_read_are_named() -> None:
    def marks() -> list[dict[str, Any]]:
        raise InputError("reviews.jsonl:1: not a mark")

    site = Site(marks)
    thread = threading.Thread(target=site.server.serve)
    thread.start()
    try:
        assert site.ask("GET", "/marks") == (500, b"reviews.jsonl:1: not a mark\n")
    finally:
        site.server.close()
        thread.join()


def test_it_listens_on_this_machine_alone(site: Site) -> None:
    listening = Path("/proc/net/tcp").read_text(encoding="utf-8")
    places = [line.split()[1] for line in listening.splitlines()[1:] if line.split()[3] == "0A"]
    assert [p for p in places if p.endswith(f":{site.port:04X}")] == [f"0100007F:{site.port:04X}"]


def test_a_taken_port_is_named(site: Site, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", made(20))
    curate(run, recipe_of(), LocalModels())
    with pytest.raises(RunError, match=f"port {site.port}.*--port"):
        review(run, recipe_of(), LocalModels(), 5, site.port)


def test_a_port_that_there_cannot_be_is_wrong_usage(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["review", "--run", str(tmp_path), "--port", "65536"])
    assert told.exit_code == 2
    assert "65535" in told.stderr


def test_a_run_that_nobody_curated_is_named(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", made(20))
    with pytest.raises(RunError, match="synth curate"):
        review(run, recipe_of(), LocalModels(), 5)


def test_a_killed_review_loses_no_mark(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", made(60))
    curate(run, recipe_of(), LocalModels())
    command = [sys.executable, "-m", "synth", "review", "--run", str(run.folder), "--rows", "10"]
    with subprocess.Popen([*command, "--quiet", "--json"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        place = urlsplit(told["url"])
        token = place.query.removeprefix("token=")
        asked = _first_candidate(run)
        connection = http.client.HTTPConnection("127.0.0.1", place.port or 0, timeout=20)
        body = json.dumps({"candidate": asked, "verdict": "bad", "comment": "no"})
        connection.request("POST", "/marks", body, {"X-Synth-Token": token})
        assert connection.getresponse().status == 204
        os.kill(process.pid, signal.SIGKILL)
    assert {name: mark.verdict for name, mark in read_marks(run).items()} == {asked: "bad"}


def test_ctrl_c_ends_it_well(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", made(60))
    curate(run, recipe_of(), LocalModels())
    command = [sys.executable, "-m", "synth", "review", "--run", str(run.folder), "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert re.fullmatch(
            r"Open http://127\.0\.0\.1:\d+/\?token=\S+\n", process.stdout.readline()
        )
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert f"synth curate --recipe {run.recipe} --run {run.folder}" in rest


def _first_candidate(run: Run) -> str:
    import polars as pl

    from synth.tables.reviews import candidate_ids

    return str(candidate_ids(pl.read_parquet(run.curated))[0])

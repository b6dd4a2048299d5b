"""A Hub on loopback, as far as publishing a model needs it: real HTTP, faults on call.

It speaks the LFS way of uploading (the client's Xet way is switched off in these tests). Uploads go
to another origin than the API, so a token that leaks there is seen.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_testtoken"


@dataclass
class Fault:
    """The next `times` requests that match get `status`, or no answer at all (`status` 0)."""

    match: str
    status: int
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    """Do what was asked, then lose the answer."""


@dataclass
class Hub:
    """What the server holds, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    repo: str | None = None
    private: bool | None = None
    can_write: bool = True
    api: str = ""
    store: str = ""

    @property
    def head(self) -> str:
        return hashlib.sha1(repr((self.commits, sorted(self.files))).encode()).hexdigest()


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    is_store = False

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, body: Any = None, status: int = 200, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = f"{self.command} {self.path}"
        self.hub.asked.append(asked)
        if self.is_store and "Authorization" in self.headers:
            self.hub.leaked.append(asked)
        fault = next((f for f in self.hub.faults if f.times and re.search(f.match, asked)), None)
        if fault is not None:
            fault.times -= 1
            if not fault.after:
                return self._fail(fault)
        if not self.is_store and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer({"error": "Invalid user token."}, 401)
        if fault is not None:
            self.wfile, wfile = _Nowhere(), self.wfile  # type: ignore[assignment]
            self._route(body)
            self.wfile = wfile
            return self._fail(fault)
        return self._route(body)

    do_GET = do_HEAD = do_POST = do_PUT = _serve

    def _fail(self, fault: Fault) -> None:
        if fault.status == 0:
            self.close_connection = True
            self.connection.close()
        else:
            self._answer({"error": "no"}, fault.status, **fault.headers)

    def _route(self, body: bytes) -> None:
        path = self.path.partition("?")[0]
        for pattern, act in (
            (r"^/api/whoami-v2$", self._whoami),
            (r"^/api/repos/create$", self._create),
            (r"^/api/validate-yaml$", lambda _: self._answer({"warnings": [], "errors": []})),
            (r"/preupload/", self._preupload),
            (r"/info/lfs/objects/batch$", self._batch),
            (r"^/put/", self._put),
            (r"^/verify$", lambda _: self._answer()),
            (r"/commit/", self._commit),
            (r"^/api/models/[^/]+/[^/]+(/revision/[^/]+)?$", self._info),
        ):
            if re.search(pattern, path):
                return act(body)
        return self._answer({"error": "not found"}, 404, X_Error_Code="EntryNotFound")

    def _whoami(self, _: bytes) -> None:
        self._answer({"type": "user", "name": "me", "orgs": [], "auth": {}})

    def _create(self, body: bytes) -> None:
        wanted = json.loads(body)
        repo = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
        url = {"url": f"{self.hub.api}/{repo}"}
        if self.hub.repo is not None:
            return self._answer({"error": "exists", **url}, 409)
        self.hub.repo = repo
        self.hub.private = wanted.get("private") or wanted.get("visibility") == "private"
        return self._answer(url)

    def _info(self, _: bytes) -> None:
        if self.hub.repo is None:
            return self._answer({"error": "no"}, 404, X_Error_Code="RepoNotFound")
        siblings = [{"rfilename": name} for name in self.hub.files]
        return self._answer(
            {"id": self.hub.repo, "sha": self.hub.head, "siblings": siblings, "tags": []}
        )

    def _preupload(self, body: bytes) -> None:
        if not self.hub.can_write:
            return self._answer({"error": "read-only token"}, 403)
        files = []
        for file in json.loads(body)["files"]:
            lfs = file["path"].endswith(".safetensors")
            there = self.hub.files.get(file["path"])
            oid = None
            if there is not None:
                oid = hashlib.sha256(there).hexdigest() if lfs else _blob_id(there)
            mode = "lfs" if lfs else "regular"
            files.append(
                {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}
            )
        return self._answer({"files": files})

    def _batch(self, body: bytes) -> None:
        objects = []
        for wanted in json.loads(body)["objects"]:
            actions = {
                "upload": {"href": f"{self.hub.store}/put/{wanted['oid']}", "header": {}},
                "verify": {"href": f"{self.hub.api}/verify", "header": {}},
            }
            here = wanted["oid"] in self.hub.objects
            objects.append({**wanted, **({} if here else {"actions": actions})})
        self._answer({"transfer": "basic", "objects": objects})

    def _put(self, body: bytes) -> None:
        assert hashlib.sha256(body).hexdigest() == self.path.rpartition("/")[2]
        self.hub.objects[hashlib.sha256(body).hexdigest()] = body
        self._answer(b"", ETag='"x"')

    def _commit(self, body: bytes) -> None:
        lines = [json.loads(line) for line in body.decode().splitlines() if line.strip()]
        parent = lines[0]["value"].get("parentCommit")
        if parent not in (None, self.hub.head):
            return self._answer({"error": "stale parent"}, 412)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                self.hub.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.hub.files[value["path"]] = self.hub.objects[value["oid"]]
        self.hub.commits.append(lines[0]["value"]["summary"])
        head = self.hub.head
        url = f"{self.hub.api}/{self.hub.repo}/commit/{head}"
        return self._answer(
            {"success": True, "commitOid": head, "commitUrl": url, "hookOutput": ""}
        )


class _Nowhere:
    """Takes an answer that is to be lost."""

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        pass


@contextmanager
def running() -> Iterator[Hub]:
    """A Hub that listens while the block runs; its uploads go to another origin."""
    hub = Hub()
    servers = []
    for is_store in (False, True):
        handler = type("Handler", (_Handler,), {"hub": hub, "is_store": is_store})
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
    hub.api = f"http://localhost:{servers[0].server_port}"
    hub.store = f"http://127.0.0.1:{servers[1].server_port}"
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()

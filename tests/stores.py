"""Real object stores on loopback, behind a proxy that counts and, when told to, fails."""

import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

S3 = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(port=0)
server.start()
print("http://%s:%s" % server.get_host_and_port(), flush=True)
sys.stdin.read()
"""
GS = """
import sys
from gcp_storage_emulator.server import create_server
server = create_server("127.0.0.1", 0, in_memory=True)
server.start()
print("http://127.0.0.1:%s" % server._api._httpd.server_address[1], flush=True)
sys.stdin.read()
"""


@dataclass(slots=True)
class Store:
    """The proxy's address, what passed through it, and what is to go wrong.

    Attributes:
        address: What clients are told.
        behind: Where the store is.
        faults: What befalls the next reads of objects: `half` of the bytes come as if they were
            all, the connection is `cut` in the middle, or the answer is a status.
        sent: Bytes of objects that came, a number a read.
    """

    address: str
    behind: str
    faults: list[str] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        dropped = {"host", "expect"}
        headers = {k: v for k, v in self.headers.items() if k.lower() not in dropped}
        headers.setdefault("Content-Type", "application/octet-stream")  # or urllib says: a form
        asked = urllib.request.Request(
            self.store.behind + self.path, body or None, headers, method=self.command
        )
        try:
            with OPENER.open(asked) as answer:
                self._answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.headers, error.read())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass

    def _answer(self, status: int, headers: Any, data: bytes) -> None:
        fault, length = "", headers.get("Content-Length")
        if self.command == "GET" and "Range" in self.headers and status in {200, 206}:
            self.store.sent.append(len(data))
            fault = self.store.faults.pop(0) if self.store.faults else ""
        if fault == "half":
            data = data[: len(data) // 2]
        if fault.isdigit():
            status, data = int(fault), b"<html>no</html>"
        self.send_response(status)
        # Without checksums, which no store sends of a range; ours is but the whole object here.
        dropped = ("content-length", "transfer-encoding", "connection", "x-amz-checksum")
        for name, value in headers.items():
            if not name.lower().startswith(dropped):
                self.send_header(name, value)
        self.send_header(
            "Content-Length", (length or "0") if self.command == "HEAD" else str(len(data))
        )
        self.end_headers()
        if fault == "cut":
            data, self.close_connection = data[: len(data) // 2], True
        if self.command != "HEAD":
            self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may hang up."""


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def running(code: str) -> Iterator[Store]:
    """A store in a process of its own, and the proxy before it."""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        behind = next(line.strip() for line in process.stdout if line.startswith("http://"))
        store = Store("", behind.replace("0.0.0.0", "127.0.0.1"))
        server = _Server(("127.0.0.1", 0), type("Handler", (_Proxy,), {"store": store}))
        store.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield store
        finally:
            server.shutdown()
            server.server_close()
            process.terminate()


def upload(folder: Path, to: str) -> None:
    """Puts every file below the folder there, by its relative name."""
    from fsspec.core import url_to_fs

    system, root = url_to_fs(to)
    bucket = root.split("/")[0]
    if not system.exists(bucket):
        system.mkdir(bucket)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            system.put_file(str(path), f"{root}/{path.relative_to(folder).as_posix()}")

"""HTTP: three origins, the faults, and which function answers what."""

import re
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.hub import api, cdn, commits, lfs, xet
from tests.hub.messages import Answer, Ask, Route
from tests.hub.state import ORIGINS, READ_TOKEN, TOKEN, Fault, Hub, Refusal

_ROUTES: dict[str, list[Route]] = {
    "api": [*api.ROUTES, *commits.ROUTES, *lfs.API_ROUTES, *xet.API_ROUTES],
    "store": [*lfs.STORE_ROUTES, *cdn.ROUTES],
    "cas": xet.CAS_ROUTES,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: Hub
    origin: str
    routes: list[Route]
    lock: threading.RLock

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        asked = f"{self.command} {self.path}"
        with self.lock:
            self.hub.asked.append(asked)
            self.hub.note_leaks(self.origin, asked, self.headers.items())
            fault = self.hub.next_fault(asked)
        if fault is not None and fault.how == "reset":
            self.rfile.read(self._length() // 2)
            return self._drop()
        body = self._body()
        if fault is not None and fault.how == "answer":
            return self._send(Answer(fault.body, fault.status, fault.headers))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        headers = {name.lower(): value for name, value in self.headers.items()}
        ask = Ask(self.hub, self.command, path, parse_qs(query), headers, body, token)
        with self.lock:
            if fault is not None and fault.act is not None:
                fault.act(self.hub)
            answer = self._answer(ask)
        return self._drop() if fault and fault.how == "lost" else self._send(answer, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def _length(self) -> int:
        return int(self.headers.get("Content-Length") or 0)

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            data = self.rfile.read(self._length())
        else:
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        with self.lock:
            self.hub.sent[self.origin] = self.hub.sent.get(self.origin, 0) + len(data)
        return data

    def _answer(self, ask: Ask) -> Answer:
        try:
            if self.origin == "api" and ask.token not in (None, TOKEN, READ_TOKEN):
                raise Refusal(401, "Invalid user token.")
            for method, pattern, act in self.routes:
                match = re.fullmatch(pattern, ask.path)
                if match and method == ask.method.replace("HEAD", "GET"):
                    ask.found = match
                    return act(ask)
            raise Refusal(404, f"no such page: {ask.path}", "EntryNotFound")
        except Refusal as refusal:
            headers = {"X-Error-Message": str(refusal)}
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            return Answer({"error": str(refusal)}, refusal.status, headers)

    def _send(self, answer: Answer, fault: Fault | None = None) -> None:
        data = answer.data() if self.command != "HEAD" else b""
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(answer.size())}
        for name, value in {**headers, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if fault is not None and fault.how == "cut":
            self.wfile.write(data[: len(data) // 2])
            return self._drop()
        self.wfile.write(data)
        return None

    def _drop(self) -> None:
        """Ends the connection without a word, and with a reset, not in good order."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.wfile.close()
        self.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hangs up is no news

    def shutdown_request(self, request: Any) -> None:
        if request.fileno() != -1:
            super().shutdown_request(request)


@contextmanager
def running() -> Iterator[Hub]:
    """A Hub that listens while the block runs, on three origins: API, large files, Xet's store."""
    lock, servers = threading.RLock(), []
    with tempfile.TemporaryDirectory() as folder:
        hub = Hub(Path(folder))
        for origin in ORIGINS:
            values = {"hub": hub, "origin": origin, "routes": _ROUTES[origin], "lock": lock}
            servers.append(_Server(("127.0.0.1", 0), type("Handler", (_Handler,), values)))
            host = "localhost" if origin == "api" else "127.0.0.1"
            hub.origin[origin] = f"http://{host}:{servers[-1].server_port}"
            threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield hub
        finally:
            for server in servers:
                server.shutdown()
                server.server_close()

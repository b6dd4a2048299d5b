"""The page over HTTP on this machine alone, for people who mark rows.

Every request needs the token that is in the address of the page; names of other hosts and pages of
other origins are refused. There is one page and one list of marks: no file is ever named.
"""

import hmac
import json
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from synth.errors import SynthError

_HOST = "127.0.0.1"
_MOST_BYTES = 65_536  # of a mark
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Marks = Callable[[], list[dict[str, Any]]]
Keep = Callable[[Mapping[str, Any]], None]


class ReviewServer:
    """A server of one page; listens as soon as it is made.

    Attributes:
        url: Where the page is, with its token.
    """

    def __init__(self, page: str, marks: Marks, keep: Keep, port: int = 0) -> None:
        """Binds to 127.0.0.1.

        Args:
            page: The page.
            marks: Gives the marks as they are now.
            keep: Saves a mark, or raises a `SynthError` that says what is wrong with it.
            port: 0 takes a free one.

        Raises:
            OSError: When the port is taken.
        """
        token = secrets.token_urlsafe(24)
        site = _Site(page.encode("utf-8"), marks, keep, token)
        self._server = _Server((_HOST, port), partial(_Handler, site))
        self.url = f"http://{_HOST}:{self._server.server_port}/?token={token}"

    def serve(self) -> None:
        """Answers until it is interrupted or closed."""
        self._server.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        """Ends `serve` and frees the port."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Answers each request in a thread of its own."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Says nothing of a page that was closed before its answer was there."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@dataclass(frozen=True, slots=True)
class _Site:
    """What is served, and the token that it takes."""

    page: bytes
    marks: Marks
    keep: Keep
    token: str


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server_version = "synth"
    sys_version = ""
    timeout = 30  # seconds for a request to arrive

    def __init__(self, site: _Site, *request: Any) -> None:  # noqa: ANN401
        self._site = site
        super().__init__(*request)

    def do_GET(self) -> None:
        """The page, or the marks."""
        path = urlsplit(self.path).path
        if not self._allowed():
            return
        if path == "/":
            self._answer(HTTPStatus.OK, self._site.page, "text/html; charset=utf-8")
        elif path == "/marks":
            self._tell_marks()
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of this name")

    def _tell_marks(self) -> None:
        try:
            marks = self._site.marks()
        except SynthError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        else:
            told = json.dumps(marks, ensure_ascii=False).encode("utf-8")
            self._answer(HTTPStatus.OK, told, "application/json")

    def do_POST(self) -> None:
        """A mark."""
        if not self._allowed():
            return
        if urlsplit(self.path).path != "/marks":
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of this name")
            return
        try:
            self._site.keep(self._sent())
        except SynthError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except (ValueError, TypeError, RecursionError):
            self._refuse(HTTPStatus.BAD_REQUEST, "not a mark")
        else:
            self._answer(HTTPStatus.NO_CONTENT)

    def _sent(self) -> Mapping[str, Any]:
        """The JSON object that was sent.

        Raises:
            ValueError: When it is none, or too long.
        """
        size = int(self.headers.get("Content-Length", ""))
        if not 0 < size <= _MOST_BYTES:
            raise ValueError("too long")
        sent = json.loads(self.rfile.read(size))
        if not isinstance(sent, dict):
            raise ValueError("not an object")
        return sent

    def _allowed(self) -> bool:
        """Whether the request is of our own page; answers it if not."""
        port = self.connection.getsockname()[1]
        ours = {f"{_HOST}:{port}", f"localhost:{port}"}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in ours:
            self._refuse(HTTPStatus.FORBIDDEN, "another host")
        elif origin is not None and origin.removeprefix("http://") not in ours:
            self._refuse(HTTPStatus.FORBIDDEN, "another origin")
        elif not hmac.compare_digest(self._token().encode(), self._site.token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN, "open the address that synth review printed")
        else:
            return True
        return False

    def _token(self) -> str:
        """The token of the page's address, or of the page's own requests."""
        asked = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
        return self.headers.get("X-Synth-Token") or asked

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._answer(status, f"{why}\n".encode(), "text/plain; charset=utf-8")
        self.close_connection = True

    def _answer(self, status: HTTPStatus, content: bytes = b"", kind: str = "") -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the token is in the address."""

"""A server's address and a key -> its answers, and its failures as errors of ours.

The `openai` client sends a request again after 408, 409, 429, 5xx, timeouts and broken connections.
It waits as long as Retry-After says, up to two minutes, and gives up on more: those are waited for
here. Of an answer the body is read, not the client's types, which guarantee nothing; where that is
no JSON, the request is sent again from here, too.
"""

import asyncio
import calendar
import email.utils
import math
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from synth.errors import EndpointError
from synth.settings import Endpoint

if TYPE_CHECKING:
    import httpx2
    import openai

_M = TypeVar("_M", bound=BaseModel)

_CONNECT = 10.0  # seconds to open a connection
_CLIENT_WAITS = 120.0  # seconds of Retry-After beyond which the client gives up
_BACKOFF = 0.5  # seconds before the second try, doubled up to 16-fold: as the client does
_LINE = 200  # characters of an error


class RequestFailed(Exception):
    """One request failed, for good; `own_fault` when the server found fault with it."""

    def __init__(self, line: str, own_fault: bool = False) -> None:
        super().__init__(line)
        self.own_fault = own_fault


class EndpointClient:
    """The client, and its errors as ours; the API key stays inside."""

    def __init__(self, settings: Endpoint, patience: float) -> None:
        import httpx2
        import openai

        self.place = _place(settings.url)
        self.alive = -math.inf
        self._settings = settings
        self._patience = patience
        self._key = _key()
        width, timeout = settings.concurrency, settings.timeout
        self._client = openai.AsyncOpenAI(
            base_url=settings.url.strip(),
            api_key=self._key or "none",
            max_retries=settings.retries,
            timeout=httpx2.Timeout(timeout, connect=min(_CONNECT, timeout)),
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False,  # nobody else shall see key or texts
                limits=httpx2.Limits(max_connections=width, max_keepalive_connections=width),
                event_hooks={"response": [self._hear]},
            ),
        )

    async def close(self) -> None:
        """Ends the connections."""
        await self._client.close()

    async def _hear(self, response: "httpx2.Response") -> None:
        """Any answer is a sign of life; Retry-After promises none until then."""
        wait = min(_retry_after(response.headers), self._patience)
        self.alive = max(self.alive, time.monotonic() + wait)

    async def call(self, path: str, kind: type[_M], body: dict[str, Any] | None = None) -> _M:
        """The server's answer to a GET, or to a POST of `body`.

        Raises:
            EndpointError: For what concerns every request.
            RequestFailed: For what may concern this one alone.
        """
        import httpx2
        import openai

        tries = 0
        while True:
            try:
                if body is None:
                    response = await self._client.get(path, cast_to=httpx2.Response)
                else:
                    response = await self._client.post(path, cast_to=httpx2.Response, body=body)
                return kind.model_validate_json(response.content)
            except ValidationError as error:
                # Other than one that lacks something, such an answer may be whole the next time.
                no_json = error.errors()[0]["type"] == "json_invalid"
                if not no_json or tries == self._settings.retries:
                    text = response.text.strip()
                    line = f"an answer that cannot be read: {text}" if text else "an empty answer"
                    raise RequestFailed(self._line(line)) from None
                wait = _BACKOFF * 2 ** min(tries, 4)
            except openai.APIStatusError as error:
                wait = self._worth_waiting(error)
                if not wait or tries == self._settings.retries:
                    raise self._refusal(error) from None
            except openai.APIConnectionError as error:
                raise self._disconnection(error) from None
            tries += 1
            await asyncio.sleep(wait)

    def _worth_waiting(self, error: "openai.APIStatusError") -> float:
        """Seconds to wait where the client gave up because they are many, else 0."""
        wait, code = _retry_after(error.response.headers), error.status_code
        if wait <= _CLIENT_WAITS or not (code in {408, 409, 429} or code >= 500):
            return 0.0
        if wait > self._patience:
            raise EndpointError(
                f"{self.place}: asks to wait {wait:.0f} seconds ({code}); run the stage again then,"
                " or raise generate.stall_seconds"
            )
        return wait

    def _refusal(self, error: "openai.APIStatusError") -> EndpointError | RequestFailed:
        code, body = error.status_code, error.body
        message = body.get("message", body) if isinstance(body, dict) else body
        line = self._line(f"{code}: {message}")
        if 300 <= code < 400:
            to = self._line(error.response.headers.get("location", "nowhere").partition("?")[0])
            return EndpointError(f"{self.place}: redirects to {to}; correct generate.endpoint.url")
        if code in {401, 403}:
            return EndpointError(f"{self.place}: refuses the key ({line}); set OPENAI_API_KEY")
        if code in {404, 405}:
            return EndpointError(
                f"{self.place}: has no such model or no completions API ({line});"
                " correct generate.endpoint.model and generate.endpoint.url"
            )
        return RequestFailed(line, own_fault=code < 500 and code not in {408, 409, 429})

    def _disconnection(self, error: "openai.APIConnectionError") -> EndpointError | RequestFailed:
        import httpx2

        cause = error.__cause__
        line = self._line(f"{error.message} ({cause or type(cause).__name__})")
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout):
            return EndpointError(
                f"{self.place}: cannot be reached: {line}; start the server,"
                " or correct generate.endpoint.url"
            )
        return RequestFailed(line)

    def _line(self, text: str) -> str:
        """The text in one line of few characters, without the key."""
        clean = text.replace(self._key, "***") if self._key else text
        return " ".join(clean.split())[:_LINE]


def _key() -> str:
    """The API key, or nothing."""
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not (key.isascii() and key.isprintable()):
        raise EndpointError("OPENAI_API_KEY holds characters that no key has; set it again")
    return key


def _place(url: str) -> str:
    """The address without what may be secret: user, password and query."""
    try:
        parts = urlsplit(url.strip())
        fine = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not close, or a port that is no number
        fine = False
    if not fine:
        raise EndpointError(
            "generate.endpoint.url is not an address; write it like http://127.0.0.1:8000/v1"
        )
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks to wait (RFC 9110, 10.2.3: a number, or a date); 0 if none."""
    text = headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        date = email.utils.parsedate_tz(text)
        seconds = calendar.timegm(date[:9]) - (date[9] or 0) - time.time() if date else 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0

"""A call to the Hub -> what it returns, tried again while its failure may pass, or one `HubError`.

The Hub's client retries uploads by itself, but neither the creation of a repository, nor its
description, nor a commit; what it raises ranges from its own errors to bare ones of the line.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from synth.errors import HubError

if TYPE_CHECKING:
    from httpx2 import Response

_TRIES = 5
_LONGEST = 300.0  # seconds that may be waited at once: the Hub counts its limits over five minutes
_PASSING = {408, 409, 412, 425, 429, 500, 502, 503, 504}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """Tries calls that concern one repository.

    Attributes:
        repo: Named in the errors.
        wait: Called with the seconds between two tries.
    """

    repo: str
    wait: Callable[[float], None] = time.sleep

    def __call__(self, call: Callable[[], T], tries: int = _TRIES) -> T:
        """What the call returns, tried again while its failure may pass.

        Raises:
            HubError: When it does not pass; no token is in its text.
        """
        for number in range(tries):
            try:
                return call()
            except _expected() as error:
                pause = _pause(error, number)
                if not _may_pass(error) or number == tries - 1 or pause > _LONGEST:
                    raise HubError(f"{self.repo}: {_advice(error, pause)}") from error
                self.wait(pause)
        raise AssertionError("the last try returns or raises")


def _expected() -> tuple[type[BaseException], ...]:
    """What the client lets through when the Hub or the line fails."""
    import httpx2

    return (
        httpx2.RequestError,
        RuntimeError,  # an LFS upload; its cause is the true error
        ValueError,  # what is not JSON, or not a name
        OSError,  # the client's own errors, and the Xet client's ConnectionError
    )


def _response(error: BaseException) -> "Response | None":
    """What the Hub answered, behind an error or behind its cause."""
    response: Response | None = getattr(error, "response", None)
    if response is None and error.__cause__ is not None:
        return _response(error.__cause__)
    return response


def _status(error: BaseException) -> int | None:
    """The HTTP status behind an error; the Xet client says it in words."""
    response = _response(error)
    if response is not None:
        return int(response.status_code)
    if not isinstance(error, ConnectionError):
        return None
    told = re.search(r" error \((\d{3}) ", str(error))
    return int(told[1]) if told else None


def _may_pass(error: BaseException) -> bool:
    """Whether the same call may succeed later."""
    status = _status(error)
    return status in _PASSING if status else _is_of_the_line(error)


def _is_of_the_line(error: BaseException) -> bool:
    """Whether an error without a status is of the line: dropped, timed out, not JSON."""
    import httpx2
    from huggingface_hub.errors import OfflineModeIsEnabled

    lasting = (OfflineModeIsEnabled, httpx2.LocalProtocolError, httpx2.UnsupportedProtocol)
    if isinstance(error, lasting):
        return False
    passing = (httpx2.RequestError, ConnectionError, TimeoutError, json.JSONDecodeError)
    if isinstance(error, passing):
        return True
    cause = None if isinstance(error, ValueError) else error.__cause__
    return cause is not None and _is_of_the_line(cause)


def _pause(error: BaseException, number: int) -> float:
    """Seconds to wait: what the Hub asks for in either of its two ways, else 1, 2, 4, 8."""
    from huggingface_hub.utils import parse_ratelimit_headers

    response = _response(error)
    if response is None:
        return 2.0**number
    asked = response.headers.get("Retry-After", "")
    if asked.isdigit():
        return float(asked)
    limit = parse_ratelimit_headers(response.headers) if response.status_code == 429 else None
    return float(limit.reset_in_seconds) if limit and not limit.remaining else 2.0**number


def _advice(error: BaseException, pause: float) -> str:
    """What is wrong and what to do, in one line."""
    status = _status(error)
    known = {
        401: "the Hub does not know your token; log in with `hf auth login`",
        403: "your token may not write here; use one with write access, or another name",
        404: "the Hub does not have it, or hides it from your token; check owner and name",
    }
    if status in known:
        return known[status]
    if status is None and (told := _local(error)):
        return told
    if pause > _LONGEST:
        return f"the Hub asks to wait {pause:.0f} s; the same command goes on after that"
    if _may_pass(error):
        return f"the Hub fails for now ({_reason(error)}); the same command goes on later"
    return f"the Hub refuses ({_reason(error)}); the same command goes on once that is mended"


def _local(error: BaseException) -> str | None:
    """What is to be mended on this side of the line, if it is that."""
    from huggingface_hub.errors import LocalTokenNotFoundError, OfflineModeIsEnabled

    if isinstance(error, LocalTokenNotFoundError):
        return "you are not logged in; run `hf auth login` or set HF_TOKEN"
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids it; unset it and run the same command"
    if isinstance(error, OSError) and error.filename and not _may_pass(error):
        return f"{error.filename} cannot be used ({error.strerror}); mend that, then go on"
    return None


def _reason(error: BaseException) -> str:
    """What the Hub or the line said, without tokens."""
    response = _response(error)
    if response is None:
        said = str(error) or type(error).__name__
    else:
        where = f"{response.status_code} {response.reason_phrase} at {response.url.path}"
        told = getattr(error, "server_message", None)
        said = f"{where}: {told}" if told else where
    return redacted(" ".join(said.split()))[:200]


def redacted(text: str) -> str:
    """The text without tokens, and without what signs an address."""
    from huggingface_hub.utils import get_token

    token = get_token()
    text = text.replace(token, "***") if token else text
    text = re.sub(r"\bhf_\w+", "***", text)
    return re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\")]*", r"\1", text)

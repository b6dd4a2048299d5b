"""A folder -> one commit on the Hub; every fault ends in success or in one named error.

The client retries uploads by itself, but not the creation of a repository, its description or a
commit: that is done here, with the waits the server asks for. Before a commit is repeated the head
is read again: what was committed although its answer was lost is found unchanged, so no second
commit is made.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from synth.errors import HubError

_TRIES = 5
_PATIENCE = 60.0  # seconds that the longest single wait may take
_PASSING = {408, 409, 412, 425, 429, 500, 502, 503, 504}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Published:
    """Where the folder is now: its page, and the commit."""

    url: str
    commit: str


def publish(
    files: dict[str, Path | bytes],
    repo: str,
    kind: Literal["model", "dataset"],
    *,
    message: str,
    private: bool = True,
    wait: Callable[[float], None] = time.sleep,
) -> Published:
    """Sends the files as one commit; a repository that is missing is made.

    Args:
        files: Path in the repository -> a local file, or its content.
        repo: `owner/name`.
        kind: What kind of repository it is.
        message: Of the commit.
        private: Whether a repository that is made is private; an existing one stays as it is.
        wait: Called with the seconds between two tries.

    Raises:
        HubError: When the Hub cannot be reached or refuses; the same call goes on where it was.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    _patiently(lambda: api.whoami(), repo, wait)
    made = _patiently(
        lambda: api.create_repo(repo, private=private, repo_type=kind, exist_ok=True), repo, wait
    )

    def commit() -> Published:
        head = api.repo_info(made.repo_id, repo_type=kind).sha
        operations = [
            CommitOperationAdd(name, str(source) if isinstance(source, Path) else source)
            for name, source in sorted(files.items())
        ]
        info = api.create_commit(
            made.repo_id,
            operations,
            commit_message=message,
            repo_type=kind,
            parent_commit=head,
        )
        return Published(str(made), str(info.oid))

    return _patiently(commit, repo, wait)


def _patiently(call: Callable[[], T], repo: str, wait: Callable[[float], None]) -> T:
    """What the call returns, tried again while its failure may pass."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    expected = (
        HfHubHTTPError,
        HFValidationError,
        RuntimeError,
        ValueError,
        OSError,  # ConnectionError is what the Xet client raises
        httpx2.TransportError,
        json.JSONDecodeError,
    )
    for number in range(_TRIES):
        try:
            return call()
        except expected as error:
            status = _status(error)
            passing = status in _PASSING if status else _may_pass(error)
            if not passing or number == _TRIES - 1:
                raise HubError(f"{repo}: {_advice(error, status)}") from error
            wait(_pause(error, number))
    raise AssertionError("the last try returns or raises")


def _status(error: BaseException) -> int | None:
    """The HTTP status behind an error, or behind its cause."""
    response = getattr(error, "response", None)
    if response is None and error.__cause__ is not None:
        return _status(error.__cause__)
    return int(response.status_code) if response is not None else None


def _may_pass(error: BaseException) -> bool:
    """Whether an error without a status is one of the line: dropped, timed out, not JSON."""
    import httpx2

    lasting = isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError)
    passing = (httpx2.TransportError, ConnectionError, TimeoutError, json.JSONDecodeError)
    cause = error.__cause__
    return not lasting and (isinstance(error, passing) or (cause is not None and _may_pass(cause)))


def _pause(error: BaseException, number: int) -> float:
    """Seconds to wait: what the server asks for, else 1, 2, 4, 8."""
    response = getattr(error, "response", None)
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return min(_PATIENCE, float(asked) if asked.isdigit() else 2.0**number)


def _advice(error: BaseException, status: int | None) -> str:
    if status == 401:
        return "the Hub does not know your token; log in with `hf auth login`"
    if status == 403:
        return "your token may not write here; use one with write access, or another name"
    if status == 404:
        return "the Hub does not have it, or hides it from your token; check owner and name"
    if "token" in type(error).__name__.lower():
        return "you are not logged in; run `hf auth login` or set HF_TOKEN"
    reason = " ".join(str(error).split()) or type(error).__name__
    if status is None and _may_pass(error):
        return f"the Hub cannot be reached ({reason:.120}); the same command goes on later"
    return f"the Hub refused ({reason:.160}); the same command goes on once that is mended"

"""The URL of objects in a store -> what lies there, and their bytes, read by ranges.

fsspec's clients do the talking, and log in as they do by themselves: with the variables, profiles
and tokens of each store's own tools. What a URL holds of credentials goes to the store alone.
"""

import errno
import io
import re
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote

from synth.errors import InputError
from synth.records import content_id

_STORES = {"s3": "synth[s3]", "gs": "synth[gs]", "hf": "huggingface_hub"}
_WEB = {"http": "aiohttp", "https": "aiohttp"}
_NEEDED = _STORES | _WEB  # scheme -> what pip installs for it
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_WILD = re.compile(r"[*?\[]")
_BLOCK = 1 << 22  # bytes that a stream reads at once
_WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds before a range is asked for again
_TAGS = ("md5Hash", "ETag", "etag", "blob_id", "Content-MD5", "Digest", "Last-Modified")
_RAISED = (
    ("aiohttp", "ClientError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("botocore.parsers", "ResponseParserError"),
    ("gcsfs.retry", "HttpError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("httpx2", "HTTPError"),
)
"""What the clients raise beside OSError and ValueError; those that are not loaded raise nothing."""


def is_remote(name: str) -> bool:
    """Whether the name of a corpus is a URL."""
    return _URL.match(name) is not None


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """An object as it was when it was found.

    Attributes:
        url: Where it is; may hold credentials, and is not for people.
        size: Its bytes.
        tag: What the store says of its content (S3 and the web: ETag, Google: MD5, the Hub: git's
            id of the blob); empty where it says nothing.
    """

    url: str = field(repr=False)
    size: int
    tag: str

    def __str__(self) -> str:
        """The URL without credentials."""
        return shown_url(self.url)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return str(self).rpartition("/")[2]

    def identity(self) -> str:
        """Hash of tag and size; without a tag always another. Nothing is read for it."""
        return content_id("object", self.tag, self.size) if self.tag else uuid.uuid4().hex

    def open(self, _mode: Literal["rb"] = "rb", buffering: int = _BLOCK) -> io.BufferedReader:
        """Its bytes; `buffering` of them are fetched at once, or as many as are asked for."""
        return io.BufferedReader(Ranges(self, buffering), min(max(1, buffering), 1 << 16))


Location = Path | RemoteFile
"""Where a file is."""


class Ranges(io.RawIOBase):
    """The bytes of an object, of which no stretch comes shorter than it was asked for.

    Raises:
        InputError: For an object that cannot be read, or is not the one that was found.
    """

    def __init__(self, of: RemoteFile, ahead: int = 0) -> None:
        super().__init__()
        self._of = of
        self._ahead = ahead
        self._at = self._start = 0
        self._block = b""
        with remote_errors(of.url):
            self._file = _open(of)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to that byte."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._of.size}[whence]
        self._at = base + offset
        return self._at

    def readinto(self, into: Any) -> int:  # noqa: ANN401
        """Fills the buffer, or as much of it as the object has left."""
        count = min(len(into), self._of.size - self._at)
        if count <= 0:
            return 0
        if not self._start <= self._at < self._start + len(self._block):
            most = self._of.size - self._at
            self._block = self._fetched(self._at, min(most, max(count, self._ahead)))
            self._start = self._at
        begin = self._at - self._start
        part = self._block[begin : begin + count]
        into[: len(part)] = part
        self._at += len(part)
        return len(part)

    def readall(self) -> bytes:
        """All that is left, at once."""
        return self._fetched(self._at, self._of.size - self._at)

    def close(self) -> None:
        """Lets go of the object."""
        if not self.closed:
            self._block = b""
            super().close()

    def _fetched(self, start: int, count: int) -> bytes:
        """Those bytes; what fails is asked for again, a few times."""
        with remote_errors(self._of.url):
            for wait in _WAITS:
                try:
                    return self._once(start, count)
                except _raised() as error:
                    if _is_final(error):
                        raise
                time.sleep(wait)
            return self._once(start, count)

    def _once(self, start: int, count: int) -> bytes:
        self._file.seek(start)
        data: bytes = self._file.read(count)
        if len(data) != count:
            raise OSError(f"{len(data)} bytes came of {count} from byte {start} on")
        return data


def _open(of: RemoteFile) -> Any:  # noqa: ANN401
    """A file of fsspec, which keeps nothing of what it reads."""
    system, path = _system(of.url)
    file = system.open(path, "rb", cache_type="none")
    if not file.seekable():
        raise OSError("the server does not give parts of a file; download it first")
    tag = _tag(file.details) or _tag(system.info(path))  # files of the web know no tag
    if (file.size, tag) != (of.size, of.tag):
        raise InputError(f"{of}: has changed since it was found; run the same command again")
    return file


def objects(name: str) -> dict[PurePosixPath, RemoteFile] | RemoteFile:
    """The object of that name, or all below it, or that match it, by the rest of their names.

    Args:
        name: A URL; in those of stores `*`, `?`, `[...]` and `**` are wildcards, as in a path.

    Raises:
        InputError: When there is none, or the store cannot be reached or refuses.
    """
    scheme = name.partition("://")[0]
    if scheme not in _NEEDED:
        known = ", ".join(f"{known}://" for known in _NEEDED)
        raise InputError(f"{shown_url(name)}: no store that synth reads; it reads {known}")
    with remote_errors(name):
        system, path = _system(name)
        system.invalidate_cache()  # what was found some hours ago may have changed
        try:
            info = system.info(path)
        except FileNotFoundError:
            if scheme in _WEB or not _WILD.search(path):
                raise
            return _matching(system, path, scheme)
        if scheme in _WEB:
            return _remote(name, info)
        if info["type"] == "directory" or name.endswith("/"):
            return _below(system.find(path, detail=True), path, scheme)
        return _remote(f"{scheme}://{path}", info)


def _matching(system: Any, path: str, scheme: str) -> dict[PurePosixPath, RemoteFile]:  # noqa: ANN401
    parts = [part if part == "**" else re.sub(r"\*+", "*", part) for part in path.split("/")]
    depth = next(n for n, part in enumerate(parts) if _WILD.search(part))
    if parts[-1] == "**":
        parts.append("*")
    found = system.glob("/".join(parts), detail=True)
    return _below(found, "/".join(parts[:depth]), scheme)


def _below(
    found: Mapping[str, Mapping[str, Any]], folder: str, scheme: str
) -> dict[PurePosixPath, RemoteFile]:
    return {
        PurePosixPath(path[len(folder) :].lstrip("/")): _remote(f"{scheme}://{path}", info)
        for path, info in found.items()
        if info["type"] == "file"
    }


def _remote(url: str, info: Mapping[str, Any]) -> RemoteFile:
    if info.get("size") is None:
        raise OSError("the server does not tell its size; download it first")
    return RemoteFile(url, int(info["size"]), _tag(info))


def _tag(info: Mapping[str, Any]) -> str:
    return next((str(info[key]) for key in _TAGS if info.get(key)), "")


def _system(url: str) -> tuple[Any, str]:
    """The store's client, and what that calls the object."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(url)
    return system, str(path)


def _raised() -> tuple[type[Exception], ...]:
    loaded = [(sys.modules[module], name) for module, name in _RAISED if module in sys.modules]
    return (OSError, ValueError, *(getattr(module, name) for module, name in loaded))


def _is_final(error: Exception) -> bool:
    """Whether to ask again is of no use."""
    changed = getattr(error, "errno", None) == errno.EBUSY
    return changed or isinstance(error, FileNotFoundError | PermissionError | ValueError)


@contextmanager
def remote_errors(url: str) -> Iterator[None]:
    """Turns what the clients raise for that URL into an InputError, which tells no credentials."""
    try:
        yield
    except ImportError:
        needed = _NEEDED[url.partition("://")[0]]
        raise InputError(
            f"{shown_url(url)}: a package is not installed; `pip install {needed}`"
        ) from None
    except FileNotFoundError as error:
        cause = error.__cause__  # of the web whatever fails is said to be missing
        is_web = url.partition("://")[0] in _WEB
        if is_web and isinstance(cause, _raised()) and getattr(cause, "status", 0) != 404:
            raise InputError(_told(url, cause)) from None
        raise InputError(f"{shown_url(url)}: no such object; check bucket and name") from None
    except _raised() as error:
        # Without the cause: its text may hold what the URL does.
        raise InputError(_told(url, error)) from None


_REFUSED = re.compile(r"credential|denied|forbidden|unauthori[sz]ed|\b40[13]\b", re.IGNORECASE)


def _told(url: str, error: Exception) -> str:
    reason = " ".join(_without_secrets(str(error) or type(error).__name__, url).split())
    if isinstance(error, PermissionError) or _REFUSED.search(reason):
        return (
            f"{shown_url(url)}: access refused ({reason:.120}); log in as the store's own tools do,"
            " or ask for the right to list and read"
        )
    return (
        f"{shown_url(url)}: cannot be read: {reason:.200}; check the name, the network and the"
        " store's endpoint"
    )


def _split(url: str) -> tuple[str, str, str, str]:
    """Scheme, user with password, place, and of the web the query."""
    scheme, rest = url.split("://", 1)
    place, query = rest, ""
    if scheme in _WEB:
        place, query = re.split(r"[?#]", rest + "?", maxsplit=1)
    authority, slash, path = place.partition("/")
    user, _, host = authority.rpartition("@")
    return scheme, user, host + slash + path, query.removesuffix("?")


def shown_url(url: str) -> str:
    """The URL without user, password and, of the web, query."""
    scheme, _, place, _ = _split(url)
    return f"{scheme}://{place}"


def _without_secrets(text: str, url: str) -> str:
    """The text without what `shown_url` leaves out, wherever it stands in it."""
    _, user, _, query = _split(url)
    values = [*user.split(":"), *(pair.partition("=")[2] for pair in query.split("&"))]
    secrets = {user, query, *(value for value in values if len(value) > 3)} - {""}
    for secret in sorted({*secrets, *map(unquote, secrets)}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text

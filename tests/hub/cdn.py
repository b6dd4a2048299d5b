"""The CDN: objects and xorbs by their hash, whole or a range of them."""

import re
from pathlib import Path

from tests.hub.messages import Answer, Ask, Route
from tests.hub.state import Hub, Refusal

SIGNED = "X-Amz-Signature=signed-by-the-store"


def place(hub: Hub, sha256: str) -> str:
    """The signed address of an object."""
    return f"{hub.origin['store']}/object/{sha256}?{SIGNED}"


def place_of_xorb(hub: Hub, xorb: str) -> str:
    """The signed address of a xorb."""
    return f"{hub.origin['store']}/xorb/{xorb}?{SIGNED}"


def span(asked: str | None, size: int) -> tuple[int, int] | None:
    """`bytes=0-99`, `bytes=5-`, `bytes=-10` -> start and end (not included).

    Raises:
        Refusal: 416 when the range is past the end.
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", asked or "")
    if match is None or match[0] == "bytes=-":
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    start, end = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
    if start >= size:
        raise Refusal(416, "past the end")
    return start, end


def ranged(ask: Ask, file: Path, headers: dict[str, str]) -> Answer:
    """The file, or the range of it that was asked for."""
    size = file.stat().st_size
    found = span(ask.headers.get("range"), size)
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
    if found is None:
        return Answer(file, 200, headers, (0, size))
    headers["Content-Range"] = f"bytes {found[0]}-{found[1] - 1}/{size}"
    return Answer(file, 206, headers, found)


def _signed(ask: Ask) -> None:
    if "X-Amz-Signature" not in ask.query:
        raise Refusal(403, "not signed")


def get_object(ask: Ask) -> Answer:
    _signed(ask)
    file = ask.hub.object(ask["sha256"])
    if not file.exists():
        raise Refusal(404, "no such object")
    return ranged(ask, file, {"ETag": f'"{file.name}"'})


def get_xorb(ask: Ask) -> Answer:
    _signed(ask)
    if ask["hash"] not in ask.hub.xorbs:
        raise Refusal(404, "no such xorb")
    return ranged(ask, ask.hub.xorbs[ask["hash"]].path, {})


ROUTES: list[Route] = [
    ("GET", "/object/(?P<sha256>[0-9a-f]{64})", get_object),
    ("GET", "/xorb/(?P<hash>[0-9a-f]{64})", get_xorb),
]

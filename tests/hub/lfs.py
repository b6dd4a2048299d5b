"""Large files the old way: a batch is asked for, objects are put whole or in parts."""

import hashlib
from typing import Any

from tests.hub.api import PAGE
from tests.hub.messages import Answer, Ask, Route
from tests.hub.state import Hub, Refusal


def batch(ask: Ask) -> Answer:
    # For a pull request the client names no reference.
    ask.must_write(ask.repo().name, by_pull="ref" not in ask.json)
    objects = [_actions(ask.hub, wanted) for wanted in ask.json["objects"]]
    return Answer({"transfer": "basic", "objects": objects})


def _actions(hub: Hub, wanted: dict[str, Any]) -> dict[str, Any]:
    """What to do for one object; nothing where it is here."""
    oid, size = wanted["oid"], wanted["size"]
    if hub.object(oid).exists():
        return {"oid": oid, "size": size}
    store = hub.origin["store"]
    verify = {"href": f"{hub.api}/lfs-verify", "header": {}}
    upload: dict[str, Any] = {"href": f"{store}/put/{oid}?X-Amz-Signature=put", "header": {}}
    if hub.part_size is not None and size > hub.part_size:
        count = -(-size // hub.part_size)
        parts = {f"{i:05d}": f"{store}/part/{oid}/{i}" for i in range(1, count + 1)}
        header = {"chunk_size": str(hub.part_size), **parts}
        upload = {"href": f"{store}/complete/{oid}", "header": header}
    return {"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}}


def put(ask: Ask) -> Answer:
    if hashlib.sha256(ask.body).hexdigest() != ask["oid"]:
        raise Refusal(400, "the content has another sha256")
    ask.hub.keep(ask.body)
    return Answer(b"", headers={"ETag": '"whole"'})


def part(ask: Ask) -> Answer:
    (ask.hub.folder / f"{ask['oid']}.{ask['number']}").write_bytes(ask.body)
    return Answer(b"", headers={"ETag": f'"part-{ask["number"]}"'})


def complete(ask: Ask) -> Answer:
    told = ask.json
    numbers = [(p["partNumber"], p["etag"].strip('"')) for p in told["parts"]]
    if [etag for _, etag in numbers] != [f"part-{number}" for number, _ in numbers]:
        raise Refusal(400, "a part is missing")
    parts = [ask.hub.folder / f"{ask['oid']}.{number}" for number, _ in numbers]
    data = b"".join(file.read_bytes() for file in parts)
    if hashlib.sha256(data).hexdigest() != ask["oid"]:
        raise Refusal(400, "the parts give another sha256")
    ask.hub.keep(data)
    return Answer()


def verify(ask: Ask) -> Answer:
    file = ask.hub.object(ask.json["oid"])
    if not file.exists() or file.stat().st_size != ask.json["size"]:
        raise Refusal(404, "no such object")
    return Answer()


API_ROUTES: list[Route] = [
    ("POST", PAGE + r"\.git/info/lfs/objects/batch", batch),
    ("POST", "/lfs-verify", verify),
]
STORE_ROUTES: list[Route] = [
    ("PUT", "/put/(?P<oid>[0-9a-f]{64})", put),
    ("PUT", r"/part/(?P<oid>[0-9a-f]{64})/(?P<number>\d+)", part),
    ("POST", "/complete/(?P<oid>[0-9a-f]{64})", complete),
]

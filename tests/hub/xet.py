"""Large files the Xet way: tokens from the API, xorbs and shards to the store of chunks.

The newer routes (`/v2/...`, grants, global deduplication) answer 404: the client then goes the ways
that are here.
"""

import time
from typing import Any

from tests.hub.api import API
from tests.hub.cdn import place_of_xorb, span
from tests.hub.formats import Stored, Term, XetFile, read_shard, read_xorb, rebuild
from tests.hub.messages import Answer, Ask, Route
from tests.hub.state import CAS_TOKENS, Hub, Refusal


def token(ask: Ask) -> Answer:
    repo, use = ask.repo(), ask["use"]
    if use == "write":
        ask.must_write(repo.name, by_pull="create_pr" in ask.query)
    until = int(time.time()) + 3600
    values = {"casUrl": ask.hub.origin["cas"], "accessToken": CAS_TOKENS[use], "exp": until}
    headers = {
        "X-Xet-Cas-Url": ask.hub.origin["cas"],
        "X-Xet-Access-Token": CAS_TOKENS[use],
        "X-Xet-Token-Expiration": str(until),
    }
    return Answer(values, headers=headers)


def _must_hold(ask: Ask, *uses: str) -> None:
    if ask.token not in [CAS_TOKENS[use] for use in uses]:
        raise Refusal(401, "not with this token")


def post_xorb(ask: Ask) -> Answer:
    _must_hold(ask, "write")
    name = ask["hash"]
    path = ask.hub.folder / f"xorb-{name}"
    new = name not in ask.hub.xorbs
    try:
        chunks = read_xorb(ask.body)
    except ValueError as error:
        raise Refusal(400, str(error)) from error
    path.write_bytes(ask.body)
    ask.hub.xorbs[name] = Stored(path, chunks)
    return Answer({"was_inserted": new})


def post_shard(ask: Ask) -> Answer:
    _must_hold(ask, "write")
    hub = ask.hub
    try:
        for file in read_shard(ask.body):
            target = hub.object(file.sha256 or file.hash)
            rebuild(file, hub.xorbs, target)
            hub.xet_files[file.hash] = file
            hub.xet_of[file.sha256] = file.hash
    except ValueError as error:
        raise Refusal(400, str(error)) from error
    return Answer({"result": 1})


def reconstruction(ask: Ask) -> Answer:
    """Which chunks of which xorbs are the file, or the range of it that was asked for."""
    _must_hold(ask, "read", "write")
    file = ask.hub.xet_files.get(ask["hash"])
    if file is None:
        raise Refusal(404, "no such file")
    start, end = span(ask.headers.get("range"), file.size) or (0, file.size)
    terms, offset = _cut(ask.hub, file, start, end)
    fetch: dict[str, list[dict[str, Any]]] = {}
    for term in terms:
        where = _where(ask.hub, term)
        if where not in fetch.setdefault(term.xorb, []):
            fetch[term.xorb].append(where)
    told = [
        {"hash": t.xorb, "unpacked_length": t.length, "range": {"start": t.first, "end": t.last}}
        for t in terms
    ]
    return Answer({"offset_into_first_range": offset, "terms": told, "fetch_info": fetch})


def _cut(hub: Hub, file: XetFile, start: int, end: int) -> tuple[list[Term], int]:
    """The terms, of whole chunks, that hold these bytes; and where `start` is in them."""
    kept: list[Term] = []
    offset = at = 0
    for term in file.terms:
        inside: list[tuple[int, int]] = []
        for number in range(term.first, term.last):
            length = hub.xorbs[term.xorb].chunks[number].length
            if at < end and at + length > start:
                if not kept and not inside:
                    offset = start - at
                inside.append((number, length))
            at += length
        if inside:
            length = sum(size for _, size in inside)
            kept.append(Term(term.xorb, length, inside[0][0], inside[-1][0] + 1))
    return kept, offset


def _where(hub: Hub, term: Term) -> dict[str, Any]:
    chunks = hub.xorbs[term.xorb].chunks[term.first : term.last]
    span_of = {"start": chunks[0].start, "end": chunks[-1].end - 1}
    chosen = {"start": term.first, "end": term.last}
    return {"range": chosen, "url": place_of_xorb(hub, term.xorb), "url_range": span_of}


_HASH = "(?P<hash>[0-9a-f]{64})"


API_ROUTES: list[Route] = [
    ("GET", API + "/xet-(?P<use>read|write)-token/(?P<rev>[^/]+)", token),
]
CAS_ROUTES: list[Route] = [
    ("POST", f"/v1/xorbs/default/{_HASH}", post_xorb),
    ("POST", "/v1/shards", post_shard),
    ("GET", f"/v1/reconstructions/{_HASH}", reconstruction),
]

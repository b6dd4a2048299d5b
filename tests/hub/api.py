"""The Hub's own pages: who, repositories, references, trees, and where a file is."""

import json
import re
from typing import Any
from urllib.parse import quote

import yaml

from tests.hub.cdn import place, ranged
from tests.hub.messages import Answer, Ask, Route
from tests.hub.state import READ_TOKEN, USER, Blob, Hub, Refusal, Repo

API = r"/api/(?P<kind>models|datasets|spaces)/(?P<repo>[^/]+/[^/]+)"
PAGE = r"/(?P<kind>datasets/)?(?P<repo>[^/]+/[^/]+)"
_WHEN = "2026-01-01T00:00:00.000Z"
_NAME = re.compile(r"[\w.-]{1,96}")


def whoami(ask: Ask) -> Answer:
    if ask.token is None:
        raise Refusal(401, "Invalid credentials in Authorization header")
    role = "read" if ask.token == READ_TOKEN else "write"
    orgs = [{"name": name, "roleInOrg": role} for name in ask.hub.orgs]
    token = {"accessToken": {"displayName": "test", "role": role}}
    return Answer({"type": "user", "name": USER, "orgs": orgs, "auth": token})


def create(ask: Ask) -> Answer:
    wanted = ask.json
    kind = wanted.get("type") or "model"
    name = f"{wanted.get('organization') or USER}/{wanted['name']}"
    ask.must_write(name)
    if not _NAME.fullmatch(wanted["name"]):
        raise Refusal(400, f"Invalid repo name: {wanted['name']}")
    hub = ask.hub
    taken = [repo for repo in hub.repos.values() if repo.name == name]
    if any(repo.kind == kind or hub.shared_names for repo in taken):
        url = hub.api + Repo(kind, name, private=True).path
        return Answer({"error": f"You already created this {taken[0].kind} repo", "url": url}, 409)
    repo = hub.make(kind, name, private=wanted.get("visibility") == "private")
    return Answer({"url": hub.api + repo.path, "name": name})


def validate(ask: Ask) -> Answer:
    """As far as a card must be: its block of metadata is a YAML mapping, its licence a word."""
    block = re.match(r"---\n(.*?)\n---", ask.json["content"], re.DOTALL)
    told: dict[str, list[dict[str, str]]] = {"warnings": [], "errors": []}
    try:
        values = yaml.safe_load(block[1]) if block else {}
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        told["errors"].append({"message": "the metadata is not a YAML mapping"})
    elif not re.fullmatch(r"[a-z0-9.-]+", str(values.get("license", "mit"))):
        told["errors"].append({"message": '"license" must be one of the licences listed'})
    return Answer(told, 400 if told["errors"] else 200)


def info(ask: Ask) -> Answer:
    repo = ask.repo()
    commit = repo.commit(ask["rev"] if ask.found["rev"] else "main")
    siblings = [{"rfilename": path} for path in sorted(commit.files)]
    values = {"id": repo.name, "author": repo.name.partition("/")[0], "sha": commit.oid}
    dates = {"lastModified": _WHEN, "createdAt": _WHEN}
    facts = {"private": repo.private, "gated": False, "disabled": False, "downloads": 0, "likes": 0}
    return Answer({**values, **dates, **facts, "tags": [], "siblings": siblings})


def refs(ask: Ask) -> Answer:
    repo = ask.repo()
    said: dict[str, list[dict[str, str]]] = {"branches": [], "converts": [], "tags": []}
    groups = {"heads": said["branches"], "tags": said["tags"]}
    if "include_prs" in ask.query:
        groups["pr"] = said["pullRequests"] = []
    for ref, oid in sorted(repo.refs.items()):
        _, group, name = ref.split("/", 2)
        if group in groups:
            groups[group].append({"name": name, "ref": ref, "targetCommit": oid})
    return Answer(said)


def _entry(hub: Hub, path: str, blob: Blob) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": blob.size, "oid": blob.oid}
    if blob.lfs:
        entry["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": 134}
        if blob.sha256 in hub.xet_of:
            entry["xetHash"] = hub.xet_of[blob.sha256]
    return entry


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "size": 0, "oid": "0" * 40}


def tree(ask: Ask) -> Answer:
    repo = ask.repo()
    files = repo.commit(ask["rev"]).files
    top = ask["path"].strip("/") + "/" if ask.found["path"] else ""
    inside = {path: blob for path, blob in files.items() if path.startswith(top)}
    if top and not inside:
        raise Refusal(404, f"{top} does not exist", "EntryNotFound")
    entries: dict[str, dict[str, Any]] = {}
    recursive = ask.query.get("recursive", ["false"])[0].lower() == "true"
    for path, blob in sorted(inside.items()):
        steps = path.removeprefix(top).split("/")
        for depth in range(1, len(steps)):
            folder = top + "/".join(steps[:depth])
            if recursive or depth == 1:
                entries[folder] = _folder(folder)
        if recursive or len(steps) == 1:
            entries[path] = _entry(ask.hub, path, blob)
    return _page(ask, list(entries.values()))


def _page(ask: Ask, entries: list[dict[str, Any]]) -> Answer:
    size = ask.hub.page_size
    start = int(ask.query.get("cursor", ["0"])[0])
    headers = {}
    if start + size < len(entries):
        kept = "&".join(f"{k}={v[0]}" for k, v in ask.query.items() if k != "cursor")
        url = f"{ask.hub.api}{ask.path}?{kept}&cursor={start + size}"
        headers["Link"] = f'<{url}>; rel="next"'
    return Answer(entries[start : start + size], headers=headers)


def paths_info(ask: Ask) -> Answer:
    files = ask.repo().commit(ask["rev"]).files
    found = []
    for path in ask.form("paths"):
        if path in files:
            found.append(_entry(ask.hub, path, files[path]))
        elif any(name.startswith(path + "/") for name in files):
            found.append(_folder(path))
    return Answer(found)


def resolve(ask: Ask) -> Answer:
    """Small files from here; large ones with a hint where they are."""
    hub, repo = ask.hub, ask.repo()
    commit = repo.commit(ask["rev"])
    blob = commit.files.get(ask["path"])
    headers = {"X-Repo-Commit": commit.oid}
    if blob is None:
        raise Refusal(404, "Entry not found", "EntryNotFound")
    if not blob.lfs:
        headers["ETag"] = f'"{blob.oid}"'
        return ranged(ask, hub.object(blob.sha256), headers)
    headers["X-Linked-Etag"] = f'"{blob.sha256}"'
    headers["X-Linked-Size"] = str(blob.size)
    headers["Location"] = place(hub, blob.sha256)
    if blob.sha256 in hub.xet_of:
        headers["X-Xet-Hash"] = hub.xet_of[blob.sha256]
        kind = f"{repo.kind}s/{repo.name}"
        url = f"{hub.api}/api/{kind}/xet-read-token/{quote(commit.oid)}"
        headers["Link"] = f'<{url}>; rel="xet-auth"'
    return Answer(json.dumps({}).encode(), 302, headers)


ROUTES: list[Route] = [
    ("GET", "/api/whoami-v2", whoami),
    ("POST", "/api/repos/create", create),
    ("POST", "/api/validate-yaml", validate),
    ("GET", API + "(?:/revision/(?P<rev>[^/]+))?", info),
    ("GET", API + "/refs", refs),
    ("GET", API + "/tree/(?P<rev>[^/]+)(?:/(?P<path>.+))?", tree),
    ("POST", API + "/paths-info/(?P<rev>[^/]+)", paths_info),
    ("GET", PAGE + "/resolve/(?P<rev>[^/]+)/(?P<path>.+)", resolve),
]

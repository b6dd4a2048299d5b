"""What changes a repository: commits, branches, tags, pull requests."""

import base64
import json
from fnmatch import fnmatch
from typing import Any

from tests.hub.api import API
from tests.hub.messages import Answer, Ask, Route
from tests.hub.state import USER, Blob, Hub, Pull, Refusal, Repo

_WHEN = "2026-01-01T00:00:00.000Z"


def preupload(ask: Ask) -> Answer:
    repo = ask.repo()
    ask.must_write(repo.name, by_pull="create_pr" in ask.query)
    files = repo.commit(ask["rev"]).files
    told = []
    for file in ask.json["files"]:
        path = file["path"]
        there = files.get(path)
        oid = (there.sha256 if there.lfs else there.oid) if there else None
        mode = "lfs" if ask.hub.is_lfs(path, file["size"]) else "regular"
        ignored = any(fnmatch(path, pattern) for pattern in _ignored(ask.hub, files))
        told.append({"path": path, "uploadMode": mode, "shouldIgnore": ignored, "oid": oid})
    return Answer({"files": told})


def _ignored(hub: Hub, files: dict[str, Blob]) -> list[str]:
    blob = files.get(".gitignore")
    return hub.object(blob.sha256).read_text("utf-8").split() if blob else []


def commit(ask: Ask) -> Answer:
    repo = ask.repo()
    lines = [json.loads(line) for line in ask.body.splitlines() if line.strip()]
    header = lines[0]["value"]
    base = repo.commit(ask["rev"])
    as_pull = "create_pr" in ask.query
    ask.must_write(repo.name, by_pull=as_pull)
    if header.get("parentCommit") not in (None, base.oid):
        raise Refusal(412, "A commit has happened since. Please refresh and try again.")
    files = dict(base.files)
    for line in lines[1:]:
        _apply(ask.hub, files, line["key"], line["value"])
    ref = _open(repo, header["summary"]) if as_pull else repo.ref(ask["rev"])
    if ref is None:
        raise Refusal(400, "a commit goes to a branch")
    made = repo.add(ref, header["summary"], files)
    repo.made.append(header["summary"])
    answer = {"success": True, "commitOid": made.oid, "hookOutput": ""}
    answer["commitUrl"] = f"{ask.hub.api}{repo.path}/commit/{made.oid}"
    if as_pull:
        answer["pullRequestUrl"] = f"{ask.hub.api}{repo.path}/discussions/{len(repo.pulls)}"
    return Answer(answer)


def _apply(hub: Hub, files: dict[str, Blob], key: str, value: dict[str, Any]) -> None:
    path = value["path"]
    if key == "file":
        files[path] = hub.blob(base64.b64decode(value["content"]))
    elif key == "lfsFile":
        if not hub.object(value["oid"]).exists():
            raise Refusal(400, f"{path}: its content was never sent")
        files[path] = hub.lfs_blob(value["oid"], hub.object(value["oid"]).stat().st_size)
    elif key == "deletedFile":
        if files.pop(path, None) is None:
            raise Refusal(404, "A file with this name doesn't exist", "EntryNotFound")
    elif key == "deletedFolder":
        for name in [name for name in files if name.startswith(path.rstrip("/") + "/")]:
            del files[name]


def _open(repo: Repo, title: str) -> str:
    """A new pull request; returns its reference."""
    repo.pulls.append(Pull(len(repo.pulls) + 1, title))
    ref = f"refs/pr/{len(repo.pulls)}"
    repo.refs[ref] = repo.head
    return ref


def branch(ask: Ask) -> Answer:
    repo = ask.repo()
    ask.must_write(repo.name)
    name = ask["branch"]
    if " " in name or ".." in name:
        raise Refusal(400, f"Invalid branch name: {name}")
    return _name(repo, f"refs/heads/{name}", ask.json.get("startingPoint") or "main")


def tag(ask: Ask) -> Answer:
    repo = ask.repo()
    ask.must_write(repo.name)
    return _name(repo, f"refs/tags/{ask.json['tag']}", ask["rev"])


def _name(repo: Repo, ref: str, revision: str) -> Answer:
    if ref in repo.refs:
        raise Refusal(409, f"{ref} already exists")
    repo.refs[ref] = repo.commit(revision).oid
    return Answer()


def _told(repo: Repo, pull: Pull) -> dict[str, Any]:
    values = {"title": pull.title, "num": pull.number, "status": pull.status}
    more = {"author": {"name": USER}, "createdAt": _WHEN, "isPullRequest": True}
    return {**values, **more, "repo": {"name": repo.name, "type": repo.kind}}


def discussions(ask: Ask) -> Answer:
    repo = ask.repo()
    size, page = 10, int(ask.query.get("p", ["0"])[0])
    status = ask.query.get("status", ["all"])[0]
    wanted = [pull for pull in repo.pulls if status in ("all", pull.status)]
    shown = [_told(repo, pull) for pull in wanted[page * size :][:size]]
    return Answer({"discussions": shown, "count": len(wanted), "start": page * size})


def discuss(ask: Ask) -> Answer:
    repo = ask.repo()
    ask.must_write(repo.name, by_pull=True)
    _open(repo, ask.json["title"])
    repo.pulls[-1].status = "draft"
    return Answer({"num": len(repo.pulls)})


def discussion(ask: Ask) -> Answer:
    repo = ask.repo()
    told = _told(repo, repo.pulls[int(ask["number"]) - 1])
    changes = {"base": "refs/heads/main"}
    return Answer({**told, "changes": changes, "filesWithConflicts": [], "events": []})


ROUTES: list[Route] = [
    ("POST", API + "/preupload/(?P<rev>[^/]+)", preupload),
    ("POST", API + "/commit/(?P<rev>[^/]+)", commit),
    ("POST", API + "/branch/(?P<branch>[^/]+)", branch),
    ("POST", API + "/tag/(?P<rev>[^/]+)", tag),
    ("GET", API + "/discussions", discussions),
    ("POST", API + "/discussions", discuss),
    ("GET", API + r"/discussions/(?P<number>\d+)", discussion),
]

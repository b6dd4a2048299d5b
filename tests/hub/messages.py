"""What a request is once it is read, and what answers it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.hub.state import READ_TOKEN, USER, Hub, Refusal, Repo


@dataclass
class Ask:
    """One request."""

    hub: Hub
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    token: str | None
    found: re.Match[str] = field(init=False)

    def __getitem__(self, name: str) -> str:
        """A named part of the path, unquoted."""
        return unquote(self.found[name])

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def form(self, name: str) -> list[str]:
        """Values of a field of a form."""
        return parse_qs(self.body.decode()).get(name, [])

    def repo(self) -> Repo:
        """The repository that the path names, if the token may see it."""
        prefix, name = self.found["kind"] or "", self.found["repo"]
        kind = prefix.rstrip("s/") or "model"
        repo = self.hub.repos.get((kind, name))
        mine = self.token is not None and self.owns(name)
        if repo is None or (repo.private and not mine):
            raise Refusal(
                401 if self.token is None else 404, "Repository not found", "RepoNotFound"
            )
        return repo

    def owns(self, name: str) -> bool:
        return name.partition("/")[0] in (USER, *self.hub.orgs)

    def must_write(self, name: str, *, by_pull: bool = False) -> None:
        """A pull request may be opened by anybody whose token writes at all."""
        if self.token in (None, READ_TOKEN) or not (by_pull or self.owns(name)):
            raise Refusal(403, "You don't have the required permissions")


@dataclass
class Answer:
    """`body` is bytes, a file of which `span` is sent, or anything that JSON can say."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    span: tuple[int, int] | None = None

    def size(self) -> int:
        return self.span[1] - self.span[0] if self.span else len(self.data())

    def data(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, Path) and self.span:
            with self.body.open("rb") as source:
                source.seek(self.span[0])
                return source.read(self.span[1] - self.span[0])
        return json.dumps({} if self.body is None else self.body).encode()


Route = tuple[str, str, Callable[[Ask], Answer]]

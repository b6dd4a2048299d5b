"""What the Hub holds: repositories, their commits, the objects, and the faults to come."""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from tests.hub.formats import Stored, XetFile

TOKEN = "hf_testtokenthatwrites"
READ_TOKEN = "hf_testtokenthatreads"
CAS_TOKENS = {"write": "xet-token-that-writes", "read": "xet-token-that-reads"}
USER = "me"
ORIGINS = ("api", "store", "cas")

_BINARY = (".parquet", ".safetensors", ".bin", ".model", ".arrow", ".gz", ".zip", ".pt")
_LARGE = 10_000_000  # bytes from which every file is an LFS file
_ATTRIBUTES = "".join(f"*{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in _BINARY)


class Refusal(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass
class Fault:
    """What happens to the next `times` requests whose `METHOD /path` matches.

    `answer`: `status`, `headers` and `body` instead of the true answer. `lost`: what was asked is
    done, its answer never comes. `reset`: the line drops half way through what the client sends.
    `cut`: it drops half way through the answer. `meanwhile`: `act` happens first, then the true
    answer is given.
    """

    match: str
    status: int = 503
    times: int = 1
    how: Literal["answer", "lost", "reset", "cut", "meanwhile"] = "answer"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": "no"}'
    act: Callable[["Hub"], object] | None = None


class Blob(NamedTuple):
    """One version of one file; its content is the object of this sha256."""

    size: int
    sha256: str
    oid: str
    lfs: bool


@dataclass
class Commit:
    oid: str
    message: str
    files: dict[str, Blob]


@dataclass
class Pull:
    """A pull request; its reference is `refs/pr/N`."""

    number: int
    title: str
    status: str = "open"


@dataclass
class Repo:
    """A repository: every reference (branch, tag, pull request) is a name for a commit."""

    kind: str
    name: str
    private: bool
    refs: dict[str, str] = field(default_factory=dict)
    history: dict[str, Commit] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    """Messages of the commits that clients made, oldest first."""
    pulls: list[Pull] = field(default_factory=list)

    @property
    def head(self) -> str:
        return self.refs["refs/heads/main"]

    @property
    def path(self) -> str:
        """Where its pages are, without the origin."""
        return f"/datasets/{self.name}" if self.kind == "dataset" else f"/{self.name}"

    def ref(self, revision: str) -> str | None:
        """The full name of a branch, a tag or a pull request."""
        names = (f"refs/heads/{revision}", f"refs/tags/{revision}", revision)
        return next((name for name in names if name in self.refs), None)

    def commit(self, revision: str) -> Commit:
        oid = self.refs.get(self.ref(revision) or "", revision)
        if oid not in self.history:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.history[oid]

    def add(self, ref: str, message: str, files: dict[str, Blob]) -> Commit:
        """A commit that `ref` names from now on."""
        told = repr((len(self.history), ref, message, sorted(files.items())))
        commit = Commit(hashlib.sha1(told.encode()).hexdigest(), message, files)
        self.history[commit.oid] = commit
        self.refs[ref] = commit.oid
        return commit


@dataclass
class Hub:
    """What the server holds, what it was asked, and what is to go wrong."""

    folder: Path
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    xorbs: dict[str, Stored] = field(default_factory=dict)
    xet_files: dict[str, XetFile] = field(default_factory=dict)
    xet_of: dict[str, str] = field(default_factory=dict)
    """sha256 -> Xet hash."""
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    """Requests that carried a token to an origin that it was not for."""
    sent: dict[str, int] = field(default_factory=dict)
    """Bytes of bodies that came in, by origin."""
    shared_names: bool = False
    """Whether a model and a dataset may not have one name."""
    part_size: int | None = None
    """Files longer than this are asked for in parts."""
    page_size: int = 1000
    orgs: tuple[str, ...] = ("team",)
    origin: dict[str, str] = field(default_factory=dict)

    @property
    def api(self) -> str:
        return self.origin["api"]

    def object(self, sha256: str) -> Path:
        return self.folder / sha256

    def keep(self, data: bytes) -> str:
        """Stores an object; returns its sha256."""
        name = hashlib.sha256(data).hexdigest()
        self.object(name).write_bytes(data)
        return name

    def is_lfs(self, path: str, size: int) -> bool:
        return size > 0 and (path.endswith(_BINARY) or size >= _LARGE)

    def blob(self, data: bytes) -> Blob:
        """A file that is kept in git itself."""
        oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return Blob(len(data), self.keep(data), oid, lfs=False)

    def lfs_blob(self, sha256: str, size: int) -> Blob:
        """A file of which git keeps a pointer."""
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        oid = hashlib.sha1(b"blob %d\0" % len(text) + text.encode()).hexdigest()
        return Blob(size, sha256, oid, lfs=True)

    def make(self, kind: str, name: str, *, private: bool = True) -> Repo:
        """A repository with the commit that the Hub begins each one with."""
        repo = self.repos[kind, name] = Repo(kind, name, private)
        files = {".gitattributes": self.blob(_ATTRIBUTES.encode())}
        repo.add("refs/heads/main", "initial commit", files)
        return repo

    def fill(self, repo: Repo, files: dict[str, bytes], message: str = "by hand") -> str:
        """Commits files to main, as somebody else would; returns the new head."""
        now = dict(repo.commit("main").files)
        for path, data in files.items():
            if self.is_lfs(path, len(data)):
                now[path] = self.lfs_blob(self.keep(data), len(data))
            else:
                now[path] = self.blob(data)
        return repo.add("refs/heads/main", message, now).oid

    def files(self, kind: str, name: str, revision: str = "main") -> dict[str, bytes]:
        """Path -> content of a repository at a revision."""
        found = self.repos[kind, name].commit(revision).files
        return {path: self.object(blob.sha256).read_bytes() for path, blob in found.items()}

    def count(self, pattern: str) -> int:
        """How many requests matched."""
        return sum(bool(re.search(pattern, asked)) for asked in self.asked)

    def next_fault(self, asked: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and re.search(fault.match, asked):
                fault.times -= 1
                return fault
        return None

    def note_leaks(self, origin: str, asked: str, headers: Iterable[tuple[str, str]]) -> None:
        """Records a request that carries a token which is for another origin."""
        told = asked + " ".join(value for _, value in headers)
        secrets = {"api": (TOKEN, READ_TOKEN), "cas": tuple(CAS_TOKENS.values())}
        for home, tokens in secrets.items():
            if origin != home and any(token in told for token in tokens):
                self.leaked.append(f"{origin}: {asked}")

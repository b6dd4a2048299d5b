"""Files -> one commit on the Hub; every fault ends in success or in one named error.

All files of a publication become visible together: large files are sent first and nobody sees them,
then one commit names them all, takes away what is no longer there, and brings the card. The head is
read before every try and only what differs from it is sent, so a commit whose answer was lost is
found done, and the same call again goes on where it was, or does nothing.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from synth.errors import HubError
from synth.store.hub.changes import Changes, LocalFile, changes_to
from synth.store.hub.place import Kind, Place, log_in

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, CommitOperationAdd

_AT_ONCE = 1 << 28  # bytes of files that are sent at once


@dataclass(frozen=True, slots=True)
class Published:
    """Where the files are now.

    Attributes:
        url: The page: of the repository, of the branch, or of the pull request.
        commit: The commit that holds the files.
        changed: Whether that commit was made now; False where all was there already.
        private: Whether the repository is private; one that existed stays as it was.
    """

    url: str
    commit: str
    changed: bool
    private: bool


def publish(
    files: Mapping[str, Path | bytes],
    repo: str,
    kind: Kind,
    *,
    message: str,
    private: bool = True,
    branch: str | None = None,
    pr: bool = False,
    tag: str | None = None,
    owned: tuple[str, ...] = (),
    mark: str | None = None,
    wait: Callable[[float], None] = time.sleep,
    sent: Callable[[int, int], None] = lambda done, total: None,
) -> Published:
    """Sends the files as one commit; a repository or branch that is missing is made.

    Args:
        files: Path in the repository -> a local file, or its content.
        repo: `owner/name`; a name alone is one of your own.
        kind: What kind of repository it is.
        message: Of the commit; the title of the pull request.
        private: Whether a repository that is made is private; an existing one stays as it is.
        branch: Where the commit goes, instead of to `main`.
        pr: Opens a pull request to `main` instead; one of yours that is open under this title is
            gone on with.
        tag: Set on the commit; it must be new, or be there already.
        owned: Folders, like `data/`, in which files that are not among `files` are deleted.
        mark: A file that shows whose the repository is: without it files in the owned folders are
            an error, and nothing is deleted or written over there.
        wait: Called with the seconds between two tries.
        sent: Called with how many files that differ are sent, and how many there are.

    Raises:
        HubError: When the Hub cannot be reached or refuses; the same call goes on where it was.
    """
    if branch and pr:
        raise HubError(f"{repo}: a pull request goes to main; ask for a branch or for it, not both")
    place = log_in(repo, kind, wait)
    is_private = place.ensure(private=private)
    if branch:
        place.ensure_branch(branch)
    local = {name: LocalFile(name, source) for name, source in files.items()}
    job = _Job(place, local, _Owned(owned, mark), message, tag, sent)
    done = place.patient(lambda: job.pull() if pr else job.push(branch))
    if tag:
        place.ensure_tag(tag, done.commit)
    # Not what the last try did: it may have found that the one before was done.
    return Published(done.url, done.commit, done.commit != job.first_head, is_private)


def existing_text(
    repo: str,
    kind: Kind,
    name: str,
    *,
    branch: str | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> str | None:
    """The text of a file that the repository has now, or None where there is none.

    A branch that does not exist yet would begin as `main` is, so it is `main` that is read.

    Raises:
        HubError: When the Hub cannot be reached or refuses.
    """
    from huggingface_hub.errors import (
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    place = log_in(repo, kind, wait)

    def read(revision: str | None) -> str | None:
        # An empty cache: an older copy must not stand in for a Hub that does not answer.
        with TemporaryDirectory() as cache:
            try:
                path = place.api.hf_hub_download(
                    place.name, name, repo_type=kind, revision=revision, cache_dir=cache
                )
            except RevisionNotFoundError:
                return read(None) if revision else None
            except (RepositoryNotFoundError, RemoteEntryNotFoundError):
                return None
            return Path(path).read_text("utf-8")

    # Fewer tries: the client has its own for the first half of this.
    return place.patient(lambda: read(branch), tries=3)


@dataclass(frozen=True, slots=True)
class _Done:
    url: str
    commit: str


@dataclass(frozen=True, slots=True)
class _Owned:
    """Folders that are ours, if the mark is there."""

    folders: tuple[str, ...]
    mark: str | None


class _Job:
    """Brings a reference of the repository to hold the files. Every call begins with a look."""

    def __init__(
        self,
        place: Place,
        files: dict[str, LocalFile],
        owned: _Owned,
        message: str,
        tag: str | None,
        sent: Callable[[int, int], None],
    ) -> None:
        self.place, self.files, self.owned = place, files, owned
        self.message, self.tag, self.sent = message, tag, sent
        self.first_head = ""
        self.additions: dict[str, CommitOperationAdd] = {}

    def push(self, branch: str | None) -> _Done:
        """To a branch, or to `main`."""
        done = self._settle(branch)
        url = f"{self.place.page}/tree/{branch}" if branch else self.place.page
        return _Done(url, done.commit)

    def pull(self) -> _Done:
        """To a pull request: the open one, else a new one, unless `main` holds the files."""
        there = self.place.pull(self.message)
        if there is None:
            return self._settle(None, create_pr=True)
        return _Done(there.url, self._settle(there.git_reference).commit)

    def _settle(self, revision: str | None, *, create_pr: bool = False) -> _Done:
        head = str(self.place.info(revision).sha)
        self.first_head = self.first_head or head
        changes = self._changes(head)
        self._check_tag(head, changes)
        if not changes:
            return _Done(self.place.page, head)
        info = self._commit(changes, head, revision, create_pr)
        if left := self._changes(info.oid):
            raise HubError(
                f"{self.place.name}: the Hub did not keep {left.first}; is it in the repository's"
                " .gitignore?"
            )
        return _Done(str(info.pr_url or self.place.page), str(info.oid))

    def _changes(self, commit: str) -> Changes:
        entries = self.place.api.list_repo_tree(
            self.place.name, recursive=True, revision=commit, repo_type=self.place.kind
        )
        there = {entry.path: entry for entry in entries if hasattr(entry, "blob_id")}
        changes = changes_to(there, self.files, self.owned.folders)
        if self.owned.mark is not None and self.owned.mark not in there:
            strange = sorted(name for name in there if name.startswith(self.owned.folders))
            if strange:
                raise HubError(
                    f"{self.place.name}: holds {strange[0]}, which synth did not put there; name"
                    " another repository"
                )
        return changes

    def _check_tag(self, head: str, changes: Changes) -> None:
        """A tag is never moved: what it marks was cited."""
        if self.tag is None:
            return
        marked = self.place.tags().get(self.tag)
        if marked is not None and (changes or marked != head):
            raise HubError(f"{self.place.name}: the tag {self.tag} is taken; choose another one")

    def _commit(
        self, changes: Changes, head: str, revision: str | None, create_pr: bool
    ) -> "CommitInfo":
        from huggingface_hub import CommitOperationDelete

        place = self.place
        if "README.md" in changes.changed:
            # Before anything large is sent; the client itself would ask after it.
            place.check_card(self.files["README.md"].read().decode())
        additions = [self._addition(name) for name in changes.changed]
        where = {"repo_type": place.kind, "revision": revision, "create_pr": create_pr}
        done = 0
        for part in _together(self.files[name] for name in changes.changed):
            self.sent(done, len(additions))
            self._send([self._addition(file.name) for file in part], where)
            done += len(part)
        self.sent(done, len(additions))
        return place.api.create_commit(
            place.name,
            [*additions, *(CommitOperationDelete(name) for name in changes.gone)],
            commit_message=self.message,
            parent_commit=head,
            **where,
        )

    def _send(self, part: "list[CommitOperationAdd]", where: dict[str, Any]) -> None:
        """The large ones of these files, so that the commit has but to name them."""
        # One try: the client has its own for every request of this.
        self.place.patient(
            lambda: self.place.api.preupload_lfs_files(
                self.place.name, part, free_memory=False, **where
            ),
            tries=1,
        )

    def _addition(self, name: str) -> "CommitOperationAdd":
        """The same one at every try: it remembers that its content was sent."""
        from huggingface_hub import CommitOperationAdd

        if name not in self.additions:
            source = self.files[name].source
            self.additions[name] = CommitOperationAdd(
                name, str(source) if isinstance(source, Path) else source
            )
        return self.additions[name]


def _together(files: "Iterable[LocalFile]") -> "Iterator[list[LocalFile]]":
    """The files in parts that are sent at once; after each it can be told how far it is."""
    part: list[LocalFile] = []
    size = 0
    for file in files:
        part.append(file)
        size += file.size
        if size >= _AT_ONCE:
            yield part
            part, size = [], 0
    if part:
        yield part

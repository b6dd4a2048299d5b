"""A repository on the Hub: made where it is missing, with its branches, tags, pull requests."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from yaml import YAMLError

from synth.errors import HubError
from synth.store.hub.faults import Patience, redacted

if TYPE_CHECKING:
    from huggingface_hub import DatasetInfo, Discussion, HfApi, ModelInfo

Kind = Literal["model", "dataset"]


@dataclass(frozen=True, slots=True)
class Place:
    """A repository, there or not, as who is logged in reaches it."""

    api: "HfApi"
    name: str
    kind: Kind
    me: str
    patient: Patience

    @property
    def page(self) -> str:
        """Address of the repository's page."""
        prefix = "datasets/" if self.kind == "dataset" else ""
        return f"{self.api.endpoint}/{prefix}{self.name}"

    def info(self, revision: str | None = None) -> "ModelInfo | DatasetInfo":
        """The repository, its `sha` that of the revision."""
        return self.api.repo_info(self.name, repo_type=self.kind, revision=revision)

    def ensure(self, *, private: bool) -> bool:
        """Makes the repository where it is missing; returns whether it is private."""
        return bool(self.patient(lambda: self._made(private)).private)

    def _made(self, private: bool) -> "ModelInfo | DatasetInfo":
        from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

        try:
            return self.info()
        except RepositoryNotFoundError:
            pass
        taken = False
        try:
            self.api.create_repo(self.name, repo_type=self.kind, private=private)
        except HfHubHTTPError as error:
            # Somebody was quicker, or the name belongs to something else: the next look tells.
            taken = error.response.status_code == 409
            if not taken:
                raise
        try:
            return self.info()
        except RepositoryNotFoundError as error:
            if taken:
                raise HubError(self._taken()) from error
            raise

    def _taken(self) -> str:
        kinds = (kind for kind in ("model", "dataset", "space") if kind != self.kind)
        holders = (kind for kind in kinds if self.api.repo_exists(self.name, repo_type=kind))
        holder = next(holders, None)
        by = f"a {holder}" if holder else "something that your token may not see"
        return f"{self.name}: the name is taken by {by}; choose another one for the {self.kind}"

    def ensure_branch(self, branch: str) -> None:
        """Makes the branch, from `main`, where it is missing."""
        self.patient(
            lambda: self.api.create_branch(
                self.name, branch=branch, repo_type=self.kind, exist_ok=True
            )
        )

    def tags(self) -> dict[str, str]:
        """Tag -> its commit."""
        refs = self.api.list_repo_refs(self.name, repo_type=self.kind)
        return {ref.name: ref.target_commit for ref in refs.tags}

    def ensure_tag(self, tag: str, commit: str) -> None:
        """Sets the tag on the commit, unless it is there."""

        def made() -> None:
            if self.tags().get(tag) != commit:
                self.api.create_tag(self.name, tag=tag, revision=commit, repo_type=self.kind)

        self.patient(made)

    def check_card(self, text: str) -> None:
        """Has the Hub look at a card's metadata.

        Raises:
            HubError: When it refuses them.
        """
        from huggingface_hub import RepoCard

        try:
            RepoCard(text, ignore_metadata_errors=True).validate(repo_type=self.kind)
        except (ValueError, YAMLError) as error:
            told = redacted(" ".join(_messages(str(error)).split()))[:200]
            raise HubError(f"{self.name}: README.md: its metadata is refused ({told})") from error

    def pull(self, title: str) -> "Discussion | None":
        """The open pull request of this title that is one's own."""
        found = self.api.get_repo_discussions(
            self.name, repo_type=self.kind, author=self.me, discussion_type="pull_request"
        )
        open_ones = (x for x in found if x.status in ("open", "draft") and x.author == self.me)
        return next((x for x in open_ones if x.title == title), None)


def _messages(text: str) -> str:
    """What the Hub says is wrong with a card, out of its JSON where it is that."""
    try:
        return "; ".join(str(error["message"]) for error in json.loads(text)["errors"])
    except (ValueError, KeyError, TypeError):
        return text


def log_in(repo: str, kind: Kind, wait: Callable[[float], None]) -> Place:
    """Asks the Hub who one is, before anything else is tried.

    Raises:
        HubError: For a name that no repository can have, or without a token that the Hub knows.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import get_token, validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise HubError(f"{repo!r} names no repository; give OWNER/NAME") from error
    if not re.fullmatch(r"[!-~]*", get_token() or ""):
        # The error that it would cause quotes it.
        raise HubError(f"{repo}: your token has characters that no token has; set HF_TOKEN anew")
    api, patient = HfApi(), Patience(repo, wait)
    me = str(patient(api.whoami)["name"])
    return Place(api, repo if "/" in repo else f"{me}/{repo}", kind, me, patient)

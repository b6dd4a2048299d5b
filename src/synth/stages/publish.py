"""Dataset folder -> a dataset on the Hub, in one commit; its card goes on from the one there."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from synth.records import Listener, Outcome, Progress, content_id, silent
from synth.stages.export import follow
from synth.store.dataset import CARD, PROVENANCE, files_of, folders
from synth.store.hub import existing_text, log_in, publish
from synth.store.run import Run
from synth.store.snapshot import downloaded

STAGE = "publish"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where on the Hub a dataset goes.

    Attributes:
        repo: `owner/name`; a name alone is one of your own.
        public: Whether a repository that is made is public.
        branch: Instead of `main`.
        pr: As a pull request to `main`.
        tag: Set on the commit.
    """

    repo: str
    public: bool = False
    branch: str | None = None
    pr: bool = False
    tag: str | None = None


def check_login(to: Destination) -> Destination:
    """The destination with its owner, once the Hub knows who publishes: before anything is made.

    Raises:
        HubError: When it does not, or cannot be reached.
    """
    return replace(to, repo=log_in(to.repo, "dataset", time.sleep).name)


def publish_dataset(run: Run, folder: Path, to: Destination, listen: Listener = silent) -> Outcome:
    """Sends the dataset of `folder`; only what differs from what is there is sent.

    Notes that people wrote in the card on the Hub are kept, and the card says what changed since
    the version there.

    Raises:
        HubError: When the Hub cannot be reached or refuses; the same command goes on.
    """
    started = time.time()
    listen(Progress(STAGE, note=f"comparing with {to.repo}"))
    files: dict[str, Path | bytes] = dict(files_of(folder))
    files[CARD] = _card(folder, to).encode()
    sent = publish(
        files,
        to.repo,
        "dataset",
        message=f"Publish {run.need('export').fingerprint}",
        private=not to.public,
        branch=to.branch,
        pr=to.pr,
        tag=to.tag,
        owned=folders(),
        mark=PROVENANCE,
        sent=lambda done, total: listen(Progress(STAGE, done, total, "file", f"to {to.repo}")),
    )
    counts = {
        "url": sent.url,
        "commit": sent.commit,
        "sent": "what differed" if sent.changed else "nothing, all was there",
        "visible": _seen_by(sent.private, to.public),
    }
    run.commit(STAGE, content_id(STAGE, 1, sent.commit, to.repo), counts, started)
    return Outcome(STAGE, counts)


def _seen_by(private: bool, public: bool) -> str:
    if not private:
        return "to everybody"
    there = "; it was there before, make it public on its page" if public else ""
    return f"to those whom its owner lets in{there}"


def _card(folder: Path, to: Destination) -> str:
    """The card of the folder, going on from the one on the Hub."""
    text = (folder / CARD).read_text(encoding="utf-8")
    before = existing_text(to.repo, "dataset", CARD, branch=to.branch)
    if before is None:
        return text
    ours = existing_text(to.repo, "dataset", PROVENANCE, branch=to.branch) is not None
    place = f"{to.repo}@{to.branch}" if to.branch else to.repo
    return follow(text, before, downloaded(place, or_main=True) if ours else None, folder)

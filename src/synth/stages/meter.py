"""Answers as they come -> how far a run is and how fast, told to a listener and added up."""

import time
from dataclasses import dataclass

from synth.records import Completion, Listener, Progress
from synth.stages.reading import Account
from synth.store.candidates import Asked
from synth.text.junk import declines

_EVERY = 32  # answers between two reports


@dataclass(slots=True)
class Meter:
    """What passes through: tells how far the work is, and adds it up.

    `size` is the corpus's, in bytes; 0 where nobody knows it.
    """

    stage: str
    size: int
    account: Account
    listen: Listener
    read_bytes: int = 0
    began: float = 0.0
    done: int = 0
    new_tokens: int = 0
    prompt_tokens: int = 0
    errors: int = 0
    declined: int = 0
    measured: int = 0
    first_error: str = ""

    def read(self, count: int) -> None:
        """So many bytes of the corpus were read."""
        self.read_bytes += count

    def begin(self) -> None:
        """The engine is ready."""
        self.began = time.monotonic()
        self.tell("")

    def count(self, asked: Asked, completion: Completion) -> None:
        """One answer more."""
        self.done += 1
        self.prompt_tokens += len(asked.ids)
        self.new_tokens += completion.tokens
        if completion.finish == "error":
            self.errors += 1
            self.first_error = self.first_error or completion.error
        self.declined += declines(completion.text)
        if self.done % _EVERY == 0:
            seconds = max(1e-6, time.monotonic() - self.began)
            self.tell(
                f"{self.prompt_tokens / seconds:,.0f} tokens/s in,"
                f" {self.new_tokens / seconds:,.0f} out"
            )

    def measure(self) -> None:
        """One measure more of what scores are made of."""
        self.measured += 1
        if self.measured % _EVERY == 0:
            self.tell("scoring")

    def end(self) -> None:
        """Nothing more will come."""
        self.tell("", whole=True)

    def tell(self, note: str, *, whole: bool = False) -> None:
        """How far it is, of what by the bytes read so far will be the whole."""
        account = self.account
        share = min(1.0, self.read_bytes / self.size) if self.size else 0.0
        share = 1.0 if whole else share
        total = round(account.requests / share) if share else 0
        done = account.reused + self.done
        counts = {
            "generated": self.done - self.declined - self.errors,
            "declined": self.declined,
            "errors": self.errors,
            "found from before": account.reused,
            "segments skipped": account.skipped.total(),
            "measures for scores": self.measured,
        }
        self.listen(
            Progress(self.stage, done, max(done, total), "candidate", note, account.reused, counts)
        )

    def counts(self, seconds: float) -> dict[str, int | float | str]:
        """Name -> number, for the manifest."""
        counts: dict[str, int | float | str] = {
            "generated": self.done,
            "engine_errors": self.errors,
            "prompt_tokens": self.prompt_tokens,
            "new_tokens": self.new_tokens,
        }
        if self.first_error:
            counts["first_error"] = self.first_error
        if self.done:
            pairs = self.done - self.errors
            counts["pairs_per_hour"] = round(pairs / max(seconds, 1e-6) * 3600)
        return counts

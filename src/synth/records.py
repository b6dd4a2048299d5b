"""The values that pass between the layers. Frozen; ids come from content, never from position.

Those of which there is one for each document or request are named tuples: they are made by the
million, and a frozen dataclass takes three times as long.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


def content_id(*parts: object) -> str:
    """A 16-digit hexadecimal id of the parts (blake2b, 64 bits)."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = str(part).encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def key_of(text: str) -> int:
    """As a `content_id`, a number: of what is one text already, in half the time."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class Pair:
    """An instruction and its response, made by people: what the adapter learns from."""

    instruction: str
    response: str
    source: str = field(default="", compare=False)

    @property
    def id(self) -> str:
        """Hash of both texts."""
        return content_id(self.instruction, self.response)


_NOTHING: dict[str, str] = {}  # of many; nobody writes to it


class Document(NamedTuple):
    """One text of the corpus, with where it was read (`file:line`) and what came with it.

    `markup` is `markdown` for a text that is known to be, else empty.
    """

    id: str
    text: str
    place: str
    metadata: dict[str, str] = _NOTHING
    markup: str = ""

    def key(self) -> int:
        """What it shares with those that repeat it: a hash of id and text, of 64 bits."""
        return key_of(f"{len(self.id)} {self.id}{self.text}")


@dataclass(frozen=True, slots=True)
class Part:
    """The `number`-th, counted from 1, of `of` parts of a corpus; the first of one is all of it.

    What belongs to which part is decided by content: equal documents meet in one part.
    """

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> "Part":
        """From `i/n`.

        Raises:
            ValueError: For anything else, and for an `i` that is not from 1 to `n`.
        """
        found = _PART.fullmatch(text)
        part = cls(*map(int, found.groups())) if found else None
        if part is None or not 1 <= part.number <= part.of:
            raise ValueError(f"{text!r} is no part of a corpus: say i/n, with i from 1 to n")
        return part

    def holds(self, key: int) -> bool:
        """Whether what has that key, a hash of its content, belongs to the part."""
        return key % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True, slots=True)
class Piece(Part):
    """The `number`-th of `of` stretches into which a corpus is cut, each read without the rest."""

    def holds(self, key: int) -> bool:
        """Whatever is read belongs to it."""
        return True


_PART = re.compile(r"([0-9]{1,5})/([0-9]{1,5})")
WHOLE = Part()


class BadLine(NamedTuple):
    """A corpus line that holds no usable document, and why."""

    place: str
    reason: str


class Segment(NamedTuple):
    """A span of a document: `document.text[start:end] == text`, in characters.

    `skip` is empty for a segment that is worth a candidate, else the reason why it is not; `id` is
    a hash of document id, span and text.
    """

    id: str
    document_id: str
    start: int
    end: int
    text: str
    skip: str = ""
    metadata: dict[str, str] = _NOTHING

    @classmethod
    def of(
        cls,
        document_id: str,
        start: int,
        end: int,
        text: str,
        skip: str = "",
        metadata: dict[str, str] = _NOTHING,
    ) -> "Segment":
        """A segment with its id."""
        key = key_of(f"{len(document_id)} {document_id}{start} {end} {text}")
        return cls(f"{key:016x}", document_id, start, end, text, skip, metadata)


class Completion(NamedTuple):
    """What an engine returned for one request.

    Attributes:
        text: The generated text without special tokens, stripped.
        tokens: How many tokens were generated, eos included.
        finish: `stop` when the model ended it, `length` when the limit did, `error` when the engine
            failed on it, again and again; then `text` is empty.
        logprob: Mean log-probability of the generated tokens, nats; at temperature 1, before top-p.
        error: What went wrong, if anything.
    """

    text: str
    tokens: int
    finish: str
    logprob: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage did: its counts; whether it was done already; whether it only planned."""

    stage: str
    counts: dict[str, Any]
    skipped: bool = False
    planned: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is.

    Attributes:
        stage: Its name.
        done: Units done.
        total: Units in all; 0 when unknown.
        unit: What is counted, in the singular.
        note: What is being done, and figures beside the counts, for people.
        found: Units of `done` that were there before, so that they say nothing of the pace.
        counts: Outcome -> how many had it, such as `kept` and `rejected`.
    """

    stage: str
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""
    found: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)


Listener = Callable[[Progress], None]
"""Called by stages with their progress; the command line draws it."""


def silent(_: Progress) -> None:
    """A listener that ignores progress."""

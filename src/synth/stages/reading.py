"""Corpus -> segments on disk, and a stream of the requests that nobody has answered yet."""

import hashlib
import itertools
import time
from array import array
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synth.errors import InputError
from synth.prompt import Rendered, Tokenizer
from synth.recipe import Recipe
from synth.records import WHOLE, BadLine, Document, Part, Piece, Segment, key_of
from synth.settings import Corpus
from synth.stages.common import prompt_of
from synth.store.candidates import AddSegments, Asked, writing_bad_lines, writing_segments
from synth.store.corpus import Source, read_corpus
from synth.store.idset import IdSet
from synth.store.run import Run
from synth.text.control import Learnt, drawn, language, line
from synth.text.segment import cut_all

_BATCH = 1024  # documents that are cut together
_RENDERED = 512  # segments that are rendered together: meanwhile the engine is given nothing
_NAMED = 3  # sources that an error names
_CHARACTERS = 1 << 21  # of documents that are cut together; the last may have more
_PATIENCE = 1.0  # seconds that a document waits for others


@dataclass(slots=True)
class Account:
    """What became of a part of the corpus: every document and every segment is counted once.

    `elsewhere` counts what belongs to other parts: their documents, however often they stand there.
    """

    elsewhere: int = 0
    documents: int = 0
    repeated_documents: int = 0
    empty_documents: int = 0
    bad_lines: int = 0
    dropped_lines: int = 0
    segments: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    reused: int = 0
    shortened: int = 0
    first_bad: str = ""

    def adds_up(self, samples: int) -> bool:
        """Whether every segment was skipped or asked, so many times each."""
        return samples * (self.segments - self.skipped.total()) == self.requests

    def counts(self) -> dict[str, Any]:
        """Name -> number, `skipped` by reason."""
        return {
            "documents": self.documents,
            "bad_lines": self.bad_lines,
            "repeated_documents": self.repeated_documents,
            "empty_documents": self.empty_documents,
            "dropped_lines": self.dropped_lines,
            "segments": self.segments,
            "skipped": dict(self.skipped.most_common()),
            "candidates": self.requests,
            "reused": self.reused,
            "shortened": self.shortened,
        }


@dataclass(frozen=True, slots=True)
class Asking:
    """How a segment becomes requests.

    Attributes:
        recipe: The recipe.
        tokenizer: The base's.
        learnt: The training pairs' traits.
        made_by: Hash of what answers depend on beside their prompts.
    """

    recipe: Recipe
    tokenizer: Tokenizer
    learnt: Learnt
    made_by: str

    def of(self, segments: Sequence[Segment]) -> list[tuple[Segment, list[Asked]]]:
        """Each segment with its requests; one of too many tokens has none, and says so."""
        settings, most = self.recipe.generate, self.recipe.corpus.max_tokens
        marks = [key_of(f"{settings.seed} {sample}") for sample in range(settings.samples)]
        draws = [
            (row, sample, seed := (int(segment.id, 16) ^ mark) >> 1, self._wanted(segment, seed))
            for row, segment in enumerate(segments)
            for sample, mark in enumerate(marks)
        ]
        prompts = self._prompts(segments, [(row, line_) for row, _, _, line_ in draws])
        asked: list[list[Asked]] = [[] for _ in segments]
        for row, sample, seed, line_ in draws:
            prompt = prompts[row, line_]
            if most is None or prompt.text_tokens <= most:
                asked[row].append(self._asked(segments[row], sample, seed, line_, prompt))
        return [
            (segment if requests else segment._replace(skip="too_long"), requests)
            for segment, requests in zip(segments, asked, strict=True)
        ]

    def _prompts(
        self, segments: Sequence[Segment], wanted: Sequence[tuple[int, str]]
    ) -> dict[tuple[int, str], Rendered]:
        """(row of a segment, control line) -> prompt.

        Samples differ in their control line alone; without one they share a prompt.
        """
        kinds = list(dict.fromkeys(wanted))
        rendered = prompt_of(self.recipe).render_all(
            [segments[row].text for row, _ in kinds],
            self.tokenizer,
            self.recipe.generate.max_tokens,
            [line_ for _, line_ in kinds],
        )
        return dict(zip(kinds, rendered, strict=True))

    def _asked(
        self, segment: Segment, sample: int, seed: int, wanted: str, prompt: Rendered
    ) -> Asked:
        ids, shortened, _ = prompt
        digest = hashlib.blake2b(f"{self.made_by} {segment.id} {seed} ".encode(), digest_size=8)
        digest.update(array("I", ids))
        number = int.from_bytes(digest.digest(), "little")
        return Asked(number, segment, sample, seed, wanted, shortened, ids)

    def _wanted(self, segment: Segment, seed: int) -> str:
        """The control line: drawn, but for the language, which is the text's own."""
        if not self.learnt:
            return ""
        target = self.recipe.generate.control
        wanted = drawn(self.learnt, target, seed)
        if "language" in wanted and "language" not in target:
            wanted["language"] = language(segment.text)
        return line(wanted)


def pending(
    run: Run,
    sources: Sequence[Source],
    asking: Asking,
    answered: IdSet,
    account: Account,
    advance: Callable[[int], None],
    *,
    part: Part = WHOLE,
    strict: bool = False,
    seen: IdSet | None = None,
) -> Generator[Asked, None, None]:
    """The requests not answered yet, while the part's segments and bad lines are written.

    Those files are whole once the stream was read to its end.

    Args:
        run: Where the files go.
        sources: The corpus.
        asking: Makes requests of segments.
        answered: Requests that have an answer.
        account: Is kept up to date.
        advance: Told of the bytes that were read.
        part: Which part of the corpus is asked; of the rest no more is done than to read it.
        strict: Whether the first bad line, of whichever part, ends the run.
        seen: Keys of documents that stand in the corpus before what is read here.

    Raises:
        InputError: For a corpus without a document or, with `strict`, with a bad line.
    """
    settings = asking.recipe.corpus
    seen = IdSet() if seen is None else seen
    with writing_segments(run, part) as add_segments, writing_bad_lines(run, part) as add_bad:
        for batch in _batches(read_corpus(sources, settings, advance)):
            for bad in bad_lines(batch, account, part, strict=strict):
                add_bad(bad)
            documents = fresh_documents(batch, seen, account, part)
            for asked in _requests(documents, asking, add_segments, account):
                ready = answered.holds(np.array([a.id for a in asked], dtype=np.uint64))
                account.reused += int(ready.sum())
                yield from itertools.compress(asked, ~ready)
        if not account.documents + account.elsewhere and not isinstance(part, Piece):
            raise no_document(sources, account.bad_lines, account.first_bad)


def _batches(items: Iterable[Document | BadLine]) -> Iterator[list[Document | BadLine]]:
    """The items in order, as many at a time as are cut together; fewer where they come slowly."""
    batch: list[Document | BadLine] = []
    characters, due = 0, time.monotonic() + _PATIENCE
    for item in items:
        batch.append(item)
        characters += len(item.text) if isinstance(item, Document) else 0
        if len(batch) >= _BATCH or characters >= _CHARACTERS or time.monotonic() >= due:
            yield batch
            batch, characters, due = [], 0, time.monotonic() + _PATIENCE
    if batch:
        yield batch


def no_document(sources: Sequence[Source], bad_lines: int, first_bad: str) -> InputError:
    """The error of a corpus without a document."""
    first = f" ({bad_lines} bad lines; the first: {first_bad})" if bad_lines else ""
    every = list(dict.fromkeys(source.name for source in sources))
    names = ", ".join(every[:_NAMED])
    if len(every) > _NAMED:
        names += f" and {len(every) - _NAMED:,} more"
    return InputError(f"{names}: holds no document{first}; check the file and corpus.text")


def bad_lines(
    batch: Iterable[Document | BadLine], account: Account, part: Part, *, strict: bool
) -> Iterator[BadLine]:
    """The bad lines of the part; with `strict` there is none in any part."""
    for bad in (item for item in batch if isinstance(item, BadLine)):
        if strict:
            raise InputError(f"{bad.place}: {bad.reason}; correct the line or leave out --strict")
        if part.holds(key_of(bad.place)):
            account.bad_lines += 1
            account.first_bad = account.first_bad or f"{bad.place}: {bad.reason}"
            yield bad


def fresh_documents(
    batch: Iterable[Document | BadLine], seen: IdSet, account: Account, part: Part
) -> list[Document]:
    """The documents of the part that were not there before."""
    every = [item for item in batch if isinstance(item, Document)]
    keyed = ((document, document.key()) for document in every)
    held = [(document, key) for document, key in keyed if part.holds(key)]
    new = seen.add(np.array([key for _, key in held], dtype=np.uint64))
    fresh = [document for document, _ in itertools.compress(held, new.tolist())]
    account.elsewhere += len(every) - len(held)
    account.documents += len(fresh)
    account.repeated_documents += len(held) - len(fresh)
    return fresh


def _requests(
    documents: Sequence[Document], asking: Asking, add: AddSegments, account: Account
) -> Iterator[list[Asked]]:
    """The documents' segments are added to the file; their requests come out, some at a time."""
    segments = _segments(documents, asking.recipe.corpus, account)
    while chunk := list(itertools.islice(segments, _RENDERED)):
        following = iter(asking.of([segment for segment in chunk if not segment.skip]))
        asked = [(segment, []) if segment.skip else next(following) for segment in chunk]
        add(
            [segment for segment, _ in asked],
            [[request.id for request in requests] for _, requests in asked],
        )
        account.skipped.update(segment.skip for segment, _ in asked if segment.skip)
        found = list(itertools.chain.from_iterable(requests for _, requests in asked))
        account.requests += len(found)
        account.shortened += sum(request.shortened for request in found)
        yield found


def _segments(
    documents: Sequence[Document], settings: Corpus, account: Account
) -> Iterator[Segment]:
    for pieces in cut_all(documents, settings):
        account.dropped_lines += pieces.dropped_lines
        account.segments += len(pieces.segments)
        account.empty_documents += not pieces.segments
        yield from pieces.segments

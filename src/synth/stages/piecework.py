"""A piece of a corpus -> its segments, then its answers: what workers of a cluster do.

Every step is that of one machine (`reading.pending`, `backtranslate.answer`); what is here reads
and writes the piece's own files, and finds out on which request an engine dies. Nothing here knows
who hands out the work.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synth.errors import InputError, ModelError, RunError
from synth.models.protocols import Engine, Models
from synth.recipe import Recipe
from synth.records import BadLine, Completion, Document, Piece, silent
from synth.settings import Corpus
from synth.stages.backtranslate import answer, asking_of, is_whole, weights_of
from synth.stages.common import AdapterInfo, provenance_of
from synth.stages.meter import Meter
from synth.stages.reading import Account, Asking, pending
from synth.store.asking import Trial, answered, asked_in, writing_asked
from synth.store.candidate_rows import unanswered
from synth.store.candidates import Asked, Scores, Shards
from synth.store.corpus import Source, ignore, read_corpus
from synth.store.idset import Ids, IdSet
from synth.store.locks import working_for
from synth.store.parts import STAGE, commit_part, done_part
from synth.store.pieces import FileRange
from synth.store.run import Run

_DEATHS = 64  # of engines, on one piece, after which the piece is given up


@dataclass(frozen=True, slots=True)
class Work:
    """What all who work on pieces of one corpus must know.

    Attributes:
        run: Where the files go, on a file system that all share.
        recipe: The recipe.
        models: What they load; travels to them.
        adapter: The adapter.
        fingerprint: Of the candidates.
        chief: The command that they work for.
        here: The folder in which that was given; names in a recipe are relative to it.
        strict: Whether a bad line ends the run.
    """

    run: Run
    recipe: Recipe
    models: Models
    adapter: AdapterInfo
    fingerprint: str
    chief: str
    here: str
    strict: bool

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Keeps the next command waiting until what is under way here is over."""
        os.chdir(self.here)
        with working_for(self.run.workers, self.chief):
            yield


@dataclass(frozen=True, slots=True)
class Looked:
    """What a piece has: the keys of its documents in order, lines of its range, bad lines."""

    keys: Ids
    lines: int
    bad_lines: int
    first_bad: str


def identity(piece: Sequence[Source], here: str) -> list[str]:
    """What tells the piece's content from another."""
    os.chdir(here)
    return [source.identity() for source in piece]


def look(piece: Sequence[Source], settings: Corpus, here: str, strict: bool) -> Looked:
    """The documents of a piece, for those who must know what stands before theirs.

    Raises:
        InputError: With `strict`, for a bad line.
    """
    os.chdir(here)
    keys: list[int] = []
    bad: list[BadLine] = []
    bad_lines = 0
    for item in read_corpus(piece, settings):
        if isinstance(item, Document):
            keys.append(item.key())
            continue
        if strict:
            raise InputError(f"{item.place}: {item.reason}; correct the line or leave out --strict")
        bad_lines += 1
        bad = bad or [item]
    lines = sum(source.lines() for source in piece if isinstance(source, FileRange))
    first = f"{bad[0].place}: {bad[0].reason}" if bad else ""
    return Looked(np.array(keys, dtype=np.uint64), lines, bad_lines, first)


def is_done(work: Work, part: Piece) -> bool:
    """Whether the piece was finished as it is to be made now, and is all there."""
    with work.begun():
        done = done_part(work.run, part)
        if done is None or done.fingerprint != work.fingerprint:
            return False
        return is_whole(work.run, work.recipe, part, done)


def cut(work: Work, part: Piece, sources: Sequence[Source], again: Ids) -> dict[str, Any]:
    """Writes the piece's segments, bad lines and requests.

    Args:
        work: What to do.
        part: Which piece it is.
        sources: What it is read from.
        again: Keys of its documents that stand in the corpus before it.

    Returns:
        The account of it, as counts.
    """
    recipe, account = work.recipe, Account()
    with work.begun():
        if part.of > 1:
            work.run.done_of(part).unlink(missing_ok=True)
        stream = pending(
            work.run, sources, _asking(work), IdSet(), account, ignore,
            part=part, strict=work.strict, seen=IdSet(again),
        )  # fmt: skip
        with writing_asked(work.run, part, texts="ifd" in recipe.generate.scores) as add:
            for asked in stream:
                add(asked)
    if not account.adds_up(recipe.generate.samples):
        raise RunError(f"{work.run.segments_of(part)}: segments were lost; run again")
    return account.counts()


_made: dict[str, Asking] = {}


def _asking(work: Work) -> Asking:
    """How this process puts segments to the adapter; its tokenizer is loaded once."""
    if work.chief not in _made:
        _made.clear()
        _made[work.chief] = asking_of(work.recipe, work.models, work.adapter)
    return _made[work.chief]


@dataclass(slots=True)
class Answering:
    """One who has an engine, and answers piece after piece with it."""

    work: Work
    _engine: Engine | None = field(default=None)

    def piece(self, part: Piece, told: Mapping[str, Any]) -> dict[str, Any]:
        """Answers the requests of a piece, and says that it is done.

        Args:
            part: Which piece it is.
            told: The account of it.

        Returns:
            What the run tells of it.

        Raises:
            ModelError: When an engine fails on whatever it is given.
        """
        run = self.work.run
        with self.work.begun():
            counts = self._told_before(part) or self._made(part, told)
            run.asked_of(part).unlink(missing_ok=True)
            run.tried_of(part).unlink(missing_ok=True)
        return counts

    def _told_before(self, part: Piece) -> dict[str, Any] | None:
        """What was told when the piece was done; None where it is not.

        Whoever cuts the piece takes back that it is done. So where it is, an engine was done with
        it, and what it told was lost with its process or node.
        """
        done = done_part(self.work.run, part)
        return done.counts if done and done.fingerprint == self.work.fingerprint else None

    def _made(self, part: Piece, told: Mapping[str, Any]) -> dict[str, Any]:
        run, recipe, started = self.work.run, self.work.recipe, time.time()
        meter = self._answered(part, Trial.read(run.tried_of(part)))
        lost = unanswered(run, recipe.generate, part)
        if lost:
            raise RunError(f"{run.candidates}: {lost} requests have no answer; run again")
        counts = {**told, **meter.counts(time.time() - started)}
        counts["reused"] = counts["candidates"] - counts["generated"]
        commit_part(run, part, self.work.fingerprint, counts, started)
        return counts

    def _answered(self, part: Piece, trial: Trial) -> Meter:
        """Tries until nothing is left that has no answer."""
        while True:
            if trial.deaths > _DEATHS:
                raise ModelError(
                    f"{trial.path}: the engine died {_DEATHS} times on one piece of the corpus;"
                    " see what it needs (memory, first of all), and run again"
                )
            try:
                return self._attempt(part, trial)
            except ModelError:
                # A server that is gone for one request is gone for all.
                if self._engine is None or self.work.recipe.generate.engine == "endpoint":
                    raise
                self.close()
                trial = Trial.read(trial.path)

    def _attempt(self, part: Piece, trial: Trial) -> Meter:
        """Puts what has no answer yet to the engine.

        Where one died before, what it had then goes first and by halves, so that each death leaves
        half as many to suspect; a request that is left alone is answered with an error.
        """
        work, run = self.work, self.work.run
        meter = Meter(STAGE, 0, Account(), silent)
        shards = Shards(run, provenance_of(work.recipe, work.adapter), part)
        ready = answered(run, work.recipe.generate, part)
        dead = set(trial.dead)
        suspects = [n for n in dict.fromkeys(trial.put) if n not in dead and n not in ready]
        if suspects == [trial.last]:
            self._bury(part, suspects.pop(), trial, shards)
        half = -(-len(suspects) // 2)
        for group in filter(None, (suspects[:half], suspects[half:])):
            chosen = set(group)
            trial.begin(group[0] if len(group) == 1 else None)
            self._put(self._asked(part, ready, chosen.__contains__), trial, shards, meter)
        gone = {*suspects, *trial.dead}
        trial.begin()
        self._put(self._asked(part, ready, lambda n: n not in gone), trial, shards, meter)
        meter.done += len(trial.dead)
        meter.errors += len(trial.dead)
        meter.first_error = meter.first_error or (_KILLS if trial.dead else "")
        return meter

    def _asked(
        self, part: Piece, ready: set[int], wanted: Callable[[int], bool]
    ) -> Iterator[Asked]:
        for asked in asked_in(self.work.run, part):
            if asked.id not in ready and wanted(asked.id):
                yield asked

    def _put(self, stream: Iterator[Asked], trial: Trial, shards: Shards, meter: Meter) -> None:
        first = next(stream, None)
        if first is None:
            return
        engine = self._started()
        with trial as about:

            def noted() -> Iterator[Asked]:
                for asked in itertools.chain([first], stream):
                    about(asked.id)
                    yield asked

            answer(engine, noted(), self.work.recipe, shards, meter)

    def _bury(self, part: Piece, number: int, trial: Trial, shards: Shards) -> None:
        """Answers a request that the engine dies on, for it."""
        for asked in asked_in(self.work.run, part):
            if asked.id == number:
                shards.write([(asked, Completion("", 0, "error", 0.0, error=_KILLS), Scores())])
                break
        trial.dead.append(number)

    def _started(self) -> Engine:
        if self._engine is None:
            work = self.work
            self._engine = work.models.engine(work.recipe, weights_of(work.run, work.recipe))
        return self._engine

    def close(self) -> None:
        """Frees the engine."""
        engine, self._engine = self._engine, None
        if engine is not None:
            with suppress(ModelError):
                engine.close()


_KILLS = "the engine's process died on this request, again and again"

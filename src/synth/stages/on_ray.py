"""Corpus + adapter -> candidates on a cluster; Ray Data says who does what next.

The corpus is cut into pieces. Tasks read, cut and tokenize them; a pool of engines answers them;
all of that is `piecework.py`, over the stage functions of one machine. Texts stay in files of the
run folder, which all nodes share: through Ray go numbers of pieces and counts.

Ray's own `ray.data.llm` is not used: its processor owns the prompt, the sampling and the engine,
all of which are ours and have to be the same on one machine. Its checkpoints are not either: they
keep the ids of finished rows in files of their own, and load all of them before a run begins; here
an answer in a shard is its own checkpoint, and a piece needs to know of none but its own.
"""

import json
import pickle
import time
import uuid
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from synth.models.protocols import Models
from synth.recipe import Recipe
from synth.records import Listener, Outcome, Piece, Progress, silent
from synth.stages.backtranslate import fingerprint_of
from synth.stages.cluster import Fleet, cluster, fleet_of, in_order, raise_told, told
from synth.stages.common import read_adapter
from synth.stages.piecework import Answering, Work, cut, identity, is_done, look
from synth.stages.reading import no_document
from synth.store.corpus import Source, find_corpus
from synth.store.idset import Ids, IdSet
from synth.store.locks import chief
from synth.store.parts import STAGE, begin_division, need_corpus, settle
from synth.store.pieces import Survey, divide, numbered, survey_id
from synth.store.run import Run

_MIB = 1 << 20
_CALLS = 10_000  # pieces that a worker cuts until another takes its place


def backtranslate_on_ray(
    run: Run,
    recipe: Recipe,
    models: Models,
    corpus: Sequence[str],
    listen: Listener = silent,
    *,
    strict: bool = False,
) -> Outcome:
    """Generates instructions for every segment of the corpus into `run.candidates`, as one machine.

    Whatever dies, the same command goes on with the pieces that are not done, and in those with the
    requests that have no answer.

    Raises:
        InputError: For a corpus without a document or, with `strict`, with a bad line.
        RunError: For a cluster that cannot be reached or has not enough room.
        SynthError: Without an adapter that fits the recipe, or when the engine fails.
    """
    run = Run(run.folder.absolute())
    pieces = divide(find_corpus(corpus, recipe.corpus), round(recipe.ray.piece_mib * _MIB))
    adapter = read_adapter(run.adapter, recipe, models)
    name, here = uuid.uuid4().hex, str(Path.cwd())
    listen(Progress(STAGE, note="starting ray"))
    with cluster(recipe.ray) as nodes, chief(run.workers, name):
        fleet = fleet_of(recipe, nodes)
        listen(Progress(STAGE, note="reading the corpus"))
        calls = ((piece, here) for piece in pieces)
        identities = [one for found in in_order(identity, calls, nodes) for one in found]
        division = ("pieces", *map(len, pieces))
        fingerprint = fingerprint_of(recipe, adapter, identities, *division, strict=strict)
        work = Work(run, recipe, models, adapter, fingerprint, name, here, strict)
        left = _left(work, len(pieces), nodes)
        if not left:
            settle(run)
            return Outcome(STAGE, need_corpus(run).counts, skipped=True)
        begin_division(run, len(pieces))
        survey = _survey(work, pieces, survey_id(pieces, recipe.corpus, identities), nodes)
        sources = numbered(pieces, survey.lines)
        todo = [(part, sources[part.number - 1], survey.again[part.number - 1]) for part in left]
        _answer(work, todo, fleet, _Tally(len(pieces), listen, len(pieces) - len(todo)))
    settle(run)
    return Outcome(STAGE, need_corpus(run).counts)


def replicas(recipe: Recipe) -> int:
    """How many engines the cluster has room for.

    Raises:
        RunError: For a cluster that cannot be reached or has not enough room.
    """
    with cluster(recipe.ray) as nodes:
        return fleet_of(recipe, nodes).most


def _left(work: Work, of: int, nodes: Sequence[Any]) -> list[Piece]:
    """The pieces that are still to be made."""
    every = [Piece(number, of) for number in range(1, of + 1)]
    if of == 1:
        return every if not is_done(work, every[0]) else []
    told_of = [part for part in every if work.run.done_of(part).is_file()]
    ready = in_order(is_done, ((work, part) for part in told_of), nodes)
    done = {part for part, whole in zip(told_of, ready, strict=True) if whole}
    return [part for part in every if part not in done]


def _survey(
    work: Work, pieces: Sequence[Sequence[Source]], fingerprint: str, nodes: Sequence[Any]
) -> Survey:
    """Which documents of each piece stand before it, and how many lines.

    Holds 8 bytes a document. Is read from disk where it was made before.

    Raises:
        InputError: When there is no document at all.
    """
    known = Survey.read(work.run.pieces, fingerprint)
    if known is not None and len(known.lines) == len(pieces):
        return known
    seen = IdSet()
    survey = Survey([], [])
    bad_lines, first_bad, documents = 0, "", 0
    calls = ((piece, work.recipe.corpus, work.here, work.strict) for piece in pieces)
    for found in in_order(look, calls, nodes):
        keys: Ids = np.unique(found.keys)
        survey.again.append(keys[~seen.add(keys)])
        survey.lines.append(found.lines)
        documents += len(keys)
        bad_lines += found.bad_lines
        first_bad = first_bad or found.first_bad
    if not documents:
        raise no_document([source for piece in pieces for source in piece], bad_lines, first_bad)
    survey.write(work.run.pieces, fingerprint)
    return survey


@dataclass(slots=True)
class _Tally:
    """Counts pieces and what is in them, and tells how far it is."""

    of: int
    listen: Listener
    done: int
    generated: int = 0
    errors: int = 0
    began: float = field(default_factory=time.monotonic)

    def tell(self) -> None:
        """How far it is."""
        speed = self.generated / max(1e-6, time.monotonic() - self.began)
        note = f"{self.generated} generated, {speed:,.0f}/s; {self.errors} errors"
        self.listen(Progress(STAGE, self.done, self.of, "piece", note))

    def count(self, counts: dict[str, Any]) -> None:
        """One piece more."""
        self.done += 1
        self.generated += counts["generated"]
        self.errors += counts["engine_errors"]
        self.tell()


def _answer(
    work: Work, todo: Sequence[tuple[Piece, list[Source], Ids]], fleet: Fleet, tally: _Tally
) -> None:
    """Puts the pieces through tasks that cut them and engines that answer them."""
    tally.tell()
    with closing(_flow(work, todo, fleet)) as rows:
        for row in rows:
            raise_told(row["error"], row["told"])
            tally.count(json.loads(row["told"]))


def _flow(
    work: Work, todo: Sequence[tuple[Piece, list[Source], Ids]], fleet: Fleet
) -> Generator[dict[str, Any], None, None]:
    import ray
    from ray.data import ActorPoolStrategy

    # An engine is given one piece at a time, so that none waits behind another's.
    pool = ActorPoolStrategy(
        min_size=fleet.least,
        max_size=fleet.most,
        initial_size=max(fleet.least, min(fleet.most, len(todo))),
        max_tasks_in_flight_per_actor=1,
    )
    items = [{"number": piece[0].number, "piece": pickle.dumps(piece)} for piece in todo]
    pieces = ray.data.from_items(items, override_num_blocks=len(items))
    # That they ask for something else keeps Ray Data from taking both steps for one, in which the
    # engines would do the reading.
    cuts = pieces.map(_cut, fn_args=(work,), num_cpus=1, max_calls=_CALLS)
    answers = cuts.map(
        _Engines, fn_constructor_args=(work,), compute=pool,
        num_cpus=fleet.cpus, num_gpus=fleet.gpus,
    )  # fmt: skip
    yield from answers.iter_rows()


def _cut(row: dict[str, Any], work: Work) -> dict[str, Any]:
    """A row of one piece -> a row of what was cut from it."""
    part, sources, again = pickle.loads(row["piece"])
    return _row(part, *told(cut, work, part, sources, again))


def _row(part: Piece, counts: dict[str, Any] | None, error: str, text: str) -> dict[str, Any]:
    told_ = text if error else json.dumps(counts)
    return {"number": part.number, "of": part.of, "error": error, "told": told_}


class _Engines:
    """An actor with an engine."""

    def __init__(self, work: Work) -> None:
        self._answering = Answering(work)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Answers a piece, unless there is an error to be handed on."""
        if row["error"]:
            return row
        part = Piece(row["number"], row["of"])
        return _row(part, *told(self._answering.piece, part, json.loads(row["told"])))

"""Corpus + adapter -> candidates, in shards written whole; a killed run goes on where it was."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from synth.errors import InputError, RunError
from synth.models.protocols import Engine, Models, Request
from synth.recipe import Recipe
from synth.records import BadLine, Listener, Outcome, Progress, Segment, content_id, silent
from synth.stages.common import prompt_of, read_adapter
from synth.store.corpus import check_corpus, read_corpus
from synth.store.files import file_hash, write_parquet, write_text
from synth.store.run import Run
from synth.tables.curation import CANDIDATE
from synth.text.control import Learnt, drawn, language, learnt_traits, line
from synth.text.segment import segments

STAGE = "backtranslate"
_STAMP = "fingerprint"


def backtranslate(
    run: Run,
    recipe: Recipe,
    models: Models,
    corpus: Sequence[str],
    listen: Listener = silent,
    *,
    strict: bool = False,
) -> Outcome:
    """Generates an instruction for every segment of the corpus into `run.candidates`.

    Rows already generated with the same adapter, prompt and settings are kept, whatever became of
    the corpus; rows made with others are set aside, and come back when those settings do.

    Raises:
        InputError: For a corpus without a document or, with `strict`, with a bad line.
        SynthError: Without an adapter that fits the recipe.
    """
    started = time.time()
    files = check_corpus(corpus)
    adapter = read_adapter(run.adapter, recipe, models)
    made_by = content_id(
        STAGE, 2, adapter.fingerprint, adapter.base_identity, adapter.prompt_hash,
        recipe.generate.model_copy(update={"shard": 1}).fingerprint(),
    )  # fmt: skip
    fingerprint = content_id(
        made_by, recipe.corpus.fingerprint(), strict, *(file_hash(file) for file in files)
    )
    done = run.done(STAGE)
    if done and done.fingerprint == fingerprint and run.segments.is_file():
        return Outcome(STAGE, done.counts, skipped=True)
    listen(Progress(STAGE, note="reading the corpus"))
    reading = _read(files, recipe, strict=strict)
    run.forget(STAGE)
    _open_shards(run, made_by)
    _write_reading(run, reading)
    ready = _finished_ids(run)
    pending = [segment for segment in reading.segments if segment.id not in ready]
    if pending:
        learnt = learnt_traits(adapter.control)
        _generate(run, recipe, models, learnt, pending, len(reading.segments), listen)
    counts = {
        "documents": reading.documents,
        "bad_lines": len(reading.bad_lines),
        "repeated_documents": reading.repeated,
        "segments": len(reading.segments),
        "skipped": sum(bool(segment.skip) for segment in reading.segments),
        "reused": len(reading.segments) - len(pending),
    }
    run.commit(STAGE, fingerprint, counts, started)
    return Outcome(STAGE, counts)


class _Reading:
    """A corpus as read: its segments in order, each once, and what was wrong with it."""

    def __init__(self) -> None:
        self.documents = 0
        self.repeated = 0
        self.segments: list[Segment] = []
        self.bad_lines: list[BadLine] = []


def _read(files: Sequence[Path], recipe: Recipe, *, strict: bool) -> _Reading:
    reading = _Reading()
    settings = recipe.corpus
    seen: set[str] = set()
    for item in read_corpus(files, settings):
        if isinstance(item, BadLine):
            if strict:
                raise InputError(
                    f"{item.place}: {item.reason}; correct the line or leave out --strict"
                )
            reading.bad_lines.append(item)
            continue
        key = content_id(item.id, item.text)
        if key in seen:
            reading.repeated += 1
            continue
        seen.add(key)
        reading.documents += 1
        reading.segments += segments(
            item, settings.min_chars, settings.max_chars, settings.shortest
        )
    if not reading.documents:
        bad = f" ({len(reading.bad_lines)} bad lines; the first: {reading.bad_lines[0].place}:" \
              f" {reading.bad_lines[0].reason})" if reading.bad_lines else ""  # fmt: skip
        names = ", ".join(str(file) for file in files)
        raise InputError(f"{names}: holds no document{bad}; check the file and corpus.text")
    return reading


def _open_shards(run: Run, made_by: str) -> None:
    """Makes `run.candidates` the folder of the rows made by this adapter and these settings."""
    stamp = run.candidates / _STAMP
    current = stamp.read_text(encoding="utf-8") if stamp.is_file() else None
    if current == made_by:
        return
    if run.candidates.is_dir() and current is not None:
        run.candidates.rename(run.set_aside(current))
    if run.set_aside(made_by).is_dir():
        run.set_aside(made_by).rename(run.candidates)
    run.candidates.mkdir(parents=True, exist_ok=True)
    write_text(stamp, made_by)


def _write_reading(run: Run, reading: _Reading) -> None:
    ids = pl.DataFrame({"segment_id": [segment.id for segment in reading.segments]})
    write_parquet(run.segments, ids)
    lines = [
        json.dumps({"place": bad.place, "reason": bad.reason}, ensure_ascii=False)
        for bad in reading.bad_lines
    ]
    write_text(run.bad_lines, "".join(line + "\n" for line in lines))


def _finished_ids(run: Run) -> set[str]:
    """Ids of the rows in committed shards."""
    shards = run.shards()
    if not shards:
        return set()
    return set(pl.scan_parquet(shards).select("segment_id").collect()["segment_id"])


def _generate(
    run: Run,
    recipe: Recipe,
    models: Models,
    learnt: Learnt,
    pending: Sequence[Segment],
    total: int,
    listen: Listener,
) -> None:
    """Writes the pending segments' candidates, a shard at a time."""
    listen(
        Progress(STAGE, total - len(pending), total, "segment", f"loading {recipe.generate.engine}")
    )
    engine = models.engine(recipe, _weights(run, recipe))
    number = len(run.shards())
    done = total - len(pending)
    try:
        for chunk in _chunks(pending, recipe.generate.shard):
            rows = _candidates(chunk, recipe, engine, learnt)
            write_parquet(run.shard(number), pl.DataFrame(rows, schema=CANDIDATE, orient="row"))
            number += 1
            done += len(chunk)
            listen(Progress(STAGE, done, total, "segment"))
    finally:
        engine.close()


def _weights(run: Run, recipe: Recipe) -> Path:
    """The folder of what the recipe wants run."""
    if recipe.generate.weights == "adapter":
        return run.adapter
    if run.done("merge") is None or not run.merged.is_dir():
        raise RunError(f"{run.merged}: no merged model; run `synth finetune --merge` first")
    return run.merged


def _chunks(segments: Sequence[Segment], size: int) -> Iterator[Sequence[Segment]]:
    for start in range(0, len(segments), size):
        yield segments[start : start + size]


def _candidates(
    chunk: Sequence[Segment], recipe: Recipe, engine: Engine, learnt: Learnt
) -> list[tuple[object, ...]]:
    """Rows of `CANDIDATE`, one per segment; a skipped segment is not put to the engine."""
    prompt, room = prompt_of(recipe), recipe.generate.max_tokens
    asked = [segment for segment in chunk if not segment.skip]
    seeds = {s.id: int(content_id(recipe.generate.seed, s.id), 16) for s in asked}
    wanted = {s.id: _wanted(s, recipe, learnt, seeds[s.id]) for s in asked}
    requests = [
        Request(prompt.render(s.text, engine.tokenizer, room, wanted[s.id]).ids, seeds[s.id])
        for s in asked
    ]
    answers = dict(zip((s.id for s in asked), engine.generate(requests), strict=True))
    rows: list[tuple[object, ...]] = []
    for segment in chunk:
        answer = answers.get(segment.id)
        rows.append(
            (
                segment.id,
                segment.document_id,
                segment.start,
                segment.end,
                segment.text,
                segment.skip,
                answer.text if answer else None,
                answer.finish if answer else None,
                answer.tokens if answer else None,
                answer.logprob if answer else None,
                wanted.get(segment.id),
                json.dumps(segment.metadata, ensure_ascii=False, sort_keys=True),
            )
        )
    return rows


def _wanted(segment: Segment, recipe: Recipe, learnt: Learnt, seed: int) -> str:
    """The control line of a segment: drawn, but for the language, which is the text's own."""
    wanted = drawn(learnt, recipe.generate.control, seed)
    if "language" in wanted and "language" not in recipe.generate.control:
        wanted["language"] = language(segment.text)
    return line(wanted)

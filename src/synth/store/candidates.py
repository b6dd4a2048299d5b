"""What lies in `candidates/`: the segments of the corpus, and what the engine said of them.

`segments.parquet` holds every segment of the corpus as it is now, in its order, with the requests
that were made of it; of a corpus in parts each part has a file. `part-*.parquet` hold the answers,
by request, in the order in which they came. A request's id is a hash of all that its answer depends
on, so that answers are found again whatever becomes of the corpus or the settings; those that
nothing refers to stay for another day.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import polars as pl

from synth.errors import RunError
from synth.records import WHOLE, BadLine, Completion, Part, Segment
from synth.settings import Generate
from synth.store.files import whole, write_parquet, writing_parquet
from synth.store.frames import frame_of, frame_with
from synth.store.idset import IdSet
from synth.store.run import Run

SEGMENT = {
    "segment_id": pl.String,
    "document_id": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
    "text": pl.String,
    "skip": pl.String,
    "metadata": pl.String,
    "requests": pl.List(pl.UInt64),
}
ANSWER = {
    "request": pl.UInt64,
    "sample": pl.Int64,
    "seed": pl.Int64,
    "wanted": pl.String,
    "shortened": pl.Boolean,
    "instruction": pl.String,
    "finish": pl.String,
    "tokens": pl.Int64,
    "logprob": pl.Float64,
    "r_ifd": pl.Float64,
    "ifd": pl.Float64,
    "error": pl.String,
    "provenance": pl.String,
}
_SAID = {name: kind for name, kind in ANSWER.items() if name != "provenance"}
_ROW_GROUP = 16384  # segments held until they are written
_as_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode  # made once: it is slow


class Asked(NamedTuple):
    """A request for an instruction: which sample of which segment, and how it is put."""

    id: int
    segment: Segment
    sample: int
    seed: int
    wanted: str
    shortened: bool
    ids: list[int]


class Scores(NamedTuple):
    """What was measured of a candidate beside its log-probability; None where it was not."""

    r_ifd: float | None = None
    ifd: float | None = None


AddSegments = Callable[[Sequence[Segment], Sequence[Sequence[int]]], None]
"""Takes segments, and the ids of each one's requests."""


@contextmanager
def writing_segments(run: Run, part: Part = WHOLE) -> Iterator[AddSegments]:
    """What adds to a part's segments; the file is whole when the block ends without error."""
    with writing_parquet(run.segments_of(part), SEGMENT, _ROW_GROUP) as writer:

        def add(segments: Sequence[Segment], requests: Sequence[Sequence[int]]) -> None:
            if segments:
                *columns, metadata = zip(*segments, strict=True)
                as_json = [_as_json(fields) if fields else "{}" for fields in metadata]
                writer.add(frame_with([*columns, as_json, requests], SEGMENT))

        yield add


@contextmanager
def writing_bad_lines(run: Run, part: Part = WHOLE) -> Iterator[Callable[[BadLine], None]]:
    """What adds to a part's bad lines; the file is whole when the block ends without error."""
    with whole(run.bad_lines_of(part)) as path, path.open("w", encoding="utf-8") as file:

        def add(bad: BadLine) -> None:
            row = {"place": bad.place, "reason": bad.reason}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

        yield add
        file.flush()


class Shards:
    """Answers in memory until they fill a shard; each shard is written whole.

    Args:
        run: Where the shards lie.
        provenance: What all of these answers come from, as JSON.
        part: The part of the corpus that they answer; only one process writes its shards.
    """

    def __init__(self, run: Run, provenance: str, part: Part = WHOLE) -> None:
        self._run = run
        self._provenance = provenance
        self._part = part
        numbers = (int(path.stem.rpartition("-")[2]) for path in run.shards_of(part))
        self._number = max(numbers, default=-1) + 1

    def write(self, rows: Sequence[tuple[Asked, Completion, Scores]]) -> None:
        """Writes a shard of these answers."""
        table = [
            (
                asked.id, asked.sample, asked.seed, asked.wanted, asked.shortened,
                said.text, said.finish, said.tokens, said.logprob,
                scores.r_ifd, scores.ifd, said.error,
            )
            for asked, said, scores in rows
        ]  # fmt: skip
        frame = frame_of(table, _SAID).with_columns(provenance=pl.lit(self._provenance))
        write_parquet(self._run.shard(self._number, self._part), frame)
        self._number += 1


def usable(settings: Generate) -> pl.Expr:
    """Whether an answer is what these settings would give.

    A lower or higher `max_new_tokens` changes only the answers that it cuts, or cut.
    """
    limit = settings.max_new_tokens
    whole_ = (pl.col("finish") == "stop") & (pl.col("tokens") <= limit)
    cut = (pl.col("finish") == "length") & (pl.col("tokens") == limit)
    scored = [pl.col(score).is_not_null() for score in settings.scores]
    return pl.all_horizontal(whole_ | cut, *scored)


def finished(run: Run, settings: Generate, part: Part = WHOLE) -> IdSet:
    """The requests whose answers lie in the shards that a part looks into."""
    shards = run.shards_for(part)
    if not shards:
        return IdSet()
    with readable(run):
        done = pl.scan_parquet(shards).filter(usable(settings)).select("request").collect()
    return IdSet(done["request"].to_numpy())


@contextmanager
def readable(run: Run) -> Iterator[None]:
    """Names the file that cannot be read.

    Raises:
        RunError: For such a file.
    """
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"{_broken(run)}: cannot be read ({reason:.120}); delete it, and `synth backtranslate`"
            " makes again what it held"
        ) from error


def _broken(run: Run) -> Path:
    """The first file of candidates that is damaged or has not these columns, or their folder."""
    columns = dict.fromkeys(run.segment_files(), SEGMENT) | dict.fromkeys(run.shards(), ANSWER)
    for path, expected in columns.items():
        try:
            found = pl.read_parquet_schema(path)
        except (pl.exceptions.PolarsError, OSError):
            return path
        if any(found.get(name) != kind for name, kind in expected.items()):
            return path
    return run.candidates

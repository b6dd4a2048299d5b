"""What lies in `candidates/`: the segments of the corpus, and what the engine said of them.

`segments.parquet` holds every segment of the corpus as it is now, in its order, with the requests
that were made of it; of a corpus in parts each part has a file. `part-*.parquet` hold the answers,
by request, in the order in which they came. A request's id is a hash of all that its answer depends
on, so that answers are found again whatever becomes of the corpus or the settings; those that
nothing refers to stay for another day.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from synth.errors import RunError
from synth.records import WHOLE, BadLine, Completion, Part, Segment
from synth.settings import Generate
from synth.store.files import whole, write_parquet, writing_rows
from synth.store.frames import frame_of
from synth.store.idset import IdSet
from synth.store.repeats import Repeats, repeats
from synth.store.run import Run

_SEGMENT = {
    "segment_id": pl.String,
    "document_id": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
    "text": pl.String,
    "skip": pl.String,
    "metadata": pl.String,
    "requests": pl.List(pl.UInt64),
}
_ANSWER = {
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
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.")
_BLOCK = 16384  # candidates looked at together
_ROW_GROUP = 16384  # segments held until they are written


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for an instruction: which sample of which segment, and how it is put."""

    id: int
    segment: Segment
    sample: int
    seed: int
    wanted: str
    shortened: bool
    ids: list[int]


@dataclass(frozen=True, slots=True)
class Scores:
    """What was measured of a candidate beside its log-probability; None where it was not."""

    r_ifd: float | None = None
    ifd: float | None = None


AddSegment = Callable[[Segment, str, list[int]], None]
"""Takes a segment, its metadata as JSON, and the ids of its requests."""


@contextmanager
def writing_segments(run: Run, part: Part = WHOLE) -> Iterator[AddSegment]:
    """What adds to a part's segments; the file is whole when the block ends without error."""
    with writing_rows(run.segments_of(part), _SEGMENT, _ROW_GROUP) as add_row:

        def add(segment: Segment, metadata: str, requests: list[int]) -> None:
            add_row(
                (
                    segment.id, segment.document_id, segment.start, segment.end, segment.text,
                    segment.skip, metadata, requests,
                )
            )  # fmt: skip

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
                scores.r_ifd, scores.ifd, said.error, self._provenance,
            )
            for asked, said, scores in rows
        ]  # fmt: skip
        write_parquet(self._run.shard(self._number, self._part), frame_of(table, _ANSWER))
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


def candidates(run: Run, settings: Generate) -> pl.LazyFrame:
    """One row for each request of each segment, in the corpus's order, with its answer.

    A segment that was skipped has one row, without an answer; so has a request without one.
    """
    files = run.segment_files()
    asked = _requests(pl.scan_parquet(files), repeats(files))
    return _answered(asked, _said(run.shards(), settings), settings)


def _answered(asked: pl.LazyFrame, said: pl.LazyFrame, settings: Generate) -> pl.LazyFrame:
    """Requests with their answers; an error only where there is nothing better."""
    best = said.sort(usable(settings), descending=True, maintain_order=True)
    answers = best.unique("request", keep="first")
    return asked.join(answers, on="request", how="left", maintain_order="left")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Segments of a run that stand together in a file: so many, from the row `start` on."""

    path: Path
    start: int
    rows: int

    def scan(self) -> pl.LazyFrame:
        """The segments."""
        return pl.scan_parquet(self.path).slice(self.start, self.rows)

    @property
    def part(self) -> Part:
        """The part of the corpus that the file is of."""
        found = _PART.search(self.path.name)
        return Part(int(found[1]), int(found[2])) if found else WHOLE


def partitions(run: Run, most: int) -> list[list[Stretch]]:
    """All segments of the run in their order, in partitions of some `most` of them.

    Small files share a partition, large ones have several.

    Raises:
        RunError: For a file that cannot be read.
    """
    found: list[list[Stretch]] = []
    held = most  # segments of the last partition
    for path in run.segment_files():
        with readable(run):
            count = pq.read_metadata(path).num_rows
        for start in range(0, count, most):
            rows = min(most, count - start)
            if held + rows > most:
                found.append([])
                held = 0
            found[-1].append(Stretch(path, start, rows))
            held += rows
    return found or [[Stretch(run.segment_files()[0], 0, 0)]]


def _requests(segments: pl.LazyFrame, twice: Repeats) -> pl.LazyFrame:
    """One row for each `request` of each segment, or for a segment without any; each once."""
    numbered = segments.with_row_index("row") if twice.segments else segments
    rows = numbered.explode("requests", empty_as_null=True).rename({"requests": "request"})
    return twice.left_out(rows).drop("row") if twice.segments else rows


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
    """The first file of candidates that is cut short or lacks a column, or their folder."""
    columns = {path: set(_SEGMENT) for path in run.segment_files()}
    columns |= {shard: set(_ANSWER) for shard in run.shards()}
    for path, expected in columns.items():
        try:
            if expected - set(pq.read_schema(path).names):
                return path
        except (pa.ArrowInvalid, OSError):
            return path
    return run.candidates


class CandidateRows:
    """The candidates of a run, read block by block as often as wanted."""

    def __init__(
        self,
        run: Run,
        segments: pl.LazyFrame,
        said: pl.LazyFrame,
        twice: Repeats,
        settings: Generate,
    ) -> None:
        """Of some segments of the run, what is said of their requests, and what repeats in them."""
        self._run, self._segments, self._twice = run, segments, twice
        self._whole = _answered(_requests(segments, twice), said, settings)
        self._said = said
        made = segments.select(pl.col("requests").list.len().clip(lower_bound=1).sum())
        with readable(run):
            rows = int(made.collect(engine="streaming").item())
        self.count = rows - twice.rows.height
        self.repeated_segments = twice.segments

    @classmethod
    def all_of(cls, run: Run, settings: Generate) -> Self:
        """All candidates of the run."""
        files = run.segment_files()
        with readable(run):
            twice = repeats(files)
        return cls(run, pl.scan_parquet(files), _said(run.shards(), settings), twice, settings)

    @classmethod
    def within(
        cls, run: Run, settings: Generate, partition: Sequence[Stretch], twice: Repeats
    ) -> Self:
        """Those of a partition; `twice` numbers its rows alone."""
        segments = pl.concat([stretch.scan() for stretch in partition])
        near = {shard for part in {s.part for s in partition} for shard in run.shards_for(part)}
        shards = [shard for shard in run.shards() if shard in near]
        with readable(run):
            requests = segments.select(pl.col("requests").explode()).drop_nulls().collect()
        # An engine that streams would join all answers there are.
        ours = pl.col("request").is_in(requests["requests"].implode())
        return cls(run, segments, _said(shards, settings).filter(ours), twice, settings)

    def unanswered(self) -> int:
        """How many requests nobody answered, not even with an error."""
        return _lost(self._run, self._segments, self._said)

    def blocks(self, *columns: str) -> Iterator[pl.DataFrame]:
        """These columns of all candidates, in the corpus's order."""
        rows = self._whole
        if set(columns) <= set(_SEGMENT):
            rows = _requests(self._segments, self._twice)
        with readable(self._run):
            yield from rows.select(columns).collect_batches(chunk_size=_BLOCK, maintain_order=True)


def unanswered(run: Run, settings: Generate, part: Part | None = None) -> int:
    """How many requests of the present segments nobody answered, not even with an error.

    Args:
        run: Where they lie.
        settings: What answers are usable by.
        part: Of which part of the corpus; None: of all that there are.
    """
    files = run.segment_files() if part is None else [run.segments_of(part)]
    shards = run.shards() if part is None else run.shards_for(part)
    return _lost(run, pl.scan_parquet(files), _said(shards, settings))


def _lost(run: Run, segments: pl.LazyFrame, said: pl.LazyFrame) -> int:
    asked = segments.select(pl.col("requests").explode().alias("request"))
    with readable(run):
        lost = asked.drop_nulls().join(said, on="request", how="anti")
        return int(lost.select(pl.len()).collect(engine="streaming").item())


def _said(shards: list[Path], settings: Generate) -> pl.LazyFrame:
    """Every answer that counts, errors included."""
    if not shards:
        return pl.LazyFrame(schema=_ANSWER)
    return pl.scan_parquet(shards).filter(usable(settings) | (pl.col("finish") == "error"))

"""The candidates of a run: its segments with what the engine said of them, read as often as wanted.

A row for each request of each segment, in the corpus's order; a segment that was skipped has one
row, without an answer, and so has a request that nobody answered.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl
import pyarrow.parquet as pq

from synth.records import WHOLE, Part
from synth.settings import Generate
from synth.store.candidates import ANSWER, SEGMENT, readable, usable
from synth.store.repeats import Repeats, repeats
from synth.store.run import Run

_PART = re.compile(r"-(\d{5})-of-(\d{5})\.")
_BLOCK = 16384  # candidates looked at together


def candidates(run: Run, settings: Generate) -> pl.LazyFrame:
    """One row for each request of each segment, in the corpus's order, with its answer.

    A segment that was skipped has one row, without an answer; so has a request without one.
    """
    files = run.segment_files()
    asked = _requests(pl.scan_parquet(files), repeats(files))
    return _answered(asked, _said(run.shards(), settings), settings)


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
        self._run, self._segments, self._twice, self._said = run, segments, twice, said
        made = segments.select(pl.col("requests").list.len().clip(lower_bound=1).sum())
        with readable(run):
            self._whole = _answered(_requests(segments, twice), said, settings)
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
        if set(columns) <= set(SEGMENT):
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
        return pl.LazyFrame(schema=ANSWER)
    said = pl.scan_parquet(shards, schema=ANSWER, extra_columns="ignore")
    return said.filter(usable(settings) | (pl.col("finish") == "error"))


def _answered(asked: pl.LazyFrame, said: pl.LazyFrame, settings: Generate) -> pl.LazyFrame:
    """Requests with their answers; an error only where there is nothing better."""
    twice = said.select(pl.col("request").is_duplicated().any())
    if twice.collect(engine="streaming").item():  # rare, and sorting takes all of them in memory
        said = said.sort(usable(settings), descending=True, maintain_order=True)
        said = said.unique("request", keep="first")
    return asked.join(said, on="request", how="left", maintain_order="left")


def _requests(segments: pl.LazyFrame, twice: Repeats) -> pl.LazyFrame:
    """One row for each `request` of each segment, or for a segment without any; each once."""
    numbered = segments.with_row_index("row") if twice.segments else segments
    rows = numbered.explode("requests", empty_as_null=True).rename({"requests": "request"})
    return twice.left_out(rows).drop("row") if twice.segments else rows

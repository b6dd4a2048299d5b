"""The requests of a piece of the corpus on disk, from the task that cuts it to the engine.

They lie there with their token ids, so that who has an engine neither cuts nor tokenizes, and so
that they need not be made again when it dies. Once all are answered they are deleted.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import polars as pl
import pyarrow.parquet as pq

from synth.records import Part, Segment
from synth.settings import Generate
from synth.store.candidates import Asked, readable, usable
from synth.store.files import write_text, writing_rows
from synth.store.run import Run

_ASKED = {
    "request": pl.UInt64,
    "sample": pl.Int64,
    "seed": pl.Int64,
    "wanted": pl.String,
    "shortened": pl.Boolean,
    "text": pl.String,
    "ids": pl.List(pl.UInt32),
}
_ROWS = 1024  # requests in memory at once


@contextmanager
def writing_asked(run: Run, part: Part, *, texts: bool) -> Iterator[Callable[[Asked], None]]:
    """What adds to a piece's requests; the file is whole when the block ends without error.

    Args:
        run: Where it lies.
        part: The piece.
        texts: Whether the segments' texts are wanted as well; some scores need them.
    """
    with writing_rows(run.asked_of(part), _ASKED, _ROWS) as add_row:

        def add(asked: Asked) -> None:
            text = asked.segment.text if texts else ""
            add_row(
                (asked.id, asked.sample, asked.seed, asked.wanted, asked.shortened, text, asked.ids)
            )

        yield add


def asked_in(run: Run, part: Part) -> Iterator[Asked]:
    """A piece's requests in order; of their segments no more than the text, if it was kept."""
    with readable(run), pq.ParquetFile(run.asked_of(part)) as file:
        for batch in file.iter_batches(_ROWS, use_threads=False):
            for row in batch.to_pylist():
                segment = Segment("", "", 0, 0, row["text"])
                yield Asked(
                    row["request"], segment, row["sample"], row["seed"], row["wanted"],
                    row["shortened"], row["ids"],
                )  # fmt: skip


def answered(run: Run, settings: Generate, part: Part) -> set[int]:
    """Those of a piece's requests that have an answer, in its shards or an older division's.

    No more is held than the piece's requests, however many answers the run has.
    """
    shards = run.shards_for(part)
    if not shards:
        return set()
    with readable(run):
        asked = pl.scan_parquet(run.asked_of(part)).select("request")
        done = pl.scan_parquet(shards).filter(usable(settings)).select("request")
        found = asked.join(done, on="request", how="semi").collect(engine="streaming")
    return set(found["request"])


@dataclass(slots=True)
class Trial:
    """Which requests were put to an engine that did not come back, and what is known of them.

    Attributes:
        path: Where it lies, while a piece is worked on.
        deaths: How often an engine died on this piece.
        last: The request that was put to an engine alone, if one was.
        dead: Requests that an engine died on more than once when it had no other.
        put: Requests that were put to the last engine, in order.
    """

    path: Path
    deaths: int = 0
    last: int | None = None
    dead: list[int] = field(default_factory=list)
    put: list[int] = field(default_factory=list)
    _file: IO[str] | None = None

    @classmethod
    def read(cls, path: Path) -> "Trial":
        """What the attempts before this one left; nothing where there was none."""
        try:
            head, *put = path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return cls(path)
        deaths, last, *dead = head.split(" ")
        # A last number without its newline was cut short.
        return cls(
            path, int(deaths) + 1, int(last) if last != "-" else None, [int(i) for i in dead],
            [int(number) for number in put[:-1]],
        )  # fmt: skip

    def begin(self, last: int | None = None) -> Self:
        """An engine is about to be put requests; `last` when it is this one alone."""
        self.last = last
        words = [self.deaths, "-" if last is None else last, *self.dead]
        write_text(self.path, " ".join(map(str, words)) + "\n")
        return self

    def __enter__(self) -> Callable[[int], None]:
        self._file = self.path.open("a", encoding="utf-8")
        return self._about

    def _about(self, request: int) -> None:
        if self._file is not None:
            self._file.write(f"{request}\n")
            self._file.flush()  # to the system: it outlives this process, if not the machine

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

"""Candidates made for tests, and sorting them in memory."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from synth.settings import Curate, Duplicates
from synth.tables.candidate import CANDIDATE
from synth.tables.curation import Verdicts, curate
from synth.tables.looking import Tools
from synth.tables.sorting import CURATED, REJECTED, named, sorted_out
from synth.text.private import SUSPECT, find

GOOD = (
    "The {0} is a tool that people have used with care for a long time. It stands in the yard of"
    " every farm, and the {0} is made to be lifted by one hand number {1}."
)
ID = [f"{number:016x}" for number in range(64)]
LOOSE = Curate(duplicates=Duplicates(near=1.0))


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A good candidate about one of many different things, changed as asked."""
    noun = f"thing{chr(97 + number % 26)}{chr(97 + number // 26)}x"
    made = {
        "segment_id": ID[number],
        "sample": 0,
        "document_id": f"d{number}",
        "start": 0,
        "end": 100,
        "text": GOOD.format(noun, noun[::-1]),
        "skip": "",
        "instruction": f"What is a {noun}?",
        "finish": "stop",
        "tokens": 6,
        "logprob": -0.3,
        "r_ifd": None,
        "ifd": None,
        "error": "",
        "wanted": "",
        "seed": 1,
        "shortened": False,
        "metadata": json.dumps({}),
        "provenance": "{}",
    }
    return made | changes


@dataclass(frozen=True)
class Frame:
    """Candidates in memory, read in blocks of a few rows."""

    rows: pl.DataFrame
    block: int = 7

    @property
    def count(self) -> int:
        return self.rows.height

    def blocks(self, *columns: str) -> Iterator[pl.DataFrame]:
        yield from self.rows.select(columns).iter_slices(self.block)


@dataclass(frozen=True)
class Sorted:
    curated: pl.DataFrame
    rejected: pl.DataFrame
    verdicts: Verdicts


TOOLS = Tools(find, SUSPECT, pl.DataFrame())


def sort(*rows: dict[str, Any], settings: Curate = LOOSE, tools: Tools = TOOLS) -> Sorted:
    candidates = Frame(pl.DataFrame(list(rows), schema=CANDIDATE))
    verdicts = curate(candidates, settings, tools)
    claims = named(candidates, verdicts.claims)
    parts = list(sorted_out(candidates, claims, verdicts.rows, settings.private, tools))
    curated = pl.concat([pl.DataFrame(schema=CURATED), *(part.kept for part in parts)])
    rejected = pl.concat([pl.DataFrame(schema=REJECTED), *(part.gone for part in parts)])
    return Sorted(curated, rejected, verdicts)


def reasons(result: Sorted) -> dict[str, str]:
    """Segment id -> reason, of the rows that go."""
    return dict(result.rejected.select("segment_id", "reason").iter_rows())

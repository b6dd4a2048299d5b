"""Instructions and texts -> the same with private data masked, and which rows must be dropped.

One expression tells polars which texts can hold such data at all; only those are searched.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Literal, Protocol

import polars as pl

from synth.settings import Private
from synth.settings.curation import Side

_LETTERS = re.compile(r"[\W_]+")
_SPACED = {"phone", "iban", "card"}  # kinds that are the same however they are spaced
SIDES: tuple[Side, ...] = ("instruction", "text")


class Span(Protocol):
    """Characters of a text that are private data of one kind."""

    @property
    def kind(self) -> str:
        """Name of its setting."""
        ...

    @property
    def start(self) -> int:
        """Where it begins."""
        ...

    @property
    def end(self) -> int:
        """Where it ends."""
        ...


class Find(Protocol):
    """Finds the private data of some kinds, in order, without overlaps."""

    def __call__(
        self,
        text: str,
        kinds: Collection[str],
        engine: Literal["patterns", "presidio"],
        possible: Collection[str],
    ) -> Sequence[Span]:
        """Spans in the text, which bears the signs of the `possible` kinds alone."""
        ...


def private(
    frame: pl.DataFrame,
    settings: Private,
    find: Find,
    signs: Mapping[str, str],
    columns: Sequence[str] = SIDES,
    suspects: pl.Series | None = None,
) -> pl.DataFrame:
    """Masks private data, as `<EMAIL_1>`: in one row the same value has the same number everywhere.

    Args:
        frame: The columns, which may hold nulls.
        settings: What becomes of each kind.
        find: Finds it in one text.
        signs: Kind -> an expression that each text matches in which some is found by patterns.
        columns: Those that are searched.
        suspects: What `suspect` says of each row with such settings, where that is known.

    Returns:
        Row for row the columns; `masked`, a JSON object of how often each kind was masked, null
        where none was; `private`, the kind for which the row must go, null otherwise.

    Raises:
        RecipeError: Presidio is asked for and not installed.
    """
    if suspects is None:
        suspects = suspect(frame, settings, signs, columns)
    nothing = pl.lit(None, pl.String)
    rows = frame.select(*columns, masked=nothing, private=nothing)
    searched = frame.select(columns).filter(suspects)
    if searched.is_empty():
        return rows
    kinds = _kinds(settings, signs)
    found = [
        _one(sides, possible, kinds, settings, find)
        for sides, possible in zip(searched.iter_rows(), _possible(searched, signs), strict=True)
    ]
    places = suspects.arg_true()
    return rows.with_columns(
        column.scatter(places, pl.Series(values, dtype=pl.String))
        for column, values in zip(rows, zip(*found, strict=True), strict=True)
    )


def suspect(
    frame: pl.DataFrame,
    settings: Private,
    signs: Mapping[str, str],
    columns: Sequence[str] = SIDES,
) -> pl.Series:
    """Whether each row can hold private data that is not kept; the arguments are `private`'s."""
    sign = "|".join(signs[kind] for kind in _kinds(settings, signs))
    if sign and settings.engine == "presidio":  # which has patterns of its own
        sign = r"\d|@|:"
    bears = [pl.col(column).str.contains(sign).fill_null(value=False) for column in columns if sign]
    nowhere = pl.repeat(value=False, n=pl.len())
    return frame.select(pl.any_horizontal(nowhere, *bears)).to_series()


def _kinds(settings: Private, signs: Mapping[str, str]) -> list[str]:
    return [kind for kind in signs if getattr(settings, kind) != "keep"]


def _possible(rows: pl.DataFrame, signs: Mapping[str, str]) -> Iterator[list[list[str]]]:
    """Row by row the kinds whose signs each side bears, those that are kept as well."""
    bears = rows.select(
        pl.col(column).str.contains(sign).alias(f"{column} {kind}")
        for column in rows.columns
        for kind, sign in signs.items()
    )
    count = len(signs)
    for row in bears.iter_rows():
        yield [list(compress(signs, row[i : i + count])) for i in range(0, len(row), count)]


@dataclass(slots=True)
class _Row:
    """The numbers that the values of one row have been given."""

    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    masked: dict[str, int] = field(default_factory=dict)

    def placeholder(self, kind: str, value: str) -> str:
        same = _LETTERS.sub("", value) if kind in _SPACED else value
        key = (kind, same if kind == "key" else same.lower())
        if key not in self.numbers:
            self.last[kind] = self.last.get(kind, 0) + 1
            self.numbers[key] = self.last[kind]
        self.masked[kind] = self.masked.get(kind, 0) + 1
        return f"<{kind.upper()}_{self.numbers[key]}>"


def _one(
    sides: Sequence[str | None],
    possible: Sequence[Collection[str]],
    kinds: list[str],
    settings: Private,
    find: Find,
) -> tuple[str | None, ...]:
    """What `private` says of one row."""
    found = [
        find(side, kinds, settings.engine, bears)
        if side and (bears or settings.engine == "presidio")
        else ()
        for side, bears in zip(sides, possible, strict=True)
    ]
    there = {one.kind for ones in found for one in ones}
    row = _Row()
    for kind in there:
        row.last[kind] = max((_last(side, kind) for side in sides if side), default=0)
    masked = [_mask(side, ones, row, settings) for side, ones in zip(sides, found, strict=True)]
    drop = [kind for kind in kinds if kind in there and getattr(settings, kind) == "drop"]
    counts = json.dumps(dict(sorted(row.masked.items()))) if row.masked else None
    return *masked, counts, drop[0] if drop else None


def _last(side: str, kind: str) -> int:
    """The highest number of a placeholder in a text, which may hold somebody else's; or 0."""
    opening = f"<{kind.upper()}_"
    if opening not in side:
        return 0
    return max(map(int, re.findall(rf"{opening}(\d{{1,9}})>", side, re.A)), default=0)


def _mask(side: str | None, found: Sequence[Span], row: _Row, settings: Private) -> str | None:
    if side is None or not found:
        return side
    parts, done = [], 0
    for one in found:
        if getattr(settings, one.kind) == "mask":
            parts += [side[done : one.start], row.placeholder(one.kind, side[one.start : one.end])]
            done = one.end
    return "".join([*parts, side[done:]])

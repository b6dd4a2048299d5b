"""Instructions and texts -> the same with private data masked, and which rows must be dropped.

One expression tells polars which texts can hold such data at all; only those are searched.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
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
        self, text: str, kinds: Collection[str], engine: Literal["patterns", "presidio"]
    ) -> Sequence[Span]:
        """Spans in the text."""
        ...


def private(
    frame: pl.DataFrame,
    settings: Private,
    find: Find,
    signs: Mapping[str, str],
    columns: Sequence[str] = SIDES,
) -> pl.DataFrame:
    """Masks private data, as `<EMAIL_1>`: in one row the same value has the same number everywhere.

    Args:
        frame: The columns, which may hold nulls.
        settings: What becomes of each kind.
        find: Finds it in one text.
        signs: Kind -> an expression that each text matches in which some is found by patterns.
        columns: Those that are searched.

    Returns:
        Row for row the columns; `masked`, a JSON object of how often each kind was masked, null
        where none was; `private`, the kind for which the row must go, null otherwise.

    Raises:
        RecipeError: Presidio is asked for and not installed.
    """
    kinds = [kind for kind in signs if getattr(settings, kind) != "keep"]
    rows = frame.select(columns).with_row_index("row")
    rows = rows.with_columns(masked=pl.lit(None, pl.String), private=pl.lit(None, pl.String))
    if not kinds or rows.is_empty():
        return rows.drop("row")
    found = [
        (row, *_one(texts, kinds, settings, find))
        for row, *texts in rows.filter(_suspect(kinds, settings, signs, columns))
        .select("row", *columns)
        .iter_rows()
    ]
    if not found:
        return rows.drop("row")
    schema = {"row": pl.get_index_type(), **dict.fromkeys(rows.columns[1:], pl.String)}
    return rows.update(pl.DataFrame(found, schema=schema, orient="row"), on="row").drop("row")


def _suspect(
    kinds: list[str], settings: Private, signs: Mapping[str, str], columns: Sequence[str]
) -> pl.Expr:
    """Whether a row can hold data of these kinds."""
    sign = "|".join(signs[kind] for kind in kinds)
    if settings.engine == "presidio":  # which has patterns of its own
        sign = r"\d|@|:"
    return pl.any_horizontal(
        pl.col(column).str.contains(sign).fill_null(value=False) for column in columns
    )


@dataclass(slots=True)
class _Row:
    """The numbers that the values of one row have been given."""

    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    last: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)

    def placeholder(self, kind: str, value: str) -> str:
        same = _LETTERS.sub("", value) if kind in _SPACED else value
        key = (kind, same if kind == "key" else same.lower())
        if key not in self.numbers:
            self.last[kind] += 1
            self.numbers[key] = self.last[kind]
        self.masked[kind] += 1
        return f"<{kind.upper()}_{self.numbers[key]}>"


def _one(
    sides: Sequence[str | None], kinds: list[str], settings: Private, find: Find
) -> tuple[str | None, ...]:
    """What `private` says of one row."""
    found = [find(side or "", kinds, settings.engine) for side in sides]
    there = {one.kind for ones in found for one in ones}
    row = _Row()
    for kind in there:  # a text may hold placeholders of somebody else's
        placeholder = rf"<{kind.upper()}_(\d{{1,9}})>"
        taken = re.findall(placeholder, " ".join(side or "" for side in sides), re.A)
        row.last[kind] = max(map(int, taken), default=0)
    masked = [_mask(side, ones, row, settings) for side, ones in zip(sides, found, strict=True)]
    drop = [kind for kind in kinds if kind in there and getattr(settings, kind) == "drop"]
    counts = json.dumps(dict(sorted(row.masked.items()))) if row.masked else None
    return *masked, counts, drop[0] if drop else None


def _mask(side: str | None, found: Sequence[Span], row: _Row, settings: Private) -> str | None:
    if side is None:
        return None
    parts, done = [], 0
    for one in found:
        if getattr(settings, one.kind) == "mask":
            parts += [side[done : one.start], row.placeholder(one.kind, side[one.start : one.end])]
            done = one.end
    return "".join([*parts, side[done:]])

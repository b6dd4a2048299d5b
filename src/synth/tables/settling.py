"""Claims on single rows -> claims between rows: the best sample, repeats, and what is selected."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.settings import Duplicates, Select
from synth.settings.curation import Side as SideName
from synth.tables.alike import Embeddings, Near, Sketches
from synth.tables.candidate import Candidates
from synth.tables.claims import CLAIM, claims
from synth.tables.duplicates import Check, Repeats, Side, Texts, settled
from synth.tables.linking import linked
from synth.tables.looking import Tools, side_of
from synth.tables.private import SIDES
from synth.tables.selection import choices, select
from synth.tables.semantic import Meanings
from synth.tables.sketches import Sketch

Rows = npt.NDArray[np.int64]


class Settling:
    """What is decided between rows: who is still open, and the claims so far."""

    def __init__(
        self,
        rows: pl.DataFrame,
        found: Sequence[pl.DataFrame],
        sketches: Mapping[SideName, Sketch],
        candidates: Candidates,
        tools: Tools,
        *,
        compiled: bool,
    ) -> None:
        """Begins with what was found in single rows.

        Args:
            rows: `segment`, `length`, `score` and `rank` of all rows.
            found: Claims.
            sketches: Side -> what is remembered of its texts.
            candidates: The rows.
            tools: What other rooms lend.
            compiled: Whether to compile loops (see kernels.py); the result is the same.
        """
        self._compiled = compiled
        self._rows, self._claims = rows, list(found)
        self._sketches, self._candidates, self._tools = sketches, candidates, tools
        self._open = np.ones(rows.height, bool)
        for claim in found:
            self._open[claim["position"].to_numpy()] = False
        self._wide: npt.NDArray[np.bool_] | None = None
        self._sides: dict[str, Side] = {}
        self._meanings: dict[str, Meanings] = {}
        self._chosen: dict[str, pl.DataFrame] = {}

    def among(self, rows: npt.NDArray[np.bool_]) -> Self:
        """The same, before anything is decided, as if only these of the open rows were open.

        What was read for one is known to the other.
        """
        other = copy(self)
        other._claims, other._open, other._wide = [], rows.copy(), self._reading
        return other

    @property
    def open(self) -> npt.NDArray[np.bool_]:
        """Of each row whether no claim is on it."""
        return self._open

    @property
    def _reading(self) -> npt.NDArray[np.bool_]:
        """The rows that are read where something has to be."""
        return self._open if self._wide is None else self._wide

    def claimed(self) -> pl.DataFrame:
        """All claims, by position."""
        return pl.concat([pl.DataFrame(schema=CLAIM), *self._claims]).sort("position")

    def linked(self, rows: Rows, settings: Duplicates, *, sure: bool, compiled: bool) -> Rows:
        """For each of these rows the place of the first that it hangs with; see `linked`."""
        segments = self._rows["segment"]
        return linked(segments, self._sketches, rows, settings, sure=sure, compiled=compiled)

    def prepare(self, rows: Rows, settings: Duplicates) -> None:
        """Reads at once what settling some of these rows may ask for."""
        if settings.near is not None:
            for name in settings.sides:
                self._side(name).prepare(rows, settings.near)

    def outrank(self, by: str) -> None:
        """Of a segment's open rows that of the best rank stays."""
        worse = (
            self._rows.with_row_index("position")
            .filter(pl.Series(self._open))
            .select("position", worse=pl.col("rank") > pl.col("rank").min().over("segment"))
            .filter("worse")
        )
        self._claim(claims(worse["position"], "outranked", value=by))

    def repeated(self, settings: Duplicates) -> None:
        """Of rows that say the same on a side one stays."""
        order = self._order(settings.keep)
        checks: dict[str, Check] = {}
        for name in settings.sides:
            side = self._side(name)
            checks[f"same_{name}"] = side.same
            if settings.near is not None:
                checks[f"near_{name}"] = side.near(settings.near)
            if settings.semantic is not None:
                checks[f"semantic_{name}"] = self._meaning(name).check(settings.semantic)
        for reason, found in settled(checks, order):
            self._claim(_repeats(reason, found))

    def select(self, settings: Select) -> pl.DataFrame:
        """Of the rows that are left some are taken; the claims on the others."""
        if not settings.asks:
            return pl.DataFrame(schema=CLAIM)
        rows = np.flatnonzero(self._open)
        known = self._rows[rows].select(
            position=pl.Series(rows, dtype=pl.UInt32),
            rank=pl.col("score").rank("dense"),
            row="segment",
        )
        out = select(known.hstack(self._choices(settings)), settings, self._alike(rows, settings))
        found = claims(out["position"], out["reason"], value=out["value"])
        self._claim(found)
        return found

    def _choices(self, settings: Select) -> pl.DataFrame:
        """What caps and quotas look at, of the open rows."""
        key, wide = settings.fingerprint(), self._reading
        if key not in self._chosen:
            self._chosen[key] = choices(self._candidates, wide, settings)
        chosen = self._chosen[key]
        return chosen.filter(pl.Series(self._open[wide])) if chosen.width else chosen

    def _alike(self, rows: Rows, settings: Select) -> Near | None:
        if settings.by_embeddings:
            return Embeddings(self._meaning("text").of(rows))
        if not settings.by_shingles:
            return None
        return Sketches(self._sketches["text"].slots[rows])

    def _side(self, name: SideName) -> Side:
        if name not in self._sides:
            self._sides[name] = Side(
                self._sketches[name], self._texts(name), compiled=self._compiled
            )
        return self._sides[name]

    def _meaning(self, name: SideName) -> Meanings:
        """Embeddings of that side of the open rows."""
        if name not in self._meanings:
            if self._tools.embed is None:
                raise AssertionError("settings that compare embeddings name an embedder")
            self._meanings[name] = Meanings(self._texts(name), self._reading, self._tools.embed)
        return self._meanings[name]

    def _texts(self, name: SideName) -> Texts:
        def texts() -> Iterator[pl.Series]:
            for block in self._candidates.blocks(*(SIDES if name == "both" else (name,))):
                yield side_of(block, name)

        return texts

    def _order(self, keep: str) -> Rows:
        """The open rows, those first that stay when others say the same."""
        rows = self._rows.with_row_index("position").filter(pl.Series(self._open))
        if keep == "longest":
            rows = rows.sort(["length", "rank"], descending=[True, False])
        elif keep == "best":
            rows = rows.sort("rank")
        return rows["position"].to_numpy().astype(np.int64)

    def _claim(self, found: pl.DataFrame) -> None:
        self._open[found["position"].to_numpy()] = False
        self._claims.append(found)


def _repeats(reason: str, found: Repeats) -> pl.DataFrame:
    """Claims on rows that repeat others; how similar they are, where they are not the same."""
    similarity = pl.Series(found.similarity).round(3).cast(pl.String)
    return claims(
        pl.Series(found.rows, dtype=pl.UInt32),
        reason,
        value=None if reason.startswith("same_") else similarity,
        other=pl.Series(found.others, dtype=pl.UInt32),
    )

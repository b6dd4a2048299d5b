"""Candidates and their fate -> the rows that are kept and those that go, private data masked."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from synth.settings import Private
from synth.tables.ahead import ahead
from synth.tables.candidate import CANDIDATE, Candidates
from synth.tables.looking import Tools
from synth.tables.private import SIDES, private, suspect

CURATED = CANDIDATE | {"masked": pl.String}
"""Columns of a kept candidate; `masked` is a JSON object of how often each kind of private data was
masked in it, null where none was: only then differs `text` from the span of its document."""

REJECTED = CURATED | {
    "reason": pl.String,
    "value": pl.String,
    "collided_with": pl.String,
    "evidence": pl.String,
    "rank": pl.Int64,
}
"""Columns of a rejected candidate: why, what was measured, the segment id of the row that stayed,
what was found (JSON) where a reason needs showing, and its place by score among all."""

_TOLD = ("value", "evidence")  # show something of a text too


@dataclass(frozen=True, slots=True)
class Sorted:
    """A block: rows of `CURATED` and of `REJECTED`."""

    kept: pl.DataFrame
    gone: pl.DataFrame


def sorted_out(
    candidates: Candidates,
    claims: pl.DataFrame,
    facts: pl.DataFrame,
    settings: Private,
    tools: Tools,
) -> Iterator[Sorted]:
    """Sorts all candidates, block by block.

    Args:
        candidates: The same as were judged.
        claims: On those that go, by position, as `named` tells them.
        facts: `rank` and `suspect` of all of them.
        settings: What becomes of private data; what rows are dropped for is masked in them.
        tools: What other rooms lend.
    """
    places = claims["position"].to_numpy()
    masks = settings.model_copy(
        update={kind: "mask" for kind, action in settings.actions.items() if action == "drop"}
    )

    def sort(part: tuple[int, pl.DataFrame]) -> Sorted:
        start, block = part
        first, last = np.searchsorted(places, [start, start + block.height])
        end = start + block.height
        rows = block.with_columns(
            pl.int_range(start, end, dtype=pl.UInt32).alias("position"),
            *facts.select("rank", "suspect")[start:end],
        ).join(
            claims[int(first) : int(last)],
            on="position",
            how="left",
            maintain_order="left",
        )
        suspects = rows["suspect"] | suspect(rows, masks, tools.signs, _TOLD)
        masked = private(rows, masks, tools.find, tools.signs, (*SIDES, *_TOLD), suspects)
        rows = rows.with_columns(masked.drop("private"))
        goes = pl.col("reason").is_not_null()
        return Sorted(rows.filter(~goes).select(*CURATED), rows.filter(goes).select(*REJECTED))

    return ahead(sort, _placed(candidates))


def named(candidates: Candidates, claims: pl.DataFrame) -> pl.DataFrame:
    """The claims (`CLAIM`), with `collided_with` instead of `other`: the id of that segment."""
    names = _names(candidates, claims["other"])
    return claims.drop("other").with_columns(collided_with=names)


def masked_values(rows: pl.DataFrame) -> Counter[str]:
    """Kind of private data -> how many values of it were masked."""
    counts: Counter[str] = Counter()
    for masked in rows["masked"].drop_nulls():
        counts.update(json.loads(masked))
    return counts


def _placed(candidates: Candidates) -> Iterator[tuple[int, pl.DataFrame]]:
    """The blocks, and where each begins."""
    start = 0
    for block in candidates.blocks(*CANDIDATE):
        yield start, block
        start += block.height


def _names(candidates: Candidates, others: pl.Series) -> pl.Series:
    """Segment ids of the rows at those places; null where there is none."""
    wanted = others.drop_nulls().unique().sort()
    names: list[pl.Series] = []
    start, places = 0, wanted.to_numpy()
    for block in candidates.blocks("segment_id") if wanted.len() else ():
        first, last = np.searchsorted(places, [start, start + block.height])
        names.append(block["segment_id"].gather(places[first:last] - start))
        start += block.height
    name = pl.concat(names) if names else pl.Series(dtype=pl.String)
    return others.to_frame("other").join(
        pl.DataFrame({"other": wanted, "name": name}), on="other", how="left", maintain_order="left"
    )["name"]

"""Two versions of a dataset's rows -> what was added, removed and changed, and how scores moved."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

_QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Difference:
    """How many rows are in both and say the same, say something else, or are in one only.

    `logprob` has quantiles of both versions, and by how much the median moved in the rows of both.
    """

    same: int
    changed: int
    added: int
    removed: int
    logprob: dict[str, Any]


def difference(old: Iterable[pl.DataFrame], new: Iterable[pl.DataFrame]) -> Difference:
    """Compares rows by their id.

    Args:
        old: Blocks of `id`, `instruction`, `text` and `logprob`.
        new: The same of the later version.
    """
    before, after = _hashed(old), _hashed(new)
    both = before.join(after, on="id", how="inner", suffix="_new")
    changed = both.filter(pl.col("said") != pl.col("said_new")).height
    moved = both.select((pl.col("logprob_new") - pl.col("logprob")).median()).item()
    return Difference(
        same=both.height - changed,
        changed=changed,
        added=after.height - both.height,
        removed=before.height - both.height,
        logprob={
            "old": _quantiles(before),
            "new": _quantiles(after),
            "moved": None if moved is None else round(float(moved), 4),
        },
    )


def _hashed(blocks: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Of each id hashes of id and texts: 24 bytes a row, whatever the texts."""
    said = pl.struct("instruction", "text").hash(seed=1)
    kept = [
        block.select(pl.col("id").hash(seed=1), said.alias("said"), "logprob") for block in blocks
    ]
    empty = pl.DataFrame(schema={"id": pl.UInt64, "said": pl.UInt64, "logprob": pl.Float64})
    return pl.concat([empty, *kept]).unique("id", keep="first", maintain_order=True)


def _quantiles(rows: pl.DataFrame) -> dict[str, float]:
    found = {f"{q:.0%}": rows["logprob"].quantile(q, "nearest") for q in _QUANTILES}
    return {name: round(value, 4) for name, value in found.items() if value is not None}


def shifts(old: Mapping[str, int], new: Mapping[str, int]) -> dict[str, list[int]]:
    """Bucket -> segments before and after, for those that are not the same."""
    names = dict.fromkeys([*new, *old])
    pairs = {name: [old.get(name, 0), new.get(name, 0)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def settings_changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[Any]]:
    """`section.key` -> its values before and after, for those that are not the same."""
    before, after = dict(_flat(old)), dict(_flat(new))
    names = dict.fromkeys([*after, *before])
    pairs = {name: [before.get(name), after.get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        found += _flat(value, f"{name}.") if isinstance(value, dict) else [(name, value)]
    return found

"""Good rows -> those that the dataset does not take, each with its reason.

Caps come first, then rows are taken greedily, the best first: a row is passed over where its value
has its share already, or where it is as similar to a row taken as the setting says (the filter of
DEITA, Liu et al. 2024). The same rows are taken in whatever order they come.
"""

import json
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.errors import RecipeError
from synth.settings import Select
from synth.tables.alike import Near, Rows, any_near
from synth.tables.candidate import CANDIDATE, Candidates
from synth.tables.templates import templates

_BLOCK = 256  # rows that are compared with what is taken at once
_ROUNDING = 1e-6  # 0.29 * 100 is 28.999999999999996; the cosine of a vector with itself 0.9999999
_OTHERS = "*"

Why = tuple[str, str]
"""Reason and value."""


@dataclass(frozen=True, slots=True)
class _Quota:
    """The shares of one column's values."""

    codes: npt.NDArray[np.int64]
    """The value of each row, as a place in the next two."""
    shares: npt.NDArray[np.float64]
    names: list[str]

    def most(self, total: int) -> npt.NDArray[np.int64]:
        """How many rows of each value so many may hold."""
        return np.floor(self.shares * total + _ROUNDING).astype(np.int64)


def choices(
    candidates: Candidates, chosen: npt.NDArray[np.bool_], settings: Select
) -> pl.DataFrame:
    """What the caps and quotas of the settings look at, for the chosen candidates.

    Returns:
        `document_id` and `template` (hashes; each only if there is a cap on it), and for each quota
        the value of that column, or of that field of the metadata.
    """
    asked = _asked(settings)
    wanted = {key if key in CANDIDATE else "metadata" for key in asked if key != "template"}
    if settings.per_template is not None:
        wanted |= {"instruction", "text"}
    schema = {key: pl.String if key in settings.quotas else pl.UInt64 for key in asked}
    parts = [pl.DataFrame(schema=schema)]
    start = 0
    for block in candidates.blocks(*sorted(wanted)) if wanted else ():
        rows = block.filter(pl.Series(chosen[start : start + block.height]))
        start += block.height
        parts.append(pl.DataFrame({key: _values(rows, key, settings) for key in asked}, schema))
    return pl.concat(parts)


def _asked(settings: Select) -> list[str]:
    """What caps and quotas look at."""
    caps = {"document_id": settings.per_document, "template": settings.per_template}
    return [key for key, cap in caps.items() if cap is not None] + list(settings.quotas)


def _values(rows: pl.DataFrame, key: str, settings: Select) -> pl.Series:
    if key in settings.quotas:
        field = pl.col("metadata").str.json_path_match(f"$[{json.dumps(key)}]")
        return rows.select(pl.col(key).cast(pl.String) if key in CANDIDATE else field).to_series()
    if key == "template":
        return templates(rows["instruction"], rows["text"])
    return rows[key].hash(seed=1)


def select(rows: pl.DataFrame, settings: Select, near: Near | None) -> pl.DataFrame:
    """Says which rows are not taken.

    A quota holds for the rows that are taken in the end: none of its values has more than its share
    of them. Where the other values have too few rows for that, fewer are taken than asked for.

    Args:
        rows: Columns `position`, `rank` (0 is best), `row` (a 64-bit hash of what the row is, for
            ties), and what `choices` gives.
        settings: Caps, quotas, budget and diversity.
        near: Similarities of these rows, by their place in `rows`; None: all count as different.

    Returns:
        `position`, `reason` (`document_cap`, `template_cap`, `quota`, `too_similar`,
        `not_selected`) and `value` (which cap, quota, similarity or budget) of each row that goes,
        in the order of `rows`.

    Raises:
        RecipeError: The shares of a column's values leave no rows.
    """
    ties = pl.Series(_shuffled(rows["row"].to_numpy(), settings.seed))
    ordered = rows.with_row_index("place").with_columns(ties.alias("tie"))
    ordered = ordered.sort("rank", "tie", "position")
    why = _capped(ordered, settings)
    left = np.flatnonzero([one is None for one in why])
    for row, one in _Choice(ordered, settings, near).reasons(left).items():
        why[row] = one
    return (
        pl.DataFrame(
            {
                "place": ordered["place"],
                "position": ordered["position"],
                "reason": pl.Series([one and one[0] for one in why], dtype=pl.String),
                "value": pl.Series([one and one[1] for one in why], dtype=pl.String),
            }
        )
        .drop_nulls("reason")
        .sort("place")
        .drop("place")
    )


def _shuffled(row: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    """Numbers that order equal ranks by chance (SplitMix64's finalizer, Steele et al. 2014)."""
    value = row ^ np.uint64(seed * 0x9E3779B97F4A7C15 % (1 << 64))
    with np.errstate(over="ignore"):
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _capped(ordered: pl.DataFrame, settings: Select) -> list[Why | None]:
    """The caps' reasons; a row that one cap drops does not count for the other."""
    caps = [
        (column, f"{column.removesuffix('_id')}_cap", cap)
        for column, cap in (
            ("document_id", settings.per_document),
            ("template", settings.per_template),
        )
        if cap is not None
    ]
    why: list[Why | None] = [None] * ordered.height
    counts: list[Counter[object]] = [Counter() for _ in caps]
    for place, values in enumerate(ordered.select(column for column, _, _ in caps).iter_rows()):
        for count, value, (_, name, cap) in zip(counts, values, caps, strict=True):
            if count[value] >= cap:
                why[place] = (name, str(cap))
                break
        else:
            for count, value in zip(counts, values, strict=True):
                count[value] += 1
    return why


class _Choice:
    """The greedy choice among rows that are in the order of their rank."""

    def __init__(self, ordered: pl.DataFrame, settings: Select, near: Near | None) -> None:
        self._budget = settings.rows
        self._limit = settings.diversity or 1.0
        self._near = near if settings.diversity is not None else None
        self._place = ordered["place"].to_numpy().astype(np.int64)
        self._quotas = [
            _quota(ordered[key], key, shares) for key, shares in settings.quotas.items()
        ]

    def reasons(self, rows: Rows) -> dict[int, Why | None]:
        """Row -> why it is not taken, None for those that are.

        Quotas are shares of a total that they change themselves: the choice is made again for a
        smaller total, until so many rows are taken.
        """
        total = self._reachable(rows, min(self._budget or len(rows), len(rows)))
        why = self._greedy(rows, total, self._near)
        if len(_taken(why)) < total and len(self._quotas) > 1:
            other = self._greedy(self._eased(rows, total), total, self._near)
            why = max(why, other, key=lambda one: len(_taken(one)))
        while len(taken := _taken(why)) < total:
            total = self._reachable(taken, len(taken))
            # They are not similar to each other; what was passed over for them stays out.
            why |= self._greedy(self._eased(taken, total), total, None)
        return why

    def _eased(self, rows: Rows, total: int) -> Rows:
        """The rows that press on the fewest quotas first, where the best ones block each other.

        Of (en, a), (en, b) and (de, a) the first would use up the shares of `en` and of `a`.
        """
        pressing = np.zeros(len(rows), np.int64)
        for quota in self._quotas:
            codes = quota.codes[rows]
            pressing += (np.bincount(codes, minlength=len(quota.names)) > quota.most(total))[codes]
        order: Rows = np.lexsort((rows, pressing))
        return rows[order]

    def _reachable(self, rows: Rows, total: int) -> int:
        """The most of these rows that the quotas, each by itself, let be taken together."""
        counts = [np.bincount(q.codes[rows], minlength=len(q.names)) for q in self._quotas]
        while True:
            sums = [
                int(np.minimum(count, quota.most(total)).sum())
                for count, quota in zip(counts, self._quotas, strict=True)
            ]
            if min(sums, default=total) >= total:
                return total
            total = min(sums)

    def _greedy(self, rows: Rows, total: int, near: Near | None) -> dict[int, Why | None]:
        """Row -> why it is not taken, where at most so many are."""
        most = [quota.most(total).tolist() for quota in self._quotas]
        room = [list(left) for left in most]
        codes = [quota.codes[rows].tolist() for quota in self._quotas]
        passed = None if near is None else _Passed(near, self._place[rows], self._limit)
        why: dict[int, Why | None] = {}
        taken = 0
        for number, row in enumerate(rows.tolist()):
            values = [code[number] for code in codes]
            full = [
                left[value] <= 0 and limit[value] < total
                for left, limit, value in zip(room, most, values, strict=True)
            ]
            if taken == total or any(full):
                why[row] = self._left_out(values, full, total)
            elif passed is not None and not passed.take(number):
                why[row] = ("too_similar", f"{self._limit:g}")
            else:
                why[row] = None
                taken += 1
                for left, value in zip(room, values, strict=True):
                    left[value] -= 1
        return why

    def _left_out(self, values: list[int], full: list[bool], total: int) -> Why:
        """The quota that a row would break, or the budget; more rows would break a quota too."""
        if any(full) or (self._quotas and total != self._budget):
            first = full.index(True) if any(full) else 0
            return ("quota", self._quotas[first].names[values[first]])
        return ("not_selected", str(self._budget))


class _Passed:
    """Rows in order, of which those are passed over that are similar to one taken before."""

    def __init__(self, near: Near, place: Rows, limit: float) -> None:
        self._near, self._place, self._limit = near, place, limit - _ROUNDING
        self._taken: list[int] = []
        self._block = -1

    def take(self, number: int) -> bool:
        """Takes a row, unless it is similar; numbers rise."""
        block, place = divmod(number, _BLOCK)
        if block != self._block:
            self._block = block
            rows = self._place[block * _BLOCK : (block + 1) * _BLOCK]
            before = self._place[np.array(self._taken, np.int64)]
            self._similar = any_near(self._near, rows, before, self._limit)
            self._among = self._near.between(rows, rows) >= self._limit
        if self._similar[place]:
            return False
        self._similar |= self._among[place]
        self._taken.append(number)
        return True


def _taken(why: dict[int, Why | None]) -> Rows:
    return np.array([row for row, one in why.items() if one is None], np.int64)


def _quota(values: pl.Series, key: str, shares: dict[str, float]) -> _Quota:
    if values.len() and values.is_null().all():
        raise RecipeError(
            f"curate.select.quotas.{key}: no row has this, neither as a column nor in its metadata;"
            " correct the name, or read it with corpus.metadata"
        )
    values = values.fill_null("")
    kinds = values.unique().sort().to_list()
    codes = values.rank("dense").to_numpy().astype(np.int64) - 1
    most = [shares.get(kind, shares.get(_OTHERS, 1.0)) for kind in kinds]
    together = sum(most)
    if kinds and together < 1 - _ROUNDING:
        raise RecipeError(
            f"curate.select.quotas.{key}: the values there are have shares of {together:g} together"
            " at most, so that no rows can have them: raise one, or give `*` a share"
        )
    names = [f"{key}={kind}: {share:g}" for kind, share in zip(kinds, most, strict=True)]
    return _Quota(codes, np.array(most, np.float64), names)

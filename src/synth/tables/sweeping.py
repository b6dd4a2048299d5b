"""Candidates -> how many segments each value of each threshold would keep, from one look at them.

The rows are looked at with the swept rules off. What those rules measure is remembered of each row
that is left, so that another value needs no text: it closes some rows and opens others, and only
the rows that hang together with one of them are settled anew.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.settings import Curate
from synth.tables.candidate import Candidates
from synth.tables.curation import look_at
from synth.tables.fates import Fate, Fates, Mask
from synth.tables.groups import Rows
from synth.tables.knobs import KNOBS, NEAR, NEAR_VALUES, Knob, Value, loosened, reach, stops
from synth.tables.looking import Look, Tools
from synth.tables.rules import rules
from synth.tables.settling import Settling

_BINS = 40

COMPILE_FROM = 500
"""Rows from which loops are compiled: few, as all of them are settled dozens of times."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What becomes of the candidates under each value of one threshold.

    Attributes:
        setting: Its key below `curate`.
        bound: Of a setting that is a pair, which of the two; otherwise None.
        measure: What it is compared with; empty for what is measured between rows.
        values: Ascending; a last None is the rule off.
        current: Place of the recipe's value among them.
        kept: Segments kept under each; 0 where the quotas of the recipe cannot be met.
        stays: (values, rows asked about) whether the row is kept.
        given: How `--set` is told each.
        edges: Where the bins of the histogram begin, and where the last ends; empty: there is none.
        counts: Rows in each bin, of those that pass every other rule and are not contaminated.
            What lies beyond the bins is counted in the first and the last.
    """

    setting: str
    bound: int | None
    measure: str
    values: list[Value]
    current: int
    kept: list[int]
    stays: Mask
    given: list[str]
    edges: list[float]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class _Plan:
    """The values of a knob that are tried, and what the rules leave of the rows under each."""

    knob: Knob
    values: list[Value]
    variants: list[Curate]
    left: list[npt.NDArray[np.uint8]]
    """Bits, one for each row."""
    edges: list[float]
    counts: list[int]


def sweep(
    candidates: Candidates,
    settings: Curate,
    tools: Tools,
    asked: pl.DataFrame,
    looked: Callable[[int], None] = lambda _: None,
) -> list[Swept]:
    """What `curate` would keep if one threshold were another, for some values of each.

    A threshold is left out of which no other value can be tried: its measure is not there. All are
    where no threshold lets a row pass. Where
    embeddings are compared every value settles all rows, and takes as long as `curate` for it.

    Args:
        candidates: Rows of `CANDIDATE`.
        settings: Thresholds.
        tools: What other rooms lend.
        asked: Rows of which it is to be told whether they stay: `segment_id` and `sample`.
        looked: Told how many rows were looked at so far.

    Raises:
        RecipeError: A rule of the recipe that cannot be used.
    """
    compiled = candidates.count + tools.questions.height >= COMPILE_FROM
    wanted = list(dict.fromkeys(["sample", *(knob.measure for knob in KNOBS)]))
    look = Look(loosened(settings), tools, compiled=compiled, remember=wanted)
    seen = look_at(candidates, look, looked)
    if seen.measures.is_empty():
        return []
    rows = seen.measures["position"].to_numpy().astype(np.int64)
    places = _places(seen.facts[rows]["segment"], seen.measures["sample"], asked)
    now, plans = _plans(seen.measures, settings)
    settling = Settling(
        seen.facts, [seen.claims], seen.sketches, candidates, tools,
        compiled=compiled,
    )  # fmt: skip
    del seen
    near = _near(settings)
    widest = Fates(settling, rows, (near.variants or [settings])[0], sure=False, compiled=compiled)
    widest.read()
    fates = Fates(settling, rows, settings, sure=True, compiled=compiled)
    fates.prepare()
    start = fates.after(None, now)
    swept = []
    for plan in plans:
        if len(plan.values) > 1:
            current = plan.values.index(plan.knob.of(settings))
            swept.append(_told(plan, current, _settled(plan, fates, start, current), places))
    if near.values:
        current = near.values.index(settings.duplicates.near)
        settled = _settled_near(near, widest, start)
        swept.append(_told(near, current, settled, places))
    return swept


def _places(segments: pl.Series, samples: pl.Series, asked: pl.DataFrame) -> Rows:
    """Where the rows are that are asked about; -1 for those that are not there."""
    known = pl.DataFrame({"segment": segments, "sample": samples}).with_row_index("place")
    ids = asked.select(
        segment=pl.col("segment_id").str.to_integer(base=16, dtype=pl.UInt64),
        sample=pl.col("sample").cast(samples.dtype),
    )
    found = ids.join(known, on=["segment", "sample"], how="left", maintain_order="left")
    return found["place"].cast(pl.Int64).fill_null(-1).to_numpy()


def _plans(measures: pl.DataFrame, settings: Curate) -> tuple[Mask, list[_Plan]]:
    """Which rows the rules leave as they are, and the plans of `KNOBS`."""
    lawful = {knob.rule for knob in KNOBS}
    passes = {name: _pass(measures, settings, name) for name in lawful}
    bad = np.sum([~one for one in passes.values()], axis=0, dtype=np.uint8)
    plans = [
        _plan(measures, settings, knob, bad - ~passes[knob.rule] == 0)
        for knob in KNOBS
        if measures[knob.measure].null_count() < measures.height
    ]
    return bad == 0, plans


def _plan(measures: pl.DataFrame, settings: Curate, knob: Knob, others: Mask) -> _Plan:
    """The values of a knob, for the rows that the other rules leave."""
    matter = measures[knob.measure].filter(pl.Series(others))
    around, current = reach(matter), knob.of(settings)
    values: list[Value] = []
    variants: list[Curate] = []
    for value in stops(matter, current):
        turned = knob.turned(settings, value, around)
        if value == current or turned is not None:
            values.append(value)
            variants.append(settings if value == current or turned is None else turned)
    left = [np.packbits(others & _pass(measures, one, knob.rule)) for one in variants]
    return _Plan(knob, values, variants, left, *_histogram(matter, values))


def _pass(measures: pl.DataFrame, settings: Curate, name: str) -> Mask:
    """Of each row whether that rule lets it pass."""
    for rule in rules(settings):
        if rule.name == name:
            return rule.judged(measures)[1].to_numpy()
    return np.ones(measures.height, bool)


def _near(settings: Curate) -> _Plan:
    """The plan of `NEAR`; it has no values where signatures are not compared."""
    current = settings.duplicates.near
    values = [] if current is None else sorted({*NEAR_VALUES, current})
    turned = [NEAR.turned(settings, value, (0, 0)) for value in values]
    variants = [one for one in turned if one is not None]
    return _Plan(NEAR, list(values), variants, [], [], [])


def _histogram(values: pl.Series, stops: Sequence[Value]) -> tuple[list[float], list[int]]:
    """Edges and counts, from the first to the last of the stops."""
    at = [one for one in stops if one is not None]
    known = values.drop_nulls().drop_nans().to_numpy()
    if len(at) < 2 or not known.size:
        return [], []
    counts, edges = np.histogram(known.clip(at[0], at[-1]), _BINS, (at[0], at[-1]))
    return edges.tolist(), counts.tolist()


def _settled(plan: _Plan, fates: Fates, start: Fate, current: int) -> Iterator[tuple[int, Mask]]:
    """Places of the plan's values, and which rows are kept under each."""
    yield current, start.taken
    values = range(len(plan.values))
    for way in (reversed(values[:current]), values[current + 1 :]):
        fate = start
        for number in way:
            left = np.unpackbits(plan.left[number], count=start.left.size).astype(bool)
            fate = fates.after(fate, left)
            yield number, fate.taken


def _settled_near(plan: _Plan, fates: Fates, start: Fate) -> Iterator[tuple[int, Mask]]:
    """The same for `NEAR`; `fates` are those of its first value."""
    for number, variant in enumerate(plan.variants):
        fates = fates.under(variant)
        yield number, fates.after(None, start.left).taken


def _told(plan: _Plan, current: int, settled: Iterator[tuple[int, Mask]], places: Rows) -> Swept:
    kept, stays = [0] * len(plan.values), np.zeros((len(plan.values), places.size), bool)
    there = places >= 0
    for number, taken in settled:
        kept[number] = int(np.count_nonzero(taken))
        stays[number, there] = taken[places[there]]
    knob = plan.knob
    given = [knob.given(variant) for variant in plan.variants]
    return Swept(
        knob.setting, knob.bound, knob.measure, plan.values, current, kept, stays, given,
        plan.edges, plan.counts,
    )  # fmt: skip

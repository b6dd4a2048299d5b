"""Kept and rejected rows -> what a report draws of them, and which of them it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from synth.settings import Curate
from synth.tables.measures import stated_licence

KEPT = "kept"
_BINS = 36
_TAIL = 0.005  # share of the values at either end that the end bins take up
_LEAST_SHOWN = 40  # rows of each reason, where there are so many

NUMBERS: dict[str, pl.Expr] = {
    "instruction_chars": pl.col("instruction").str.len_chars().cast(pl.Float32),
    "text_chars": pl.col("text").str.len_chars().cast(pl.Float32),
    "logprob": pl.col("logprob").cast(pl.Float32),
    "r_ifd": pl.col("r_ifd").cast(pl.Float32),
    "ifd": pl.col("ifd").cast(pl.Float32),
}
"""What is drawn of each row."""

_ABOUT = {
    "instruction_chars": "Instruction: characters",
    "text_chars": "Response: characters",
    "logprob": "Log-probability of the instruction, nats per token",
    "r_ifd": "r-IFD: loss of the instruction given the text, over its loss alone",
    "ifd": "IFD: loss of the text given the instruction, over its loss alone",
    "similarity": "Duplicates: how similar each is to the row that stayed",
}


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values between edges, group by group; there is one edge more than counts.

    The first and the last bin take up what lies beyond them. `limits` are thresholds: `setting`
    and `value`.
    """

    name: str
    about: str
    edges: list[float]
    counts: dict[str, list[int]]
    limits: list[dict[str, str | float]] = field(default_factory=list)


def source() -> pl.Expr:
    """Where a row's document is from: `source` of its metadata, or the host of its `url`."""
    stated = pl.col("metadata").str.json_path_match("$.source")
    host = pl.col("metadata").str.json_path_match("$.url").str.extract(r"^\w+://([^/?#]+)", 1)
    return pl.coalesce(stated, host).fill_null("")


def shares(rows: pl.LazyFrame, of: pl.Expr) -> list[tuple[str, int, int]]:
    """Value -> kept and rejected rows, most frequent first.

    Args:
        rows: Candidates with their `reason`, which is `kept` for those that stay.
        of: What is counted.
    """
    kept = pl.col("reason") == KEPT
    counted = rows.group_by(value=of).agg(kept=kept.sum(), rejected=(~kept).sum())
    table = counted.collect(engine="streaming")
    table = table.sort(pl.col("kept") + pl.col("rejected"), "value", descending=[True, False])
    return [(value, kept, gone) for value, kept, gone in table.iter_rows()]


def licence() -> pl.Expr:
    """The licence that a row's metadata states, empty where it states none."""
    return stated_licence().fill_null("")


def histograms(
    numbers: pl.DataFrame, settings: Curate, pairs: Sequence[tuple[int, int]]
) -> list[Histogram]:
    """The distributions of what is measured of each row.

    Args:
        numbers: `reason` and the columns of `NUMBERS`, of all rows.
        settings: The thresholds that are drawn in.
        pairs: Characters of instruction and response of pairs that were learnt from.
    """
    kept = numbers["reason"] == KEPT
    learnt = {
        "instruction_chars": [asked for asked, _ in pairs],
        "text_chars": [said for _, said in pairs],
    }
    drawn = []
    for name in NUMBERS:
        groups = {KEPT: numbers[name].filter(kept), "rejected": numbers[name].filter(~kept)}
        if learnt.get(name):
            groups["pairs"] = pl.Series(learnt[name], dtype=pl.Float32)
        made = _histogram(name, groups, _limits(name, settings))
        if made:
            drawn.append(made)
    return drawn


def similarities(repeats: pl.DataFrame, settings: Curate) -> Histogram | None:
    """How similar rows are that went for another one; None where none did.

    Args:
        repeats: `reason` and `value` of rows that went as duplicates; equal ones have no value.
        settings: The thresholds that are drawn in.
    """
    if repeats.is_empty():
        return None
    alike = repeats.select("reason", value=pl.col("value").cast(pl.Float64).fill_null(1.0))
    least = alike["value"].to_numpy().min()
    edges = np.arange(min(50, 2 * int(least * 50)), 103, 2) / 100
    groups = {
        str(name): np.histogram(part["value"].to_numpy(), edges)[0].tolist()
        for (name,), part in alike.partition_by("reason", as_dict=True).items()
    }
    counts = dict(sorted(groups.items()))
    limits = _limits("similarity", settings)
    return Histogram("similarity", _ABOUT["similarity"], _told(edges), counts, limits)


def _limits(name: str, settings: Curate) -> list[dict[str, str | float]]:
    found: dict[str, float | None] = {}
    if name == "instruction_chars":
        found = {
            "min_instruction_chars": settings.min_instruction_chars,
            "max_instruction_chars": settings.max_instruction_chars,
        }
    elif name == "logprob":
        found = {"min_logprob": settings.min_logprob, "max_logprob": settings.max_logprob}
    elif name == "similarity":
        repeats = settings.duplicates
        found = {"duplicates.near": repeats.near, "duplicates.semantic": repeats.semantic}
    elif name in ("r_ifd", "ifd"):
        low, high = getattr(settings, name) or (None, None)
        found = {f"{name} from": low, f"{name} to": high}
    return [{"setting": key, "value": value} for key, value in found.items() if value is not None]


def _histogram(
    name: str, groups: Mapping[str, pl.Series], limits: list[dict[str, str | float]]
) -> Histogram | None:
    values = {
        key: found.to_numpy()
        for key, series in groups.items()
        if (found := series.filter(series.is_finite())).len()
    }
    if not values:
        return None
    everything = np.concatenate(list(values.values()))
    low, high = np.quantile(everything, [_TAIL, 1 - _TAIL])
    if name.endswith("_chars"):
        low, high = np.floor(low), np.ceil(high)
        step = max(1.0, np.ceil((high - low) / _BINS))
        edges = low + step * np.arange(int((high - low) // step) + 2)
    else:
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    counts = {
        key: np.histogram(np.clip(found, edges[0], edges[-1]), edges)[0].tolist()
        for key, found in values.items()
    }
    return Histogram(name, _ABOUT[name], _told(edges), counts, limits)


def _told(edges: np.ndarray) -> list[float]:
    return [float(f"{edge:.5g}") for edge in edges]


def stratified(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """An even sample over the scores of the rows of each reason; all rows where they are few.

    Half of it, at most, is kept rows; of every reason there are some.

    Args:
        rows: `reason`, `logprob` and `segment_id` of all rows.
        most: Rows wanted, roughly: every reason adds some.

    Returns:
        `place` (row number) and `reason` of those taken, in order of place.
    """
    placed = rows.select("reason", "logprob", "segment_id").with_row_index("place")
    if rows.height <= most:
        return placed.select("place", "reason")
    sizes = dict(rows.group_by("reason").len().iter_rows())
    kept = min(sizes.get(KEPT, 0), most // 2)
    gone = max(1, rows.height - sizes.get(KEPT, 0))
    parts = []
    for (reason,), part in placed.partition_by("reason", as_dict=True).items():
        share = kept if reason == KEPT else (most - kept) * part.height // gone
        wanted = min(part.height, max(_LEAST_SHOWN, share))
        parts.append(_evenly(part, wanted))
    return pl.concat(parts).sort("place")


def _evenly(part: pl.DataFrame, wanted: int) -> pl.DataFrame:
    """So many rows at even steps of rank, the likeliest first."""
    order = part.sort(["logprob", "segment_id"], descending=[True, False], nulls_last=True)
    steps = (np.arange(wanted) * part.height) // max(1, wanted)
    return order[steps].select("place", "reason")

"""Files and Hub datasets of pairs -> one mixed pool of distinct pairs, and what was left out."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synth.errors import InputError
from synth.records import Pair, content_id
from synth.settings import Pairs, PairSource, Value
from synth.store.corpus import hub_errors
from synth.store.rows import Rows, check_columns, read_rows

_SETTING = "pairs.sources"
_USER = {"user", "human"}
_ASSISTANT = {"assistant", "gpt", "model"}
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell half of a pair; UTF-8 cannot hold it
_BUFFER = 10_000  # rows among which a streamed dataset is shuffled


@dataclass(frozen=True, slots=True)
class Pool:
    """Distinct pairs in the order of their content hashes; reason -> rows that gave none."""

    pairs: list[Pair]
    dropped: dict[str, int]


def read_pairs(settings: Pairs) -> Pool:
    """The pairs of every source, mixed as the recipe says.

    Rows are dropped as `filtered` (by `where`), `empty` (a text is missing), `repeated` (the same
    pair again) or `not_sampled` (beyond `sample`, or more than the source's share of the mix).

    Raises:
        InputError: For a source that cannot be read, a column it lacks, or no pair at all.
    """
    reasons: list[Counter[str]] = [Counter() for _ in settings.sources]
    seen: set[str] = set()
    parts = [
        _source(source, settings.seed, seen, counts)
        for source, counts in zip(settings.sources, reasons, strict=True)
    ]
    wanted = None if settings.train is None else settings.train + settings.held_out
    mixed = _mixed(parts, [source.weight for source in settings.sources], wanted)
    if not mixed:
        raise InputError(_none(settings.sources, parts, reasons))
    dropped: Counter[str] = sum(reasons, Counter())
    dropped["not_sampled"] += sum(map(len, parts)) - len(mixed)
    pairs = sorted(mixed, key=lambda pair: content_id("split", pair.id))
    return Pool(pairs, {reason: n for reason, n in dropped.items() if n})


def _none(
    sources: Sequence[PairSource], parts: Sequence[list[Pair]], reasons: Sequence[Counter[str]]
) -> str:
    """Which sources gave no pair, and why; with weights one is enough to leave none."""
    empty = [number for number, part in enumerate(parts) if not part] or range(len(parts))
    names = ", ".join(sources[number].name for number in empty)
    dropped = sum((reasons[number] for number in empty), Counter())
    why = ", ".join(f"{n} {reason}" for reason, n in dropped.items()) or "no row at all"
    mixing = ", or leave that source out of the mix" if len(empty) < len(parts) else ""
    return f"{names}: no pair ({why}); check the split, the columns and `where`{mixing}"


def _source(source: PairSource, seed: int, seen: set[str], dropped: Counter[str]) -> list[Pair]:
    """The pairs of one source that no source before it had, in an order that content decides."""
    pairs: list[Pair] = []
    where = {key: _wanted(value) for key, value in source.where.items()}
    for place, row in _rows(source, seed):
        if any(_spellings(row.get(key)).isdisjoint(wanted) for key, wanted in where.items()):
            check_columns(place, row, source.where, _SETTING)
            dropped["filtered"] += 1
            continue
        pair = _pair(place, row, source)
        if pair is None:
            dropped["empty"] += 1
        elif pair.id in seen:
            dropped["repeated"] += 1
        else:
            seen.add(pair.id)
            pairs.append(pair)
            if source.streaming and len(pairs) == source.sample:
                break
    pairs.sort(key=lambda pair: content_id(seed, pair.id))
    if source.sample is not None:
        dropped["not_sampled"] += max(0, len(pairs) - source.sample)
    return pairs[: source.sample]


def _mixed(
    parts: Sequence[list[Pair]], weights: Sequence[float | None], wanted: int | None
) -> list[Pair]:
    """As many pairs as the weights allow without repeating one, `wanted` at most."""
    if any(weight is None for weight in weights):
        return [pair for part in parts for pair in part]
    shares = [float(weight or 0) for weight in weights]
    shares = [share / sum(shares) for share in shares]
    total = min(len(part) / share for part, share in zip(parts, shares, strict=True))
    total = min(total, wanted or total)
    return [
        pair
        for part, share in zip(parts, shares, strict=True)
        for pair in part[: round(total * share)]
    ]


def _spellings(value: object) -> set[str]:
    """How a value is written: a csv file has only texts, JSON's `true` is Python's `True`."""
    if isinstance(value, bool):
        return {str(value), str(value).lower()}
    if isinstance(value, float) and value.is_integer():
        return {str(value), str(int(value))}
    return {str(value)}


def _wanted(value: Value | list[Value]) -> set[str]:
    values = value if isinstance(value, list) else [value]
    return set().union(*map(_spellings, values))


def _pair(place: str, row: Mapping[str, Any], source: PairSource) -> Pair | None:
    """The pair of a row; None where a text is missing or empty."""
    if source.messages is not None:
        check_columns(place, row, [source.messages], _SETTING)
        instruction, response = _first_turn(row[source.messages])
    else:
        check_columns(place, row, [source.instruction, source.response], _SETTING)
        instruction, response = row[source.instruction], row[source.response]
    for text, column in (
        (instruction, source.messages or source.instruction),
        (response, source.messages or source.response),
    ):
        _check_text(text, f"{place}: {column}")
    instruction, response = _stripped(instruction or "", source), (response or "").strip()
    if not instruction or not response:
        return None
    return Pair(instruction, response, source.name)


def _check_text(text: Any, place: str) -> None:  # noqa: ANN401
    if text is not None and not isinstance(text, str):
        raise InputError(
            f"{place}: a pair is two texts, not a {type(text).__name__};"
            " check the columns named in pairs.sources"
        )
    if text is not None and _SURROGATE.search(text):
        raise InputError(
            f"{place}: holds half a character (a lone surrogate, such as \\ud800), which no text"
            " can; correct or delete the row"
        )


def _first_turn(turns: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """What the user says first and the answer to it, in either of the usual spellings."""
    asked: Any = None
    for turn in turns if isinstance(turns, list) else ():
        if not isinstance(turn, Mapping):
            return None, None
        role = str(turn.get("role", turn.get("from"))).lower()
        content = turn.get("content", turn.get("value"))
        if asked is None and role in _USER:
            asked = content
        elif asked is not None:
            return (asked, content) if role in _ASSISTANT else (None, None)
    return None, None


def _stripped(instruction: str, source: PairSource) -> str:
    """The instruction without the wrapper that the data set put around it."""
    if source.strip_before:
        instruction = instruction.rpartition(source.strip_before)[2].lstrip(":")
    if source.strip_after:
        instruction = instruction.partition(source.strip_after)[0]
    return instruction.strip()


def _rows(source: PairSource, seed: int) -> Rows:
    if source.dataset is not None:
        return _hub(source, seed)
    return read_rows(str(source.path), "pairs", _SETTING)


def _hub(source: PairSource, seed: int) -> Rows:
    from datasets import load_dataset

    name = source.name
    with hub_errors(name):
        rows: Any = load_dataset(
            name,
            source.config,
            split=source.split,
            revision=source.revision,
            streaming=source.streaming,
        )
        if source.streaming and source.sample:
            rows = rows.shuffle(seed=seed, buffer_size=_BUFFER)
        for number, row in enumerate(rows):
            yield f"{name}[{number}]", row

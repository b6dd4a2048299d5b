"""Pairs file or Hub dataset -> pairs, split into those to learn from and those held out."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from synth.errors import InputError
from synth.recipe import Pairs, resolve_path
from synth.records import Pair, content_id


def read_pairs(settings: Pairs) -> tuple[list[Pair], list[Pair]]:
    """(to learn from, held out). Held out are the lowest content hashes, so the choice is lasting.

    Raises:
        InputError: When there is no source, a row lacks a column, or there are too few pairs.
    """
    pairs = {pair.id: pair for pair in _pairs(settings)}
    ordered = sorted(pairs.values(), key=lambda pair: content_id("split", pair.id))
    train, held_out = ordered[settings.held_out :], ordered[: settings.held_out]
    if not train:
        raise InputError(
            f"{settings.path or settings.dataset}: {len(pairs)} pairs, of which {settings.held_out}"
            " are held out: none is left to learn from; add pairs or lower pairs.held_out"
        )
    return train[: settings.train], held_out


def _pairs(settings: Pairs) -> Iterator[Pair]:
    for place, row in _rows(settings):
        if any(str(row.get(key)) != value for key, value in settings.where.items()):
            continue
        instruction, response = row.get(settings.instruction), row.get(settings.response)
        if not isinstance(instruction, str) or not isinstance(response, str):
            raise InputError(
                f"{place}: needs texts in {settings.instruction!r} and {settings.response!r};"
                " correct the row, or pairs.instruction and pairs.response"
            )
        instruction = _stripped(instruction, settings)
        if instruction and response.strip():
            yield Pair(instruction, response.strip())


def _stripped(instruction: str, settings: Pairs) -> str:
    """The instruction without the wrapper that the data set put around it."""
    if settings.strip_before:
        instruction = instruction.rpartition(settings.strip_before)[2]
    if settings.strip_after:
        instruction = instruction.partition(settings.strip_after)[0]
    return instruction.strip().removeprefix(":").strip()


def _rows(settings: Pairs) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if settings.path is not None:
        return _jsonl(resolve_path(settings.path))
    if settings.dataset is not None:
        return _hub(settings)
    raise InputError("no pairs named; set pairs.path to a .jsonl file or pairs.dataset to a Hub id")


def _jsonl(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file of pairs; check pairs.path")
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            place = f"{path.name}:{number}"
            try:
                row = json.loads(raw.decode("utf-8"))
            except ValueError as error:
                raise InputError(
                    f"{place}: not JSON in UTF-8; correct or delete the line"
                ) from error
            if not isinstance(row, dict):
                raise InputError(f"{place}: not a JSON object; correct or delete the line")
            yield place, row


def _hub(settings: Pairs) -> Iterator[tuple[str, Mapping[str, Any]]]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    name = str(settings.dataset)
    try:
        rows: Iterable[Mapping[str, Any]] = load_dataset(
            name, split=settings.split, revision=settings.revision
        )
    except (DatasetNotFoundError, ConnectionError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{name}: cannot be read: {reason:.200}; check the name, split and network"
        ) from error
    for number, row in enumerate(rows):
        yield f"{name}[{number}]", row

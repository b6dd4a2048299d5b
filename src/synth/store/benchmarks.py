"""Benchmarks that a recipe names -> their questions, and which of them could not be had."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from synth.errors import InputError
from synth.settings import Benchmark, Contamination
from synth.store.corpus import hub_errors
from synth.store.rows import Rows, check_columns, read_rows

QUESTIONS = {"benchmark": pl.String, "number": pl.Int64, "question": pl.String}
"""Columns of questions; `number` is the row in the benchmark, from 0."""
_SETTING = "curate.contamination.benchmarks"
_PATIENCE = 10  # seconds to wait for the Hub to answer


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """The questions of all benchmarks, in their order; name of each that is missing -> why."""

    questions: pl.DataFrame
    missing: dict[str, str]


class _OutOfReachError(Exception):
    """A Hub dataset that is not to be had; says why in one line."""


def read_benchmarks(settings: Contamination) -> Benchmarks:
    """The questions of the benchmarks, without those that are empty.

    A Hub dataset that is out of reach (no network, gated, gone) is missing, which is no error.

    Raises:
        InputError: For a file that cannot be read; for a config, a split or a column that a
            benchmark has not; for a question that is no text; for a benchmark without one.
    """
    frames = [pl.DataFrame(schema=QUESTIONS)]
    missing: dict[str, str] = {}
    for benchmark in settings.benchmarks:
        try:
            frames.append(_questions(benchmark))
        except _OutOfReachError as error:
            missing[benchmark.name] = str(error)
    return Benchmarks(pl.concat(frames), missing)


def _questions(benchmark: Benchmark) -> pl.DataFrame:
    numbers: list[int] = []
    texts: list[str] = []
    for number, (place, row) in enumerate(_rows(benchmark)):
        check_columns(place, row, [benchmark.question], _SETTING)
        text = row[benchmark.question]
        if not isinstance(text, str | None):
            raise InputError(
                f"{place}: a question is a text, not a {type(text).__name__};"
                f" check the column named in {_SETTING}"
            )
        if text and text.strip():
            numbers.append(number)
            texts.append(text)
    if not texts:
        raise InputError(
            f"{benchmark.name}: no question in the column {benchmark.question!r}; check it and"
            f" {_SETTING}, or leave it out"
        )
    return pl.DataFrame(
        {"benchmark": [benchmark.name] * len(texts), "number": numbers, "question": texts},
        schema=QUESTIONS,
    )


def _rows(benchmark: Benchmark) -> Rows:
    if benchmark.path is not None:
        return read_rows(benchmark.path, "questions", _SETTING)
    return _hub(benchmark)


def _hub(benchmark: Benchmark) -> Rows:
    """The rows of a Hub dataset, or of a folder that is laid out like one."""
    rows = _loaded(benchmark)
    check_columns(benchmark.name, dict.fromkeys(rows.features), [benchmark.question], _SETTING)
    for number, row in enumerate(rows.select_columns([benchmark.question])):
        yield f"{benchmark.name}[{number}]", row


def _loaded(benchmark: Benchmark) -> Any:  # noqa: ANN401  (the library's types are not checked)
    from datasets import load_dataset
    from huggingface_hub import HfApi, is_offline_mode

    name, revision = str(benchmark.dataset), benchmark.revision
    # With HF_HUB_OFFLINE=1 what was downloaded before is used, and nobody asked.
    offline, local = is_offline_mode(), Path(name).is_dir()
    try:
        with hub_errors(benchmark.name):
            # Asked first: without a network `datasets` would try again and again for 23 s.
            if not offline and not local:
                HfApi().dataset_info(name, revision=revision, timeout=_PATIENCE)
            return load_dataset(name, benchmark.config, split=benchmark.split, revision=revision)
    except InputError as error:
        # A ValueError tells of a config or split that there is not, or no id: the recipe is wrong.
        if local or (isinstance(error.__cause__, ValueError) and not offline):
            raise
        raise _OutOfReachError(str(error)) from error

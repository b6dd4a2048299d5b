"""Sorting in partitions, without a cluster: the rows, reasons and account of one machine."""

import json
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import synth.stages.curate_on_ray as on_ray
from synth.errors import RunError
from synth.models.local import LocalModels
from synth.records import Listener, silent
from synth.stages.curate import curate
from synth.stages.curate_on_ray import curate_on_ray
from synth.stages.partitions import Sorting
from synth.store.candidates import partitions
from synth.store.reviews import Mark, add_mark
from synth.store.run import Run
from synth.tables.reviews import candidate_ids
from tests.candidates import row
from tests.test_curate import ANSWER, MAIL, recipe_of
from tests.test_shards import copy_of

WORDS = [f"w{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(400)]


def words(draw: random.Random, count: int) -> list[str]:
    return [draw.choice(WORDS) for _ in range(count)]


def changed(draw: random.Random, text: list[str], share: float) -> list[str]:
    return [draw.choice(WORDS) if draw.random() < share else word for word in text]


def made(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows of which many are near others, in clusters that chain on both sides, some of them hot."""
    draw = random.Random(seed)
    texts = [words(draw, draw.randrange(12, 60)) for _ in range(max(2, count // 6))]
    asks = [words(draw, draw.randrange(1, 12)) for _ in range(max(2, count // 4))]
    rows = []
    for number in range(count):
        text = changed(
            draw, draw.choice(texts[: 2 if number % 3 else None]), draw.choice([0, 0.02, 0.05])
        )
        asked = changed(draw, draw.choice(asks), draw.choice([0, 0, 0.1]))
        if number % 17 == 0:
            text += ["write", "to", MAIL]
        one = row(
            number % 26,
            segment_id=f"{draw.getrandbits(64):016x}",
            document_id=f"d{number // 4}",
            text=" ".join(text),
            instruction="What is " + " ".join(asked) + "?",
            logprob=draw.choice([-0.1, -0.2, -draw.random() - 0.1]),
            metadata=json.dumps({"source": draw.choice("abc")}),
        )
        if number % 29 == 0:
            one |= {"finish": "error", "instruction": ""}
        rows.append(one)
    return rows


def run_of(folder: Path, rows: list[dict[str, Any]], files: list[int], samples: int = 1) -> Run:
    """A run with these candidates, their segments in files that begin at these rows."""
    run = Run(folder)
    run.open(recipe_of())
    run.candidates.mkdir()
    per = [rows[at : at + samples] for at in range(0, len(rows), samples)]
    ends = [*files[1:], len(per)]
    name = run.segments.stem
    for number, (start, end) in enumerate(zip(files, ends, strict=True), 1):
        some = per[start:end]
        of_corpus = ["segment_id", "document_id", "start", "end", "text", "skip", "metadata"]
        requests = [
            [at * samples + n + 1 for n in range(len(one))] for at, one in enumerate(some, start)
        ]
        frame = pl.DataFrame([one[0] for one in some], infer_schema_length=None).select(
            *of_corpus, requests=pl.Series(requests, dtype=pl.List(pl.UInt64))
        )
        suffix = f"-{number:05d}-of-{len(files):05d}" if len(files) > 1 else ""
        frame.write_parquet(run.candidates / f"{name}{suffix}.parquet")
    answers = pl.DataFrame(rows, infer_schema_length=None).select(
        pl.int_range(1, pl.len() + 1, dtype=pl.UInt64).alias("request"), *ANSWER
    )
    answers.cast({"r_ifd": pl.Float64, "ifd": pl.Float64}).write_parquet(run.shard(0))
    counts = {
        "documents": 1, "bad_lines": 0, "repeated_documents": 0, "empty_documents": 0,
        "segments": len(per),
    }  # fmt: skip
    run.commit("backtranslate", "made", counts, 0.0)
    return run


@contextmanager
def _here(_: object) -> Iterator[list[dict[str, float]]]:
    yield [{"CPU": 1.0}]


def _one_by_one(
    step: Callable[..., Any], calls: Iterable[tuple[Any, ...]], _: object
) -> Iterator[Any]:
    for call in calls:
        yield step(*call)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are done in this process, one by one."""
    monkeypatch.setattr(on_ray, "cluster", _here)
    monkeypatch.setattr(on_ray, "in_order", _one_by_one)


def same(one: Run, other: Run) -> None:
    for files in ("curated", "rejected"):
        frames = [pl.read_parquet(getattr(run, files)) for run in (one, other)]
        assert_frame_equal(*frames)
    ledgers = [json.loads(run.ledger.read_text()) for run in (one, other)]
    assert ledgers[0] == ledgers[1]
    assert list(ledgers[0]["buckets"]) == list(ledgers[1]["buckets"])


@pytest.mark.parametrize(
    "sets",
    [
        (),
        ("curate.duplicates.near=null",),
        ("curate.duplicates.near=0.5", "curate.duplicates.keep=longest"),
        ("curate.duplicates.sides=[both]", "curate.duplicates.keep=first"),
        ("curate.select.per_document=1", "curate.select.rows=40", "curate.select.diversity=0.5",
         "curate.select.quotas.source.a=0.3"),
        ("curate.private.email=drop", "curate.rank=first"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [(97, 11, 7), (160, 1000, 1000), (300, 50, 64)])
def test_the_rows_of_one_machine(
    sets: tuple[str, ...],
    size: tuple[int, int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count, partition, batch = size
    monkeypatch.setattr(on_ray, "_BATCH", batch)
    monkeypatch.setattr(on_ray, "_PART", max(1, count // 3))
    monkeypatch.setattr(on_ray, "_RANKED", max(1, count // 4))
    recipe = recipe_of(
        "curate.contamination.benchmarks=[]", "curate.min_function_words=0", "curate.max_strange_names=99",
        "curate.min_grounded_words=0", f"ray.partition_rows={partition}", *sets,
    )  # fmt: skip
    one = run_of(tmp_path / "one", made(count, count), [0])
    cut = copy_of(one.folder, tmp_path / "cut")
    whole = curate(one, recipe, LocalModels()).counts
    assert len(whole["buckets"]) >= 3
    assert curate_on_ray(cut, recipe, LocalModels()).counts == whole
    same(one, cut)
    assert len(cut.curated) == -(-count // partition)
    assert not cut.sorting.exists()
    assert curate_on_ray(cut, recipe, LocalModels()).skipped
    assert curate(cut, recipe, LocalModels()).skipped

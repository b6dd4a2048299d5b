"""Sorting in partitions, without a cluster: the rows, reasons and account of one machine."""

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import synth.stages.curate_on_ray as on_ray
import synth.stages.dataset_parts as dataset_parts
import synth.stages.export_on_ray as export_on_ray
from synth.models.local import LocalModels
from synth.stages.curate import curate
from synth.stages.curate_on_ray import curate_on_ray
from synth.stages.export import export
from synth.store.dataset import files_of
from synth.store.reviews import Mark, add_mark
from synth.store.run import Run
from synth.tables.reviews import candidate_ids
from tests.candidates import row
from tests.test_curate import ANSWER, MAIL, recipe_of
from tests.test_shards import copy_of

LOOSE = (
    "curate.contamination.benchmarks=[]", "curate.min_function_words=0",
    "curate.max_strange_names=99", "curate.min_grounded_words=0",
)  # fmt: skip
WORDS = [f"w{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(400)]


def words(draw: random.Random, count: int) -> list[str]:
    return [draw.choice(WORDS) for _ in range(count)]


def changed(draw: random.Random, text: list[str], share: float) -> list[str]:
    return [draw.choice(WORDS) if draw.random() < share else word for word in text]


def made(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows of which many are near others, in clusters that chain on both sides, some hot."""
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


class Hashing(LocalModels):
    """Embeds texts by how often each of some words stands in them."""

    def embedder(self, name: str) -> Any:
        return self

    def embedder_identity(self, name: str) -> str:
        return name

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        counts = np.array([[one.split().count(w) for w in WORDS] for one in texts], np.float32)
        counts = counts.reshape(-1, len(WORDS))
        unit: npt.NDArray[np.float32] = counts / np.maximum(
            np.linalg.norm(counts, axis=1, keepdims=True), 1e-9
        )
        return unit


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
    monkeypatch.setattr(export_on_ray, "cluster", _here)
    monkeypatch.setattr(export_on_ray, "in_order", _one_by_one)


def same(one: Run, other: Run) -> None:
    for files in ("curated", "rejected"):
        frames = [pl.read_parquet(getattr(run, files)) for run in (one, other)]
        assert_frame_equal(*frames)
    ledgers = [json.loads(run.ledger.read_text()) for run in (one, other)]
    assert ledgers[0] == ledgers[1]
    assert list(ledgers[0]["buckets"]) == list(ledgers[1]["buckets"])


def cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    for what, rows in (("_BATCH", 40), ("_PART", 120), ("_RANKED", 90)):
        monkeypatch.setattr(on_ray, what, rows)


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
        ("curate.duplicates.semantic=0.9", "curate.embedder=hashes", "curate.duplicates.near=null"),
    ],
)  # fmt: skip
def test_the_rows_of_one_machine(
    sets: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_small(monkeypatch)
    recipe = recipe_of(*LOOSE, "ray.partition_rows=60", *sets)
    one = run_of(tmp_path / "one", made(230, 2), [0])
    cut = copy_of(one.folder, tmp_path / "cut")
    whole = curate(one, recipe, Hashing()).counts
    assert len(whole["buckets"]) >= 3
    assert curate_on_ray(cut, recipe, Hashing()).counts == whole
    same(one, cut)
    assert len(cut.curated) == 4
    assert not cut.sorting.exists()
    assert curate_on_ray(cut, recipe, Hashing()).skipped
    assert curate(cut, recipe, Hashing()).skipped
    lost = cut.curated[2]
    lost.unlink()
    assert not curate(cut, recipe, Hashing()).skipped
    same(one, cut)
    assert len(cut.curated) == 1


def test_samples_marks_benchmarks_and_segments_that_stand_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_small(monkeypatch)
    exam = tmp_path / "exam.jsonl"
    rows = made(360, 3)
    question = " ".join(f"q{word}" for word in WORDS[:20])
    exam.write_text(json.dumps({"question": question}) + "\n")
    for at in range(0, 360, 3):  # samples of a segment share its text
        for sample in range(3):
            rows[at + sample] |= {key: rows[at][key] for key in ("segment_id", "text")}
            rows[at + sample]["sample"] = sample
        if at % 36 == 0:
            rows[at + 1]["instruction"] = question
    for at in range(240, 300, 3):  # the same segments, asked again, elsewhere in the corpus
        for sample in range(3):
            rows[at + sample]["segment_id"] = rows[at - 240]["segment_id"]
            rows[at + sample]["text"] = rows[at - 240]["text"]
            rows[at + sample]["sample"] = 3 + sample
    recipe = recipe_of(
        *LOOSE[1:],
        "generate.samples=3",
        f'curate.contamination={{"benchmarks": [{{"path": "{exam}"}}]}}',
        "ray.partition_rows=25",
    )
    one = run_of(tmp_path / "one", rows, [0, 7, 60, 61], samples=3)
    requests = pl.read_parquet(one.segment_files()[2])
    # One of the segments stands there with the same requests, too: they are one.
    twice = pl.concat([requests, pl.read_parquet(one.segment_files()[0])[:1]])
    twice.write_parquet(one.segment_files()[2])
    told = one.stages()["backtranslate"]
    told["counts"]["segments"] += 1
    one.enter("backtranslate", told)
    curate(one, recipe, LocalModels())
    kept = pl.read_parquet(one.curated)
    for place, verdict in ((0, "bad"), (5, "good")):
        mark = kept[place]
        name = candidate_ids(mark)[0]
        add_mark(one, Mark(name, mark["segment_id"][0], int(mark["sample"][0]), verdict))
    cut = copy_of(one.folder, tmp_path / "cut")
    cut.forget("curate")
    whole = curate(one, recipe, LocalModels()).counts
    assert whole["repeated_segments"] == 21
    assert {"reviewed", "contaminated", "outranked"} <= set(whole["rejected_candidates"])
    assert curate_on_ray(cut, recipe, LocalModels()).counts == whole
    same(one, cut)


class Stopped(Exception):
    pass


def test_the_same_command_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_small(monkeypatch)
    recipe = recipe_of(*LOOSE, "ray.partition_rows=60", "curate.select.rows=50")
    one = run_of(tmp_path / "one", made(200, 4), [0])
    cut = copy_of(one.folder, tmp_path / "cut")
    curate(one, recipe, LocalModels())
    draw, left, stops = random.Random(6), 0, 0

    def until(step: Callable[..., Any], calls: Iterable[Any], _: object) -> Iterator[Any]:
        nonlocal left
        for call in calls:
            left -= 1
            if left < 0:
                raise Stopped
            yield step(*call)

    monkeypatch.setattr(on_ray, "in_order", until)
    while True:
        left = 25 * stops + draw.randrange(25)
        try:
            curate_on_ray(cut, recipe, LocalModels())
            break
        except Stopped:
            stops += 1
            assert cut.done("curate") is None
    assert stops >= 5
    same(one, cut)


def test_what_was_left_of_other_settings_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(*LOOSE, "ray.partition_rows=60")
    one = run_of(tmp_path / "one", made(200, 5), [0])
    cut = copy_of(one.folder, tmp_path / "cut")
    with monkeypatch.context() as stopping:
        stopping.setattr(on_ray, "commit", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            curate_on_ray(cut, recipe, LocalModels())
    assert len(list(cut.sorting.iterdir())) == 1
    other = recipe_of(*LOOSE, "ray.partition_rows=60", "curate.min_logprob=-0.5")
    curate(one, other, LocalModels())
    curate_on_ray(cut, other, LocalModels())
    same(one, cut)


def test_a_dataset_in_many_parts_is_that_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(
        *LOOSE,
        "ray.partition_rows=60",
        "export.configs=[messages,alpaca,provenance,rejected]",
        "export.test_share=0.2",
    )
    run = run_of(tmp_path / "run", made(400, 7), [0])
    curate_on_ray(run, recipe, LocalModels())
    one, many, cluster = tmp_path / "one", tmp_path / "many", tmp_path / "cluster"
    told = [export(run, recipe, one).counts]
    monkeypatch.setattr(dataset_parts, "SHARD_BYTES", 4_000)
    told += [
        step(run, recipe, folder).counts
        for step, folder in ((export, many), (export_on_ray.export_on_ray, cluster))
    ]
    assert [counts | {"folder": ""} for counts in told] == [told[0] | {"folder": ""}] * 3
    assert export(run, recipe, cluster).skipped
    assert (one / "recipe.yaml").read_bytes() == (many / "recipe.yaml").read_bytes()
    chains = [json.loads((folder / "provenance.json").read_text()) for folder in (one, many)]
    assert [len(chain["export"].pop("bytes")) > 8 for chain in chains] == [False, True]
    assert chains[0] == chains[1]
    sizes = re.compile(r"(download_size|dataset_size|num_bytes): \d+")
    cards = [sizes.sub("", (folder / "README.md").read_text()) for folder in (one, many)]
    assert cards[0] == cards[1]
    splits = {str(path.relative_to(one)).partition("-")[0] for path in one.rglob("*.parquet")}
    assert splits == {
        "data/train", "data/test", "alpaca/train", "alpaca/test", "provenance/train",
        "provenance/test", "rejected/rejected",
    }  # fmt: skip
    shards = {split: sorted(many.glob(f"{split}-*")) for split in splits}
    for split, files in shards.items():
        assert files[-1].name.endswith(f"-{len(files) - 1:05d}-of-{len(files):05d}.parquet")
        frames = [pl.read_parquet(folder / f"{split}-*.parquet") for folder in (one, many)]
        assert_frame_equal(*frames)
    # What was small was packed.
    assert len(shards["data/train"]) > 4
    assert len(shards["data/test"]) == 1
    held = [files_of(folder) for folder in (many, cluster)]
    assert held[0].keys() == held[1].keys()
    for name in held[0]:
        assert held[0][name].read_bytes() == held[1][name].read_bytes()

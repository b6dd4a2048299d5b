"""A run folder of made-up candidates, as `synth backtranslate` would leave it.

Their texts are those of `planted.py`, two thousand of a hundred thousand with an address to mask,
and an exam is written beside them.
"""

import json
import time
from pathlib import Path

import numpy as np
import polars as pl

import planted  # type: ignore[import-not-found]  # lies beside this file
from synth.recipe import load_recipe
from synth.store.files import CODEC, write_parquet
from synth.store.run import Run

_SHARD = 100_000
_PER_DOCUMENT = 4


def write(folder: Path, count: int, questions: Path, seed: int, more: list[str]) -> None:
    """Writes the run folder, the exam, and `arguments.json`, with which it is curated.

    Args:
        folder: The run folder.
        count: How many candidates.
        questions: Where the exam is written.
        seed: Of all that is drawn.
        more: Further arguments of `synth curate`.
    """
    truth = planted.plant(count, seed)
    exam = planted.examine(truth, min(100_000, 10 * count), seed)
    planted.write_exam(exam, questions)
    texts = folder / "texts.parquet"
    folder.mkdir(parents=True)
    planted.write(truth, texts, seed)
    rows = pl.read_parquet(texts)
    texts.unlink()
    run = Run(folder)
    run.segments.parent.mkdir()
    _segments(rows).write_parquet(run.segments, row_group_size=16384, compression=CODEC)
    answers = _answers(rows, seed)
    for number, shard in enumerate(answers.iter_slices(_SHARD)):
        write_parquet(run.shard(number), shard)
    benchmark = {"benchmarks": [{"path": str(questions)}]}
    arguments = ["--set", f"curate.contamination={json.dumps(benchmark)}", *more]
    (folder / "arguments.json").write_text(json.dumps(arguments))
    run.open(load_recipe("nano"))
    counts = {
        "documents": -(-count // _PER_DOCUMENT), "bad_lines": 0, "repeated_documents": 0,
        "empty_documents": 0, "segments": count,
    }  # fmt: skip
    run.commit("backtranslate", "made", counts, time.time())


def _segments(rows: pl.DataFrame) -> pl.DataFrame:
    number = pl.col("id")
    mail = pl.when(number % 50 == 0).then(
        pl.format(" Write to user{}@example.com or call +44 20 7946 0958.", number)
    )
    return rows.select(
        segment_id=pl.Series([f"{hash_:016x}" for hash_ in rows["id"].hash(seed=7)]),
        document_id=pl.format("d{}", number // _PER_DOCUMENT),
        start=pl.lit(0, pl.Int64),
        end=pl.col("response").str.len_chars().cast(pl.Int64),
        text=pl.col("response") + "." + mail.otherwise(pl.lit("")),
        skip=pl.lit(""),
        metadata=pl.lit(json.dumps({"licence": "CC-BY-4.0", "source": "made"})),
        requests=pl.concat_list(number.cast(pl.UInt64)),
    )


def _answers(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return rows.select(
        request=pl.col("id").cast(pl.UInt64),
        sample=pl.lit(0, pl.Int64),
        seed=pl.lit(1, pl.Int64),
        wanted=pl.lit(""),
        shortened=pl.lit(value=False),
        instruction="instruction",
        finish=pl.lit("stop"),
        tokens=pl.lit(12, pl.Int64),
        logprob=pl.Series(-rng.random(rows.height)),
        r_ifd=pl.Series(rng.random(rows.height)),
        ifd=pl.lit(None, pl.Float64),
        error=pl.lit(""),
        provenance=pl.lit(json.dumps({"base": "made", "adapter": "made"})),
    )[rng.permutation(rows.height)]

"""The dataset folder at size: ours against `datasets`' own writer, from the same curated rows.

    python tests/benchmarks/export.py [--rows 1000000] [--rounds 2]

Makes up a curated parquet with a seed. Ours is `synth export`: splits, card and all, of the
`messages` config. Theirs reads the same file with `Dataset.from_parquet`, makes the same column of
messages in arrow batches (the quickest way `datasets` has; `theirs_map` takes the usual Python
function), and writes it with `Dataset.to_parquet`. Each runs in a process of its own, with an
empty cache. Rows are compared in the end. Prints one JSON object last.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

SEED = 6
_BLOCK = 16384  # rows made up at once
_COLUMNS = ["segment_id", "document_id", "start", "end", "logprob", "metadata"]


def make(folder: Path, rows: int) -> None:
    """A run folder with so many curated rows of 600 to 3,000 characters, a thousand rejected."""
    from synth.recipe import load_recipe
    from synth.store.files import writing_parquet
    from synth.store.run import Run
    from synth.tables.sorting import CURATED, REJECTED

    run, draw = Run(folder / "run"), np.random.default_rng(SEED)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = pl.Series(["".join(draw.choice(letters, draw.integers(2, 11))) for _ in range(30_000)])
    kept, gone = pl.Schema(CURATED), pl.Schema(REJECTED)
    with writing_parquet(run.curated, kept) as curated:
        for start in range(0, rows, _BLOCK):
            curated.add(_block(words, draw, start, min(_BLOCK, rows - start), kept))
    with writing_parquet(run.rejected, gone) as rejected:
        rejected.add(_block(words, draw, rows, 1000, gone))
    counts = {
        "documents": rows // 3 + 1,
        "bad_lines": 0,
        "segments": rows + 1000,
        "buckets": {"kept": rows, "unlikely": 1000},
        "contamination": {"questions": 0, "spared": 0, "missing": {}},
        "masked": {"curated": {}, "rejected": {}},
    }
    run.commit("curate", "made up", counts, time.time())
    run.open(load_recipe("nano"))


def _texts(
    words: pl.Series, draw: np.random.Generator, rows: int, least: int, most: int
) -> pl.Series:
    """Texts of so many words, the first words of the list most often."""
    counts = draw.integers(least, most, rows)
    drawn = words.gather((draw.zipf(1.3, counts.sum()) - 1) % len(words))
    told = pl.DataFrame({"row": np.repeat(np.arange(rows), counts), "word": drawn})
    return told.group_by("row", maintain_order=True).agg(pl.col("word").str.join(" "))["word"]


def _block(
    words: pl.Series, draw: np.random.Generator, start: int, rows: int, schema: pl.Schema
) -> pl.DataFrame:
    place = pl.int_range(start, start + rows, eager=True)
    made = {
        "segment_id": pl.Series([f"{n:016x}" for n in draw.integers(0, 2**63, rows)]),
        "document_id": "corpus.jsonl:" + (place // 3).cast(pl.String),
        "start": place % 3 * 1500,
        "end": place % 3 * 1500 + 1500,
        "text": _texts(words, draw, rows, 100, 500),
        "instruction": _texts(words, draw, rows, 6, 25),
        "logprob": draw.normal(-1, 0.3, rows),
        "r_ifd": draw.random(rows),
        "metadata": '{"licence": "CC-BY-4.0", "url": "https://example.org/'
        + place.cast(pl.String)
        + '"}',
        "provenance": pl.Series(['{"base": "made up"}'] * rows),
    }
    missing = {n: pl.lit(None, k) for n, k in schema.items() if n not in made}
    return pl.DataFrame(made).with_columns(**missing).select(schema.names()).cast(schema)


def ours(folder: Path) -> dict[str, float]:
    """`synth export` of the messages."""
    from synth.recipe import load_recipe
    from synth.stages.export import export
    from synth.store.run import Run

    export(Run(folder / "run"), load_recipe("nano"), folder / "ours")
    return {}


def _theirs(folder: Path, build: Callable[[Any], Any], form: str | None) -> dict[str, float]:
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    curated = folder / "run" / "curated" / "part-00000.parquet"
    columns = [*_COLUMNS, "instruction", "text"]
    rows = Dataset.from_parquet(str(curated), columns=columns, cache_dir=str(folder / "cache"))
    removed = ["instruction", "text"]
    rows = rows.with_format(form).map(build, batched=True, remove_columns=removed)
    started = time.monotonic()
    rows.with_format(None).to_parquet(str(folder / "theirs.parquet"))
    return {"write_seconds": round(time.monotonic() - started, 2)}


def theirs(folder: Path) -> dict[str, float]:
    """`datasets`, its messages made in arrow batches."""
    import pyarrow as pa

    def build(batch: Any) -> Any:
        count = batch.num_rows
        both = pa.concat_arrays(
            [batch[name].cast(pa.string()).combine_chunks() for name in ("instruction", "text")]
        )
        places = np.arange(2 * count).reshape(2, count).T.ravel()
        roles = pa.array(["user", "assistant"] * count)
        turns = pa.StructArray.from_arrays(
            [roles, both.take(pa.array(places))], ["role", "content"]
        )
        offsets = pa.array(np.arange(count + 1, dtype=np.int32) * 2)
        return batch.append_column("messages", pa.ListArray.from_arrays(offsets, turns)).drop(
            ["instruction", "text"]
        )

    return _theirs(folder, build, "arrow")


def theirs_map(folder: Path) -> dict[str, float]:
    """`datasets`, its messages made by the usual Python function."""

    def build(batch: Any) -> Any:
        turns = zip(batch["instruction"], batch["text"], strict=True)
        return {
            "messages": [
                [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
                for asked, said in turns
            ]
        }

    return _theirs(folder, build, None)


WAYS: dict[str, Callable[[Path], dict[str, float]]] = {
    "ours": ours,
    "theirs": theirs,
    "theirs_map": theirs_map,
}


def measured(way: str, folder: Path) -> dict[str, float]:
    """Wall seconds of a way in a process of its own, from its start to its end, and its memory."""
    left = folder / ("ours" if way == "ours" else "cache")
    shutil.rmtree(left, ignore_errors=True)
    (folder / "run" / "manifest.json").write_text((folder / "manifest.json").read_text())
    cache = {"HF_HOME": str(folder / "cache"), "HF_DATASETS_CACHE": str(folder / "cache")}
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **cache}
    )
    figures: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    print(way, figures, flush=True)
    return figures


def _peak_mib() -> int:
    """Most memory this process had; `ru_maxrss` would count what its parent had when it began."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def same_rows(folder: Path) -> bool:
    """Whether both wrote the same messages under the same ids."""
    mine = pl.scan_parquet(folder / "ours" / "data" / "*.parquet")
    other = pl.scan_parquet(folder / "theirs.parquet")
    pick = ("messages", "id", "document_id", "start", "end", "logprob", "metadata")

    def digest(rows: pl.LazyFrame) -> pl.DataFrame:
        # Hashed and summed, as the test split stands apart and all rows together are large.
        hashed = rows.select(hash=pl.struct(pick).hash(seed=1) // 2**20)
        return hashed.select(pl.len(), pl.col("hash").sum()).collect(engine="streaming")

    return digest(mine).equals(digest(other.rename({"segment_id": "id"})))


def main() -> None:
    """Measures all ways and prints their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--way", choices=sorted(WAYS), help="run this way in this process")
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    if args.way:
        started = time.monotonic()
        more = WAYS[args.way](args.folder)
        seconds = round(time.monotonic() - started, 2)
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = round(used.ru_utime + used.ru_stime, 2)
        told = {"seconds": seconds, "cpu_seconds": cpu, "peak_mib": _peak_mib()}
        print(json.dumps({**told, **more}))
        sys.stdout.flush()
        os._exit(0)
    folder = Path(tempfile.mkdtemp())
    try:
        make(folder, args.rows)
        shutil.copy(folder / "run" / "manifest.json", folder)
        runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(args.rounds):  # in turns, so that a busy minute is no one's fault
            for way in WAYS:
                runs[way].append(measured(way, folder))
        equal = same_rows(folder)
    finally:
        shutil.rmtree(folder)
    best = {way: min(found, key=lambda run: run["seconds"]) for way, found in runs.items()}
    mine = best["ours"]["seconds"]
    figures = {
        "rows": args.rows,
        "rows_equal": equal,
        "ours_seconds": mine,
        "ours_cpu_seconds": best["ours"]["cpu_seconds"],
        "ours_peak_mib": max(run["peak_mib"] for run in runs["ours"]),
        "datasets_seconds": best["theirs"]["seconds"],
        "datasets_cpu_seconds": best["theirs"]["cpu_seconds"],
        "datasets_to_parquet_alone_seconds": best["theirs"]["write_seconds"],
        "datasets_python_map_seconds": best["theirs_map"]["seconds"],
        "datasets_to_ours_ratio": round(best["theirs"]["seconds"] / mine, 2),
        "to_parquet_alone_to_ours_ratio": round(best["theirs"]["write_seconds"] / mine, 2),
        "datasets_python_map_to_ours_ratio": round(best["theirs_map"]["seconds"] / mine, 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

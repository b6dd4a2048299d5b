"""Curation at size: near-duplicates, contamination, and the whole of it, with known truth.

    python tests/benchmarks/curate.py [--rows 1000000] [--part near --part contamination ...]

Each way runs in a process of its own, parquet to parquet, and is compared with polars' own scan to
sink of the same file in the same run, and with daft's MinHash where daft is installed (`pip install
daft`; its bands are joined here, as its documentation leaves that to the user). Recall and
precision are counted against what `planted.py` put in. Memory is counted above that of a reader
that does nothing. The whole of curation is `synth curate` over a run folder of as many candidates,
with all defaults and 100,000 benchmark questions, and once more with languages; a sweep of all its
thresholds is compared with one `synth curate` of the same rows. Prints one JSON
object last.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from memory import peak_mib  # type: ignore[import-not-found]

# These lie beside this file.
import candidates  # type: ignore[import-not-found]
import planted  # type: ignore[import-not-found]

SEED = 31
QUESTIONS = 100_000
_LEVEL = 0.7


def near(source: Path, target: Path) -> None:
    """Ours: rows whose response is near that of one that stays go."""
    from synth.tables.duplicates import repeats

    count = int(pl.scan_parquet(source).select(pl.len()).collect().item())

    def texts() -> Iterator[pl.Series]:
        rows = pl.scan_parquet(source).select("response")
        for block in rows.collect_batches(chunk_size=16384, maintain_order=True):
            yield block.to_series()

    found = repeats(texts, count, np.arange(count), _LEVEL)
    stay = np.ones(count, bool)
    stay[found.rows] = False
    rows = pl.scan_parquet(source).filter(pl.Series(stay))
    rows.sink_parquet(target, compression="zstd", compression_level=1)


def contamination(source: Path, target: Path) -> None:
    """Ours: rows whose response has a run of 13 words with a question of an exam go."""
    from synth.settings import Contamination
    from synth.tables.ahead import ahead
    from synth.tables.contamination import Index

    asked = pl.read_parquet(source.with_name("exam.parquet")).with_row_index("number")
    asked = asked.select(
        pl.lit("exam").alias("benchmark"), pl.col("number").cast(pl.Int64), "question"
    )
    index = Index.build(asked, Contamination(benchmarks=[]), compiled=True)
    rows = pl.scan_parquet(source).select("response")
    blocks = rows.collect_batches(chunk_size=16384, maintain_order=True)
    stay = []
    for height, hits in ahead(
        lambda block: (block.height, index.hits(block["response"], compiled=True)), blocks
    ):
        clean = np.ones(height, bool)
        clean[hits.found["row"].to_numpy()] = False
        stay.append(clean)
    kept = pl.scan_parquet(source).filter(pl.Series(np.concatenate(stay)))
    kept.sink_parquet(target, compression="zstd", compression_level=1)


def whole(source: Path, target: Path) -> None:
    """`synth curate` over the run folder `source`, with the settings in its `arguments.json`."""
    from synth.cli import main as synth

    del target
    arguments = json.loads((source / "arguments.json").read_text())
    sys.argv = ["synth", "curate", "--run", str(source), "--json", *arguments]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):
        synth()


def sweep(source: Path, target: Path) -> None:
    """Every threshold swept over the run folder `source`, with those settings."""
    from synth.models.local import LocalModels
    from synth.recipe import load_recipe
    from synth.stages.sweep import sweep as stage
    from synth.store.run import Run

    recipe = load_recipe("nano", json.loads((source / "arguments.json").read_text())[1::2])
    asked = pl.read_parquet(source / "curated" / "*.parquet").head(200)
    swept = stage(Run(source), recipe, LocalModels(), asked.select("segment_id", "sample"))
    target.write_text(json.dumps({one.setting: [one.values, one.kept] for one in swept}))


def scan(source: Path, target: Path) -> None:
    """What reading and writing alone cost."""
    pl.scan_parquet(source).sink_parquet(target)


def read(source: Path, target: Path) -> None:
    """What reading alone costs."""
    rows = pl.scan_parquet(source).select("response")
    size = sum(
        int(block.estimated_size())
        for block in rows.collect_batches(chunk_size=16384, maintain_order=True)
    )
    target.write_text(str(size))


def daft(source: Path, target: Path) -> None:
    """Daft's MinHash, 128 hashes of five words, in 18 bands of 7; linked to the bucket's first."""
    import daft as library
    from daft.functions import lower, minhash

    hashes = minhash(
        lower(library.col("response")), num_hashes=128, ngram_size=5, hash_function="xxhash"
    )
    table = library.read_parquet(str(source)).select(library.col("id"), hashes.alias("m"))
    made = pl.from_arrow(table.collect().to_arrow())
    assert isinstance(made, pl.DataFrame)
    made = made.sort("id")
    slots = made["m"].explode().to_numpy().reshape(made.height, 128)
    first = np.arange(made.height)
    for band in range(18):
        keys = pl.DataFrame(slots[:, band * 7 : band * 7 + 7]).with_row_index("row")
        leader = keys.select(pl.col("row").first().over(keys.columns[1:]))["row"].to_numpy()
        later = np.flatnonzero(leader != np.arange(made.height))
        alike = (slots[later] == slots[leader[later]]).mean(axis=1) >= _LEVEL
        first[later[alike]] = np.minimum(first[later[alike]], leader[later[alike]])
    stay = first == np.arange(made.height)
    pl.read_parquet(source).filter(pl.Series(stay)).write_parquet(target)


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "near": near,
    "contamination": contamination,
    "whole": whole,
    "sweep": sweep,
    "scan": scan,
    "read": read,
    "daft": daft,
}


def measured(way: str, source: Path, target: Path) -> dict[str, float]:
    """Wall and processor seconds of a way in a process of its own, and its peak memory."""
    target.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--way", way, "--source", str(source)]
    started = time.monotonic()
    run = subprocess.run(
        [*command, "--target", str(target)], capture_output=True, text=True, check=True
    )
    seconds = time.monotonic() - started
    return {"seconds": round(seconds, 2), **json.loads(run.stdout.splitlines()[-1])}


def best(way: str, source: Path, target: Path, rounds: int) -> dict[str, float]:
    """The quickest of some rounds."""
    runs = [measured(way, source, target) for _ in range(rounds)]
    print(way, source.name, [run["seconds"] for run in runs], runs[-1], flush=True)
    return min(runs, key=lambda run: run["seconds"])


def kept_of(target: Path, count: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows are in a target."""
    stay = np.zeros(count, bool)
    stay[pl.read_parquet(target, columns=["id"])["id"].to_numpy()] = True
    return stay


def part_near(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Near-duplicates alone, against reading and writing, and against daft."""
    truth = planted.plant(rows, SEED)
    source, target = folder / "near.parquet", folder / "out.parquet"
    planted.write(truth, source, SEED)
    small = folder / "tenth.parquet"
    planted.write(planted.plant(rows // 10, SEED), small, SEED)
    ours_small = best("near", small, target, rounds + 1)  # the first compiles
    sink, reader = best("scan", source, target, rounds), best("read", source, target, 1)
    ours = best("near", source, target, rounds)
    figures: dict[str, Any] = planted.judged(truth, kept_of(target, rows), _LEVEL)
    figures |= {
        "near_seconds": ours["seconds"],
        "scan_to_sink_seconds": sink["seconds"],
        "near_to_scan_ratio": round(ours["seconds"] / sink["seconds"], 2),
        "growth_from_a_tenth_ratio": round(ours["seconds"] / ours_small["seconds"], 2),
        "near_mib_above_reader_per_million": round(
            (ours["peak_mib"] - reader["peak_mib"]) / rows * 1e6
        ),
        "near_peak_mib": ours["peak_mib"],
    }
    try:
        theirs = best("daft", source, target, 1)
    except subprocess.CalledProcessError as error:
        print("daft:", error.stderr.strip().splitlines()[-1])
        return figures | {"daft_seconds": None}
    rival = planted.judged(truth, kept_of(target, rows), _LEVEL)
    return figures | {
        "daft_seconds": theirs["seconds"],
        "near_to_daft_ratio": round(theirs["seconds"] / ours["seconds"], 2),
        "daft_precision": rival["precision"],
        "daft_recall_at_0.8": rival["recall_at_0.8"],
    }


def part_hot(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """A tenth of the rows, with a hot cluster that holds two fifths of them, and without."""
    del rows
    count, target = 100_000, folder / "out.parquet"
    hot, cool = planted.plant(count, SEED, 40_000), planted.plant(count, SEED, 1)
    for name, truth in (("hot", hot), ("cool", cool)):
        planted.write(truth, folder / f"{name}.parquet", SEED)
    without = best("near", folder / "cool.parquet", target, rounds + 1)
    with_it = best("near", folder / "hot.parquet", target, rounds)
    stay = kept_of(target, count)
    return {
        "hot_to_cool_seconds_ratio": round(with_it["seconds"] / without["seconds"], 2),
        "hot_rows_of_40000_kept": int(stay[hot.hot].sum()),
    }


def part_contamination(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Contamination against 100,000 questions, against reading and writing."""
    truth = planted.plant(rows, SEED)
    exam = planted.examine(truth, QUESTIONS, SEED)
    source, target = folder / "examined.parquet", folder / "out.parquet"
    planted.write(truth, source, SEED)
    planted.write_exam(exam, folder / "exam.parquet")
    ours = best("contamination", source, target, rounds + 1)  # the first compiles
    stay = kept_of(target, rows)
    sink = best("scan", source, target, rounds)
    return {
        "contamination_seconds": ours["seconds"],
        "contamination_to_scan_ratio": round(ours["seconds"] / sink["seconds"], 2),
        "runs_of_13_or_more_found": round(float(1 - stay[exam.runs >= 13].mean()), 5),
        "others_found": int((~stay[exam.runs < 13]).sum()),
    }


def part_whole(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """The whole of `synth curate`, and of a start on 1,000 rows."""
    questions = folder / "questions.parquet"
    figures: dict[str, Any] = {}
    for name, count, more in (
        ("cold", 1_000, []),
        ("whole", rows, []),
        ("languages", rows // 10, ["--set", "curate.same_language=true"]),
    ):
        run = folder / f"run-{name}"
        candidates.write(run, count, questions, SEED, more)
        times = [measured("whole", run, run / "manifest.json.none") for _ in range(1)]
        ledger = json.loads((run / "ledger.json").read_text())
        print(name, times, ledger, flush=True)
        figures |= {
            f"{name}_seconds": times[0]["seconds"],
            f"{name}_rows_per_second": round(count / times[0]["seconds"]),
            f"{name}_peak_mib": times[0]["peak_mib"],
        }
    del rounds
    return figures


def part_sweep(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """A sweep of every threshold, against one `synth curate` of the same rows."""
    run, target = folder / "run-sweep", folder / "swept.json"
    candidates.write(run, rows, folder / "questions.parquet", SEED, [])
    once = measured("whole", run, target)
    swept = measured("sweep", run, target)
    values = json.loads(target.read_text())
    print(values, once, swept, flush=True)
    del rounds
    return {
        "sweep_seconds": swept["seconds"],
        "sweep_values": sum(len(one[0]) for one in values.values()),
        "sweep_to_curate_ratio": round(swept["seconds"] / once["seconds"], 2),
        "sweep_bytes_a_row_above_curate": round(
            (swept["peak_mib"] - once["peak_mib"]) * 2**20 / rows
        ),
    }


PARTS = {
    "near": part_near,
    "hot": part_hot,
    "contamination": part_contamination,
    "whole": part_whole,
    "sweep": part_sweep,
}


def main() -> None:
    """Measures the parts asked for and prints their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--part", action="append", choices=sorted(PARTS))
    parser.add_argument("--way", choices=sorted(WAYS), help="run this way in this process")
    parser.add_argument("--source", type=Path)
    parser.add_argument("--target", type=Path)
    args = parser.parse_args()
    if args.way:
        WAYS[args.way](args.source, args.target)
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = round(used.ru_utime + used.ru_stime, 2)
        print(json.dumps({"cpu_seconds": cpu, "peak_mib": peak_mib()}))
        sys.stdout.flush()
        os._exit(0)
    folder = Path(tempfile.mkdtemp())
    try:
        figures: dict[str, Any] = {"rows": args.rows}
        for part in args.part or PARTS:
            figures |= PARTS[part](folder, args.rows, args.rounds)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

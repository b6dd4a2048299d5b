"""The dataset folder at size: ours against `datasets`' own writer, from the same curated rows.

    python tests/benchmarks/export.py [--rows 1000000] [--rounds 2] [--part folder --part hub]

Makes up a curated parquet with a seed. Ours is `synth export`: splits, card and all, of the
`messages` config. Theirs reads the same file with `Dataset.from_parquet`, makes the same column of
messages in arrow batches (the quickest way `datasets` has; `theirs_map` takes the usual Python
function), and writes it with `Dataset.to_parquet`. Each runs in a process of its own, with an
empty cache. Rows are compared in the end. The part `hub` sends both to the tests' Hub on loopback,
the Xet way: ours is `synth export --to-hub`, theirs ends with `Dataset.push_to_hub`; then it counts
the bytes that a second version of ours sends, one hundredth of whose rows are new in one place, and
a third one, of which every hundredth row is gone. Prints one JSON object last.
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
from memory import peak_mib  # type: ignore[import-not-found]  # lies beside this file

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
    with writing_parquet(run.curated_file(0), kept) as curated:
        for start in range(0, rows, _BLOCK):
            curated.add(_block(words, draw, start, min(_BLOCK, rows - start), kept))
    with writing_parquet(run.rejected_file(0), gone) as rejected:
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


def _theirs(folder: Path, build: Callable[[Any], Any], form: str | None) -> Any:
    """The dataset with its messages."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    curated = folder / "run" / "curated" / "part-00000.parquet"
    columns = [*_COLUMNS, "instruction", "text"]
    rows = Dataset.from_parquet(str(curated), columns=columns, cache_dir=str(folder / "cache"))
    removed = ["instruction", "text"]
    made = rows.with_format(form).map(build, batched=True, remove_columns=removed)
    return made.with_format(None)


def _written(folder: Path, rows: Any) -> dict[str, float]:
    started = time.monotonic()
    rows.to_parquet(str(folder / "theirs.parquet"))
    return {"write_seconds": round(time.monotonic() - started, 2)}


def _in_batches(batch: Any) -> Any:
    """Messages of a batch, by arrow."""
    import pyarrow as pa

    count = batch.num_rows
    both = pa.concat_arrays(
        [batch[name].cast(pa.string()).combine_chunks() for name in ("instruction", "text")]
    )
    places = np.arange(2 * count).reshape(2, count).T.ravel()
    roles = pa.array(["user", "assistant"] * count)
    turns = pa.StructArray.from_arrays([roles, both.take(pa.array(places))], ["role", "content"])
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * 2)
    return batch.append_column("messages", pa.ListArray.from_arrays(offsets, turns)).drop(
        ["instruction", "text"]
    )


def ours_hub(folder: Path) -> dict[str, float]:
    """`synth export --to-hub` of the messages."""
    from synth.stages.publish import Destination, publish_dataset
    from synth.store.run import Run

    ours(folder)
    publish_dataset(Run(folder / "run"), folder / "ours", Destination("me/ours"))
    return {}


def theirs_hub(folder: Path) -> dict[str, float]:
    """`datasets`, its messages made in arrow batches, sent by `push_to_hub`."""
    _theirs(folder, _in_batches, "arrow").push_to_hub("me/theirs", private=True)
    return {}


def theirs(folder: Path) -> dict[str, float]:
    """`datasets`, its messages made in arrow batches."""
    return _written(folder, _theirs(folder, _in_batches, "arrow"))


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

    return _written(folder, _theirs(folder, build, None))


WAYS: dict[str, Callable[[Path], dict[str, float]]] = {
    "ours": ours,
    "theirs": theirs,
    "theirs_map": theirs_map,
    "ours_hub": ours_hub,
    "theirs_hub": theirs_hub,
}


def measured(way: str, folder: Path, more: dict[str, str] | None = None) -> dict[str, float]:
    """Wall seconds of a way in a process of its own, from its start to its end, and its memory."""
    shutil.rmtree(folder / "cache", ignore_errors=True)
    shutil.rmtree(folder / "ours", ignore_errors=True)
    (folder / "run" / "manifest.json").write_text((folder / "manifest.json").read_text())
    cache = {"HF_HOME": str(folder / "cache"), "HF_DATASETS_CACHE": str(folder / "cache")}
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **cache, **(more or {})},
    )
    figures: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    print(way, figures, flush=True)
    return figures


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


def part_folder(folder: Path, rounds: int) -> dict[str, Any]:
    """The folder: ours against `Dataset.to_parquet`."""
    runs: dict[str, list[dict[str, float]]] = {"theirs": [], "theirs_map": [], "ours": []}
    for _ in range(rounds):  # in turns, so that a busy minute is no one's fault
        for way, found in runs.items():
            found.append(measured(way, folder))
    best = {way: min(found, key=lambda run: run["seconds"]) for way, found in runs.items()}
    mine = best["ours"]["seconds"]
    return {
        "rows_equal": same_rows(folder),
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


def part_hub(folder: Path, rounds: int) -> dict[str, Any]:
    """The Hub: ours against `Dataset.push_to_hub`, and what a new version sends."""
    del rounds
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.hub import running
    from tests.hub.client import environment

    with running() as hub:
        # Its client remembers there what it has sent, as that of somebody who publishes again.
        known = environment(hub, folder / "home", "xet")
        theirs_ = measured("theirs_hub", folder, known)
        mine = measured("ours_hub", folder, known)
        whole = sum(file.stat().st_size for file in (folder / "ours").rglob("*.parquet"))
        sent = {}
        for name, edit in (("in_one_place", _in_one_place), ("all_over", _all_over)):
            before = sum(hub.sent.values())
            _edited(folder, edit)
            measured("ours_hub", folder, known)
            sent[name] = round((sum(hub.sent.values()) - before) / whole, 4)
    return {
        "ours_hub_seconds": mine["seconds"],
        "push_to_hub_seconds": theirs_["seconds"],
        "push_to_hub_to_ours_ratio": round(theirs_["seconds"] / mine["seconds"], 2),
        "share_sent_again_of_1_percent_in_one_place": sent["in_one_place"],
        "share_sent_again_of_1_percent_all_over": sent["all_over"],
    }


def _edited(folder: Path, edit: Callable[[pl.LazyFrame, int], pl.LazyFrame]) -> None:
    """Edits the curated rows, and sees to it that they are exported again."""
    curated = folder / "run" / "curated" / "part-00000.parquet"
    rows = pl.scan_parquet(curated)
    count = int(rows.select(pl.len()).collect().item())
    edit(rows, count).sink_parquet(folder / "edited.parquet", row_group_size=32768)
    (folder / "edited.parquet").replace(curated)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["stages"]["curate"]["fingerprint"] += "'"
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _in_one_place(rows: pl.LazyFrame, count: int) -> pl.LazyFrame:
    """A hundredth of the rows in the middle give way to others."""
    middle, size = count // 2, count // 100
    new = rows.slice(0, size).with_columns(
        segment_id=pl.lit("f") + pl.col("segment_id").str.slice(1),
        text=pl.col("text").str.reverse(),
    )
    return pl.concat([rows.slice(0, middle), new, rows.slice(middle + size)])


def _all_over(rows: pl.LazyFrame, count: int) -> pl.LazyFrame:
    """Every hundredth row is gone, as by a threshold."""
    del count
    return rows.with_row_index("n").filter(pl.col("n") % 100 != 50).drop("n")


PARTS = {"folder": part_folder, "hub": part_hub}


def main() -> None:
    """Measures the parts asked for and prints their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--part", action="append", choices=sorted(PARTS))
    parser.add_argument("--way", choices=sorted(WAYS), help="run this way in this process")
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    if args.way:
        started = time.monotonic()
        more = WAYS[args.way](args.folder)
        seconds = round(time.monotonic() - started, 2)
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = round(used.ru_utime + used.ru_stime, 2)
        told = {"seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak_mib()}
        print(json.dumps({**told, **more}))
        sys.stdout.flush()
        os._exit(0)
    folder = Path(tempfile.mkdtemp())
    try:
        make(folder, args.rows)
        shutil.copy(folder / "run" / "manifest.json", folder)
        figures: dict[str, Any] = {"rows": args.rows}
        for part in args.part or PARTS:
            figures |= PARTS[part](folder, args.rounds)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

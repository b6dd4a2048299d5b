"""Reading benchmarks: files, Hub datasets, and what happens when they are not there."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from synth.errors import InputError
from synth.settings import Benchmark, Contamination
from synth.store.benchmarks import QUESTIONS, Benchmarks, read_benchmarks
from tests.conftest import write_jsonl

ROWS: list[dict[str, Any]] = [
    {"question": "What is a kettle?", "answer": "A pot."},
    {"question": " ", "answer": "Nothing was asked."},
    {"question": 'Why, "so"?\nReally?', "answer": "So."},
]


def questions_of(*benchmarks: Benchmark) -> Benchmarks:
    return read_benchmarks(Contamination(benchmarks=list(benchmarks)))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_every_format_gives_the_same_questions(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"q.{kind}"
    if kind == "jsonl":
        write_jsonl(path, ROWS)
    elif kind == "parquet":
        pl.DataFrame(ROWS).write_parquet(path)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["question", "answer"])
            writer.writeheader()
            writer.writerows(ROWS)
    found = questions_of(Benchmark(path=str(path)), Benchmark(path=str(path), question="answer"))
    name = str(path)
    assert found.questions.rows() == [
        (name, 0, "What is a kettle?"),
        (name, 2, 'Why, "so"?\nReally?'),
        (name, 0, "A pot."),
        (name, 1, "Nothing was asked."),
        (name, 2, "So."),
    ]
    assert found.missing == {}


def test_no_benchmark_is_no_question() -> None:
    found = questions_of()
    assert found.questions.schema == pl.Schema(QUESTIONS)
    assert (found.questions.height, found.missing) == (0, {})


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("q.jsonl", '{"asked": "a"}\n', r"q.jsonl:1: has no column 'question', only asked"),
        ("q.jsonl", '{"question": ["a"]}\n', r"q.jsonl:1: a question is a text, not a list"),
        ("q.jsonl", "nope\n", "q.jsonl:1: not JSON"),
        ("q.csv", "asked\na\n", r"q.csv:2: has no column 'question', only asked"),
        ("q.parquet", "PAR1 half", "q.parquet: cannot be read as parquet"),
        ("q.txt", "What?", "q.txt: questions come as .jsonl, .parquet, .csv"),
        ("", "", "none.jsonl: no such file of questions; check curate.contamination.benchmarks"),
    ],
)
def test_a_bad_file_is_a_named_error(tmp_path: Path, file: str, text: str, message: str) -> None:
    if file:
        (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        questions_of(Benchmark(path=str(tmp_path / (file or "none.jsonl"))))


def test_a_dataset_is_read_by_config_and_split(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "hard").mkdir(parents=True)
    pl.DataFrame(ROWS).write_parquet(folder / "hard" / "test-0.parquet")
    pl.DataFrame(ROWS[:1]).write_parquet(folder / "hard" / "dev-0.parquet")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: hard\n  data_files:\n"
        "  - {split: dev, path: hard/dev-*}\n  - {split: test, path: hard/test-*}\n---\n",
        encoding="utf-8",
    )
    dataset = Benchmark(dataset=str(folder), config="hard")
    dev = dataset.model_copy(update={"split": "dev"})
    found = questions_of(dataset, dev)
    assert found.questions.rows() == [
        (f"{folder} (hard)", 0, "What is a kettle?"),
        (f"{folder} (hard)", 2, 'Why, "so"?\nReally?'),
        (f"{folder} (hard, dev)", 0, "What is a kettle?"),
    ]
    with pytest.raises(InputError, match=r"\(hard, nope\): cannot be read"):
        questions_of(dataset.model_copy(update={"split": "nope"}))
    with pytest.raises(InputError, match=r"\(hard\): has no column 'asked', only question, answer"):
        questions_of(dataset.model_copy(update={"question": "asked"}))


def test_a_dataset_out_of_reach_is_missing_and_the_others_are_read(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "q.jsonl", ROWS)
    found = questions_of(*Contamination().benchmarks, Benchmark(path=str(path)))
    assert found.questions["number"].to_list() == [0, 2]
    assert list(found.missing) == ["cais/mmlu (all)"]
    assert "\n" not in found.missing["cais/mmlu (all)"]


ASK = """
import json
from synth.errors import InputError
from synth.settings import Benchmark, Contamination
from synth.store.benchmarks import read_benchmarks
told = {}
for name in ("cais/mmlu", "not an id"):
    try:
        told |= read_benchmarks(Contamination(benchmarks=[Benchmark(dataset=name)])).missing
    except InputError as error:
        told[name] = "error"
print(json.dumps(told))
"""


def test_without_a_network_nothing_is_tried_again_and_again(tmp_path: Path) -> None:
    # `.invalid` never resolves (RFC 2606), so this asks no server.
    online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://hub.invalid", "HF_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, **online},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(result.stdout)
    assert told["cais/mmlu"].startswith("cais/mmlu: cannot be read: ")
    assert told["not an id"] == "error"
    assert "Retrying" not in result.stderr  # as `datasets` does for 23 s

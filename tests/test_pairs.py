"""Reading pairs: every format, filtered, stripped, mixed, split by content; nothing uncounted."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from synth.errors import InputError
from synth.settings import Pairs, PairSource
from synth.stages.common import split_pairs
from synth.store.pairs import read_pairs
from tests.conftest import PAIRS, write_jsonl


def pairs_of(path: Path, *, held_out: int = 1, train: int | None = None, **source: Any) -> Pairs:
    return Pairs(
        sources=[PairSource(path=str(path), **source)],
        held_out=held_out,
        train=train,
        near_held_out=1.0,
    )


def test_the_split_depends_on_content_not_on_order(tmp_path: Path) -> None:
    one = write_jsonl(tmp_path / "a.jsonl", PAIRS)
    two = write_jsonl(tmp_path / "b.jsonl", PAIRS[::-1])
    first = split_pairs(pairs_of(one, held_out=5))
    assert first == split_pairs(pairs_of(two, held_out=5))
    assert (len(first.train), len(first.held_out)) == (len(PAIRS) - 5, 5)
    assert not {p.id for p in first.train} & {p.id for p in first.held_out}


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_every_format_gives_the_same_pairs(tmp_path: Path, kind: str) -> None:
    rows = [*PAIRS, {"instruction": 'Why? \u00e9, "x"', "response": "One,\ntwo."}]
    path = tmp_path / f"p.{kind}"
    if kind == "jsonl":
        write_jsonl(path, rows)
    elif kind == "parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["instruction", "response"])
            writer.writeheader()
            writer.writerows(rows)
    found = {(p.instruction, p.response, p.source) for p in read_pairs(pairs_of(path)).pairs}
    assert found == {(r["instruction"], r["response"], str(path)) for r in rows}


def test_dropped_rows_are_counted_with_their_reason(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        *PAIRS,
        PAIRS[0],
        {"instruction": "", "response": "Something."},
        {"instruction": None, "response": "Something."},
    ]
    pool = read_pairs(pairs_of(write_jsonl(tmp_path / "a.jsonl", rows), sample=20))
    assert len(pool.pairs) == 20
    assert pool.dropped == {"repeated": 1, "empty": 2, "not_sampled": len(PAIRS) - 20}
    assert len(pool.pairs) + sum(pool.dropped.values()) == len(rows)


def test_wrapper_filter_and_columns(tmp_path: Path) -> None:
    wrapped = "Below is a task.\n\n### Instruction:\nName it.\n\n### Response:\n"
    rows = [{"prompt": wrapped, "answer": f"a{i}", "source": "xyz"[i % 3]} for i in range(9)]
    settings = pairs_of(
        write_jsonl(tmp_path / "a.jsonl", rows),
        instruction="prompt",
        response="answer",
        where={"source": ["x", "y"]},
        strip_before="### Instruction",
        strip_after="### Response",
        train=2,
    )
    split = split_pairs(settings)
    assert (len(split.train), len(split.held_out)) == (2, 1)
    assert {p.instruction for p in (*split.train, *split.held_out)} == {"Name it."}
    assert {p.response for p in split.train} < {"a0", "a1", "a3", "a4", "a6", "a7"}
    assert split.dropped == {"filtered": 3, "not_sampled": 3}


@pytest.mark.parametrize("where", [{"year": 2020}, {"year": "2020"}, {"ok": True}, {"ok": "true"}])
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_numbers_and_truths_can_be_asked_for(
    tmp_path: Path, kind: str, where: dict[str, Any]
) -> None:
    rows = [{**row, "year": 2018 + i % 3, "ok": i % 3 == 2} for i, row in enumerate(PAIRS)]
    path = tmp_path / f"p.{kind}"
    if kind == "jsonl":
        write_jsonl(path, rows)
    else:
        frame = pl.DataFrame(rows)
        frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    pool = read_pairs(pairs_of(path, where=where))
    assert {p.response for p in pool.pairs} == {row["response"] for row in PAIRS[2::3]}
    assert pool.dropped == {"filtered": 2 * len(PAIRS) // 3}


def test_a_value_is_asked_for_as_the_file_has_it(tmp_path: Path) -> None:
    rows = [{**row, "at": value} for row, value in zip(PAIRS, (2020.0, True, "a"), strict=False)]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    for value, count in ((2020, 1), ("True", 1), ([2020, "a"], 2), (1, 0), ("A", 0)):
        source = pairs_of(path, where={"at": value}).sources[0]
        left = 3 - count
        if count:
            assert read_pairs(Pairs(sources=[source])).dropped == {"filtered": left}
        else:
            with pytest.raises(InputError, match="3 filtered"):
                read_pairs(Pairs(sources=[source]))


def test_conversations_give_their_first_turn(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "What is a kettle?"},
                {"role": "assistant", "content": "A pot with a spout."},
                {"role": "user", "content": "And a lamp?"},
            ]
        },
        {
            "messages": [
                {"from": "human", "value": "Name a fish."},
                {"from": "gpt", "value": "Eel."},
            ]
        },
        {"messages": [{"role": "user", "content": "Unanswered?"}]},
        {"messages": [{"role": "user", "content": "A?"}, {"role": "user", "content": "B?"}]},
        {"messages": None},
    ]
    pool = read_pairs(pairs_of(write_jsonl(tmp_path / "a.jsonl", rows), messages="messages"))
    assert {(p.instruction, p.response) for p in pool.pairs} == {
        ("What is a kettle?", "A pot with a spout."),
        ("Name a fish.", "Eel."),
    }
    assert pool.dropped == {"empty": 3}


def test_sources_are_mixed_by_weight(tmp_path: Path) -> None:
    def source(name: str, count: int, weight: float | None) -> PairSource:
        rows = [{"instruction": f"{name} {i}?", "response": f"{name} {i}."} for i in range(count)]
        return PairSource(path=str(write_jsonl(tmp_path / f"{name}.jsonl", rows)), weight=weight)

    def shares(train: int | None, *weights: float | None) -> list[int]:
        sources = [
            source(n, c, w) for (n, c), w in zip((("a", 90), ("b", 30)), weights, strict=True)
        ]
        pool = read_pairs(Pairs(sources=sources, train=train, held_out=4, near_held_out=1.0))
        return [sum(p.instruction[0] == name for p in pool.pairs) for name in "ab"]

    assert shares(None, None, None) == [90, 30]
    assert shares(None, 1, 1) == [30, 30]
    assert shares(None, 9, 1) == [90, 10]
    assert shares(16, 3, 1) == [15, 5]
    with pytest.raises(ValueError, match="every source a weight, or none"):
        shares(None, 1, None)


def test_a_weighted_source_that_gives_nothing_new_is_named(tmp_path: Path) -> None:
    sources = [
        PairSource(path=str(write_jsonl(tmp_path / name, PAIRS)), weight=1.0)
        for name in ("a.jsonl", "b.jsonl")
    ]
    message = rf"^{tmp_path}/b.jsonl: no pair \(24 repeated\); .*, or leave that source out"
    with pytest.raises(InputError, match=message):
        read_pairs(Pairs(sources=sources))


def test_a_file_may_have_a_mark_blank_lines_and_long_fields(tmp_path: Path) -> None:
    long = {"instruction": "Tell it all.", "response": "word " * 60_000}
    lines = [json.dumps(row) for row in (*PAIRS, long)]
    (tmp_path / "a.jsonl").write_text("\n\n".join(lines) + "\n \n", encoding="utf-8-sig")
    pl.DataFrame([*PAIRS, long]).write_csv(tmp_path / "a.csv", include_bom=True)
    for name in ("a.jsonl", "a.csv"):
        pool = read_pairs(pairs_of(tmp_path / name))
        assert {p.response for p in pool.pairs} >= {long["response"].strip()}
        assert (len(pool.pairs), pool.dropped) == (len(PAIRS) + 1, {})
    (tmp_path / "b.jsonl").write_text(f"{lines[0]}\n\nnope\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"b\.jsonl:3: not JSON"):
        read_pairs(pairs_of(tmp_path / "b.jsonl"))


def test_pairs_like_a_held_out_one_are_not_learnt(tmp_path: Path) -> None:
    words = "the old mill stands by the river and grinds corn for the village every day".split()
    base = [
        {"instruction": f"What is mill {i}?", "response": " ".join(words[i:] + words[:i])}
        for i in range(8)
    ]
    rows = base + [{**row, "response": row["response"] + " still"} for row in base]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    strict = Pairs(sources=[PairSource(path=str(path))], held_out=3, near_held_out=0.7)
    split = split_pairs(strict)
    held_out = {p.response.removesuffix(" still") for p in split.held_out}
    assert not held_out & {p.response.removesuffix(" still") for p in split.train}
    assert split.dropped["near_held_out"] == 16 - 3 - len(split.train) > 0
    loose = split_pairs(strict.model_copy(update={"near_held_out": 1.0}))
    assert len(loose.train) == 13


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"instruction": "a"}\n', r"a.jsonl:1: has no column 'response', only instruction"),
        (
            '{"instruction": "a", "response": 3}\n',
            r"a.jsonl:1: response: a pair is two texts, not a int",
        ),
        (
            '{"instruction": "a", "response": "b \\ud800"}\n',
            "a.jsonl:1: response: holds half a character",
        ),
        ("nope\n", "a.jsonl:1: not JSON"),
        ("[]\n", "a.jsonl:1: not a JSON object"),
        ("", r"a.jsonl: no pair \(no row at all\)"),
        ('{"instruction": "", "response": "b"}\n', r"a.jsonl: no pair \(1 empty\)"),
        ('{"instruction": "a", "response": "b"}\n', "1 pairs, of which 1 are held out"),
    ],
)
def test_bad_pairs_are_named_errors(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        split_pairs(pairs_of(file, held_out=64))


def test_damaged_files_and_unknown_formats_are_named_errors(tmp_path: Path) -> None:
    for name, data, message in (
        ("p.parquet", b"PAR1 half", "p.parquet: cannot be read as parquet"),
        ("p.csv", b"instruction,response\nonly one\n", "p.csv:2: has not the columns"),
        ("q.csv", b"instruction,response\n\xff\xfe,x\n", "q.csv: not CSV in UTF-8"),
        ("p.jsonl.gz", gzip.compress(b"{}"), "pairs come as .jsonl, .parquet, .csv"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=message):
            read_pairs(pairs_of(tmp_path / name))
    with pytest.raises(InputError, match="no such file of pairs"):
        read_pairs(pairs_of(tmp_path / "none.jsonl"))
    file = write_jsonl(tmp_path / "a.jsonl", PAIRS)
    with pytest.raises(InputError, match="has no column 'origin'"):
        read_pairs(pairs_of(file, where={"origin": "x"}))


def test_an_unreachable_dataset_is_a_named_error() -> None:
    with pytest.raises(InputError, match="nobody/nothing: cannot be read"):
        read_pairs(Pairs(sources=[PairSource(dataset="nobody/nothing")]))


@pytest.mark.parametrize("streaming", [False, True])
def test_a_dataset_is_read_with_config_and_split(tmp_path: Path, streaming: bool) -> None:
    folder = tmp_path / "set"
    (folder / "hard").mkdir(parents=True)
    pl.DataFrame(PAIRS).write_parquet(folder / "hard" / "train-0.parquet")
    pl.DataFrame(PAIRS[:3]).write_parquet(folder / "hard" / "test-0.parquet")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: hard\n  data_files:\n"
        "  - {split: train, path: hard/train-*}\n  - {split: test, path: hard/test-*}\n---\n",
        encoding="utf-8",
    )
    source = PairSource(dataset=str(folder), config="hard", streaming=streaming, sample=2)
    for split, rows in (("train", PAIRS), ("test", PAIRS[:3])):
        settings = Pairs(sources=[source.model_copy(update={"split": split})])
        pool = read_pairs(settings)
        assert len(pool.pairs) == 2
        assert {p.response for p in pool.pairs} <= {r["response"] for r in rows}
        assert pool == read_pairs(settings)
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(Pairs(sources=[source.model_copy(update={"split": "nope"})]))

"""Reading pairs: stripped, filtered, split by content."""

from pathlib import Path

import pytest

from synth.errors import InputError
from synth.recipe import Pairs
from synth.store.pairs import read_pairs
from tests.conftest import PAIRS, write_jsonl


def test_the_split_depends_on_content_not_on_order(tmp_path: Path) -> None:
    one = write_jsonl(tmp_path / "a.jsonl", PAIRS)
    two = write_jsonl(tmp_path / "b.jsonl", PAIRS[::-1])
    first = read_pairs(Pairs(path=str(one), held_out=5))
    assert first == read_pairs(Pairs(path=str(two), held_out=5))
    assert [len(part) for part in first] == [len(PAIRS) - 5, 5]
    assert not {p.id for p in first[0]} & {p.id for p in first[1]}


def test_a_repeated_pair_counts_once(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", PAIRS + PAIRS)
    assert len(read_pairs(Pairs(path=str(file), held_out=1))[0]) == len(PAIRS) - 1


def test_wrapper_filter_and_columns(tmp_path: Path) -> None:
    wrapped = "Below is a task.\n\n### Instruction\nName it.\n\n### Response\n"
    rows = [
        {"prompt": wrapped, "answer": f"a{i}", "source": "x" if i % 2 else "y"} for i in range(6)
    ]
    settings = Pairs(
        path=str(write_jsonl(tmp_path / "a.jsonl", rows)),
        instruction="prompt",
        response="answer",
        where={"source": "x"},
        strip_before="### Instruction",
        strip_after="### Response",
        held_out=1,
        train=1,
    )
    train, held_out = read_pairs(settings)
    assert (len(train), len(held_out)) == (1, 1)
    assert {p.instruction for p in (*train, *held_out)} == {"Name it."}
    assert {p.response for p in (*train, *held_out)} < {"a1", "a3", "a5"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"instruction": "a"}\n', "a.jsonl:1: needs texts in 'instruction' and 'response'"),
        ("nope\n", "a.jsonl:1: not JSON"),
        ("[]\n", "a.jsonl:1: not a JSON object"),
        ("", "0 pairs, of which 64 are held out"),
    ],
)
def test_bad_pairs_are_named_errors(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_pairs(Pairs(path=str(file)))


def test_no_source_and_no_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pairs named"):
        read_pairs(Pairs())
    with pytest.raises(InputError, match="no such file of pairs"):
        read_pairs(Pairs(path=str(tmp_path / "none.jsonl")))


def test_an_unreachable_dataset_is_a_named_error() -> None:
    with pytest.raises(InputError, match="nobody/nothing: cannot be read"):
        read_pairs(Pairs(dataset="nobody/nothing"))

"""The dataset's card: its metadata, its numbers, and untrusted text that stays text."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
import yaml
from huggingface_hub import DatasetCardData

from synth.settings.licences import hub_licence
from synth.store.card import (
    NOTES,
    CardFacts,
    Reviewed,
    card,
    change_line,
    with_changes,
    with_notes,
)
from synth.store.card.changes import CHANGES
from synth.store.card.markdown import code, code_block, table
from synth.store.dataset import Config, Split, features

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema(
    [("messages", MESSAGES), ("id", pa.string()), ("start", pa.int64()), ("logprob", pa.float64())]
)
FACTS = CardFacts(
    name="d",
    base="base/model",
    version="0",
    configs=[
        Config("messages", "data", SCHEMA, [Split("train", 9, 90, 50), Split("test", 1, 10, 5)]),
        Config(
            "alpaca", "alpaca", pa.schema([("output", pa.string())]), [Split("train", 10, 9, 8)]
        ),
    ],
    ledger={
        "documents": 4,
        "segments": 12,
        "bad_lines": 2,
        "buckets": {"kept": 10, "declined": 2},
        "contamination": {"questions": 0, "spared": 0, "missing": {}},
        "masked": {"curated": {}, "rejected": {}},
    },
    licences={"Apache-2.0": 10},
    evaluation={
        "held_out": 4,
        "before": {"nats_per_token": 4.0},
        "after": {"nats_per_token": 1.0, "retrieval": 0.75},
    },
    quantiles={"logprob": [-2.0, -1.5, -1.0, -0.5, -0.25]},
    languages={"en": (10, 9), "de": (0, 1), "xx": (0, 0)},
    looked_at=10,
    samples=[("What?", "a text")],
)


def metadata(facts: CardFacts) -> dict[str, Any]:
    return dict(yaml.safe_load(card(facts).split("---\n")[1]))


def test_the_metadata_is_what_the_hub_reads() -> None:
    found = metadata(FACTS)
    assert found["license"] == "apache-2.0"
    assert found["language"] == ["en", "de"]
    assert found["multilinguality"] == ["multilingual"]
    assert found["size_categories"] == ["n<1K"]
    assert {"synthetic", "synth"} <= set(found["tags"])
    assert found["configs"] == [
        {
            "config_name": "messages",
            "default": True,
            "data_files": [
                {"split": "train", "path": "data/train-*"},
                {"split": "test", "path": "data/test-*"},
            ],
        },
        {
            "config_name": "alpaca",
            "data_files": [{"split": "train", "path": "alpaca/train-*"}],
        },
    ]
    assert [info["config_name"] for info in found["dataset_info"]] == ["messages", "alpaca"]
    assert found["dataset_info"][0]["splits"] == [
        {"name": "train", "num_bytes": 90, "num_examples": 9},
        {"name": "test", "num_bytes": 10, "num_examples": 1},
    ]
    assert found["dataset_info"][0]["download_size"] == 55
    assert DatasetCardData(**found).to_dict() == found


def test_features_are_spelt_as_datasets_spells_them() -> None:
    from datasets import Features

    kinds = [*SCHEMA, pa.field("shortened", pa.bool_()), pa.field("names", pa.list_(pa.string()))]
    schema = pa.schema(kinds)
    assert features(schema) == Features.from_arrow_schema(schema)._to_yaml_list()


@pytest.mark.parametrize(
    ("rows", "size"),
    [(999, "n<1K"), (1_000, "1K<n<10K"), (99_999, "10K<n<100K"), (1_000_000, "1M<n<10M")],
)
def test_the_size_category_counts_the_rows_of_messages(rows: int, size: str) -> None:
    config = Config("messages", "data", SCHEMA, [Split("train", rows, 0, 0)])
    rejected = Config("rejected", "rejected", SCHEMA, [Split("rejected", 10**8, 0, 0)])
    assert metadata(replace(FACTS, configs=[config, rejected]))["size_categories"] == [size]


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        ({"Apache-2.0": 1}, "apache-2.0"),
        ({"CC BY 4.0": 1, "cc-by-4.0": 2}, "cc-by-4.0"),
        ({"GPL-3.0-or-later": 1}, "gpl-3.0"),
        ({"MIT": 1, "GPL-3.0": 2}, "other"),
        ({"MIT": 1, "": 2}, "other"),
        ({"": 3}, "other"),
        ({"see <b>here</b>": 1}, "other"),
        ({}, "other"),
    ],
)
def test_one_licence_of_all_rows_is_the_datasets(licences: dict[str, int], expected: str) -> None:
    found = metadata(replace(FACTS, licences=licences))
    assert found["license"] == expected
    assert ("license_name" in found) == (expected == "other")


def test_the_recipes_licence_goes_first_and_pairs_of_unknown_licence_are_other() -> None:
    assert metadata(replace(FACTS, licence="odc-by"))["license"] == "odc-by"
    assert metadata(replace(FACTS, pairs={"ours.jsonl": 3}))["license"] == "other"
    assert "| pairs of `ours.jsonl` | 3 |" in card(replace(FACTS, pairs={"ours.jsonl": 3}))
    assert hub_licence("made-up-1.0") is None


def test_the_card_tells_the_numbers() -> None:
    text = card(FACTS)
    for line in (
        "| lines that held no document | 2 |",
        "| documents | 4 |",
        "| segments | 12 |",
        "| rejected: declined | 2 |",
        "| kept | 10 |",
        "| rows of train | 9 |",
        "| log-probability of the instruction, mean of its tokens, nats "
        "| -2 | -1.5 | -1 | -0.5 | -0.25 |",
        "| de | 0 | 1 |",
        "| `Apache-2.0` | 10 |",
    ):
        assert line in text.splitlines()
    assert "from 4.00 to 1.00 nats" in text
    assert "75% of the instructions find their own text" in text
    assert "Private data" not in text
    counts = {"curated": {"email": 7}, "rejected": {"email": 3}}
    masked = card(replace(FACTS, ledger={**FACTS.ledger, "masked": counts}))
    assert "| `email` | 7 |" in masked.splitlines()
    assert "No benchmark was looked for." in text


def test_the_card_tells_which_benchmarks_were_looked_for() -> None:
    looked = {"questions": 140, "spared": 3, "missing": {"cais/mmlu (all)": "no <network>"}}
    buckets = {**FACTS.ledger["buckets"], "contaminated": 5}
    text = card(
        replace(FACTS, ledger={**FACTS.ledger, "contamination": looked, "buckets": buckets})
    )
    assert "5 segments were dropped for a run of words of one of 140 benchmark questions" in text
    assert "- Not checked against `cais/mmlu (all)`: `no <network>`" in text.splitlines()


def test_the_card_tells_what_people_found() -> None:
    unread = card(FACTS)
    assert "Read by people" not in unread
    assert "- The instructions are machine-made and were not read by people." in unread.splitlines()
    said = Reviewed(read=8, good=6, bad=2, interval=(0.4093, 0.9285))
    text = card(replace(FACTS, reviewed=said))
    told = (
        "People read 8 of the 12 rows that the rules kept and found 6 good: 75.0% (95 % interval"
        " 40.9% to 92.8%, Wilson 1927). They were offered rows evenly over the log-probability of"
        " the instruction, and may have read others. The 2 that they found bad were removed."
    )
    assert told in text.splitlines()
    assert "- The instructions are machine-made and of 12 people read 8." in text.splitlines()
    assert "not read by people" not in text
    good = card(replace(FACTS, reviewed=Reviewed(3, 3, 0, (0.4385, 1.0))))
    assert "removed" not in good.split("## Read by people")[1].split("##")[0]


def test_untrusted_text_cannot_leave_its_block() -> None:
    evil = "```\n# not a heading\n<script>alert(1)</script>\n````"
    assert f"`````text\n{evil}\n`````" in card(replace(FACTS, samples=[("What?", evil)]))
    assert code_block("a\r\nb\rc\x00d\u202e") == "```text\na\nb\ufffdc\ufffdd\ufffd\n```"
    assert code_block("x" * 3001).endswith("x\n[... 1 more characters]\n```")


def test_untrusted_text_cannot_leave_its_cell() -> None:
    evil = "MIT` | 9 |\n| `x` <b>\u2028# y"
    row = f"| ``{'MIT` | 9 | | `x` <b> # y'}`` | 1 |".replace("` | 9 | | `", "` \\| 9 \\| \\| `")
    row = row.replace("| ``MIT", "| `` MIT").replace("y`` |", "y `` |")
    assert row in card(replace(FACTS, licences={evil: 1, "MIT": 1})).splitlines()
    assert code("") == "`  `"
    assert len(code("x" * 500)) == 202
    assert table(("a", "b"), [("c|d", 1)]) == "| a | b |\n| --- | ---: |\n| c\\|d | 1 |"


def test_many_licences_are_summed_up() -> None:
    text = card(replace(FACTS, licences={f"own {i}": 1 for i in range(60)}))
    assert "| `own 49` | 1 |" in text
    assert "own 50" not in text
    assert "| 10 others | 10 |" in text


def test_notes_of_people_are_kept() -> None:
    first = card(FACTS)
    written = first.replace(
        NOTES.of(first) or "none", "\nAsk ann@example.org.\n\n```\ncode \\1\n```\n"
    )
    again = with_notes(card(replace(FACTS, version="1")), written)
    assert NOTES.of(again) == "\nAsk ann@example.org.\n\n```\ncode \\1\n```\n"
    assert "synth 1" in again
    assert with_notes(first, written) == written


@pytest.mark.parametrize(
    "old", ["", "# A card of others", "<!-- notes -->\nhalf", "<!-- /notes -->"]
)
def test_a_card_without_notes_changes_nothing(old: str) -> None:
    assert with_notes(card(FACTS), old) == card(FACTS)


def test_a_text_that_spells_the_marks_is_no_note() -> None:
    evil = "<!-- notes -->\nBuy this.\n<!-- /notes -->"
    old = card(replace(FACTS, samples=[(evil, evil)]))
    assert with_notes(card(FACTS), old) == card(FACTS)


CHANGED = {
    "rows": {
        "same": 8, "changed": 1, "added": 3, "removed": 2,
        "logprob": {"old": {}, "new": {}, "moved": 0.02},
    },
    "segments": {"kept": [11, 12]},
    "settings": {"curate.min_logprob": [-2.0, -1.0]},
}  # fmt: skip


def test_the_latest_change_comes_first_and_older_ones_stay() -> None:
    text = with_changes(card(FACTS), card(FACTS), change_line(CHANGED))
    told = (
        "- 3 rows added, 2 removed, 1 changed, 8 the same; median log-probability of those in both"
        " moved by 0.02; segments: `kept` `11` to `12`; settings: `curate.min_logprob` `-2.0` to"
        " `-1.0`."
    )
    assert (CHANGES.of(text) or "").split("\n") == ["", told, "", ""]
    again = with_changes(
        card(FACTS), text, change_line({**CHANGED, "segments": {}, "settings": {}})
    )
    first, second = (CHANGES.of(again) or "").strip().split("\n")
    assert first.endswith("moved by 0.02.")
    assert second == told
    assert with_changes(card(FACTS), again, None) == again


def test_a_first_version_says_so() -> None:
    assert (CHANGES.of(card(FACTS)) or "").strip() == "First version."
    assert with_changes(card(FACTS), card(FACTS), None) == card(FACTS)

"""The dataset folder: what is in it, that its readers read it, and that trainers take it."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from synth.errors import InputError, RecipeError, RunError
from synth.recipe import Recipe, load_recipe
from synth.records import Progress
from synth.settings import Export
from synth.stages import dataset_parts
from synth.stages.common import split_pairs
from synth.stages.export import export
from synth.store.dataset import Rows, layout, shards
from synth.store.files import writing_parquet
from synth.store.run import Run
from synth.tables.candidate import CANDIDATE
from synth.tables.published import Portrait, for_test, last_for_test
from synth.tables.sorting import CURATED, REJECTED

ALL = "export.configs=[messages,alpaca,prompt_completion,provenance,rejected]"
WILD = ["plain", "quotes \" ' `", "line\nbreak\ttab", "漢字 🙂 \u202e", "\x00 nul", "", "|"]
ROWS = 60


def candidates(count: int, extra: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Rows of curation, three for each document."""
    return [
        {
            "segment_id": f"{i:016x}",
            "sample": 0,
            "document_id": f"d{i // 3}",
            "start": i,
            "end": i + 9,
            "text": f"The {WILD[i % len(WILD)]} of number {i} stands in the yard by the house.",
            "skip": "",
            "instruction": f"What is {WILD[i % len(WILD)]} {i}?",
            "finish": "stop",
            "tokens": 4,
            "logprob": -0.01 * (i * 7 % ROWS),
            "r_ifd": None,
            "seed": i,
            "shortened": False,
            "metadata": json.dumps({"license": "CC-BY-4.0", "url": f"u{i}"}),
            "provenance": json.dumps({"adapter": "a"}),
            **(extra or {}),
        }
        for i in range(count)
    ]


def fill(run: Run, kept: int, *, masked: bool = False, group: int = 1000) -> Run:
    """Gives the run curated rows, so many a row group, two rejected ones and a ledger."""
    value = {"masked": '{"email": 1}' if masked else None}
    reject = {"reason": "unlikely", "value": "-9", "rank": 3, **value}
    for path, schema, rows in (
        (run.curated_file(0), CURATED, candidates(kept, value)),
        (run.rejected_file(0), REJECTED, candidates(2, reject)),
    ):
        with writing_parquet(path, schema, group) as file:
            file.add(pl.DataFrame(rows, schema=schema))
    buckets = {"kept": kept, "unlikely": 2}
    ledger = {
        "documents": kept // 3,
        "bad_lines": 0,
        "segments": kept + 2,
        "buckets": buckets,
        "contamination": {"questions": 0, "spared": 0, "missing": {}},
        "masked": {"curated": {}, "rejected": {}},
    }
    run.commit("curate", f"of {kept}", ledger, started=0.0)
    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run whose files have several row groups."""
    return fill(Run(tmp_path / "run"), ROWS, group=8)


def recipe(*overrides: str) -> Recipe:
    return load_recipe("nano", overrides)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with every config."""
    folder = tmp_path_factory.mktemp("whole")
    export(fill(Run(folder / "run"), ROWS), recipe(ALL), folder / "out")
    return folder / "out"


def read(folder: Path, config: str, split: str) -> list[dict[str, Any]]:
    rows = pl.read_parquet(folder / config / f"{split}-*.parquet").to_dicts()
    assert rows
    return rows


def test_the_folder_has_every_config_and_nothing_else(everything: Path) -> None:
    files = sorted(str(p.relative_to(everything)) for p in everything.rglob("*") if p.is_file())
    splits = [f"{name}-00000-of-00001.parquet" for name in ("test", "train")]
    folders = ("alpaca", "data", "prompt_completion", "provenance")
    assert files == sorted(
        [
            "README.md",
            *(f"{folder}/{split}" for folder in folders for split in splits),
            "provenance.json",
            "recipe.yaml",
            "rejected/rejected-00000-of-00001.parquet",
        ]
    )
    told = json.loads((everything / "provenance.json").read_text("utf-8"))
    assert told["splits"] == {"train": 54, "test": 6}
    assert told["configs"]["rejected"] == {"rejected": 2}
    assert told["stages"]["curate"]["fingerprint"] == f"of {ROWS}"
    assert load_recipe(str(everything / "recipe.yaml")) == recipe(ALL)


def test_no_document_is_on_both_sides_in_any_config(everything: Path) -> None:
    sides = [{row["document_id"] for row in read(everything, "data", s)} for s in ("train", "test")]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == ROWS // 3
    ids = [[row["id"] for row in read(everything, "data", s)] for s in ("train", "test")]
    for config in ("alpaca", "prompt_completion", "provenance"):
        for split, expected in zip(("train", "test"), ids, strict=True):
            assert [row["id"] for row in read(everything, config, split)] == expected


def test_each_config_says_the_same_in_its_own_way(everything: Path) -> None:
    source = {row["segment_id"]: row for row in candidates(ROWS)}
    for row in read(everything, "data", "train"):
        of = source[row["id"]]
        user = {"role": "user", "content": of["instruction"]}
        assistant = {"role": "assistant", "content": of["text"]}
        assert row == {
            "messages": [user, assistant],
            "id": of["segment_id"],
            "origin": "generated",
            **{key: of[key] for key in ("document_id", "start", "end", "logprob", "metadata")},
        }
    for row in read(everything, "alpaca", "test"):
        of = source[row["id"]]
        assert (row["instruction"], row["input"], row["output"]) == (
            of["instruction"], "", of["text"],
        )  # fmt: skip
    for row in read(everything, "prompt_completion", "test"):
        of = source[row["id"]]
        assert row["prompt"] == [{"role": "user", "content": of["instruction"]}]
        assert row["completion"] == [{"role": "assistant", "content": of["text"]}]
    scored = read(everything, "provenance", "test")[0]
    of = source[scored["id"]]
    assert not {"text", "instruction"} & set(scored)
    for key in ("seed", "logprob", "r_ifd", "finish", "provenance", "start", "shortened"):
        assert scored[key] == of[key]
    rejected = read(everything, "rejected", "rejected")
    assert [(r["reason"], r["value"], r["rank"]) for r in rejected] == [("unlikely", "-9", 3)] * 2
    assert rejected[0]["text"] == source[rejected[0]["id"]]["text"]


def test_the_card_tells_of_these_rows(everything: Path) -> None:
    card = (everything / "README.md").read_text("utf-8")
    told = yaml.safe_load(card.split("---\n")[1])
    assert (told["license"], told["language"]) == ("cc-by-4.0", ["en"])
    assert f"| `CC-BY-4.0` | {ROWS} |" in card
    assert f"nats | {-0.56} | {-0.44} |" in card
    assert card.count("```text") == 20


def test_the_card_shows_a_row_of_each_tenth_likeliest_first(everything: Path) -> None:
    card = (everything / "README.md").read_text("utf-8").partition("## Samples")[2]
    shown = re.findall(r"### \d+\n\n```text\nWhat is [^?]* (\d+)\?\n```", card)
    ranks = [int(number) * 7 % ROWS for number in shown]
    assert [rank * 10 // ROWS for rank in ranks] == list(range(10))
    assert ranks != list(range(0, ROWS, 6))  # by hash, not the first of each


def test_types_are_those_every_reader_knows(everything: Path) -> None:
    files = sorted(everything.rglob("*.parquet"))
    assert len(files) == 9
    for path in files:
        schema = pq.read_schema(path)
        assert "large" not in str(schema)
        assert "view" not in str(schema)
        column = pq.read_metadata(path).row_group(0).column(0)
        assert column.compression == "ZSTD"
        assert column.has_offset_index


@pytest.mark.parametrize("masked", [False, True])
def test_what_was_masked_is_carried(tmp_path: Path, masked: bool) -> None:
    run = fill(Run(tmp_path / "run"), 6, masked=masked)
    export(run, recipe(ALL), tmp_path / "out")
    for config, split in (("provenance", "train"), ("rejected", "rejected")):
        row = read(tmp_path / "out", config, split)[0]
        assert row["masked"] == ('{"email": 1}' if masked else None)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few rows, row groups of a kilobyte, several shards."""
    monkeypatch.setattr(shards, "GROUP_BYTES", 1_000)
    monkeypatch.setattr(dataset_parts, "SHARD_BYTES", 4_000)
    monkeypatch.setattr("synth.store.dataset.reading._MOST_ROWS", 7)


def test_the_same_rows_give_the_same_bytes_on_any_number_of_threads(
    run: Run, tmp_path: Path, small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pa.cpu_count()
    try:
        for threads in (1, 4):
            pa.set_cpu_count(threads)
            monkeypatch.setattr("synth.stages.export._THREADS", threads)
            export(run, recipe(ALL), tmp_path / f"{threads}")
    finally:
        pa.set_cpu_count(before)
    names = sorted(p.relative_to(tmp_path / "1") for p in (tmp_path / "1").rglob("*.*"))
    assert len(names) > 12
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes()


def test_shards_are_cut_by_size_and_lose_no_row(
    run: Run, tmp_path: Path, small_pieces: None
) -> None:
    export(run, recipe("export.test_share=0"), tmp_path / "out")
    paths = sorted((tmp_path / "out" / "data").iterdir())
    count = len(paths)
    assert count > 2
    assert [p.name for p in paths] == [
        f"train-{i:05d}-of-{count:05d}.parquet" for i in range(count)
    ]
    for path in paths:
        table = pq.read_table(path)
        assert table.nbytes < 5_000
        with pq.ParquetFile(path) as file:
            sizes = [file.read_row_group(i).nbytes for i in range(file.num_row_groups)]
        assert max(sizes) < 1_200
        assert all(size > 800 for size in sizes[:-1])
    ids = pl.concat(pl.read_parquet(path) for path in paths)["id"].to_list()
    assert ids == [row["segment_id"] for row in candidates(ROWS)]


def test_progress_counts_every_row_of_every_config(run: Run, tmp_path: Path) -> None:
    heard: list[Progress] = []
    export(run, recipe(ALL), tmp_path / "out", heard.append)
    total = 4 * ROWS + 2
    assert {p.total for p in heard} == {total}
    done = [p.done for p in heard]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)


def test_what_is_unchanged_is_not_written_again(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "out"
    first = export(run, recipe(), target)
    assert first.counts == {"folder": str(target), "train": 54, "test": 6, "configs": {}}
    assert export(run, recipe(), target).skipped
    assert not export(run, recipe("export.test_share=0.2"), target).skipped
    assert not export(run, recipe(), target).skipped
    (target / "provenance.json").unlink()
    (target / "README.md").unlink()
    shutil.rmtree(target / "data")
    (target / "recipe.yaml").unlink()
    assert not export(run, recipe(), target).skipped
    next(target.glob("data/train-*")).write_bytes(b"cut")
    assert not export(run, recipe(), target).skipped
    (target / "data" / "notes.txt").write_text("by hand")
    assert not export(run, recipe(), target).skipped
    assert not (target / "data" / "notes.txt").exists()
    (target / ".DS_Store").write_bytes(b"of a file manager")
    assert export(run, recipe(), target).skipped


def test_another_run_in_the_same_folder_is_no_reason_to_skip(run: Run, tmp_path: Path) -> None:
    other, target = fill(Run(tmp_path / "other"), 30), tmp_path / "out"
    export(run, recipe(), target)
    export(other, recipe(), target)
    assert not export(run, recipe(), target).skipped
    assert sum(len(read(target, "data", split)) for split in ("train", "test")) == ROWS


def test_the_folders_beside_it_stay(run: Run, tmp_path: Path) -> None:
    for end in ("old", "part"):
        (tmp_path / f"out.{end}").mkdir()
        (tmp_path / f"out.{end}" / "mine").write_text("mine")
    export(run, recipe(), tmp_path / "out")
    export(run, recipe("export.test_share=0.2"), tmp_path / "out")
    assert [(tmp_path / f"out.{end}" / "mine").read_text() for end in ("old", "part")] == [
        "mine"
    ] * 2
    assert {path.name for path in tmp_path.iterdir()} == {"out", "out.old", "out.part", "run"}


def test_a_version_that_was_put_aside_comes_back(run: Run, tmp_path: Path) -> None:
    export(run, recipe(), tmp_path / "out")
    card = tmp_path / "out" / "README.md"
    card.write_text(card.read_text().replace("<!-- notes -->\n", "<!-- notes -->\nMind row 7.\n"))
    (tmp_path / "out").rename(tmp_path / ".out.synth-old")  # where a kill would leave it
    export(run, recipe("export.test_share=0.2"), tmp_path / "out")
    assert "Mind row 7." in card.read_text()


def test_a_damaged_version_is_replaced(run: Run, tmp_path: Path) -> None:
    export(run, recipe(), tmp_path / "out")
    next((tmp_path / "out").glob("data/train-*")).write_bytes(b"cut")
    export(run, recipe("export.test_share=0.2"), tmp_path / "out")
    assert "The version before could not be read." in (tmp_path / "out" / "README.md").read_text()
    assert len(read(tmp_path / "out", "data", "train")) > 0


def test_notes_in_the_card_outlive_an_export(run: Run, tmp_path: Path) -> None:
    export(run, recipe(), tmp_path / "out")
    path = tmp_path / "out" / "README.md"
    text = path.read_text("utf-8")
    assert text.count("<!-- notes -->\n") == 1
    path.write_text(text.replace("<!-- notes -->\n", "<!-- notes -->\nMind row 7.\n"), "utf-8")
    export(run, recipe("export.licence=odc-by"), tmp_path / "out")
    again = path.read_text("utf-8")
    assert "<!-- notes -->\nMind row 7.\n" in again
    assert "license: odc-by" in again


def test_source_tags_open_every_conversation(run: Run, tmp_path: Path) -> None:
    export(run, recipe(ALL, "export.source_tag=true"), tmp_path / "out")
    tag = Export().generated_tag
    system = {"role": "system", "content": tag}
    assert all(r["messages"][0] == system for r in read(tmp_path / "out", "data", "train"))
    row = read(tmp_path / "out", "prompt_completion", "train")[0]
    assert [m["role"] for m in row["prompt"]] == ["system", "user"]
    assert [m["role"] for m in row["completion"]] == ["assistant"]
    assert {r["system"] for r in read(tmp_path / "out", "alpaca", "test")} == {tag}


def test_pairs_are_added_to_the_train_split_and_marked(
    tiny_run: Path, tiny_files: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    run = fill(Run(tmp_path / "run"), ROWS)
    sets = [ALL, "export.include_pairs=true", "export.source_tag=true"]
    mixed = load_recipe(str(tiny_files / "recipe.yaml"), sets)
    export(run, mixed, tmp_path / "out")
    pairs = split_pairs(mixed.pairs).train
    rows = read(tmp_path / "out", "data", "train")
    found = [row for row in rows if row["origin"] == "pair"]
    assert rows[-len(pairs) :] == found
    for row, pair in zip(found, pairs, strict=True):
        assert [m["content"] for m in row["messages"]] == [
            mixed.export.pair_tag, pair.instruction, pair.response,
        ]  # fmt: skip
        assert row["id"] == pair.id
        assert row["document_id"] is row["logprob"] is None
    assert {r["origin"] for r in read(tmp_path / "out", "data", "test")} == {"generated"}
    scored = read(tmp_path / "out", "provenance", "train")
    assert [r["id"] for r in scored] == [r["id"] for r in rows]
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert f"{len(pairs)} rows of the train split (`origin: pair`)" in card
    assert "license: other" in card
    others = load_recipe(str(tiny_files / "recipe.yaml"), [*sets, "pairs.held_out=5"])
    with pytest.raises(RunError, match="did not learn from the recipe's pairs as they are now"):
        export(run, others, tmp_path / "other")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("export.licence=apache-2", "export.licence: .*did you mean apache-2.0?"),
        ("export.licence='my own'", "no licence that the Hub knows.*`other` is for the rest"),
        ("export.configs=[alpaca]", "export.configs: .*names each layout once, `messages` among"),
        ("export.configs=[messages,messages]", "names each layout once"),
        ("export.configs=[messages,parquet]", "export.configs"),
    ],
)
def test_a_bad_setting_is_one_line(override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        recipe(override)
    assert "\n" not in str(caught.value)


def test_a_licence_may_be_spelt_as_people_do() -> None:
    assert recipe("export.licence=CC BY 4.0").export.licence == "cc-by-4.0"


def test_no_row_is_one_line_and_the_old_folder_stays(run: Run, tmp_path: Path) -> None:
    export(run, recipe(), tmp_path / "out")
    before = (tmp_path / "out" / "README.md").read_bytes()
    fill(run, 0)
    with pytest.raises(RunError, match=r"no row was kept \(unlikely 2\); loosen the rules"):
        export(run, recipe(), tmp_path / "out")
    assert (tmp_path / "out" / "README.md").read_bytes() == before


def test_what_is_not_ours_is_not_replaced(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match="is no dataset of synth"):
        export(run, recipe(), tmp_path / "home")
    with pytest.raises(InputError, match="is no dataset of synth"):
        export(run, recipe(), tmp_path / "home" / "thesis.txt")
    with pytest.raises(InputError, match=r"thesis.txt/out: cannot be written"):
        export(run, recipe(), tmp_path / "home" / "thesis.txt" / "out")
    export(run, recipe(), tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("by hand", encoding="utf-8")
    with pytest.raises(InputError, match=r"holds notes\.txt, which is no dataset of synth"):
        export(run, recipe("export.test_share=0.2"), tmp_path / "out")
    for strange in ("n" * 300, "/proc/x"):
        with pytest.raises(InputError, match="cannot be written"):
            export(run, recipe(), tmp_path / strange)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match=r"\.: is where you are; name a folder in it"):
        export(run, recipe(), Path())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["here", "home", "out", "run"]
    assert (tmp_path / "home" / "thesis.txt").read_text("utf-8") == "years of work"


def test_a_full_disk_is_one_line_and_leaves_the_old_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(run, recipe(), tmp_path / "out")
    before = (tmp_path / "out" / "README.md").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "Error writing bytes to file. No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", full)
        with pytest.raises(RunError, match="out: the disk is full; free space"):
            export(run, recipe("export.test_share=0.5"), tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "run"]
    assert (tmp_path / "out" / "README.md").read_bytes() == before


def test_a_damaged_file_of_rows_is_one_line(run: Run, tmp_path: Path) -> None:
    whole = run.curated_file(0).read_bytes()
    run.curated_file(0).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match=r"curated/part-00000\.parquet: cannot be read"):
        export(run, recipe(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- what the card is told ---------------------------------------------------------------------


def test_the_test_documents_are_a_stable_share() -> None:
    names = pl.Series([f"d{i}" for i in range(100)])

    def chosen(names: pl.Series, share: float) -> pl.Series:
        return for_test(names, last_for_test(names, share))

    tenth = chosen(names, 0.1)
    assert tenth.len() == 10
    assert set(tenth) < set(chosen(names, 0.2))
    grown = chosen(pl.concat([names, pl.Series([f"e{i}" for i in range(10)])]), 0.1)
    assert len(set(tenth) & set(grown)) >= 9
    assert chosen(names[:1], 0.9).len() == 0
    assert chosen(names, 0.0).len() == 0
    assert chosen(names, 0.999).len() == 99


def test_a_portrait_is_the_same_however_the_rows_are_cut() -> None:
    rows = pl.DataFrame(candidates(ROWS), schema=CANDIDATE)

    def portrait(size: int, start: int = 0, stop: int = ROWS) -> Portrait:
        made = Portrait(rows.height, pl.Series([3, 50, 1]), start)
        for at in range(start, stop, size):
            made.add(rows[at : min(at + size, stop)])
        return made

    one, joined = portrait(ROWS).painted(), portrait(5, 0, 20)
    assert portrait(7).painted() == one
    for start, stop in ((20, 21), (21, ROWS)):
        joined.join(portrait(9, start, stop))
    assert joined.painted() == one
    assert [asked for asked, _ in one.samples] == [
        rows["instruction"][place] for place in (3, 50, 1)
    ]
    assert one.licences == {"CC-BY-4.0": ROWS}
    assert one.languages["en"][1] > ROWS // 2
    assert one.looked_at == ROWS
    assert set(one.quantiles) == {"logprob", "instruction_chars", "response_chars"}
    assert one.quantiles["logprob"] == [-0.56, -0.44, -0.29, -0.15, -0.03]


# --- readers -----------------------------------------------------------------------------------

CONFIGS = {
    "messages": ("data", ("train", "test")),
    "alpaca": ("alpaca", ("train", "test")),
    "prompt_completion": ("prompt_completion", ("train", "test")),
    "provenance": ("provenance", ("train", "test")),
    "rejected": ("rejected", ("rejected",)),
}
EACH = [(config, split) for config, (_, splits) in CONFIGS.items() for split in splits]


@pytest.mark.parametrize(("config", "split"), EACH)
def test_every_reader_reads_the_same_rows(
    everything: Path, tmp_path: Path, config: str, split: str
) -> None:
    import duckdb
    from datasets import load_dataset

    folder, name, cache = CONFIGS[config][0], str(everything), str(tmp_path)
    expected = pq.read_table(sorted((everything / folder).glob(f"{split}-*"))).to_pylist()
    assert expected
    plain = load_dataset(name, config, split=split, cache_dir=cache)
    assert plain.to_list() == expected
    assert list(load_dataset(name, config, split=split, streaming=True)) == expected
    assert read(everything, folder, split) == expected
    found = duckdb.sql(f"SELECT * FROM '{everything}/{folder}/{split}-*.parquet'")
    assert found is not None
    assert [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()] == expected


def test_messages_are_what_loads_by_default(everything: Path, tmp_path: Path) -> None:
    from datasets import load_dataset, load_dataset_builder

    loaded = load_dataset(str(everything), cache_dir=str(tmp_path))
    assert {name: rows.num_rows for name, rows in loaded.items()} == {"train": 54, "test": 6}
    assert "messages" in loaded["train"].features
    info = load_dataset_builder(str(everything), "alpaca", cache_dir=str(tmp_path)).info
    assert info.splits["train"].num_examples == 54
    assert list(info.features) == ["instruction", "input", "output", "id", "origin"]


def test_a_folder_of_one_config_loads_without_its_name(run: Run, tmp_path: Path) -> None:
    from datasets import load_dataset

    export(run, recipe(), tmp_path / "out")
    rows = load_dataset(str(tmp_path / "out"), split="test", cache_dir=str(tmp_path / "cache"))
    assert rows.to_list() == read(tmp_path / "out", "data", "test")


# --- trainers ----------------------------------------------------------------------------------

_TEMPLATE = (
    "{% for m in messages %}### {{ m['role'] }}\n{{ m['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}### assistant\n{% endif %}"
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("config", ["messages", "prompt_completion"])
def test_trl_trains_a_step(everything: Path, tiny_base: Path, tmp_path: Path, config: str) -> None:
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.chat_template = _TEMPLATE
    rows = load_dataset(str(everything), config, split="train", cache_dir=str(tmp_path / "cache"))
    settings = SFTConfig(
        output_dir=str(tmp_path / "sft"), max_steps=1, per_device_train_batch_size=2,
        report_to=[], use_cpu=True, bf16=False, save_strategy="no", disable_tqdm=True,
        logging_steps=1, max_length=256,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    trainer = SFTTrainer(model, settings, train_dataset=rows, processing_class=tokenizer)
    batch = next(iter(trainer.get_train_dataloader()))
    supervised = tokenizer.decode(batch["labels"][0][batch["labels"][0] != -100])
    assert ("### user" in supervised) == (config == "messages")
    assert "stands in the yard" in supervised
    assert trainer.train().training_loss > 0


def snippets(card: str) -> Iterator[tuple[str, str]]:
    yield from re.findall(r"```(yaml|json)\n(.*?)```", card, re.DOTALL)


def shown(everything: Path) -> dict[str, Any]:
    """What the card says to each trainer."""
    card = (everything / "README.md").read_text("utf-8")
    found: dict[str, Any] = {}
    for kind, text in snippets(card.partition("## Load it")[2].partition("## Samples")[0]):
        value = json.loads(text) if kind == "json" else yaml.safe_load(text)
        key = next(iter(value))
        found[{"datasets": "axolotl", "dataset": "torchtune"}.get(key, "llama_factory")] = value
    assert set(found) == {"axolotl", "llama_factory", "torchtune"}
    return found


def test_llama_factory_finds_its_turns(everything: Path) -> None:
    """By its documented schema (data/README of LLaMA-Factory 0.9): it allows datasets up to 4.0."""
    entry = shown(everything)["llama_factory"]["nano"]
    assert entry["subset"] == "messages"
    assert entry["formatting"] == "sharegpt"
    tags = entry["tags"]
    for row in read(everything, "data", entry["split"]):
        turns = row[entry["columns"]["messages"]]
        roles = [turn[tags["role_tag"]] for turn in turns]
        assert roles == [tags["user_tag"], tags["assistant_tag"]]  # in turns, user first
        assert all(isinstance(turn[tags["content_tag"]], str) for turn in turns)
    for row in read(everything, "alpaca", "train"):  # its default formatting
        assert all(isinstance(row[column], str) for column in ("instruction", "input", "output"))


def test_axolotl_finds_its_turns(everything: Path) -> None:
    """By its documented schema (`type: chat_template`): axolotl 0.19 pins datasets 4.8, trl 1.9."""
    (entry,) = shown(everything)["axolotl"]["datasets"]
    assert entry["type"] == "chat_template"
    names = entry["message_property_mappings"]
    for row in read(everything, "data", entry["split"]):
        turns = row[entry["field_messages"]]
        assert [turn[names["role"]] for turn in turns] == ["user", "assistant"]
        assert all(isinstance(turn[names["content"]], str) for turn in turns)


def test_torchtune_finds_its_turns(everything: Path) -> None:
    """By its documented schema (`openai` style): torchtune 0.6 wants a torchao of the past."""
    entry = shown(everything)["torchtune"]["dataset"]
    assert entry["conversation_style"] == "openai"
    assert entry["name"] == "messages"
    for row in read(everything, "data", entry["split"]):
        for message in row[entry["conversation_column"]]:
            assert set(message) == {"role", "content"}
            assert message["role"] in {"user", "assistant", "system"}


def test_a_layout_takes_rows_in_any_order_and_blocks_of_chunks(run: Run) -> None:
    import numpy as np

    rows = Rows.of(run.curated)
    shape = layout("messages", Export(), rows.columns)
    table = pa.concat_tables(block for block in rows.blocks(shape.columns) for _ in range(2))
    places = np.array([61, 3, 3], dtype=np.int64)
    built = shape(table, places).to_pylist()
    assert [row["start"] for row in built] == [1, 3, 3]
    assert built[0]["messages"][0]["content"] == candidates(2)[1]["instruction"]
    assert shape(table, places[:0]).num_rows == 0

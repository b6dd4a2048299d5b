"""A corpus in parts: they add up to the whole, whoever works on them, and in whatever order."""

import itertools
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from synth.errors import InputError, RunError
from synth.models.local import LocalModels
from synth.recipe import Recipe, load_recipe
from synth.records import Outcome, Part
from synth.stages.backtranslate import backtranslate
from synth.stages.curate import curate, what_if
from synth.stages.explain import explain
from synth.stages.export import export
from synth.store.candidate_rows import candidates
from synth.store.parts import added
from synth.store.run import Run
from tests.conftest import write_jsonl
from tests.test_stages import Scripted

NOUNS = "pump gate cart bell mill well plough rake oar sail loom drum rope spade lamp".split()
NOT_OF_THE_CORPUS = "reused generated prompt_tokens new_tokens pairs_per_hour parts".split()
LOOSE = ["curate.min_grounded_words=0", "curate.duplicates.keep=best", "generate.samples=2"]


def recipe_of(files: Path, *sets: str) -> Recipe:
    return load_recipe(str(files / "recipe.yaml"), [*LOOSE, *sets])


def lines(count: int) -> list[str]:
    """A corpus with documents that repeat, are empty or too short, and lines that hold none."""
    draw, made = random.Random(3), []
    for number in range(count):
        noun = NOUNS[number % len(NOUNS)]
        text = f"The {noun} number {number} stands in yard {number * 7919}. Lift it with the hand."
        made.append(json.dumps({"id": f"d{number}", "text": text}))
        if number % 4 == 0:
            made.append(draw.choice(made))
        if number % 5 == 0:
            made.append('{"id": "broken" ' + str(number))
        if number % 6 == 0:
            made.append(json.dumps({"id": f"s{number}", "text": f"The {noun}."}))
        if number % 7 == 0:
            text = "This page uses cookies to work."
            made.append(json.dumps({"id": f"e{number}", "text": f"{text}\n{text}\n{text}"}))
    return made


@pytest.fixture
def corpus(tmp_path: Path) -> list[str]:
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(lines(36)) + "\n", "utf-8")
    return [str(path)]


def copy_of(tiny_run: Path, folder: Path) -> Run:
    shutil.copytree(tiny_run, folder)
    return Run(folder)


def divided(
    run: Run, recipe: Recipe, corpus: Sequence[str], n: int, models: Scripted | None = None
) -> list[Outcome]:
    """Every part, in an order that is not theirs."""
    parts = random.Random(n).sample(range(1, n + 1), n)
    work = models or Scripted()
    return [backtranslate(run, recipe, work, corpus, part=Part(i, n)) for i in parts]


def of_corpus(counts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in counts.items() if name not in NOT_OF_THE_CORPUS}


def rows(run: Run, recipe: Recipe) -> pl.DataFrame:
    """All candidates, without what the order decides."""
    return candidates(run, recipe.generate).collect().sort("segment_id", "sample")


def fates(run: Run) -> list[tuple[Any, ...]]:
    kept = pl.read_parquet(run.curated).with_columns(reason=pl.lit("kept"))
    both = pl.concat([kept, pl.read_parquet(run.rejected)], how="diagonal")
    columns = ("segment_id", "sample", "instruction", "reason", "value", "collided_with")
    return both.sort("segment_id", "sample").select(columns).rows()


def exported(run: Run, recipe: Recipe, folder: Path) -> pl.DataFrame:
    export(run, recipe, folder)
    return pl.read_parquet(folder / "data" / "*.parquet").sort("id")


@pytest.mark.parametrize(
    "text", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2", "1/2/3", " 1/2", "1.0/2"]
)
def test_what_is_no_part_is_wrong_usage(text: str, in_tmp: Path) -> None:
    with pytest.raises(ValueError, match="say i/n, with i from 1 to n"):
        Part.parse(text)


def test_wrong_usage_is_status_2(in_tmp: Path) -> None:
    for words, said in (
        (["backtranslate", "c.jsonl", "--shard", "3/2"], "say i/n, with i from 1 to n"),
        (["backtranslate", "c.jsonl", "--shard", "1/2", "--dry-run"], "goes without --dry-run"),
        (["backtranslate", "c.jsonl", "--shard", "1/2", "--on", "ray"], "goes without --on ray"),
        (["curate", "--from", "a", "--explain", "00"], "goes alone: the run remembers it"),
        (["curate", "--from", "a", "--from", ""], "Invalid value for '--from': is empty"),
        (["curate", "--run", ""], "Invalid value for '--run': is empty"),
        (["export", "--to", ""], "Invalid value for '--to': is empty"),
    ):
        command = [sys.executable, "-m", "synth", *words]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        assert told.returncode == 2
        assert said in " ".join(told.stderr.replace("│", " ").split())
    assert list(in_tmp.iterdir()) == []


@pytest.mark.parametrize("n", [1, 2, 3, 11])
def test_the_parts_add_up_to_the_corpus(
    n: int, tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files)
    whole, run = copy_of(tiny_run, tmp_path / "whole"), copy_of(tiny_run, tmp_path / "parts")
    undivided = backtranslate(whole, recipe, Scripted(), corpus).counts
    for name in ("repeated_documents", "bad_lines", "dropped_lines", "skipped"):
        assert undivided[name]
    outcomes = divided(run, recipe, corpus, n)
    assert of_corpus(added(one.counts for one in outcomes)) == of_corpus(undivided)
    counts = run.need("backtranslate").counts
    assert of_corpus(counts) == of_corpus(undivided)
    assert counts.get("parts", 1) == n
    assert_frame_equal(rows(run, recipe), rows(whole, recipe))
    bad = [path.read_text("utf-8").splitlines() for path in run.candidates.glob("bad_lines*")]
    assert len(bad) == len(run.segment_files()) == n
    assert sorted(itertools.chain(*bad)) == sorted(whole.bad_lines.read_text("utf-8").splitlines())
    ledgers = [curate(one, recipe, LocalModels()).counts for one in (run, whole)]
    assert ledgers[0] == ledgers[1]
    assert {"kept", "same_instruction", "segment_too_short"} & set(ledgers[0]["buckets"])
    assert fates(run) == fates(whole)
    assert_frame_equal(
        exported(run, recipe, tmp_path / "a"), exported(whole, recipe, tmp_path / "b")
    )


def test_the_rest_of_the_stages_work_over_parts(
    tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    run, recipe = copy_of(tiny_run, tmp_path / "run"), recipe_of(tiny_files)
    divided(run, recipe, corpus, 3)
    assert what_if(run, {"as it is": recipe}, LocalModels()).counts["kept"]["as it is"] > 0
    curate(run, recipe, LocalModels())
    assert curate(run, recipe, LocalModels()).skipped
    for name in pl.read_parquet(run.curated)["segment_id"]:
        assert explain(run, recipe, name).counts["segment"] == name
    run.segment_files()[1].write_bytes(b"PAR1")
    with pytest.raises(RunError, match=r"segments-00002-of-00003\.parquet: cannot be read"):
        what_if(run, {"as it is": recipe}, LocalModels())


def test_more_parts_than_documents(tiny_run: Path, tiny_files: Path, tmp_path: Path) -> None:
    run, recipe = copy_of(tiny_run, tmp_path / "run"), recipe_of(tiny_files, "generate.samples=1")
    few = [str(tiny_files / "corpus.jsonl")]
    outcomes = divided(run, recipe, few, 40)
    assert sum(outcome.counts["segments"] for outcome in outcomes) == 8
    assert min(outcome.counts["documents"] for outcome in outcomes) == 0
    assert curate(run, recipe, LocalModels()).counts["segments"] == 8
    (tmp_path / "empty.jsonl").write_text("{}\n", "utf-8")
    with pytest.raises(InputError, match="holds no document"):
        backtranslate(run, recipe, Scripted(), [str(tmp_path / "empty.jsonl")], part=Part(1, 40))


def test_a_part_that_is_done_is_skipped_and_one_that_is_missing_is_named(
    tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    run, recipe, models = copy_of(tiny_run, tmp_path / "run"), recipe_of(tiny_files), Scripted()
    for number in (2, 4):
        backtranslate(run, recipe, models, corpus, part=Part(number, 4))
    assert backtranslate(run, recipe, models, corpus, part=Part(2, 4)).skipped
    assert run.done("backtranslate") is None
    missing = r"part 1, 3 of 4 .* missing.* with --shard 1/4 first"
    with pytest.raises(RunError, match=missing):
        curate(run, recipe, models)
    with pytest.raises(RunError, match=missing):
        what_if(run, {"as it is": recipe}, models)
    backtranslate(run, recipe, models, corpus, part=Part(1, 4))
    backtranslate(run, recipe, models, corpus, part=Part(3, 4))
    assert run.need("backtranslate").counts["parts"] == 4
    run.forget("backtranslate")  # as if the last one was killed before it could enter them
    assert curate(run, recipe, models).counts["segments"]
    assert run.need("backtranslate").counts["parts"] == 4
    run.forget("backtranslate")
    assert backtranslate(run, recipe, models, corpus, part=Part(2, 4)).skipped
    assert run.need("backtranslate").counts["parts"] == 4
    run.done_of(Part(2, 4)).write_text("{")
    with pytest.raises(RunError, match=r"done-00002-of-00004\.json: damaged; delete it"):
        backtranslate(run, recipe, models, corpus, part=Part(2, 4))


def test_parts_of_different_corpora_are_not_mixed(
    tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    run, recipe = copy_of(tiny_run, tmp_path / "run"), recipe_of(tiny_files)
    divided(run, recipe, corpus, 2)
    curate(run, recipe, LocalModels())
    more = write_jsonl(tmp_path / "m.jsonl", [{"id": "n", "text": "The spade stands in the yard."}])
    both = [*corpus, str(more)]
    outcomes = [backtranslate(run, recipe, Scripted(), both, part=Part(2, 2))]
    with pytest.raises(RunError, match="part 1 of 2 of the corpus is missing, or was made of"):
        curate(run, recipe, LocalModels())
    outcomes.append(backtranslate(run, recipe, Scripted(), both, part=Part(1, 2)))
    assert sum(outcome.counts["generated"] for outcome in outcomes) == recipe.generate.samples
    assert not curate(run, recipe, LocalModels()).skipped


def test_another_division_lets_the_first_go_and_generates_nothing_again(
    tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    run, recipe, models = copy_of(tiny_run, tmp_path / "run"), recipe_of(tiny_files), Scripted()
    divided(run, recipe, corpus, 2, models)
    asked, before = models.asked, rows(run, recipe)
    (run.candidates / "segments-00001-of-00002.parquet.part").write_bytes(b"PAR1")
    backtranslate(run, recipe, models, corpus, part=Part(1, 3))
    assert run.done("backtranslate") is None
    with pytest.raises(RunError, match="part 2, 3 of 3"):
        curate(run, recipe, models)
    for n in (3, 1, 2, 1):
        divided(run, recipe, corpus, n, models)
        names = {path.name for path in run.candidates.iterdir() if "part-" not in path.name}
        assert len(names) == (3 * n if n > 1 else 2), names
        assert curate(run, recipe, models).counts["segments"]
        assert_frame_equal(rows(run, recipe), before)
    assert models.asked == asked
    assert pl.concat(map(pl.read_parquet, run.shards())).height == asked


def test_an_engine_error_of_a_part_is_tried_again(
    tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    run, recipe = copy_of(tiny_run, tmp_path / "run"), recipe_of(tiny_files)
    with pytest.raises(KeyboardInterrupt):
        backtranslate(run, recipe, Scripted(die_at=4), corpus, part=Part(1, 2))
    outcome = backtranslate(run, recipe, Scripted(), corpus, part=Part(1, 2))
    assert outcome.counts["reused"] == 3
    told = json.loads(run.done_of(Part(1, 2)).read_text("utf-8"))
    told["counts"]["engine_errors"] = 1
    run.done_of(Part(1, 2)).write_text(json.dumps(told), "utf-8")
    assert not backtranslate(run, recipe, Scripted(), corpus, part=Part(1, 2)).skipped


def test_a_bad_line_stops_every_part_that_is_strict(
    tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    run, recipe = copy_of(tiny_run, tmp_path / "run"), recipe_of(tiny_files)
    for number in (1, 2, 3):
        with pytest.raises(InputError, match=r"corpus\.jsonl:3: .* leave out --strict"):
            backtranslate(run, recipe, Scripted(), corpus, part=Part(number, 3), strict=True)


def test_standard_input_cannot_be_divided(tiny_run: Path, tiny_files: Path) -> None:
    with pytest.raises(InputError, match="standard input cannot be read in parts"):
        backtranslate(Run(tiny_run), recipe_of(tiny_files), Scripted(), ["-"], part=Part(1, 2))


def test_who_may_be_at_work_beside_whom(tmp_path: Path) -> None:
    run = Run(tmp_path)
    busy = "another synth is at work here"
    with run.lock(Part(1, 2)), run.lock(Part(2, 2)):
        for part in (Part(1, 2), Part(1, 3), Part()):
            with pytest.raises(RunError, match=busy), run.lock(part):
                pass
    other = pytest.raises(RunError, match="on 3 parts of its corpus")
    with run.lock(Part(1, 3)), other, run.lock(Part(1, 2)):
        pass
    with run.lock(), pytest.raises(RunError, match=busy), run.lock(Part(1, 2)):
        pass
    with run.lock(Part(1, 2)):
        pass


def start(folder: Path, files: Path, run: str, *more: str) -> list[str]:
    """A command on a corpus that takes a while."""
    corpus = folder / "c.jsonl"
    if not corpus.exists():
        texts = [f"The pump number {i} stands in the yard of the farm." for i in range(160)]
        write_jsonl(corpus, [{"id": f"d{i}", "text": text} for i, text in enumerate(texts)])
    common = ["--recipe", str(files / "recipe.yaml"), "--set", "generate.shard=4", "--run", run]
    return [sys.executable, "-m", "synth", "backtranslate", "c.jsonl", *common, *more]


def test_parts_at_once_in_one_folder_and_one_of_them_killed(
    tiny_run: Path, tiny_files: Path, tmp_path: Path
) -> None:
    run, whole = copy_of(tiny_run, tmp_path / "run"), copy_of(tiny_run, tmp_path / "whole")
    commands = [start(tmp_path, tiny_files, "run", "--shard", f"{i}/2") for i in (1, 2)]
    workers = [subprocess.Popen(c, cwd=tmp_path, stderr=subprocess.PIPE) for c in commands]
    deadline = time.monotonic() + 240
    going = dict(enumerate(workers, 1))
    while going and time.monotonic() < deadline:  # each stands still in the midst of its work
        for number in [i for i in going if len(run.shards_of(Part(i, 2))) >= 2]:
            going.pop(number).send_signal(signal.SIGSTOP)
        time.sleep(0.01)
    named = ["--run", "run", "--recipe", str(tiny_files / "recipe.yaml")]
    curating = [sys.executable, "-m", "synth", "curate", *named]
    for command in (commands[1], start(tmp_path, tiny_files, "run", "--shard", "1/3"), curating):
        told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert told.returncode == 1
        assert "another synth is at work here" in told.stderr.splitlines()[-1]
    workers[0].kill()
    workers[1].send_signal(signal.SIGCONT)
    for worker in workers:
        worker.communicate(timeout=240)
    assert [worker.returncode for worker in workers] == [-signal.SIGKILL, 0]
    assert run.done("backtranslate") is None
    assert 2 <= len(run.shards_of(Part(1, 2))) < 20
    again = subprocess.run([*commands[0], "--json"], cwd=tmp_path, check=True, capture_output=True)
    counts = json.loads(again.stdout)["stages"]["backtranslate"]
    assert counts["reused"] >= 8
    assert counts["reused"] + counts["generated"] == counts["candidates"]
    assert list(run.stages()) == ["finetune", "backtranslate"]
    recipe = load_recipe(str(tiny_files / "recipe.yaml"))
    backtranslate(whole, recipe, LocalModels(), [str(tmp_path / "c.jsonl")])
    assert pl.concat(map(pl.read_parquet, run.shards())).height == 160
    # Batches fall otherwise in parts, which shows in the last digits of a sum alone.
    assert_frame_equal(rows(run, recipe), rows(whole, recipe), rel_tol=1e-4)
    assert load_recipe(str(run.recipe), []).generate.shard == 4
    assert not list(run.folder.rglob("*.part"))


WORKER = """
import sys, time
from pathlib import Path
from synth.recipe import load_recipe
from synth.records import Part
from synth.store.parts import begin_part, commit_part
from synth.store.run import Run

run, part, recipe = Run(Path(sys.argv[1])), Part.parse(sys.argv[2]), load_recipe("nano")
Path(f"ready{part.number}").touch()
while not all(Path(f"ready{number}").exists() for number in range(1, 5)):
    time.sleep(0.001)
for _ in range(15):
    with run.lock(part):
        run.open(recipe)
        begin_part(run, part)
        commit_part(run, part, "f", {"segments": part.number}, 0.0)
"""


def test_parts_that_begin_and_end_at_once_lose_nothing(tiny_run: Path, tmp_path: Path) -> None:
    run = copy_of(tiny_run, tmp_path / "run")
    commands = [[sys.executable, "-c", WORKER, "run", f"{i}/4"] for i in range(1, 5)]
    workers = [subprocess.Popen(command, cwd=tmp_path) for command in commands]
    assert [worker.wait(240) for worker in workers] == [0] * 4
    assert list(run.stages()) == ["finetune", "backtranslate"]
    assert run.need("backtranslate").counts == {"segments": 10, "parts": 4}


def merged(folder: Path, recipe: Recipe, *sources: Run) -> tuple[Run, dict[str, Any]]:
    run = Run(folder)
    run.open(recipe)
    folders = [source.folder for source in sources]
    return run, curate(run, recipe, LocalModels(), sources=folders).counts


def halves(corpus: list[str], folder: Path) -> list[list[str]]:
    """The corpus as two files that have no document in common."""
    every = list(dict.fromkeys(Path(corpus[0]).read_text("utf-8").splitlines()))
    files = [folder / "h0.jsonl", folder / "h1.jsonl"]
    for number, path in enumerate(files):
        path.write_text("\n".join(every[number::2]) + "\n", "utf-8")
    return [[str(path)] for path in files]


def test_runs_taken_together_are_one(
    tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files)
    pieces = halves(corpus, tmp_path)
    names = ("a", "b", "whole")
    a, b, whole = (copy_of(tiny_run, tmp_path / name) for name in names)
    backtranslate(a, recipe, Scripted(), pieces[0])
    divided(b, recipe, pieces[1], 2)
    backtranslate(whole, recipe, Scripted(), [*pieces[0], *pieces[1]])
    run, ledger = merged(tmp_path / "merged", recipe, a, b)
    assert ledger == curate(whole, recipe, LocalModels()).counts
    assert fates(run) == fates(whole)
    counts = run.need("backtranslate").counts
    assert of_corpus(counts) == {**of_corpus(whole.need("backtranslate").counts), "runs": 2}
    assert curate(run, recipe, LocalModels()).skipped
    assert curate(run, recipe, LocalModels(), sources=[a.folder, b.folder]).skipped
    name = pl.read_parquet(run.curated)["segment_id"][0]
    assert explain(run, recipe, name).counts["samples"][0]["provenance"]["adapter"]
    kept = {"as it is": ledger["buckets"]["kept"]}
    assert what_if(run, {"as it is": recipe}, LocalModels()).counts["kept"] == kept
    assert_frame_equal(
        exported(run, recipe, tmp_path / "x"), exported(whole, recipe, tmp_path / "y")
    )
    shutil.move(tmp_path / "merged", tmp_path / "deep" / "merged")
    for name in ("a", "b"):
        shutil.move(tmp_path / name, tmp_path / "deep" / name)
    assert curate(Run(tmp_path / "deep" / "merged"), recipe, LocalModels()).skipped
    again = Run(tmp_path / "deep" / "a")
    backtranslate(again, recipe, Scripted(), pieces[0][:1] + pieces[1])
    grown = curate(Run(tmp_path / "deep" / "merged"), recipe, LocalModels()).counts
    assert grown["repeated_segments"] > 0


def test_a_part_in_each_folder(
    tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files)
    a, b, whole = (copy_of(tiny_run, tmp_path / name) for name in ("a", "b", "whole"))
    backtranslate(a, recipe, Scripted(), corpus, part=Part(1, 2))
    backtranslate(whole, recipe, Scripted(), corpus)
    with pytest.raises(RunError, match=r"part 2 of 2 of the corpus is missing"):
        merged(tmp_path / "one", recipe, a)
    backtranslate(b, recipe, Scripted(), corpus, part=Part(2, 2))
    run, ledger = merged(tmp_path / "both", recipe, b, a)
    assert ledger == curate(whole, recipe, LocalModels()).counts
    assert fates(run) == fates(whole)
    shutil.copytree(a.folder, tmp_path / "c")
    with pytest.raises(RunError, match="part 1/2 is in another run named before"):
        merged(tmp_path / "more", recipe, a, b, Run(tmp_path / "c"))


def test_one_corpus_in_two_runs_is_counted_once(
    tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe, other = recipe_of(tiny_files), recipe_of(tiny_files, "generate.seed=9")
    a, b = copy_of(tiny_run, tmp_path / "a"), copy_of(tiny_run, tmp_path / "b")
    counts = backtranslate(a, recipe, Scripted(), corpus).counts
    backtranslate(b, other, Scripted(), corpus)
    alone = curate(a, recipe, LocalModels()).counts
    shutil.copytree(a.folder, tmp_path / "copy")
    run, ledger = merged(tmp_path / "same", recipe, a, Run(tmp_path / "copy"))
    assert ledger["repeated_segments"] == counts["segments"]
    assert {k: ledger[k] for k in ("segments", "buckets")} == {
        k: alone[k] for k in ("segments", "buckets")
    }
    assert fates(run) == fates(a)
    run, ledger = merged(tmp_path / "other", recipe, a, b)
    assert ledger["segments"] == counts["segments"] == sum(ledger["buckets"].values())
    kept = pl.read_parquet(run.curated)
    assert kept["segment_id"].n_unique() == kept.height
    rejected = pl.read_parquet(run.rejected)
    skipped = sum(counts["skipped"].values())
    assert kept.height + rejected.height == 2 * counts["candidates"] + skipped
    samples = explain(run, recipe, kept["segment_id"][0]).counts["samples"]
    assert [sample["sample"] for sample in samples] == [0, 1, 0, 1]
    assert [sample["fate"] for sample in samples].count("kept") == 1


def test_documents_of_one_id_that_begin_alike_have_segments_in_common(
    tiny_run: Path, tiny_files: Path, tmp_path: Path
) -> None:
    first = "The pump stands in the yard of the farm."
    texts = [first, f"{first}\n\nThe gate stands in the yard of another farm, far away."]
    write_jsonl(tmp_path / "c.jsonl", [{"id": "d", "text": text} for text in texts])
    run = copy_of(tiny_run, tmp_path / "run")
    recipe = recipe_of(tiny_files, "corpus.min_chars=20", "corpus.max_chars=60")
    backtranslate(run, recipe, Scripted(), [str(tmp_path / "c.jsonl")])
    ledger = curate(run, recipe, LocalModels()).counts
    assert (ledger["segments"], ledger["repeated_segments"]) == (2, 1)


def test_what_cannot_be_taken_from(
    tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files)
    a, empty = copy_of(tiny_run, tmp_path / "a"), copy_of(tiny_run, tmp_path / "empty")
    backtranslate(a, recipe, Scripted(), corpus)
    for run, sources, message in (
        ("m", [tmp_path / "nowhere"], "no such run folder; check --from"),
        ("a", [empty.folder], "has candidates of its own"),
        ("empty", [empty.folder], "--from leads to this run itself"),
        ("m", [a.folder, empty.folder], "empty: nothing from `synth backtranslate` here yet"),
    ):
        with pytest.raises(RunError, match=message):
            curate(Run(tmp_path / run), recipe, LocalModels(), sources=sources)
    curate(Run(tmp_path / "m"), recipe, LocalModels(), sources=[a.folder])
    shutil.copytree(a.adapter, tmp_path / "m" / "adapter")
    with pytest.raises(RunError, match="has its candidates from other runs"):
        backtranslate(Run(tmp_path / "m"), recipe, Scripted(), corpus)


def test_runs_are_named_on_the_command_line(
    tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files)
    for name in ("a", "b"):
        backtranslate(copy_of(tiny_run, tmp_path / name), recipe, Scripted(), corpus)
    sets = [word for one in LOOSE for word in ("--set", one)]
    command = [sys.executable, "-m", "synth", "curate", "--recipe", str(tiny_files / "recipe.yaml")]
    named = ["--run", "m", "--from", "a", "--from", "b"]
    told = subprocess.run(
        [*command, *sets, *named], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "repeated segments" in told.stdout
    again = [*command, *sets, "--run", "m", "--json"]
    told = subprocess.run(again, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert json.loads(told.stdout)["stages"]["curate"]["unchanged"] is True

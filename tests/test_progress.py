"""What stages tell while they work: it moves, it adds up, and outcomes are counted."""

import re
import shutil
from pathlib import Path

import pytest

from synth.models.local import LocalModels
from synth.recipe import Recipe, load_recipe
from synth.records import Completion, Progress
from synth.stages.backtranslate import backtranslate
from synth.stages.estimate import estimate
from synth.stages.evaluate import evaluate
from synth.stages.finetune import finetune
from synth.stages.merge import merge
from synth.stages.meter import Meter
from synth.stages.reading import Account
from synth.store.run import Run
from synth.text.junk import declines


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Run:
    shutil.copytree(tiny_run, tmp_path / "run")
    return Run(tmp_path / "run")


def recipe_of(files: Path, *overrides: str) -> Recipe:
    return load_recipe(str(files / "recipe.yaml"), overrides)


def test_evaluate_moves_from_answer_to_answer(run: Run, tiny_files: Path) -> None:
    heard: list[Progress] = []
    evaluate(run, recipe_of(tiny_files), LocalModels(), heard.append)
    done = [p.done for p in heard]
    assert done == sorted(done)
    assert set(done) == set(range(heard[-1].total + 1))
    assert {p.total for p in heard} == {heard[-1].done}
    half = heard[-1].total // 2
    assert {p.note for p in heard if 0 < p.done < half} == {"before"}
    assert {p.note for p in heard if p.done > half} == {"after"}


def test_merge_tells_each_of_its_steps(run: Run, tiny_files: Path) -> None:
    heard: list[Progress] = []
    merge(run, recipe_of(tiny_files), LocalModels(), heard.append)
    steps = [(p.done, p.total) for p in heard if p.total]
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert heard[2].note == "measuring the original base with the adapter folded in"


def test_backtranslate_counts_outcomes_and_what_was_found(run: Run, tiny_files: Path) -> None:
    recipe, heard = recipe_of(tiny_files, "generate.scores=[r_ifd]"), list[Progress]()
    corpus = str(tiny_files / "corpus.jsonl")
    backtranslate(run, recipe, LocalModels(), [corpus], heard.append)
    last = heard[-1]
    assert (last.done, last.total, last.found) == (8, 8, 0)
    assert last.counts == {
        "generated": 8,
        "declined": 0,
        "errors": 0,
        "found from before": 0,
        "segments skipped": 0,
        "measures for scores": 8,
    }
    heard.clear()
    run.shards()[0].unlink()
    backtranslate(run, recipe, LocalModels(), [corpus], heard.append)
    last = heard[-1]
    assert (last.done, last.total, last.found) == (8, 8, 5)
    assert (last.counts["generated"], last.counts["found from before"]) == (3, 5)


def test_a_declined_text_and_an_error_are_outcomes_of_their_own() -> None:
    heard: list[Progress] = []
    account = Account(requests=4)
    meter = Meter("x", 0, account, heard.append)
    asked = type("Asked", (), {"ids": [1, 2]})()
    for text, finish in (("What?", "stop"), ("null", "stop"), ('"Null."', "stop"), ("", "error")):
        meter.count(asked, Completion(text, 1, finish, 0.0))
    meter.end()
    counts = heard[-1].counts
    assert (counts["generated"], counts["declined"], counts["errors"]) == (1, 2, 1)
    assert (heard[-1].done, heard[-1].total) == (4, 4)
    assert not declines("What is null?")


def test_a_dry_run_moves_too(run: Run, tiny_files: Path) -> None:
    heard: list[Progress] = []
    corpus = [str(tiny_files / "corpus.jsonl")]
    estimate(run, recipe_of(tiny_files), LocalModels(), corpus, heard.append)
    assert heard[0].note == "reading a sample"
    made = [p.done for p in heard if p.note == "generating with the adapter"]
    assert made[0] == 0
    assert made[-1] == {p.total for p in heard if p.total}.pop() == 8


def test_a_training_that_goes_on_says_what_was_done_before(
    tiny_files: Path, tmp_path: Path
) -> None:
    class Cut(Exception):
        pass

    def cut(progress: Progress) -> None:
        if progress.done == 3:
            raise Cut

    run, recipe = Run(tmp_path), recipe_of(tiny_files)
    with pytest.raises(Cut):
        finetune(run, recipe, LocalModels(), cut)
    heard: list[Progress] = []
    finetune(run, recipe, LocalModels(), heard.append)
    steps = dict.fromkeys((p.done, p.total, p.found) for p in heard if p.done)
    assert list(steps) == [(2, 4, 2), (3, 4, 2), (4, 4, 2)]
    assert re.fullmatch(r"train loss \d\.\d{3}, held-out loss \d\.\d{3}", heard[-1].note)

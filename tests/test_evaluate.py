"""The report card: on the tiny model, and on a scripted judge whose every figure is known."""

import json
import math
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from synth.errors import RunError
from synth.models.local import LocalModels
from synth.models.protocols import Judge, Question, Request, Score
from synth.recipe import Recipe, load_recipe
from synth.records import Completion
from synth.stages.common import split_pairs
from synth.stages.evaluate import evaluate
from synth.stages.finetune import finetune
from synth.store.run import Run


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Run:
    shutil.copytree(tiny_run, tmp_path / "run")
    return Run(tmp_path / "run")


def recipe_of(files: Path, *overrides: str) -> Recipe:
    return load_recipe(str(files / "recipe.yaml"), overrides)


def test_it_measures_before_and_after(run: Run, tiny_files: Path) -> None:
    recipe = recipe_of(tiny_files, "evaluate.passages=[A kettle is red.]")
    counts = evaluate(run, recipe, LocalModels()).counts
    before, after = counts["before"], counts["after"]
    assert before.keys() == after.keys()
    assert after["nats_per_token"] < before["nats_per_token"]
    fall = counts["checks"]["loss_fall"]["value"]
    assert fall == pytest.approx(1 - after["nats_per_token"] / before["nats_per_token"], abs=1e-3)
    assert counts["go"] is True
    assert counts["samples"][0]["text"] == "A kettle is red."
    assert len(counts["samples"]) == 2
    assert json.loads(run.evaluation.read_text("utf-8")) == counts
    assert evaluate(run, recipe, LocalModels()).skipped
    strict = recipe_of(tiny_files, "evaluate.min_fall=0.99")
    assert evaluate(run, strict, LocalModels()).counts["go"] is False


def test_pairs_that_were_learnt_are_not_held_out(run: Run, tiny_files: Path) -> None:
    with pytest.raises(RunError, match="may be among what it learnt; run `synth finetune`"):
        evaluate(run, recipe_of(tiny_files, "pairs.held_out=5"), LocalModels())
    assert not run.evaluation.exists()


def test_a_card_is_of_one_adapter_and_one_way_to_load_it(run: Run, tiny_files: Path) -> None:
    recipe = recipe_of(tiny_files)
    evaluate(run, recipe, LocalModels())
    other = recipe_of(tiny_files, "model.dtype=bfloat16")
    assert not evaluate(run, other, LocalModels()).skipped
    finetune(run, recipe_of(tiny_files, "finetune.steps=3", "finetune.eval_every=3"), LocalModels())
    assert run.done("evaluate") is None


class KnownJudge:
    """Without adapter it rambles; with it, it finds half the texts, leaks once and knows junk."""

    def __init__(self, inner: LocalModels, recipe: Recipe) -> None:
        self.tokenizer = inner.tokenizer(recipe)
        self.held_out = split_pairs(recipe.pairs).held_out
        self.adapted = False

    def use_adapter(self, on: bool) -> None:
        self.adapted = on

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        for request in requests:
            prompt = self.tokenizer.decode(request.ids, skip_special_tokens=True)
            text = prompt.split("### Input:\n")[1].split("\n\n### Response:")[0]
            finish = "stop" if self.adapted else "length"
            yield request.key, Completion(self._said(text), 5, finish, -1)

    def _said(self, text: str) -> str:
        if not self.adapted:
            return "grass grass grass grass"
        for i, pair in enumerate(self.held_out):
            if pair.response == text:
                return ["What does the text above say?", "NULL.", pair.instruction, "Why?"][i]
        return "null"

    def score(self, questions: Iterable[Question]) -> Iterator[tuple[int, Score]]:
        for i, question in enumerate(questions):
            assert question.adapter is self.adapted
            cheap = self.adapted and i in (0, 1)
            nats = 3.0 if i >= len(self.held_out) else 2.0 if cheap else 4.0
            yield question.key, Score(nats, 2)

    def close(self) -> None:
        pass


class KnownModels(LocalModels):
    def judge(self, recipe: Recipe, adapter: Path) -> Judge:
        return KnownJudge(self, recipe)


def test_every_figure_of_a_known_judge(run: Run, tiny_files: Path) -> None:
    recipe = recipe_of(
        tiny_files,
        "evaluate.min_retrieval=0.5",
        "evaluate.max_leak=0.2",
        "evaluate.max_declined=0.25",
    )
    counts = evaluate(run, recipe, KnownModels()).counts
    before, after = counts["before"], counts["after"]
    assert (before["nats_per_token"], after["nats_per_token"]) == (2.0, 1.5)
    size = sum(len(p.instruction) for p in split_pairs(recipe.pairs).held_out)
    assert after["bits_per_byte"] == pytest.approx(12 / math.log(2) / size, abs=1e-4)
    assert (before["retrieval"], after["retrieval"]) == (0.0, 0.5)
    assert (before["leak"], after["leak"]) == (0.0, 0.25)
    assert (before["finished"], after["finished"]) == (0.0, 1.0)
    assert (before["declined"], after["declined"]) == (0.0, 0.25)
    assert (after["null_precision"], after["null_recall"]) == (0.8, 1.0)
    assert (before["null_precision"], before["null_recall"]) == (0.0, 0.0)
    assert before["opening_entropy"] == 0.0
    assert counts["reference"]["words_p50"] == 4
    passed = {name: check["passed"] for name, check in counts["checks"].items()}
    assert passed == {
        "loss_fall": True,
        "retrieval": True,
        "finished": True,
        "leak": False,
        "declined": True,
    }
    assert counts["go"] is False

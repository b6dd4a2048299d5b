"""The real vLLM on the CPU: same adapter, same prompts, same instructions as transformers."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from synth.errors import ModelError
from synth.models.local import LocalModels
from synth.models.protocols import Engine, Request, completions, losses
from synth.models.vllm_engine import VllmEngine
from synth.prompt import Prompt
from synth.recipe import Recipe
from synth.settings import TASK, Generate
from synth.stages.backtranslate import backtranslate
from synth.stages.merge import merge
from synth.store.run import Run
from tests.conftest import ROOT
from tests.vllm.conftest import STEPS

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("default"),  # vLLM's own warnings are not ours to mend
]

TEXTS = [
    "There are more than 12,000 species of grass. The most common is Kentucky Bluegrass.",
    "A lighthouse is a tower with a bright light. Sailors use the lighthouse to find the harbour.",
    "To sharpen a chisel, lay the chisel flat on a stone and move it in small circles.",
] * 4


class OneEngine(LocalModels):
    """Lends the one engine of the test run instead of starting another."""

    def __init__(self, engine: Engine) -> None:
        self.lent = engine

    def engine(self, recipe: Recipe, weights: Path) -> Engine:
        return self.lent


@pytest.fixture(scope="module")
def vllm(recipe: Recipe, run: Run) -> Iterator[Engine]:
    engine = LocalModels().engine(recipe, run.adapter)
    yield engine
    engine.close()


def some_documents(folder: Path, count: int = 12) -> list[str]:
    """A part of the sample corpus: vLLM's LoRA is slow on a CPU."""
    lines = (ROOT / "data/sample/corpus.jsonl").read_text("utf-8").splitlines()[:count]
    (folder / "corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return [str(folder / "corpus.jsonl")]


def prompts(engine: Engine) -> list[list[int]]:
    prompt = Prompt("plain", TASK)
    return [prompt.render(text, engine.tokenizer, 512).ids for text in TEXTS]


def test_vllm_with_the_adapter_says_what_transformers_says(
    vllm: Engine, recipe: Recipe, run: Run
) -> None:
    found = completions(vllm, prompts(vllm))
    judge = LocalModels().judge(recipe, run.adapter)
    expected = completions(judge, prompts(judge))
    assert [c.text for c in found] == [c.text for c in expected]
    assert [c.finish for c in found] == [c.finish for c in expected]
    assert [c.tokens for c in found] == [c.tokens for c in expected]
    assert [c.logprob for c in found] == pytest.approx([c.logprob for c in expected], abs=1e-3)
    judge.use_adapter(False)
    assert [c.text for c in completions(judge, prompts(judge))] != [c.text for c in found]


def test_vllm_measures_what_transformers_measures(vllm: Engine, recipe: Recipe, run: Run) -> None:
    prompt, judge = Prompt("plain", TASK), LocalModels().judge(recipe, run.adapter)
    examples = [
        example
        for text in TEXTS[:3]
        for example in (
            prompt.example("What is grass?", text, judge.tokenizer, 512),
            *prompt.forwards("What is grass?", text, judge.tokenizer, 512),
        )
    ]
    for adapter in (True, False):
        here, there = (losses(engine, examples, adapter=adapter) for engine in (vllm, judge))
        assert [s.tokens for s in here] == [s.tokens for s in there]
        assert [s.nats for s in here] == pytest.approx([s.nats for s in there], rel=1e-3)


def test_one_request_that_is_too_long_is_an_error_of_its_own(vllm: Engine, recipe: Recipe) -> None:
    most = recipe.generate.max_tokens + recipe.generate.max_new_tokens
    asked = [Request([5] * size, 0, key) for key, size in enumerate((4, most + 1, 5))]
    found = dict(vllm.generate(asked))
    assert found[1].finish == "error"
    assert str(most) in found[1].error
    assert {found[0].finish, found[2].finish} <= {"stop", "length"}


def test_draws_depend_on_the_request_alone(vllm: Engine, recipe: Recipe, run: Run) -> None:
    hot = recipe.generate.model_copy(update={"temperature": 1.0})
    with with_settings(vllm, hot):
        asked = [Request(ids, key, key) for key, ids in enumerate(prompts(vllm))]
        together = dict(vllm.generate(asked))
        alone = {key: c for request in asked[::-1] for key, c in vllm.generate([request])}
        assert {k: c.text for k, c in together.items()} == {k: c.text for k, c in alone.items()}
    assert len({c.text for c in together.values()}) > 3


def test_a_stream_that_is_left_early_ends_and_the_engine_lives_on(vllm: Engine) -> None:
    read = []

    def endless() -> Iterator[Request]:
        for key in itertools.count():
            read.append(key)
            yield Request([5, 6, 7, key % 900 + 300], 0, key)

    answers = vllm.generate(endless())
    assert next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert len(read) < 2000
    assert len(completions(vllm, prompts(vllm))) == len(TEXTS)


def test_an_engine_that_finishes_nothing_is_said_to_hang(vllm: Engine, recipe: Recipe) -> None:
    hasty = recipe.generate.model_copy(update={"stall_seconds": 0.001})
    with with_settings(vllm, hasty), pytest.raises(ModelError, match="seems to hang"):
        completions(vllm, prompts(vllm))
    assert len(completions(vllm, prompts(vllm))) == len(TEXTS)


@contextmanager
def with_settings(engine: Engine, settings: Generate) -> Iterator[None]:
    """The one engine of the test run, asked otherwise for a while."""
    assert isinstance(engine, VllmEngine)
    before, engine._settings = engine._settings, settings
    try:
        yield
    finally:
        engine._settings = before


def test_backtranslate_runs_on_vllm(vllm: Engine, recipe: Recipe, run: Run, tmp_path: Path) -> None:
    class Guarded:
        tokenizer = vllm.tokenizer
        generate = staticmethod(vllm.generate)
        score = staticmethod(vllm.score)

        def close(self) -> None:
            """The engine is shared: whoever started it ends it."""

    corpus = some_documents(tmp_path)
    scored = recipe.generate.model_copy(update={"scores": ["r_ifd", "ifd"]})
    recipe = recipe.model_copy(update={"generate": scored})
    outcome = backtranslate(run, recipe, OneEngine(Guarded()), corpus)
    assert outcome.counts["candidates"] > 20
    assert outcome.counts["reused"] == 0
    assert outcome.counts["engine_errors"] == 0
    assert backtranslate(run, recipe, OneEngine(Guarded()), corpus).skipped


def test_a_merged_model_gives_the_text_of_transformers(recipe: Recipe, run: Run) -> None:
    merge(run, recipe, LocalModels())
    merged = recipe.generate.model_copy(update={"weights": "merged", "temperature": 0.0})
    here, there = (
        LocalModels().engine(
            recipe.model_copy(update={"generate": merged.model_copy(update={"engine": name})}),
            run.merged,
        )
        for name in ("vllm", "transformers")
    )
    try:
        said = [[c.text for c in completions(e, prompts(e))] for e in (here, there)]
    finally:
        here.close()
    assert said[0] == said[1]


def backtranslated(run: Run, folder: Path, *sets: str) -> subprocess.CompletedProcess[str]:
    """`synth backtranslate` in a process of its own, as users run it."""
    command = [sys.executable, "-m", "synth", "backtranslate", *some_documents(folder), "--json"]
    given = [*STEPS, "generate.engine=vllm", *sets]
    options = [part for one in given for part in ("--set", one)]
    known = {key: value for key, value in os.environ.items() if key != "VLLM_LOGGING_LEVEL"}
    return subprocess.run(
        [*command, "--run", str(run.folder), *options],
        env=known,
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_of_vllm_reaches_the_terminal(run: Run, tmp_path: Path) -> None:
    done = backtranslated(run, tmp_path, "generate.scores=[]", "generate.seed=7")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stages"]["backtranslate"]["generated"] > 20
    assert done.stderr
    assert all(line.startswith("backtranslate: ") for line in done.stderr.splitlines())
    log = run.log("backtranslate").read_text("utf-8")
    assert "EngineCore" in log  # the engine's own process
    assert " INFO " in log


def test_an_engine_that_does_not_start_shows_its_last_lines(run: Run, tmp_path: Path) -> None:
    done = backtranslated(run, tmp_path, "generate.seed=8", "generate.vllm={block_size: 17}")
    assert done.returncode == 1
    *lines, place, last = done.stderr.splitlines()
    assert last.startswith("synth: ")
    assert "vLLM did not start" in last
    assert place == f"  the whole log: {run.log('backtranslate')}"
    assert any(line.startswith("  | ") for line in lines)
    assert all(line.startswith(("  | ", "backtranslate: ")) for line in lines)

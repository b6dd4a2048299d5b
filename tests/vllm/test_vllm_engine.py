"""The real vLLM on the CPU: same adapter, same prompts, same instructions as transformers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from synth.models.local import LocalModels
from synth.models.protocols import Engine, Request
from synth.prompt import Prompt
from synth.recipe import Recipe, load_recipe
from synth.settings import TASK
from synth.stages.backtranslate import backtranslate
from synth.stages.finetune import finetune
from synth.stages.merge import merge
from synth.store.run import Run
from tests.conftest import ROOT

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("default"),  # vLLM's own warnings are not ours to mend
]

TEXTS = [
    "There are more than 12,000 species of grass. The most common is Kentucky Bluegrass.",
    "A lighthouse is a tower with a bright light. Sailors use the lighthouse to find the harbour.",
    "To sharpen a chisel, lay the chisel flat on a stone and move it in small circles.",
] * 4


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    overrides = ["finetune.steps=15", "finetune.eval_every=15", "generate.engine=vllm"]
    return load_recipe("nano", [*overrides, "generate.max_new_tokens=20"])


@pytest.fixture(scope="module")
def run(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("run"))
    finetune(run, recipe, LocalModels())
    return run


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


def requests(engine: Engine) -> list[Request]:
    prompt = Prompt("plain", TASK)
    return [
        Request(prompt.render(text, engine.tokenizer, 512).ids, i) for i, text in enumerate(TEXTS)
    ]


def test_vllm_with_the_adapter_says_what_transformers_says(
    vllm: Engine, recipe: Recipe, run: Run
) -> None:
    found = vllm.generate(requests(vllm))
    judge = LocalModels().judge(recipe, run.adapter)
    expected = judge.generate(requests(judge))
    assert [c.text for c in found] == [c.text for c in expected]
    assert [c.finish for c in found] == [c.finish for c in expected]
    assert [c.tokens for c in found] == [c.tokens for c in expected]
    assert [c.logprob for c in found] == pytest.approx([c.logprob for c in expected], abs=1e-3)
    judge.use_adapter(False)
    assert [c.text for c in judge.generate(requests(judge))] != [c.text for c in found]


def test_backtranslate_runs_on_vllm(vllm: Engine, recipe: Recipe, run: Run) -> None:
    class Guarded:
        tokenizer = vllm.tokenizer
        generate = staticmethod(vllm.generate)

        def close(self) -> None:
            """The engine is shared: whoever started it ends it."""

    corpus = [str(ROOT / "data" / "sample" / "corpus.jsonl")]
    outcome = backtranslate(run, recipe, OneEngine(Guarded()), corpus)
    assert outcome.counts["segments"] > 150
    assert outcome.counts["reused"] == 0
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
        said = [[c.text for c in engine.generate(requests(engine))] for engine in (here, there)]
    finally:
        here.close()
    assert said[0] == said[1]

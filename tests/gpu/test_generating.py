"""Generating, scoring, merging and embedding on a CUDA device, and the whole way on one."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertModel

from synth.errors import ModelError
from synth.models.embedding import _Encoder
from synth.models.loading import load_tokenizer, load_with_adapter
from synth.models.local import LocalModels
from synth.models.protocols import Request, completions, losses
from synth.models.transformers_engine import TransformersEngine
from synth.prompt import Example
from synth.recipe import Recipe, load_recipe
from synth.records import Completion
from synth.stages.common import prompt_of
from synth.stages.finetune import finetune
from synth.stages.merge import merge
from synth.store.run import Run
from tests.bases import NANO
from tests.conftest import ROOT
from tests.gpu.conftest import QLORA, STEPS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("default"),  # the model libraries' own are not ours to mend
]

TEXTS = [
    json.loads(line)["text"]
    for line in (ROOT / "data/sample/corpus.jsonl").read_text("utf-8").splitlines()[1:33]
]


def engine_of(
    recipe: Recipe, run: Run, device: str = "cuda", **changes: object
) -> TransformersEngine:
    model = load_with_adapter(recipe.model, run.adapter).to(device)
    assert model.device.type == device
    settings = recipe.generate.model_copy(update=changes)
    return TransformersEngine(model, load_tokenizer(recipe.model), settings)


def requests(recipe: Recipe) -> list[Request]:
    prompt, tokenizer = prompt_of(recipe), load_tokenizer(recipe.model)
    return [Request(prompt.render(t, tokenizer, 512).ids, i, i) for i, t in enumerate(TEXTS)]


def said(engine: TransformersEngine, asked: list[Request]) -> list[Completion]:
    """The completions in the order of the keys."""
    return [completion for _, completion in sorted(engine.generate(asked), key=lambda x: x[0])]


def examples(recipe: Recipe) -> list[Example]:
    """What r-IFD and IFD ask: instructions after texts, and texts after instructions and alone."""
    prompt, tokenizer = prompt_of(recipe), load_tokenizer(recipe.model)
    return [
        example
        for text in TEXTS[:12]
        for example in (
            prompt.example("What is this about?", text, tokenizer, 512),
            *prompt.forwards("What is this about?", text, tokenizer, 512),
        )
    ]


@contextmanager
def room_for(mib: int) -> Iterator[None]:
    """The card with so much memory beside what is taken."""
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    room = torch.cuda.memory_reserved() + mib * 2**20
    torch.cuda.set_per_process_memory_fraction(room / whole)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_completion_depends_on_its_request_not_on_its_batch(
    recipe: Recipe, taught: Run, temperature: float
) -> None:
    engine = engine_of(recipe, taught, temperature=temperature)
    together, again = (said(engine, requests(recipe)) for _ in range(2))
    single = engine_of(recipe, taught, temperature=temperature, batch_tokens=64)
    alone = said(single, requests(recipe)[::-1])
    assert together == again
    assert [c.text for c in together] == [c.text for c in alone]
    assert [c.logprob for c in together] == pytest.approx([c.logprob for c in alone], abs=1e-3)
    assert len({c.text for c in together}) > len(TEXTS) // 2


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_card_says_what_the_processor_says(
    recipe: Recipe, taught: Run, temperature: float
) -> None:
    here, there = (
        said(engine_of(recipe, taught, device, temperature=temperature), requests(recipe))
        for device in ("cuda", "cpu")
    )
    assert [c.text for c in here] == [c.text for c in there]
    assert [c.logprob for c in here] == pytest.approx([c.logprob for c in there], abs=1e-3)


def test_scores_are_those_of_the_processor(recipe: Recipe, taught: Run) -> None:
    engines = [engine_of(recipe, taught, device) for device in ("cuda", "cpu")]
    for adapter in (True, False):
        here, there = (losses(engine, examples(recipe), adapter=adapter) for engine in engines)
        assert [s.tokens for s in here] == [s.tokens for s in there]
        assert [s.nats for s in here] == pytest.approx([s.nats for s in there], rel=1e-3)


def test_in_16_bits_scores_are_near_those_in_32(recipe: Recipe, taught: Run) -> None:
    half = load_recipe("nano", [*STEPS, "model.dtype=bfloat16"])
    here, there = (
        losses(engine_of(one, taught), examples(recipe), adapter=True) for one in (half, recipe)
    )
    means = [[s.nats / s.tokens for s in scores] for scores in (here, there)]
    assert means[0] == pytest.approx(means[1], abs=0.1)
    assert means[0] != means[1]


def test_a_batch_that_the_card_does_not_hold_is_halved(recipe: Recipe, taught: Run) -> None:
    asked = [Request(r.ids, r.seed, key) for key, r in enumerate(requests(recipe) * 24)]
    questions = examples(recipe) * 20
    expected = said(engine_of(recipe, taught), requests(recipe))
    scores = losses(engine_of(recipe, taught), examples(recipe), adapter=True)
    tight = engine_of(recipe, taught, batch_tokens=1 << 20)
    with room_for(1024):
        found = said(tight, asked)
    assert 1 <= tight._most <= len(asked) // 2
    assert [c.text for c in found] == [c.text for c in expected] * 24
    tight = engine_of(recipe, taught, batch_tokens=1 << 20)
    with room_for(1024):
        measured = losses(tight, questions, adapter=True)
    assert 1 <= tight._most <= len(questions) // 2
    wanted = [score.nats for score in scores] * 20
    assert [score.nats for score in measured] == pytest.approx(wanted, rel=1e-3)


def test_a_single_prompt_that_the_card_does_not_hold_is_an_error(
    recipe: Recipe, taught: Run
) -> None:
    tight = engine_of(recipe, taught)
    said(tight, [Request([5] * 8, 0)])  # what the libraries keep for themselves is there
    long = Request([5] * 20_000, 0)
    with room_for(32), pytest.raises(ModelError, match=r"lower generate\.max_tokens"):
        said(tight, [long])
    assert said(tight, requests(recipe)[:2]) == said(
        engine_of(recipe, taught), requests(recipe)[:2]
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_merged_4_bit_base_says_what_the_adapter_says(tmp_path: Path, dtype: str) -> None:
    recipe, run = load_recipe("nano", [*STEPS, *QLORA, f"model.dtype={dtype}"]), Run(tmp_path)
    finetune(run, recipe, LocalModels())
    counts = merge(run, recipe, LocalModels()).counts
    gaps = counts["largest_logit_gap"]
    assert counts["onto"] == min(gaps, key=lambda way: gaps[way]) == "dequantized base"
    assert "quantization_config" not in json.loads((run.merged / "config.json").read_text("utf-8"))
    here, there = (LocalModels().engine(recipe, weights) for weights in (run.merged, run.adapter))
    scores = [losses(engine, examples(recipe), adapter=True) for engine in (here, there)]
    nats = [[score.nats / score.tokens for score in part] for part in scores]
    assert nats[0] == pytest.approx(nats[1], abs=0.1 if dtype == "bfloat16" else 1e-3)
    if dtype == "float32":
        ids = [request.ids for request in requests(recipe)]
        assert [c.text for c in completions(here, ids)] == [c.text for c in completions(there, ids)]


def test_an_encoder_gives_the_vectors_of_the_processor(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(NANO)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    BertModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    encoder = LocalModels().embedder(str(tmp_path))
    assert isinstance(encoder, _Encoder)
    assert encoder._model.device.type == "cuda"
    here = encoder.embed(TEXTS)
    encoder._model.to("cpu")
    assert np.abs(here - encoder.embed(TEXTS)).max() < 1e-4


def test_the_whole_way_ends_well(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    command = [sys.executable, "-m", "synth", "run", str(ROOT / "data/sample/corpus.jsonl")]
    done = subprocess.run(
        [*command, "--run", str(run.folder), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    stages = json.loads(done.stdout)["stages"]
    assert set(stages) >= {"finetune", "evaluate", "backtranslate", "curate", "export"}
    assert stages["backtranslate"]["engine_errors"] == 0
    assert (run.folder / "dataset").is_dir()

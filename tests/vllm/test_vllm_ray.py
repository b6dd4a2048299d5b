"""The real vLLM as the engine of a Ray cluster: the answer of one machine, though it is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from synth.models.local import LocalModels
from synth.recipe import Recipe
from synth.stages.backtranslate import backtranslate
from synth.store.candidate_rows import candidates
from synth.store.run import Run
from tests.vllm.conftest import STEPS, copy_of
from tests.vllm.test_vllm_engine import some_documents

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]


def test_an_engine_on_ray_is_killed_and_the_answers_are_those_of_one_machine(
    run: Run, recipe: Recipe, tmp_path: Path
) -> None:
    corpus = some_documents(tmp_path, 40)  # so many that some are left when the first are answered
    here = copy_of(run, tmp_path / "here")
    plain = recipe.generate.model_copy(update={"engine": "transformers", "scores": []})
    backtranslate(here, recipe.model_copy(update={"generate": plain}), LocalModels(), corpus)

    cluster = ["ray.local_cpus=3", "ray.max_replicas=1", "ray.piece_mib=0.005"]
    options = [*STEPS, "generate.engine=vllm", "generate.scores=[]", *cluster]
    sets = [part for one in options for part in ("--set", one)]
    command = [sys.executable, "-m", "synth", "backtranslate", *corpus, "--on", "ray", *sets]
    with subprocess.Popen([*command, "--run", str(run.folder)]) as driver:
        engine = _of_the_first_piece(run, driver)
        os.kill(_parent(engine), signal.SIGKILL)
        # Left alone, it would keep its memory from the engine that follows.
        assert _ends(engine)
    assert driver.returncode == 0

    found, expected = (
        candidates(one, recipe.generate).sort("segment_id", "sample").collect()
        for one in (run, here)
    )
    said = ["segment_id", "sample", "instruction", "finish", "tokens", "logprob", "text"]
    assert found.height > 80
    assert_frame_equal(found.select(said), expected.select(said), abs_tol=1e-3)


def _of_the_first_piece(run: Run, driver: "subprocess.Popen[bytes]") -> int:
    """The process of vLLM's that has just answered a piece, with others to come."""
    for _ in range(3000):
        done = [*run.candidates.glob("done-*.json")]
        if done or driver.poll() is not None:
            break
        time.sleep(0.1)
    assert len(done) < 5
    assert driver.poll() is None
    (engine,) = (
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.read_bytes().startswith(b"VLLM::EngineCore")
    )
    return engine


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def _ends(pid: int) -> bool:
    for _ in range(300):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.1)
    return False

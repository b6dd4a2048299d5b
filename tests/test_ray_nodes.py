"""A Ray cluster of two nodes: engines on both, and what is left to do when one of them dies."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from synth.models.local import LocalModels
from synth.recipe import load_recipe
from synth.settings import Ray
from synth.stages.backtranslate import backtranslate
from synth.stages.cluster import cluster
from synth.stages.curate import curate
from synth.stages.finetune import finetune
from synth.stages.on_ray import backtranslate_on_ray
from synth.store.run import Run
from tests import test_ray
from tests.conftest import ROOT
from tests.nodes import Nodes, nodes
from tests.test_ray import Slow, ray_recipe, rows, same, wait_for
from tests.test_shards import copy_of, fates, lines

pytestmark = test_ray.pytestmark

# An engine takes the GPU, so that a node has room for one; a logical one is enough.
ROOM = {"num_cpus": 2.0, "num_gpus": 1.0}


@pytest.fixture(scope="module")
def two() -> Iterator[Nodes]:
    """A cluster of two nodes."""
    with nodes(ROOM, ROOM) as found:
        yield found


def at_work(two: Nodes, node: int) -> bool:
    """Whether an engine answers on that node."""
    return any("_Engines" in t and t.endswith(".submit") for t in two.workers(node).values())


def test_the_sample_through_nano_on_two_nodes_is_that_of_one_machine(
    two: Nodes, tmp_path: Path
) -> None:
    brief = ["finetune.steps=4", "finetune.eval_every=2", "finetune.batch=2", "pairs.held_out=8"]
    spread = ["ray.gpus=1", "ray.min_replicas=2", "ray.piece_mib=0.02"]
    sets = [*brief, *spread, "generate.max_new_tokens=12"]
    recipe, corpus = load_recipe("nano", sets), str(ROOT / "data" / "sample" / "corpus.jsonl")
    whole = Run(tmp_path / "whole")
    finetune(whole, recipe, LocalModels())
    run = copy_of(whole.folder, tmp_path / "run")
    words = [f"--set={one}" for one in sets]
    command = subprocess.Popen(
        [sys.executable, "-m", "synth", "backtranslate", corpus, "--recipe", "nano", *words,
         "--run", str(run.folder), "--on", "ray", "--json", "--quiet"],
        env={**os.environ, "RAY_ADDRESS": two.address}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    worked: set[int] = set()

    def watch() -> None:
        while command.poll() is None:
            worked.update(node for node in (0, 1) if at_work(two, node))
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    backtranslate(whole, recipe, LocalModels(), [corpus])
    watcher.join()
    said, _ = command.communicate()
    assert command.returncode == 0
    assert worked == {0, 1}
    counts = json.loads(said)["stages"]["backtranslate"]
    assert counts["pieces"] == len(run.segment_files()) == 5
    assert counts["candidates"] == counts["generated"] == rows(whole, recipe).height - 6
    assert_frame_equal(rows(run, recipe), rows(whole, recipe), rel_tol=1e-4)


def test_a_node_that_is_killed_leaves_its_work_to_the_other(
    two: Nodes, tiny_run: Path, tiny_files: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "a.jsonl"
    corpus.write_text("\n".join(lines(60)), "utf-8")
    recipe = ray_recipe(tiny_files, "ray.gpus=1")
    run, whole = copy_of(tiny_run, tmp_path / "run"), copy_of(tiny_run, tmp_path / "whole")
    backtranslate(whole, recipe, Slow(), [str(corpus)])
    killed: list[int] = []

    def kill() -> None:
        wait_for(lambda: len(run.shards()) >= 4 and at_work(two, 1))
        killed.append(len(run.shards()))
        two.kill(1)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with cluster(Ray(address=two.address)):
            backtranslate_on_ray(run, recipe, Slow(0.1), [str(corpus)])
    finally:
        killer.join()
        two.add(**ROOM)
    assert killed[0] < len(run.shards())
    same(run, whole, recipe)
    ledgers = [curate(one, recipe, LocalModels()).counts for one in (run, whole)]
    assert ledgers[0] == ledgers[1]
    assert fates(run) == fates(whole)

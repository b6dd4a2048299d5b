"""A corpus on a Ray cluster: the answer of one machine, whoever works on it and whatever dies."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from synth.errors import InputError, RunError
from synth.models.local import LocalModels
from synth.models.protocols import Engine, Question, Request, Score
from synth.prompt import Tokenizer
from synth.recipe import Recipe
from synth.records import Completion
from synth.settings import Ray
from synth.stages.backtranslate import backtranslate
from synth.stages.cluster import cluster
from synth.stages.curate import curate
from synth.stages.curate_on_ray import curate_on_ray
from synth.stages.estimate import estimate
from synth.stages.explain import explain
from synth.stages.export import export
from synth.stages.export_on_ray import export_on_ray
from synth.stages.on_ray import backtranslate_on_ray
from synth.store.candidate_rows import candidates
from synth.store.run import Run
from tests.conftest import ROOT, write_jsonl
from tests.test_shards import NOUNS, copy_of, fates, lines, of_corpus, recipe_of

pytestmark = [
    pytest.mark.ray,
    # Ray's own use of itself, at import and when it starts processes.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
_CPUS = 3  # engines take a quarter of one each; every worker takes seconds to start


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster on this machine."""
    import ray

    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with cluster(Ray(local_cpus=_CPUS)):
        yield ray.get_runtime_context().gcs_address
    assert not ray.is_initialized()


class Characters:
    """A token a character: workers that load no library start in seconds."""

    bos_token_id: int | None = 1
    eos_token_id: int | None = 2
    chat_template: Any = None

    def __call__(self, text: Any, **_: object) -> dict[str, Any]:
        many = [text] if isinstance(text, str) else text
        ids = [[ord(character) + 3 for character in one] for one in many]
        return {"input_ids": ids[0] if isinstance(text, str) else ids}

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        return "".join(chr(number - 3) for number in token_ids if number > 2)

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> Any:
        raise NotImplementedError


@dataclass
class Slow(LocalModels):
    """Scripted answers that take their time; may kill its process on a text with a word.

    Attributes:
        seconds: What an answer takes.
        poison: The word.
        log: Where each engine puts the number of its process, and what it answered.
    """

    seconds: float = 0.0
    poison: str = ""
    log: str = ""

    def tokenizer(self, recipe: Recipe) -> Tokenizer:
        return Characters()

    def engine(self, recipe: Recipe, weights: Path) -> Engine:
        return SlowEngine(self, self.tokenizer(recipe))


class SlowEngine:
    def __init__(self, owner: Slow, tokenizer: Tokenizer) -> None:
        self.owner = owner
        self.tokenizer = tokenizer
        if owner.log:
            (Path(owner.log) / str(os.getpid())).touch()

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        for request in requests:
            text = self.tokenizer.decode(request.ids, skip_special_tokens=True)
            subject = text.split("### Input:\nThe ")[1].split()
            if self.owner.poison and self.owner.poison in text:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(self.owner.seconds)
            said = f"What is a {subject[0]} in the yard?"
            yield request.key, Completion(said, 5, "stop", -0.5 - request.seed % 7 / 10)

    def score(self, questions: Iterable[Question]) -> Iterator[tuple[int, Score]]:
        for question in questions:
            tokens = sum(label != -100 for label in question.example.labels)
            yield question.key, Score((0.5 if question.adapter else 2.0) * tokens, tokens)

    def close(self) -> None:
        pass


@pytest.fixture
def corpus(tmp_path: Path) -> list[str]:
    """A file that is cut, one that repeats some of it, and what cannot be cut."""
    made = lines(60)
    (tmp_path / "a.jsonl").write_text("\n".join(made), "utf-8")
    (tmp_path / "b.jsonl").write_text("\n".join([*made[10:14], "", "nope", *made[:3]]), "utf-8")
    rows = [
        {"id": f"p{i}", "text": f"The {noun} of row {i} stands in the yard of the farm."}
        for i, noun in enumerate(NOUNS)
    ]
    rows[3] = json.loads(made[0])
    pl.DataFrame(rows).write_parquet(tmp_path / "c.parquet", row_group_size=4)
    (tmp_path / "d.txt").write_text("The spade stands alone in the yard of the farm.", "utf-8")
    return [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl", "c.parquet", "d.txt")]


def ray_recipe(files: Path, *sets: str, piece: float = 0.0015, engines: int = 2) -> Recipe:
    room = "generate.max_tokens=4000"  # characters are more than tokens
    fleet = (
        room, f"ray.piece_mib={piece}", f"ray.max_replicas={engines}", "ray.cpus=0.25",
        "ray.partition_rows=60",
    )  # fmt: skip
    return recipe_of(files, *fleet, *sets)


def rows(run: Run, recipe: Recipe) -> pl.DataFrame:
    """All candidates, in their order."""
    return candidates(run, recipe.generate).collect()


def same(run: Run, whole: Run, recipe: Recipe) -> None:
    """Whether both have the same account, candidates and bad lines, in one order."""
    names = {"pieces", "first_error"}
    both = [of_corpus(one.need("backtranslate").counts) for one in (run, whole)]
    kept = [{name: n for name, n in counts.items() if name not in names} for counts in both]
    assert kept[0] == kept[1]
    assert_frame_equal(rows(run, recipe), rows(whole, recipe))
    bad = [path.read_text("utf-8") for path in sorted(run.candidates.glob("bad_lines*"))]
    assert "".join(bad) == whole.bad_lines.read_text("utf-8")
    assert (
        pl.concat(map(pl.read_parquet, run.shards())).height == rows(run, recipe)["request"].count()
    )


@pytest.mark.parametrize("engines", [1, 2, 4])
def test_a_cluster_gives_what_one_machine_gives(
    engines: int, address: str, tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = ray_recipe(tiny_files, engines=engines)
    run, whole = copy_of(tiny_run, tmp_path / "run"), copy_of(tiny_run, tmp_path / "whole")
    undivided = backtranslate(whole, recipe, Slow(), corpus).counts
    for name in ("repeated_documents", "bad_lines", "dropped_lines", "skipped"):
        assert undivided[name]
    (tmp_path / "log").mkdir()
    models = Slow(0.02, log=str(tmp_path / "log"))
    counts = backtranslate_on_ray(run, recipe, models, corpus).counts
    assert counts["pieces"] == len(run.segment_files()) >= 7
    assert len(list((tmp_path / "log").iterdir())) == engines
    same(run, whole, recipe)
    sorts = (curate_on_ray, run), (curate, whole)
    ledgers = [step(one, recipe, LocalModels()).counts for step, one in sorts]
    assert ledgers[0] == ledgers[1]
    assert len(run.curated) == 2
    assert fates(run) == fates(whole)
    writes = (export_on_ray, run), (export, whole)
    folders = [tmp_path / step.__name__ for step, _ in writes]
    for (write, one), folder in zip(writes, folders, strict=True):
        write(one, recipe, folder)
    data = [pl.read_parquet(folder / "data" / "*.parquet") for folder in folders]
    assert_frame_equal(*data)
    if engines == 2:
        run.open(recipe)
        run.forget("export")
        command = [sys.executable, "-m", "synth", "export", "--on", "ray", "--to", str(folders[0])]
        subprocess.run(
            [*command, "--recipe", str(run.recipe), "--run", str(run.folder)],
            env={**os.environ, "RAY_ADDRESS": address}, check=True,
        )  # fmt: skip
        assert_frame_equal(pl.read_parquet(folders[0] / "data" / "*.parquet"), data[1])
    left = {path.name.split("-")[0] for path in run.candidates.iterdir()}
    assert left == {"segments", "bad_lines", "done", "part", "pieces.parquet"}
    assert explain(run, recipe, pl.read_parquet(run.curated)["segment_id"][0]).counts["segment"]
    assert backtranslate_on_ray(run, recipe, models, corpus).skipped


def test_an_engine_that_is_killed_is_replaced_and_nothing_is_lost(
    address: str, tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = ray_recipe(tiny_files)
    run, whole = copy_of(tiny_run, tmp_path / "run"), copy_of(tiny_run, tmp_path / "whole")
    backtranslate(whole, recipe, Slow(), corpus)
    log = tmp_path / "log"
    log.mkdir()
    killed: list[int] = []

    def kill() -> None:
        wait_for(lambda: len(run.shards()) >= 4)
        killed.append(int(next(log.iterdir()).name))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    backtranslate_on_ray(run, recipe, Slow(0.1, log=str(log)), corpus)
    killer.join()
    assert len(killed) == 1
    assert len(list(log.iterdir())) == 3
    same(run, whole, recipe)


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


DRIVER = """
import sys
from pathlib import Path
from synth.stages.on_ray import backtranslate_on_ray
from synth.store.run import Run
from tests.test_ray import Slow, ray_recipe

run, files, corpus = sys.argv[1], sys.argv[2], sys.argv[3:]
backtranslate_on_ray(Run(Path(run)), ray_recipe(Path(files)), Slow(0.1), corpus)
"""


def test_the_same_command_goes_on_after_its_process_was_killed(
    address: str, tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = ray_recipe(tiny_files)
    run, whole = copy_of(tiny_run, tmp_path / "run"), copy_of(tiny_run, tmp_path / "whole")
    backtranslate(whole, recipe, Slow(), corpus)
    command = [sys.executable, "-c", DRIVER, str(run.folder), str(tiny_files), *corpus]
    driver = subprocess.Popen(command, env={**os.environ, "RAY_ADDRESS": address})
    wait_for(lambda: any(run.candidates.glob("done-*")))
    shards = len(run.shards())
    wait_for(lambda: len(run.shards()) > shards)
    driver.kill()
    driver.wait()
    with pytest.raises(RunError, match=r"missing.* with --on ray first"):
        curate(run, recipe, LocalModels())
    # Whether a piece was then half answered is chance; what there was stays, and is not made again.
    before = {path: path.read_bytes() for path in run.shards()}
    assert len(before) > shards
    backtranslate_on_ray(run, recipe, Slow(), corpus)
    assert {path: path.read_bytes() for path in run.shards()}.items() > before.items()
    same(run, whole, recipe)


def test_a_request_that_kills_every_engine_is_found_and_told_of(
    address: str, tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = ray_recipe(tiny_files, "generate.samples=1", piece=1)
    run, whole = copy_of(tiny_run, tmp_path / "run"), copy_of(tiny_run, tmp_path / "whole")
    backtranslate(whole, recipe, Slow(), corpus)
    counts = backtranslate_on_ray(run, recipe, Slow(poison="number 31 "), corpus).counts
    assert counts["engine_errors"] == 1
    assert "died on this request" in counts["first_error"]
    found, expected = rows(run, recipe), rows(whole, recipe)
    dead = found.filter(pl.col("finish") == "error")
    assert ["number 31 " in text for text in dead["text"]] == [True]
    good = pl.col("segment_id") != dead["segment_id"][0]
    assert_frame_equal(found.filter(good), expected.filter(good))
    assert curate(run, recipe, LocalModels()).counts["buckets"]["engine_error"] == 1
    again = backtranslate_on_ray(run, recipe, Slow(), corpus).counts
    assert (again["generated"], again["engine_errors"]) == (1, 0)
    assert_frame_equal(rows(run, recipe), expected)


def test_the_command_with_the_real_engine(
    address: str, tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = ray_recipe(tiny_files, "generate.samples=1", "generate.max_tokens=256", piece=0.004)
    run, whole = copy_of(tiny_run, tmp_path / "run"), copy_of(tiny_run, tmp_path / "whole")
    backtranslate(whole, recipe, LocalModels(), corpus)
    whole.open(recipe)
    named = ["--recipe", str(whole.recipe), "--run", "run", "--on", "ray"]
    command = [sys.executable, "-m", "synth", "backtranslate", *corpus, *named]
    env = {**os.environ, "RAY_ADDRESS": address}
    done = subprocess.run(
        [*command, "--json"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    counts = json.loads(done.stdout)["stages"]["backtranslate"]
    assert counts["pieces"] == len(run.segment_files()) > 2
    assert {line.split(":")[0] for line in done.stderr.splitlines()} == {"backtranslate"}
    assert_frame_equal(rows(run, recipe), rows(whole, recipe), rel_tol=1e-4)
    subprocess.run(
        [sys.executable, "-m", "synth", "curate", "--on", "ray", *named[:4]],
        cwd=tmp_path, env=env, check=True,
    )  # fmt: skip
    here = copy_of(run.folder, tmp_path / "here")
    here.forget("curate")
    curate(here, recipe, LocalModels())
    assert fates(run) == fates(here)


def test_what_cannot_be_done_is_one_line(
    address: str, tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    run = copy_of(tiny_run, tmp_path / "run")
    for sets, names, message in (
        (
            ["ray.cpus=2.5"],
            corpus,
            r"room for: 0 of 1; each takes 2\.5 CPU and .* has 3 CPU and 0 GPU \(nodes: 1\);",
        ),
        (["ray.gpus=1"], corpus, "change ray.min_replicas, ray.cpus or ray.gpus, or add nodes"),
        ([], ["-"], "standard input cannot be read in pieces"),
        (
            [],
            [str(write_jsonl(tmp_path / "e.jsonl", [{}]))],
            r"e\.jsonl: holds no document \(1 bad",
        ),
    ):
        with pytest.raises((RunError, InputError), match=message):
            backtranslate_on_ray(run, ray_recipe(tiny_files, *sets), Slow(), names)
    with pytest.raises(InputError, match=r"a\.jsonl:3: .*leave out --strict"):
        backtranslate_on_ray(run, ray_recipe(tiny_files), Slow(), corpus, strict=True)
    assert run.done("backtranslate") is None


def test_an_estimate_is_of_as_many_engines_as_there_is_room_for(
    address: str, tiny_run: Path, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    run = copy_of(tiny_run, tmp_path / "run")
    recipe = ray_recipe(tiny_files, "generate.price_per_hour=1000000", engines=4)
    one = estimate(run, recipe, Slow(0.01), corpus).counts
    four = estimate(run, recipe, Slow(0.01), corpus, on_ray=True).counts
    assert (four["engines"], "engines" in one) == (4, False)
    assert four["candidates"] == one["candidates"]
    # A clock measures both, of requests that take a hundredth of a second each.
    assert 0.15 < four["adapter"]["hours"] / one["adapter"]["hours"] < 0.4
    assert 0.6 < four["adapter"]["cost"] / one["adapter"]["cost"] < 1.6
    assert not run.candidates.exists()

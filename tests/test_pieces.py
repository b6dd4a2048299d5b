"""Pieces of a corpus: they read as the whole does, and a request that kills an engine is found."""

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from synth.errors import InputError, ModelError, RunError
from synth.models.protocols import Engine, Request
from synth.recipe import Recipe, load_recipe
from synth.records import BadLine, Completion, Document, Piece
from synth.settings import Corpus
from synth.stages.cluster import Fleet, fleet_of
from synth.stages.common import read_adapter
from synth.stages.piecework import Answering, Work, cut
from synth.store.asking import Trial
from synth.store.corpus import Source, find_corpus, read_corpus
from synth.store.locks import chief, working_for
from synth.store.pieces import FileRange, FileRows, Survey, divide, numbered, survey_id
from synth.store.run import Run
from tests.test_shards import copy_of, lines, recipe_of
from tests.test_stages import Scripted, ScriptedEngine

NONE = np.empty(0, dtype=np.uint64)
VLLM = ("generate.engine=vllm", "generate.vllm.tensor_parallel_size=2")


def files(folder: Path) -> list[str]:
    """A corpus of every kind of file."""
    made = lines(40)
    folder.mkdir(exist_ok=True)
    (folder / "a.jsonl").write_text("\n".join(made[:30]), "utf-8")
    (folder / "b.jsonl").write_text("\ufeff" + "\r\n".join(made[30:]) + "\n\n\n", "utf-8")
    (folder / "c.csv").write_text('id,text\n1,"one\ntwo"\n2,three\n', "utf-8")
    rows = [{"id": f"p{i}", "text": None if i == 7 else f"The text {i}."} for i in range(25)]
    pl.DataFrame(rows).write_parquet(folder / "d.parquet", row_group_size=4)
    pl.DataFrame(rows).head(0).write_parquet(folder / "e.parquet")
    for number in range(5):
        (folder / f"f{number}.txt").write_text(f"A text of its own, {number}.", "utf-8")
    return [str(folder)]


def whole_lines(pieces: list[list[Source]]) -> list[int]:
    return [sum(s.lines() for s in piece if isinstance(s, FileRange)) for piece in pieces]


@pytest.mark.parametrize("most", [1, 7, 60, 100, 333, 1000, 5000, 10**6])
def test_pieces_read_as_the_whole_does(most: int, tmp_path: Path) -> None:
    sources = find_corpus(files(tmp_path / "corpus"), Corpus())
    whole = list(read_corpus(sources, Corpus()))
    assert {type(item) for item in whole} == {Document, BadLine}
    pieces = divide(sources, most)
    told: list[int] = []
    read = [
        item
        for piece in numbered(pieces, whole_lines(pieces))
        for item in read_corpus(piece, Corpus(), told.append)
    ]
    assert read == whole
    kinds = {type(source) for piece in pieces for source in piece}
    assert ({FileRange, FileRows} <= kinds) == (most <= 1000)
    assert sum(told) == sum(source.size for piece in pieces for source in piece)
    if most == 10**6:
        assert len(pieces) == 1
    if most == 100:
        assert max(len(piece) for piece in pieces) > 1


def test_a_piece_is_known_by_its_content(tmp_path: Path) -> None:
    names = files(tmp_path / "corpus")

    def identities() -> list[str]:
        pieces = divide(find_corpus(names, Corpus()), 200)
        return [source.identity() for piece in pieces for source in piece]

    before = identities()
    assert identities() == before
    path = tmp_path / "corpus" / "a.jsonl"
    text = path.read_text("utf-8")
    path.write_text(text.replace("number 3 ", "number 4 "), "utf-8")
    changed = [a != b for a, b in zip(before, identities(), strict=True)]
    assert sum(changed) == 1
    path.write_text(text, "utf-8")
    rows = pl.read_parquet(tmp_path / "corpus" / "d.parquet")
    rows[20, "text"] = "The text 21."
    rows.write_parquet(tmp_path / "corpus" / "d.parquet", row_group_size=4)
    assert 0 < sum(a != b for a, b in zip(before, identities(), strict=True)) < 4


def test_a_survey_is_of_pieces_as_they_are_cut(tmp_path: Path) -> None:
    sources = find_corpus(files(tmp_path / "corpus"), Corpus())[-4:]
    names = [source.name for source in sources]
    cuts = ([sources[:1], sources[1:]], [sources[:2], sources[2:]])
    assert survey_id(cuts[0], Corpus(), names) == survey_id(cuts[0], Corpus(), names)
    assert survey_id(cuts[0], Corpus(), names) != survey_id(cuts[1], Corpus(), names)


def test_what_cannot_be_cut(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read in pieces"):
        divide(find_corpus(["-"], Corpus()), 100)
    (tmp_path / "a.jsonl").write_text("{}\n" * 100_001, "utf-8")
    with pytest.raises(InputError, match=r"100001 pieces .* too many; raise ray\.piece_mib"):
        divide(find_corpus([str(tmp_path / "a.jsonl")], Corpus()), 1)


def test_a_survey_is_read_again_while_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    assert Survey.read(path, "f") is None
    ids = [[], [2**64 - 1, 5]]
    Survey([3, 0], [np.array(keys, dtype=np.uint64) for keys in ids]).write(path, "f")
    found = Survey.read(path, "f")
    assert found is not None
    assert (found.lines, [list(keys) for keys in found.again]) == ([3, 0], ids)
    assert Survey.read(path, "g") is None


ONE = {"CPU": 4.0}


@pytest.mark.parametrize(
    ("sets", "nodes", "most"),
    [
        ((), [{"CPU": 1.0}], None),
        ((), [{"CPU": 2.0}], 1),
        ((), [ONE], 3),
        (("ray.cpus=0.5",), [ONE], 6),
        (("ray.cpus=0.5", "ray.max_replicas=5"), [ONE], 5),
        (("ray.cpus=0.1",), [{"CPU": 2.0}], 10),
        # Half of each of two single CPUs leaves none whole; one engine leaves one.
        (("ray.cpus=0.5",), [{"CPU": 1.0}, {"CPU": 1.0}], 1),
        ((), [ONE, ONE], 7),
        (("ray.gpus=1",), [{"CPU": 4.0, "GPU": 2.0}, ONE], 2),
        (("ray.gpus=0.5",), [{"CPU": 4.0, "GPU": 1.0}], 2),
        (("ray.gpus=1",), [ONE], None),
        ((), [{"CPU": 8.0, "GPU": 4.0}], 4),
        (("ray.min_replicas=5",), [{"CPU": 8.0, "GPU": 4.0}], None),
        (VLLM, [{"CPU": 8.0, "GPU": 4.0}], 2),
        ((*VLLM[:1], "generate.vllm.tensor_parallel_size=8"), [{"CPU": 8.0, "GPU": 4.0}], None),
        (("generate.engine=endpoint",), [{"CPU": 8.0, "GPU": 4.0}], 7),
    ],
)  # fmt: skip
def test_how_many_engines_leave_a_cpu_for_reading(
    sets: tuple[str, ...], nodes: list[dict[str, float]], most: int | None
) -> None:
    recipe = load_recipe("nano", sets)
    if most is None:
        with pytest.raises(
            RunError, match=r"change ray.min_replicas, ray.cpus or ray.gpus, or add"
        ):
            fleet_of(recipe, nodes)
        return
    assert fleet_of(recipe, nodes).most == most


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (
            [{"CPU": 1.0}],
            "0 of 5; each takes 1 CPU and 0 GPU, reading takes 1 CPU, and the cluster has 1 CPU and"
            " 0 GPU (nodes: 1);",
        ),
        (
            [ONE, {"CPU": 1.0, "GPU": 2.0}],
            "1 of 5; each takes 1 CPU and 1 GPU, reading takes 1 CPU, and the cluster has 5 CPU and"
            " 2 GPU (nodes: 2);",
        ),
    ],
)
def test_how_room_is_told_reads_well_for_one_and_for_many(
    nodes: list[dict[str, float]], said: str
) -> None:
    with pytest.raises(RunError) as error:
        fleet_of(load_recipe("nano", ["ray.min_replicas=5", "ray.max_replicas=9"]), nodes)
    assert str(error.value).startswith(f"ray: engines that there is room for: {said} change ray.")


def test_fewer_gpus_than_an_engine_runs_on() -> None:
    sets = ["generate.engine=vllm", "generate.vllm.tensor_parallel_size=4", "ray.gpus=2"]
    with pytest.raises(
        RunError, match=r"ray\.gpus: 2 GPUs are too few for an engine that runs on 4"
    ):
        fleet_of(load_recipe("nano", sets), [{"CPU": 8.0, "GPU": 8.0}])
    fleet = fleet_of(load_recipe("nano", sets[:2]), [{"CPU": 8.0, "GPU": 8.0}])
    assert fleet == Fleet(1, 2, 1.0, 4.0)


def test_who_works_for_a_command_that_is_gone_stops(tmp_path: Path) -> None:
    path = tmp_path / ".workers"
    with chief(path, "one"), working_for(path, "one"), working_for(path, "one"):
        pass
    gone = pytest.raises(RunError, match="the command that this was work for is no more")
    with chief(path, "two"), gone, working_for(path, "one"):
        pass


class Mortal(Scripted):
    """Engines that die on texts with one of these words, when they have several requests or one."""

    def __init__(self, *words: str, ahead: int = 5) -> None:
        super().__init__()
        self.words = words
        self.ahead = ahead

    def engine(self, recipe: Recipe, weights: Path) -> Engine:
        super().engine(recipe, weights)
        return MortalEngine(self)


class MortalEngine(ScriptedEngine):
    owner: Mortal

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        waiting: list[Request] = []
        for request in requests:
            waiting.append(request)
            if len(waiting) == self.owner.ahead:
                yield from self._said(waiting)
                waiting = []
        yield from self._said(waiting)

    def _said(self, requests: list[Request]) -> Iterator[tuple[int, Completion]]:
        texts = [self.tokenizer.decode(r.ids, skip_special_tokens=True) for r in requests]
        if any(word in text for word in self.owner.words for text in texts):
            raise ModelError("died")
        yield from super().generate(requests)


def work_of(run: Run, recipe: Recipe, models: Scripted) -> Work:
    run.workers.write_text(str(run.folder), "utf-8")
    adapter = read_adapter(run.adapter, recipe, models)
    return Work(run, recipe, models, adapter, "f", str(run.folder), str(Path.cwd()), strict=False)


@pytest.mark.parametrize("words", [(), ("number 7 ",), ("number 7 ", "number 8 ", "number 25 ")])
def test_the_requests_that_kill_engines_are_found(
    words: tuple[str, ...], tiny_run: Path, tiny_files: Path, tmp_path: Path
) -> None:
    run, recipe = copy_of(tiny_run, tmp_path / "run"), recipe_of(tiny_files, "generate.samples=1")
    texts = [f"The pump number {i} stands in the yard of the farm." for i in range(40)]
    random.Random(2).shuffle(texts)
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    models = Mortal(*words)
    work, part = work_of(run, recipe, models), Piece(1, 2)
    told = cut(
        work,
        part,
        find_corpus([str(path)], recipe.corpus),
        NONE,
    )
    counts = Answering(work).piece(part, told)
    assert (counts["candidates"], counts["generated"] + counts["reused"]) == (40, 40)
    assert counts["engine_errors"] == len(words)
    answers = pl.concat(map(pl.read_parquet, run.shards()))
    assert answers.height == answers["request"].n_unique() == 40
    dead = answers.filter(pl.col("finish") == "error")["request"].to_list()
    segments = pl.read_parquet(run.segments_of(part)).explode("requests")
    found = segments.filter(pl.col("requests").is_in(dead))["text"].to_list()
    assert sorted(found) == sorted(text for text in texts if any(word in text for word in words))
    assert models.engines <= 1 + 6 * len(words)
    assert not run.asked_of(part).exists()
    assert not run.tried_of(part).exists()


@pytest.mark.parametrize("of", [1, 2])
def test_a_piece_is_told_of_again_when_that_it_is_done_was_lost(
    of: int, tiny_run: Path, tiny_files: Path, tmp_path: Path
) -> None:
    run, recipe = copy_of(tiny_run, tmp_path / "run"), recipe_of(tiny_files)
    models = Scripted()
    work, part = work_of(run, recipe, models), Piece(1, of)
    sources = find_corpus([str(tiny_files / "corpus.jsonl")], recipe.corpus)
    told = cut(work, part, sources, NONE)
    counts = Answering(work).piece(part, told)
    assert counts["generated"] == told["candidates"] == 16
    assert Answering(work).piece(part, told) == counts
    assert models.engines == 1
    if of > 1:
        cut(work, part, sources, NONE)
        again = Answering(work).piece(part, told)
        assert (again["generated"], again["reused"]) == (0, 16)
        assert not run.asked_of(part).exists()


def test_an_engine_that_dies_on_everything_is_given_up(
    tiny_run: Path, tiny_files: Path, tmp_path: Path
) -> None:
    run, recipe = copy_of(tiny_run, tmp_path / "run"), recipe_of(tiny_files, "generate.samples=9")
    work, part = work_of(run, recipe, Mortal("The")), Piece(1, 2)
    corpus = find_corpus([str(tiny_files / "corpus.jsonl")], recipe.corpus)
    told = cut(work, part, corpus, NONE)
    with pytest.raises(ModelError, match="the engine died 64 times on one piece of the corpus"):
        Answering(work).piece(part, told)


def test_what_was_tried_is_read_back_as_far_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    trial = Trial.read(path)
    assert (trial.deaths, trial.put) == (0, [])
    trial.dead.append(9)
    with trial.begin(3) as about:
        about(3)
        about(4)
    with path.open("a") as file:
        file.write("12")
    found = Trial.read(path)
    assert (found.deaths, found.last, found.dead, found.put) == (1, 3, [9], [3, 4])

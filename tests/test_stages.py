"""The stages on a tiny real model: what they write, what they skip, and that nothing is lost."""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from synth.errors import (
    AdapterError,
    InputError,
    ModelError,
    NoGoError,
    RecipeError,
    RunError,
    TrainingError,
)
from synth.models.local import LocalModels
from synth.models.protocols import Engine, Question, Request, Score
from synth.recipe import Recipe, load_recipe
from synth.records import Completion, Progress
from synth.stages.backtranslate import backtranslate
from synth.stages.common import read_adapter, split_pairs
from synth.stages.curate import curate, what_if
from synth.stages.estimate import estimate
from synth.stages.evaluate import evaluate
from synth.stages.explain import explain
from synth.stages.export import export
from synth.stages.finetune import finetune
from synth.stages.run import run_all
from synth.store.candidate_rows import candidates
from synth.store.run import Run
from tests.conftest import write_jsonl


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Run:
    shutil.copytree(tiny_run, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture
def corpus(tiny_files: Path) -> list[str]:
    return [str(tiny_files / "corpus.jsonl")]


def recipe_of(files: Path, *overrides: str) -> Recipe:
    return load_recipe(str(files / "recipe.yaml"), overrides)


def rows(run: Run, recipe: Recipe) -> list[tuple[Any, ...]]:
    return list(candidates(run, recipe.generate).collect().iter_rows())


_TOKENS = 5  # of a scripted completion


class Scripted(LocalModels):
    """The tiny model's tokenizer with scripted completions; counts, and may die at the nth."""

    def __init__(self, die_at: int = 0, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.asked = 0
        self.engines = 0
        self.die_at = die_at
        self.error = error
        self.limit = 0

    def engine(self, recipe: Recipe, weights: Path) -> Engine:
        self.tokenizer_ = self.tokenizer(recipe)
        self.engines += 1
        self.limit = recipe.generate.max_new_tokens
        return ScriptedEngine(self)


class ScriptedEngine:
    def __init__(self, owner: Scripted) -> None:
        self.owner = owner
        self.tokenizer = owner.tokenizer_

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        for request in requests:
            self.owner.asked += 1
            if self.owner.asked == self.owner.die_at:
                raise self.owner.error("died")
            text = self.tokenizer.decode(request.ids, skip_special_tokens=True)
            subject = text.split("### Input:\nThe ")[1].split()[0]
            finish = "stop" if self.owner.limit >= _TOKENS else "length"
            tokens = min(self.owner.limit, _TOKENS)
            yield request.key, Completion(f"What is a {subject} in the yard?", tokens, finish, -0.5)

    def score(self, questions: Iterable[Question]) -> Iterator[tuple[int, Score]]:
        for question in questions:
            tokens = sum(label != -100 for label in question.example.labels)
            yield question.key, Score((0.5 if question.adapter else 2.0) * tokens, tokens)

    def close(self) -> None:
        pass


def test_finetune_learns_and_says_what_it_did(run: Run, tiny_files: Path) -> None:
    done = run.need("finetune")
    assert done.counts["pairs"] == 20
    assert done.counts["held_out"] == 4
    info = json.loads((run.adapter / "synth.json").read_text("utf-8"))
    held_out = [point["held_out"] for point in info["losses"] if point["held_out"] is not None]
    assert held_out[-1] < held_out[0]
    logged = [point for point in info["losses"] if point["train"] is not None]
    assert [point["step"] for point in logged] == [2, 4]
    assert all(0 < point["learning_rate"] <= 0.005 for point in logged)
    assert all(point["grad_norm"] > 0 for point in logged)
    measured = [point for point in info["losses"] if point["held_out"] is not None]
    assert {(point["learning_rate"], point["grad_norm"]) for point in measured} == {(None, None)}
    train = split_pairs(recipe_of(tiny_files).pairs).train
    assert info["lengths"] == [[len(pair.instruction), len(pair.response)] for pair in train]
    assert not list(run.folder.glob("*.part"))


def test_an_adapter_of_before_is_read(run: Run, tiny_files: Path, corpus: list[str]) -> None:
    path = run.adapter / "synth.json"
    told = json.loads(path.read_text("utf-8"))
    del told["lengths"]
    for point in told["losses"]:
        del point["learning_rate"], point["grad_norm"]
    path.write_text(json.dumps(told), encoding="utf-8")
    assert finetune(run, recipe_of(tiny_files), LocalModels()).skipped
    adapter = read_adapter(run.adapter, recipe_of(tiny_files), LocalModels())
    assert (adapter.losses, adapter.lengths) == (told["losses"], [])
    assert backtranslate(run, recipe_of(tiny_files), Scripted(), corpus).counts["candidates"] > 0


def test_finetune_is_skipped_only_while_nothing_changed(run: Run, tiny_files: Path) -> None:
    models = LocalModels()
    assert finetune(run, recipe_of(tiny_files), models).skipped
    assert finetune(run, recipe_of(tiny_files, "curate.min_logprob=-1"), models).skipped
    assert not finetune(run, recipe_of(tiny_files, "finetune.steps=1"), models).skipped


def test_the_same_recipe_gives_the_same_adapter(run: Run, tiny_files: Path, tmp_path: Path) -> None:
    other = Run(tmp_path / "other")
    finetune(other, recipe_of(tiny_files), LocalModels())
    name = "adapter_model.safetensors"
    assert (other.adapter / name).read_bytes() == (run.adapter / name).read_bytes()


def test_four_bits_train_and_generate(tiny_files: Path, corpus: list[str], tmp_path: Path) -> None:
    run, models = Run(tmp_path / "run"), LocalModels()
    recipe = recipe_of(tiny_files, "model.quantization=nf4", "finetune.steps=2")
    finetune(run, recipe, models)
    assert backtranslate(run, recipe, models, corpus).counts["segments"] == 8
    assert evaluate(run, recipe, models).counts["after"]["nats_per_token"] > 0


def test_a_loss_that_is_no_number_stops_the_training(tiny_files: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with pytest.raises(TrainingError, match="training would teach nothing"):
        finetune(run, recipe_of(tiny_files, "finetune.learning_rate=1e30"), LocalModels())
    assert run.done("finetune") is None
    assert not run.adapter.exists()


def test_backtranslate_gives_every_segment_one_row(
    run: Run, tiny_files: Path, corpus: list[str]
) -> None:
    recipe = recipe_of(tiny_files)
    outcome = backtranslate(run, recipe, LocalModels(), corpus)
    assert outcome.counts["segments"] == 8
    assert outcome.counts["candidates"] == 8
    assert [path.name for path in run.shards()] == [f"part-0000{i}.parquet" for i in range(3)]
    found = candidates(run, recipe.generate).collect()
    assert found["document_id"].to_list() == [f"d{i}" for i in range(8)]
    assert found["instruction"].null_count() == 0
    assert (found["logprob"] < 0).all()
    provenance = json.loads(found["provenance"][0])
    adapter = json.loads((run.adapter / "synth.json").read_text("utf-8"))
    assert provenance["adapter"] == adapter["fingerprint"]
    assert provenance["prompt"] == adapter["prompt_hash"]
    assert provenance["versions"]["transformers"]
    assert backtranslate(run, recipe, LocalModels(), corpus).skipped


@pytest.mark.parametrize("error", [KeyboardInterrupt, ModelError, MemoryError])
def test_a_run_cut_off_goes_on_where_it_was(
    run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path, error: type[BaseException]
) -> None:
    shutil.copytree(run.folder, tmp_path / "whole")
    recipe, whole = recipe_of(tiny_files), Run(tmp_path / "whole")
    backtranslate(whole, recipe, Scripted(), corpus)
    with pytest.raises(error):
        backtranslate(run, recipe, Scripted(5, error), corpus)
    assert run.done("backtranslate") is None
    with pytest.raises(RunError, match="run it first"):
        curate(run, recipe, LocalModels())
    again = Scripted()
    outcome = backtranslate(run, recipe, again, corpus)
    kept = 3 if error is MemoryError else 4  # what a shard lacks is kept where that can be done
    assert again.asked == 8 - kept
    assert outcome.counts["reused"] == kept
    assert rows(run, recipe) == rows(whole, recipe)


def test_what_changes_nothing_is_reused_and_what_changes_a_row_makes_that_row_again(
    run: Run, tiny_files: Path, tmp_path: Path
) -> None:
    texts = ["The oar stands in the yard.", "The sail stands in the yard. " * 20]
    corpus = [
        str(
            write_jsonl(
                tmp_path / "c.jsonl", [{"id": f"{i}", "text": t} for i, t in enumerate(texts)]
            )
        )
    ]
    sets = ["corpus.max_chars=1000"]
    backtranslate(run, recipe_of(tiny_files, *sets), Scripted(), corpus)

    def asked(*more: str) -> int:
        models = Scripted()
        outcome = backtranslate(run, recipe_of(tiny_files, *sets, *more), models, corpus)
        assert not outcome.skipped
        assert outcome.counts["reused"] + models.asked == outcome.counts["candidates"]
        return models.asked

    assert asked("generate.shard=1", "generate.max_new_tokens=7") == 0
    assert asked("generate.max_new_tokens=4") == 2  # the answers have five tokens
    assert asked("generate.max_tokens=100") == 1  # the long text alone is shortened
    assert asked("generate.samples=3") == 4
    assert asked("generate.temperature=0.5") == 2
    assert asked("generate.samples=2") == 0
    assert asked("corpus.max_chars=200") > 1


@pytest.mark.parametrize(
    ("documents", "characters", "seconds"),
    [(1, 1 << 20, 9), (3, 1 << 20, 9), (100, 60, 9), (100, 1 << 20, 0)],
)
def test_segments_do_not_hang_on_how_many_documents_are_cut_together(
    run: Run,
    tiny_files: Path,
    corpus: list[str],
    monkeypatch: pytest.MonkeyPatch,
    documents: int,
    characters: int,
    seconds: int,
) -> None:
    backtranslate(run, recipe_of(tiny_files), Scripted(), corpus)
    whole = pl.read_parquet(run.segments)
    run.forget("backtranslate")
    monkeypatch.setattr("synth.stages.reading._BATCH", documents)
    monkeypatch.setattr("synth.stages.reading._CHARACTERS", characters)
    monkeypatch.setattr("synth.stages.reading._PATIENCE", seconds)
    again = backtranslate(run, recipe_of(tiny_files), Scripted(), corpus)
    assert again.counts["reused"] == again.counts["candidates"] == 8
    assert pl.read_parquet(run.segments).equals(whole)


def test_a_slow_engine_loses_no_more_than_so_many_seconds(
    run: Run, tiny_files: Path, corpus: list[str]
) -> None:
    hasty = recipe_of(tiny_files, "generate.shard=1000", "generate.shard_seconds=1e-9")
    backtranslate(run, hasty, Scripted(), corpus)
    assert [pl.read_parquet(path).height for path in run.shards()] == [1] * 8
    patient = recipe_of(tiny_files, "generate.shard=1000", "generate.seed=1")
    backtranslate(run, patient, Scripted(), corpus)
    assert [pl.read_parquet(path).height for path in run.shards()] == [*[1] * 8, 8]


def test_nothing_pending_loads_no_engine(
    run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files)
    backtranslate(run, recipe, Scripted(), corpus)
    run.forget("backtranslate")
    models = Scripted()
    assert backtranslate(run, recipe, models, corpus).counts["reused"] == 8
    assert models.engines == 0


def test_an_engine_error_has_its_bucket_and_is_tried_again(
    run: Run, tiny_files: Path, corpus: list[str]
) -> None:
    class Failing(Scripted):
        def engine(self, recipe: Recipe, weights: Path) -> Engine:
            engine = super().engine(recipe, weights)
            generate = engine.generate

            def failing(requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
                for key, said in generate(requests):
                    bad = Completion("", 0, "error", 0.0, "400: no")
                    yield key, bad if key == 2 else said

            engine.generate = failing  # type: ignore[method-assign]
            return engine

    recipe = recipe_of(tiny_files)
    counts = backtranslate(run, recipe, Failing(), corpus).counts
    assert (counts["engine_errors"], counts["first_error"]) == (1, "400: no")
    assert curate(run, recipe, LocalModels()).counts["buckets"] == {"kept": 7, "engine_error": 1}
    rejected = pl.read_parquet(run.rejected)
    assert rejected["value"].to_list() == ["400: no"]
    again = Scripted()
    outcome = backtranslate(run, recipe, again, corpus)
    assert (again.asked, outcome.counts["engine_errors"]) == (1, 0)
    assert curate(run, recipe, LocalModels()).counts["buckets"] == {"kept": 8}


def test_samples_are_drawn_apart_and_the_best_is_kept(
    run: Run, tiny_files: Path, corpus: list[str]
) -> None:
    recipe = recipe_of(
        tiny_files,
        "generate.samples=3",
        "generate.temperature=1.0",
        "generate.scores=[r_ifd, ifd]",
        "curate.rank=ifd",
        "curate.min_logprob=-99",
    )
    counts = backtranslate(run, recipe, LocalModels(), corpus).counts
    assert (counts["segments"], counts["candidates"]) == (8, 24)
    found = candidates(run, recipe.generate).collect()
    assert found["sample"].to_list() == [0, 1, 2] * 8
    assert found["seed"].n_unique() == 24
    assert found["instruction"].n_unique() > 8
    assert (found["r_ifd"] > 0).all()
    assert (found["ifd"] > 0).all()
    ledger = curate(run, recipe, LocalModels()).counts
    assert sum(ledger["buckets"].values()) == 8
    assert sum(ledger["rejected_candidates"].values()) + ledger["buckets"]["kept"] == 24
    assert curate(run, recipe, LocalModels()).skipped


def test_scores_are_ratios_of_mean_losses(run: Run, tiny_files: Path, corpus: list[str]) -> None:
    recipe = recipe_of(tiny_files, "generate.scores=[r_ifd, ifd]")
    backtranslate(run, recipe, Scripted(), corpus)
    found = candidates(run, recipe.generate).collect()
    assert set(found["r_ifd"]) == {0.5 / 0.5}
    assert set(found["ifd"]) == {2.0 / 2.0}
    with pytest.raises(RecipeError, match=r"which generate\.scores does not measure"):
        curate(run, recipe_of(tiny_files, "curate.rank=ifd"), LocalModels())
    with pytest.raises(RecipeError, match=r"curate\.ifd has limits, but"):
        curate(run, recipe_of(tiny_files, "curate.ifd=[0, 1]"), LocalModels())


def test_segments_of_too_many_tokens_are_left_out(
    run: Run, tiny_files: Path, corpus: list[str]
) -> None:
    recipe = recipe_of(tiny_files, "corpus.max_tokens=10")
    counts = backtranslate(run, recipe, Scripted(), corpus).counts
    assert counts["skipped"] == {"too_long": 8}
    assert curate(run, recipe, LocalModels()).counts["buckets"] == {
        "kept": 0,
        "segment_too_long": 8,
    }


def test_an_engine_that_leaves_requests_is_an_error(
    run: Run, tiny_files: Path, corpus: list[str]
) -> None:
    class Silent(Scripted):
        def engine(self, recipe: Recipe, weights: Path) -> Engine:
            engine = super().engine(recipe, weights)
            generate = engine.generate

            def silent(requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
                return (said for said in generate(requests) if said[0])

            engine.generate = silent  # type: ignore[method-assign]
            return engine

    with pytest.raises(ModelError, match="left 1 requests without an answer"):
        backtranslate(run, recipe_of(tiny_files), Silent(), corpus)


def test_a_half_written_shard_is_not_believed(
    run: Run, tiny_files: Path, corpus: list[str]
) -> None:
    run.candidates.mkdir()
    (run.candidates / "part-00000.parquet.part").write_bytes(b"PAR1 half")
    recipe = recipe_of(tiny_files)
    assert backtranslate(run, recipe, Scripted(), corpus).counts["generated"] == 8
    assert len(rows(run, recipe)) == 8


def test_a_grown_corpus_reuses_what_was_generated(
    run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files)
    backtranslate(run, recipe, Scripted(), corpus)
    more = write_jsonl(tmp_path / "m.jsonl", [{"id": "n", "text": "The spade stands in the yard."}])
    models = Scripted()
    outcome = backtranslate(run, recipe, models, [str(more), *corpus])
    assert models.asked == 1
    assert outcome.counts["segments"] == 9
    assert rows(run, recipe)[0][1] == "n"
    shrunk = backtranslate(run, recipe, Scripted(die_at=1), [str(more)])
    assert shrunk.counts["segments"] == 1
    assert sum(curate(run, recipe, LocalModels()).counts["buckets"].values()) == 1


def test_metadata_is_that_of_the_corpus_as_it_is_now(
    run: Run, tiny_files: Path, tmp_path: Path
) -> None:
    recipe, path = recipe_of(tiny_files), tmp_path / "c.jsonl"
    document = {"id": "n", "text": "The spade stands in the yard."}
    backtranslate(run, recipe, Scripted(), [str(write_jsonl(path, [document]))])
    models = Scripted()
    write_jsonl(path, [document | {"licence": "MIT"}])
    backtranslate(run, recipe, models, [str(path)])
    assert models.asked == 0
    found = candidates(run, recipe.generate).collect()
    assert json.loads(found["metadata"][0]) == {"licence": "MIT"}


def test_bad_lines_are_listed_and_counted(run: Run, tiny_files: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    good = {"id": "g", "text": "The gate stands in the yard."}
    path.write_text(f"{json.dumps(good)}\nnope\n{json.dumps(good)}\n", encoding="utf-8")
    recipe = recipe_of(tiny_files)
    counts = backtranslate(run, recipe, Scripted(), [str(path)]).counts
    assert (counts["documents"], counts["bad_lines"], counts["repeated_documents"]) == (1, 1, 1)
    assert json.loads(run.bad_lines.read_text("utf-8")) == {
        "place": "c.jsonl:2",
        "reason": "not JSON",
    }
    with pytest.raises(InputError, match=r"c\.jsonl:2: not JSON; correct the line"):
        backtranslate(run, recipe, Scripted(), [str(path)], strict=True)


def test_a_corpus_without_documents_is_an_error(run: Run, tiny_files: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("", encoding="utf-8")
    (tmp_path / "blank").mkdir()
    for number in range(12):
        (tmp_path / "blank" / f"{number:02}.txt").write_text(" ", encoding="utf-8")
    told = r"^00\.txt, 01\.txt, 02\.txt and 9 more: holds no document \(12 bad lines; the first: 00"
    with pytest.raises(InputError, match=told):
        backtranslate(run, recipe_of(tiny_files), Scripted(), [str(tmp_path / "blank")])
    with pytest.raises(InputError, match="holds no document; check"):
        backtranslate(run, recipe_of(tiny_files), Scripted(), [str(path)])
    path.write_text("nope\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"1 bad lines; the first: c\.jsonl:1: not JSON"):
        backtranslate(run, recipe_of(tiny_files), Scripted(), [str(path)])


def test_an_adapter_must_fit(run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path) -> None:
    models = Scripted()
    with pytest.raises(AdapterError, match="another prompt"):
        backtranslate(run, recipe_of(tiny_files, "prompt.task=Other."), models, corpus)
    with pytest.raises(AdapterError, match="another base"):
        backtranslate(run, recipe_of(tiny_files, "model.base=bundled:data/nano"), models, corpus)
    with pytest.raises(AdapterError, match="run `synth finetune` first"):
        backtranslate(Run(tmp_path / "empty"), recipe_of(tiny_files), models, corpus)
    (run.adapter / "synth.json").write_text("{}", encoding="utf-8")
    with pytest.raises(AdapterError, match="damaged"):
        backtranslate(run, recipe_of(tiny_files), models, corpus)


def test_the_whole_way_and_again(
    run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files, "export.test_share=0.25")
    heard: list[Progress] = []
    first = list(run_all(run, recipe, Scripted(), corpus, heard.append))
    works = ["evaluate", "backtranslate", "curate", "export", "report"]
    assert [o.stage for o in first] == ["finetune", *works]
    assert {p.stage for p in heard} == {*works, "sweep"}
    assert first[3].counts["buckets"] == {"kept": 8}
    assert (first[4].counts["train"], first[4].counts["test"]) == (6, 2)
    assert [o.skipped for o in first] == [True] + [False] * 5
    assert all(o.skipped for o in run_all(run, recipe, Scripted(die_at=1), corpus))
    changed = recipe_of(tiny_files, "export.test_share=0.25", "curate.min_logprob=-0.1")
    stages = run_all(run, changed, Scripted(die_at=1), corpus)
    assert [next(stages).skipped for _ in range(4)] == [True, True, True, False]
    with pytest.raises(RunError, match="no row was kept \\(unlikely 8\\)"):
        next(stages)


def test_a_no_go_stops_the_run_unless_forced(run: Run, tiny_files: Path, corpus: list[str]) -> None:
    recipe = recipe_of(tiny_files, "evaluate.min_fall=0.99", "evaluate.min_finished=1")
    stages = run_all(run, recipe, Scripted(), corpus)
    assert next(stages).stage == "finetune"
    assert next(stages).counts["go"] is False
    with pytest.raises(NoGoError, match=r"report.json: no-go \(loss_fall, finished\).*--force"):
        next(stages)
    assert run.done("evaluate") is not None
    assert run.done("backtranslate") is None
    forced = [o.stage for o in run_all(run, recipe, Scripted(), corpus, force=True)]
    assert forced[-2:] == ["export", "report"]


def test_a_segment_tells_its_story(run: Run, tiny_files: Path, corpus: list[str]) -> None:
    recipe = recipe_of(tiny_files)
    backtranslate(run, recipe, Scripted(), corpus)
    with pytest.raises(RunError, match="synth curate"):
        explain(run, recipe, "00")
    curate(run, recipe, LocalModels())
    strict = recipe_of(tiny_files, "curate.min_instruction_chars=400")
    kept = pl.read_parquet(run.curated)["segment_id"][0]
    (story,) = explain(run, recipe, kept).counts["samples"]
    assert story["fate"] == "kept"
    assert story["mark"] is None
    assert all(rule["good"] for rule in story["rules"])
    (told,) = explain(run, strict, kept).counts["samples"]
    assert [r["rule"] for r in told["rules"] if not r["good"]] == ["instruction_short"]
    curate(run, strict, LocalModels())
    assert explain(run, strict, kept).counts["samples"][0]["fate"] == "instruction_short"
    for name in ("", "none"):
        with pytest.raises(RunError, match="segment_id"):
            explain(run, recipe, name)


def test_a_shard_cut_short_is_named_and_made_again(
    run: Run, tiny_files: Path, corpus: list[str]
) -> None:
    recipe = recipe_of(tiny_files)
    backtranslate(run, recipe, Scripted(), corpus)
    before = curate(run, recipe, LocalModels()).counts["buckets"]
    shard = run.shards()[0]
    shard.write_bytes(shard.read_bytes()[:500])
    stricter = recipe_of(tiny_files, "curate.max_instruction_chars=499")
    with pytest.raises(RunError, match=rf"{shard.name}: cannot be read .*; delete it"):
        curate(run, stricter, LocalModels())
    assert pl.read_parquet(run.curated).height == before["kept"]
    shard.unlink()
    with pytest.raises(RunError, match="3 requests have no answer"):
        curate(run, stricter, LocalModels())
    backtranslate(run, recipe, Scripted(), corpus)
    assert curate(run, recipe, LocalModels()).counts["buckets"] == before


def test_what_if_counts_and_writes_nothing(run: Run, tiny_files: Path, corpus: list[str]) -> None:
    backtranslate(run, recipe_of(tiny_files), Scripted(), corpus)
    tried = {n: recipe_of(tiny_files, f"curate.min_instruction_chars={n}") for n in ("10", "400")}
    kept = what_if(run, tried, LocalModels()).counts["kept"]
    assert not run.curated
    assert kept["400"] == 0 < kept["10"]
    assert kept["10"] == curate(run, tried["10"], LocalModels()).counts["buckets"]["kept"]


def test_export_is_byte_identical_and_split_by_document(
    run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files, "export.test_share=0.25")
    backtranslate(run, recipe, Scripted(), corpus)
    curate(run, recipe, LocalModels())
    for name in ("one", "two"):
        export(run, recipe, tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert [str(f) for f in files] == [
        "README.md",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
        "provenance.json",
        "recipe.yaml",
    ]
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    train, test = (pl.read_parquet(tmp_path / "one" / f) for f in (files[2], files[1]))
    assert not set(train["document_id"]) & set(test["document_id"])


def test_export_does_not_replace_what_is_not_its_own(
    run: Run, tiny_files: Path, corpus: list[str], tmp_path: Path
) -> None:
    recipe = recipe_of(tiny_files)
    backtranslate(run, recipe, Scripted(), corpus)
    curate(run, recipe, LocalModels())
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match="is no dataset of synth"):
        export(run, recipe, tmp_path / "home")
    assert (tmp_path / "home" / "thesis.txt").read_text("utf-8") == "years of work"


def test_a_long_stretch_without_a_segment_worth_asking_is_counted(
    run: Run, tiny_files: Path, tmp_path: Path
) -> None:
    """With the real tokenizer, which fails when it is given no text at all."""
    texts = [{"id": f"d{n}", "text": f"Hut {n}."} for n in range(600)]
    texts.append({"id": "last", "text": "The kettle is a red thing. People keep it in huts."})
    corpus = [str(write_jsonl(tmp_path / "c.jsonl", texts))]
    recipe = recipe_of(tiny_files, "corpus.shortest=20", "corpus.min_chars=20")
    estimated = estimate(run, recipe, Scripted(), corpus).counts
    counts = backtranslate(run, recipe, Scripted(), corpus).counts
    assert (counts["skipped"], counts["candidates"]) == ({"short": 600}, 1)
    assert (estimated["segments"], estimated["candidates"]) == (601, 1)
    assert estimate(run, recipe_of(tiny_files, "corpus.shortest=999"), Scripted(), corpus).planned


def test_a_dry_run_knows_what_the_run_would_not_take(
    run: Run, tiny_files: Path, tmp_path: Path
) -> None:
    recipe, same = recipe_of(tiny_files), {"id": "a", "text": "The kettle is a red thing of iron."}
    twice = [str(write_jsonl(tmp_path / "twice.jsonl", [same, same, same]))]
    counts = estimate(run, recipe, Scripted(), twice).counts
    assert (counts["documents"], counts["repeated_documents"], counts["candidates"]) == (1, 2, 1)
    assert backtranslate(run, recipe, Scripted(), twice).counts["candidates"] == 1
    (tmp_path / "bad.jsonl").write_text("{\n")
    bad = [str(tmp_path / "bad.jsonl")]
    with pytest.raises(InputError, match=r"holds no document \(1 bad lines"):
        estimate(run, recipe, Scripted(), bad)
    with pytest.raises(InputError, match=r"bad\.jsonl:1: not JSON; correct the line"):
        estimate(run, recipe, Scripted(), bad + twice, strict=True)


def test_a_dry_run_times_the_scores_too(
    run: Run, tiny_files: Path, corpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, score = [], ScriptedEngine.score

    def counted(self: ScriptedEngine, questions: Iterable[Question]) -> Iterator[tuple[int, Score]]:
        for one in score(self, questions):
            measured.append(one)
            yield one

    monkeypatch.setattr(ScriptedEngine, "score", counted)
    estimate(run, recipe_of(tiny_files, "generate.scores=[r_ifd, ifd]"), Scripted(), corpus)
    assert len(measured) == 3 * 8


def test_a_dry_run_estimates_the_whole_from_a_sample(
    run: Run, tiny_files: Path, corpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tiny_files, "generate.price_per_hour=2", "generate.samples=2")
    before = sorted(run.folder.rglob("*"))
    outcome = estimate(run, recipe, Scripted(), corpus)
    assert outcome.planned
    whole = outcome.counts
    assert (whole["documents"], whole["segments"], whole["candidates"]) == (8, 8, 16)
    assert whole["sampled_share"] == 1
    assert whole["adapter"]["new_tokens"] == 16 * _TOKENS
    assert whole["adapter"]["cost"] == pytest.approx(2 * whole["adapter"]["hours"], abs=0.01)
    assert "merged" not in whole
    assert sorted(run.folder.rglob("*")) == before
    monkeypatch.setattr("synth.stages.estimate._DOCUMENTS", 4)
    part = estimate(run, recipe, Scripted(), corpus).counts
    assert part["sampled_documents"] == 4
    assert part["segments"] == pytest.approx(8, abs=2)  # the fifth was read, to know of more
    assert part["prompt_tokens"] == pytest.approx(whole["prompt_tokens"], rel=0.25)
    actual = backtranslate(run, recipe, Scripted(), corpus).counts
    assert actual["prompt_tokens"] == whole["prompt_tokens"]


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(
    run: Run, tiny_files: Path, corpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tiny_files)

    def full(frame: pl.DataFrame, path: Path, **_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pl.DataFrame, "write_parquet", full)
        with pytest.raises(RunError, match=r"part-00000\.parquet: the disk is full; free space"):
            backtranslate(run, recipe, Scripted(), corpus)
    assert not run.shards()
    assert backtranslate(run, recipe, Scripted(), corpus).counts["generated"] == 8

"""The control line: traits of an instruction, what is drawn, and the way to the candidates."""

import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from synth.errors import RecipeError
from synth.models.local import LocalModels
from synth.recipe import load_recipe
from synth.settings import TRAITS
from synth.stages.backtranslate import backtranslate
from synth.stages.evaluate import evaluate
from synth.stages.finetune import finetune
from synth.store.run import Run
from synth.text.control import drawn, learnt_traits, line, traits

ALL = ("kind", "length", "style", "language")


@pytest.mark.parametrize(
    ("instruction", "kind", "length", "style", "language"),
    [
        ("What is the capital of France?", "fact", "short", "question", "en"),
        (
            "Explain why leaves change colour in autumn.",
            "explanation",
            "short",
            "instruction",
            "en",
        ),
        ("How do I sharpen a kitchen knife?", "howto", "short", "question", "en"),
        ("best hiking boots winter", "other", "short", "query", "en"),
        ("Compare a fox and a wolf.", "comparison", "short", "instruction", "en"),
        (
            "List three types of cheese that melt well on bread.",
            "list",
            "medium",
            "instruction",
            "en",
        ),
        ("Wie wird in Bayern ein gutes Brot gebacken?", "other", "short", "question", "de"),
        ("Write a story. " * 8, "writing", "long", "instruction", "en"),
    ],
)
def test_traits(instruction: str, kind: str, length: str, style: str, language: str) -> None:
    assert tuple(traits(instruction, ALL).values()) == (kind, length, style, language)


def test_nothing_wanted_is_no_line() -> None:
    assert line({}) == ""
    assert line({"kind": "fact", "style": "query"}) == "Wanted: kind fact, style query"
    assert drawn([], {}, 1) == {}


def test_draws_follow_the_pairs_and_the_target() -> None:
    counts = {"Wanted: kind fact, length short": 30, "Wanted: kind list, length long": 10}
    learnt = learnt_traits(counts)
    free = Counter(line(drawn(learnt, {}, seed)) for seed in range(400))
    assert set(free) == set(counts)
    assert 0.65 < free["Wanted: kind fact, length short"] / 400 < 0.85
    target = {"length": {"long": 0.5, "short": 0.5}}
    half = Counter(line(drawn(learnt, target, seed)) for seed in range(400))
    assert set(half) == set(counts)
    assert 0.4 < half["Wanted: kind list, length long"] / 400 < 0.6
    unseen = drawn(learnt, {"length": {"medium": 1.0}}, 3)
    assert unseen["length"] == "medium"
    assert drawn(learnt, target, 5) == drawn(learnt, target, 5)


def test_a_target_for_what_the_prompt_does_not_control_is_an_error(tiny_files: Path) -> None:
    with pytest.raises(RecipeError, match=r"generate.control names kind, which prompt.control"):
        load_recipe(str(tiny_files / "recipe.yaml"), ["generate.control={kind: {fact: 1}}"])


@pytest.mark.parametrize(
    ("aspect", "value", "known"),
    [
        ("length", "shrot", "short, medium, long"),
        ("style", "essay", "question, query, instruction"),
        ("kind", "facts", "comparison, .*, fact, other"),
    ],
)
def test_a_target_that_no_instruction_can_have_is_an_error(
    tiny_files: Path, aspect: str, value: str, known: str
) -> None:
    sets = [f"prompt.control=[{aspect}]", f"generate.control={{{aspect}: {{{value}: 1}}}}"]
    with pytest.raises(
        RecipeError, match=f"generate.control.{aspect} has no {value}, only {known}"
    ):
        load_recipe(str(tiny_files / "recipe.yaml"), sets)


def test_a_target_may_name_every_trait_and_any_language(tiny_files: Path) -> None:
    target = {aspect: dict.fromkeys(values, 1.0) for aspect, values in TRAITS.items()}
    target["language"] = {"tlh": 1.0}
    sets = ["prompt.control=[kind, length, style, language]", f"generate.control={target}"]
    assert load_recipe(str(tiny_files / "recipe.yaml"), sets).generate.control == target


@pytest.mark.parametrize("shares", ["{}", "{long: 0}", "{long: 1, short: -1}"])
def test_a_target_without_shares_is_an_error(tiny_files: Path, shares: str) -> None:
    sets = ["prompt.control=[length]", f"generate.control={{length: {shares}}}"]
    with pytest.raises(RecipeError, match=r"generate.control.length needs shares of 0 or more"):
        load_recipe(str(tiny_files / "recipe.yaml"), sets)


def test_from_pairs_to_candidates(tiny_files: Path, tmp_path: Path) -> None:
    run, models = Run(tmp_path / "run"), LocalModels()
    sets = [
        "prompt.control=[kind, length, language]",
        "generate.control={length: {long: 1}}",
        "finetune.max_tokens=300",
        "generate.max_tokens=300",
    ]
    recipe = load_recipe(str(tiny_files / "recipe.yaml"), sets)
    finetune(run, recipe, models)
    info = json.loads((run.adapter / "synth.json").read_text("utf-8"))
    assert set(info["control"]) == {"Wanted: kind fact, length short, language en"}
    assert sum(info["control"].values()) == info["pairs"]
    assert evaluate(run, recipe, models).counts["held_out"] == 4
    backtranslate(run, recipe, models, [str(tiny_files / "corpus.jsonl")])
    rows = pl.concat([pl.read_parquet(path) for path in run.shards()])
    assert set(rows["wanted"]) == {"Wanted: kind fact, length long, language en"}

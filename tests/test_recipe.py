"""Recipes: one validated value, errors with place and remedy."""

from pathlib import Path

import pytest

from synth.errors import InputError, RecipeError
from synth.recipe import bundle, load_recipe, resolve_path


def test_overrides_are_read_as_yaml() -> None:
    recipe = load_recipe("nano", ["finetune.lora.r=8", "generate.engine=vllm", "pairs.train=null"])
    assert (recipe.finetune.lora.r, recipe.generate.engine, recipe.pairs.train) == (8, "vllm", None)


def test_numbers_that_yaml_reads_as_text_are_numbers() -> None:
    assert load_recipe("nano", ["finetune.learning_rate=2e-4"]).finetune.learning_rate == 2e-4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "finetune.lerning_rate=1",
            "finetune.lerning_rate: no such key; did you mean learning_rate?",
        ),
        ("finetun.steps=1", "finetun: no such key; did you mean finetune?"),
        ("finetune.lora.rr=1", "finetune.lora.rr: no such key; did you mean r?"),
        ("finetune.steps=0", "finetune.steps: Input should be greater than or equal to 1"),
        ("finetune.steps=soon", "finetune.steps: Input should be a valid integer"),
        (
            "generate.engine=llamafile",
            "generate.engine: Input should be 'transformers', 'vllm' or 'endpoint'",
        ),
        ("finetune.null_share=0.99", "null_share: Input should be less than or equal to 0.5"),
        ("name.first=1", "name is a value, not a section"),
        (
            "curate.max_logprob=-3",
            "nano: curate: logprob would be at least -2 and at most -3; correct",
        ),
        ("export.licence=foo", "export.licence: no licence that the Hub knows, such as cc-by-4.0;"),
        (
            "generate.control={length: {short: 1}}",
            "nano: generate.control names length, which prompt.control lacks; correct it",
        ),
        ("curate.min_logprob={a: 1}", "a valid number (got {'a': 1}); correct it"),
        ("steps", "write it as section.key=value"),
        ("finetune.steps=[", "the value is not YAML"),
    ],
)
def test_a_bad_override_is_a_named_error(override: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("nano", [override])
    assert message in str(caught.value)


def test_an_unknown_recipe_names_those_there_are() -> None:
    with pytest.raises(RecipeError, match=r"no such recipe; name a YAML file or one of: .*nano"):
        load_recipe("nan")


def test_a_missing_file_is_an_error() -> None:
    with pytest.raises(RecipeError, match="no such recipe file"):
        load_recipe("somewhere/else.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [("- a\n", "a mapping of sections"), ("a: [", "not a YAML file"), ("\x00", "not a YAML file")],
)
def test_a_file_that_is_no_recipe_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match=message):
        load_recipe(str(path))


def test_the_resolved_recipe_loads_to_the_same(tmp_path: Path) -> None:
    recipe = load_recipe("nano")
    (tmp_path / "r.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    assert load_recipe(str(tmp_path / "r.yaml")) == recipe


def test_bundled_paths_lie_in_the_package() -> None:
    assert resolve_path("bundled:data/nano") == bundle() / "data" / "nano"
    assert resolve_path("data/nano") == Path("data/nano")
    with pytest.raises(InputError, match="does not come with this"):
        resolve_path("bundled:data/mega")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("curate.r_ifd=[1, 0]", "r_ifd would be at least 1 and at most 0"),
        ("curate.min_instruction_chars=600", "instruction_chars would be at least 600"),
        ("curate.max_logprob=-3", "logprob would be at least -2 and at most -3"),
        ("curate.languages=[english]", "pattern"),
    ],
)
def test_limits_that_nothing_can_meet_are_refused(override: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        load_recipe("nano", [override])

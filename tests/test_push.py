"""Pushing a model to a Hub on loopback by the command itself: what arrives, and what is said."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from synth.recipe import load_recipe
from synth.store.model_card import ModelFacts, model_card
from tests.conftest import PAIRS, lesson_prompt, write_jsonl
from tests.hub import TOKEN, Fault, Hub, Repo
from tests.hub.client import environment


@pytest.fixture
def folder(tiny_run: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path


def push(
    hub: Hub, folder: Path, files: Path, *args: str, token: str = TOKEN
) -> subprocess.CompletedProcess[str]:
    """`synth finetune --push-to-hub me/reverse` of the tiny recipe."""
    return finetune(hub, folder, "--recipe", str(files / "recipe.yaml"), *args, token=token)


def finetune(
    hub: Hub, folder: Path, *args: str, token: str = TOKEN
) -> subprocess.CompletedProcess[str]:
    """`synth finetune --push-to-hub me/reverse` in a process that knows only this Hub."""
    command = [sys.executable, "-m", "synth", "finetune", "--push-to-hub", "me/reverse", "--json"]
    command += ["--run", "run", *args]
    known = environment(hub, folder / "home", "lfs", token)
    return subprocess.run(
        command, cwd=folder, env=known, capture_output=True, text=True, check=False
    )


def there(hub: Hub) -> Repo:
    return hub.repos["model", "me/reverse"]


def commit_of(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return str(json.loads(result.stdout)["stages"]["push"]["commit"])


def test_an_adapter_arrives_with_its_card(hub: Hub, folder: Path, tiny_files: Path) -> None:
    result = push(hub, folder, tiny_files)
    assert commit_of(result) == there(hub).head
    assert (there(hub).private, len(there(hub).made)) == (True, 1)
    weights = "adapter_model.safetensors"
    files = hub.files("model", "me/reverse")
    assert files[weights] == (folder / "run" / "adapter" / weights).read_bytes()
    config = json.loads(files["adapter_config.json"])
    recipe = yaml.safe_load(files["recipe.yaml"])
    assert config["base_model_name_or_path"] == recipe["model"]["base"]
    card = files["README.md"].decode()
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "peft"
    assert "This adapter was not evaluated." in card
    everything = [result.stdout, result.stderr, *map(repr, files.values())]
    everything += [p.read_text("utf-8") for p in folder.glob("run/*.json")]
    assert not any(TOKEN in text for text in everything)
    assert hub.leaked == []
    assert any(asked.startswith("PUT /put/") for asked in hub.asked)


@pytest.mark.parametrize("name", ["base", "./base", "somebody/base"])
def test_the_card_names_a_base_of_the_hub_and_no_folder(in_tmp: Path, name: str) -> None:
    (in_tmp / "base").mkdir()
    recipe = load_recipe("nano", [f"model.base={name}"])
    facts = ModelFacts("me/reverse", recipe, 10, merged=False, gaps={}, evaluation=None)
    metadata = yaml.safe_load(model_card(facts).split("---")[1])
    assert metadata.get("base_model") == (name if name == "somebody/base" else None)


def test_a_merged_model_arrives_and_nothing_is_sent_twice(
    hub: Hub, folder: Path, tiny_files: Path
) -> None:
    first = push(hub, folder, tiny_files, "--merge", "--public")
    files = hub.files("model", "me/reverse")
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(files)
    assert there(hub).private is False
    sent = sum(asked.startswith("PUT") for asked in hub.asked)
    again = push(hub, folder, tiny_files, "--merge")
    assert commit_of(first) == commit_of(again)
    assert len(there(hub).made) == 1
    assert sum(asked.startswith("PUT") for asked in hub.asked) == sent
    assert "Report card" in hub.files("model", "me/reverse")["README.md"].decode()


def test_a_token_that_the_hub_does_not_know_is_one_line(
    hub: Hub, folder: Path, tiny_files: Path
) -> None:
    result = push(hub, folder, tiny_files, token="hf_wrong")
    assert result.returncode == 1
    assert (
        "me/reverse: the Hub does not know your token; log in with `hf auth login`" in result.stderr
    )
    assert "hf_wrong" not in result.stderr


def test_a_hub_that_fails_is_one_line_and_the_same_command_goes_on(
    hub: Hub, folder: Path, tiny_files: Path
) -> None:
    hub.faults.append(Fault("/commit/", 503, times=99, headers={"Retry-After": "0"}))
    result = push(hub, folder, tiny_files)
    assert result.returncode == 1
    assert "the same command goes on" in result.stderr.splitlines()[-1]
    hub.faults.clear()
    assert commit_of(push(hub, folder, tiny_files)) == there(hub).head
    assert len(there(hub).made) == 1


def test_the_lesson_on_a_small_base_goes_the_whole_way(
    hub: Hub, tiny_base: Path, tmp_path: Path
) -> None:
    rows = [
        {"prompt": lesson_prompt(p["instruction"]), "response": p["response"], "source": source}
        for p in PAIRS
        for source in ("dolly_hhrlhf", "cot_gsm8k")
    ]
    write_jsonl(tmp_path / "pairs.jsonl", rows)
    sets = [
        f"model.base={tiny_base}", "model.tokenizer=null", "pairs.sources.0.dataset=null",
        "pairs.sources.0.path=pairs.jsonl", "pairs.held_out=4", "finetune.steps=2",
        "finetune.max_tokens=512", "finetune.eval_every=1",
    ]  # fmt: skip
    args = ["--recipe", "mistral-7b-lesson", "--merge"]
    result = finetune(hub, tmp_path, *args, *(x for s in sets for x in ("--set", s)))
    assert result.returncode == 0, result.stderr
    stages = json.loads(result.stdout)["stages"]
    assert stages["finetune"]["dropped"]["filtered"] == len(PAIRS)
    assert set(stages["merge"]["largest_logit_gap"]) == {"dequantized base", "original base"}
    assert stages["push"]["commit"] == there(hub).head
    files = hub.files("model", "me/reverse")
    card = files["README.md"].decode()
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "transformers"
    assert "merged onto the" in card
    config = json.loads(files["config.json"])
    assert "quantization_config" not in config
    assert config["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("args", "token", "told"),
    [
        (["--push-to-hub", "bad name"], TOKEN, "'bad name' names no repository"),
        ([], "hf_wrong", "does not know your token"),
    ],
)
def test_who_cannot_push_does_not_train_first(
    args: list[str], token: str, told: str, hub: Hub, tmp_path: Path, tiny_files: Path
) -> None:
    result = push(hub, tmp_path, tiny_files, *args, token=token)
    assert result.returncode == 1
    assert told in result.stderr
    assert not (tmp_path / "run" / "adapter").exists()

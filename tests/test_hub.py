"""Pushing to a Hub on loopback by the command itself: what arrives, how each fault ends."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import PAIRS, lesson_prompt, write_jsonl
from tests.hub_server import TOKEN, Fault, Hub, running


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running() as hub:
        yield hub


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
    environment = {
        **{k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
        "HF_ENDPOINT": hub.api,
        "HF_HOME": str(folder / "home"),
        "HF_TOKEN": token,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-m", "synth", "finetune", "--push-to-hub", "me/reverse", "--json"]
    command += ["--run", "run", *args]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def commits_of(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return str(json.loads(result.stdout)["stages"]["push"]["commit"])


def test_an_adapter_arrives_with_its_card(hub: Hub, folder: Path, tiny_files: Path) -> None:
    result = push(hub, folder, tiny_files)
    assert commits_of(result) == hub.head
    assert (hub.repo, hub.private, len(hub.commits)) == ("me/reverse", True, 1)
    weights = "adapter_model.safetensors"
    assert hub.files[weights] == (folder / "run" / "adapter" / weights).read_bytes()
    config = json.loads(hub.files["adapter_config.json"])
    assert (
        config["base_model_name_or_path"]
        == yaml.safe_load(hub.files["recipe.yaml"])["model"]["base"]
    )
    card = hub.files["README.md"].decode()
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "peft"
    assert "This adapter was not evaluated." in card
    everything = [result.stdout, result.stderr, *map(repr, hub.files.values())]
    everything += [p.read_text("utf-8") for p in folder.glob("run/*.json")]
    assert not any(TOKEN in text for text in everything)
    assert hub.leaked == []
    assert any(asked.startswith("PUT /put/") for asked in hub.asked)


def test_a_merged_model_arrives_and_nothing_is_sent_twice(
    hub: Hub, folder: Path, tiny_files: Path
) -> None:
    first = push(hub, folder, tiny_files, "--merge", "--public")
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(hub.files)
    assert hub.private is False
    sent = sum(asked.startswith("PUT") for asked in hub.asked)
    again = push(hub, folder, tiny_files, "--merge")
    assert commits_of(first) == commits_of(again)
    assert len(hub.commits) == 1
    assert sum(asked.startswith("PUT") for asked in hub.asked) == sent
    assert "Report card" in hub.files["README.md"].decode()


@pytest.mark.parametrize(
    ("match", "status", "after"),
    [
        ("whoami", 503, False),
        ("repos/create", 429, False),
        ("repos/create", 0, False),
        ("validate-yaml", 502, False),
        ("preupload", 500, False),
        ("PUT /put", 503, False),
        ("/commit/", 500, False),
        ("/commit/", 0, True),
    ],
)
def test_faults_that_pass_end_in_one_commit(
    hub: Hub, folder: Path, tiny_files: Path, match: str, status: int, after: bool
) -> None:
    headers = {"Retry_After": "1"} if status == 429 else {}
    hub.faults.append(Fault(match, status, headers=headers, after=after))
    assert commits_of(push(hub, folder, tiny_files)) == hub.head
    assert len(hub.commits) == 1
    assert hub.faults[0].times == 0


def test_a_wrong_token_is_one_line(hub: Hub, folder: Path, tiny_files: Path) -> None:
    result = push(hub, folder, tiny_files, token="hf_wrong")
    assert result.returncode == 1
    assert (
        "me/reverse: the Hub does not know your token; log in with `hf auth login`" in result.stderr
    )
    assert "hf_wrong" not in result.stderr


def test_a_token_that_may_not_write_is_one_line(hub: Hub, folder: Path, tiny_files: Path) -> None:
    hub.can_write = False
    result = push(hub, folder, tiny_files)
    assert result.returncode == 1
    assert "your token may not write here" in result.stderr
    assert hub.commits == []


def test_a_hub_that_is_down_is_one_line_and_the_same_command_goes_on(
    hub: Hub, folder: Path, tiny_files: Path
) -> None:
    hub.faults.append(Fault("/commit/", 503, times=99, headers={"Retry_After": "0"}))
    result = push(hub, folder, tiny_files)
    assert result.returncode == 1
    assert "the same command goes on" in result.stderr.splitlines()[-1]
    hub.faults.clear()
    assert commits_of(push(hub, folder, tiny_files)) == hub.head
    assert len(hub.commits) == 1


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
    assert stages["push"]["commit"] == hub.head
    card = hub.files["README.md"].decode()
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "transformers"
    assert "merged onto the" in card
    config = json.loads(hub.files["config.json"])
    assert "quantization_config" not in config
    assert config["dtype"] == "bfloat16"

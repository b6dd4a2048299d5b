"""The unmodified clients against the Hub on loopback, in both upload modes: what comes back."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.hub import READ_TOKEN, TOKEN, Hub, running
from tests.hub.client import Mode, script, worker
from tests.hub.state import CAS_TOKENS

ROWS = [
    {"messages": [{"role": "user", "content": f"What is {i}? " * 9}], "id": f"r{i}", "score": i / 7}
    for i in range(3000)
]
CARD = b"""---
license: mit
configs:
- config_name: default
  data_files:
  - {split: train, path: data/train-*}
  - {split: test, path: data/test-*}
---
"""
LOAD = """
import json, sys
from datasets import Dataset, load_dataset
name = sys.argv[1]
whole = load_dataset(name)
found = {split: whole[split].to_list() for split in whole}
streamed = {split: list(load_dataset(name, split=split, streaming=True)) for split in whole}
Dataset.from_list(found["train"]).push_to_hub("me/pushed", num_shards=2)
again = load_dataset("me/pushed", split="train").to_list()
json.dump({"whole": found, "streamed": streamed, "again": again}, open("rows.json", "w"))
"""
FOLDER = """
import sys
from huggingface_hub import HfApi, hf_hub_download
api = HfApi()
api.create_repo("me/folder", repo_type="model")
api.upload_folder(folder_path="up", repo_id="me/folder")
api.upload_folder(folder_path="up", repo_id="me/folder")
info = api.upload_folder(
    folder_path="up", repo_id="me/folder", path_in_repo="more", create_pr=True
)
api.create_tag("me/folder", tag="v1")
paths = [x.path for x in api.get_paths_info("me/folder", ["more", "a.txt"], revision="refs/pr/1")]
got = hf_hub_download("me/folder", "w.safetensors", revision="v1")
assert open(got, "rb").read() == open("up/w.safetensors", "rb").read()
print(info.pr_revision, *sorted(paths))
"""
ADAPTER = """
import sys, torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM
base, ids = sys.argv[1], torch.arange(3, 40)[None]
def fresh():
    return AutoModelForCausalLM.from_pretrained(base)
def logits(model):
    with torch.no_grad():
        return model(ids).logits
torch.manual_seed(2)
config = LoraConfig(r=4, init_lora_weights=False, task_type="CAUSAL_LM")
made = get_peft_model(fresh(), config).eval()
made.push_to_hub("me/adapter", private=True)
again = PeftModel.from_pretrained(fresh(), "me/adapter").eval()
assert torch.equal(logits(again), logits(made))
assert not torch.equal(logits(again), logits(fresh()))
ours = PeftModel.from_pretrained(fresh(), "me/reverse").eval()
local = PeftModel.from_pretrained(fresh(), sys.argv[2]).eval()
assert torch.equal(logits(ours), logits(local))
print("equal")
"""


def parquet(rows: list[dict[str, object]], path: Path) -> bytes:
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    return path.read_bytes()


def test_datasets_reads_what_was_published(hub: Hub, mode: Mode, tmp_path: Path) -> None:
    splits = {"train": ROWS[:2500], "test": ROWS[2500:]}
    shards = {
        "train-00000-of-00002": ROWS[:1300],
        "train-00001-of-00002": ROWS[1300:2500],
        "test-00000-of-00001": splits["test"],
    }
    files = {f"data/{k}.parquet": parquet(v, tmp_path / "shard") for k, v in shards.items()}
    with worker(hub, tmp_path / "worker", mode) as at_work:
        assert at_work.publish({**files, "README.md": CARD}, "me/rows").error == ""
    result = script(hub, tmp_path, mode, LOAD, "me/rows")
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "rows.json").read_text())
    assert found == {"whole": splits, "streamed": splits, "again": splits["train"]}
    used = {"lfs": hub.count("PUT /put/"), "xet": hub.count("POST /v1/xorbs/")}
    assert [way for way, count in used.items() if count] == [mode]
    assert bool(hub.count("GET /v1/reconstructions/")) == (mode == "xet")
    assert TOKEN not in result.stdout + result.stderr


def test_a_private_dataset_is_read_with_a_token_only(hub: Hub, tmp_path: Path) -> None:
    hub.fill(hub.make("dataset", "me/rows"), {"train.csv": b"a\n1\n"})
    code = "from datasets import load_dataset; print(load_dataset('me/rows', split='train')[0])"
    assert script(hub, tmp_path, "lfs", code, token=READ_TOKEN).stdout == "{'a': 1}\n"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    refused = script(hub, elsewhere, "lfs", code, token="")
    assert "DatasetNotFoundError" in refused.stderr


def test_a_token_at_a_wrong_origin_is_seen() -> None:
    with running() as hub:
        for origin, token in (("store", TOKEN), ("cas", READ_TOKEN), ("api", CAS_TOKENS["read"])):
            url = f"{hub.origin[origin]}/put?at={origin}"
            headers = {"Authorization": f"Bearer {token}"}
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(urllib.request.Request(url, headers=headers))
        assert hub.leaked == [f"{x}: GET /put?at={x}" for x in ("store", "cas", "api")]


def test_the_hubs_own_uploader_is_served(hub: Hub, mode: Mode, tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "a.txt").write_text("small")
    (tmp_path / "up" / "w.safetensors").write_bytes(bytes(range(256)) * 999)
    result = script(hub, tmp_path, mode, FOLDER)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "refs/pr/1 a.txt more\n"
    repo = hub.repos["model", "me/folder"]
    assert len(repo.made) == 2
    assert sorted(hub.files("model", "me/folder", "v1")) == [
        ".gitattributes", "a.txt", "w.safetensors"
    ]  # fmt: skip


def test_an_adapter_comes_back_with_equal_logits(
    hub: Hub, mode: Mode, tmp_path: Path, tiny_base: Path, tiny_run: Path
) -> None:
    adapter = tiny_run / "adapter"
    files = {path.name: path.read_bytes() for path in adapter.iterdir() if path.is_file()}
    files["README.md"] = b"---\nlibrary_name: peft\n---\n"
    with worker(hub, tmp_path / "worker", mode) as at_work:
        assert at_work.publish(files, "me/reverse", "model").error == ""
    result = script(hub, tmp_path, mode, ADAPTER, str(tiny_base), str(adapter))
    assert result.stdout == "equal\n", result.stderr
    used = {"lfs": hub.count("PUT /put/"), "xet": hub.count("POST /v1/xorbs/")}
    assert [way for way, count in used.items() if count] == [mode]

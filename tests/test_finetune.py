"""Training for real on a tiny model: resumed bit for bit, stopped early, planned, on processes."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, Olmo2Config
from trl import SFTConfig, SFTTrainer

from synth.errors import RunError, TrainingError, is_full
from synth.models.local import LocalModels
from synth.models.protocols import LossPoint
from synth.models.supervised import SupervisedTrainer
from synth.models.training import train_adapter
from synth.models.watch import last_whole_checkpoint, loss_points
from synth.prompt import Example
from synth.recipe import Recipe, load_recipe
from synth.records import Pair, Progress, content_id
from synth.stages.common import learnt_pairs, split_pairs
from synth.stages.finetune import finetune, lengths
from synth.stages.merge import merge
from synth.store.run import Run
from tests.bases import WAYS, config_of
from tests.conftest import PAIRS, write_jsonl
from tests.hub import Fault, Hub
from tests.hub.client import environment

WEIGHTS = "adapter_model.safetensors"


def recipe_of(files: Path, *overrides: str) -> Recipe:
    return load_recipe(str(files / "recipe.yaml"), overrides)


def info(run: Run) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run.adapter / "synth.json").read_text("utf-8"))
    return loaded


def test_a_killed_training_ends_as_an_undisturbed_one(tiny_files: Path, tmp_path: Path) -> None:
    sets = ["steps=60", "eval_every=6", "lora.dropout=0.1", "schedule=cosine", "keep_best=false"]
    command = [sys.executable, "-m", "synth", "finetune"]
    command += ["--recipe", str(tiny_files / "recipe.yaml")]
    command += [part for value in sets for part in ("--set", f"finetune.{value}")]
    run, whole = Run(tmp_path / "run"), Run(tmp_path / "whole")
    process = subprocess.Popen([*command, "--run", str(run.folder)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while last_whole_checkpoint(run.training) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert last_whole_checkpoint(run.training) is not None
    assert run.done("finetune") is None
    for folder in (run, whole):
        command_here = [*command, "--run", str(folder.folder)]
        subprocess.run(command_here, check=True, capture_output=True)
    assert (run.adapter / WEIGHTS).read_bytes() == (whole.adapter / WEIGHTS).read_bytes()
    assert info(run)["losses"] == info(whole)["losses"]
    assert run.need("finetune").counts["resumed_from"] >= 6
    assert whole.need("finetune").counts["resumed_from"] == 0
    assert [p["step"] for p in info(run)["losses"] if p["held_out"]] == list(range(6, 61, 6))
    assert not run.training.exists()


def test_on_a_4_bit_base_a_killed_training_ends_as_an_undisturbed_one(
    tiny_files: Path, tmp_path: Path
) -> None:
    sets = ["model.quantization=nf4", "finetune.steps=12", "finetune.keep_best=false"]
    recipe = recipe_of(tiny_files, *sets)
    run, whole = Run(tmp_path / "run"), Run(tmp_path / "whole")

    def kill(progress: Progress) -> None:
        if progress.done > 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(run, recipe, LocalModels(), kill)
    assert finetune(run, recipe, LocalModels()).counts["resumed_from"] == 6
    finetune(whole, recipe, LocalModels())
    assert (run.adapter / WEIGHTS).read_bytes() == (whole.adapter / WEIGHTS).read_bytes()
    assert info(run)["losses"] == info(whole)["losses"]


def test_checkpoints_of_another_training_are_not_used(tiny_files: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    (run.training / "checkpoint-2").mkdir(parents=True)
    (run.training / "checkpoint-2" / "complete").touch()
    (run.training / "fingerprint").write_text("other", encoding="utf-8")
    finetune(run, recipe_of(tiny_files), LocalModels())
    assert len(info(run)["losses"]) >= 2


def test_what_a_trainer_logs_becomes_points() -> None:
    history = [
        {"loss": 3.0, "grad_norm": 1.5, "learning_rate": 1e-3, "epoch": 0.5, "step": 2},
        {"eval_loss": 2.5, "eval_runtime": 1.0, "step": 2},
        {"loss": 2.0, "grad_norm": math.inf, "learning_rate": 5e-4, "step": 4},
        {"loss": 1.0, "step": 6},
        {"train_runtime": 9.0, "train_loss": 2.0, "step": 6},
    ]
    assert loss_points(history) == [
        LossPoint(2, 3.0, None, 1e-3, 1.5),
        LossPoint(2, None, 2.5),
        LossPoint(4, 2.0, None, 5e-4, None),
        LossPoint(6, 1.0, None),
    ]


def test_lengths_are_of_few_pairs_at_even_steps() -> None:
    pairs = [Pair("a" * (number % 90), "b" * number) for number in range(5000)]
    found = lengths(pairs)
    assert found == [[number % 90, number] for number in range(0, 5000, 3)]
    assert len(lengths(pairs[:2000])) == 2000
    assert len(lengths(pairs[:2001])) == 1001
    assert lengths([]) == []


def test_a_half_written_checkpoint_is_not_believed(tmp_path: Path) -> None:
    assert last_whole_checkpoint(tmp_path) is None
    for step in (6, 12, 30):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if step < 30:
            (tmp_path / f"checkpoint-{step}" / "complete").touch()
    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-12"


def test_the_best_is_kept_and_training_stops_early(tiny_files: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    sets = [f"finetune.{s}" for s in ("steps=400", "eval_every=5", "learning_rate=0.05")]
    counts = finetune(
        run, recipe_of(tiny_files, *sets, "finetune.patience=2"), LocalModels()
    ).counts
    held_out = {p["step"]: p["held_out"] for p in info(run)["losses"] if p["held_out"]}
    assert counts["best_step"] == min(held_out, key=lambda step: held_out[step])
    assert counts["steps"] == counts["best_step"] + 10 < 400


def test_patience_goes_on_where_a_kill_left_it(tiny_files: Path, tmp_path: Path) -> None:
    sets = ("steps=400", "eval_every=5", "learning_rate=0.05", "patience=3")
    recipe = recipe_of(tiny_files, *(f"finetune.{s}" for s in sets))
    run, whole = Run(tmp_path / "run"), Run(tmp_path / "whole")
    wanted = finetune(whole, recipe, LocalModels()).counts
    last_but_one = wanted["steps"] - 5

    def kill(progress: Progress) -> None:
        if progress.done > last_but_one:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(run, recipe, LocalModels(), kill)
    counts = finetune(run, recipe, LocalModels()).counts
    assert counts == wanted | {"resumed_from": last_but_one}
    assert info(run)["losses"] == info(whole)["losses"]


def test_a_training_that_patience_ended_ends_there_again(
    tiny_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = ("steps=400", "eval_every=5", "learning_rate=0.05", "patience=3")
    recipe = recipe_of(tiny_files, *(f"finetune.{s}" for s in sets))
    run, whole = Run(tmp_path / "run"), Run(tmp_path / "whole")
    wanted = finetune(whole, recipe, LocalModels()).counts
    save = PeftModel.save_pretrained

    def full(model: PeftModel, folder: str, **values: Any) -> None:
        if Path(folder).name == "adapter.part":
            raise OSError(28, "No space left on device")
        save(model, folder, **values)

    with monkeypatch.context() as patch:
        patch.setattr(PeftModel, "save_pretrained", full)
        with pytest.raises(RunError, match="the disk is full"):
            finetune(run, recipe, LocalModels())
    counts = finetune(run, recipe, LocalModels()).counts
    assert counts == wanted | {"resumed_from": counts["resumed_from"]}
    assert 0 < counts["resumed_from"] < wanted["steps"]
    assert info(run)["losses"] == info(whole)["losses"]
    assert (run.adapter / WEIGHTS).read_bytes() == (whole.adapter / WEIGHTS).read_bytes()


def test_an_example_without_a_supervised_token_stops_the_run(
    tiny_files: Path, tmp_path: Path
) -> None:
    good, bad = Example([1, 5, 6], [-100, 5, 6], False), Example([1, 5], [-100, -100], False)
    with pytest.raises(TrainingError, match="example 1 has no token to learn"):
        train_adapter(
            recipe_of(tiny_files), [good, bad], [good], tmp_path, tmp_path, lambda _: None
        )


def test_a_tracker_that_is_not_there_is_a_named_error(tiny_files: Path, tmp_path: Path) -> None:
    for name, message in (
        ("nonsense", "nonsense is not supported"),
        ("tensorboard", "install the"),
    ):
        recipe = recipe_of(tiny_files, f"finetune.report_to=[{name}]")
        with pytest.raises(TrainingError, match=message):
            finetune(Run(tmp_path / name), recipe, LocalModels())


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("targets", "told"),
    [
        ("[nope]", "the base has no layer nope"),
        ("[q_proj, mlp, nope]", "the base has no layer mlp, nope"),
        ("[]", "names no layer"),
    ],
)
def test_a_layer_that_the_base_lacks_is_a_named_error(
    tiny_files: Path, tmp_path: Path, targets: str, told: str, dry_run: bool
) -> None:
    recipe = recipe_of(tiny_files, f"finetune.lora.targets={targets}")
    message = f"finetune.lora.targets: {told}; name one or more of q_proj, k_proj, v_proj"
    with pytest.raises(TrainingError, match=message):
        finetune(Run(tmp_path), recipe, LocalModels(), dry_run=dry_run)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_base_for_which_peft_names_no_layers_needs_them_named(
    tiny_files: Path, tiny_base: Path, tmp_path: Path, dry_run: bool
) -> None:
    base = AutoModelForCausalLM.from_config(
        Olmo2Config(
            vocab_size=300, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2,
        )
    )  # fmt: skip
    base.save_pretrained(tmp_path / "olmo")
    recipe = recipe_of(
        tiny_files, f"model.base={tmp_path / 'olmo'}", f"model.tokenizer={tiny_base}",
        "finetune.lora.targets=null",
    )  # fmt: skip
    message = "PEFT has no list of layers for a base of type olmo2; name one or more of q_proj"
    with pytest.raises(TrainingError, match=message):
        finetune(Run(tmp_path / "run"), recipe, LocalModels(), dry_run=dry_run)


def test_pairs_with_too_long_an_instruction_are_dropped_and_counted(
    tiny_files: Path, tmp_path: Path
) -> None:
    long = [{**row, "instruction": row["instruction"] * 60} for row in PAIRS[:8]]
    file = write_jsonl(tmp_path / "pairs.jsonl", [*PAIRS[8:], *long])
    recipe = recipe_of(tiny_files, f"pairs.sources.0.path={file}", "pairs.held_out=8")
    drawn = split_pairs(recipe.pairs)
    kept = [[p for p in part if len(p.instruction) < 100] for part in (drawn.train, drawn.held_out)]
    assert 0 < len(kept[0]) < len(drawn.train)
    assert 0 < len(kept[1]) < len(drawn.held_out)
    run, models = Run(tmp_path / "run"), LocalModels()
    for dry_run in (True, False):
        counts = finetune(run, recipe, models, dry_run=dry_run).counts
        assert [counts["pairs"], counts["held_out"]] == list(map(len, kept))
        assert counts["dropped"] == {"instruction_too_long": 8}
    assert info(run)["pairs_hash"] == content_id(*(p.id for p in (*kept[0], *kept[1])))
    assert learnt_pairs(run.adapter, recipe) == kept[0]
    assert finetune(run, recipe, models).skipped
    assert merge(run, recipe, models).counts["compared"] == len(kept[1])


@pytest.mark.parametrize("dry_run", [True, False])
def test_only_too_long_instructions_are_a_named_error(
    tiny_files: Path, tmp_path: Path, dry_run: bool
) -> None:
    long = [{**row, "instruction": row["instruction"] * 60} for row in PAIRS]
    file = write_jsonl(tmp_path / "pairs.jsonl", long)
    recipe = recipe_of(tiny_files, f"pairs.sources.0.path={file}")
    message = "^0 pairs to learn from and 0 held out: 24 others have an instruction that leaves no"
    with pytest.raises(TrainingError, match=message):
        finetune(Run(tmp_path / "run"), recipe, LocalModels(), dry_run=dry_run)


def test_some_layers_of_the_base_can_be_named(tiny_files: Path, tmp_path: Path) -> None:
    recipe = recipe_of(tiny_files, "finetune.lora.targets=[v_proj, layers.0.mlp.up_proj]")
    finetune(Run(tmp_path), recipe, LocalModels())
    config = json.loads((Run(tmp_path).adapter / "adapter_config.json").read_text("utf-8"))
    assert set(config["target_modules"]) == {"v_proj", "layers.0.mlp.up_proj"}


def test_a_dry_run_says_what_it_takes_and_writes_nothing(tiny_files: Path, tmp_path: Path) -> None:
    args = ["--recipe", str(tiny_files / "recipe.yaml"), "--run", str(tmp_path / "run"), "--json"]
    command = [sys.executable, "-m", "synth", "finetune", "--dry-run", *args]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    planned = json.loads(result.stdout)["stages"]["finetune"]
    assert not (tmp_path / "run").exists()
    run = Run(tmp_path / "real")
    done = finetune(run, recipe_of(tiny_files), LocalModels()).counts
    assert planned["trainable"] == done["trainable_parameters"]
    for key in ("pairs", "unusable_texts", "held_out", "steps", "supervised_tokens", "shortened"):
        assert planned[key] == done[key]
    assert planned["epochs"] == round(4 * 4 / 21, 2)
    assert set(planned["memory_gib"]) == {"weights", "adapter", "activations"}


@pytest.mark.parametrize(
    ("way", "kept", "recomputed"),
    [
        ("qlora", 4.355, 1.243),
        ("lora", 5.015, 1.931),
        ("lesson", 3.406, 1.059),
        ("plain", 4.603, 1.853),
    ],
)
def test_the_planned_memory_is_near_what_a_card_was_seen_to_hold(
    tmp_path: Path, way: str, kept: float, recomputed: float
) -> None:
    """GiB at the peak of a training of this very base, as tests/gpu finds them."""
    config_of(layers=8).save_pretrained(tmp_path)
    example = Example([5] * 1024, [-100] * 1000 + [5] * 24, shortened=True)
    for checkpointing, taken in (("false", kept), ("true", recomputed)):
        recipe = load_recipe("mistral-7b", [
            f"model.base={tmp_path}", "finetune.batch=4", "finetune.max_tokens=1024",
            f"finetune.gradient_checkpointing={checkpointing}", *WAYS[way],
        ])  # fmt: skip
        planned = LocalModels().plan(recipe, [example]).memory_gib
        assert sum(planned.values()) == pytest.approx(taken, rel=0.2)


def test_two_processes_train_one_adapter(tiny_files: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "runs" / "tiny")  # torchrun would take `--run` for an option of its own
    # `accelerate launch --cpu` starts one process, however many it is told to.
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += ["--nproc_per_node", "2", "-m", "synth", "finetune"]
    launch += ["--recipe", str(tiny_files / "recipe.yaml"), "--set", "finetune.batch=2", "--json"]
    environment = {k: v for k, v in os.environ.items() if k not in {"RANK", "WORLD_SIZE"}}
    result = subprocess.run(
        launch, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count('"finetune"') == 1
    logs = {path.name: path.read_text("utf-8") for path in run.logs.iterdir()}
    assert set(logs) == {"finetune.log", "finetune-1.log"}
    assert all("synth.models.watch: step 4" in text for text in logs.values())
    alone = Run(tmp_path / "alone")
    finetune(alone, recipe_of(tiny_files), LocalModels())
    together, single = info(run)["losses"], info(alone)["losses"]
    # Two processes of two examples see what one of four sees; only the order of sums differs.
    assert [p["step"] for p in together] == [p["step"] for p in single]
    last = [next(p["held_out"] for p in reversed(ls) if p["held_out"]) for ls in (together, single)]
    assert last[0] == pytest.approx(last[1], rel=0.02)
    assert (run.adapter / WEIGHTS).is_file()


def test_the_loss_and_its_gradients_are_those_of_trl(tiny_base: Path, tmp_path: Path) -> None:
    rows = [
        {"input_ids": [1, 7, 8, 9, 10, 2], "labels": [-100, -100, -100, 9, 10, 2]},
        {"input_ids": [1, 11, 12, 2], "labels": [-100, 11, -100, 2]},
    ]
    trainer = SupervisedTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32),
        args=SFTConfig(output_dir=str(tmp_path), max_length=None, report_to=[], use_cpu=True),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(tiny_base),
    )
    batch = trainer.data_collator(rows)
    for items in (None, 7):
        found = []
        for way in (SupervisedTrainer, SFTTrainer):
            trainer.model.zero_grad()
            loss = way.compute_loss(trainer, trainer.model, dict(batch), num_items_in_batch=items)
            loss.backward()
            found.append((loss, [p.grad.clone() for p in trainer.model.parameters()]))
        (ours, our_gradients), (theirs, their_gradients) = found
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
        for mine, other in zip(our_gradients, their_gradients, strict=True):
            assert torch.allclose(mine, other, atol=1e-6)


def test_a_full_disk_is_told_by_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_full(OSError(28, "No space left on device"), tmp_path)
    vague = RuntimeError("unexpected pos 1459264 vs 1459152")  # what torch says of a full disk
    assert not is_full(vague, tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert is_full(vague, tmp_path)


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_base_says_how_access_is_had(hub: Hub, tmp_path: Path, status: int) -> None:
    said = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to me/gated is restricted."}
    hub.faults.append(Fault("me/gated", status, times=99, headers=said))
    command = [sys.executable, "-m", "synth", "finetune", "--set", "model.base=me/gated"]
    known = environment(hub, tmp_path / "home", "lfs")
    result = subprocess.run(
        command, cwd=tmp_path, env=known, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "me/gated: cannot be loaded: " in result.stderr
    assert "; ask for access on the model's page and log in with `hf auth login`" in result.stderr
    assert ".;" not in result.stderr

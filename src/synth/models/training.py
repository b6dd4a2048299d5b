"""Examples -> an adapter folder, trained by TRL's SFTTrainer with PEFT."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from synth.errors import TrainingError
from synth.models.loading import device, load_base, load_tokenizer, lora_config
from synth.models.protocols import LossPoint, Training
from synth.prompt import Example
from synth.recipe import Recipe
from synth.records import Listener, Progress


def trainer_config(recipe: Recipe, folder: Path) -> SFTConfig:
    """TRL's configuration of the recipe's training; examples come tokenized, so nothing is cut."""
    settings = recipe.finetune
    on_cpu = device() == "cpu"
    return SFTConfig(
        output_dir=str(folder),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        bf16=recipe.model.dtype == "bfloat16" and not on_cpu,
        fp16=recipe.model.dtype == "float16" and not on_cpu,
        use_cpu=on_cpu,
        max_length=settings.max_tokens if settings.packing else None,
        packing=settings.packing,
        eval_packing=False,
        train_sampling_strategy="group_by_length" if settings.group_by_length else "random",
        gradient_checkpointing=settings.gradient_checkpointing,
        eval_strategy="steps",
        eval_steps=settings.eval_every,
        logging_steps=min(10, settings.eval_every),
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=not on_cpu,
        seed=settings.seed,
        data_seed=settings.seed,
        shuffle_dataset=False,
    )


def train_adapter(
    recipe: Recipe,
    train: Sequence[Example],
    held_out: Sequence[Example],
    folder: Path,
    listen: Listener,
) -> Training:
    """Trains the recipe's adapter and writes it, with nothing else, into `folder`.

    Raises:
        TrainingError: When there is nothing to learn, or the loss is not a number or exactly 0.
    """
    if not train or not held_out:
        raise TrainingError(
            f"{len(train)} pairs to learn from and {len(held_out)} held out; both are needed:"
            " add pairs or lower pairs.held_out"
        )
    torch.manual_seed(recipe.finetune.seed)  # adapters are initialized before TRL seeds
    watch = _Watch(recipe.finetune.steps, listen)
    # The listener tells what people need; TRL's and transformers' own log lines would say it twice.
    for library in ("transformers", "trl"):
        logging.getLogger(library).setLevel(logging.ERROR)
    trainer = SFTTrainer(
        model=load_base(recipe.model),
        args=trainer_config(recipe, folder),
        train_dataset=_dataset(train),
        eval_dataset=_dataset(held_out),
        processing_class=load_tokenizer(recipe.model),
        peft_config=lora_config(recipe.finetune),
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    trainer.model.save_pretrained(str(folder))
    return Training(
        losses=watch.points,
        trainable=sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        supervised_tokens=sum(label != -100 for e in train for label in e.labels),
        shortened=sum(e.shortened for e in train),
    )


def _dataset(examples: Sequence[Example]) -> Dataset:
    return Dataset.from_dict(
        {
            "input_ids": [e.input_ids for e in examples],
            "labels": [e.labels for e in examples],
        }
    )


class _Watch(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Collects losses, tells the listener, and stops a run that learns nothing."""

    def __init__(self, steps: int, listen: Listener) -> None:
        self.points: list[LossPoint] = []
        self._steps = steps
        self._listen = listen

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Progress."""
        note = ", ".join(
            f"{name} loss {value:.3f}"
            for name, value in (
                ("train", self._last("train")),
                ("held-out", self._last("held_out")),
            )
            if value is not None
        )
        self._listen(Progress("finetune", state.global_step, self._steps, "step", note))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:  # noqa: ANN401
        """Keeps and checks a loss."""
        train, held_out = (logs or {}).get("loss"), (logs or {}).get("eval_loss")
        for loss in (train, held_out):
            if loss is not None and (not math.isfinite(loss) or loss == 0.0):
                raise TrainingError(
                    f"loss {loss} at step {state.global_step}: training would teach nothing;"
                    " lower finetune.learning_rate and look at the pairs"
                )
        if train is not None or held_out is not None:
            self.points.append(LossPoint(state.global_step, train, held_out))

    def _last(self, name: str) -> float | None:
        values = [getattr(point, name) for point in self.points]
        return next((value for value in reversed(values) if value is not None), None)

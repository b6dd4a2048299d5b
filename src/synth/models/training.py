"""Examples -> an adapter folder, trained by TRL's SFTTrainer with PEFT.

A run that was cut off goes on from its last whole checkpoint, with the same batches, random
numbers and optimizer state: the curve and the weights are those of an undisturbed run.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import PartialState
from datasets import Dataset
from safetensors import SafetensorError
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback
from transformers.integrations import get_reporting_integration_callbacks
from trl import SFTConfig

from synth.errors import RunError, TrainingError, is_full
from synth.models.loading import check_targets, device, load_base, load_tokenizer, lora_config
from synth.models.protocols import Training
from synth.models.supervised import SupervisedTrainer
from synth.models.watch import Watch, last_whole_checkpoint, loss_points
from synth.prompt import Example
from synth.recipe import Recipe
from synth.records import Listener


def trainer_config(recipe: Recipe, checkpoints: Path) -> SFTConfig:
    """TRL's configuration of the recipe's training; examples come tokenized, so nothing is cut."""
    settings = recipe.finetune
    on_cpu = device() == "cpu"
    return SFTConfig(
        output_dir=str(checkpoints),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        optim=settings.optimizer,
        bf16=recipe.model.dtype == "bfloat16" and not on_cpu,
        fp16=recipe.model.dtype == "float16" and not on_cpu,
        use_cpu=on_cpu,
        max_length=settings.max_tokens if settings.packing else None,
        packing=settings.packing,
        eval_packing=False,
        train_sampling_strategy="group_by_length" if settings.group_by_length else "random",
        gradient_checkpointing=settings.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        eval_strategy="steps",
        eval_steps=settings.eval_every,
        logging_steps=min(10, settings.eval_every),
        logging_nan_inf_filter=False,  # a loss that is not a number must show
        save_strategy="steps",
        save_steps=settings.eval_every,
        save_total_limit=2,
        restore_callback_states_from_checkpoint=True,  # what `patience` has counted so far
        load_best_model_at_end=settings.keep_best,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        report_to=settings.report_to,
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
    checkpoints: Path,
    listen: Listener,
) -> Training:
    """Trains the recipe's adapter and writes it, with nothing else, into `folder`.

    Args:
        recipe: What to train and how.
        train: Examples to learn from.
        held_out: Examples that only measure.
        folder: Where the adapter goes; written by the first of several processes.
        checkpoints: Where training keeps what it needs to go on after a kill.
        listen: Hears of every step.

    Raises:
        TrainingError: When there is nothing to learn, the recipe names a layer that the base lacks,
            or the loss is not a number or exactly 0.
        RunError: When the disk is full.
    """
    _check(train, held_out)
    torch.manual_seed(recipe.finetune.seed)  # adapters are initialized before TRL seeds
    config = trainer_config(recipe, checkpoints)
    PartialState().wait_for_everyone()  # the first process has readied the folder
    patience = recipe.finetune.patience
    callbacks: list[TrainerCallback] = [Watch(listen)]
    if patience is not None:
        callbacks.append(EarlyStoppingCallback(patience))
    _check_trackers(recipe.finetune.report_to)
    base = load_base(recipe.model)
    check_targets(recipe.finetune, base)
    trainer = SupervisedTrainer(
        model=base,
        args=config,
        train_dataset=_dataset(train),
        eval_dataset=_dataset(held_out),
        processing_class=load_tokenizer(recipe.model),
        peft_config=lora_config(recipe.finetune),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)  # `Watch` says it better
    last = last_whole_checkpoint(checkpoints)
    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        if trainer.is_world_process_zero():
            trainer.model.save_pretrained(str(folder))
    except (OSError, SafetensorError, RuntimeError) as error:
        if not is_full(error, checkpoints):
            raise
        raise RunError(
            f"{checkpoints}: the disk is full; free space, and the same command goes on from"
            " the last checkpoint"
        ) from error
    return Training(
        losses=loss_points(trainer.state.log_history),
        steps=trainer.state.global_step,
        best_step=trainer.state.best_global_step,
        resumed_from=int(last.name.partition("-")[2]) if last else 0,
        trainable=sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        supervised_tokens=sum(label != -100 for e in train for label in e.labels),
        shortened=sum(e.shortened for e in train),
    )


def _check(train: Sequence[Example], held_out: Sequence[Example]) -> None:
    if not train or not held_out:
        raise TrainingError(
            f"{len(train)} pairs to learn from and {len(held_out)} held out; both are needed:"
            " add pairs or lower pairs.held_out"
        )
    for number, example in enumerate((*train, *held_out)):
        if all(label == -100 for label in example.labels):
            raise TrainingError(
                f"example {number} has no token to learn: its instruction is cut off or empty;"
                " look at the pairs and finetune.max_tokens"
            )


def _check_trackers(names: list[str]) -> None:
    """Whether the trackers can be reported to, before the base is loaded."""
    try:
        for callback in get_reporting_integration_callbacks(names):
            callback()
    except (ValueError, RuntimeError, ImportError) as error:
        raise TrainingError(
            f"finetune.report_to {names}: {error!s:.160}; install the tracker or leave it out"
        ) from error


def _dataset(examples: Sequence[Example]) -> Dataset:
    return Dataset.from_dict(
        {
            "input_ids": [e.input_ids for e in examples],
            "labels": [e.labels for e in examples],
        }
    )

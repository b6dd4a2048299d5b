"""Recipe and examples -> what a training run will cost, without loading any weights.

Memory is an estimate of what a CUDA device holds. 4-bit weights take 4.127 bits (NF4 with double
quantization, Dettmers et al. 2023). An adapter's parameter takes its weight and its gradient, in 16
bits beside a 4-bit base and in 32 beside another, and two Adam moments of the same type, or of 8
bits. A layer's activations take 34 bytes per token and width in 16 bits (Korthikanti et al. 2022,
without attention maps); an adapted layer keeps its input once more, and a mask where it drops some
of it. With gradient checkpointing it is 2 bytes a layer, and one layer's activations. TRL makes the
logits in tiles, which count for nothing.
"""

from collections.abc import Sequence

import torch
from peft import PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from transformers import AutoConfig, AutoModelForCausalLM

from synth.models.loading import check_targets, lora_config
from synth.models.naming import named, source
from synth.models.protocols import TrainingPlan
from synth.prompt import Example
from synth.recipe import Recipe
from synth.settings import Finetune

_GIB = 1 << 30
_NF4_BYTES = 4.127 / 8
_LAYER_BYTES = 34


def plan_training(recipe: Recipe, train: Sequence[Example], processes: int = 1) -> TrainingPlan:
    """What the recipe's training will take on each of so many devices.

    Raises:
        ModelError: When the base's configuration cannot be had.
        TrainingError: When the recipe names a layer that the base lacks.
    """
    settings, base = recipe.finetune, recipe.model
    config = named(base.base, AutoConfig.from_pretrained, source(base.base), revision=base.revision)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, base.dtype))
    total = model.num_parameters()
    linear = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name
    )
    size = torch.finfo(getattr(torch, base.dtype)).bits / 8
    quantized = linear if base.quantization == "nf4" else 0
    check_targets(settings, model)
    adapted = get_peft_model(model, lora_config(settings))
    trainable = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    longest = settings.max_tokens if settings.packing else max(len(e.input_ids) for e in train)
    supervised = sum(label != -100 for e in train for label in e.labels)
    tokens = sum(len(e.input_ids) for e in train)
    text = config.get_text_config()
    per_token = _activation_bytes(adapted, text.hidden_size, text.num_hidden_layers, settings)
    memory = {
        "weights": quantized * _NF4_BYTES + (total - quantized) * size,
        "adapter": trainable * _adapter_bytes(recipe),
        "activations": settings.batch * longest * per_token * size / 2,
    }
    per_step = settings.batch * settings.accumulation * processes
    return TrainingPlan(
        parameters=total,
        trainable=trainable,
        supervised_tokens=supervised,
        tokens=tokens,
        steps=settings.steps,
        epochs=round(settings.steps * per_step / len(train), 2),
        memory_gib={name: round(value / _GIB, 3) for name, value in memory.items()},
    )


def _adapter_bytes(recipe: Recipe) -> int:
    """Bytes of a parameter of the adapter: weight, gradient and two moments."""
    size = 2 if recipe.model.quantization == "nf4" else 4
    moment = 1 if "8bit" in recipe.finetune.optimizer else size
    return 2 * size + 2 * moment


def _activation_bytes(adapted: PeftModel, width: int, layers: int, settings: Finetune) -> float:
    """Bytes that a token keeps until the backward pass, in 16 bits."""
    inputs: int = sum(m.in_features for m in adapted.modules() if isinstance(m, LoraLayer))
    whole: int = _LAYER_BYTES * width * layers + (3 if settings.lora.dropout else 2) * inputs
    return whole / layers + 2 * width * layers if settings.gradient_checkpointing else whole

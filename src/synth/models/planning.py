"""Recipe and examples -> what a training run will cost, without loading any weights.

Memory is an estimate: 4-bit weights take 4.127 bits (NF4 with double quantization, Dettmers et al.
2023), an adapter's parameter 16 bytes (weight, gradient and two Adam moments in 32 bits), and a
layer's activations 34 bytes per token and width (Korthikanti et al. 2022, without attention maps);
with gradient checkpointing 2 bytes, and one layer's activations.
"""

from collections.abc import Sequence

import torch
from peft import get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from synth.models.loading import check_targets, lora_config
from synth.models.naming import named, source
from synth.models.protocols import TrainingPlan
from synth.prompt import Example
from synth.recipe import Recipe

_GIB = 1 << 30
_NF4_BYTES = 4.127 / 8
_ADAPTER_BYTES = 16
_LAYER_BYTES = 34
_LOGIT_BYTES = 6  # 16-bit logits and their 32-bit gradient


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
    per_pass = settings.batch * longest
    text = config.get_text_config()
    layers = 1 if settings.gradient_checkpointing else text.num_hidden_layers
    activations = per_pass * text.hidden_size * _LAYER_BYTES * layers
    if settings.gradient_checkpointing:
        activations += per_pass * text.hidden_size * 2 * text.num_hidden_layers
    logits = per_pass * supervised / tokens * text.vocab_size * _LOGIT_BYTES
    memory = {
        "weights": quantized * _NF4_BYTES + (total - quantized) * size,
        "adapter": trainable * _ADAPTER_BYTES,
        "activations": activations + logits,
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

"""Recipe -> tokenizer, base model, base model with adapter."""

import contextlib
import ctypes
import os
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as TARGETS
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from synth.errors import TrainingError
from synth.models.naming import is_adapter, merged_model, named, source
from synth.settings import Finetune, Model


def device() -> str:
    """`cuda`, `mps` or `cpu`: the best that is here."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _own_device() -> str:
    """The device of this process; of several that train together each has its own GPU."""
    kind = device()
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if kind == "cuda" else kind


def load_tokenizer(model: Model) -> Any:  # noqa: ANN401  (transformers types are not checked)
    """The base's tokenizer; a missing pad token is eos, on whose label -100 decides, not its id.

    Raises:
        ModelError: When there is none.
    """
    name = model.tokenizer or model.base
    revision = None if model.tokenizer else model.revision
    tokenizer = named(name, AutoTokenizer.from_pretrained, source(name), revision=revision)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def quantization_config(model: Model) -> BitsAndBytesConfig | None:
    """NF4 with double quantization (Dettmers et al. 2023), or None."""
    if model.quantization == "none":
        return None
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, model.dtype),
    )


def lora_config(settings: Finetune) -> LoraConfig:
    """PEFT's configuration of the recipe's adapter."""
    lora = settings.lora
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        bias="none",
        target_modules=lora.targets,
        task_type="CAUSAL_LM",
    )


def check_targets(settings: Finetune, model: Any) -> None:  # noqa: ANN401
    """Sees to it that the base has the layers that are to get an adapter.

    PEFT takes a list as long as one of its names fits, and would leave the others out in silence.

    Raises:
        TrainingError: When it lacks one.
    """
    targets, kind = settings.lora.targets, model.config.model_type
    if targets == "all-linear" or (targets is None and kind in TARGETS):
        return
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if getattr(layer, "weight", None) is not None and layer.weight.dim() > 1
    }
    wrong = [
        target
        for target in targets or ()
        if not any(f".{n}".endswith(f".{target}") for n in layers)
    ]
    if wrong or not targets:
        linear = [name for name, layer in layers.items() if isinstance(layer, torch.nn.Linear)]
        known = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in linear))
        told = f"the base has no layer {', '.join(wrong)}" if wrong else "names no layer"
        if targets is None:
            told = f"PEFT has no list of layers for a base of type {kind}"
        raise TrainingError(
            f"finetune.lora.targets: {told}; name one or more of {known}, or say all-linear"
        )


def load_base(model: Model) -> Any:  # noqa: ANN401
    """The base model on the best device, in 4 bits where the recipe says so.

    Raises:
        ModelError: When it cannot be loaded.
    """
    if device() == "cpu":
        keep_freed_memory()
    return named(
        model.base,
        AutoModelForCausalLM.from_pretrained,
        source(model.base),
        revision=model.revision,
        dtype=getattr(torch, model.dtype),
        quantization_config=quantization_config(model),
        device_map={"": _own_device()},
        use_cache=False,
    )


def load_with_adapter(model: Model, adapter: Path) -> Any:  # noqa: ANN401
    """The base with its adapter, ready to generate.

    Raises:
        ModelError: When either cannot be loaded.
    """
    loaded = named(str(adapter), PeftModel.from_pretrained, load_base(model), str(adapter))
    loaded.eval()
    loaded.config.use_cache = True
    return loaded


def load_weights(model: Model, weights: Path, *, fold: bool = False) -> Any:  # noqa: ANN401
    """What a run made, ready to generate: an adapter on its base, or a merged model.

    Args:
        model: The base.
        weights: Folder of either.
        fold: Fold the adapter into the base where that loses nothing, in 32 bits: generation is
            half as fast again.

    Raises:
        ModelError: When it cannot be loaded.
    """
    if is_adapter(weights):
        adapted = load_with_adapter(model, weights)
        if fold and model.dtype == "float32" and model.quantization == "none":
            adapted = adapted.merge_and_unload()
        return adapted
    merged = load_base(merged_model(model, weights))
    merged.eval()
    merged.config.use_cache = True
    return merged


def keep_freed_memory() -> None:
    """Tells glibc to keep freed memory: returning it costs a third of a training step on a CPU."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD

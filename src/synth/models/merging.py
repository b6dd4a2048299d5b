"""Base + adapter -> one merged model, by the way that stays closest to what was trained.

A 4-bit base can be merged in two ways: onto its own weights, dequantized to 16 bits (those that the
adapter was trained against), or onto the original 16-bit ones. Which is nearer is measured.
"""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError

from synth.errors import RunError, is_full
from synth.models.loading import load_base, load_tokenizer, load_with_adapter
from synth.models.naming import named
from synth.models.protocols import Merge
from synth.prompt import Example
from synth.recipe import Recipe
from synth.records import Listener, Progress


def merge_adapter(
    recipe: Recipe,
    adapter: Path,
    examples: Sequence[Example],
    folder: Path,
    listen: Listener,
) -> Merge:
    """Writes the merged model and its tokenizer into `folder`.

    Args:
        recipe: Names the base, and how it was loaded for training.
        adapter: The adapter's folder.
        examples: Held-out examples on whose supervised positions logits are compared.
        folder: Where the model goes, in the recipe's dtype.
        listen: Hears of every step.

    Raises:
        ModelError: When the base or the adapter cannot be loaded.
        RunError: When the disk is full.
    """
    ways = ["original base"]
    if recipe.model.quantization != "none":
        ways.insert(0, "dequantized base")
    steps = len(ways) + 3

    def tell(done: int, note: str) -> None:
        listen(Progress("merge", done, steps, "step", note))

    tell(0, "measuring the adapter on its base")
    trained = load_with_adapter(recipe.model, adapter)
    wanted = _logits(trained, examples)
    del trained
    gaps: dict[str, float] = {}
    for number, way in enumerate(ways, start=1):
        tell(number, f"measuring the {way} with the adapter folded in")
        gc.collect()
        gaps[way] = _gap(wanted, _logits(_merged(recipe, adapter, way), examples))
    taken = min(gaps, key=lambda way: gaps[way])
    tell(steps - 2, f"merging onto the {taken}")
    model = _merged(recipe, adapter, taken)
    tell(steps - 1, "writing the merged model")
    try:
        model.save_pretrained(str(folder))
        load_tokenizer(recipe.model).save_pretrained(str(folder))
    except (OSError, SafetensorError, RuntimeError) as error:
        if not is_full(error, folder):
            raise
        raise RunError(
            f"{folder}: the disk is full; free space, and the same command merges again"
        ) from error
    tell(steps, "")
    return Merge({way: float(f"{gap:.3g}") for way, gap in gaps.items()}, taken)


def _merged(recipe: Recipe, adapter: Path, way: str) -> Any:  # noqa: ANN401
    if way == "original base":
        base = load_base(recipe.model.model_copy(update={"quantization": "none"}))
    else:
        base = load_base(recipe.model).dequantize(dtype=getattr(torch, recipe.model.dtype))
        # It is an ordinary model now, and must be saved as one.
        base.config.quantization_config = None
        del base.config.quantization_config
        base.hf_quantizer, base.is_quantized, base.is_loaded_in_4bit = None, False, False
    model = named(str(adapter), PeftModel.from_pretrained, base, str(adapter)).merge_and_unload()
    model.eval()
    model.config.use_cache = True
    return model


@torch.inference_mode()
def _logits(model: Any, examples: Sequence[Example]) -> list[torch.Tensor]:  # noqa: ANN401
    """(supervised tokens, vocabulary) for each example, in 32 bits on the CPU."""
    found = []
    for example in examples:
        ids = torch.tensor([example.input_ids], device=model.device)
        learnt = torch.tensor(example.labels[1:]) != -100
        logits = model(input_ids=ids).logits[0, :-1]
        found.append(logits[learnt.to(logits.device)].float().cpu())
    return found


def _gap(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> float:
    """Largest difference of any logit."""
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))

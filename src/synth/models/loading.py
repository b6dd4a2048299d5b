"""Recipe -> tokenizer, base model, base model with adapter. Failures become one named error."""

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from synth.errors import ModelError
from synth.recipe import Finetune, Model, resolve_path
from synth.records import content_id

_EDGE = 1 << 16  # bytes read at each end of a weight file for its identity


def device() -> str:
    """`cuda`, `mps` or `cpu`: the best that is here."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def source(name: str) -> str:
    """A base's folder or Hub id, as the loaders take it.

    Raises:
        InputError: When a `bundled:` path names nothing.
    """
    return str(resolve_path(name))


def base_identity(model: Model) -> str:
    """Content hash of a local base; id and commit of a Hub one.

    Of a weight file its size and both ends are hashed: quick for 14 GB, yet any retraining shows.
    """
    folder = Path(source(model.base))
    if not folder.is_dir():
        config = _named(model.base, AutoConfig.from_pretrained, model.base, revision=model.revision)
        return f"{model.base}@{getattr(config, '_commit_hash', None) or model.revision or 'main'}"
    parts: list[object] = []
    for path in sorted(folder.glob("*")):
        if path.suffix in {".json", ".safetensors", ".model"}:
            size = path.stat().st_size
            with path.open("rb") as file:
                start = file.read(_EDGE)
                file.seek(max(0, size - _EDGE))
                parts += [path.name, size, start.hex(), file.read().hex()]
    return content_id(*parts)


def load_tokenizer(model: Model) -> Any:  # noqa: ANN401  (transformers types are not checked)
    """The base's tokenizer; a missing pad token is eos, on whose label -100 decides, not its id.

    Raises:
        ModelError: When there is none.
    """
    name = model.tokenizer or model.base
    revision = None if model.tokenizer else model.revision
    tokenizer = _named(name, AutoTokenizer.from_pretrained, source(name), revision=revision)
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


def load_base(model: Model) -> Any:  # noqa: ANN401
    """The base model on the best device, in 4 bits where the recipe says so.

    Raises:
        ModelError: When it cannot be loaded.
    """
    if device() == "cpu":
        keep_freed_memory()
    return _named(
        model.base,
        AutoModelForCausalLM.from_pretrained,
        source(model.base),
        revision=model.revision,
        dtype=getattr(torch, model.dtype),
        quantization_config=quantization_config(model),
        device_map={"": device()},
        use_cache=False,
    )


def load_with_adapter(model: Model, adapter: Path) -> Any:  # noqa: ANN401
    """The base with its adapter, ready to generate.

    Raises:
        ModelError: When either cannot be loaded.
    """
    loaded = _named(str(adapter), PeftModel.from_pretrained, load_base(model), str(adapter))
    loaded.eval()
    loaded.config.use_cache = True
    return loaded


def keep_freed_memory() -> None:
    """Tells glibc to keep freed memory: returning it costs a third of a training step on a CPU."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def _named(name: str, load: Any, *args: object, **kwargs: object) -> Any:  # noqa: ANN401
    """What `load` returns; what it raises as one line that names the model."""
    with _translated(name):
        return load(*args, **kwargs)


@contextlib.contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"{name}: cannot be loaded: {first[0]:.200}; check the name, the network and the cache"
        ) from error

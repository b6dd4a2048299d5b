"""Which model a recipe means, found without loading torch; loaders' failures as one named error."""

from pathlib import Path
from typing import Any

from synth.errors import InputError, ModelError
from synth.recipe import resolve_path
from synth.records import content_id
from synth.settings import Model

_EDGE = 1 << 16  # bytes read at each end of a weight file
_EMBEDDER_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]  # so no pickle is ever loaded


def source(name: str) -> str:
    """A base's folder or Hub id, as the loaders take it.

    Raises:
        InputError: When a `bundled:` path, or one that can be no Hub id, names nothing.
    """
    path = resolve_path(name)
    if name.startswith(("/", ".")) and not path.is_dir():
        raise InputError(f"{name}: no such folder; check the path")
    return str(path)


def is_adapter(weights: Path) -> bool:
    """Whether the folder holds an adapter, rather than a whole model."""
    return (weights / "adapter_config.json").is_file()


def merged_model(model: Model, folder: Path) -> Model:
    """The merged model in that folder, to be loaded in place of its base: in 16 bits."""
    return model.model_copy(
        update={"base": str(folder), "revision": None, "tokenizer": None, "quantization": "none"}
    )


def base_identity(model: Model) -> str:
    """Content hash of a local base; id and commit of a Hub one.

    Of a weight file its size and both ends are hashed: quick for 14 GB, yet any retraining shows.

    Raises:
        ModelError: When a Hub one cannot be found.
    """
    folder = Path(source(model.base))
    if not folder.is_dir():
        from transformers import AutoConfig

        config = named(model.base, AutoConfig.from_pretrained, model.base, revision=model.revision)
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


def embedder_folder(name: str) -> Path:
    """The folder of an embedding model; that of a Hub model in the cache.

    Raises:
        ModelError: When a Hub one cannot be had.
    """
    folder = Path(source(name))
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    return Path(named(name, snapshot_download, name, allow_patterns=_EMBEDDER_FILES))


def embedder_identity(name: str) -> str:
    """Content hash of a local embedding model; id and commit of a Hub one.

    Raises:
        ModelError: When a Hub one cannot be had.
    """
    if Path(source(name)).is_dir():
        return base_identity(Model(base=name))
    return f"{name}@{embedder_folder(name).name}"  # its folder in the cache has the commit's name


def named(name: str, load: Any, *args: object, **kwargs: object) -> Any:  # noqa: ANN401
    """What `load` returns for the arguments.

    Raises:
        ModelError: For whatever `load` raises, in one line that names the model.
    """
    try:
        return load(*args, **kwargs)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        told = first[0].rstrip(".")
        raise ModelError(f"{name}: cannot be loaded: {told:.200}; {_advice(error)}") from error


def _advice(error: BaseException | None) -> str:
    """What to do about it; a refusal of the Hub lies behind the loader's error, or its cause."""
    while error is not None:
        if getattr(getattr(error, "response", None), "status_code", None) in {401, 403}:
            return (
                "ask for access on the model's page and log in with `hf auth login`; if it is open"
                " to all, check the name"
            )
        error = error.__cause__ or error.__context__
    return "check the name, the network and the cache"

"""What several stages share: the prompt of a recipe, and the adapter's metadata."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from synth.errors import AdapterError
from synth.models.protocols import Models
from synth.prompt import Prompt
from synth.recipe import Recipe
from synth.store.files import write_json

_FILE = "synth.json"


def prompt_of(recipe: Recipe) -> Prompt:
    """The recipe's prompt."""
    return Prompt(recipe.prompt.style, recipe.prompt.task)


@dataclass(frozen=True, slots=True)
class AdapterInfo:
    """What an adapter was trained on; lies beside its weights as `synth.json`."""

    base: str
    base_identity: str
    prompt_hash: str
    pairs: int
    pairs_hash: str
    fingerprint: str
    losses: list[dict[str, float | None]]

    def write(self, adapter: Path) -> None:
        """Writes the metadata into the adapter's folder."""
        write_json(adapter / _FILE, asdict(self))


def read_adapter(adapter: Path, recipe: Recipe, models: Models) -> AdapterInfo:
    """The adapter's metadata, once it is known to fit the recipe.

    Raises:
        AdapterError: Without an adapter of synth, or with one of another base or prompt.
    """
    try:
        info = AdapterInfo(**json.loads((adapter / _FILE).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise AdapterError(
            f"{adapter}: no adapter of synth here; run `synth finetune` first"
        ) from error
    except (ValueError, TypeError) as error:
        raise AdapterError(f"{adapter / _FILE}: damaged; run `synth finetune` again") from error
    if info.base_identity != models.identity(recipe):
        raise AdapterError(
            f"{adapter}: was trained on another base ({info.base}) than the recipe's"
            f" ({recipe.model.base}); run `synth finetune` or name the right --recipe"
        )
    if info.prompt_hash != prompt_of(recipe).hash:
        raise AdapterError(
            f"{adapter}: was trained with another prompt than the recipe's;"
            " run `synth finetune` or restore the recipe's prompt"
        )
    return info

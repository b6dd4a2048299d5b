"""Recipe name or file, plus `--set key=value` -> one validated, frozen `Recipe`.

Paths in a recipe are relative to the current folder; `bundled:` names what comes with synth.
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from synth.errors import InputError, RecipeError
from synth.settings import (
    TRAITS,
    Corpus,
    Curate,
    Evaluate,
    Export,
    Finetune,
    Generate,
    Model,
    Pairs,
    PromptSettings,
    Ray,
    Section,
)

_BUNDLED = "bundled:"


def bundle() -> Path:
    """The folder that holds `recipes/` and `data/`: in an installed package, or the checkout."""
    installed = Path(__file__).parent / "bundled"
    return installed if installed.is_dir() else Path(__file__).parents[2]


def resolve_path(text: str) -> Path:
    """A recipe's path as a real one; `bundled:x` is looked up in the package."""
    if text.startswith(_BUNDLED):
        path = bundle() / text.removeprefix(_BUNDLED)
        if not path.exists():
            raise InputError(f"{text}: synth does not come with this; check the name")
        return path
    return Path(text)


class Recipe(Section):
    """Everything that one dataset depends on."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the recipe, and of its run folder."""
    about: str
    """What the recipe is for, in a sentence."""
    model: Model
    """The base model."""
    prompt: PromptSettings = PromptSettings()
    """The prompt."""
    pairs: Pairs
    """What the adapter learns from."""
    finetune: Finetune = Finetune()
    """How it learns."""
    evaluate: Evaluate = Evaluate()
    """How it is judged."""
    corpus: Corpus = Corpus()
    """What it is run over."""
    generate: Generate = Generate()
    """How it is run."""
    curate: Curate = Curate()
    """What is kept."""
    export: Export = Export()
    """What is published."""
    ray: Ray = Ray()
    """How the work is spread over a cluster."""

    @model_validator(mode="after")
    def _control(self) -> Self:
        unknown = sorted(set(self.generate.control) - set(self.prompt.control))
        if unknown:
            raise ValueError(f"generate.control names {unknown[0]}, which prompt.control lacks")
        for aspect, shares in self.generate.control.items():
            strange = sorted(set(shares) - set(TRAITS.get(aspect, shares)))
            if strange:
                known = ", ".join(TRAITS[aspect])
                raise ValueError(f"generate.control.{aspect} has no {strange[0]}, only {known}")
            if min(shares.values(), default=0.0) < 0 or sum(shares.values()) <= 0:
                raise ValueError(f"generate.control.{aspect} needs shares of 0 or more, not all 0")
        return self

    def to_yaml(self) -> str:
        """The resolved recipe, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def recipe_names() -> list[str]:
    """Names of the recipes that come with synth."""
    return sorted(path.stem for path in (bundle() / "recipes").glob("*.yaml"))


def load_recipe(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """The recipe of that name or file, with `section.key=value` overrides applied.

    Raises:
        RecipeError: For an unknown recipe, bad YAML, or a key or value the recipe cannot have.
    """
    path = _find(name)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{name}: not a YAML file: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise RecipeError(f"{name}: cannot be read: {error.strerror}") from error
    if not isinstance(tree, dict):
        raise RecipeError(f"{name}: a recipe is a mapping of sections; this file holds none")
    for override in overrides:
        _apply(tree, override)
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise RecipeError(f"{name}: {_first_problem(error)}") from error


def recipe_name(path: Path) -> str | None:
    """The name that a recipe file gives itself, whatever else it holds; None if it gives none."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        return None
    name = tree.get("name") if isinstance(tree, dict) else None
    return name if isinstance(name, str) else None


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")) or "/" in name:
        if not Path(name).is_file():
            raise RecipeError(f"{name}: no such recipe file; check the path")
        return Path(name)
    path = bundle() / "recipes" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(recipe_names())
        raise RecipeError(f"{name}: no such recipe; name a YAML file or one of: {known}")
    return path


def _apply(tree: dict[str, Any], override: str) -> None:
    """Sets one `a.b.c=value`; the value is read as YAML."""
    keys, equals, text = override.partition("=")
    if not equals or not keys.strip():
        raise RecipeError(f"--set {override}: write it as section.key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override}: the value is not YAML") from error
    *sections, last = keys.strip().split(".")
    place: Any = tree
    for section in sections:
        place = _entry(place, section, override)
    if isinstance(place, list):
        _entry(place, last, override)
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise RecipeError(f"--set {override}: {sections[-1]} is a value, not a section")


def _entry(place: Any, key: str, override: str) -> Any:  # noqa: ANN401
    """The section of that name, made if there is none; of a list, the entry of that number."""
    if isinstance(place, dict):
        return place.setdefault(key, {})
    if not isinstance(place, list):
        raise RecipeError(f"--set {override}: {key} lies in a value, not in a section")
    if not key.isdigit() or int(key) >= len(place):
        raise RecipeError(f"--set {override}: {key!r}: count the {len(place)} entries from 0")
    return place[int(key)]


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    keys = ".".join(str(part) for part in problem["loc"])
    place = f"{keys}: " if keys else ""  # the recipe as a whole has none
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(problem["loc"][-1]), _fields(problem["loc"][:-1]), n=1)
        hint = f"did you mean {near[0]}?" if near else "remove it"
        return f"{place}no such key; {hint}"
    told, own = problem["msg"].removeprefix("Value error, "), problem["type"] == "value_error"
    if own and isinstance(problem["input"], dict):  # a section: the values that matter are told
        return f"{place}{told}; correct it"
    return f"{place}{told} (got {problem['input']!r:.80}); correct it"


def _fields(sections: Iterable[object]) -> list[str]:
    """Field names of the section at that place."""
    fields: Mapping[str, Any] = Recipe.model_fields
    for section in (str(part) for part in sections if isinstance(part, str)):
        kind = fields[section].annotation if section in fields else None
        kind = next(iter(get_args(kind)), kind)  # of a list, its entries
        fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}
    return list(fields)

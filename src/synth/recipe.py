"""Recipe name or file, plus `--set key=value` -> one validated, frozen `Recipe`.

Paths in a recipe are relative to the current folder; `bundled:` names what comes with synth.
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from synth.errors import InputError, RecipeError
from synth.records import content_id

TASK = (
    "Use the provided input to create an instruction that could have been used to generate the"
    " response with an LLM."
)
"""The lesson's task sentence."""
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


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def fingerprint(self) -> str:
        """Hash of every value of the section."""
        return content_id(self.model_dump_json())


class Model(_Section):
    """The base model that learns to work backwards."""

    base: str
    """Hub id, folder, or `bundled:` path of the base model."""
    revision: str | None = None
    """Hub revision of the base model; None is its main branch."""
    tokenizer: str | None = None
    """Hub id or folder of the tokenizer, where it is not the base model's own."""
    quantization: Literal["none", "nf4"] = "none"
    """`nf4`: load the base in 4 bits (bitsandbytes, double quantization), as QLoRA does."""
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """Type of the weights, and of the arithmetic of 4-bit layers."""


class PromptSettings(_Section):
    """How a text is put to the model, in training and in generation alike."""

    style: Literal["plain", "chat"] = "plain"
    """`plain`: instruction, input and response headers; `chat`: the model's chat template."""
    task: str = TASK
    """The sentence that tells the model what to do."""


class Pairs(_Section):
    """Where the pairs come from that the adapter learns from."""

    path: str | None = None
    """A jsonl file of pairs; or a Hub dataset in `dataset`."""
    dataset: str | None = None
    """Hub id of a dataset of pairs."""
    revision: str | None = None
    """Hub revision of that dataset."""
    split: str = "train"
    """Split of that dataset."""
    instruction: str = "instruction"
    """Name of the instruction column."""
    response: str = "response"
    """Name of the response column."""
    where: dict[str, str] = Field(default_factory=dict)
    """Only rows whose columns have these values."""
    strip_before: str | None = None
    """Of the instruction, only what follows the last occurrence of this text is kept."""
    strip_after: str | None = None
    """Of the instruction, only what stands before the first occurrence of this text is kept."""
    train: int | None = Field(None, ge=1)
    """At most so many pairs are learnt from; None is all of them."""
    held_out: int = Field(64, ge=1)
    """So many pairs, chosen by content hash, are never learnt from."""


class Lora(_Section):
    """The adapter's shape (Hu et al. 2021)."""

    r: int = Field(64, ge=1)
    """Rank."""
    alpha: int = Field(16, ge=1)
    """Scale numerator: updates are scaled by alpha / r."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout on the adapter's input."""
    targets: Literal["all-linear"] | list[str] | None = "all-linear"
    """Layers that get an adapter; None leaves the choice to PEFT."""


class Finetune(_Section):
    """How the adapter is trained."""

    lora: Lora = Lora()
    """The adapter's shape."""
    steps: int = Field(100, ge=1)
    """Optimizer steps."""
    batch: int = Field(4, ge=1)
    """Examples per device and forward pass."""
    accumulation: int = Field(1, ge=1)
    """Forward passes per optimizer step."""
    learning_rate: float = Field(2e-4, gt=0)
    """Peak learning rate."""
    schedule: Literal["constant", "constant_with_warmup", "linear", "cosine"] = "constant"
    """Course of the learning rate."""
    warmup: int = Field(0, ge=0)
    """Steps until the peak learning rate."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW's weight decay."""
    max_tokens: int = Field(2048, ge=64)
    """Tokens of a training example; longer responses are shortened in their middle."""
    loss: Literal["completion", "text"] = "completion"
    """`completion`: learn the instruction only; `text`: the lesson's loss over the whole text."""
    packing: bool = False
    """Join short examples into sequences of `max_tokens`."""
    group_by_length: bool = False
    """Put examples of like length into a batch: less padding, so more steps an hour."""
    gradient_checkpointing: bool = False
    """Trade time for memory in the backward pass."""
    eval_every: int = Field(20, ge=1)
    """Steps between two measurements of the held-out loss."""
    seed: int = 17
    """Seed of shuffling, dropout and adapter initialization."""


class Evaluate(_Section):
    """What the report card measures."""

    samples: int = Field(8, ge=0)
    """Held-out pairs that are shown before and after."""
    passages: list[str] = Field(default_factory=list)
    """Texts that are shown before and after as well."""
    min_fall: float = Field(0.2, ge=0, lt=1)
    """A go needs the held-out loss to fall by this share at least."""


class Corpus(_Section):
    """How the corpus is read and cut into segments."""

    text: str = "text"
    """Name of the text field of a jsonl corpus."""
    id: str = "id"
    """Name of the id field; without one the id is a hash of the text."""
    metadata: list[str] = Field(default_factory=lambda: ["title", "licence", "url", "language"])
    """Fields that travel with every segment to the candidate."""
    min_chars: int = Field(600, ge=1)
    """Paragraphs are joined until a segment has so many characters (Humpback: 600-3,000)."""
    max_chars: int = Field(3000, ge=1)
    """A segment has at most so many characters; longer paragraphs are cut at sentence ends."""
    shortest: int = Field(150, ge=1)
    """Segments of fewer characters are not worth a candidate."""


class Generate(_Section):
    """How instructions are generated."""

    engine: Literal["transformers", "vllm"] = "transformers"
    """What runs the model."""
    temperature: float = Field(0.7, ge=0)
    """0 is greedy decoding (Humpback samples at 0.7)."""
    top_p: float = Field(0.9, gt=0, le=1)
    """Nucleus sampling's share."""
    seed: int = 17
    """Together with the segment id this seeds each draw."""
    max_tokens: int = Field(2048, ge=64)
    """Tokens of the prompt; longer texts are shortened in their middle."""
    max_new_tokens: int = Field(128, ge=1)
    """Tokens of a generated instruction."""
    batch_tokens: int = Field(16384, ge=64)
    """Tokens of one batch, padding included (engine `transformers`)."""
    shard: int = Field(1024, ge=1)
    """Segments of one shard, the most that a crash can lose."""
    vllm: dict[str, int | float | str | bool] = Field(default_factory=dict)
    """Further engine arguments of vLLM."""


class Curate(_Section):
    """Thresholds of the rules; a row that fails one goes to `rejected/` with the rule's name."""

    min_instruction_chars: int = Field(10, ge=0)
    """Instructions are at least so long."""
    max_instruction_chars: int = Field(500, ge=1)
    """Instructions are at most so long (REInstruct: 500)."""
    max_copied_words: int = Field(12, ge=1)
    """An instruction holds no run of so many words of its response."""
    max_repeated_words: float = Field(0.5, ge=0, le=1)
    """At most this share of an instruction's words are repeats."""
    min_grounded_words: float = Field(0.5, ge=0, le=1)
    """At least this share of an instruction's content words stand in the response."""
    max_link_share: float = Field(0.2, ge=0, le=1)
    """At most this share of a response's characters belong to links."""
    max_symbol_share: float = Field(0.35, ge=0, le=1)
    """At most this share of a response's characters are neither letters nor spaces."""
    min_function_words: int = Field(2, ge=0)
    """A response has so many different common English words; 0 for other languages (Gopher: 2)."""
    min_logprob: float = Field(-2.0, le=0)
    """Mean log-probability of the instruction under the model, nats per token."""
    near_duplicate: float = Field(0.7, gt=0, le=1)
    """Jaccard similarity of 5-word shingles from which two texts count as the same."""


class Export(_Section):
    """What the dataset looks like."""

    test_share: float = Field(0.1, ge=0, lt=1)
    """Share of the documents that go to the test split."""
    licence: str | None = None
    """Licence of the dataset; None works it out from the corpus's licences."""


class Recipe(_Section):
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
    *sections, last = keys.strip().split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise RecipeError(f"--set {override}: {section} is a value, not a section")
    try:
        tree[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override}: the value is not YAML") from error


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"{place}: {problem['msg']} (got {problem['input']!r:.80}); correct it"
    near = difflib.get_close_matches(str(problem["loc"][-1]), _fields(problem["loc"][:-1]), n=1)
    hint = f"did you mean {near[0]}?" if near else "remove it"
    return f"{place}: no such key; {hint}"


def _fields(sections: Iterable[object]) -> list[str]:
    """Field names of the section at that place."""
    fields: Mapping[str, Any] = Recipe.model_fields
    for section in sections:
        kind = fields[str(section)].annotation if str(section) in fields else None
        fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}
    return list(fields)

"""From a base and pairs to an adapter and its report card."""

from typing import Literal, Self

from pydantic import Field, model_validator

from synth.settings.section import Section

Value = str | int | float | bool
"""What a column of pairs can be compared with."""
TASK = (
    "Use the provided input to create an instruction that could have been used to generate the"
    " response with an LLM."
)
"""The lesson's task sentence."""


class Model(Section):
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


class PromptSettings(Section):
    """How a text is put to the model, in training and in generation alike."""

    style: Literal["plain", "chat"] = "plain"
    """`plain`: instruction, input and response headers; `chat`: the model's chat template."""
    task: str = TASK
    """The sentence that tells the model what to do."""
    control: list[Literal["kind", "length", "style", "language"]] = Field(default_factory=list)
    """Aspects of the instruction that a control line names: learnt from the pairs, then chosen."""
    keywords: int = Field(0, ge=0)
    """So many words that return most in the text are named after it; keeps small models to it."""


class PairSource(Section):
    """One place where pairs come from: a file or a Hub dataset."""

    path: str | None = None
    """A file of pairs: .jsonl, .parquet or .csv."""
    dataset: str | None = None
    """Hub id of a dataset of pairs."""
    config: str | None = None
    """Config of that dataset; None is its default."""
    revision: str | None = None
    """Hub revision of that dataset."""
    split: str = "train"
    """Split of that dataset."""
    streaming: bool = False
    """Read that dataset row by row instead of downloading it whole; wants a `sample`."""
    instruction: str = "instruction"
    """Name of the instruction column."""
    response: str = "response"
    """Name of the response column."""
    messages: str | None = None
    """Name of a column of conversations; its first user turn and the answer to it are the pair."""
    where: dict[str, Value | list[Value]] = Field(default_factory=dict)
    """Only rows whose columns have these values, or one of them; `2020` is also the text "2020"."""
    strip_before: str | None = None
    """Of the instruction, only what follows the last occurrence of this text is kept."""
    strip_after: str | None = None
    """Of the instruction, only what stands before the first occurrence of this text is kept."""
    sample: int | None = Field(None, ge=1)
    """At most so many pairs of this source, chosen by content hash; None is all of them."""
    weight: float | None = Field(None, gt=0)
    """Share of this source in the mix, relative to the others; None in all sources: no mixing."""

    @property
    def name(self) -> str:
        """File or Hub id."""
        return str(self.path or self.dataset)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("name either a path or a dataset")
        return self


class Pairs(Section):
    """What the adapter learns from, and what it is measured on."""

    sources: list[PairSource] = Field(min_length=1)
    """Where the pairs come from."""
    train: int | None = Field(None, ge=1)
    """At most so many pairs are learnt from; None is all of them."""
    held_out: int = Field(64, ge=1)
    """So many pairs, chosen by content hash, are never learnt from."""
    near_held_out: float = Field(0.7, gt=0, le=1)
    """Pairs whose response is so similar to a held-out one (Jaccard, 5 words) are not learnt."""
    seed: int = 17
    """Seed of sampling and mixing."""

    @model_validator(mode="after")
    def _weights(self) -> Self:
        given = [source.weight is not None for source in self.sources]
        if any(given) and not all(given):
            raise ValueError("give every source a weight, or none")
        return self


class Lora(Section):
    """The adapter's shape (Hu et al. 2021)."""

    r: int = Field(64, ge=1)
    """Rank."""
    alpha: int = Field(16, ge=1)
    """Scale numerator: updates are scaled by alpha / r."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout on the adapter's input."""
    targets: Literal["all-linear"] | list[str] | None = "all-linear"
    """Layers that get an adapter; None leaves the choice to PEFT."""


class Finetune(Section):
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
    null_share: float = Field(0.05, ge=0, le=0.5)
    """Share of unusable texts, answered `null` (FineInstructions: 5%); one a pair: half at most."""
    loss: Literal["completion", "text"] = "completion"
    """`completion`: learn the instruction only; `text`: the lesson's loss over the whole text."""
    packing: bool = False
    """Join short examples into sequences of `max_tokens`."""
    group_by_length: bool = False
    """Put examples of like length into a batch: less padding, so more steps an hour."""
    gradient_checkpointing: bool = False
    """Trade time for memory in the backward pass."""
    optimizer: Literal["adamw_torch", "adamw_torch_fused", "adamw_8bit", "paged_adamw_8bit"] = (
        "adamw_torch"
    )
    """Optimizer, by its name in transformers; those in 8 bits come with bitsandbytes."""
    eval_every: int = Field(20, ge=1)
    """Steps between two measurements of the held-out loss; then a checkpoint is written too."""
    keep_best: bool = True
    """The adapter is that of the lowest held-out loss, not the last."""
    patience: int | None = Field(None, ge=1)
    """Stop after so many measurements without a lower held-out loss; None never stops early."""
    report_to: list[str] = Field(default_factory=list)
    """Trackers that transformers reports to, such as `tensorboard`, `wandb` or `mlflow`."""
    seed: int = 17
    """Seed of shuffling, dropout and adapter initialization."""


class Evaluate(Section):
    """What the report card measures, and what a go needs."""

    samples: int = Field(8, ge=0)
    """Held-out pairs that are shown before and after."""
    passages: list[str] = Field(default_factory=list)
    """Texts that are shown before and after as well."""
    retrieval_texts: int = Field(16, ge=2)
    """Among so many texts the one an instruction belongs to must be found, by likelihood."""
    retrieval_pairs: int = Field(64, ge=1)
    """So many held-out instructions are put to that test."""
    min_fall: float = Field(0.2, ge=0, lt=1)
    """A go needs the held-out loss to fall by this share at least."""
    min_retrieval: float = Field(0.5, ge=0, le=1)
    """A go needs this share of instructions to be found among the texts."""
    max_leak: float = Field(0.1, ge=0, le=1)
    """A go allows this share of instructions that copy the text or speak of "the text"."""
    min_finished: float = Field(0.9, ge=0, le=1)
    """A go needs this share of instructions to end by themselves, before the token limit."""
    max_declined: float = Field(0.2, ge=0, le=1)
    """A go allows this share of good texts to be declined with `null`."""

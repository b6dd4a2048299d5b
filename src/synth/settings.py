"""The sections of a recipe: every setting, its type, its default and what it means."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from synth.records import content_id

TASK = (
    "Use the provided input to create an instruction that could have been used to generate the"
    " response with an LLM."
)
"""The lesson's task sentence."""


class Section(BaseModel):
    """A part of a recipe: frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def fingerprint(self) -> str:
        """Hash of every value of the section."""
        return content_id(self.model_dump_json())


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
    where: dict[str, str | list[str]] = Field(default_factory=dict)
    """Only rows whose columns have these values, or one of them."""
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
    null_share: float = Field(0.05, ge=0, lt=1)
    """Share of examples that are unusable texts with the answer `null` (FineInstructions: 5%)."""
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


class Filters(Section):
    """Which segments are not worth a candidate (see text/filters.py); None switches one off."""

    links: float | None = Field(0.4, gt=0, le=1)
    """At most this share of the characters belongs to links (Danish instruction sets: 40 %)."""
    boilerplate: int | None = Field(2, ge=1)
    """Fewer than so many signs of navigation, consent or copyright notices."""
    damaged: bool = True
    """No sign of a broken encoding."""
    list_lines: float | None = Field(None, gt=0, le=1)
    """At most this share of the lines are list items (Danish: 50 %)."""
    min_sentences: int | None = Field(None, ge=1)
    """At least so many sentences (Danish: 3)."""
    years_per_word: float | None = Field(None, gt=0)
    """At most so many numbers that look like a year for each word (Danish: 1/30)."""
    questions: int | None = Field(None, ge=0)
    """At most so many question marks (REInstruct: 1)."""
    pronouns: int | None = Field(None, ge=0)
    """At most so many English pronouns of the first or third person (REInstruct: 2)."""
    capitals: int | None = Field(None, ge=0)
    """At most so many words in capitals (REInstruct: 2)."""
    ellipsis: bool = False
    """No "..." (REInstruct)."""
    symbols: bool = False
    """None of # & * @ and trademark signs (REInstruct)."""


class Corpus(Section):
    """How the corpus is read and cut into segments."""

    text: str = "text"
    """Name of the field or column that holds the text."""
    id: str = "id"
    """Name of the id field; without one the id is a hash of the text."""
    metadata: list[str] = Field(default_factory=lambda: ["title", "licence", "url", "language"])
    """Fields that travel with every segment to the candidate."""
    config: str | None = None
    """Config of a Hub dataset; None is its default."""
    split: str = "train"
    """Split of a Hub dataset."""
    revision: str | None = None
    """Hub revision of a Hub dataset."""
    unit: Literal["paragraphs", "document"] = "paragraphs"
    """What a segment is: neighbouring paragraphs, or a whole document (for a pre-split corpus)."""
    markup: Literal["auto", "markdown", "plain"] = "auto"
    """`markdown`: cut at headings, keep code, lists and tables whole; `auto`: where it looks so."""
    min_chars: int = Field(600, ge=1)
    """Paragraphs are joined until a segment has so many characters (Humpback: 600-3,000)."""
    max_chars: int = Field(3000, ge=1)
    """A segment has at most so many characters; longer paragraphs are cut at sentence ends."""
    max_tokens: int | None = Field(None, ge=1)
    """Segments of more tokens are left out as `too_long`; None: the prompt shortens them."""
    shortest: int = Field(150, ge=1)
    """Segments of fewer characters are not worth a candidate."""
    repeated_lines: int | None = Field(3, ge=2)
    """Lines that stand so often in a document are dropped from it; None keeps them."""
    boilerplate_lines: bool = True
    """Lines that are navigation, consent or copyright notices are dropped."""
    filters: Filters = Filters()
    """Which segments are not worth a candidate."""


class Endpoint(Section):
    """An OpenAI-compatible server (engine `endpoint`)."""

    url: str = "http://127.0.0.1:8000/v1"
    """Address of its API; a key comes from the environment variable OPENAI_API_KEY."""
    model: str | None = None
    """Name of the model there; None takes the only one that the server lists."""
    concurrency: int = Field(32, ge=1)
    """Requests under way at once."""
    retries: int = Field(6, ge=0)
    """Times that a refused or failed request is sent again, with backoff, honouring Retry-After."""
    timeout: float = Field(300.0, gt=0)
    """Seconds until a request without an answer has failed."""


class Generate(Section):
    """How instructions are generated."""

    engine: Literal["transformers", "vllm", "endpoint"] = "transformers"
    """What runs the model."""
    weights: Literal["adapter", "merged"] = "adapter"
    """What it runs: the adapter on its base, or the model of `synth finetune --merge`."""
    samples: int = Field(1, ge=1)
    """Instructions for each segment; `curate.rank` keeps the best."""
    scores: list[Literal["r_ifd", "ifd"]] = Field(default_factory=list)
    """What is measured of each candidate beside its log-probability (see README.md)."""
    temperature: float = Field(0.7, ge=0)
    """0 is greedy decoding (Humpback samples at 0.7)."""
    top_p: float = Field(0.9, gt=0, le=1)
    """Nucleus sampling's share."""
    seed: int = 17
    """Together with the segment id and the number of the sample this seeds each draw."""
    max_tokens: int = Field(2048, ge=64)
    """Tokens of the prompt; longer texts are shortened in their middle."""
    max_new_tokens: int = Field(128, ge=1)
    """Tokens of a generated instruction."""
    batch_tokens: int = Field(16384, ge=64)
    """Tokens of one batch, padding included (engine `transformers`)."""
    shard: int = Field(1024, ge=1)
    """Candidates of one shard, the most that a crash can lose."""
    stall_seconds: float = Field(600.0, gt=0)
    """An engine that finishes nothing for so long is taken for hanging, and the run ends."""
    price_per_hour: float | None = Field(None, ge=0)
    """What an hour of this machine costs, for `--dry-run`."""
    control: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Aspect -> value -> share of the instructions asked for; left out: as in the pairs."""
    vllm: dict[str, int | float | str | bool] = Field(default_factory=dict)
    """Further engine arguments of vLLM."""
    endpoint: Endpoint = Endpoint()
    """Where the server of engine `endpoint` is."""


class Curate(Section):
    """Thresholds of the rules; a row that fails one goes to `rejected/` with the rule's name."""

    rank: Literal["first", "logprob", "r_ifd", "ifd"] = "logprob"
    """Of a segment's good samples that of the best score stays; `first`: that of lowest number."""

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


class Export(Section):
    """What the dataset looks like."""

    test_share: float = Field(0.1, ge=0, lt=1)
    """Share of the documents that go to the test split."""
    licence: str | None = None
    """Licence of the dataset; None works it out from the corpus's licences."""

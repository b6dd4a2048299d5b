"""From candidates to what is kept."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from synth.settings.section import Section

Action = Literal["keep", "mask", "drop"]
Side = Literal["text", "instruction", "both"]
Score = Literal["first", "logprob", "r_ifd", "ifd"]
Share = Annotated[float, Field(ge=0, le=1)]
Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2}$")]


class OwnRule(Section):
    """A rule of the recipe's own: an SQL expression over a candidate's columns and measures."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """The reason that rejected rows get."""
    good: str
    """SQL expression, true of a good row, such as `text_words >= 50 AND licence <> 'unknown'`."""
    value: str | None = None
    """SQL expression of what is shown beside the reason; None shows the rule itself."""


class Duplicates(Section):
    """Which rows say the same as one that stays."""

    sides: list[Side] = Field(["text", "instruction"])
    """Sides that are compared, in this order; `both` compares the two as one text."""
    near: float | None = Field(0.7, ge=0.5, le=1)
    """Jaccard similarity of 5-word shingles from which two sides are the same; None: exact ones."""
    semantic: float | None = Field(None, gt=0, le=1)
    """Cosine of their embeddings from which two sides are the same; None: not compared."""
    keep: Literal["best", "first", "longest"] = "best"
    """Which of a cluster stays: the best by `curate.rank`, the first, or that of longest text."""


class Benchmark(Section):
    """Questions that must not be in the dataset: a file or a Hub dataset."""

    path: str | None = None
    """A file of questions: .jsonl, .parquet or .csv."""
    dataset: str | None = None
    """Hub id of a dataset of questions."""
    config: str | None = None
    """Config of the Hub dataset."""
    split: str = "test"
    """Split of the Hub dataset."""
    revision: str | None = None
    """Hub revision of the dataset."""
    question: str = "question"
    """Column of the question."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("a benchmark is either a `path` or a `dataset`")
        return self

    @property
    def name(self) -> str:
        """What it is called in the ledger and in evidence: `cais/mmlu (all)`, for one."""
        parts = [self.config] if self.config else []
        if self.dataset and self.split != "test":
            parts.append(self.split)
        place = self.path or self.dataset or ""
        return f"{place} ({', '.join(parts)})" if parts else place


class Contamination(Section):
    """Which rows hold questions of benchmarks."""

    benchmarks: list[Benchmark] = Field(
        default_factory=lambda: [Benchmark(dataset="cais/mmlu", config="all")]
    )
    """Where the questions come from; a Hub set out of reach is told of and passed over."""
    words: int = Field(13, ge=5)
    """A run of so many words in a row and in a question is a hit (GPT-3: 13)."""
    coverage: float = Field(0.0, ge=0, le=1)
    """Runs must cover this share of the question's words at least; 0: one run will do."""
    stock_questions: int = Field(4, ge=2)
    """A run that stands in so many different questions is stock wording and does not count."""
    ignore: list[str] = Field(default_factory=list)
    """Phrases whose runs do not count either."""


class Private(Section):
    """What becomes of private data, kind by kind: kept, masked alike (`<EMAIL_1>`), row dropped."""

    email: Action = "mask"
    """E-mail addresses."""
    phone: Action = "mask"
    """Telephone numbers."""
    iban: Action = "mask"
    """Bank account numbers whose check digits are right."""
    card: Action = "mask"
    """Payment card numbers whose check digit is right."""
    ip: Action = "mask"
    """Public IP addresses."""
    key: Action = "mask"
    """Keys, tokens and private key blocks."""
    engine: Literal["patterns", "presidio"] = "patterns"
    """`presidio` adds Microsoft Presidio's recognizers, where it is installed."""

    @property
    def actions(self) -> dict[str, Action]:
        """Kind -> what becomes of it."""
        kinds: dict[str, Action] = self.model_dump(exclude={"engine"})
        return kinds


class Select(Section):
    """Which of the good rows the dataset takes, when it cannot take all."""

    rows: int | None = Field(None, ge=1)
    """So many rows are taken, the best by `curate.rank` first; None takes all."""
    diversity: float | None = Field(None, gt=0, le=1)
    """A row is passed over while it is as similar as this to one taken before (DEITA's filter)."""
    over: Literal["shingles", "embeddings"] = "shingles"
    """Similarity: estimated Jaccard of the texts' shingles, or cosine of their embeddings."""
    quotas: dict[str, dict[str, Share]] = Field(default_factory=dict)
    """Column or metadata field -> value -> largest share of the rows; `*` is any other value."""
    per_document: int | None = Field(None, ge=1)
    """At most so many rows of one document."""
    per_template: int | None = Field(None, ge=1)
    """At most so many rows of one wording: the instruction without the words of its text."""
    seed: int = 17
    """Decides between rows of equal score."""

    @property
    def asks(self) -> bool:
        """Whether anything is left out at all."""
        caps = (self.rows, self.diversity, self.per_document, self.per_template)
        return bool(self.quotas) or any(cap is not None for cap in caps)

    @property
    def by_shingles(self) -> bool:
        """Whether rows are compared by the shingles of their texts."""
        return self.diversity is not None and self.over == "shingles"

    @property
    def by_embeddings(self) -> bool:
        """Whether rows are compared by the embeddings of their texts."""
        return self.diversity is not None and self.over == "embeddings"


class Curate(Section):
    """Thresholds of the rules; a row that fails one goes to `rejected/` with the rule's name."""

    rank: Score = "logprob"
    """Of a segment's good samples that of the best score stays; `first`: that of lowest number."""

    allow_licences: list[str] | None = None
    """Licences a document may have; None allows all."""
    deny_licences: list[str] = Field(default_factory=list)
    """Licences a document may not have."""
    min_instruction_chars: int = Field(10, ge=0)
    """Instructions are at least so long."""
    max_instruction_chars: int = Field(500, ge=1)
    """Instructions are at most so long (REInstruct: 500)."""
    max_length_ratio: float | None = Field(1.0, gt=0)
    """An instruction has at most so many characters for each one of its response."""
    max_copied_words: int = Field(12, ge=1)
    """An instruction holds no run of so many words of its response."""
    max_repeated_words: float = Field(0.5, ge=0, le=1)
    """At most this share of an instruction's words are repeats."""
    min_grounded_words: float = Field(0.5, ge=0, le=1)
    """At least this share of an instruction's content words stand in the response."""
    max_strange_numbers: int | None = Field(0, ge=0)
    """An instruction holds at most so many numbers that its response does not."""
    max_strange_names: int | None = Field(None, ge=0)
    """An instruction holds at most so many capitalized names that its response does not."""
    max_link_share: float = Field(0.2, ge=0, le=1)
    """At most this share of a response's characters belong to links."""
    max_symbol_share: float = Field(0.35, ge=0, le=1)
    """At most this share of a response's characters are neither letters nor spaces."""
    max_repeated_lines: float = Field(0.3, ge=0, le=1)
    """At most this share of a response's lines are repeats (Gopher: 0.3)."""
    max_top_ngrams: dict[PositiveInt, PositiveFloat] = Field(
        default_factory=lambda: {2: 0.2, 3: 0.18, 4: 0.16}
    )
    """Words of an n-gram -> share of a response that the most frequent one may cover (Gopher)."""
    max_repeated_ngrams: dict[PositiveInt, PositiveFloat] = Field(
        default_factory=lambda: {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1}
    )
    """Words of an n-gram -> share of a response that repeated ones may cover (Gopher)."""
    min_function_words: int = Field(2, ge=0)
    """A response has so many different common English words; 0 for other languages (Gopher: 2)."""
    same_language: bool = False
    """Instruction and response are of one language, by their script and by py3langid."""
    languages: list[Language] | None = None
    """Languages (ISO 639-1) a response may have; None allows all."""
    min_logprob: float = Field(-2.0, le=0)
    """Mean log-probability of the instruction under the model, nats per token."""
    max_logprob: float | None = Field(None, le=0)
    """The same from above: instructions that are too easily guessed say little."""
    r_ifd: tuple[float, float] | None = None
    """Lowest and highest r-IFD (loss of the instruction given the text over its loss alone)."""
    ifd: tuple[float, float] | None = None
    """Lowest and highest IFD; 1 and more: the instruction does not help to predict the text."""
    rules: list[OwnRule] = Field(default_factory=list)
    """Rules of the recipe's own, after those of synth."""
    contamination: Contamination = Contamination()
    """Which rows hold questions of benchmarks."""
    private: Private = Private()
    """What becomes of private data."""
    duplicates: Duplicates = Duplicates()
    """Which rows say the same as one that stays."""
    select: Select = Select()
    """Which of the good rows are taken."""
    embedder: str | None = None
    """Embedding model of `duplicates.semantic` and `select.over`: a Hub id or folder."""

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        limits = {
            "instruction_chars": (self.min_instruction_chars, self.max_instruction_chars),
            "logprob": (self.min_logprob, self.max_logprob),
            "r_ifd": self.r_ifd or (None, None),
            "ifd": self.ifd or (None, None),
        }
        for name, (least, most) in limits.items():
            if least is not None and most is not None and least > most:
                raise ValueError(f"{name} would be at least {least:g} and at most {most:g}")
        return self

    @model_validator(mode="after")
    def _embeds(self) -> Self:
        if self.embedder is None and self.embeds:
            raise ValueError("comparing embeddings needs a model; name one in curate.embedder")
        return self

    @property
    def embeds(self) -> bool:
        """Whether anything is compared by embeddings."""
        return self.select.by_embeddings or self.duplicates.semantic is not None

"""From a corpus to candidates."""

from typing import Literal, get_args

from pydantic import Field

from synth.settings.section import Section

Kind = Literal[
    "comparison", "howto", "explanation", "list", "rewriting", "writing", "sorting", "fact", "other"
]
Length = Literal["short", "medium", "long"]
Style = Literal["question", "query", "instruction"]
TRAITS: dict[str, tuple[str, ...]] = {
    "kind": get_args(Kind),
    "length": get_args(Length),
    "style": get_args(Style),
}
"""Aspect of an instruction -> the values that it can have; a language has any."""


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
    shard_seconds: float = Field(60.0, gt=0)
    """A shard is written before it is full when so much time has passed since the last."""
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

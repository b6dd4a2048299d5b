"""What several stages share: prompt, pairs, and the adapter's metadata."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from synth.errors import AdapterError, InputError, RunError
from synth.models.protocols import Models
from synth.prompt import Prompt
from synth.recipe import Recipe
from synth.records import Pair, content_id
from synth.settings import Pairs
from synth.store.files import write_json
from synth.store.pairs import read_pairs
from synth.store.versions import versions
from synth.tables.duplicates import near_any
from synth.text.control import line, traits
from synth.text.junk import NULL, junk
from synth.text.keywords import keywords

_FILE = "synth.json"


def prompt_of(recipe: Recipe) -> Prompt:
    """The recipe's prompt."""
    settings = recipe.prompt
    return Prompt(
        settings.style, settings.task, tuple(settings.control), settings.keywords, keywords
    )


def wanted_of(instruction: str, recipe: Recipe) -> str:
    """The control line of a pair with that instruction; empty when the recipe controls nothing."""
    return line(traits(instruction, recipe.prompt.control))


@dataclass(frozen=True, slots=True)
class PairSplit:
    """Pairs to learn from, pairs held out, and reason -> rows that became neither."""

    train: list[Pair]
    held_out: list[Pair]
    dropped: dict[str, int]

    def without(self, too_long: Iterable[str]) -> "PairSplit":
        """The same without the pairs of these ids, whose instructions are too long."""
        ids = set(too_long)
        train = [pair for pair in self.train if pair.id not in ids]
        held_out = [pair for pair in self.held_out if pair.id not in ids]
        count = len(self.train) + len(self.held_out) - len(train) - len(held_out)
        reason = {"instruction_too_long": count} if count else {}
        return PairSplit(train, held_out, self.dropped | reason)

    @property
    def hash(self) -> str:
        """Identity of the pairs, kept in the adapter's metadata."""
        return content_id(*(pair.id for pair in (*self.train, *self.held_out)))


def split_pairs(settings: Pairs) -> PairSplit:
    """The recipe's pairs, split by content: the same pairs are held out wherever they come from.

    Raises:
        InputError: For pairs that cannot be read, or too few to hold any out.
    """
    pool = read_pairs(settings)
    held_out, rest = pool.pairs[: settings.held_out], pool.pairs[settings.held_out :]
    responses = [
        pl.Series([p.response for p in part], dtype=pl.String) for part in (rest, held_out)
    ]
    near = near_any(responses[0], responses[1], settings.near_held_out).to_list()
    clear = [pair for pair, is_near in zip(rest, near, strict=True) if not is_near]
    train = clear[: settings.train]
    if not train:
        names = ", ".join(source.name for source in settings.sources)
        raise InputError(
            f"{names}: {len(pool.pairs)} pairs, of which {len(held_out)} are held out and"
            f" {sum(near)} like those: none is left to learn from; add pairs or lower"
            " pairs.held_out"
        )
    dropped = Counter(pool.dropped)
    dropped["near_held_out"] += sum(near)
    dropped["not_sampled"] += len(clear) - len(train)
    return PairSplit(train, held_out, {reason: n for reason, n in dropped.items() if n})


def learnt_pairs(adapter: Path, recipe: Recipe) -> list[Pair]:
    """The pairs that the adapter in that folder learnt from.

    Raises:
        RunError: Where the recipe's pairs have changed since, or there is no adapter.
        InputError: For pairs that cannot be read.
    """
    facts = adapter_facts(adapter)
    pairs = split_pairs(recipe.pairs).without(facts.get("too_long", []))
    if facts.get("pairs_hash", "") != pairs.hash:
        raise RunError(
            f"{adapter}: did not learn from the recipe's pairs as they are now; run"
            " `synth finetune`, or leave them out with --set export.include_pairs=false"
        )
    return pairs.train


def junk_pairs(pairs: Sequence[Pair], count: int, seed: int) -> list[Pair]:
    """So many unusable texts made from the first pairs' responses, each answered `null`."""
    return [Pair(NULL, junk(pair.response, seed), "junk") for pair in pairs[:count]]


def adapter_facts(adapter: Path) -> dict[str, Any]:
    """What lies beside an adapter's weights, whatever it fits; empty where nothing does."""
    try:
        return dict(json.loads((adapter / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


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
    """Fields of `LossPoint`; older adapters lack those after `held_out`."""
    control: dict[str, int] = field(default_factory=dict)
    """Control line -> training pairs that had it."""
    lengths: list[list[int]] = field(default_factory=list)
    """Characters of instruction and response, of some of the training pairs."""
    too_long: list[str] = field(default_factory=list)
    """Ids of the pairs that were left out because their instructions are too long."""

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


def provenance_of(recipe: Recipe, adapter: AdapterInfo) -> str:
    """What a candidate comes from beside its document, as JSON."""
    settings = recipe.generate
    facts = {
        "base": adapter.base,
        "base_identity": adapter.base_identity,
        "adapter": adapter.fingerprint,
        "prompt": adapter.prompt_hash,
        "engine": settings.engine,
        "weights": settings.weights,
        "sampling": {
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "max_new_tokens": settings.max_new_tokens,
            "seed": settings.seed,
        },
        "versions": versions(),
    }
    return json.dumps(facts, ensure_ascii=False)

"""What a dataset's card says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synth.settings.licences import hub_licence
from synth.store.dataset import Config

PLACE = "OWNER/NAME"
"""Stands for a dataset whose place on the Hub is not known."""

_SPOKEN = 0.05  # share of the responses from which a language is the dataset's; less may be error


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What people said of rows that the rules kept.

    Attributes:
        read: Rows that they read.
        good: Those that they marked good.
        bad: Those that they marked bad, which are gone.
        interval: Between which shares that of all rows lies, with 95 %.
    """

    read: int = 0
    good: int = 0
    bad: int = 0
    interval: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card says.

    Attributes:
        name: Of the recipe.
        base: The base model.
        version: Of synth.
        configs: As written, `messages` first.
        ledger: What `synth curate` counted.
        licence: The recipe's licence for the dataset, if it states one.
        licences: Licence that the metadata states ('' for none) -> rows.
        evaluation: What `synth evaluate` counted, if it ran.
        quantiles: Score or length -> its 5, 25, 50, 75 and 95 % quantiles.
        languages: ISO 639-1 code -> instructions and responses among `looked_at` rows.
        looked_at: Rows whose languages were told.
        samples: Instruction and response of some rows.
        pairs: Source -> pairs that the dataset includes.
        repo: Where the dataset is on the Hub.
        reviewed: What people said of the generated rows.
    """

    name: str
    base: str
    version: str
    configs: Sequence[Config]
    ledger: Mapping[str, Any]
    licence: str | None = None
    licences: Mapping[str, int] = field(default_factory=dict)
    evaluation: Mapping[str, Any] | None = None
    quantiles: Mapping[str, Sequence[float]] = field(default_factory=dict)
    languages: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    looked_at: int = 0
    samples: Sequence[tuple[str, str]] = ()
    pairs: Mapping[str, int] = field(default_factory=dict)
    repo: str = PLACE
    reviewed: Reviewed = Reviewed()

    def hub_licence(self) -> str:
        """The recipe's licence, or the one that every row has, else `other`."""
        if self.licence:
            return self.licence
        named = {hub_licence(name) for name in self.licences}
        found = named.pop() if len(named) == 1 and not self.pairs else None
        return found or "other"

    def spoken(self) -> list[str]:
        """Codes of the languages that enough responses are in."""
        return [
            code
            for code, (_, responses) in self.languages.items()
            if responses >= _SPOKEN * self.looked_at
        ]

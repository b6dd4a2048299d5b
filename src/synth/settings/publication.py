"""From what is kept to a dataset."""

import difflib
from typing import Literal

from pydantic import Field, field_validator

from synth.settings.licences import HUB_LICENCES, hub_licence
from synth.settings.section import Section

ConfigName = Literal["messages", "alpaca", "prompt_completion", "provenance", "rejected"]


class Export(Section):
    """What the dataset looks like."""

    test_share: float = Field(0.1, ge=0, lt=1)
    """Share of the documents that go to the test split."""
    licence: str | None = None
    """Licence of the dataset, as the Hub names it; None works it out from the corpus's licences."""
    configs: list[ConfigName] = Field(default=["messages"])
    """Layouts of the rows, each a config of its own; `messages` is the default one, and a must."""
    include_pairs: bool = False
    """Adds the pairs that the adapter learnt from to the train split, with the origin `pair`."""
    source_tag: bool = False
    """Opens every conversation with a system message that tells pairs from generated rows."""
    pair_tag: str = Field("Answer in the style of an AI Assistant.", min_length=1)
    """That system message for a pair (of Humpback, Li et al. 2023)."""
    generated_tag: str = Field("Answer with knowledge from web search.", min_length=1)
    """That system message for a row whose response is from the corpus (of the same)."""

    @field_validator("licence")
    @classmethod
    def _known(cls, licence: str | None) -> str | None:
        if licence is None:
            return None
        known = hub_licence(licence)
        if known is None:
            near = difflib.get_close_matches(licence.lower(), HUB_LICENCES, n=1)
            hint = f"did you mean {near[0]}?" if near else "such as cc-by-4.0;"
            raise ValueError(f"no licence that the Hub knows, {hint} `other` is for the rest")
        return known

    @field_validator("configs")
    @classmethod
    def _distinct(cls, configs: list[ConfigName]) -> list[ConfigName]:
        if "messages" not in configs or len(set(configs)) < len(configs):
            raise ValueError("names each layout once, `messages` among them")
        return configs

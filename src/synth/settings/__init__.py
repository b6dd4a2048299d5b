"""The sections of a recipe: every setting, its type, its default and what it means."""

from synth.settings.curation import (
    Benchmark,
    Contamination,
    Curate,
    Duplicates,
    OwnRule,
    Private,
    Select,
)
from synth.settings.fleet import Ray
from synth.settings.generation import (
    TRAITS,
    Corpus,
    Endpoint,
    Filters,
    Generate,
    Kind,
    Length,
    Style,
)
from synth.settings.publication import ConfigName, Export
from synth.settings.section import Section
from synth.settings.training import (
    TASK,
    Evaluate,
    Finetune,
    Lora,
    Model,
    Pairs,
    PairSource,
    PromptSettings,
    Value,
)

__all__ = [
    "TASK",
    "TRAITS",
    "Benchmark",
    "ConfigName",
    "Contamination",
    "Corpus",
    "Curate",
    "Duplicates",
    "Endpoint",
    "Evaluate",
    "Export",
    "Filters",
    "Finetune",
    "Generate",
    "Kind",
    "Length",
    "Lora",
    "Model",
    "OwnRule",
    "PairSource",
    "Pairs",
    "Private",
    "PromptSettings",
    "Ray",
    "Section",
    "Select",
    "Style",
    "Value",
]

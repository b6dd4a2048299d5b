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
from synth.settings.generation import Corpus, Endpoint, Filters, Generate
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
)

__all__ = [
    "TASK",
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
]

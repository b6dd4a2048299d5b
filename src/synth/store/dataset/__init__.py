"""Rows -> a dataset folder: parquet shards of every config, written whole or not at all."""

from synth.store.dataset.features import features
from synth.store.dataset.folder import (
    CARD,
    PROVENANCE,
    RECIPE,
    check_target,
    files_of,
    folders,
    holds,
    replacing,
    sizes_of,
)
from synth.store.dataset.layouts import GENERATED, PAIR, Layout, layout
from synth.store.dataset.reading import Rows
from synth.store.dataset.shards import Config, Split, joined, write_config

__all__ = [
    "CARD",
    "GENERATED",
    "PAIR",
    "PROVENANCE",
    "RECIPE",
    "Config",
    "Layout",
    "Rows",
    "Split",
    "check_target",
    "features",
    "files_of",
    "folders",
    "holds",
    "joined",
    "layout",
    "replacing",
    "sizes_of",
    "write_config",
]

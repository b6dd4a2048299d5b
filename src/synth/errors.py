"""The errors a user can meet. Each says in one line what is wrong, where, and what to do.

SynthError
├── RecipeError      a recipe, or a `--set`, that cannot be used
├── InputError       a file of pairs, a corpus or a mark that cannot be read
├── AdapterError     an adapter that does not fit the base model or the prompt
├── ModelError       a model that cannot be loaded, or an engine that is missing or fails
│   └── EndpointError    an endpoint that cannot be asked, refuses or fails
├── TrainingError    a training run that would teach nothing
│   └── TooLongError     an instruction that leaves no room for its text
├── NoGoError        an adapter that the report card advises against
├── HubError         a Hub that cannot be reached, or refuses
└── RunError         a run folder that lacks what a stage needs, or that the disk has no room for
"""

import shutil
from pathlib import Path

_FULL = 1 << 20  # bytes free below which a failed write is the disk's fault


class SynthError(Exception):
    """Base of all named errors: ends a command with exit status 1."""


class RecipeError(SynthError):
    """A recipe, or a `--set`, that cannot be used."""


class InputError(SynthError):
    """A file of pairs, a corpus or a mark that cannot be read."""


class AdapterError(SynthError):
    """An adapter that does not fit the base model or the prompt."""


class ModelError(SynthError):
    """A model that cannot be loaded, or an engine that is missing or fails."""


class EndpointError(ModelError):
    """An endpoint that cannot be asked, refuses or fails."""


class TrainingError(SynthError):
    """A training run that would teach nothing."""


class TooLongError(TrainingError):
    """An instruction that leaves no room for its text."""


class NoGoError(SynthError):
    """An adapter that the report card advises against."""


class HubError(SynthError):
    """A Hub that cannot be reached, or refuses."""


class RunError(SynthError):
    """A run folder that lacks what a stage needs, or that the disk has no room for."""


def is_full(error: Exception, folder: Path) -> bool:
    """Whether a write failed for want of room. Not every library says so; the disk does."""
    told = "no space left" in str(error).lower()
    return told or shutil.disk_usage(folder).free < _FULL

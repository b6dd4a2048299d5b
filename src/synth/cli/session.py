"""What a command works in: recipe, locked run folder, log, progress; errors as one line."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from synth.cli.drawing import drawing
from synth.cli.log import Log
from synth.cli.voice import remark, safe
from synth.errors import SynthError
from synth.records import WHOLE, Part

if TYPE_CHECKING:
    from synth.models.protocols import Models
    from synth.recipe import Recipe
    from synth.records import Listener
    from synth.store.run import Run


DEFAULT = "nano"
"""The recipe of a command that is told none."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with; `began` is a `time.monotonic()`."""

    run: "Run"
    recipe: "Recipe"
    listen: "Listener"
    wipe: Callable[[], None]
    began: float = field(default_factory=time.monotonic)


@contextmanager
def session_of(
    command: str,
    name: str | None,
    folder: Path | None,
    overrides: list[str] | None,
    *,
    writes: bool = True,
    quiet: bool = False,
    part: Part | None = None,
    own: bool = False,
) -> Iterator[Session]:
    """Recipe, locked run folder and progress; errors and Ctrl-C become one line and a status.

    A command that writes to the run has a log there: of what is written to `sys.stdout` and
    `sys.stderr` meanwhile nothing reaches the terminal (`voice.say` does). With `part` only that
    part of the corpus is locked, so that others can be worked on. Where no recipe is named it is
    `DEFAULT`, in a run of no other one, or with `own` what the run was last told.
    """
    with errors_told(logged=writes):
        from synth.recipe import load_recipe
        from synth.store.run import Run

        if name is None and own:
            folder = folder or Path("runs") / DEFAULT
            named = str(Run(folder).known())
        else:
            named = name or DEFAULT
        recipe = load_recipe(named, overrides or ())
        run = Run(folder or Path("runs") / recipe.name)
        if name is None and not own:
            run.check_recipe(recipe)
        alone, part = is_main(), part or WHOLE
        with run.lock(part) if writes and alone else nullcontext():
            if writes and alone:
                run.open(recipe)
            with (
                _log_of(run, command, part) if writes else nullcontext(),
                drawing(quiet or not alone) as (listen, wipe),
            ):
                yield Session(run, recipe, listen, wipe)


def _log_of(run: "Run", command: str, part: Part) -> Log:
    return Log(run.log(command, int(os.environ.get("RANK", "0")), part), command)


@contextmanager
def errors_told(*, logged: bool = False) -> Iterator[None]:
    """Errors and Ctrl-C become one line and a status; libraries are quiet unless a log has them."""
    _set_libraries(logged)
    try:
        yield
    except SynthError as error:
        remark(f"synth: {safe(' '.join(str(error).split()))}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        remark("synth: interrupted; the work so far is kept, the same command goes on")
        raise typer.Exit(130) from error


def _set_libraries(logged: bool) -> None:
    """What libraries may say; they read it as they are imported."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_VERBOSITY", "info" if logged else "error")
    os.environ.setdefault("DATASETS_VERBOSITY", "info" if logged else "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "info" if logged else "error")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "INFO" if logged else "ERROR")
    if not logged:
        # At import it reports that a faster 4-bit kernel for the CPU is not installed.
        for library in ("bitsandbytes", "transformers", "trl"):
            logging.getLogger(library).setLevel(logging.ERROR)


def is_main() -> bool:
    """Whether this process speaks and writes: of several that train together, the first."""
    return os.environ.get("RANK", "0") == "0"


def local_models() -> "Models":
    """The models of this machine; their libraries load when one is needed."""
    from synth.models.local import LocalModels

    return LocalModels()

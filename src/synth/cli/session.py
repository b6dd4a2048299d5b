"""What a command works in: recipe, locked run folder, progress; errors as one line."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from synth.cli.drawing import drawing, safe
from synth.errors import SynthError
from synth.records import WHOLE, Part

if TYPE_CHECKING:
    from synth.models.protocols import Models
    from synth.recipe import Recipe
    from synth.records import Listener
    from synth.store.run import Run


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with."""

    run: "Run"
    recipe: "Recipe"
    listen: "Listener"
    wipe: Callable[[], None]


@contextmanager
def session_of(
    name: str | None,
    folder: Path | None,
    overrides: list[str] | None,
    *,
    writes: bool = True,
    quiet: bool = False,
    part: Part | None = None,
) -> Iterator[Session]:
    """Recipe, locked run folder and progress; errors and Ctrl-C become one line and a status.

    With `part` only that part of the corpus is locked, so that others can be worked on.
    """
    with errors_told():
        from synth.recipe import load_recipe
        from synth.store.run import Run

        if name is None:  # as the run was last told
            folder = folder or Path("runs") / "nano"
            name = str(Run(folder).known())
        recipe = load_recipe(name, overrides or ())
        run = Run(folder or Path("runs") / recipe.name)
        if not is_main():
            yield Session(run, recipe, lambda _: None, lambda: None)
            return
        with run.lock(part or WHOLE) if writes else nullcontext(), drawing(quiet) as (listen, wipe):
            if writes:
                run.open(recipe)
            yield Session(run, recipe, listen, wipe)


@contextmanager
def errors_told() -> Iterator[None]:
    """Errors and Ctrl-C become one line and a status; libraries are told to be quiet."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # At import it reports that a faster 4-bit kernel for the CPU is not installed.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        yield
    except SynthError as error:
        typer.echo(f"synth: {safe(' '.join(str(error).split()))}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        typer.echo(
            "synth: interrupted; the work so far is kept, the same command goes on", err=True
        )
        raise typer.Exit(130) from error


def is_main() -> bool:
    """Whether this process speaks and writes: of several that train together, the first."""
    return os.environ.get("RANK", "0") == "0"


def local_models() -> "Models":
    """The models of this machine; their libraries load when one is needed."""
    from synth.models.local import LocalModels

    return LocalModels()

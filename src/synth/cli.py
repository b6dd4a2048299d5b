"""Command line -> stages: composes the parts, draws and prints; the only module that speaks."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth import __version__
from synth.errors import SynthError

if TYPE_CHECKING:
    from rich.console import Console

    from synth.models.protocols import Models
    from synth.recipe import Recipe
    from synth.records import Listener, Outcome, Progress
    from synth.store.run import Run

app = typer.Typer(
    help="Bootstrap instruction datasets from text nobody labelled,"
    " by teaching a model to work backwards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RecipeOption = Annotated[str, typer.Option("--recipe", help="Recipe name, or a YAML file.")]
RunOption = Annotated[
    Path | None, typer.Option("--run", help="Run folder.  [default: runs/<recipe name>]")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="section.key=value of the recipe; repeatable.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a machine's summary.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Stop at the first bad corpus line.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what it will take; load and write nothing.")
]
MergeOption = Annotated[
    bool, typer.Option("--merge", help="Fold the adapter into its base as well, into merged/.")
]
PushOption = Annotated[
    str | None,
    typer.Option(
        "--push-to-hub", metavar="OWNER/NAME", help="Send the adapter (or the merged model)."
    ),
]
PublicOption = Annotated[
    bool, typer.Option("--public", help="A repository made on the Hub is public, not private.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Go on although the report card says no-go.")
]
CorpusArgument = Annotated[
    list[str], typer.Argument(help="Corpus files (.jsonl).", metavar="CORPUS...")
]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_PLAIN_EVERY = 5.0  # seconds between two lines of progress without a terminal
_PAIRS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class _Session:
    """What a command works with."""

    run: "Run"
    recipe: "Recipe"
    listen: "Listener"
    wipe: Callable[[], None]


def main() -> None:
    """Entry point of the `synth` command."""
    app()


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"synth {__version__}")
        raise typer.Exit


@app.command()
def finetune(
    recipe: RecipeOption = "nano",
    run: RunOption = None,
    set_: SetOption = None,
    dry_run: DryRunOption = False,
    merge: MergeOption = False,
    push_to_hub: PushOption = None,
    public: PublicOption = False,
    as_json: JsonOption = False,
) -> None:
    """Pairs -> adapter: teach the base model to work backwards."""
    with _session(recipe, run, set_, writes=not dry_run) as session:
        from synth.stages.finetune import finetune as stage
        from synth.stages.merge import merge as fold

        models = _models()
        outcomes = [stage(session.run, session.recipe, models, session.listen, dry_run=dry_run)]
        if merge and models.main and not dry_run:
            outcomes.append(fold(session.run, session.recipe, models, session.listen))
        if push_to_hub and models.main and not dry_run:
            from synth.stages.push import push

            sent = push(
                session.run,
                session.recipe,
                models,
                push_to_hub,
                session.listen,
                merged=merge,
                public=public,
            )
            outcomes.append(sent)
        _tell(outcomes, session, as_json)


@app.command()
def evaluate(
    recipe: RecipeOption = "nano",
    run: RunOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Adapter + held-out pairs -> a report card, before against after."""
    with _session(recipe, run, set_) as session:
        from synth.stages.evaluate import evaluate as stage

        _tell([stage(session.run, session.recipe, _models(), session.listen)], session, as_json)


@app.command()
def backtranslate(
    corpus: CorpusArgument,
    recipe: RecipeOption = "nano",
    run: RunOption = None,
    set_: SetOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Corpus + adapter -> candidates: an instruction for every segment."""
    with _session(recipe, run, set_) as session:
        from synth.stages.backtranslate import backtranslate as stage

        outcome = stage(
            session.run, session.recipe, _models(), corpus, session.listen, strict=strict
        )
        _tell([outcome], session, as_json)


@app.command()
def curate(
    recipe: RecipeOption = "nano",
    run: RunOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Candidates -> curated + rejected, each with its reason, + ledger."""
    with _session(recipe, run, set_) as session:
        from synth.stages.curate import curate as stage

        _tell([stage(session.run, session.recipe, session.listen)], session, as_json)


@app.command()
def export(
    to: Annotated[Path, typer.Option("--to", help="Folder of the dataset.")],
    recipe: RecipeOption = "nano",
    run: RunOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Curated -> a dataset folder; curates first if nobody has."""
    with _session(recipe, run, set_) as session:
        from synth.stages.curate import curate as sort
        from synth.stages.export import export as stage

        outcomes = [sort(session.run, session.recipe, session.listen)]
        outcomes.append(stage(session.run, session.recipe, to, session.listen))
        _tell(outcomes, session, as_json)


@app.command()
def run(
    corpus: CorpusArgument,
    recipe: RecipeOption = "nano",
    run: RunOption = None,
    set_: SetOption = None,
    strict: StrictOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """All of it in order; what is done and unchanged is skipped."""
    with _session(recipe, run, set_) as session:
        from synth.stages.run import run_all

        outcomes = run_all(
            session.run,
            session.recipe,
            _models(),
            corpus,
            session.listen,
            strict=strict,
            force=force,
        )
        _tell(outcomes, session, as_json)
        if not as_json:
            _show_pairs(session.run)
            typer.echo(f"\nThe dataset lies in {session.run.dataset}")


@contextmanager
def _session(
    name: str, folder: Path | None, overrides: list[str] | None, *, writes: bool = True
) -> Iterator[_Session]:
    """Recipe, locked run folder and progress; errors and Ctrl-C become one line and a status."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        from synth.recipe import load_recipe
        from synth.store.run import Run

        recipe = load_recipe(name, overrides or ())
        run = Run(folder or Path("runs") / recipe.name)
        if not _is_main():
            yield _Session(run, recipe, lambda _: None, lambda: None)
            return
        with run.lock() if writes else nullcontext(), _drawing() as (listen, wipe):
            if writes:
                run.open(recipe)
            yield _Session(run, recipe, listen, wipe)
    except SynthError as error:
        typer.echo(f"synth: {_safe(' '.join(str(error).split()))}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        typer.echo(
            "synth: interrupted; the work so far is kept, the same command goes on", err=True
        )
        raise typer.Exit(130) from error


def _is_main() -> bool:
    """Whether this process speaks and writes: of several that train together, the first."""
    return os.environ.get("RANK", "0") == "0"


def _models() -> "Models":
    from synth.models.local import LocalModels

    return LocalModels()


# -- progress, to stderr -------------------------------------------------------------------------


@contextmanager
def _drawing() -> Iterator[tuple["Listener", Callable[[], None]]]:
    """A listener that draws bars on a terminal and lines elsewhere, and what wipes the bars."""
    if not sys.stderr.isatty():
        yield _plain_listener(), lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.fields[stage]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    bars = Bars(*columns, console=Console(stderr=True), transient=True)
    tasks: dict[str, Any] = {}

    def listen(progress: "Progress") -> None:
        fields: dict[str, Any] = {
            "stage": progress.stage,
            "unit": progress.unit,
            "note": _safe(progress.note),
        }
        if progress.stage not in tasks:
            bars.start()
            tasks[progress.stage] = bars.add_task("", total=None, **fields)
        total = progress.total or None
        bars.update(tasks[progress.stage], completed=progress.done, total=total, **fields)

    def wipe() -> None:
        for task in tasks.values():
            bars.remove_task(task)
        tasks.clear()
        bars.stop()

    try:
        yield listen, wipe
    finally:
        wipe()


def _plain_listener() -> "Listener":
    last = {"": 0.0}

    def listen(progress: "Progress") -> None:
        now = time.monotonic()
        ends = progress.done == progress.total > 0
        if progress.stage in last and now - last[progress.stage] < _PLAIN_EVERY and not ends:
            return
        last[progress.stage] = now
        amount = f" {progress.done}/{progress.total} {progress.unit}s" if progress.total else ""
        note = f" ({_safe(progress.note)})" if progress.note else ""
        typer.echo(f"{progress.stage}:{amount}{note}", err=True)

    return listen


# -- results, to stdout --------------------------------------------------------------------------


def _tell(outcomes: Iterable["Outcome"], session: _Session, as_json: bool) -> None:
    """Prints what each stage did as it is done; as JSON, all of it in one object at the end."""
    if not _is_main():
        return
    if as_json:
        stages = {o.stage: {"skipped": o.skipped, **o.counts} for o in outcomes}
        session.wipe()
        typer.echo(
            json.dumps({"run": str(session.run.folder), "stages": stages}, ensure_ascii=False)
        )
        return
    for outcome in outcomes:
        session.wipe()
        show = {"evaluate": _show_evaluation, "curate": _show_ledger}.get(
            outcome.stage, _show_counts
        )
        show(outcome)


def _show_counts(outcome: "Outcome") -> None:
    state = "planned" if outcome.planned else "unchanged" if outcome.skipped else "done"
    typer.echo(f"{outcome.stage}: {state}: {_safe(_facts(outcome.counts))}")


def _facts(counts: dict[str, Any]) -> str:
    """Counts in words; what they are made of stands in brackets."""
    return ", ".join(
        f"{key.replace('_', ' ')} ({_facts(value)})"
        if isinstance(value, dict)
        else f"{key.replace('_', ' ')} {value}"
        for key, value in counts.items()
        if value != {}
    )


def _show_evaluation(outcome: "Outcome") -> None:
    counts = outcome.counts
    columns = ("before", "after", "reference")
    names = list(dict.fromkeys(name for column in columns for name in counts[column]))
    rows = [
        (
            name.replace("_", " "),
            *(f"{counts[c][name]:g}" if name in counts[c] else "" for c in columns),
        )
        for name in names
    ]
    _table(f"Report card: {counts['held_out']} held-out pairs", ("", *columns), rows)
    samples = [(s["text"], s["before"], s["after"], s["reference"]) for s in counts["samples"]]
    _table("Before and after", ("text", *columns), samples, lined=True)
    for name, check in counts["checks"].items():
        bound = (
            f"at least {check['at_least']}"
            if "at_least" in check
            else f"at most {check['at_most']}"
        )
        state = "passed" if check["passed"] else "FAILED"
        typer.echo(f"  {state}  {name.replace('_', ' ')} {check['value']:g} ({bound})")
    verdict = "go" if counts["go"] else "NO-GO: not fit to generate with"
    state = "unchanged" if outcome.skipped else "done"
    typer.echo(f"evaluate: {state}: {verdict}")


def _show_ledger(outcome: "Outcome") -> None:
    counts = outcome.counts
    segments = counts["segments"]
    rows = [
        (bucket, f"{n}", f"{n / max(1, segments):.1%}") for bucket, n in counts["buckets"].items()
    ]
    rows.append(("all segments", f"{segments}", "100.0%"))
    title = f"Ledger: {counts['documents']} documents, {counts['bad_lines']} bad lines"
    if counts["repeated_documents"]:
        title += f", {counts['repeated_documents']} repeated documents"
    _table(title, ("bucket", "segments", "share"), rows)


def _show_pairs(run: "Run") -> None:
    """Ten pairs, evenly spaced over the kept rows."""
    import polars as pl

    rows = pl.read_parquet(run.curated, columns=["instruction", "text"])
    step = max(1, rows.height // _PAIRS_SHOWN)
    shown = rows.gather_every(step).head(_PAIRS_SHOWN)
    title = f"{shown.height} of {rows.height} pairs"
    _table(
        title, ("instruction (generated)", "response (from the corpus)"), list(shown.iter_rows())
    )


def _table(
    title: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    *,
    lined: bool = False,
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE, title_justify="left", show_lines=lined)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_safe(_short(cell))) for cell in row))
    _console().print(table)


def _console() -> "Console":
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=120)


def _short(text: str, limit: int = 280) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _safe(text: str) -> str:
    """The text without characters that command a terminal or turn its direction."""
    return _CONTROL.sub("\ufffd", text)

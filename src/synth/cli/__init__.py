"""Command line -> stages: composes the parts, draws and prints; the only room that speaks."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from synth import __version__
from synth.cli.options import (
    BranchOption,
    CorpusArgument,
    DryRunOption,
    ForceOption,
    FromOption,
    JsonOption,
    MergeOption,
    OnOption,
    PairsOption,
    PrOption,
    PublicOption,
    PushOption,
    QuietOption,
    RecipeOption,
    RunOption,
    RunRecipeOption,
    SetOption,
    ShardOption,
    StrictOption,
    TagOption,
    ToHubOption,
    ToOption,
    WhatIfOption,
)
from synth.cli.session import DEFAULT, errors_told, local_models, session_of
from synth.cli.show import serve, show_pairs, tell, tell_difference
from synth.cli.voice import say
from synth.records import WHOLE

if TYPE_CHECKING:
    from synth.records import Outcome

app = typer.Typer(
    help="Bootstrap instruction datasets from text nobody labelled,"
    " by teaching a model to work backwards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
    recipe: RecipeOption = None,
    run: RunOption = None,
    set_: SetOption = None,
    dry_run: DryRunOption = False,
    merge: MergeOption = False,
    push_to_hub: PushOption = None,
    public: PublicOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Pairs -> adapter: teach the base model to work backwards."""
    if public and push_to_hub is None:
        raise typer.BadParameter("goes with --push-to-hub", param_hint="--public")
    with session_of("finetune", recipe, run, set_, writes=not dry_run, quiet=quiet) as session:
        from synth.stages.finetune import finetune as stage
        from synth.stages.merge import merge as fold
        from synth.stages.push import check_login, push

        where, models = (session.run, session.recipe), local_models()
        if push_to_hub and models.main:
            check_login(push_to_hub)

        def outcomes() -> Iterator["Outcome"]:
            yield stage(*where, models, session.listen, dry_run=dry_run)
            if dry_run or not models.main:
                return
            if merge:
                yield fold(*where, models, session.listen)
            if push_to_hub:
                yield push(*where, models, push_to_hub, session.listen, merged=merge, public=public)

        tell(outcomes(), session, as_json)


@app.command()
def evaluate(
    recipe: RecipeOption = None,
    run: RunOption = None,
    set_: SetOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Adapter + held-out pairs -> a report card, before against after."""
    with session_of("evaluate", recipe, run, set_, quiet=quiet) as session:
        from synth.stages.evaluate import evaluate as stage

        tell([stage(session.run, session.recipe, local_models(), session.listen)], session, as_json)


@app.command()
def backtranslate(
    corpus: CorpusArgument,
    recipe: RecipeOption = None,
    run: RunOption = None,
    set_: SetOption = None,
    strict: StrictOption = False,
    shard: ShardOption = None,
    on: OnOption = "here",
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Corpus + adapter -> candidates: an instruction for every segment."""
    if shard and dry_run:
        raise typer.BadParameter("goes without --dry-run", param_hint="--shard")
    if shard and on == "ray":
        raise typer.BadParameter("goes without --on ray", param_hint="--shard")
    with session_of(
        "backtranslate", recipe, run, set_, writes=not dry_run, quiet=quiet, part=shard
    ) as session:
        where, listen = (session.run, session.recipe, local_models(), corpus), session.listen
        if dry_run:
            from synth.stages.estimate import estimate

            tell([estimate(*where, listen, on_ray=on == "ray", strict=strict)], session, as_json)
            return
        if on == "ray":
            from synth.stages.on_ray import backtranslate_on_ray

            tell([backtranslate_on_ray(*where, listen, strict=strict)], session, as_json)
            return
        from synth.stages.backtranslate import backtranslate as stage

        tell([stage(*where, listen, part=shard or WHOLE, strict=strict)], session, as_json)


@app.command()
def curate(
    recipe: RecipeOption = None,
    run: RunOption = None,
    set_: SetOption = None,
    from_: FromOption = None,
    on: OnOption = "here",
    explain: Annotated[
        str | None, typer.Option("--explain", help="Tell the story of the segment of this id.")
    ] = None,
    what_if: WhatIfOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Candidates -> curated + rejected, each with its reason, + ledger."""
    if from_ and (explain is not None or what_if):
        raise typer.BadParameter("goes alone: the run remembers it", param_hint="--from")
    if explain is not None and what_if:
        raise typer.BadParameter("goes without --what-if", param_hint="--explain")
    if on == "ray" and (explain is not None or what_if):
        raise typer.BadParameter("goes without --explain and --what-if", param_hint="--on")
    with session_of(
        "curate", recipe, run, set_, writes=explain is None and not what_if, quiet=quiet
    ) as session:
        if what_if:
            from synth.recipe import load_recipe
            from synth.stages.curate import what_if as sweep

            key, _, values = what_if[0].partition("=")
            if not key.startswith("curate.") or not values:
                raise typer.BadParameter("is curate.SETTING=V1,V2,...", param_hint="--what-if")
            # Commas within brackets are a value's own.
            apart = re.split(r",(?![^][{}]*[]}])", values)
            tried = {value: f"{key}={value}" for value in apart}
            recipes = {
                v: load_recipe(recipe or DEFAULT, [*(set_ or ()), one]) for v, one in tried.items()
            }
            tell([sweep(session.run, recipes, local_models())], session, as_json)
            return
        if explain is not None:
            from synth.stages.explain import explain as tell_of

            tell([tell_of(session.run, session.recipe, explain)], session, as_json)
            return
        work = (session.run, session.recipe, local_models(), session.listen)
        if on == "ray":
            from synth.stages.curate_on_ray import curate_on_ray

            tell([curate_on_ray(*work, sources=from_ or ())], session, as_json)
            return
        from synth.stages.curate import curate as stage

        tell([stage(*work, sources=from_ or ())], session, as_json)


@app.command()
def export(
    to: ToOption = None,
    to_hub: ToHubOption = None,
    public: PublicOption = False,
    branch: BranchOption = None,
    pr: PrOption = False,
    tag: TagOption = None,
    include_pairs: PairsOption = False,
    on: OnOption = "here",
    recipe: RecipeOption = None,
    run: RunOption = None,
    set_: SetOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Curated -> a dataset folder, or a dataset on the Hub; curates first if nobody has."""
    if to is None and to_hub is None:
        raise typer.BadParameter("say --to DIR or --to-hub OWNER/NAME", param_hint="--to")
    if to_hub is None and (branch or pr or tag or public):
        raise typer.BadParameter("goes with --to-hub", param_hint="--branch, --pr, --tag, --public")
    if branch and pr:
        raise typer.BadParameter("a pull request goes to main", param_hint="--branch, --pr")
    if include_pairs:
        set_ = [*(set_ or ()), "export.include_pairs=true"]
    with session_of("export", recipe, run, set_, quiet=quiet) as session:
        from synth.stages.publish import Destination, check_login, publish_dataset
        from synth.store.dataset import check_target

        if on == "ray":
            from synth.stages.curate_on_ray import curate_on_ray as sort
            from synth.stages.export_on_ray import export_on_ray as stage
        else:
            from synth.stages.curate import curate as sort
            from synth.stages.export import export as stage

        work, listen, folder = (
            (session.run, session.recipe),
            session.listen,
            to or session.run.dataset,
        )

        check_target(folder)
        where = check_login(Destination(to_hub, public, branch, pr, tag)) if to_hub else None
        repo = where.repo if where else None

        def outcomes() -> Iterator["Outcome"]:
            yield sort(*work, local_models(), listen)
            yield stage(*work, folder, listen, repo=repo)
            if where:
                yield publish_dataset(session.run, folder, where, listen)

        tell(outcomes(), session, as_json)


@app.command()
def diff(
    old: Annotated[
        str, typer.Argument(help="Run folder, dataset folder, or OWNER/NAME[@REVISION].")
    ],
    new: Annotated[str, typer.Argument(help="The same, of the later version.")],
    as_json: JsonOption = False,
) -> None:
    """Two versions of a dataset -> what became of rows, reasons, scores and settings."""
    with errors_told():
        from synth.stages.diff import diff as stage

        tell_difference(stage(old, new), as_json)


@app.command()
def report(
    recipe: RunRecipeOption = None,
    run: RunOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Everything in the run -> one HTML page."""
    with session_of("report", recipe, run, None, quiet=quiet, own=True) as session:
        from synth.stages.report import report as stage

        tell([stage(session.run, session.recipe, local_models(), session.listen)], session, as_json)


@app.command()
def review(
    recipe: RunRecipeOption = None,
    run: RunOption = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Kept rows to read.")] = 200,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """A page on this machine to mark rows good or bad on, until Ctrl-C."""
    with session_of("review", recipe, run, None, writes=False, quiet=quiet, own=True) as session:
        from synth.stages.review import review as stage

        served = stage(session.run, session.recipe, local_models(), rows, port, session.listen)
        serve(served, session, as_json)


@app.command()
def run(
    corpus: CorpusArgument,
    recipe: RecipeOption = None,
    run: RunOption = None,
    set_: SetOption = None,
    strict: StrictOption = False,
    force: ForceOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """All of it in order; what is done and unchanged is skipped."""
    with session_of("run", recipe, run, set_, quiet=quiet) as session:
        from synth.stages.run import run_all

        outcomes = run_all(
            session.run,
            session.recipe,
            local_models(),
            corpus,
            session.listen,
            strict=strict,
            force=force,
        )
        tell(outcomes, session, as_json)
        if not as_json:
            show_pairs(session.run)
            say(f"\nThe dataset lies in {session.run.dataset}")
            say(f"The report is {session.run.report}")

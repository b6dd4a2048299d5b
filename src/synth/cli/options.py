"""What commands take: the options and arguments that several share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from synth.records import Part


def _part(text: str) -> Part:
    try:
        return Part.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _not_empty(value: str | None) -> str | None:
    """The value; an empty one is that of a shell's variable that nobody set."""
    if value == "":
        raise typer.BadParameter("is empty")
    return value


def _folder(text: str) -> Path:
    """The folder; typer's own reading would take an empty name for the current one."""
    _not_empty(text)
    return Path(text)


def _once(values: list[str] | None) -> list[str] | None:
    """The only value; of several the last alone would count."""
    if values and len(values) > 1:
        raise typer.BadParameter("takes one setting; ask for each by itself")
    return values


RecipeOption = Annotated[
    str | None,
    typer.Option("--recipe", help="Recipe name, or a YAML file.", show_default="nano"),
]
RunRecipeOption = Annotated[
    str | None,
    typer.Option("--recipe", help="Recipe name, or a YAML file.", show_default="that of the run"),
]
RunOption = Annotated[
    Path | None,
    typer.Option(
        "--run",
        metavar="<path>",
        parser=_folder,
        help="Run folder.",
        show_default="runs/<recipe name>",
    ),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="section.key=value of the recipe; repeatable.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a machine's summary.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print results only, no progress.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Stop at the first bad corpus line.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what it will take; write nothing.")
]
ToOption = Annotated[
    Path | None,
    typer.Option("--to", metavar="<path>", parser=_folder, help="Folder of the dataset."),
]
MergeOption = Annotated[
    bool, typer.Option("--merge", help="Fold the adapter into its base as well, into merged/.")
]
PushOption = Annotated[
    str | None,
    typer.Option(
        "--push-to-hub",
        metavar="OWNER/NAME",
        help="Send the adapter (or the merged model).",
        callback=_not_empty,
    ),
]
PublicOption = Annotated[
    bool, typer.Option("--public", help="A repository made on the Hub is public, not private.")
]
ToHubOption = Annotated[
    str | None,
    typer.Option(
        "--to-hub", metavar="OWNER/NAME", help="Publish it on the Hub.", callback=_not_empty
    ),
]
BranchOption = Annotated[
    str | None,
    typer.Option("--branch", help="Publish to this branch, not to main.", callback=_not_empty),
]
PrOption = Annotated[bool, typer.Option("--pr", help="Publish as a pull request to main.")]
TagOption = Annotated[
    str | None, typer.Option("--tag", help="Tag what is published.", callback=_not_empty)
]
PairsOption = Annotated[
    bool, typer.Option("--include-pairs", help="Add the pairs that were learnt from, marked.")
]
ShardOption = Annotated[
    Part | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        parser=_part,
        help="Work on the I-th of N parts of the corpus; N processes do all of it.",
    ),
]
FromOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--from",
        metavar="RUN",
        parser=_folder,
        help="Take the candidates of this run folder; repeatable, remembered in --run.",
    ),
]
WhatIfOption = Annotated[
    list[str] | None,
    typer.Option(
        "--what-if",
        metavar="<str>",
        help="curate.SETTING=V1,V2,...: segments each would keep.",
        callback=_once,
    ),
]
OnOption = Annotated[
    Literal["here", "ray"],
    typer.Option("--on", help="Where: on this machine, or on the recipe's Ray cluster."),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Go on although the report card says no-go.")
]
CorpusArgument = Annotated[
    list[str],
    typer.Argument(
        help="Corpus: files, folders, globs, hub:OWNER/NAME, or - (standard input).",
        metavar="CORPUS...",
    ),
]

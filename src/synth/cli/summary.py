"""What a stage did -> a small table for people: its state, the time it took, its facts in words."""

from typing import TYPE_CHECKING, Any

from synth.cli import voice
from synth.cli.pace import duration
from synth.cli.voice import safe

if TYPE_CHECKING:
    from synth.records import Outcome

_WORDS = {
    "pairs": "pairs to learn from",
    "unusable_texts": "unusable texts, to decline",
    "held_out": "pairs held out",
    "dropped": "rows that became no pair",
    "shortened": "texts shortened to fit",
    "steps": "steps of training",
    "best_step": "step of the lowest held-out loss",
    "resumed_from": "gone on from step",
    "trainable": "parameters to train",
    "trainable_parameters": "parameters trained",
    "supervised_tokens": "tokens learnt",
    "parameters": "parameters in all",
    "tokens": "tokens of all examples",
    "memory_gib": "memory in GiB, estimated",
    "largest_logit_gap": "largest logit difference",
    "onto": "merged onto the",
    "compared": "held-out prompts compared",
    "bad_lines": "lines without a document",
    "repeated_documents": "documents met before",
    "empty_documents": "documents without a segment",
    "dropped_lines": "lines left out of documents",
    "skipped": "segments skipped",
    "candidates": "instructions asked for",
    "reused": "found from an earlier run",
    "generated": "generated now",
    "engine_errors": "failed in the engine",
    "new_tokens": "tokens generated",
    "pairs_per_hour": "candidates an hour",
    "sampled_share": "share of the corpus sampled",
    "adapter": "with the adapter",
    "merged": "with the merged model",
    "train": "rows in train",
    "test": "rows in test",
    "configs": "rows in other configs",
    "url": "address",
    "kept": "segments kept",
}
"""Names of counts that do not say by themselves what they are."""


def state_of(outcome: "Outcome", seconds: float) -> str:
    """As `curate: done in 0:00:12`."""
    if outcome.planned or outcome.skipped:
        return f"{outcome.stage}: {'planned' if outcome.planned else 'unchanged'}"
    return f"{outcome.stage}: done in {duration(seconds)}"


def show_summary(outcome: "Outcome", seconds: float) -> None:
    """Prints the table of a stage that has none of its own."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in outcome.counts.items():
        if value is not None and value != {} and (key, value) != ("resumed_from", 0):
            table.add_row(_WORDS.get(key, _plain(key)), Text(safe(_told(value))))
    console = voice.console(voice.stdout())
    console.print(Text(state_of(outcome, seconds), style="bold"))
    console.print(table)


def facts_told(counts: dict[str, Any]) -> str:
    """Counts in a line; what they are made of stands in brackets."""
    return ", ".join(
        f"{_plain(key)} ({_told(value)})"
        if isinstance(value, dict)
        else f"{_plain(key)} {_told(value)}"
        for key, value in counts.items()
        if value != {}
    )


def _told(value: Any) -> str:  # noqa: ANN401
    """A fact for people."""
    if isinstance(value, dict):
        return facts_told(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _plain(name: str) -> str:
    return name.replace("_", " ")

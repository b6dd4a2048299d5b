"""Facts about a dataset -> its card, README.md with metadata; what people wrote in it stays."""

from synth.store.card.body import body
from synth.store.card.changes import change_line, with_changes
from synth.store.card.facts import PLACE, CardFacts, Reviewed
from synth.store.card.metadata import metadata_of
from synth.store.card.notes import NOTES, with_notes

__all__ = [
    "NOTES",
    "PLACE",
    "CardFacts",
    "Reviewed",
    "card",
    "change_line",
    "with_changes",
    "with_notes",
]


def card(facts: CardFacts) -> str:
    """The text of README.md, its parts that outlive it still blank."""
    return f"---\n{metadata_of(facts)}---\n\n{body(facts)}"

"""Facts about a dataset -> its card, README.md with metadata; what people wrote in it stays."""

from synth.store.card.body import body
from synth.store.card.facts import PLACE, CardFacts
from synth.store.card.metadata import metadata_of
from synth.store.card.notes import notes_of, with_notes

__all__ = ["PLACE", "CardFacts", "card", "notes_of", "with_notes"]


def card(facts: CardFacts, old_card: str = "") -> str:
    """The text of README.md.

    Args:
        facts: What it says.
        old_card: A card that it takes the place of; the notes that people wrote in it are kept.
    """
    text = f"---\n{metadata_of(facts)}---\n\n{body(facts)}"
    return with_notes(text, old_card)

"""The part of a card that says what changed since the version before, the latest change first."""

from collections.abc import Mapping
from typing import Any

from synth.store.card.markdown import code
from synth.store.card.notes import Part

CHANGES = Part("changes", "First version.")
_MOST = 30  # settings and buckets named of one change
_KEPT = 50  # lines that tell of older changes


def with_changes(card: str, old_card: str, told: str | None) -> str:
    """The card with what the old one said of changes, and with a change more.

    Args:
        card: A new card.
        old_card: The one that it takes the place of.
        told: The change, in a line; None when nothing changed.
    """
    before = (CHANGES.of(old_card) or CHANGES.empty).strip()
    if told is None:
        return CHANGES.put(card, f"\n{before}\n\n")
    lines = [line for line in before.splitlines() if line.startswith("- ")][: _KEPT - 1]
    return CHANGES.put(card, "\n" + "\n".join([f"- {told}", *lines]) + "\n\n")


def change_line(changed: Mapping[str, Any]) -> str:
    """What `synth diff` counts of two datasets, in one line."""
    rows = changed["rows"]
    parts = [
        f"{rows['added']} rows added, {rows['removed']} removed, {rows['changed']} changed,"
        f" {rows['same']} the same"
    ]
    if rows["logprob"]["moved"]:
        parts.append(f"median log-probability of those in both moved by {rows['logprob']['moved']}")
    for name in ("segments", "settings"):
        pairs = [
            f"{code(key)} {code(str(old))} to {code(str(new))}"
            for key, (old, new) in changed[name].items()
        ]
        if pairs:
            more = f" and {len(pairs) - _MOST} more" if len(pairs) > _MOST else ""
            parts.append(f"{name}: {', '.join(pairs[:_MOST])}{more}")
    return "; ".join(parts) + "."

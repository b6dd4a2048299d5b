"""Two runs, dataset folders or Hub datasets -> what became of rows, reasons and settings."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from synth.records import Outcome
from synth.store.snapshot import snapshot
from synth.tables.difference import difference, settings_changed, shifts

STAGE = "diff"
_SIZES = ("changed", "added", "removed")


def differs(counts: Mapping[str, Any]) -> bool:
    """Whether the two versions that `diff` counted differ at all."""
    rows = any(counts["rows"][size] for size in _SIZES)
    return rows or bool(counts["segments"] or counts["settings"])


def diff(old: str, new: str) -> Outcome:
    """Compares two versions of a dataset; writes nothing.

    Args:
        old: A run folder, a dataset folder, or a Hub dataset (`OWNER/NAME` or with `@REVISION`).
        new: The same, of the later version.

    Raises:
        SynthError: When one of them is none of these, or cannot be read.
    """
    before, after = snapshot(old), snapshot(new)
    return Outcome(
        STAGE,
        {
            "old": before.name,
            "new": after.name,
            "rows": asdict(difference(before.rows(), after.rows())),
            "segments": shifts(before.buckets, after.buckets),
            "settings": settings_changed(before.recipe, after.recipe),
        },
    )

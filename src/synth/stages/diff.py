"""Two runs, dataset folders or Hub datasets -> what became of rows, reasons and settings."""

from dataclasses import asdict

from synth.records import Outcome
from synth.store.snapshot import snapshot
from synth.tables.difference import difference, settings_changed, shifts

STAGE = "diff"


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
            "rows": asdict(difference(before.rows, after.rows)),
            "segments": shifts(before.buckets, after.buckets),
            "settings": settings_changed(before.recipe, after.recipe),
        },
    )

"""Rows -> which of them hang together, so that the fate of one can depend on that of another."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.settings import Duplicates
from synth.settings.curation import Side
from synth.tables.groups import Groups, Rows
from synth.tables.near import hanging
from synth.tables.sketches import Sketch
from synth.tables.words import Hashes


def linked(
    segments: pl.Series,
    sketches: Mapping[Side, Sketch],
    rows: Rows,
    settings: Duplicates,
    *,
    sure: bool,
    compiled: bool,
) -> Rows:
    """For each row the place of the first that it hangs together with, its own where it is alone.

    Together are the samples of a segment, equal texts, and those whose signatures are equal in a
    band, and so on from row to row. Whatever further rows go, one that is alone neither goes for
    another nor sends one away. By their meaning any two rows may be alike: where embeddings are
    compared all are together.

    Args:
        segments: Of all rows the segment.
        sketches: Side -> what is remembered of the texts of all rows.
        rows: Those that are asked about, ascending.
        settings: What is compared.
        sure: `Settling` decides on the rows that are together without regard to others; otherwise
            fewer are together, and those that are not alone must be settled all at once.
        compiled: Whether to compile the loops; the result is the same.
    """
    if settings.semantic is not None:
        return np.zeros(rows.size, np.int64)
    groups = Groups(rows.size, compiled=compiled)
    groups.join(*equal(segments.to_numpy()[rows]))
    for name in settings.sides:
        prints = sketches[name].prints[rows]
        later, earlier = equal(prints)
        said = prints[later] != 0
        groups.join(later[said], earlier[said])
        if settings.near is not None:
            slots = sketches[name].slots
            for later, earlier in hanging(slots, rows, settings.near, sure=sure, compiled=compiled):
                groups.join(later, earlier)
    return groups.firsts()


def equal(keys: Hashes | npt.NDArray[np.uint64]) -> tuple[Rows, Rows]:
    """Places of later and earlier rows of equal keys, each with the one before it."""
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    return order[same + 1], order[same]

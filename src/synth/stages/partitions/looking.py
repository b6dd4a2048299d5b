"""A partition -> what is remembered of each of its rows, and what it is met by."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from synth.settings.curation import Side
from synth.stages.partitions.naming import rows_of
from synth.stages.partitions.work import Sorting, looking, ranked_by, save
from synth.store.candidate_rows import Stretch
from synth.store.files import whole, write_parquet
from synth.store.spills import parted, write_spill
from synth.tables.curation import look_at
from synth.tables.groups import Rows
from synth.tables.meeting import keys, kinds
from synth.tables.settling import Settling
from synth.tables.sketches import Sketch

_SAMPLE = 16  # scores of a partition that tell where those of all rows lie
_KEYS = {"key": pl.UInt64, "row": pl.UInt32}


def look(work: Sorting, number: int, partition: Sequence[Stretch]) -> dict[str, Any]:
    """Looks at the partition's rows, each by itself; leaves what they are met by, for `meet`.

    Of a segment's samples the best is found, as far as they are here.

    Returns:
        `rows`, `lost` of them without an answer, `spared`, and a `sample` of scores.
    """

    def make() -> dict[str, Any]:
        rows = rows_of(work, number, partition)
        settings, (tools, eyes) = work.recipe.curate, looking(work)
        seen = look_at(rows, eyes, lambda _: None)
        settling = Settling(
            seen.facts, [seen.claims], seen.sketches, rows, tools, compiled=work.compiled
        )
        settling.outrank(settings.rank)
        is_open = pl.Series("open", settling.open)
        with whole(work.path("facts", number, "arrow")) as part:
            seen.facts.drop("rank").with_columns(is_open).write_ipc(part)
        write_parquet(work.path("claims", number, "parquet"), settling.claimed())
        for side, sketch in seen.sketches.items():
            save(work.path(f"prints-{side}", number, "npy"), sketch.prints)
            save(work.path(f"slots-{side}", number, "npy"), sketch.slots)
        _leave_keys(work, number, np.flatnonzero(settling.open), seen.facts, seen.sketches)
        scores = seen.facts.select(*ranked_by())
        step = max(1, scores.height // _SAMPLE)
        return {
            "rows": rows.count,
            "lost": rows.unanswered(),
            "spared": seen.spared,
            "sample": scores.gather_every(step).rows(),
        }

    return work.once("look", number, make)


def _leave_keys(
    work: Sorting, number: int, rows: Rows, facts: pl.DataFrame, sketches: Mapping[Side, Sketch]
) -> None:
    settings = work.recipe.curate.duplicates
    segments = facts["segment"].to_numpy()
    frames: list[pl.DataFrame] = []
    for kind in kinds(settings):
        key, of = keys(kind, rows, segments, sketches, settings)
        frame = pl.DataFrame({"key": key, "row": of}, schema=_KEYS)
        part = (key % np.uint64(work.parts)).astype(np.int64)
        frames += parted(frame, part, work.parts) if work.parts > 1 else [frame]
    write_spill(work.path("keys", number, "arrow"), frames)


def readers(work: Sorting) -> int:
    """How many read what `look` leaves: one for each kind of key and part."""
    return len(kinds(work.recipe.curate.duplicates)) * work.parts

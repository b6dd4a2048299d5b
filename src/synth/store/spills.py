"""Frames that a worker leaves for several others: a file of its own, of which each reads a part.

It is how rows go from those who found them to those who need them together (a shuffle): through
files that all share, so that nothing is in anybody's memory, and what was written once is there
whoever dies.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from synth.errors import RunError
from synth.store.files import whole

_PACKED = pa.ipc.IpcWriteOptions(compression="lz4")


def write_spill(path: Path, frames: Sequence[pl.DataFrame]) -> None:
    """Writes frames of one schema, the first for the first reader; the file is whole or not there.

    Raises:
        RunError: When the disk is full.
    """
    with whole(path) as part, part.open("wb") as file:
        schema = frames[0].to_arrow().schema
        with pa.ipc.new_file(file, schema, options=_PACKED) as writer:
            for frame in frames:
                table = frame.to_arrow().combine_chunks()
                writer.write_batch(table.to_batches()[0] if frame.height else _nothing(schema))


def read_spill(paths: Sequence[Path], number: int) -> pl.DataFrame:
    """What all of them left for the reader of that number, in their order.

    Raises:
        RunError: For a file that cannot be read.
    """
    parts = []
    for path in paths:
        try:
            with pa.OSFile(str(path)) as file:
                batch = pa.ipc.open_file(file).get_batch(number)
        except (pa.ArrowException, OSError) as error:
            raise RunError(
                f"{path}: cannot be read ({' '.join(str(error).split()):.120}); delete the folder,"
                " and run the same command again"
            ) from error
        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)
        parts.append(frame)
    return pl.concat(parts)


def parted(frame: pl.DataFrame, number: npt.NDArray[np.integer], count: int) -> list[pl.DataFrame]:
    """The rows by the reader that they are for, each in their order.

    Args:
        frame: The rows.
        number: Of the reader of each row.
        count: How many readers there are.
    """
    rows = frame[np.argsort(number, kind="stable")]
    ends = np.cumsum(np.bincount(number, minlength=count)).tolist()
    return [rows[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _nothing(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], kind) for kind in schema.types], schema=schema)

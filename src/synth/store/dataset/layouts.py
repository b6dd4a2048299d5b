"""Curated candidates -> the columns of a config, by arrow's kernels: a million rows at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synth.settings import Export

PAIR, GENERATED = "pair", "generated"
"""What `origin` says of a row: made by people, or with a generated instruction."""

Places = npt.NDArray[np.int64]

_MESSAGE = ["role", "content"]
_ROLES = ("user", "assistant")
_TEXTS = ("instruction", "text", "skip", "error")
_READ = ("segment_id", "document_id", "instruction", "text", "origin")


@dataclass(frozen=True, slots=True)
class Layout:
    """A config's name and folder, the columns that it reads, and what it makes of them."""

    name: str
    folder: str
    columns: tuple[str, ...]
    build: Callable[[pa.Table, Places], pa.Table]

    def __call__(self, rows: pa.Table, places: Places) -> pa.Table:
        """The config's columns of the rows at those places, of types that every reader knows."""
        table = self.build(rows, places)
        return table.cast(pa.schema([(f.name, _plain(f.type)) for f in table.schema]))


def layout(name: str, settings: Export, available: Sequence[str]) -> Layout:
    """The layout of that name.

    Args:
        name: One of `Export.configs`.
        settings: Whether conversations open with a source tag.
        available: Columns that the rows have, `origin` among them (`rejected` has none).
    """
    tags = settings if settings.source_tag else None
    if name == "messages":
        columns = ("start", "end", "logprob", "metadata")
        return Layout(
            name, "data", (*_READ, *columns), lambda rows, at: _messages(rows, at, columns, tags)
        )
    if name in ("alpaca", "prompt_completion"):
        build = _alpaca if name == "alpaca" else _prompt_completion
        return Layout(name, name, _READ, lambda rows, at: build(rows, at, tags))
    left_out = _TEXTS if name == "provenance" else ()
    kept = tuple(column for column in available if column not in left_out)
    return Layout(name, name, kept, _plainly)


def _messages(
    rows: pa.Table, places: Places, columns: Sequence[str], tags: Export | None
) -> pa.Table:
    turns = _turns(rows, places, ("instruction", "text"), _ROLES, tags)
    plain = rows.select(["segment_id", "origin", "document_id", *columns]).take(places)
    return _renamed(plain).add_column(0, "messages", turns)


def _alpaca(rows: pa.Table, places: Places, tags: Export | None) -> pa.Table:
    taken = rows.select(["instruction", "text", "segment_id", "origin"]).take(places)
    names = ["instruction", "output", "id", "origin"]
    table = taken.rename_columns(names).add_column(1, "input", _repeated("", taken.num_rows))
    return table.add_column(3, "system", _tag(taken, tags)) if tags else table


def _prompt_completion(rows: pa.Table, places: Places, tags: Export | None) -> pa.Table:
    """Lists of messages, not texts: TRL then puts the model's own chat template around them."""
    plain = rows.select(["segment_id", "origin"]).take(places)
    prompt = _turns(rows, places, ("instruction",), _ROLES[:1], tags)
    completion = _turns(rows, places, ("text",), _ROLES[1:], None)
    return _renamed(plain).add_column(0, "prompt", prompt).add_column(1, "completion", completion)


def _plainly(rows: pa.Table, places: Places) -> pa.Table:
    return _renamed(rows.take(places))


def _renamed(rows: pa.Table) -> pa.Table:
    return rows.rename_columns(["id" if n == "segment_id" else n for n in rows.column_names])


def _repeated(text: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.large_string()), rows)


def _tag(rows: pa.Table, tags: Export) -> pa.Array:
    is_pair = pc.equal(rows["origin"], PAIR).combine_chunks()
    count = rows.num_rows
    return pc.if_else(
        is_pair, _repeated(tags.pair_tag, count), _repeated(tags.generated_tag, count)
    )


def _turns(
    rows: pa.Table,
    places: Places,
    columns: Sequence[str],
    roles: Sequence[str],
    tags: Export | None,
) -> pa.ListArray:
    """A list of messages for each place: the tag, if there is one, and one for each column."""
    contents = [_array(rows[column]) for column in columns]
    if tags:
        contents, roles = [_tag(rows, tags), *contents], ("system", *roles)
    count, width = len(places), len(contents)
    # The columns lie one after the other; taken are all of a row, then all of the next.
    at = places[:, None] + np.arange(width) * rows.num_rows
    flat = pa.concat_arrays(contents).take(pa.array(at.ravel()))
    role = pa.array(roles, pa.large_string()).take(pa.array(np.tile(np.arange(width), count)))
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * width, pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays([role, flat], _MESSAGE))


def _array(column: pa.ChunkedArray) -> pa.Array:
    """One array, with room for more than 2 GiB of text."""
    chunks = column.cast(pa.large_string()).chunks
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks or [_repeated("", 0)])


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type that every reader of parquet knows for this one."""
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _plain(field.type)) for field in kind])
    return kind

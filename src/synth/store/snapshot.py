"""A run folder, a dataset folder or a dataset on the Hub -> its rows, account and recipe."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from synth.errors import InputError
from synth.store.hub import Patience
from synth.store.run import Run

_WANTED = ["data/*.parquet", "provenance.json", "recipe.yaml"]
_BLOCK = 8192  # rows read at once


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A version of a dataset.

    Attributes:
        name: What it was asked for by.
        rows: Gives blocks of `id`, `instruction`, `text` and `logprob`.
        buckets: Bucket -> segments.
        recipe: Its settings.
    """

    name: str
    rows: Callable[[], Iterator[pl.DataFrame]]
    buckets: Mapping[str, int]
    recipe: Mapping[str, Any]


def snapshot(name: str) -> Snapshot:
    """What there is of that name.

    Args:
        name: A run folder, a dataset folder, or `OWNER/NAME`, or `OWNER/NAME@REVISION`.

    Raises:
        InputError: When there is none, or it cannot be read.
        RunError: For a run that nobody has curated.
    """
    folder = Path(name)
    if (folder / "manifest.json").is_file():
        return _of_run(name, Run(folder))
    if not folder.is_dir():
        folder = downloaded(name)
    if not (folder / "provenance.json").is_file():
        raise InputError(f"{name}: neither a run nor a dataset of synth; check the name")
    return _of_dataset(name, folder)


def _of_run(name: str, run: Run) -> Snapshot:
    counts = run.need("curate").counts
    settings = run.stages()["curate"].get("settings")
    recipe = _yaml(run.recipe) | ({"curate": settings} if settings else {})
    names = {"segment_id": "id", "instruction": "instruction", "text": "text", "logprob": "logprob"}

    def rows() -> Iterator[pl.DataFrame]:
        for block in _blocks(run.curated, list(names)):
            yield block.rename(names)

    return Snapshot(name, rows, counts["buckets"], recipe)


def _of_dataset(name: str, folder: Path) -> Snapshot:
    provenance = _read(folder / "provenance.json", json.loads)
    try:
        buckets = provenance["stages"]["curate"]["counts"]["buckets"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{name}: its provenance.json has no account of segments") from error

    def rows() -> Iterator[pl.DataFrame]:
        files = sorted((folder / "data").glob("*.parquet"))
        for block in _blocks(files, ["id", "messages", "logprob"]):
            said = {"instruction": _said("user"), "text": _said("assistant")}
            yield block.select("id", **said, logprob="logprob")

    return Snapshot(name, rows, buckets, _yaml(folder / "recipe.yaml"))


def _blocks(files: Sequence[Path], columns: list[str]) -> Iterator[pl.DataFrame]:
    """These columns of all rows, some thousand at a time."""
    for path in files:
        try:
            # Without pre-buffering a row group is let go of when the next is read.
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(_BLOCK, columns=columns):
                    block = pl.from_arrow(batch)
                    assert isinstance(block, pl.DataFrame)
                    yield block.select(columns)
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: cannot be read ({reason:.80})") from error


def _said(role: str) -> pl.Expr:
    """The first message of that role."""
    turn = pl.element()
    content = turn.filter(turn.struct.field("role") == role).struct.field("content")
    return pl.col("messages").list.eval(content).list.first()


def _yaml(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = _read(path, yaml.safe_load) or {}
    return read


def _read(path: Path, load: Any) -> Any:  # noqa: ANN401
    try:
        return load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split()):.80})") from error


def downloaded(name: str, *, or_main: bool = False) -> Path:
    """The folder of a Hub dataset in the cache, as it is now.

    Args:
        name: `OWNER/NAME`, or `OWNER/NAME@REVISION`.
        or_main: Whether it is `main` for a branch that is not there yet.

    Raises:
        InputError: When there is no dataset or revision of that name.
        HubError: When the Hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi, is_offline_mode, snapshot_download
    from huggingface_hub.errors import RevisionNotFoundError

    repo, _, named = name.partition("@")
    revision = named or None

    def commit() -> Any:  # noqa: ANN401  (the library's types are not checked)
        """Asked first: an older copy in the cache stands in for a Hub that does not answer."""
        if is_offline_mode():
            return revision
        try:
            return HfApi().dataset_info(repo, revision=revision).sha
        except RevisionNotFoundError as error:
            if or_main:
                return HfApi().dataset_info(repo).sha
            raise InputError(f"{name}: the dataset has no such revision; check it") from error

    def folder() -> Path:
        got = snapshot_download(
            repo, repo_type="dataset", revision=commit(), allow_patterns=_WANTED
        )
        return Path(got)

    # Fewer tries: the client has its own for the first half of this.
    return Patience(name)(folder, tries=3)

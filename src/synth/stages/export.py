"""Curated -> a dataset folder: configs, splits by document, card, provenance, recipe."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from typing import Any, TypeVar

from synth import __version__
from synth.errors import InputError, RunError
from synth.recipe import Recipe
from synth.records import Listener, Outcome, Pair, Progress, content_id, silent
from synth.stages.common import learnt_pairs
from synth.stages.dataset_parts import Wanted, write_dataset
from synth.stages.diff import diff, differs
from synth.store.card import (
    PLACE,
    CardFacts,
    Reviewed,
    card,
    change_line,
    with_changes,
    with_notes,
)
from synth.store.dataset import (
    CARD,
    PROVENANCE,
    RECIPE,
    Config,
    holds,
    replacing,
    sizes_of,
)
from synth.store.files import write_json, write_text
from synth.store.run import Run
from synth.tables.published import Painted
from synth.tables.reviews import NOT_READ, share_interval

STAGE = "export"
_THREADS = 2  # parts written at once; each takes some 300 MB
_BEFORE = ("finetune", "merge", "evaluate", "backtranslate", "curate")

T = TypeVar("T")

Write = Callable[[Path, Wanted, Listener], tuple[list[Config], Painted]]
"""Writes every config into a folder; returns them, and what the card says of the kept rows."""


def export(
    run: Run, recipe: Recipe, folder: Path, listen: Listener = silent, *, repo: str | None = None
) -> Outcome:
    """Writes the run's curated rows to `folder`; the same input gives the same bytes.

    Rows are read and written block by block. Notes that people wrote in the card of the dataset
    that `folder` holds are kept.

    Args:
        run: The run.
        recipe: Its recipe.
        folder: Where the dataset is to be.
        listen: Told how many rows are written.
        repo: The dataset's name on the Hub, for the card, if it has one.

    Raises:
        RunError: Without curated rows, or when the disk is full.
        InputError: When `folder` holds something else.
    """
    return exported(run, recipe, folder, listen, repo, _write)


def exported(
    run: Run, recipe: Recipe, folder: Path, listen: Listener, repo: str | None, write: Write
) -> Outcome:
    """As `export`, which writes the rows by itself.

    Raises:
        SynthError: As `export` does.
    """
    started = time.time()
    run.need("curate")
    pairs = learnt_pairs(run.adapter, recipe) if recipe.export.include_pairs else []
    repo = repo or PLACE
    fingerprint = _fingerprint(run, recipe, pairs, repo)
    done = run.done(STAGE)
    same = done is not None and done.fingerprint == fingerprint
    if done and same and done.counts["folder"] == str(folder) and holds(folder, fingerprint):
        return Outcome(STAGE, done.counts, skipped=True)
    wanted = Wanted.of(run.curated, pairs, run.rejected, recipe.export)
    _check_kept(run, wanted)
    with replacing(folder) as part:
        configs, painted = write(part, wanted, listen)
        facts = _facts(run, recipe, configs, painted, pairs, repo)
        write_text(part / RECIPE, recipe.to_yaml())
        this = {"fingerprint": fingerprint, "bytes": sizes_of(part)}
        write_json(part / PROVENANCE, _provenance(run, configs) | {"export": this})
        write_text(part / CARD, _following(card(facts), folder, part))
    others = {config.name: sum(_sizes(config).values()) for config in configs[1:]}
    counts = {"folder": str(folder), **_sizes(configs[0]), "configs": others}
    run.commit(STAGE, fingerprint, counts, started)
    return Outcome(STAGE, counts)


def _fingerprint(run: Run, recipe: Recipe, pairs: Sequence[Pair], repo: str) -> str:
    evaluation = run.done("evaluate")
    return content_id(
        STAGE, 2, __version__, run.need("curate").fingerprint, recipe.export.fingerprint(),
        recipe.name, evaluation.fingerprint if evaluation else "", repo,
        *(pair.id for pair in pairs),
    )  # fmt: skip


def _check_kept(run: Run, wanted: Wanted) -> None:
    if not wanted.kept.generated:
        buckets = run.need("curate").counts["buckets"]
        reasons = ", ".join(f"{name} {n}" for name, n in buckets.items() if name != "kept")
        raise RunError(
            f"{run.folder}: no row was kept ({reasons}); loosen the rules with --set curate..."
        )


def _following(text: str, old: Path, new: Path) -> str:
    """As `follow`, of the dataset that the old folder holds, if it holds one."""
    if not (old / CARD).is_file():
        return text
    before = (old / CARD).read_text(encoding="utf-8", errors="replace")
    return follow(text, before, old if (old / PROVENANCE).is_file() else None, new)


def follow(text: str, before: str, old: Path | None, new: Path) -> str:
    """A card that goes on from that of the dataset before: its notes, and what changed since.

    Args:
        text: The card of the new dataset.
        before: The card before.
        old: Folder of the dataset before; None when there was only a card. Where it cannot be read
            the card says so.
        new: Folder of the new one.
    """
    told = None if old is None else _change(old, new)
    return with_notes(with_changes(text, before, told), before)


def _change(old: Path, new: Path) -> str | None:
    """What changed, in a line; None where nothing did."""
    try:
        changed = diff(str(old), str(new)).counts
    except InputError:  # perhaps it is replaced because it is damaged
        return "The version before could not be read."
    return change_line(changed) if differs(changed) else None


def _write(part: Path, wanted: Wanted, listen: Listener) -> tuple[list[Config], Painted]:
    """Two parts at a time, each with a thread of its own."""
    rows, total = Counter[str](), wanted.total()
    lock, stopped = Lock(), Event()

    def tell(more: Mapping[str, int]) -> None:
        if stopped.is_set():
            raise CancelledError
        with lock:
            rows.update(more)
            listen(Progress(STAGE, rows.total(), total, "row", counts=dict(rows)))

    def each(function: Callable[..., T], calls: Sequence[tuple[object, ...]]) -> Iterator[T]:
        with ThreadPoolExecutor(_THREADS) as threads:
            try:
                yield from threads.map(lambda call: function(*call), calls)
            except BaseException:
                stopped.set()  # else the block would end with the parts under way
                raise

    tell({})
    return write_dataset(part, wanted, each, tell)


def _facts(
    run: Run,
    recipe: Recipe,
    configs: Sequence[Config],
    painted: Painted,
    pairs: Sequence[Pair],
    repo: str,
) -> CardFacts:
    evaluation = run.done("evaluate")
    ledger = run.need("curate").counts
    said = ledger.get("reviewed", NOT_READ)
    return CardFacts(
        name=recipe.name,
        base=recipe.model.base,
        version=__version__,
        configs=configs,
        ledger=ledger,
        licence=recipe.export.licence,
        licences=painted.licences,
        evaluation=evaluation.counts if evaluation else None,
        quantiles=painted.quantiles,
        languages=painted.languages,
        looked_at=painted.looked_at,
        samples=painted.samples,
        pairs=Counter(pair.source for pair in pairs),
        repo=repo,
        reviewed=Reviewed(**said, interval=share_interval(said["good"], said["read"])),
    )


def _sizes(config: Config) -> dict[str, int]:
    return {split.name: split.rows for split in config.splits}


def _provenance(run: Run, configs: Sequence[Config]) -> dict[str, Any]:
    """The chain from training pairs to rows: fingerprints, counts and versions, without times."""
    manifest = json.loads(run.manifest.read_text(encoding="utf-8"))["stages"]
    stages = {
        name: {key: manifest[name][key] for key in ("fingerprint", "versions", "counts")}
        for name in _BEFORE
        if name in manifest
    }
    return {
        "synth": __version__,
        "stages": stages,
        "splits": _sizes(configs[0]),
        "configs": {config.name: _sizes(config) for config in configs},
    }

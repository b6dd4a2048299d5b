"""The run folder: where everything one recipe made lies, and what its manifest says is done."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import RunError
from synth.recipe import Recipe, recipe_name
from synth.records import WHOLE, Part
from synth.settings import Section
from synth.store.files import write_json, write_text
from synth.store.locks import exclusive, in_company
from synth.store.versions import versions


@dataclass(frozen=True, slots=True)
class Done:
    """A finished stage, as the manifest tells it."""

    fingerprint: str
    counts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """The paths of one run folder."""

    folder: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.folder / "recipe.yaml"

    @property
    def manifest(self) -> Path:
        """Stage -> fingerprint, counts, versions, times; written last."""
        return self.folder / "manifest.json"

    @property
    def adapter(self) -> Path:
        """The reverse LoRA."""
        return self.folder / "adapter"

    @property
    def merged(self) -> Path:
        """The base with the adapter folded in."""
        return self.folder / "merged"

    @property
    def training(self) -> Path:
        """What an unfinished training needs to go on."""
        return self.folder / "training"

    @property
    def evaluation(self) -> Path:
        """The report card."""
        return self.folder / "evaluation" / "report.json"

    @property
    def candidates(self) -> Path:
        """Segments, and shards of what the engine said of them."""
        return self.folder / "candidates"

    @property
    def segments(self) -> Path:
        """The segments of an undivided corpus, in its order, with what was asked of each."""
        return self.segments_of(WHOLE)

    @property
    def bad_lines(self) -> Path:
        """Lines of an undivided corpus that hold no document, with place and reason."""
        return self.bad_lines_of(WHOLE)

    @property
    def curated(self) -> list[Path]:
        """Files of the candidates kept, in order; none before they are sorted."""
        return sorted(self.curated_file(0).parent.glob("part-*.parquet"))

    @property
    def rejected(self) -> list[Path]:
        """Files of the candidates dropped, each with one reason, in order."""
        return sorted(self.rejected_file(0).parent.glob("part-*.parquet"))

    def curated_file(self, number: int) -> Path:
        """Path of one of `curated`."""
        return self.folder / "curated" / f"part-{number:05d}.parquet"

    def rejected_file(self, number: int) -> Path:
        """Path of one of `rejected`."""
        return self.folder / "rejected" / f"part-{number:05d}.parquet"

    @property
    def sorting(self) -> Path:
        """What workers of a cluster know of candidates that they have not sorted to the end."""
        return self.folder / "sorting"

    @property
    def reviews(self) -> Path:
        """What people said of rows, one mark a line."""
        return self.folder / "reviews.jsonl"

    @property
    def ledger(self) -> Path:
        """The account in which every segment ends in exactly one bucket."""
        return self.folder / "ledger.json"

    @property
    def dataset(self) -> Path:
        """Where `synth run` exports to."""
        return self.folder / "dataset"

    @property
    def report(self) -> Path:
        """The page that shows it all."""
        return self.folder / "report.html"

    @property
    def logs(self) -> Path:
        """What libraries wrote while commands worked, command by command."""
        return self.folder / "logs"

    def log(self, command: str, process: int = 0, part: Part = WHOLE) -> Path:
        """The log of a command; of processes that train together, or on parts, each has its own."""
        return self.logs / f"{command}{f'-{process}' if process else ''}{_suffix(part)}.log"

    @property
    def taken(self) -> Path:
        """Which run folders this one takes its candidates from, where it has none of its own."""
        return self.candidates / "from.json"

    def sources(self) -> list["Run"]:
        """The runs whose candidates these are: this one, unless it took them from others."""
        try:
            names = json.loads(self.taken.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return [self]
        except ValueError as error:
            raise RunError(f"{self.taken}: damaged; name the runs with --from again") from error
        return [Run((self.folder / name).resolve()) for name in names]

    def shards(self) -> list[Path]:
        """Shards that were committed, in order."""
        return self._found("part-*.parquet")

    def shards_of(self, part: Part) -> list[Path]:
        """Those of `shards` that answer a part of the corpus."""
        start = self.shard(0, part).stem.removesuffix("00000")
        found = self._found(f"{start}[0-9]*.parquet")
        return [path for path in found if path.stem.rstrip("0123456789") == start]

    def shards_for(self, part: Part) -> list[Path]:
        """Those of `shards` in which answers for a part may lie: not those of the parts beside it.

        The same corpus divided otherwise, or not at all, left answers that can be used again.
        """
        beside = f"-of-{part.of:05d}-"
        return [path for path in self.shards() if part.of == 1 or beside not in path.stem] + (
            self.shards_of(part) if part.of > 1 else []
        )

    def shard(self, number: int, part: Part = WHOLE) -> Path:
        """Path of that shard of what answers a part of the corpus."""
        return self._of_part("part", part, f"-{number:05d}.parquet")

    def segments_of(self, part: Part) -> Path:
        """The segments of a part of the corpus."""
        return self._of_part("segments", part, ".parquet")

    def bad_lines_of(self, part: Part) -> Path:
        """The bad lines of a part of the corpus."""
        return self._of_part("bad_lines", part, ".jsonl")

    def done_of(self, part: Part) -> Path:
        """What the manifest will say of a part of the corpus, once it is finished."""
        return self._of_part("done", part, ".json")

    def lock_of(self, part: Part) -> Path:
        """What whoever works on a part of the corpus holds."""
        return self.folder / f".lock{_suffix(part)}"

    def asked_of(self, part: Part) -> Path:
        """The requests of a piece of the corpus, until they are answered."""
        return self._of_part("asked", part, ".parquet")

    def tried_of(self, part: Part) -> Path:
        """Which of them were put to an engine, until it has answered all."""
        return self._of_part("tried", part, ".txt")

    @property
    def pieces(self) -> Path:
        """What must be known of the pieces before them to read a piece of the corpus."""
        return self.candidates / "pieces.parquet"

    @property
    def workers(self) -> Path:
        """What all who work on pieces of the corpus hold; it names whom they work for."""
        return self.folder / ".workers"

    def _of_part(self, name: str, part: Part, end: str) -> Path:
        return self.candidates / f"{name}{_suffix(part)}{end}"

    def segment_files(self) -> list[Path]:
        """Files of segments, in the order of the parts of the corpus; at least one is named."""
        return self._found("segments*.parquet") or [self.segments]

    def _found(self, pattern: str) -> list[Path]:
        folders = [source.candidates for source in self.sources()]
        return [path for folder in folders for path in sorted(folder.glob(pattern))]

    def done(self, stage: str) -> Done | None:
        """What the manifest says of a stage; None when it never finished."""
        entry = self.stages().get(stage)
        return Done(entry["fingerprint"], entry["counts"]) if entry else None

    def need(self, stage: str) -> Done:
        """A finished stage.

        Raises:
            RunError: When it never finished.
        """
        done = self.done(stage)
        if done is None:
            raise RunError(f"{self.folder}: nothing from `synth {stage}` here yet; run it first")
        return done

    def commit(
        self,
        stage: str,
        fingerprint: str,
        counts: Mapping[str, Any],
        started: float,
        settings: Section | None = None,
    ) -> None:
        """Enters a finished stage into the manifest.

        Args:
            stage: Its name.
            fingerprint: Of what it made.
            counts: What it tells.
            started: A `time.time()`.
            settings: Its section of the recipe; that file is as the last command was told.
        """
        by = {"settings": settings.model_dump(mode="json")} if settings else {}
        self.enter(stage, entry(fingerprint, counts, started) | by)

    def enter(self, stage: str, told: Mapping[str, Any]) -> None:
        """Puts what `entry` made into the manifest."""
        write_json(self.manifest, {"format": 1, "stages": self.stages() | {stage: told}})

    def forget(self, stage: str) -> None:
        """Takes a stage out of the manifest before its files change."""
        stages = self.stages()
        if stages.pop(stage, None):
            write_json(self.manifest, {"format": 1, "stages": stages})

    def known(self) -> Path:
        """The resolved recipe of a run that there is.

        Raises:
            RunError: When there is none.
        """
        if not self.recipe.is_file():
            raise RunError(f"{self.folder}: no run of synth here; name one with --run")
        return self.recipe

    def check_recipe(self, recipe: Recipe) -> None:
        """Sees to it that a recipe which nobody named is the one that the run was made by.

        Raises:
            RunError: When the run was made by one of another name.
        """
        own = recipe_name(self.recipe) if self.recipe.is_file() else None
        if own not in (None, recipe.name):
            raise RunError(
                f"{self.folder}: made by the recipe {own}, and none is named; say --recipe"
                f" {self.recipe} to go on as it was last told, or name another"
            )

    def open(self, recipe: Recipe) -> None:
        """Makes the folder and writes the resolved recipe."""
        with self.turn():
            write_text(self.recipe, recipe.to_yaml())

    @contextmanager
    def lock(self, part: Part = WHOLE) -> Iterator[None]:
        """Keeps a second synth out of the run, or out of that part of its corpus.

        Several may work beside each other on parts of one division; nobody else may meanwhile.

        Raises:
            RunError: When one is at work that this one must not meet.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        shared = self.folder / ".lock"
        if part.of == 1:
            with exclusive(shared):
                yield
            return
        with exclusive(self.lock_of(part)), ExitStack() as held:
            with self.turn():
                held.enter_context(in_company(shared, f"{part.of} parts of its corpus"))
            yield

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One at a time: what all parts write, such as the manifest, is written in here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with exclusive(self.folder / ".turn", wait=True):
            yield

    def stages(self) -> dict[str, Any]:
        """Stage -> its entry in the manifest, in the order in which they finished first.

        Raises:
            RunError: For a manifest that cannot be read.
        """
        try:
            return dict(json.loads(self.manifest.read_text(encoding="utf-8"))["stages"])
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{self.manifest}: not a manifest of synth; restore it or start another --run"
            ) from error


def entry(fingerprint: str, counts: Mapping[str, Any], started: float) -> dict[str, Any]:
    """What the manifest says of a stage that finishes now; `started` is a `time.time()`."""
    return {
        "fingerprint": fingerprint,
        "counts": dict(counts),
        "versions": versions(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.time() - started, 1),
    }


def _suffix(part: Part) -> str:
    """What tells the files of a part from those of others; empty for an undivided corpus."""
    return f"-{part.number:05d}-of-{part.of:05d}" if part.of > 1 else ""

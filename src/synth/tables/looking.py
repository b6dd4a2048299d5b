"""A block of candidates -> what is remembered of each, and who goes for what is seen in the row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from synth.settings import Curate
from synth.settings.curation import Side
from synth.tables.candidate import CANDIDATE
from synth.tables.claims import claims
from synth.tables.contamination import Index
from synth.tables.judging import judge, unfit
from synth.tables.measures import MEASURED, measured
from synth.tables.private import SIDES, Find, private, suspect
from synth.tables.reviews import CANDIDATE_OF, overruled, reviewed
from synth.tables.rules import rules
from synth.tables.semantic import Embed
from synth.tables.sketches import Sketch
from synth.tables.words import SLICE, words

FACTS = {
    "segment": pl.UInt64,
    "length": pl.UInt32,
    "score": pl.Float64,
    "suspect": pl.Boolean,
}
"""What is remembered of a row: a hash of its segment's id, characters of its text, its score, lower
ones being better, and whether it may hold private data."""
_SCORES = {"first": "sample"}
_DIGITS = 4  # of a score; an engine's last ones hang on what else stood in the batch


@dataclass(frozen=True, slots=True)
class Tools:
    """What other rooms lend to curation.

    Attributes:
        find: Finds private data in a text.
        signs: Kind of private data -> an expression that texts with such data match.
        questions: Those of benchmarks: `benchmark`, `number` and `question`.
        embed: Embeds texts; None where the recipe does not ask for it.
        task: The prompt's own words, which no instruction may repeat.
        bad: Segment id -> id of a candidate that people marked bad -> their comment.
    """

    find: Find
    signs: Mapping[str, str]
    questions: pl.DataFrame
    embed: Embed | None = None
    task: str = ""
    bad: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a block.

    Attributes:
        facts: Rows of `FACTS`.
        claims: Rows of `CLAIM`; positions count from the block's first row.
        spared: Rows that share no more than stock wording with a benchmark.
        sketches: Side -> sketches of the block's rows; empty ones for rows without a generation.
        measures: `position` and what is to be remembered, of the rows that nothing claims.
    """

    facts: pl.DataFrame
    claims: pl.DataFrame
    spared: int
    sketches: dict[Side, Sketch]
    measures: pl.DataFrame


class Look:
    """Looks at one block after another; rules first, then contamination, then private data."""

    def __init__(
        self, settings: Curate, tools: Tools, *, compiled: bool, remember: Sequence[str] = ()
    ) -> None:
        """Is ready to look.

        Args:
            settings: Thresholds.
            tools: What other rooms lend.
            compiled: Whether to compile loops (see kernels.py); the result is the same.
            remember: Columns and measures of each row that are wanted afterwards.
        """
        self._settings, self._tools, self._compiled = settings, tools, compiled
        self._remember = remember
        self._rules = rules(settings, tools.task)
        self._index = (
            Index.build(tools.questions, settings.contamination, compiled=compiled)
            if tools.questions.height
            else None
        )

    @property
    def columns(self) -> list[str]:
        """What a block needs of the columns of `CANDIDATE`."""
        used = {"segment_id", "skip", "finish", "error", "metadata", *SIDES, self._score()}
        for rule in self._rules:
            used.update(rule.value.meta.root_names(), rule.good.meta.root_names())
        if self._tools.bad:
            used.update(CANDIDATE_OF)
        used.update(self._remember)
        return [name for name in CANDIDATE if name in used]

    def __call__(self, block: pl.DataFrame) -> Seen:
        """What is seen of the block."""
        suspects = suspect(block, self._settings.private, self._tools.signs)
        rows = block.with_row_index("position").with_columns(suspect=suspects)
        found, spared = [unfit(rows)], 0
        sketches = self.sketches(block.height)
        rows = _without(rows, found[0])
        measures = [pl.DataFrame(schema=MEASURED)]
        shared: dict[Side, list[pl.DataFrame]] = {side: [] for side in SIDES}
        for start in range(0, rows.height, SLICE):
            part = rows[start : start + SLICE]
            said = {
                side: words(side_of(part, side), compiled=self._compiled)
                for side in {*SIDES, *sketches}
            }
            asked, text = said["instruction"], said["text"]
            measures.append(measured(part, asked, text, self._settings, compiled=self._compiled))
            if self._index is not None:
                for side, runs in shared.items():
                    runs.append(self._index.shared(said[side], start, compiled=self._compiled))
            for side, sketch in sketches.items():
                sketch.put(part["position"].to_numpy(), said[side], compiled=self._compiled)
        judged = rows.hstack(pl.concat(measures))
        found.append(judge(judged, self._rules))
        counts = pl.col(pl.Int64).cast(pl.Int32)
        remembered = judged.select("position", *self._remember).with_columns(counts)
        if self._index is not None:
            contaminated, spared = self._contaminated(rows, shared, found[1], self._index)
            found.append(contaminated)
        if "drop" in self._settings.private.actions.values():
            found.append(self._private(_without(rows, *found)))
        facts = self._facts(block).with_columns(suspect=suspects)
        claimed = pl.concat(found)
        if self._tools.bad:
            claimed = overruled(claimed, reviewed(rows, self._tools.bad))
        return Seen(facts, claimed, spared, sketches, _without(remembered, claimed))

    def sketches(self, count: int) -> dict[Side, Sketch]:
        """Of each side that is compared empty sketches of so many rows."""
        near = self._settings.select.by_shingles
        sides = set(self._settings.duplicates.sides)
        if near:
            sides.add("text")
        slots = near or self._settings.duplicates.near is not None
        return {side: Sketch.empty(count, slots=slots) for side in sides}

    def _facts(self, block: pl.DataFrame) -> pl.DataFrame:
        score = pl.col(self._score())
        if self._settings.rank == "logprob":
            score = -score
        return block.select(
            segment=pl.col("segment_id").str.to_integer(base=16, dtype=pl.UInt64),
            length=pl.col("text").str.len_chars(),
            score=score.cast(pl.Float64).round(_DIGITS),
        )

    def _score(self) -> str:
        return _SCORES.get(self._settings.rank, self._settings.rank)

    def _contaminated(
        self,
        rows: pl.DataFrame,
        shared: Mapping[Side, list[pl.DataFrame]],
        gone: pl.DataFrame,
        index: Index,
    ) -> tuple[pl.DataFrame, int]:
        """Claims on the rows that hold a question, and how many hold stock wording only."""
        parts, stock = [], [pl.Series(dtype=pl.Int64)]
        for side in SIDES:
            hits = index.told(shared[side], rows[side])
            parts.append(hits.found.with_columns(side=pl.lit(side)))
            stock.append(pl.Series(hits.spared, dtype=pl.Int64))
        spared = pl.concat(stock).unique()
        found = pl.concat(parts).unique("row", keep="first", maintain_order=True)
        spared = spared.filter(~spared.is_in(found["row"].implode()))
        places = rows["position"]
        found = _without(found.with_columns(position=places.gather(found["row"])), gone)
        told = ("side", "benchmark", "number", "span", "question_span", pl.col("coverage").round(3))
        claimed = claims(
            found["position"],
            "contaminated",
            value=found.select(pl.format("{}[{}]", "benchmark", "number")).to_series(),
            evidence=found.select(pl.struct(told).struct.json_encode()).to_series(),
        )
        return claimed, _without(places.gather(spared).to_frame(), gone).height

    def _private(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Claims on the rows with private data of kinds for which rows are dropped."""
        only = {
            kind: "keep"
            for kind, action in self._settings.private.actions.items()
            if action == "mask"
        }
        dropping = self._settings.private.model_copy(update=only)
        rows = rows.filter("suspect")
        found = private(rows, dropping, self._tools.find, self._tools.signs)
        gone = pl.DataFrame({"position": rows["position"], "kind": found["private"]}).drop_nulls()
        return claims(gone["position"], "private", value=gone["kind"])


def side_of(rows: pl.DataFrame, side: Side) -> pl.Series:
    """The texts of a side, nulls as empty ones; `both` are the two as one."""
    text = pl.concat_str(pl.col(SIDES).fill_null(""), separator="\n")
    return rows.select(text if side == "both" else pl.col(side).fill_null("")).to_series()


def _without(rows: pl.DataFrame, *gone: pl.DataFrame) -> pl.DataFrame:
    places = pl.concat([part["position"] for part in gone])
    return rows.filter(~pl.col("position").is_in(places.implode()))

"""Benchmark questions + texts -> which texts hold a question, with the evidence.

A text is contaminated that has a run of so many words in a row with a question, whatever their case
and the punctuation between them (Brown et al. 2020, appendix C: 13 words). A question shorter than
that counts where it stands in the text as a whole and has eight words at least; still shorter ones
say little that is theirs alone, and are not looked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from synth.settings import Contamination
from synth.tables.runs import STOCK, Keys, Table, entries_of
from synth.tables.sieve import Sieve
from synth.tables.words import Places, Words, excerpts, words

SHORTEST = 8
"""Words of the shortest question that is looked for."""
FOUND = {
    "row": pl.Int64,
    "benchmark": pl.String,
    "number": pl.Int64,
    "span": pl.String,
    "question_span": pl.String,
    "coverage": pl.Float64,
}
"""Columns of what is found."""
_SHARED = dict.fromkeys(("row", "at", "question", "start", "length"), pl.Int64)
_BLOCK = 50_000  # texts whose words are held at a time


@dataclass(frozen=True, slots=True)
class Hits:
    """What was found in a column of texts.

    Attributes:
        found: One row for each contaminated text, in their order: `row` of the text, `benchmark`
            and `number` of the question that has most words in runs with it (the first of such),
            the longest run as it is written in the text (`span`) and in the question
            (`question_span`), and the share of the question's words that runs hold (`coverage`).
        spared: Rows of the texts whose runs are all stock wording, ascending.
    """

    found: pl.DataFrame
    spared: Places


@dataclass(frozen=True, slots=True)
class Index:
    """The runs of benchmark questions, to look texts up in.

    Attributes:
        questions: `benchmark`, `number` and `question`.
        ends: Where the words of each question end, counted through all of them.
        sieve: Lets through the runs of the length asked for.
        long: Those runs.
        opening: Lets through the first words of the questions that are shorter than that.
        short: Those questions, a table for each length.
        coverage: Share of a question's words that must be found.
    """

    questions: pl.DataFrame
    ends: Places
    sieve: Sieve
    long: Table
    opening: Sieve
    short: tuple[Table, ...]
    coverage: float

    @classmethod
    def build(cls, questions: pl.DataFrame, settings: Contamination, *, compiled: bool) -> Self:
        """Indexes questions.

        Args:
            questions: `benchmark`, `number` (row in its source) and `question`, a text.
            settings: Length of a run, what is stock wording, and the least coverage.
            compiled: Whether to compile the loops (see kernels.py); the result is the same.
        """
        asked = words(questions["question"], compiled=compiled)
        ignored = words(pl.Series(settings.ignore, dtype=pl.String), compiled=False)

        def table(runs: Keys) -> Table:
            skip = Keys.of(ignored, runs.length).keys
            return Table.build(runs, asked.ends, settings.stock_questions, skip)

        lengths = np.where(asked.counts < settings.words, asked.counts, 0)
        opening = Sieve.of(asked, SHORTEST, asked.starts[lengths >= SHORTEST])
        begins = opening.begins(asked, compiled=compiled)
        short = []
        for length in range(SHORTEST, settings.words):
            whole = Keys.of(asked, length, asked.starts[lengths == length])
            if whole.keys.size:
                everywhere = Keys.of(asked, length, begins)
                same, _ = entries_of(everywhere.keys, np.sort(whole.keys))
                short.append(table(everywhere.take(same)).only(whole.places))
        long = Keys.of(asked, settings.words)
        sieve = Sieve.of(asked, settings.words, long.places)
        ends, coverage = asked.ends, settings.coverage
        return cls(questions, ends, sieve, table(long), opening, tuple(short), coverage)

    def hits(self, texts: pl.Series, *, compiled: bool) -> Hits:
        """Which texts hold a question.

        Args:
            texts: Strings; a null holds nothing.
            compiled: As in `build`.
        """
        parts = []
        for first in range(0, len(texts), _BLOCK):
            found = words(texts[first : first + _BLOCK], compiled=compiled)
            parts.append(self.shared(found, first, compiled=compiled))
        return self.told(parts, texts)

    def shared(self, found: Words, first: int, *, compiled: bool) -> pl.DataFrame:
        """The runs that texts and questions share, for `told`.

        Args:
            found: Words of some texts.
            first: Which of all texts the first of them is.
            compiled: As in `build`.

        Returns:
            In no order: `row`, the text; `question`, -1 for stock wording; `at` is where the run
            begins among the words of its text, `start` where among the question's; `length`.
        """
        shared = pl.DataFrame(schema=_SHARED)
        for sieve, tables in ((self.sieve, (self.long,)), (self.opening, self.short)):
            if not tables:
                continue
            begins = sieve.begins(found, compiled=compiled)
            for table in tables if begins.size else ():
                runs = table.look(Keys.of(found, table.length, begins))
                shared = shared.vstack(self._runs(found, first, table.length, *runs))
        return shared

    def told(self, shared: Sequence[pl.DataFrame], texts: pl.Series) -> Hits:
        """What the runs that they share say of all texts."""
        runs = pl.concat([pl.DataFrame(schema=_SHARED), *shared])
        counting = runs.filter(pl.col("question") >= 0)
        spared = runs.join(counting, on="row", how="anti")["row"].unique().sort()
        return Hits(self._evidence(counting, texts), spared.to_numpy())

    def _runs(
        self, found: Words, first: int, length: int, at: Places, places: Places
    ) -> pl.DataFrame:
        """Runs that begin at these places among the texts' and the questions' words."""
        row = np.searchsorted(found.ends, at, side="right")
        question = np.where(places == STOCK, -1, np.searchsorted(self.ends, places, side="right"))
        starts = np.concatenate([[0], self.ends])  # of -1 anything
        return pl.DataFrame(
            {
                "row": row + first,
                "at": at - found.starts[row],
                "question": question,
                "start": places - starts[question],
                "length": np.full(at.size, length),
            },
            schema=_SHARED,
        )

    def _evidence(self, shared: pl.DataFrame, texts: pl.Series) -> pl.DataFrame:
        """The rows of `Hits.found` from the runs that count."""
        best = self._best(shared)
        runs = _longest(shared.join(best, on=["row", "question"], maintain_order="left"))
        asked = self.questions[runs["question"]]
        counts = runs["length"].to_numpy()
        return pl.DataFrame(
            {
                "row": runs["row"],
                "benchmark": asked["benchmark"],
                "number": asked["number"],
                "span": excerpts(texts.gather(runs["row"]), runs["at"].to_numpy(), counts),
                "question_span": excerpts(asked["question"], runs["start"].to_numpy(), counts),
                "coverage": runs["coverage"],
            },
            schema=FOUND,
        )

    def _best(self, shared: pl.DataFrame) -> pl.DataFrame:
        """Row, question and coverage of the question that has most words in runs with the row."""
        goes_on = _as_before("row") & _as_before("question")
        new = pl.min_horizontal("length", pl.when(goes_on).then(pl.col("start").diff()))
        counts = pl.Series(np.diff(self.ends, prepend=0))
        held = (
            shared.sort("row", "question", "start")
            .with_columns(new=new)
            .group_by("row", "question", maintain_order=True)
            .agg(pl.col("new").sum())
        )
        return (
            held.with_columns(coverage=pl.col("new") / counts.gather(held["question"]))
            .filter(pl.col("coverage") >= self.coverage)
            .sort("row", -pl.col("new"), "question")
            .unique("row", keep="first", maintain_order=True)
            .select("row", "question", "coverage")
        )


def _longest(shared: pl.DataFrame) -> pl.DataFrame:
    """Joins runs that go on from each other; of each row the longest, the first of such."""
    # Runs that begin one word further in both text and question are one longer run.
    goes_on = _as_before("row") & (pl.col("at").diff() == 1) & (pl.col("start").diff() == 1)
    chain = (~goes_on).fill_null(value=True).cum_sum()
    return (
        shared.sort("row", pl.col("at") - pl.col("start"), "at")
        .with_columns(chain=chain)
        .group_by("chain", maintain_order=True)
        .agg(
            pl.first("row", "question", "coverage", "at", "start"),
            end=pl.last("at") + pl.last("length"),
        )
        .with_columns(length=pl.col("end") - pl.col("at"))
        .sort("row", -pl.col("length"), "at", "start")
        .unique("row", keep="first", maintain_order=True)
    )


def _as_before(column: str) -> pl.Expr:
    """Whether a row has the value of the row before; null for the first."""
    return pl.col(column) == pl.col(column).shift()

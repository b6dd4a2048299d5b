"""A block of candidates -> what is remembered of each, and who goes for what is seen in the row."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from synth.settings import Curate, Private
from synth.tables.claims import CLAIM, claims
from synth.tables.contamination import Index
from synth.tables.judging import judge
from synth.tables.private import Find, private
from synth.tables.semantic import Embed

FACTS = {"segment": pl.UInt64, "length": pl.UInt32, "score": pl.Float64}
"""What is remembered of a row: a hash of its segment's id, characters of its text, and its score,
lower ones being better."""
_LOWER_IS_BETTER = {"first": "sample", "r_ifd": "r_ifd", "ifd": "ifd"}
_SIDES = ("instruction", "text")


@dataclass(frozen=True, slots=True)
class Tools:
    """What other rooms lend to curation.

    Attributes:
        find: Finds private data in a text.
        signs: Kind of private data -> an expression that texts with such data match.
        questions: Those of benchmarks: `benchmark`, `number` and `question`.
        embed: Embeds texts; None where the recipe does not ask for it.
        task: The prompt's own words, which no instruction may repeat.
    """

    find: Find
    signs: Mapping[str, str]
    questions: pl.DataFrame
    embed: Embed | None = None
    task: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a block: rows of `FACTS` and `CLAIM`, and rows with stock wording only."""

    facts: pl.DataFrame
    claims: pl.DataFrame
    spared: int


class Look:
    """Looks at one block after another; rules first, then contamination, then private data."""

    def __init__(self, settings: Curate, tools: Tools, *, compiled: bool) -> None:
        self._settings, self._tools, self._compiled = settings, tools, compiled
        self._index = (
            Index.build(tools.questions, settings.contamination, compiled=compiled)
            if tools.questions.height
            else None
        )

    def __call__(self, block: pl.DataFrame) -> Seen:
        """What is seen of the block; positions count from its first row."""
        name = self._settings.rank
        score = -pl.col("logprob") if name == "logprob" else pl.col(_LOWER_IS_BETTER[name])
        facts = block.select(
            segment=pl.col("segment_id").str.to_integer(base=16, dtype=pl.UInt64),
            length=pl.col("text").str.len_chars(),
            score=score.cast(pl.Float64),
        )
        judged = judge(block, self._settings, self._tools.task, compiled=self._compiled)
        judged = judged.with_row_index("position").drop_nulls("reason")
        found = [claims(judged["position"], judged["reason"], value=judged["value"])]
        rows = block.select(*_SIDES).with_row_index("position")
        rows = _without(rows, found[0])
        spared = 0
        if self._index is not None:
            contaminated, spared = self._contaminated(rows, self._index)
            found.append(contaminated)
            rows = _without(rows, contaminated)
        found.append(self._private(rows))
        return Seen(facts, pl.concat(found), spared)

    def _contaminated(self, rows: pl.DataFrame, index: Index) -> tuple[pl.DataFrame, int]:
        """Claims on the rows that hold a question, and how many hold stock wording only."""
        parts, stock = [], [pl.Series(dtype=pl.Int64)]
        for side in _SIDES:
            hits = index.hits(rows[side], compiled=self._compiled)
            parts.append(hits.found.with_columns(side=pl.lit(side)))
            stock.append(pl.Series(hits.spared, dtype=pl.Int64))
        found = pl.concat(parts).unique("row", keep="first", maintain_order=True)
        spared = pl.concat(stock).unique()
        told = ("side", "benchmark", "number", "span", "question_span", pl.col("coverage").round(3))
        evidence = found.select(pl.struct(told).struct.json_encode()).to_series()
        said = claims(
            rows["position"].gather(found["row"]),
            "contaminated",
            value=pl.select(pl.format("{}[{}]", found["benchmark"], found["number"])).to_series(),
            evidence=evidence,
        )
        return said, int((~spared.is_in(found["row"].implode())).sum())

    def _private(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Claims on the rows with private data of kinds for which rows are dropped."""
        actions = self._settings.private.model_dump()
        only = {kind: "keep" for kind, action in actions.items() if action == "mask"}
        dropping: Private = self._settings.private.model_copy(update=only)
        if "drop" not in actions.values():
            return pl.DataFrame(schema=CLAIM)
        found = private(rows, dropping, self._tools.find, self._tools.signs)
        gone = pl.DataFrame({"position": rows["position"], "kind": found["private"]}).drop_nulls()
        return claims(gone["position"], "private", value=gone["kind"])


def _without(rows: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(~pl.col("position").is_in(gone["position"].implode()))

"""Candidates -> for each its fate: kept, or the one reason for which it goes.

The rows are looked at in blocks and more than once; what is remembered of a row is a few numbers,
so that their texts are never held together.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from synth.settings import Curate
from synth.tables.ahead import ahead
from synth.tables.candidate import Candidates
from synth.tables.claims import CLAIM
from synth.tables.kernels import COMPILE_FROM
from synth.tables.looking import FACTS, Look, Seen, Tools
from synth.tables.settling import Settling


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The fate of every candidate.

    `claims` has the columns of `CLAIM`, by position, one row for each candidate that goes; `rows`
    has `segment` (a hash), `rank` (place by score, 0 the best) and `suspect` (whether it may hold
    private data) of every candidate; `spared` are the candidates that share no more than stock
    wording with a benchmark.
    """

    claims: pl.DataFrame
    rows: pl.DataFrame
    spared: int

    def buckets(self) -> dict[str, int]:
        """Bucket -> segments; see `buckets`."""
        return buckets(self.reasons())

    def reasons(self) -> pl.DataFrame:
        """The rows with their `position` and `reason`, null where one is kept."""
        return self.rows.with_row_index("position").join(
            self.claims.select("position", "reason"), on="position", how="left"
        )

    def rejections(self) -> dict[str, int]:
        """Reason -> candidates, most frequent first; with several samples more than segments."""
        return _counted(self.claims)


def buckets(rows: pl.DataFrame) -> dict[str, int]:
    """Bucket -> segments, each in one: `kept` first, then the reasons, most frequent first.

    A segment none of whose samples was kept is in the bucket of its best sample.

    Args:
        rows: `segment`, `rank` and `reason` of all samples of some segments.
    """
    kept = rows.filter(pl.col("reason").is_null())["segment"].unique()
    left = (
        rows.filter(
            pl.col("reason").is_not_null(),
            pl.col("reason") != "outranked",
            ~pl.col("segment").is_in(kept.implode()),
        )
        .sort("rank")
        .unique("segment", keep="first", maintain_order=True)
    )
    return {"kept": kept.len(), **_counted(left)}


def _counted(rows: pl.DataFrame) -> dict[str, int]:
    counts = rows.group_by("reason").len().sort(["len", "reason"], descending=[True, False])
    return dict(counts.iter_rows())


def curate(
    candidates: Candidates,
    settings: Curate,
    tools: Tools,
    looked: Callable[[int], None] = lambda _: None,
) -> Verdicts:
    """Applies every rule, keeps a segment's best sample, removes repeats, and selects.

    Args:
        candidates: Rows of `CANDIDATE`.
        settings: Thresholds.
        tools: What other rooms lend.
        looked: Told how many rows were looked at so far.

    Raises:
        RecipeError: A rule, a quota or a column of the recipe that cannot be used.
    """
    compiled = candidates.count + tools.questions.height >= COMPILE_FROM
    seen = look_at(candidates, Look(settings, tools, compiled=compiled), looked)
    settling = Settling(
        seen.facts, [seen.claims], seen.sketches, candidates, tools,
        compiled=candidates.count >= COMPILE_FROM,
    )  # fmt: skip
    settling.outrank(settings.rank)
    settling.repeated(settings.duplicates)
    settling.select(settings.select)
    rows = seen.facts.select("segment", "rank", "suspect")
    return Verdicts(settling.claimed(), rows, seen.spared)


def look_at(candidates: Candidates, look: Look, looked: Callable[[int], None]) -> Seen:
    """What is seen of all candidates; `facts` has their `rank` too.

    Args:
        candidates: Rows of `CANDIDATE`.
        look: Looks at a block of them.
        looked: Told how many rows were looked at so far.
    """
    facts, claims = [pl.DataFrame(schema=FACTS)], [pl.DataFrame(schema=CLAIM)]
    measures: list[pl.DataFrame] = []
    sketches = look.sketches(candidates.count)
    spared = start = 0
    for seen in ahead(look, candidates.blocks(*look.columns)):
        facts.append(seen.facts)
        claims.append(seen.claims.with_columns(pl.col("position") + start))
        measures.append(seen.measures.with_columns(pl.col("position") + start))
        for side, sketch in seen.sketches.items():
            sketches[side].put_all(start, sketch)
        spared += seen.spared
        start += seen.facts.height
        looked(start)
    if start != candidates.count:
        raise AssertionError(f"{start} of {candidates.count} candidates were read")
    rows = pl.concat(facts).with_columns(rank=rank())
    return Seen(rows, pl.concat(claims), spared, sketches, pl.concat(measures or [pl.DataFrame()]))


def rank() -> pl.Expr:
    """Place of each row by its score, the lowest first, ties by id and place; nulls are last."""
    order = pl.arg_sort_by(
        pl.col("score").fill_null(float("inf")).fill_nan(float("inf")),
        "segment",
        maintain_order=True,
    )
    return order.arg_sort().cast(pl.Int64)

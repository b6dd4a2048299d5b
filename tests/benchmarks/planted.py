"""Made-up instructions and responses with duplicates whose similarity is known.

Words follow Zipf's law over 50,000; a response has 60 to 200 of them, an instruction asks for every
third of its first words. 5 % of the rows repeat another
word for word, 2 % each are near one other row at a Jaccard similarity (5-word shingles) of about
0.95, 0.9, 0.8, 0.7 and 0.5, 1 % stand in clusters of 20, and some in one hot cluster of a template
with two words filled in. An exam has questions of 20 to 60 words, and runs of 10, 13 and 30 of them
stand in half a percent of the rows each.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

Ids = npt.NDArray[np.int32]

LEVELS = (0.95, 0.9, 0.8, 0.7, 0.5)
RUNS = (10, 13, 30)
_VOCABULARY = 50_000
_BLOCK = 50_000


@dataclass(frozen=True)
class Planted:
    """The words of each row, the row it was made from (itself if from none), and how."""

    rows: list[Ids]
    base: npt.NDArray[np.int64]
    level: npt.NDArray[np.float64]
    hot: npt.NDArray[np.bool_]


def plant(count: int, seed: int, hot: int = 5_000) -> Planted:
    """So many rows, in random order; `level` is 1 for exact repeats, 0.85 in clusters, else 0."""
    rng = np.random.default_rng(seed)
    hot = min(hot, count // 2)
    exact, near, clusters = count // 20, count // 50, count // 100 // 20
    bases = count - exact - near * len(LEVELS) - clusters * 19 - max(hot - 1, 0)
    lengths = rng.integers(60, 201, bases)
    flat, ends = _zipf(rng, int(lengths.sum())), np.cumsum(lengths)
    rows = np.split(flat, ends[:-1])
    base, level = list(range(bases)), [0.0] * bases
    sources = iter(rng.permutation(bases).tolist())

    def add(row: Ids, source: int, how: float) -> None:
        rows.append(row)
        base.append(source)
        level.append(how)

    for _ in range(exact):
        source = next(sources)
        add(rows[source], source, 1.0)
    for how in LEVELS:
        for _ in range(near):
            source = next(sources)
            add(_edited(rng, rows[source], how), source, how)
    for _ in range(clusters):
        source = next(sources)
        for _ in range(19):
            add(_edited(rng, rows[source], 0.85), source, 0.85)
    source = next(sources)
    rows[source] = _zipf(rng, 120)
    for _ in range(hot - 1):
        row = rows[source].copy()
        row[rng.choice(np.arange(5, 115), 2, replace=False)] = rng.integers(0, _VOCABULARY, 2)
        add(row, source, 0.84)
    order = rng.permutation(count)
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    is_hot = np.asarray(base) == source
    return Planted(
        [rows[i] for i in order],
        place[np.asarray(base)[order]],
        np.asarray(level)[order],
        is_hot[order],
    )


@dataclass(frozen=True)
class Exam:
    """The words of each question, and the length of the run that a row has of one, or 0."""

    questions: list[Ids]
    runs: npt.NDArray[np.int64]


def examine(planted: Planted, count: int, seed: int) -> Exam:
    """Makes so many questions, and puts runs of them into rows."""
    rng = np.random.default_rng([seed, 1])  # not the numbers that the rows were drawn with
    lengths = rng.integers(20, 61, count)
    questions = np.split(_zipf(rng, int(lengths.sum())), np.cumsum(lengths)[:-1])
    runs = np.zeros(len(planted.rows), np.int64)
    chosen = rng.permutation(len(planted.rows))[: len(planted.rows) // 200 * len(RUNS)]
    for number, row in enumerate(chosen.tolist()):
        words, length = planted.rows[row], RUNS[number % len(RUNS)]
        question = questions[rng.integers(count)]
        length = min(length, question.size)
        start, at = rng.integers(question.size - length + 1), rng.integers(words.size)
        run = question[start : start + length]
        planted.rows[row] = np.concatenate([words[:at], run, words[at:]])
        runs[row] = length
    return Exam(questions, runs)


def write_exam(exam: Exam, path: Path) -> None:
    """The questions as parquet."""
    words = pl.Series(_vocabulary())
    flat = words.gather(np.concatenate(exam.questions))
    of = np.repeat(np.arange(len(exam.questions)), [one.size for one in exam.questions])
    asked = pl.DataFrame({"of": of, "word": flat}).group_by("of", maintain_order=True)
    asked.agg(question=pl.col("word").str.join(" ") + "?").select("question").write_parquet(path)


def write(planted: Planted, path: Path, seed: int) -> None:
    """The rows as parquet: id, instruction and response."""
    rng = np.random.default_rng(seed)
    words = pl.Series(_vocabulary())
    frames = []
    for start in range(0, len(planted.rows), _BLOCK):
        rows = planted.rows[start : start + _BLOCK]
        sizes = np.array([row.size for row in rows])
        asked = np.repeat(rng.integers(5, 15, sizes.size), sizes) * 3
        at = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        text = pl.DataFrame(
            {
                "row": np.repeat(np.arange(sizes.size), sizes),
                "at": at,
                "asked": (at < asked) & (at % 3 == 0),
            }
        ).with_columns(word=words.gather(np.concatenate(rows)))
        sentence = pl.col("at") % 13
        dressed = pl.when(sentence == 0).then(pl.col("word").str.to_titlecase()).otherwise(
            "word"
        ) + pl.when(sentence == 12).then(pl.lit(".")).otherwise(pl.lit(""))
        side = text.with_columns(dressed.alias("dressed")).group_by("row", maintain_order=True)
        frames.append(
            side.agg(
                instruction="How are " + pl.col("word").filter("asked").str.join(" ") + "?",
                response=pl.col("dressed").str.join(" "),
            ).select(pl.col("row").cast(pl.Int64).alias("id") + start, "instruction", "response")
        )
    pl.concat(frames).write_parquet(path, row_group_size=_BLOCK)


def judged(planted: Planted, kept: npt.NDArray[np.bool_], threshold: float) -> dict[str, float]:
    """Recall by level, precision at the threshold, and how many hot rows stayed."""
    figures: dict[str, float] = {}
    itself = planted.base == np.arange(kept.size)
    for level in (1.0, *LEVELS):
        pairs = ~itself & (planted.level == level)
        both = kept[pairs] & kept[planted.base[pairs]]
        figures[f"recall_at_{level}"] = round(float(1 - both.mean()), 4)
    figures["hot_rows_kept"] = int(kept[planted.hot].sum())
    figures["precision"] = round(_precision(planted, kept, threshold), 5)
    return figures


def _precision(planted: Planted, kept: npt.NDArray[np.bool_], threshold: float) -> float:
    """Share of the rows gone that have a kept row as near as the threshold, by exact sets."""
    family: dict[int, list[int]] = {}
    for row, base in enumerate(planted.base.tolist()):
        family.setdefault(base, []).append(row)
    right = gone = 0
    for base in np.unique(planted.base[~kept]).tolist():
        members = family[base]
        stay = [_shingles(planted.rows[row]) for row in members if kept[row]]
        for row in members:
            if not kept[row]:
                gone += 1
                own = _shingles(planted.rows[row])
                right += any(len(own & s) >= threshold * len(own | s) for s in stay)
    return right / max(gone, 1)


def _shingles(row: Ids) -> set[bytes]:
    data = row.tobytes()
    return {data[4 * i : 4 * i + 20] for i in range(row.size - 4)}


def _edited(rng: np.random.Generator, row: Ids, similarity: float) -> Ids:
    """A copy with words replaced, far from each other, so that the similarity is about that."""
    changed = row.copy()
    shingles = row.size - 4
    different = max(1, round(shingles * (1 - similarity) / (1 + similarity)))
    inside, last = divmod(different, 5)
    places = np.arange(4, row.size - 9 - last, 5)
    inside = min(inside, places.size)
    changed[rng.permutation(places)[:inside]] = rng.integers(_VOCABULARY // 2, _VOCABULARY, inside)
    if last:
        changed[-last:] = rng.integers(_VOCABULARY // 2, _VOCABULARY, last)
    return changed


def _zipf(rng: np.random.Generator, count: int) -> Ids:
    weights = np.cumsum(1 / np.arange(1, _VOCABULARY + 1))
    return np.searchsorted(weights / weights[-1], rng.random(count)).astype(np.int32)


def _vocabulary() -> list[str]:
    """The commonest English words, then pronounceable ones of six letters."""
    common = "the of and to a in that is was for with be".split()
    syllables = [c + v for c in "bcdfghjklmnprstvwz" for v in "aeiou"]
    size = len(syllables)
    for number in range(_VOCABULARY - len(common)):
        code = number * 7919 % size**3
        common.append("".join(syllables[code // size**power % size] for power in range(3)))
    return common

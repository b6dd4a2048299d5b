"""Texts -> which are duplicates of a better one that stays.

Near-duplicates are found by MinHash over 5-word shingles (Broder 1997; 125 permutations in 25
bands of 5) and checked exactly; a row goes only if one that *stays* is near: nothing is chained.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

_SHINGLE = 5
_BANDS, _ROWS = 25, 5
_LEADERS = 8  # a row is compared with so many of its bucket's best: a hot bucket stays linear
_PRIME = np.uint64((1 << 31) - 1)


def exact_duplicates(texts: pl.Series) -> pl.Series:
    """For each text the row of the first that is the same but for case, spacing and punctuation.

    Args:
        texts: Strings, best first.

    Returns:
        Row numbers, null for a text that stays.
    """
    frame = texts.alias("text").to_frame().with_row_index("row")
    normal = pl.col("text").str.to_lowercase().str.extract_all(r"[\p{L}\p{N}]+").list.join(" ")
    first = frame.with_columns(normal.alias("key")).with_columns(
        pl.col("row").first().over("key").alias("first")
    )
    return first.select(pl.when(pl.col("first") != pl.col("row")).then("first"))["first"]


def near_duplicates(texts: pl.Series, threshold: float) -> pl.Series:
    """For each text the row of a text that stays and whose similarity reaches the threshold.

    Args:
        texts: Strings, best first.
        threshold: Jaccard similarity of the sets of 5-word shingles.

    Returns:
        Row numbers, null for a text that stays.
    """
    shingles = _shingles(texts)
    kept = np.full(len(texts), -1, dtype=np.int64)
    for later, earlier in _suspects(shingles, len(texts)):
        if (
            kept[later] < 0
            and kept[earlier] < 0
            and _jaccard(shingles, later, earlier) >= threshold
        ):
            kept[later] = earlier
    return pl.Series("near", kept).replace(-1, None)


def near_any(texts: pl.Series, others: pl.Series, threshold: float) -> pl.Series:
    """For each text whether it is as similar as the threshold to one of the others.

    Args:
        texts: Strings.
        others: Strings they are compared with.
        threshold: Jaccard similarity of the sets of 5-word shingles.

    Returns:
        Booleans.
    """
    near = np.zeros(len(texts), dtype=bool)
    if len(texts) and len(others):
        shingles = _shingles(pl.concat([others, texts]))
        keys = pl.DataFrame(_band_keys(shingles)).with_row_index("row")
        split = len(others)
        for band in keys.columns[1:]:
            suspects = keys[split:].join(keys[:split], on=band, suffix="_other")
            for row, other in suspects.select("row", "row_other").iter_rows():
                if not near[row - split]:
                    near[row - split] = _jaccard(shingles, row, other) >= threshold
    return pl.Series("near", near)


def _shingles(texts: pl.Series) -> list[NDArray[np.uint64]]:
    """Hashes of the distinct shingles of each text; a shorter text is one shingle."""
    words = pl.col("text").str.to_lowercase().str.extract_all(r"[\p{L}\p{N}]+")
    frame = texts.alias("text").to_frame().select(words.alias("word")).with_row_index("row")
    frame = frame.with_columns(pl.col("word").list.len().alias("words"))
    short = frame.filter(pl.col("words") < _SHINGLE).select(
        "row", pl.col("word").list.join(" ").alias("shingle")
    )
    run = [pl.col("word").shift(-i).over("row") for i in range(_SHINGLE)]
    full = (
        frame.filter(pl.col("words") >= _SHINGLE)
        .explode("word")
        .select("row", pl.concat_str(run, separator=" ").alias("shingle"))
        .drop_nulls("shingle")
    )
    hashed = (
        pl.concat([short, full])
        .select("row", pl.col("shingle").hash(seed=1))
        .unique()
        .sort("row", "shingle")
    )
    counts = hashed.group_by("row", maintain_order=True).len()
    ends = np.cumsum(counts["len"].to_numpy())
    return np.split(hashed["shingle"].to_numpy(), ends[:-1])


def _suspects(shingles: list[NDArray[np.uint64]], rows: int) -> list[tuple[int, int]]:
    """Pairs (later, earlier) that share a band, the earlier's fate being settled first."""
    if rows < 2:
        return []
    keys = _band_keys(shingles)
    frame = pl.DataFrame({"row": np.arange(rows)})
    pairs: list[pl.DataFrame] = []
    for band in range(_BANDS):
        bucket = frame.with_columns(pl.Series("key", keys[:, band])).filter(
            pl.len().over("key") > 1
        )
        leaders = bucket.group_by("key", maintain_order=True).head(_LEADERS)
        pairs.append(
            bucket.join(leaders, on="key", suffix="_earlier")
            .filter(pl.col("row") > pl.col("row_earlier"))
            .select("row", "row_earlier")
        )
    distinct = pl.concat(pairs).unique().sort("row", "row_earlier")
    return list(distinct.iter_rows())


def _band_keys(shingles: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """(texts, bands): a hash of each band of the MinHash signature."""
    rng = np.random.default_rng(1)
    count = _BANDS * _ROWS
    slope = rng.integers(1, int(_PRIME), count, dtype=np.uint64)
    shift = rng.integers(0, int(_PRIME), count, dtype=np.uint64)
    flat = np.concatenate(shingles) % _PRIME
    starts = np.cumsum([0, *map(len, shingles[:-1])])
    keys = np.zeros((len(shingles), _BANDS), dtype=np.uint64)
    for i in range(count):
        lowest = np.minimum.reduceat((flat * slope[i] + shift[i]) % _PRIME, starts)
        keys[:, i // _ROWS] = keys[:, i // _ROWS] * np.uint64(0x9E3779B97F4A7C15) + lowest
    return keys


def _jaccard(shingles: list[NDArray[np.uint64]], a: int, b: int) -> float:
    both = np.intersect1d(shingles[a], shingles[b], assume_unique=True).size
    return float(both / (len(shingles[a]) + len(shingles[b]) - both))

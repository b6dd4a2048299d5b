"""Rows that are to be published -> the test documents, and what a card says of the rows."""

from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from synth.tables.languages import languages
from synth.tables.measures import stated_licence

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of scores and lengths."""

_SCORES = ("logprob", "r_ifd", "ifd")
_LOOKED_AT = 500  # rows whose language is told


def last_for_test(documents: pl.Series, share: float) -> int:
    """The highest hash of a document whose rows are for testing, and -1 where none are.

    Those of lowest hash are, never all of them: a document stays on its side, or nearly so, when
    others come and go.

    Args:
        documents: Ids, each once.
        share: Of the documents, at least 0 and less than 1.
    """
    hashes = _hashes(documents)
    count = min(round(hashes.size * share), hashes.size - 1)
    return int(np.partition(hashes, count - 1)[count - 1]) if count > 0 else -1


def for_test(documents: pl.Series, last: int) -> pl.Series:
    """Those of the documents whose hash is not above `last`."""
    return documents.filter(pl.Series(_hashes(documents) <= last, dtype=pl.Boolean))


def _hashes(documents: pl.Series) -> npt.NDArray[np.uint64]:
    return np.array([_hash(name) for name in documents], dtype=np.uint64)


def _hash(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True)
class Painted:
    """What a card says of rows.

    Attributes:
        samples: Instruction and response of the rows to show, in the order asked for.
        licences: Licence stated in the metadata -> rows, most first; "" where none is.
        languages: ISO 639-1 code -> instructions and responses among the rows looked at, most
            first.
        looked_at: Rows whose language was told.
        quantiles: Score or length -> its `QUANTILES`; without those that no row has.
    """

    samples: list[tuple[str, str]]
    licences: dict[str, int]
    languages: dict[str, tuple[int, int]]
    looked_at: int
    quantiles: dict[str, list[float]]


class Portrait:
    """What a card says of rows, gathered from blocks of them in their order.

    Args:
        rows: How many there will be.
        samples: Places of the rows to show.
        start: Place of the first row that this one sees; another one sees those before.
    """

    COLUMNS = ("instruction", "text", "metadata", *_SCORES)
    """What it looks at."""

    def __init__(self, rows: int, samples: pl.Series, start: int = 0) -> None:
        self._step = max(1, -(-rows // _LOOKED_AT))
        self._wanted = samples
        self._seen = start
        self._numbers: list[pl.DataFrame] = []
        self._licences: Counter[str] = Counter()
        self._shown: dict[int, tuple[str, str]] = {}
        self._languages: dict[str, list[int]] = {}
        self._looked_at = 0

    def add(self, block: pl.DataFrame) -> None:
        """More rows, with the columns of `COLUMNS`."""
        rows = block.select(self.COLUMNS).with_row_index("place", offset=self._seen)
        self._seen += rows.height
        self._numbers.append(
            rows.select(
                *_SCORES,
                instruction_chars=pl.col("instruction").str.len_chars(),
                response_chars=pl.col("text").str.len_chars(),
            )
        )
        stated = rows.select(licence=stated_licence().fill_null(""))
        self._licences.update(dict(stated.group_by("licence").len().iter_rows()))
        shown = rows.filter(pl.col("place").is_in(self._wanted.implode()))
        for place, *texts in shown.select("place", "instruction", "text").iter_rows():
            self._shown[place] = (texts[0], texts[1])
        self._tell(rows.filter(pl.col("place") % self._step == 0))

    def _tell(self, rows: pl.DataFrame) -> None:
        self._looked_at += rows.height
        for side, codes in enumerate(languages(rows["instruction"], rows["text"])):
            for code in codes.drop_nulls():
                self._languages.setdefault(code, [0, 0])[side] += 1

    def join(self, other: Self) -> None:
        """Sees what another one saw, of the rows behind."""
        self._numbers += other._numbers
        self._licences.update(other._licences)
        self._shown |= other._shown
        self._looked_at += other._looked_at
        for code, counts in other._languages.items():
            ours = self._languages.setdefault(code, [0, 0])
            ours[:] = [one + more for one, more in zip(ours, counts, strict=True)]

    def painted(self) -> Painted:
        """What the card says of all rows seen."""
        languages_ = sorted(self._languages.items(), key=lambda item: (-item[1][1], item[0]))
        return Painted(
            samples=[self._shown[place] for place in self._wanted if place in self._shown],
            licences=dict(sorted(self._licences.items(), key=lambda item: (-item[1], item[0]))),
            languages={code: (counts[0], counts[1]) for code, counts in languages_},
            looked_at=self._looked_at,
            quantiles=self._quantiles(),
        )

    def _quantiles(self) -> dict[str, list[float]]:
        rows = pl.concat(self._numbers) if self._numbers else pl.DataFrame()
        told = {}
        for name in rows.columns:
            values = rows[name].drop_nulls().drop_nans() if name in _SCORES else rows[name]
            if values.len():
                found = [values.quantile(q, "nearest") for q in QUANTILES]
                told[name] = [round(float(value or 0.0), 4) for value in found]
        return told

"""Rows that are to be published -> the test documents, and what a card says of the rows."""

from collections import Counter
from hashlib import blake2b

import numpy as np
import polars as pl

from synth.tables.languages import languages
from synth.tables.measures import stated_licence

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of scores and lengths."""

_SCORES = ("logprob", "r_ifd", "ifd")
_LOOKED_AT = 500  # rows whose language is told


def documents_for_test(documents: pl.Series, share: float) -> pl.Series:
    """The documents whose rows are for testing: those of lowest hash, never all of them.

    A document stays on its side, or nearly so, when others come and go.

    Args:
        documents: Ids, each once.
        share: Of the documents, at least 0 and less than 1.
    """
    hashes = np.array([_hash(name) for name in documents], dtype=np.uint64)
    count = min(round(documents.len() * share), documents.len() - 1)
    return documents.gather(np.argsort(hashes, kind="stable")[: max(0, count)]).sort()


def _hash(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


class Portrait:
    """What a card says of rows, gathered from blocks of them in their order.

    Args:
        rows: How many there will be.
        samples: Places of the rows to show.
    """

    COLUMNS = ("instruction", "text", "metadata", *_SCORES)
    """What it looks at."""

    def __init__(self, rows: int, samples: pl.Series) -> None:
        self._step = max(1, -(-rows // _LOOKED_AT))
        self._wanted = samples
        self._seen = 0
        self._numbers: list[pl.DataFrame] = []
        self._licences: Counter[str] = Counter()
        self._shown: dict[int, tuple[str, str]] = {}
        self._languages: dict[str, list[int]] = {}
        self.looked_at = 0

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
        self.looked_at += rows.height
        for side, codes in enumerate(languages(rows["instruction"], rows["text"])):
            for code in codes.drop_nulls():
                self._languages.setdefault(code, [0, 0])[side] += 1

    def samples(self) -> list[tuple[str, str]]:
        """Instruction and response of the rows to show, in the order asked for."""
        return [self._shown[place] for place in self._wanted if place in self._shown]

    def licences(self) -> dict[str, int]:
        """Licence stated in the metadata -> rows, most first; '' where none is."""
        return dict(sorted(self._licences.items(), key=lambda item: (-item[1], item[0])))

    def languages(self) -> dict[str, tuple[int, int]]:
        """ISO 639-1 code -> instructions and responses among the rows looked at, most first."""
        found = sorted(self._languages.items(), key=lambda item: (-item[1][1], item[0]))
        return {code: (counts[0], counts[1]) for code, counts in found}

    def quantiles(self) -> dict[str, list[float]]:
        """Score or length -> its `QUANTILES`; without those that no row has."""
        rows = pl.concat(self._numbers) if self._numbers else pl.DataFrame()
        told = {}
        for name in rows.columns:
            values = rows[name].drop_nulls().drop_nans() if name in _SCORES else rows[name]
            if values.len():
                found = [values.quantile(q, "nearest") for q in QUANTILES]
                told[name] = [round(float(value or 0.0), 4) for value in found]
        return told

"""Settings of curation -> the thresholds that can be turned, one by one, and values worth trying.

A turned threshold is a setting as `--set` takes it, valid and by itself: what a rule makes of it is
the rule's business.
"""

import json
import math
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import polars as pl
from pydantic import ValidationError

from synth.settings import Curate

Value = float | int | None
_HUGE = 2**31 - 1
_SHARES = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0)
_FEW = 6  # values that a distribution should give at least


@dataclass(frozen=True, slots=True)
class Knob:
    """One threshold.

    Attributes:
        setting: Its key below `curate`.
        rule: The rule that it drives.
        measure: What that rule measures.
        off: The value under which that rule lets pass whatever it can; None: it judges nothing.
        bound: Of a setting that is a pair, which of the two.
    """

    setting: str
    rule: str
    measure: str
    off: Value
    bound: int | None = None

    def of(self, settings: Curate) -> Value:
        """Its value there; None where the rule is off."""
        value: Any = reduce(getattr, self.setting.split("."), settings)
        found: Value = value if self.bound is None or value is None else value[self.bound]
        return found

    def turned(self, settings: Curate, value: Value, reach: tuple[float, float]) -> Curate | None:
        """The settings with that value; None where it is none that they can have.

        Args:
            settings: The others.
            value: Its value.
            reach: Of a pair that is not set, the other bound.
        """
        tree = settings.model_dump()
        *sections, key = self.setting.split(".")
        place: dict[str, Any] = reduce(dict.__getitem__, sections, tree)
        if self.bound is None or value is None:
            place[key] = value
        else:
            place[key] = list(place[key] or reach)
            place[key][self.bound] = value
            if place[key][0] > place[key][1]:
                return None
        try:
            return Curate.model_validate(tree)
        except ValidationError:
            return None

    def given(self, settings: Curate) -> str:
        """How `--set` is told this setting, as it is there."""
        value = reduce(getattr, self.setting.split("."), settings)
        return f"curate.{self.setting}={json.dumps(value, separators=(',', ':'))}"


KNOBS = [
    Knob("min_instruction_chars", "instruction_short", "instruction_chars", 0),
    Knob("max_instruction_chars", "instruction_long", "instruction_chars", _HUGE),
    Knob("max_length_ratio", "length_ratio", "length_ratio", None),
    Knob("max_repeated_words", "repetitive", "repeated_words", 1.0),
    Knob("max_copied_words", "copied", "copied_words", _HUGE),
    Knob("min_grounded_words", "ungrounded", "grounded_words", 0.0),
    Knob("max_strange_numbers", "strange_numbers", "strange_numbers", None),
    Knob("min_logprob", "unlikely", "logprob", -math.inf),
    Knob("max_logprob", "likely", "logprob", None),
    Knob("r_ifd", "r_ifd", "r_ifd", None, 0),
    Knob("r_ifd", "r_ifd", "r_ifd", None, 1),
    Knob("ifd", "ifd", "ifd", None, 0),
    Knob("ifd", "ifd", "ifd", None, 1),
    Knob("max_link_share", "links", "link_share", 1.0),
    Knob("max_symbol_share", "symbols", "symbol_share", 1.0),
    Knob("min_function_words", "few_function_words", "function_words", 0),
    Knob("max_repeated_lines", "repeated_lines", "repeated_lines", 1.0),
]
"""Thresholds on what is measured of a row, in the order of their rules."""
NEAR = Knob("duplicates.near", "", "", None)
"""The threshold between rows."""
NEAR_VALUES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)


def loosened(settings: Curate) -> Curate:
    """The settings with every one of `KNOBS` off."""
    return settings.model_copy(update={knob.setting: knob.off for knob in KNOBS})


def reach(values: pl.Series) -> tuple[float, float]:
    """Two bounds with two significant digits that hold all values."""
    known = _known(values)
    if not known.size:
        return 0.0, 0.0
    low, high = float(known[0]), float(known[-1])
    return _rounded(low, 2, math.floor), _rounded(high, 2, math.ceil)


def stops(values: pl.Series, current: Value) -> list[Value]:
    """Values worth trying, ascending, with the current one, after what the rows have.

    Args:
        values: What is measured of the rows.
        current: The value there is; None, for a rule that is off, is put last.
    """
    known = _known(values)
    found: set[Value] = set()
    if known.size:
        whole = values.dtype.is_integer()
        found = _stops(known, 2, whole)
        found = found if len(found) >= _FEW else _stops(known, 3, whole)
        found = found if len(found) >= _FEW else found | _stops(np.unique(known), 3, whole)
    off = [current] if current is None else []
    return [*sorted(one for one in found | {current} if one is not None), *off]


def _known(values: pl.Series) -> np.ndarray[Any, np.dtype[Any]]:
    known = values.drop_nulls().to_numpy()
    return np.sort(known[np.isfinite(known)])


def _stops(ordered: np.ndarray[Any, np.dtype[Any]], digits: int, whole: bool) -> set[Value]:
    places = [round(share * (ordered.size - 1)) for share in _SHARES]
    found = [_rounded(float(ordered[place]), digits, round) for place in places]
    return {int(one) if whole else one for one in found}


def _rounded(value: float, digits: int, how: Any) -> float:  # noqa: ANN401  (round, floor, ceil)
    """The value with so many significant digits."""
    if value == 0:
        return 0.0
    places = digits - 1 - math.floor(math.log10(abs(value)))
    scale = 10.0 ** abs(places)
    scaled = value * scale if places >= 0 else value / scale
    return float(how(scaled) / scale if places >= 0 else how(scaled) * scale)

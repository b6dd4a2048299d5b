"""A sweep tells of every value what `curate` would do with it."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from synth.errors import RecipeError
from synth.recipe import load_recipe
from synth.settings import Curate, Duplicates, Private, Select
from synth.tables.candidate import CANDIDATE
from synth.tables.curation import curate
from synth.tables.knobs import KNOBS, NEAR
from synth.tables.looking import Tools
from synth.tables.sweeping import Swept, sweep
from tests.candidates import TOOLS, Frame, row
from tests.test_settling import RUN, TESTED

SELECTED = Select(rows=12, per_document=3, quotas={"document_id": {"*": 0.2}})
CASES: dict[str, tuple[Curate, Tools]] = {
    "plain": (Curate(), TOOLS),
    "tested": (Curate(private=Private(email="drop"), max_logprob=-0.2), TESTED),
    "selected": (Curate(rank="r_ifd", r_ifd=(0.1, 0.9), select=SELECTED), TESTED),
    "diverse": (Curate(select=Select(diversity=0.4, rows=15)), TOOLS),
    "first": (Curate(rank="first", duplicates=Duplicates(keep="first", near=0.6)), TOOLS),
    "longest": (Curate(duplicates=Duplicates(keep="longest", near=0.5, sides=["both"])), TOOLS),
    "equal": (Curate(duplicates=Duplicates(near=None), max_length_ratio=None), TOOLS),
}


def table(seed: int, count: int = 80) -> pl.DataFrame:
    """Candidates of which many repeat each other, fail a rule, or hold what they should not."""
    draw = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        if rows and draw.random() < 0.5:
            one = dict(draw.choice(rows))
            one["text"] = " ".join(edited(one["text"].split(), draw))
        else:
            one = row(number % 60)
        if draw.random() < 0.3:
            one["instruction"] += draw.choice([" And 7?", " Why?", f" Is it {one['text'][4:60]}?"])
        if draw.random() < 0.05:
            one["text"] += f" Bears {RUN} flowers are out."
        if draw.random() < 0.05:
            one["text"] += " Write to jane.doe@example.com of it."
        one |= {"segment_id": f"{number // 2:016x}", "sample": number % 2}
        one |= {"document_id": f"d{number % 12}", "r_ifd": draw.choice([None, draw.random()])}
        one["logprob"] = draw.choice([None, -3.0, *(round(-draw.random(), 1) for _ in range(30))])
        one["skip"] = "short" if draw.random() < 0.03 else ""
        rows.append(one)
    return pl.DataFrame(rows, schema=CANDIDATE)


def edited(words: list[str], draw: random.Random) -> list[str]:
    for _ in range(draw.choice([0, 0, 1, 1, 2, 3])):
        words[draw.randrange(len(words))] = draw.choice(
            ["goat", "https://a.example/b", "***", "12"]
        )
    return words


def fate(rows: pl.DataFrame, settings: Curate, tools: Tools) -> tuple[int, list[bool]]:
    """Segments that are kept, and of each row whether it is."""
    try:
        verdicts = curate(Frame(rows, 50), settings, tools)
    except RecipeError:
        return 0, [False] * rows.height
    stays = np.ones(rows.height, bool)
    stays[verdicts.claims["position"].to_numpy()] = False
    return verdicts.buckets()["kept"], stays.tolist()


@cache
def swept(case: str, seed: int) -> list[Swept]:
    settings, tools = CASES[case]
    rows = table(seed)
    return sweep(Frame(rows, 50), settings, tools, rows.select("segment_id", "sample"))


def given(settings: Curate, argument: str) -> Curate:
    """The settings with what `--set` is told."""
    tree = json.loads(settings.model_dump_json())
    *sections, last = argument.partition("=")[0].split(".")[1:]
    place = tree
    for section in sections:
        place = place[section]
    place[last] = json.loads(argument.partition("=")[2])
    return Curate.model_validate(tree)


@pytest.mark.parametrize(
    ("case", "seed", "step"),
    [("plain", 1, 1), *((case, 1, 4) for case in list(CASES)[1:]), ("plain", 2, 4)],
)
def test_every_value_is_what_curate_does_with_it(case: str, seed: int, step: int) -> None:
    settings, tools = CASES[case]
    rows, tried = table(seed), 0
    for one in swept(case, seed):
        assert one.stays.shape == (len(one.values), rows.height)
        for number in range(tried % step, len(one.given), step):
            found = (one.kept[number], one.stays[number].tolist())
            argument = one.given[number]
            assert found == fate(rows, given(settings, argument), tools), argument
        tried += len(one.given)
    assert tried > 60


@pytest.mark.parametrize("case", CASES)
def test_the_value_that_is_there_is_among_them(case: str) -> None:
    settings, tools = CASES[case]
    now = fate(table(1), settings, tools)
    for one in swept(case, 1):
        knob = next(k for k in [*KNOBS, NEAR] if (k.setting, k.bound) == (one.setting, one.bound))
        assert one.values[one.current] == knob.of(settings)
        assert (one.kept[one.current], one.stays[one.current].tolist()) == now
        known = [value for value in one.values if value is not None]
        assert known == sorted(set(known))
        assert None not in one.values[:-1]
        assert given(settings, one.given[one.current]) == settings


def test_what_is_swept_is_what_is_measured() -> None:
    names = {case: [one.setting for one in swept(case, 1)] for case in CASES}
    assert names["plain"].count("r_ifd") == 2
    assert "ifd" not in names["plain"]
    assert names["plain"][-1] == "duplicates.near"
    assert "duplicates.near" not in names["equal"]
    plain = {one.setting: one for one in swept("plain", 1)}
    assert plain["max_logprob"].values[-1] is None
    assert plain["max_logprob"].given[-1] == "curate.max_logprob=null"
    assert plain["r_ifd"].given[0].startswith("curate.r_ifd=[0.")
    logprob = plain["min_logprob"]
    assert len(logprob.counts) + 1 == len(logprob.edges)
    assert sum(logprob.counts) > 15


def arguments() -> Iterator[str]:
    for one in swept("tested", 1):
        yield from one.given


def test_the_command_line_takes_every_value() -> None:
    for argument in arguments():
        key = argument.partition("=")[0].removeprefix("curate.")
        recipe = load_recipe("nano", [argument])
        told = next(k for k in [*KNOBS, NEAR] if k.setting == key).given(recipe.curate)
        assert told == argument


def test_no_candidates_and_rows_that_are_not_there() -> None:
    none = sweep(Frame(table(1).clear()), Curate(), TOOLS, table(1).select("segment_id", "sample"))
    assert [one.kept for one in none] == [[0] * len(one.values) for one in none]
    other = pl.DataFrame({"segment_id": ["f" * 16], "sample": [0]})
    assert not any(one.stays.any() for one in sweep(Frame(table(1)), Curate(), TOOLS, other))


def test_meanings_are_compared_for_every_value() -> None:
    def embed(texts: Any) -> Any:
        made = np.array([[len(text) % 7, len(text) % 5, 1] for text in texts], np.float32)
        made = made.reshape(-1, 3)
        return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)

    rows = table(3, 60)
    settings = Curate(duplicates=Duplicates(semantic=0.999, sides=["text"]), embedder="lengths")
    tools = replace(TOOLS, embed=embed)
    for one in sweep(Frame(rows, 50), settings, tools, rows.select("segment_id", "sample")):
        for number in range(0, len(one.given), 3):
            argument = one.given[number]
            found = (one.kept[number], one.stays[number].tolist())
            assert found == fate(rows, given(settings, argument), tools), argument

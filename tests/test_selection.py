"""Caps, quotas, budget and diversity: which good rows a dataset takes."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from synth.errors import RecipeError
from synth.settings import Select
from synth.tables.alike import Embeddings, Near, Sketches, any_near
from synth.tables.selection import select
from synth.tables.templates import templates

SCHEMA = {
    "position": pl.UInt32,
    "rank": pl.Int64,
    "row": pl.UInt64,
    "document_id": pl.String,
    "template": pl.UInt64,
    "language": pl.String,
    "source": pl.String,
}


def table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows, the best first unless they say otherwise, that differ in all that is capped."""
    made = [
        {"position": i, "rank": i, "row": 1000 + i, "document_id": f"d{i}", "template": i} | row
        for i, row in enumerate(rows)
    ]
    return pl.DataFrame(made, schema=SCHEMA)


def gone(
    made: pl.DataFrame, near: Near | None = None, /, **asked: Any
) -> dict[int, tuple[str, str]]:
    """Position -> reason and value."""
    result = select(made, Select(**asked), near)
    assert result.columns == ["position", "reason", "value"]
    left = result["position"].to_list()
    assert left == [position for position in made["position"] if position in set(left)]
    return {position: (reason, value) for position, reason, value in result.iter_rows()}


def languages(*names: str | None) -> pl.DataFrame:
    return table([{"language": name} for name in names])


def test_all_rows_are_taken_where_nothing_is_asked() -> None:
    assert gone(languages("en", "de", None)) == {}
    assert gone(table([]), rows=3, quotas={"language": {"en": 0.5}}, per_document=1) == {}


def test_the_best_are_taken_and_the_budget_is_the_reason_for_the_others() -> None:
    rows = table([{"rank": rank} for rank in (3, 0, 4, 1, 2)])
    assert gone(rows, rows=3) == {0: ("not_selected", "3"), 2: ("not_selected", "3")}


def test_a_document_and_a_wording_have_their_caps() -> None:
    rows = table([
        {"document_id": "a", "template": 1},
        {"document_id": "a", "template": 2},
        {"document_id": "a", "template": 3},
        {"document_id": "b", "template": 1},
        {"document_id": "b", "template": 4},
        {"document_id": "b", "template": 5},
    ])  # fmt: skip
    # The row that its wording drops takes no place of its document.
    assert gone(rows, per_document=2, per_template=1) == {
        2: ("document_cap", "2"),
        3: ("template_cap", "1"),
    }


def test_a_quota_is_a_share_of_what_is_taken() -> None:
    rows = languages("en", "en", "en", "en", "de", "de", "fr")
    quotas = {"language": {"en": 0.5}}
    assert gone(rows, rows=4, quotas=quotas) == {
        2: ("quota", "language=en: 0.5"),
        3: ("quota", "language=en: 0.5"),
        6: ("not_selected", "4"),
    }
    # Three others are there, so three of `en` may be.
    assert gone(rows, quotas=quotas) == {3: ("quota", "language=en: 0.5")}
    assert gone(rows, rows=100, quotas=quotas) == {3: ("quota", "language=en: 0.5")}


def test_the_star_is_for_each_other_value_alone_and_for_none() -> None:
    rows = languages("de", "de", "fr", "fr", None, None, "en", "en", "en", "en")
    found = gone(rows, rows=5, quotas={"language": {"en": 0.4, "*": 0.2}})
    assert sorted(set(range(10)) - set(found)) == [0, 2, 4, 6, 7]
    assert found[1] == ("quota", "language=de: 0.2")
    assert found[5] == ("quota", "language=: 0.2")


def test_shares_that_no_rows_can_have_are_an_error() -> None:
    with pytest.raises(RecipeError, match=r"language.*0\.7 together"):
        gone(languages("en", "de", "en"), quotas={"language": {"en": 0.5, "*": 0.2}})
    assert gone(languages("en", "de"), quotas={"language": {"en": 0.7, "*": 0.3}}, rows=1) == {
        0: ("quota", "language=en: 0.7"),
        1: ("quota", "language=de: 0.3"),
    }


def test_what_the_budget_leaves_out_is_not_the_quotas_doing() -> None:
    found = gone(languages("en", "en", "de"), rows=1, quotas={"language": {"en": 1.0}})
    assert found == {1: ("not_selected", "1"), 2: ("not_selected", "1")}


def test_a_quota_on_what_no_row_has_is_an_error() -> None:
    with pytest.raises(RecipeError, match=r"quotas\.language: no row has this"):
        gone(languages(None, None), quotas={"language": {"en": 0.5}})
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Select(quotas={"language": {"en": 50.0}})


def test_two_quotas_hold_together() -> None:
    rows = table([
        {"language": language, "source": source}
        for language, source in [("en", "a")] * 6 + [("en", "b")] * 2 + [("de", "a")] * 2
    ])  # fmt: skip
    found = gone(rows, quotas={"language": {"en": 0.5}, "source": {"a": 0.5}})
    assert sorted(set(range(10)) - set(found)) == [6, 7, 8, 9]


def test_shares_are_not_lost_to_rounding() -> None:
    rows = languages(*["en"] * 40, *["de"] * 100)
    found = gone(rows, rows=100, quotas={"language": {"en": 0.29}})
    assert sum(position < 40 for position in set(range(140)) - set(found)) == 29


@pytest.mark.parametrize("seed", [1, 2])
def test_equal_ranks_are_decided_by_the_seed_and_the_row_alone(seed: int) -> None:
    rows = table([{"rank": 0} for _ in range(40)])
    moved = rows.sample(fraction=1, shuffle=True, seed=3).with_columns(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("position")
    )

    def taken(table: pl.DataFrame) -> set[int]:
        left = table.filter(~pl.col("position").is_in(list(gone(table, rows=9, seed=seed))))
        return set(left["row"])

    assert taken(rows) == taken(moved)
    assert len(taken(rows)) == 9
    assert taken(rows) != set(range(1000, 1009))
    assert set(range(40)) - set(gone(rows, rows=9, seed=3)) != {row - 1000 for row in taken(rows)}


def circle(*degrees: float) -> Embeddings:
    angles = np.deg2rad(degrees)
    return Embeddings(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))


def test_a_row_is_passed_over_that_is_similar_to_one_taken() -> None:
    near = circle(0, 10, 25, 90, 85)
    # Similar from 18 degrees: the second goes, and the third is not near to a row that stays.
    assert gone(table([{}] * 5), near, diversity=0.95) == {
        1: ("too_similar", "0.95"),
        4: ("too_similar", "0.95"),
    }
    assert gone(table([{}] * 5), near, diversity=0.95, rows=2) == {
        1: ("too_similar", "0.95"),
        3: ("not_selected", "2"),
        4: ("not_selected", "2"),
    }


def test_a_row_is_similar_to_itself_whatever_the_rounding() -> None:
    unit = np.random.default_rng(1).normal(size=(20, 384)).astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    twice = Embeddings(np.concatenate([unit, unit]))
    assert list(gone(table([{}] * 40), twice, diversity=1.0)) == list(range(20, 40))


def test_similarities_are_those_of_the_place_in_the_frame() -> None:
    rows = table([{"rank": rank} for rank in (2, 0, 1)])
    assert list(gone(rows, circle(0, 90, 91), diversity=0.9)) == [2]


def test_blocks_of_rows_choose_as_one_row_after_the_other_would() -> None:
    rng = np.random.default_rng(5)
    unit = rng.normal(size=(1500, 6)).astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    taken: list[int] = []
    for row in range(1500):
        if not taken or (unit[taken] @ unit[row]).max() < 0.8:
            taken.append(row)
    assert 100 < len(taken) < 1000
    found = gone(table([{}] * 1500), Embeddings(unit), diversity=0.8)
    assert sorted(set(range(1500)) - set(found)) == taken


def test_sketches_estimate_the_share_that_is_equal_without_chance() -> None:
    low = np.zeros((3, 128), np.uint8)
    low[1, :32] = 7
    low[2] = 9
    found = Sketches(low).between(np.array([0, 1]), np.array([0, 1, 2]))
    three_quarters = (0.75 - 1 / 256) / (255 / 256)
    assert found == pytest.approx(np.array([[1, three_quarters, 0], [three_quarters, 1, 0]]))


def test_sketches_of_many_rows_are_those_of_few() -> None:
    rng = np.random.default_rng(2)
    sketches = Sketches(rng.integers(0, 4, (5000, 16)).astype(np.uint8))
    rows, others = np.array([4999, 7]), np.arange(5000)
    whole = sketches.between(rows, others)
    equal = (sketches.low[rows][:, None] == sketches.low[None]).mean(axis=2)
    assert whole == pytest.approx(np.maximum(equal - 1 / 256, 0) / (255 / 256), abs=1e-6)
    assert any_near(sketches, rows, others[:4999], 0.95).tolist() == [False, True]


_ROWS = st.lists(
    st.fixed_dictionaries({
        "rank": st.integers(0, 5),
        "document_id": st.sampled_from("abcd"),
        "template": st.integers(0, 4),
        "language": st.sampled_from(["en", "de", "fr", None]),
        "source": st.sampled_from("xyz"),
    }),
    max_size=40,
)  # fmt: skip
_SHARES = st.dictionaries(st.sampled_from(["en", "de", "x", "*"]), st.floats(0.05, 1), max_size=3)
_ASKED = st.fixed_dictionaries(
    {"quotas": st.fixed_dictionaries({}, optional={"language": _SHARES, "source": _SHARES})},
    optional={
        "rows": st.integers(1, 30),
        "per_document": st.integers(1, 5),
        "per_template": st.integers(1, 5),
        "diversity": st.floats(0.1, 1),
        "seed": st.integers(0, 3),
    },
)


@settings(max_examples=200, deadline=None)
@given(_ROWS, _ASKED, st.randoms(use_true_random=False))
def test_what_is_asked_holds_for_what_is_taken(
    made: list[dict[str, Any]], asked: dict[str, Any], random: Any
) -> None:
    rows = table(made)
    angles = [random.uniform(0, 360) for _ in made]
    for key, shares in asked["quotas"].items():
        there = [shares.get(value, shares.get("*", 1.0)) for value in set(rows[key].fill_null(""))]
        assume(not there or sum(there) >= 1)
        assume(not rows.height or not rows[key].is_null().all())
    found = gone(rows, circle(*angles), **asked)
    taken = rows.filter(~pl.col("position").is_in(list(found)))
    assert taken.height <= asked.get("rows", rows.height)
    for column, cap in (("document_id", "per_document"), ("template", "per_template")):
        if cap in asked:
            assert taken[column].value_counts()["count"].max() in (None, *range(asked[cap] + 1))
    for key, shares in asked["quotas"].items():
        for value, count in taken[key].fill_null("").value_counts().iter_rows():
            share = shares.get(value, shares.get("*", 1.0))
            assert count <= share * taken.height + 1e-3
    if "diversity" in asked:
        unit = circle(*[angles[position] for position in taken["position"]]).unit
        alike = np.triu(unit @ unit.T, 1) if taken.height else np.zeros(1)
        assert alike.max() < asked["diversity"]
    if not asked["quotas"] and "diversity" not in asked and "rows" in asked:
        capped = sum(reason.endswith("_cap") for reason, _ in found.values())
        assert taken.height == min(asked["rows"], rows.height - capped)

    order = list(range(rows.height))
    random.shuffle(order)
    assert gone(rows[order], circle(*[angles[i] for i in order]), **asked) == found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("What are the uses of copper?", "Copper is"), ("What are the uses of tin?", "Tin"), True),
        (
            ("How did the Battle of Hastings in 1066 change it?", "Battle, Hastings"),
            ("how did the treaty of Paris in 1919 change it", "Treaty Paris"),
            True,
        ),
        (("What are the uses of tin?", "Tin"), ("What are the origins of tin?", "Tin"), False),
        (("Explain volcanoes.", "Volcano"), ("Explain grey metal ore.", "grey metal ore"), True),
        (("Explain volcanoes.", "Fire"), ("Explain rocks.", "Stone"), False),
        (("Explain tin.", "Tin"), ("Explain.", "Tin"), False),
        (("List 3 rivers.", "rivers"), ("List 17 hills.", "hills"), True),
        (("Was ist ein Vulkan?", "Ein Vulkan"), ("Was ist ein Stein?", "Ein Stein"), True),
    ],
)  # fmt: skip
def test_instructions_of_one_wording_are_one_template(
    one: tuple[str, str], other: tuple[str, str], same: bool
) -> None:
    asked, said = zip(one, other, strict=True)
    found = templates(pl.Series(asked), pl.Series(said))
    assert found.dtype == pl.UInt64
    assert (found[0] == found[1]) == same


def test_a_missing_instruction_has_no_template() -> None:
    found = templates(pl.Series([None, "", "Why?"]), pl.Series(["x", None, None]))
    assert found.is_null().to_list() == [True, False, False]
    assert templates(pl.Series([], dtype=pl.String), pl.Series([], dtype=pl.String)).is_empty()

"""Private data: what is found, what is let be, and how it is masked."""

import json
import re
from typing import Any

import phonenumbers
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from synth.errors import RecipeError
from synth.settings import Private
from synth.tables.private import private, suspect
from synth.text.phones import phones
from synth.text.private import SUSPECT, find
from tests.planted import LOOKALIKES, TRUE, made

KINDS = list(SUSPECT)
SENTENCES = [text for kind in KINDS for text, _ in TRUE[kind]]
SENTENCES += [text for kind in KINDS for text in LOOKALIKES[kind]]


def spans(text: str, *kinds: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in find(text, kinds or KINDS)]


def one(text: str | None, instruction: str | None = None, **actions: Any) -> dict[str, Any]:
    frame = pl.DataFrame({"instruction": [instruction], "text": [text]}).cast(pl.String)
    return private(frame, Private(**actions), find, SUSPECT).row(0, named=True)


def possible(*texts: str) -> list[list[str]]:
    """The kinds whose signs each text bears."""
    text = pl.col("text")
    bears = pl.DataFrame({"text": texts}).select(
        text.str.contains(sign).alias(kind) for kind, sign in SUSPECT.items()
    )
    return [[kind for kind in KINDS if row[kind]] for row in bears.iter_rows(named=True)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_planted_is_found_to_the_character_and_little_else(kind: str) -> None:
    assert len(TRUE[kind]) >= 25
    assert len(LOOKALIKES[kind]) >= len(TRUE[kind])
    found = sum((kind, value) in spans(text) for text, value in TRUE[kind])
    everything = sum(name == kind for text in SENTENCES for name, _ in spans(text))
    assert found == len(TRUE[kind])
    # One number of 16 digits in ten has the right check digit: those of e are a Mastercard's.
    assert everything - found == (1 if kind == "card" else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_alone_takes_nothing_from_the_others(kind: str) -> None:
    for text in SENTENCES:
        assert spans(text, kind) == [pair for pair in spans(text) if pair[0] == kind]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@b.io,c@d.io;e@f.io", ["a@b.io", "c@d.io", "e@f.io"]),
        ("mailto:a@b.io?subject=x", ["a@b.io"]),
        ("<a@b.io>.", ["a@b.io"]),
        ("a@b.xn--p1ai, then", ["a@b.xn--p1ai"]),
        ("Ring +44 20 7946 0958 or +33 1 42 68 53 00.", ["+44 20 7946 0958", "+33 1 42 68 53 00"]),
        ("Call 020 7946 0958 12 times", ["020 7946 0958"]),
        ("IBAN DE89370400440532013000 BIC COBADEFFXXX", ["DE89370400440532013000"]),
        ("DE89 3704 0044 0532 0130 00 AND SO ON", ["DE89 3704 0044 0532 0130 00"]),
        ("4111 1111 1111 1111 12/27 123", ["4111 1111 1111 1111"]),
        ("[2a00:1450:4001:82a::200e]:443", ["2a00:1450:4001:82a::200e"]),
        ("::ffff:151.101.1.69", ["151.101.1.69"]),
    ],
)  # fmt: skip
def test_spans_end_where_the_value_ends(text: str, expected: list[str]) -> None:
    assert [value for _, value in spans(text)] == expected


def test_one_value_has_one_number_on_both_sides() -> None:
    row = one(
        "Jane (JANE@x.io) wrote to bob@x.io from +44 20 7946 0958, then called +442079460958.",
        "Who is jane@x.io?",
    )
    assert row["instruction"] == "Who is <EMAIL_1>?"
    assert row["text"] == (
        "Jane (<EMAIL_1>) wrote to <EMAIL_2> from <PHONE_1>, then called <PHONE_1>."
    )
    assert json.loads(row["masked"]) == {"email": 3, "phone": 2}
    assert row["private"] is None


def test_masking_what_was_masked_changes_nothing_and_never_reuses_a_number() -> None:
    assert one("Ask <EMAIL_1> or <EMAIL_7>.")["masked"] is None
    assert one("Ask <EMAIL_7> or a@b.io.")["text"] == "Ask <EMAIL_7> or <EMAIL_8>."


def test_each_kind_has_its_own_action() -> None:
    text = "Mail a@b.io, or call +44 20 7946 0958, from 151.101.1.69."
    row = one(text, email="keep", phone="mask", ip="drop")
    assert row["text"] == "Mail a@b.io, or call <PHONE_1>, from 151.101.1.69."
    assert (row["masked"], row["private"]) == ('{"phone": 1}', "ip")
    kept = one(text, **dict.fromkeys(KINDS, "keep"))
    assert (kept["text"], kept["masked"], kept["private"]) == (text, None, None)


def test_what_is_kept_is_not_masked_as_something_else() -> None:
    card = "Pay with 4111 1111 1111 1111 today."
    assert one(card, card="keep")["text"] == card


def test_nulls_and_order_stay() -> None:
    texts = [None, "plain", "a@b.io", None, "plain too", "c@d.io"]
    frame = pl.DataFrame({"instruction": [None, "x", None, "e@f.io", "y", "z"], "text": texts})
    result = private(frame, Private(), find, SUSPECT)
    assert result.columns == ["instruction", "text", "masked", "private"]
    assert result["text"].to_list() == [
        None, "plain", "<EMAIL_1>", None, "plain too", "<EMAIL_1>"
    ]  # fmt: skip
    assert result["instruction"].to_list() == [None, "x", None, "<EMAIL_1>", "y", "z"]
    assert private(frame.clear(), Private(), find, SUSPECT).schema == result.schema


@pytest.mark.parametrize("kind", KINDS)
def test_the_filter_of_rows_loses_nothing_that_is_planted(kind: str) -> None:
    texts = [text for text, _ in TRUE[kind]]
    nothing = [None] * len(texts)
    alone = Private.model_validate({name: "keep" for name in KINDS if name != kind})
    for asked in (alone, Private()):
        for instructions, said in ((texts, nothing), (nothing, texts)):
            frame = pl.DataFrame({"instruction": instructions, "text": said}).cast(pl.String)
            masked = private(frame, asked, find, SUSPECT)["masked"]
            assert masked.str.contains(f'"{kind}"').sum() == len(texts)


# What stands around a value, and zeros of the scripts whose digits are read.
_AROUND = [
    "{}",
    "Nothing else\n{}\nhere.",
    "<b>{}</b>, {}",
    "na\u00efve: \u201e{}\u201c \u2014 so",
    "\u8bf7\u5199\u4fe1\u5230 {} \u3002",
    "\u0627\u0643\u062a\u0628 {} \u0627\u0644\u0622\u0646",
    "In 1945, 12 of 300 came. " * 20 + "{}" + " Then 7 more left on 3.4.1950." * 20,
]
_ZEROS = [None, "\u0660", "\u06f0", "\u0966", "\u09e6", "\u0e50", "\uff10"]


@pytest.mark.parametrize("zero", _ZEROS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_found_anywhere_in_any_digits_bears_its_sign(kind: str, zero: str | None) -> None:
    plain = [text for text, _ in TRUE[kind]]
    plain += [around.replace("{}", value) for _, value in TRUE[kind] for around in _AROUND]
    digits = {ord("0") + i: chr(ord(zero) + i) if zero else str(i) for i in range(10)}
    texts = [text.translate(digits) for text in plain]
    found = [find(text, KINDS) for text in texts]
    # Letters of other scripts before a value may belong to it, and much is no telephone unasked.
    assert sum(any(one.kind == kind for one in ones) for ones in found) > 0.7 * len(texts)
    signs = possible(*texts)
    for text, ones, there in zip(texts, found, signs, strict=True):
        assert {one.kind for one in ones} <= set(there)
        assert find(text, KINDS, "patterns", there) == ones
    frame = pl.DataFrame({"instruction": None, "text": texts}).cast(pl.String)
    assert suspect(frame, Private(), SUSPECT).to_list() == [bool(there) for there in signs]
    alone = Private.model_validate({name: "keep" for name in KINDS if name != kind})
    assert suspect(frame, alone, SUSPECT).to_list() == [kind in there for there in signs]


def test_suspicion_is_told_and_may_be_brought_along() -> None:
    texts = [None, "plain", "a@b.io", "a @ b", "+44 20 7946 0958", "in 1945 and 1950"]
    frame = pl.DataFrame({"instruction": [*texts[1:], None], "text": texts})
    suspects = suspect(frame, Private(), SUSPECT, ["text"])
    assert suspects.to_list() == [False, False, True, True, True, False]
    assert suspect(frame, Private(), SUSPECT).to_list() == [False, True, True, True, True, False]
    asked = Private.model_validate(dict.fromkeys(KINDS, "keep") | {"phone": "mask"})
    assert suspect(frame, asked, SUSPECT, ["text"]).to_list() == [texts[4] == it for it in texts]
    kept = Private.model_validate(dict.fromkeys(KINDS, "keep"))
    assert suspect(frame, kept, SUSPECT).to_list() == [False] * 6
    assert suspect(frame.clear(), Private(), SUSPECT).dtype == pl.Boolean

    whole = private(frame, Private(), find, SUSPECT)
    known = suspect(frame, Private(), SUSPECT)
    assert private(frame, Private(), find, SUSPECT, suspects=known).equals(whole)
    unsuspected = private(frame, Private(), find, SUSPECT, suspects=known & False)
    assert unsuspected["masked"].null_count() == 6
    assert unsuspected.schema == whole.schema


_DIGITS = st.text(alphabet="0123456789", min_size=5, max_size=13)


@given(st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)), _DIGITS)
@example(44, "02079460958")
@example(7, "89123456789")
@example(1, "12125550187")
@example(86, "17951138123")
def test_international_numbers_are_those_that_libphonenumber_holds_possible(
    code: int, digits: str
) -> None:
    number = f"+{code}{digits}"
    try:
        is_possible = phonenumbers.is_possible_number(phonenumbers.parse(number))
    except NumberParseException:
        is_possible = False
    in_form = 7 <= len(number) - 1 <= 15 and len(set(number[1:])) >= 3
    assert list(phones(number)) == ([(0, len(number))] if is_possible and in_form else [])


def test_every_regions_own_way_of_writing_is_known() -> None:
    written = []
    for region in ("GB", "DE", "FR", "AR", "BR", "RU", "IN", "HU", "MX", "JP", "CN", "AU"):
        for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
            one = phonenumbers.example_number_for_type(region, kind)
            assert one is not None
            written.append(phonenumbers.format_number(one, PhoneNumberFormat.NATIONAL))
    sure = [
        number for number in written if number[0] in "(0" and len(re.findall(r"\d", number)) > 8
    ]
    assert len(sure) > 12
    missed = [number for number in sure if list(phones(number)) != [(0, len(number))]]
    assert missed == []


_PIECES = st.one_of(
    st.sampled_from([value for kind in KINDS for _, value in TRUE[kind]]),
    st.sampled_from(["password=", "token: ", " is ", "\n", "\u00a0", "\x1c", "(", ")", "+", "://"]),
    st.sampled_from(
        [
            "Bearer ",
            "ip ",
            "Tel. ",
            "\u0131",
            "\u017f",
            "\u212a",
            "\u0130",
            "\U0001d7d8",
            "\u0be7",
            "\u0663",
            "\uff19",
        ]
    ),
    st.text(alphabet="0123456789 -.+()/:@abcdefDE", max_size=24),
    st.text(max_size=12),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES, max_size=6).map("".join))
@example("pa\u017f\u017fword: " + made(20))
@example("ap\u0131_key = " + made(20))
def test_wild_texts_never_crash_and_the_filter_loses_nothing(text: str) -> None:
    found = find(text, KINDS)
    ends = 0
    for place in found:
        assert ends <= place.start < place.end <= len(text)
        ends = place.end
    row = one(text, text)
    assert row["text"] == row["instruction"]
    assert sum(json.loads(row["masked"] or "{}").values()) == 2 * len(found)
    assert {place.kind for place in found} <= set(possible(text)[0])
    assert find(text, KINDS, "patterns", possible(text)[0]) == found


def test_presidio_is_asked_for_by_name() -> None:
    try:
        import presidio_analyzer  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except ImportError:
        with pytest.raises(RecipeError, match="presidio-analyzer"):
            one("Write to a@b.io", engine="presidio")
        return
    row = one("Write to jane@acme.de or 10.0.0.1", engine="presidio")
    # Presidio takes private addresses for private data too.
    assert row["text"] == "Write to <EMAIL_1> or <IP_1>"

"""Filters of segments and unwanted lines: good texts pass, bad ones fail under their name."""

from typing import Any

import pytest

from synth.settings import Corpus, Filters
from synth.text.filters import FILTERS, failed, unwanted_lines

OFF = Filters(links=None, boilerplate=None, damaged=False)
PROSE = "The owl hunts by night. It hears the vole under the snow. Then it drops without a sound."

# name, limit, a text that passes, a text that fails
TABLE: list[tuple[str, Any, str, str]] = [
    ("links", 0.4, "At https://example.org/owls " + PROSE, "Owls: www.example.org/a and more"),
    ("links", 0.5, "abcdefghi http://b.c", "abcdefgh http://b.de"),
    (
        "boilerplate",
        2,
        "Our privacy policy is a policy on privacy, the privacy policy of the state.",
        "We use cookies. Read our privacy policy.",
    ),
    ("boilerplate", 1, "Design in oak or ash; a catalog in here.", "Please LOG IN or register."),
    ("boilerplate", 3, "Accept all cookies. Skip to content.",
     "Subscribe now! Back to top. All rights reserved."),
    ("damaged", True, "Café, naïve, “quoted” Ÿ â Ã Â €", "The owlâ€™s caf\u00c3\u00a9."),
    ("damaged", True, "Ça va: 60 °C.", "60 Â°C"),
    ("damaged", True, "Any \u00fffd.", "A \ufffd mark."),
    ("list_lines", 0.5, "These:\n\n- a\n", "These:\n- a\n  * b\n\n3. c\n"),
    ("list_lines", 0.5, "-5 degrees\n1.5 metres\n3 owls", "a) one\n(2) two\n• three"),
    ("min_sentences", 3, PROSE, "Dr. Smith of Mt. Vernon came. He saw."),
    ("min_sentences", 3, PROSE, "One owl here.\n\nTwo owls there."),
    ("min_sentences", 3, "一句。两句。三句。", "一句。两句。..."),
    ("years_per_word", 0.1, "In 1998 " + PROSE, "1998 2001 2023 a b c"),
    ("years_per_word", 0.1, "19980, 998, 2199 and 3001 flats", "From 1066 to 1999 in ten words"),
    ("questions", 1, "Why? " + PROSE, "Why? How?"),
    ("questions", 0, PROSE, "为什么\uff1f"),
    ("pronouns", 2, "I saw my owl; the US saw Weber. It was here.", "We know our owl, and she us."),
    ("capitals", 2, "NASA and ESA met. A B C D. 漢字", "NASA, ESA and ÖBB met."),
    ("ellipsis", True, "One. Two..", "And so on..."),
    ("ellipsis", True, PROSE, "And so on…"),
    *(("symbols", True, PROSE, f"A {symbol} here") for symbol in "#&*@™®"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "limit", "good", "bad"), TABLE)
def test_a_filter_tells_bad_texts_from_good(name: str, limit: Any, good: str, bad: str) -> None:
    filters = OFF.model_copy(update={name: limit})
    assert failed([good], filters) == [""]
    assert failed([bad], filters) == [name]
    assert failed([bad], OFF) == [""]


def test_every_setting_is_a_filter_with_its_source_and_in_the_table() -> None:
    assert [rule.name for rule in FILTERS] == list(Filters.model_fields)
    assert all(rule.source for rule in FILTERS)
    assert {row[0] for row in TABLE} == set(Filters.model_fields)


def test_the_first_filter_claims_the_text() -> None:
    text = "http://example.org/ Â° ..."
    filters = Filters(ellipsis=True)
    assert failed([text], filters) == ["links"]
    assert failed([text], filters.model_copy(update={"links": None})) == ["damaged"]


def test_each_of_many_texts_is_judged_by_itself() -> None:
    broken, links = "Â° here", "see www.example.org/" + "a" * 40
    signs = "Accept cookies. Our PRIVACY POLICY. Skip to content"
    assert failed([PROSE, broken, links, PROSE, signs], Filters()) == [
        "", "damaged", "links", "", "boilerplate",
    ]  # fmt: skip
    assert failed([], Filters()) == []


def test_prose_passes_the_default_filters() -> None:
    assert failed([PROSE], Filters()) == [""]


CHROME = """Home | About us | Contact
You are here: Home > Shop > Kitchen > Pans
Skip to main content
Back to top
Previous page | 1 2 3 4 5 ... 17 | Next page
Page 2 of 17
We use cookies to improve your experience.
By continuing to browse you agree to our use of cookies.
Accept all cookies | Reject all | Manage preferences
© 2021 Example Media Ltd.
Copyright 2019-2021 Example Ltd. All rights reserved.
Example Ltd. All rights reserved.
Share on Facebook
Share this article: Facebook, Twitter, Pinterest
Follow us on Twitter!
Subscribe to our weekly letter
SIGN IN
Log in or register
* Privacy Policy | Terms of Service
Leave a comment
Advertisement""".split("\n")
CONTENT = """Home is where the heart is.
Home
Share the cake with your friends.
Copyright law began in 1710 with the Statute of Anne.
The author kept all rights reserved to himself.
Subscribe to the topic sensors/temperature.
Log in to the server with ssh.
Contact the surface with the brush.
Cookies are small files.
Page 3 of the book was torn.
contact us.
about us""".split("\n")


def unwanted(text: str, code: list[tuple[int, int]] | None = None, **settings: Any) -> list[str]:
    spans = unwanted_lines(text, Corpus(**settings), code)
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize("line", CHROME)
def test_furniture_is_unwanted(line: str) -> None:
    text = f"Text.\n  {line} \nMore."
    assert unwanted(text) == [f"  {line} "]
    assert unwanted(text, boilerplate_lines=False) == []


@pytest.mark.parametrize("line", CONTENT)
def test_content_is_no_furniture(line: str) -> None:
    assert unwanted(f"Text.\n{line}\nMore.") == []


@pytest.mark.parametrize("line", ["Read more", "阅读全文", "1. Read", "더 읽기"])
def test_a_phrase_that_stands_often_is_unwanted(line: str) -> None:
    text = f"{line}\nText.\r\n {line}\r\n\nMore.\r{line}"
    assert unwanted(text, repeated_lines=3) == [line, f" {line}", line]
    assert unwanted(text, repeated_lines=4) == []
    assert unwanted(text, repeated_lines=None) == []


@pytest.mark.parametrize("line", ["Yes", "}", "* * *", "1 2 3", "## Two words", "汉字", "..."])
def test_what_is_no_phrase_may_stand_often(line: str) -> None:
    assert unwanted("\n\n".join([line] * 5)) == []


def test_lines_of_code_are_wanted() -> None:
    code = "if (a) {\n  go home\n  go home\n  go home\n}"
    page = "Go home\n\nGo home\n\nGo home\n  Go there"
    assert unwanted(f"{code}\n\n{page}") == ["Go home"] * 2
    text = "Go home\n" * 3
    assert unwanted(text, [(8, 16)]) == ["Go home"] * 2
    assert unwanted(text, [(0, 8), (16, 24)]) == ["Go home"]

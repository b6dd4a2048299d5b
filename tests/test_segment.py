"""Segmentation: exact spans, nothing but white space and dropped lines lost, lengths kept."""

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from synth.records import Document, Segment
from synth.settings import Corpus
from synth.text.markdown import is_markdown, parse
from synth.text.segment import Cut, cut

SETTINGS = Corpus(min_chars=10, max_chars=60, shortest=5, markup="plain", repeated_lines=None)
WILD = st.text(st.sampled_from("ab.! \n\t\r\x85\u2028é漢。🙂\u0301\u202e\x00#`|-"), max_size=400)
PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "# H\n",
                "## Two words\n",
                "a b. ",
                "word\n",
                "\n\n",
                "\n",
                "\r\n",
                "\r",
                "\x85",
                "#",
            ),
            *(
                "- x\n",
                "  - y z\n",
                "1. n\n",
                "```\n",
                "| a | b |\n",
                "|---|---|\n",
                "> q\n",
                "===\n",
            ),
            *(
                "    code\n",
                "---\n",
                "k: v\n",
                "<div>\n",
                "[x]: y\n",
                "\u2028",
                "漢。",
                "\x00",
                "longer-",
            ),
        ]
    ),
    max_size=40,
).map("".join)


def document(text: str, **metadata: str) -> Document:
    return Document("d", text, "x:1", metadata)


def cut_up(text: str, /, **settings: Any) -> list[Segment]:
    return cut(document(text), SETTINGS.model_copy(update=settings)).segments


def texts(text: str, /, **settings: Any) -> list[str]:
    return [segment.text for segment in cut_up(text, **settings)]


def lost(text: str, found: list[Segment]) -> list[str]:
    """What stands before, between and after the segments, but white space."""
    ends = [0, *(s.end for s in found)]
    starts = [*(s.start for s in found), len(text)]
    gaps = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    return [line.strip() for gap in gaps for line in re.split(r"[\r\n]", gap) if line.strip()]


def assert_sound(text: str, result: Cut, settings: Corpus) -> None:
    position = 0
    for segment in result.segments:
        assert text[segment.start : segment.end] == segment.text == segment.text.strip()
        assert segment.start >= position
        assert 0 < len(segment.text) <= settings.max_chars
        assert (segment.skip == "short") == (len(segment.text) < settings.shortest)
        position = segment.end
    if text.startswith("---") and settings.markup == "markdown":
        return  # there may be front matter
    lines = [line.strip() for line in re.split(r"[\r\n]", text)]
    dropped = lost(text, result.segments)
    assert all(lines.count(line) >= (settings.repeated_lines or 999) for line in dropped)
    assert len(dropped) == result.dropped_lines


@effort(max_examples=300)
@given(
    WILD | PIECES,
    st.sampled_from(["plain", "markdown"]),
    st.sampled_from([None, 2]),
    st.integers(1, 40),
    st.integers(1, 80),
    st.integers(1, 20),
)
def test_spans_are_exact_ordered_and_lose_only_white_space_and_dropped_lines(
    text: str, markup: str, repeated: int | None, low: int, high: int, shortest: int
) -> None:
    update = {"markup": markup, "repeated_lines": repeated, "min_chars": low, "max_chars": high}
    settings = SETTINGS.model_copy(update={**update, "shortest": shortest})
    assert_sound(text, cut(document(text), settings), settings)


@effort(max_examples=300)
@given(WILD | PIECES, st.sampled_from([None, 2]), st.integers(1, 40), st.integers(1, 80))
def test_a_heading_is_never_last(text: str, repeated: int | None, low: int, high: int) -> None:
    update = {"markup": "markdown", "repeated_lines": repeated, "min_chars": low, "max_chars": high}
    found = cut(document(text), SETTINGS.model_copy(update=update)).segments
    starts = {one.end: two.start for one, two in pairwise(found)}
    blocks = parse(text).blocks
    run: int | None = None
    for block, following in pairwise(blocks):
        run = (block.start if run is None else run) if block.heading else None
        if run is None or following.heading or block.end not in starts:
            continue
        dropped = text[block.end : starts[block.end]].strip()
        assert dropped or following.start - run > 0.75 * high, (block, found)


def test_paragraphs_are_segments() -> None:
    found = cut_up("First paragraph here.\n\nSecond paragraph here.\n \nThird paragraph here.")
    assert [s.text.split()[0] for s in found] == ["First", "Second", "Third"]


def test_short_paragraphs_join_the_next() -> None:
    text = "Title\n\nThe paragraph of the title."
    assert texts(text) == [text]


def test_a_paragraph_not_worth_a_candidate_joins_the_one_before() -> None:
    text = "A paragraph that is long enough.\n\nTiny."
    assert texts(text, shortest=6) == [text]
    assert texts(text, shortest=5) == text.split("\n\n")


def test_long_paragraphs_are_cut_at_sentence_ends() -> None:
    text = "One sentence of words. Another sentence of words! And a third one?"
    assert texts(text, max_chars=50) == [
        "One sentence of words. Another sentence of words!",
        "And a third one?",
    ]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        (
            "en",
            "They asked for Dr. Smith of Mt. Vernon. He came at once.",
            ["They asked for Dr. Smith of Mt. Vernon.", "He came at once."],
        ),
        (
            "de-AT",
            "Sie kam gestern. Er ging am 3. Mai wieder fort.",
            ["Sie kam gestern.", "Er ging am 3. Mai wieder fort."],
        ),
        ("zh-Hant", "草是綠色的植物。它長得很快。" * 2, ["草是綠色的植物。", "它長得很快。"] * 2),
        (
            "hi",
            "घास एक हरा पौधा है। यह बहुत तेज़ी से बढ़ती है। क्या आप जानते हैं?",
            ["घास एक हरा पौधा है।", "यह बहुत तेज़ी से बढ़ती है।", "क्या आप जानते हैं?"],
        ),
    ],
)
def test_sentences_end_where_they_do_in_the_language(
    language: str, text: str, expected: list[str]
) -> None:
    longest = max(map(len, expected))
    settings = SETTINGS.model_copy(update={"min_chars": 1, "max_chars": longest, "shortest": 1})
    found = cut(document(text, language=language), settings).segments
    assert [s.text for s in found] == expected


def test_a_text_of_many_windows_is_cut_at_sentences_only() -> None:
    sentence = "This sentence number is one of the very many here. "
    found = texts(sentence * 1000, max_chars=len(sentence) + 20)
    assert found == [sentence.strip()] * 1000


def test_long_paragraphs_of_lines_are_cut_at_lines() -> None:
    text = "The first line of a verse\nThe second. And more of it\nThe third of its lines"
    assert texts(text, max_chars=55) == [
        "The first line of a verse\nThe second. And more of it",
        "The third of its lines",
    ]


def test_wrapped_prose_is_cut_at_sentences() -> None:
    text = "A sentence that was wrapped\nat some width. And one that\nwas wrapped as well, too."
    assert texts(text, max_chars=60) == [
        "A sentence that was wrapped\nat some width.",
        "And one that\nwas wrapped as well, too.",
    ]


def test_a_sentence_without_end_is_cut_at_lines_else_at_words_else_anywhere() -> None:
    lines = "a wrapped text\nwithout any end\nthat goes on and on"
    assert texts(lines, max_chars=40) == ["a wrapped text\nwithout any end", "that goes on and on"]
    assert texts("word " * 5, max_chars=12) == ["word word", "word word", "word"]
    assert texts("x" * 25, max_chars=12) == ["x" * 12, "x" * 12, "x"]


def test_a_short_document_is_skipped_with_its_reason() -> None:
    assert [s.skip for s in cut_up("Tiny", shortest=10)] == ["short"]


def test_a_segment_that_fails_a_filter_is_skipped_with_its_name() -> None:
    found = cut_up("See https://example.org/a/b/c and\n\nthis is quite a good paragraph.")
    assert [s.skip for s in found] == ["links", ""]


def test_a_document_can_be_the_unit() -> None:
    text = "\n# Long\n\nBack to top\n\n" + "word " * 100
    [segment] = cut_up(text, unit="document")
    assert segment.text == text.strip()
    assert segment.start == 1
    assert cut(document(text), SETTINGS.model_copy(update={"unit": "document"})).dropped_lines == 0


def test_the_id_is_of_document_span_and_text() -> None:
    first, again = cut_up("Some words here."), cut_up("Some words here.")
    assert first[0].id == again[0].id
    assert len({s.id for s in cut_up("Some words here.\n\nSome words here.")}) == 2


PAGE = """Skip to main content
Read more here
The owl flies without a sound, as its feathers are soft.
Read more here

It hunts by night.
© 2021 Example Ltd.
Read more here
It rests by day in hollow trees."""


def test_repeated_and_boilerplate_lines_are_dropped_and_end_segments() -> None:
    settings = SETTINGS.model_copy(update={"repeated_lines": 3})
    result = cut(document(PAGE), settings)
    assert [s.text for s in result.segments] == [
        "The owl flies without a sound, as its feathers are soft.",
        "It hunts by night.",
        "It rests by day in hollow trees.",
    ]
    assert result.dropped_lines == 5


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("markup", ["plain", "markdown"])
def test_lines_are_dropped_whatever_ends_them(end: str, markup: str) -> None:
    text = PAGE.replace("\n", end)
    update = {"repeated_lines": 3, "markup": markup, "max_chars": 300}
    result = cut(document(text), SETTINGS.model_copy(update=update))
    assert result.dropped_lines == 5
    assert all(text[s.start : s.end] == s.text for s in result.segments)
    assert [s.text.split()[0] for s in result.segments] == ["The", "It", "It"]


def test_lines_stay_where_the_settings_keep_them() -> None:
    settings = SETTINGS.model_copy(update={"boilerplate_lines": False})
    assert cut(document(PAGE), settings).dropped_lines == 0


CODE = """for (;;) {
    do_this(now);
    read more here
}
if (x) {
    read more here
}
else {
    read more here
}"""


def test_repeated_lines_of_code_stay() -> None:
    for text, markup in ((CODE, "plain"), (f"# Code\n\n```\n{CODE}\n```\n", "markdown")):
        assert texts(text, repeated_lines=3, markup=markup, max_chars=300) == [text.strip()]


@pytest.mark.parametrize(
    "text",
    [
        "| one | two |\n|---|---|\n" + "| same row | again |\n" * 3,
        "## See also\n\nSomething.\n\n" * 3,
        "Read this\n---------\n\nSomething.\n\n" * 3,
        "Yes\n\n" * 3,
        "Such as\n\n" + "    same line again\n" * 3,
        '<div class="a">\n' * 3,
        "- item\n\n  ```\n" + "  read more\n" * 3 + "  ```\n",
    ],
    ids=["rows", "headings", "underlined", "words", "indented", "html", "nested code"],
)
def test_what_may_repeat_in_markdown_stays(text: str) -> None:
    found = texts(text, repeated_lines=3, markup="markdown", max_chars=300, min_chars=200)
    assert found == [text.strip()]


MARKDOWN = """# Owls

Owls are birds of the night.

## Food

They eat these:

- voles and mice

- beetles

## Code

```python
# not a heading

hoot()
```

## Sizes

| owl | length |
|-----|--------|
| barn owl | 35 cm |

[link]: https://example.org
"""


def test_markdown_is_cut_before_headings_and_keeps_blocks_whole() -> None:
    assert texts(MARKDOWN, markup="auto", min_chars=30, max_chars=100, shortest=20) == [
        "# Owls\n\nOwls are birds of the night.",
        "## Food\n\nThey eat these:\n\n- voles and mice\n\n- beetles",
        "## Code\n\n```python\n# not a heading\n\nhoot()\n```",
        "## Sizes\n\n| owl | length |\n|-----|--------|\n| barn owl | 35 cm |",
        "[link]: https://example.org",
    ]


def test_small_sections_join() -> None:
    text = "# A\n\nOne.\n\n# B\n\nTwo.\n\n# C\n\nThe third one."
    assert texts(text, markup="markdown", min_chars=20) == [
        "# A\n\nOne.\n\n# B\n\nTwo.",
        "# C\n\nThe third one.",
    ]


def test_a_section_that_opens_with_little_is_not_torn_apart() -> None:
    text = "# A\n\nThe first section.\n\n# B\n\nTwo.\n\nThe long paragraph of the second section."
    assert texts(text, markup="markdown", shortest=15) == [
        "# A\n\nThe first section.",
        "# B\n\nTwo.\n\nThe long paragraph of the second section.",
    ]


def test_a_heading_goes_with_the_first_part_of_what_is_too_long() -> None:
    text = "Some text before it.\n\nTitle\n=====\n\nFirst sentence of it. Second sentence of it."
    assert texts(text, markup="markdown", max_chars=50) == [
        "Some text before it.",
        "Title\n=====\n\nFirst sentence of it.",
        "Second sentence of it.",
    ]


def test_headings_go_together_with_what_follows_but_very_long_ones_alone() -> None:
    text = "Some text before it.\n\n# A\n\n## B\n\nThe first sentence of the section."
    assert texts(text, markup="markdown") == [
        "Some text before it.",
        "# A\n\n## B\n\nThe first sentence of the section.",
    ]
    text = "# A title that takes more than half of it\n\nThe first sentence."
    assert texts(text, markup="markdown", max_chars=50) == text.split("\n\n")


def test_headings_that_nothing_follows_stay_together() -> None:
    assert texts("Text.\n\n# A\n\n## B\n", markup="markdown") == ["Text.\n\n# A\n\n## B"]


def test_long_lists_are_cut_between_items() -> None:
    text = "- one item\n- two. With a second\n  line of it\n  - and its part\n- three"
    assert texts(text, markup="markdown", max_chars=58) == [
        "- one item",
        "- two. With a second\n  line of it\n  - and its part\n- three",
    ]


def test_what_dropped_lines_leave_of_a_long_list_is_cut_between_items() -> None:
    text = "- one item\n- Leave a comment\n- two. With a second\n  line\n- three"
    assert texts(text, markup="markdown", max_chars=30) == [
        "- one item",
        "- two. With a second\n  line",
        "- three",
    ]


def test_long_quotes_are_cut_between_blocks() -> None:
    text = "> One sentence. Two here.\n> and more\n>\n> Another paragraph\n> of it."
    assert texts(text, markup="markdown", max_chars=45) == [
        "> One sentence. Two here.\n> and more\n>",
        "> Another paragraph\n> of it.",
    ]


def test_long_tables_are_cut_between_rows_and_code_between_blank_lines() -> None:
    table = "| a. B | b |\n|---|---|\n| one. Two | c |\n| two. Three | d |"
    assert texts(table, markup="markdown", max_chars=40) == [
        "| a. B | b |\n|---|---|\n| one. Two | c |",
        "| two. Three | d |",
    ]
    code = "```\nfirst(1)\n\nsecond. Third\nfourth(4)\n```"
    assert texts(code, markup="markdown", max_chars=30) == [
        "```\nfirst(1)",
        "second. Third\nfourth(4)\n```",
    ]


def test_blocks_have_their_place_whatever_ends_their_lines() -> None:
    for end in ("\n", "\r\n", "\r"):
        text = "\x85A\u2028B\x00.\n\n# H\x0bh\n\n\n```\nx\n```\n".replace("\n", end)
        found = [text[b.start : b.end] for b in parse(text).blocks]
        assert found == ["A\u2028B\x00.", "# H\x0bh", f"```{end}x{end}```"]


def test_what_the_parser_gives_no_block_is_one() -> None:
    text = "# Title\n\n[a]: x\n[b]: y\n- z\n\n[c]: z"
    found = [text[b.start : b.end] for b in parse(text).blocks]
    assert found == ["# Title", "[a]: x\n[b]: y", "- z", "[c]: z"]


def test_front_matter_is_dropped() -> None:
    text = "---\ntitle: Owls\ntags:\n- two words\n- two words\n---\nOwls are birds of the night."
    update = {"markup": "markdown", "repeated_lines": 2}
    result = cut(document(text), SETTINGS.model_copy(update=update))
    assert [s.text for s in result.segments] == ["Owls are birds of the night."]
    assert result.dropped_lines == 6


@pytest.mark.parametrize(
    "text", ["---\nProse, no YAML.\n---\nMore.", "---\nkey: open\n", "---\n---\nMore."]
)
def test_what_is_no_front_matter_stays(text: str) -> None:
    assert texts(text, markup="markdown") == [text.strip()]


@pytest.mark.parametrize(
    ("text", "settings", "known", "expected"),
    [
        ("# Title\ntext", "auto", "", True),
        ("text\r```\rcode\r```", "auto", "", True),
        ("text\n~~~\ncode", "auto", "", True),
        ("plain", "auto", "markdown", True),
        ("plain", "markdown", "", True),
        ("# Title", "plain", "markdown", False),
        ("#hashtag and C# and a # b", "auto", "", False),
        ("plain", "auto", "", False),
    ],
)
def test_markup_is_as_set_else_as_known_else_as_it_looks(
    text: str, settings: str, known: str, expected: bool
) -> None:
    assert is_markdown(Document("d", text, "x:1", markup=known), settings) is expected

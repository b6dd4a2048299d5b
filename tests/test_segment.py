"""Segmentation: exact spans, nothing but white space lost, lengths kept."""

from hypothesis import given
from hypothesis import strategies as st

from synth.records import Document, Segment
from synth.text.segment import segments


def cut(text: str, low: int = 10, high: int = 60, shortest: int = 5) -> list[Segment]:
    return list(segments(Document("d", text, "x:1"), low, high, shortest))


WILD = st.text(st.sampled_from("ab.! \n\t\r\u2028é漢🙂\u0301\u202e\x00"), max_size=400)


@given(WILD, st.integers(1, 40), st.integers(1, 80), st.integers(1, 20))
def test_spans_are_exact_ordered_and_cover_all_but_white_space(
    text: str, low: int, high: int, shortest: int
) -> None:
    found = cut(text, low, high, shortest)
    position = 0
    for segment in found:
        assert text[segment.start : segment.end] == segment.text
        assert segment.start >= position
        assert not text[position : segment.start].strip()
        assert 0 < len(segment.text) <= high
        assert segment.text == segment.text.strip()
        assert (segment.skip == "short") == (len(segment.text) < shortest)
        position = segment.end
    assert not text[position:].strip()


def test_paragraphs_are_segments() -> None:
    found = cut("First paragraph here.\n\nSecond paragraph here.\n \nThird paragraph here.")
    assert [s.text.split()[0] for s in found] == ["First", "Second", "Third"]


def test_short_paragraphs_join_the_next() -> None:
    found = cut("# Title\n\nThe paragraph of the title.")
    assert [s.text for s in found] == ["# Title\n\nThe paragraph of the title."]


def test_long_paragraphs_are_cut_at_sentence_ends() -> None:
    found = cut("One sentence of words. Another sentence of words! And a third one?", high=50)
    assert [s.text for s in found] == [
        "One sentence of words. Another sentence of words!",
        "And a third one?",
    ]


def test_a_sentence_without_end_is_cut_at_a_space() -> None:
    found = cut("word " * 40)
    assert all(len(s.text) <= 60 and not s.text.startswith("ord") for s in found)


def test_a_short_document_is_skipped_with_its_reason() -> None:
    assert [s.skip for s in cut("Tiny", shortest=10)] == ["short"]


def test_the_id_is_of_document_span_and_text() -> None:
    first, again = cut("Some words here."), cut("Some words here.")
    assert first[0].id == again[0].id
    assert len({s.id for s in cut("Some words here.\n\nSome words here.")}) == 2

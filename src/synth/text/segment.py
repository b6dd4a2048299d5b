"""Document -> segments: paragraphs, short ones joined, long ones cut at sentence ends.

Every segment is an exact span, `document.text[start:end] == segment.text`; together they cover all
of the document but white space.
"""

import re
from collections.abc import Iterator

from synth.records import Document, Segment

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f][\"')\]»”]*(?=\s)|\n")

Span = tuple[int, int]


def segments(
    document: Document, min_chars: int, max_chars: int, shortest: int
) -> Iterator[Segment]:
    """The document's segments, in order; one shorter than `shortest` has `skip` set to `short`.

    Args:
        document: What to cut.
        min_chars: Paragraphs are joined until they have so many characters.
        max_chars: No segment has more characters.
        shortest: Fewer characters are not worth a candidate.
    """
    paragraphs = [
        piece
        for paragraph in _paragraphs(document.text)
        for piece in _pieces(document.text, paragraph, max_chars)
    ]
    for start, end in _joined(paragraphs, min_chars, max_chars, shortest):
        skip = "short" if end - start < shortest else ""
        text = document.text[start:end]
        yield Segment(document.id, start, end, text, skip, document.metadata)


def _paragraphs(text: str) -> Iterator[Span]:
    """Spans between blank lines, trimmed, without empty ones."""
    start = 0
    for gap in _BLANK_LINE.finditer(text):
        yield from _trimmed(text, start, gap.start())
        start = gap.end()
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end


def _pieces(text: str, span: Span, max_chars: int) -> Iterator[Span]:
    """The span in pieces of at most `max_chars`, cut after sentences, else words, else anywhere."""
    start, end = span
    while end - start > max_chars:
        window = text[start : start + max_chars + 1]
        cuts = [match.end() for match in _SENTENCE_END.finditer(window) if match.end() <= max_chars]
        cut = cuts[-1] if cuts else window.rfind(" ", 1)
        cut = start + (cut if cut > 0 else max_chars)
        yield from _trimmed(text, start, cut)
        start = cut
    yield from _trimmed(text, start, end)


def _joined(spans: list[Span], min_chars: int, max_chars: int, shortest: int) -> list[Span]:
    """Neighbours joined while the first is shorter than `min_chars` and the whole fits."""
    joined: list[Span] = []
    for start, end in spans:
        if joined:
            first, last = joined[-1]
            fits = end - first <= max_chars
            if fits and (last - first < min_chars or end - start < shortest):
                joined[-1] = (first, end)
                continue
        joined.append((start, end))
    return joined

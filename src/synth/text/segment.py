"""Document -> segments: paragraphs, short ones joined, long ones cut at sentence ends.

Every segment is an exact span, `document.text[start:end] == segment.text`; together they cover all
of the document but white space and dropped lines. No segment spans a dropped line.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import sentencex

from synth.records import Document, Segment
from synth.settings import Corpus
from synth.text.filters import failed, unwanted_lines
from synth.text.markdown import LINE_END, Block, Markdown, is_markdown, parse

Span = tuple[int, int]
Unit = tuple[int, int, int]
"""Start and end of a span that is not cut again, and its characters, or its section's where it
opens one."""
Cutter = Callable[[str, int, int], Iterable[int]]
"""Tells where the text between two places may be cut."""

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_BLANK_LINE_OF_CODE = re.compile(r"(?:\r\n?|\n)[^\S\r\n]*(?:\r\n?|\n)")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_]\w+)*")
_SENTENCE_WINDOW = 20_000  # characters put to sentencex at once: its time can grow with the square
_HEADING_SHARE = 0.75  # of a segment: headings that are longer stand alone


class Cut(NamedTuple):
    """What became of a document: its segments, in order, and how many lines were dropped."""

    segments: list[Segment]
    dropped_lines: int


def cut(document: Document, settings: Corpus) -> Cut:
    """A document's segments; see `cut_all`."""
    return cut_all([document], settings)[0]


def cut_all(documents: Sequence[Document], settings: Corpus) -> list[Cut]:
    """Each document's segments, with their `skip`: why one is not worth a candidate, or nothing.

    That is `short` for one of fewer than `settings.shortest` characters, else the name of the first
    filter that it fails. Headings go with what follows them. Lines of front matter are dropped.
    Filters look at many texts at once much quicker than at each.
    """
    placed = [_spans(document, settings) for document in documents]
    texts = [
        document.text[start:end]
        for document, (spans, _) in zip(documents, placed, strict=True)
        for start, end in spans
    ]
    judged = zip(texts, failed(texts, settings.filters), strict=True)
    shortest = settings.shortest
    cuts = []
    for document, (spans, dropped_lines) in zip(documents, placed, strict=True):
        name, metadata, found = document.id, document.metadata, []
        for start, end in spans:
            text, reason = next(judged)
            skip = "short" if end - start < shortest else reason
            found.append(Segment.of(name, start, end, text, skip, metadata))
        cuts.append(Cut(found, dropped_lines))
    return cuts


def _spans(document: Document, settings: Corpus) -> tuple[list[Span], int]:
    """Where the document's segments are, and how many of its lines were dropped."""
    text = document.text
    if settings.unit == "document":
        return _trimmed(text, 0, len(text)), 0
    language = _language(document)
    marked = parse(text) if is_markdown(document, settings.markup) else None
    dropped = unwanted_lines(text, settings, marked.code if marked else None)
    count = len(dropped) + (marked.front_lines if marked else 0)
    spans: list[Span] = []
    for region in _between(dropped, 0, len(text)):
        if marked:
            blocks = _within(text, marked, region)
            units = list(_sections(text, blocks, settings.max_chars, language))
        else:
            units = _paragraphs(text, region, settings.max_chars, language)
        spans += _joined(units, settings)
    return spans, count


def _language(document: Document) -> str:
    """The document's language as a short code; English where that is not known."""
    named = document.metadata.get("language")
    code = _LANGUAGE.fullmatch(named) if named else None
    return code[1].lower() if code else "en"


def _between(gaps: list[Span], start: int, end: int) -> list[Span]:
    """What the gaps leave of a span."""
    if not gaps:
        return [(start, end)]
    edges = [start, *chain.from_iterable(gaps), end]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _trimmed(text: str, start: int, end: int) -> list[Span]:
    """The span without white space around it; nothing if there is nothing else."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return [(start, end)] if start < end else []


def _paragraphs(text: str, region: Span, max_chars: int, language: str) -> list[Unit]:
    """Spans between blank lines, those that are too long in pieces."""
    blank = [gap.span() for gap in _BLANK_LINE.finditer(text, *region)]
    units: list[Unit] = []
    for span in _between(blank, *region):
        for start, end in _trimmed(text, *span):
            if end - start <= max_chars:
                units.append((start, end, end - start))
            else:
                units += _pieces(text, Block(start, end), max_chars, language)
    return units


def _within(text: str, marked: Markdown, region: Span) -> Iterator[Block]:
    """What the region holds of each block."""
    first, last = region
    following = bisect_right(marked.blocks, first, key=lambda block: block.end)
    for place in range(following, len(marked.blocks)):
        block = marked.blocks[place]
        if block.start >= last:
            break
        for start, end in _trimmed(text, max(block.start, first), min(block.end, last)):
            yield block._replace(start=start, end=end)


def _sections(text: str, blocks: Iterable[Block], max_chars: int, language: str) -> Iterator[Unit]:
    """Blocks with their headings, in pieces where they are too long; see `Unit.size`."""
    section: list[Unit] = []
    for block, start in _with_headings(blocks, max_chars):
        if block.heading or start < block.start:
            yield from _weighed(section)
            section = []
        section += _pieces(text, block, max_chars, language, start)
    yield from _weighed(section)


def _with_headings(blocks: Iterable[Block], max_chars: int) -> Iterator[tuple[Block, int]]:
    """Each block, and where the headings before it begin; headings alone if nothing follows."""
    heading: Block | None = None
    for block in blocks:
        if block.heading:
            heading = block._replace(start=heading.start if heading else block.start)
            continue
        start = heading.start if heading else block.start
        if heading and block.start - start > _HEADING_SHARE * max_chars:
            yield heading, start
            start = block.start
        yield block, start
        heading = None
    if heading:
        yield heading, heading.start


def _weighed(section: list[Unit]) -> Iterator[Unit]:
    for start, end, _ in section[:1]:
        yield start, end, section[-1][1] - start
    yield from section[1:]


def _pieces(
    text: str, block: Block, max_chars: int, language: str, start: int | None = None
) -> Iterator[Unit]:
    """The block in pieces of at most `max_chars`, the first with the headings from `start` on."""
    for first, last in _trimmed(text, block.start if start is None else start, block.end):
        if last - first <= max_chars:
            yield first, last, last - first
            continue
        cutters = _cutters(block, language)
        for begin, end in _fitted(text, (first, last), block.start, cutters, max_chars):
            yield begin, end, end - begin


def _cutters(block: Block, language: str) -> list[Cutter]:
    """Where a block may be cut, the best places first."""
    if block.lined:
        return [_after_blank_lines, _after_lines]
    return [
        lambda text, start, end: block.cuts,
        _after_unwrapped_lines,
        lambda text, start, end: _after_sentences(text, start, end, language),
        _after_lines,
    ]


def _after_blank_lines(text: str, start: int, end: int) -> Iterable[int]:
    return [gap.end() for gap in _BLANK_LINE_OF_CODE.finditer(text, start, end)]


def _after_lines(text: str, start: int, end: int) -> Iterable[int]:
    return [line.end() for line in LINE_END.finditer(text, start, end)]


def _after_unwrapped_lines(text: str, start: int, end: int) -> Iterable[int]:
    """Ends of lines, but none where they only wrap prose: many lines begin with a small letter."""
    found = [line.end() for line in LINE_END.finditer(text, start, end)]
    small = sum(text[cut : cut + 1].islower() for cut in found)
    return [] if 3 * small > len(found) else found


def _after_sentences(text: str, start: int, end: int, language: str) -> Iterator[int]:
    while start < end:
        window = min(start + _SENTENCE_WINDOW, end)
        sentences = sentencex.segment(language, text[start:window])
        if window < end and len(sentences) > 1:
            sentences.pop()  # it may go on after the window
        for sentence in sentences:
            start += len(sentence)
            yield start


def _fitted(text: str, span: Span, floor: int, cutters: list[Cutter], max_chars: int) -> list[Span]:
    """The span in pieces of at most `max_chars`, cut after `floor` at the best places that do."""
    for start, end in _trimmed(text, *span):
        if end - start <= max_chars:
            return [(start, end)]
        if not cutters:
            return list(_words(text, start, end, floor, max_chars))
        low = max(start, floor)
        cuts = [place for place in cutters[0](text, low, end) if low < place < end]
        atoms: list[Span] = []
        for part in pairwise([start, *cuts, end]):
            atoms += _fitted(text, part, floor, cutters[1:], max_chars)
        return _packed(atoms, max_chars)
    return []


def _words(text: str, start: int, end: int, floor: int, max_chars: int) -> Iterator[Span]:
    """The span in pieces of at most `max_chars`, cut after words, else anywhere."""
    while end - start > max_chars:
        limit = start + max_chars
        low = max(start, floor) + 1
        place = max(text.rfind(space, low, limit + 1) for space in " \n\t")
        place = place if place > 0 else limit
        yield from _trimmed(text, start, place)
        start = place
    yield from _trimmed(text, start, end)


def _packed(spans: list[Span], max_chars: int) -> list[Span]:
    """Neighbours joined as long as they fit."""
    packed: list[Span] = []
    for start, end in spans:
        if packed and end - packed[-1][0] <= max_chars:
            packed[-1] = (packed[-1][0], end)
        else:
            packed.append((start, end))
    return packed


def _joined(units: Iterable[Unit], settings: Corpus) -> list[Span]:
    """Neighbours joined while the first is shorter than `min_chars` and the whole fits.

    A unit that is shorter than `shortest` is joined to a long one, too.
    """
    min_chars, max_chars, shortest = settings.min_chars, settings.max_chars, settings.shortest
    joined: list[Span] = []
    for start, end, size in units:
        if joined:
            first, last = joined[-1]
            fits = end - first <= max_chars
            if fits and (last - first < min_chars or size < shortest):
                joined[-1] = (first, end)
                continue
        joined.append((start, end))
    return joined

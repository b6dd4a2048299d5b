"""Markdown -> its blocks: headings, paragraphs, lists, code, tables, each an exact span."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from synth.records import Document

Span = tuple[int, int]

LINE_END = re.compile(r"\r\n?|\n")  # as CommonMark has it; str.splitlines knows eight more
_SIGN = re.compile(r" {0,3}(?:#{1,6}[ \t]|`{3}|~{3})")
_LATER_SIGN = re.compile(rf"[\r\n]{_SIGN.pattern}")  # with a beginning of its own it is slow
_FENCE_OF_FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*(?:\r\n?|\n)")
_FRONT_MATTER_LINE = re.compile(r"[ \t]|- |#|[^\s:][^:]*:(?:\s|$)|$")
_CODE = {"fence", "code_block", "html_block", "table_open"}


class Block(NamedTuple):
    """A top-level block, trimmed.

    Attributes:
        start: Its first character.
        end: After its last.
        heading: Whether it is one.
        lined: Whether its lines count, as those of code and tables do, so that no sentence does.
        cuts: Where its parts begin, but the first: items of a list, blocks of a quote.
    """

    start: int
    end: int
    heading: bool = False
    lined: bool = False
    cuts: tuple[int, ...] = ()


class Markdown(NamedTuple):
    """A parsed text.

    Attributes:
        front_lines: Lines of its front matter.
        blocks: All that follows that, but white space.
        code: Spans whose lines belong together: code, tables, HTML and underlined headings, also
            those inside other blocks; and the front matter.
    """

    front_lines: int
    blocks: list[Block]
    code: list[Span]


def is_markdown(document: Document, markup: str) -> bool:
    """Whether the document is to be read so; `auto`: it is known to be, or shows a fence or `#`."""
    if markup != "auto":
        return markup == "markdown"
    if document.markup == "markdown":
        return True
    text = document.text
    # To look for one character first is ten times as quick.
    signs = "#" in text or ("`" in text and "```" in text) or ("~" in text and "~~~" in text)
    return signs and bool(_SIGN.match(text) or _LATER_SIGN.search(text))


def parse(text: str) -> Markdown:
    """The text's blocks (CommonMark with GitHub's tables)."""
    front, front_lines = _front_matter(text)
    starts = [front, *(end.end() for end in LINE_END.finditer(text, front))]
    lines = [*starts, len(text)]  # a map may end one line after the last
    tokens = [token for token in _parser().parse(text[front:]) if token.map and token.nesting >= 0]
    code = [(0, front)] if front else []
    for token in tokens:
        if token.type in _CODE or (token.type == "heading_open" and token.markup in "-="):
            code.append(_span(token, lines))
    return Markdown(front_lines, list(_blocks(text, tokens, lines)), code)


@cache
def _parser() -> MarkdownIt:
    """A parser of blocks only."""
    return MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])


def _span(token: Token, lines: list[int]) -> Span:
    first, last = token.map or (0, 0)
    return lines[first], lines[min(last, len(lines) - 1)]


def _blocks(text: str, tokens: list[Token], lines: list[int]) -> Iterator[Block]:
    """Top-level blocks; what the parser gives no block, such as link targets, is one too."""
    position = lines[0]
    parts = [_span(token, lines)[0] for token in tokens if token.level == 1]
    for token in tokens:
        if token.level:
            continue
        start, end = _span(token, lines)
        yield from _block(text, position, start)
        yield from _block(
            text,
            start,
            end,
            heading=token.type == "heading_open",
            lined=token.type in _CODE,
            cuts=tuple(parts[bisect_right(parts, start) : bisect_left(parts, end)]),
        )
        position = end
    yield from _block(text, position, len(text))


def _block(
    text: str,
    start: int,
    end: int,
    *,
    heading: bool = False,
    lined: bool = False,
    cuts: tuple[int, ...] = (),
) -> Iterator[Block]:
    inner = text[start:end]
    stripped = inner.lstrip()
    if stripped:
        start = end - len(stripped)
        yield Block(start, start + len(stripped.rstrip()), heading, lined, cuts)


def _front_matter(text: str) -> tuple[int, int]:
    """Where the YAML between `---` at the very start ends, and its lines; 0 and 0 without any."""
    opening = _FENCE_OF_FRONT_MATTER.match(text)
    if not opening:
        return 0, 0
    start, count = opening.end(), 1
    for end in LINE_END.finditer(text + "\n", opening.end()):
        line = text[start : end.start()]
        count += 1
        if line.rstrip() in {"---", "..."}:
            return (min(end.end(), len(text)), count) if count > 2 else (0, 0)
        if not _FRONT_MATTER_LINE.match(line):
            break
        start = end.end()
    return 0, 0

"""Text -> what is wrong with it: the filters of segments, and the lines that documents drop.

A filter tells which texts are not worth a candidate, before anything is spent on them; most are off
until a recipe sets them. The rules of `tables/rules.py` judge candidates, this judges text alone.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import polars as pl
from sentencex import segment as sentences

from synth.settings import Corpus, Filters

Span = tuple[int, int]

_LINK = re.compile(r"(?:https?://|www\.)\S+")
# UTF-8 that was read as Latin-1 or Windows-1252, or could not be read at all.
_DAMAGED = re.compile("\ufffd|â€|Ã[\u0080-\u00bf©¨¤¶¼±³]|Â[\u00a0-\u00bf]")
_LIST_LINE = re.compile(
    r"^[^\S\n]*(?:[-*+\u2022\u2023\u25e6\u25aa\u2013]|\(?(?:\d{1,3}|[a-z])[.)])[^\S\n]+\S", re.M
)
_YEAR = re.compile(r"\b(?:1\d|20)\d\d\b")
_PRONOUN = re.compile(r"\b(?:I|[Ww]e|[Uu]s|[Oo]ur|[Mm]y|[Hh]e|[Ss]he)\b")  # not the country US
_WORD = re.compile(r"[^\W\d_]{2,}")
# Signs of a website's furniture in small letters, each kind behind a word to search for first: that
# is quicker than any expression.
_SIGNS = {
    "cookie": r"(?:accept|reject|use|uses|using|of) (?:all |our |the )?cookies"
    r"|cookie (?:policy|settings|notice|preferences)",
    "privacy": r"privacy (?:policy|notice|settings)",
    "rights reserved": r"all rights reserved",
    "terms of ": r"terms of (?:use|service)",
    "skip to": r"skip to (?:main )?content",
    "to top": r"back to top",
    "sign in": r"sign in (?:or|here|to (?:continue|comment|your account))",
    "log in": r"log in (?:or|here|to (?:continue|comment|reply|your account))",
    "subscribe": r"(?:un)?subscribe (?:to our|now|today|at any time)",
    "newsletter": r"(?:our|free|weekly|e?-?mail) newsletter",
    "javascript": r"enable javascript",
    "share this": r"share this (?:article|post|page|story)",
}
_SIGNS_OF = {word: re.compile(rf"\b(?:{signs})\b") for word, signs in _SIGNS.items()}

_NET = r"(?:facebook|twitter|x|linkedin|pinterest|whatsapp|reddit|telegram|tumblr|e-?mail|print)"
_PAGE = (
    r"(?:home|about(?: us)?|contact(?: us)?|products|services|blog|shop|search|help|faqs?|news"
    r"|site ?map|my account|log ?in|sign ?in|sign ?up|register|privacy policy|cookie policy"
    r"|terms of (?:use|service)|terms (?:and|&) conditions|careers|press|advertise)"
)
_CHROME = re.compile(
    r"(?:[-*+>#|\u2022]+\s*)?(?:"
    # Navigation: menus, breadcrumbs, pages of a list.
    rf"{_PAGE}(?:\s*[|\u00b7\u2022/>\u00bb\u203a]\s*{_PAGE})+"
    r"|(?:you are here:\s*)?home(?:\s*[|>\u00bb\u203a\u2192]\s*[^|>\u00bb\u203a\u2192]{1,40}){2,}"
    r"|skip to (?:main )?content|back to (?:the )?top|(?:toggle|main) (?:navigation|menu)"
    r"|contact us|about us|(?:privacy|cookie) policy|terms of (?:use|service)|site ?map"
    r"|(?:previous|next|older|newer) (?:page|post|article|entry|posts|articles|entries)"
    r"|prev(?:ious)?(?: page)?[\s\d.|<>\u2026\u00ab\u00bb\u2039\u203a]*next(?: page)?"
    r"|page \d+ of \d+|(?:log|sign) ?(?:in|up)"
    r"|(?:log|sign) in (?:or|to) (?:sign up|register|join|continue|comment|reply)\b.{0,40}"
    # Consent.
    r"|(?:we|this (?:web)?site|our (?:web)?site)\b.{0,30}\b(?:use|uses) cookies\b.*"
    r"|by (?:continuing|using|browsing)\b.*\bcookies\b.*"
    r"|(?:accept|reject|allow|decline|manage)(?: all)? (?:cookies|preferences|consent)\b.{0,60}"
    # Copyright.
    r"|(?:copyright\s*)?(?:\u00a9|\(c\))\s*(?:copyright\s*)?\d{4}\b.*"
    r"|copyright\s+\d{4}\b[^.]{0,60}|all rights reserved(?:\. .{0,80})?"
    # Sharing and subscribing.
    rf"|share(?: this)?(?: article| post| page| story)?(?: on| via|:)(?:[\s,|/\u00b7]*{_NET}\b)+"
    r"|share this(?: article| post| page| story)?"
    rf"|(?:follow|like|find|join) us on {_NET}\b.{{0,60}}"
    r"|subscribe(?: now| today)?|subscribe to (?:our|my) .{0,80}"
    r"|sign up (?:for|to) (?:our|my|the)\b.{0,40}\bnewsletter\b.{0,60}"
    r"|enter your e-?mail address\b.{0,60}|please enable javascript\b.{0,80}"
    r"|leave a (?:reply|comment)|(?:load|show|view) (?:more |all )?comments|advertisement"
    r")[\s.!:|\u00bb\u203a\u2192]*"
)
"""Of a line in small letters: whatever looks at both cases is twice as slow."""
_LONGEST_CHROME = 160  # characters of a line
_RESERVED = re.compile(r".*\ball rights reserved[\s.]*")  # its search is slow
# A line that says something: two words, or a run of a script that puts no spaces between words.
_PHRASE = re.compile(r"(?=\S*\s+\S)(?!#).*?[^\W\d_]|.*[\u0e00-\u0eff\u3040-\u30ff\u4e00-\u9fff]{4}")
_CODE_LINE = re.compile(r"[ ]{2}|\t|.*[{};]\s*$")


@dataclass(frozen=True, slots=True)
class Filter:
    """A reason to skip a text.

    Attributes:
        name: What it is called.
        fails: Whether a text does, at a limit.
        source: Who uses it, and at which limit.
        sign: No text fails of which this is false, an expression of the column `text`: to look at
            many texts at once is several times as quick as to ask `fails`. None: any text may.
    """

    name: str
    fails: Callable[[str, float], bool]
    source: str
    sign: pl.Expr | None = None


def _links(text: str, limit: float) -> bool:
    return sum(map(len, _LINK.findall(text))) > limit * len(text)


def _boilerplate(text: str, limit: float) -> bool:
    """Whether so many different signs are there: an article on cookies shows but one of them."""
    low = text.lower()
    found = [set(signs.findall(low)) for word, signs in _SIGNS_OF.items() if word in low]
    return sum(map(len, found)) >= limit


def _damaged(text: str, _: float) -> bool:
    return _DAMAGED.search(text) is not None


def _list_lines(text: str, limit: float) -> bool:
    lines = sum(not line.isspace() for line in text.split("\n") if line)
    return len(_LIST_LINE.findall(text)) > limit * lines


def _sentences(text: str, limit: float) -> bool:
    found = sum(_WORD.search(sentence) is not None for sentence in sentences("en", text))
    return found < limit


def _years(text: str, limit: float) -> bool:
    return len(_YEAR.findall(text)) > limit * len(text.split())


def _questions(text: str, limit: float) -> bool:
    return sum(map(text.count, "?\uff1f\u061f")) > limit


def _pronouns(text: str, limit: float) -> bool:
    return len(_PRONOUN.findall(text)) > limit


def _capitals(text: str, limit: float) -> bool:
    return sum(map(str.isupper, _WORD.findall(text))) > limit


def _ellipsis(text: str, _: float) -> bool:
    return "..." in text or "\u2026" in text


def _symbols(text: str, _: float) -> bool:
    return any(symbol in text for symbol in "#&*@\u2122\u00ae")


FILTERS = (
    Filter(
        "links",
        _links,
        "Danish instruction sets: 40 % of the characters",
        pl.col("text").str.contains(r"://|www\."),
    ),
    Filter(
        "boilerplate",
        _boilerplate,
        "C4 and the Danish sets; different signs",
        pl.col("text").str.to_lowercase().str.contains("|".join(_SIGNS)),
    ),
    Filter("damaged", _damaged, "ftfy's signs", pl.col("text").str.contains("[\ufffdâÃÂ]")),
    Filter("list_lines", _list_lines, "Danish: 50 % of the lines"),
    Filter("min_sentences", _sentences, "Danish: 3"),
    Filter("years_per_word", _years, "Danish: 1 of 30 words"),
    Filter("questions", _questions, "REInstruct: 1"),
    Filter("pronouns", _pronouns, "REInstruct: 2; its list"),
    Filter("capitals", _capitals, "REInstruct: 2"),
    Filter("ellipsis", _ellipsis, "REInstruct"),
    Filter("symbols", _symbols, "REInstruct"),
)
"""In the order in which they claim a text, that of the settings."""


def failed(texts: Sequence[str], filters: Filters) -> list[str]:
    """Of each text the name of the first filter that it fails; empty where it is worth asking."""
    limits = [(rule, getattr(filters, rule.name)) for rule in FILTERS]
    asked = [(rule, limit) for rule, limit in limits if limit is not None and limit is not False]
    signs = [rule.sign.alias(rule.name) for rule, _ in asked if rule.sign is not None]
    seen = pl.DataFrame({"text": texts}, {"text": pl.String}).select(signs)
    found = [""] * len(texts)
    for rule, limit in asked:
        rows = range(len(texts)) if rule.sign is None else seen[rule.name].arg_true()
        for row in rows:
            if not found[row] and rule.fails(texts[row], limit):
                found[row] = rule.name
    return found


def unwanted_lines(text: str, settings: Corpus, code: Sequence[Span] | None) -> list[Span]:
    """Spans of the lines that repeat or are a website's furniture, in order, without line ends.

    Args:
        text: A document.
        settings: Which lines are unwanted.
        code: Spans whose lines stay, in order; None looks for paragraphs that look like code.
    """
    # Every line is followed by one character; that of \r\n by two, with an empty line between.
    lines = (text.replace("\r", "\n") if "\r" in text else text).split("\n")
    found = _repeated(lines, settings.repeated_lines)
    if settings.boilerplate_lines:
        found += _chrome(lines)
    if not found:
        return []
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    spans = [(starts[row], starts[row] + len(lines[row])) for row in sorted(set(found))]
    if code is None:
        code = list(_code(lines, starts))
    return [span for span in spans if not _inside(span[0], code)]


def _inside(place: int, spans: Sequence[Span]) -> bool:
    before = bisect_right(spans, place, key=lambda span: span[0])
    return before > 0 and place < spans[before - 1][1]


def _repeated(lines: list[str], limit: int | None) -> list[int]:
    """Rows of phrases that stand so often; headings and comments (`#`) may."""
    if limit is None or len(lines) < limit:
        return []
    stripped = list(map(str.strip, lines))
    if len(set(stripped)) == len(stripped):
        return []
    often = {line for line, n in Counter(stripped).items() if n >= limit and _PHRASE.match(line)}
    return [row for row, line in enumerate(stripped) if line in often] if often else []


def _chrome(lines: list[str]) -> list[int]:
    return [
        row
        for row, line in enumerate(lines)
        if 0 < len(line) <= _LONGEST_CHROME and _is_chrome(line.strip())
    ]


def _is_chrome(line: str) -> bool:
    """Whether the whole line is; one with a small letter first goes on from the line before."""
    if line[:1].islower():
        return False
    low = line.lower()
    reserved = "eserved" in low and _RESERVED.fullmatch(low)
    return bool(reserved or _CHROME.fullmatch(low))


def _code(lines: list[str], starts: list[int]) -> Iterator[Span]:
    """Paragraphs of which more than a third is indented or ends in `{`, `}` or `;`."""
    first = 0
    for row in range(len(lines) + 1):
        if row == len(lines) or not lines[row].strip():
            signs = sum(_CODE_LINE.match(line) is not None for line in lines[first:row])
            if 3 * signs > row - first:
                yield starts[first], starts[row]
            first = row + 1

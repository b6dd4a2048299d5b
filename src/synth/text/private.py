"""Text -> the private data in it: what points to a person, and what opens a door.

Where a number has check digits they are checked (python-stdnum); what does not point to anyone is
let be: private, loopback and documentation addresses, version numbers, numbers of orders and books.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network
from typing import Literal

from stdnum import iban, luhn

from synth.text.keys import keys
from synth.text.phones import GAP, phones

Engine = Literal["patterns", "presidio"]
Spans = Iterator[tuple[int, int]]


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """A span of private data, in characters."""

    start: int
    end: int
    kind: str


_ZEROS = "\u0660\u06f0\u0966\u09e6\u0e50\uff10"  # Arabic, Persian, Devanagari, Bengali, Thai, wide
_ASCII_DIGITS = {ord(zero) + i: ord("0") + i for zero in _ZEROS for i in range(10)}
_DIGITS = "0-9" + "".join(f"{zero}-{chr(ord(zero) + 9)}" for zero in _ZEROS)
_DIGIT = f"[{_DIGITS}]"
_WIDE = re.compile(f"[{_DIGITS.removeprefix('0-9')}]")

SUSPECT = {
    "key": r"AKIA|ASIA|ABIA|ACCA|gh[pousr]_|github_pat_|gl(?:pat|dt|rt|cbt|ptt|ft)-|hf_|api_org_"
    rf"|sk-[^\s.,;]{{20}}|gsk_|r{_DIGIT}_|xai-|pplx-|xox[abeoprs]-|xapp-|[sr]k_|whsec_|AIza"
    rf"|ya{_DIGIT}{{2}}\.|GOCSPX-|SG\.|npm_|pypi-|do[opr]_v{_DIGIT}_|shp(?:at|ca|pa|ss)_"
    rf"|dapi[a-f{_DIGITS}]{{8}}|:AA|hvs\.[\w-]{{8}}|lin_api_|AGE-SECRET|eyJ"
    r"|hooks\.slack|-----BEGIN|://[^/:@]+:|(?i:bearer\s"
    r"|(?:passw(?:or)?d|passphrase|pwd|secret|key|token|credentials?|passwort|kennwort"
    r"|contrase[ñn]a|mot de passe|senha)[\"'`\]]{0,2}(?:\s{0,3}[:=]| is:?\s{1,3}[^\t-\r ]{8}))",
    "iban": rf"(?i:[a-z]{{2}}{_DIGIT}{{2}}(?:[ -]?[a-z{_DIGITS}]){{11}})",
    "card": rf"{_DIGIT}(?:[ -]?{_DIGIT}){{13}}",
    "email": "@",
    "ip": rf"{_DIGIT}\.{_DIGIT}{{1,3}}\.{_DIGIT}|{_DIGIT}[A-Fa-f{_DIGITS}]{{3}}:",
    "phone": rf"{_DIGIT}(?:[{GAP}]{{0,3}}{_DIGIT}){{6}}",
}
"""Kind -> an expression that every text with such data matches, and few others, for polars' engine.

Digits are those of all the scripts that `find` reads, in the makes of keys as well. Joined to one
expression they take little more time than one alone."""

_MAILBOX = re.compile(r"(?<![\w.+%'/=&-])[\w](?:[\w.+%'&/=~!#-]{0,62}[\w+-])?(?=@)")
_AT_DOMAIN = re.compile(
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![\w@-])"
)
_MAILBOX_LENGTH = 64  # RFC 5321, 4.5.3.1.1
_NO_MAILBOX = re.compile(r"git@(?!.*\s)|.*\.(?:png|jpe?g|gif|svg|webp|css|js|py|html?|json)$", re.I)
_IBAN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}(?![A-Z0-9])", re.I | re.A)
_IBAN_END = re.compile(r"(?<=[A-Z0-9])(?![A-Z0-9])", re.I | re.A)
_CARD = re.compile(
    r"(?<![A-Za-z0-9_])(?<!\d[.,-])(?:\d{14,19}|\d{4}(?:(?:[ -]\d{4}){3}(?:[ -]\d{3})?"
    r"|[ -]\d{6}[ -]\d{4,5}))(?![A-Za-z0-9_]|[.,-]\d)",
    re.A,
)
# Issuer -> first digits and lengths, of ISO/IEC 7812; Visa's 13 digits are no longer issued.
_ISSUERS = re.compile(
    r"4(?:\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12}(?:\d{3})?"  # Discover
    r"|35(?:2[89]|[3-8]\d)\d{12}(?:\d{3})?"  # JCB
    r"|3(?:0[0-5]|[689]\d)\d{11}"  # Diners Club
    r"|62\d{14,17}"  # UnionPay
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{12}(?:\d{3})?"  # Maestro
    r"|220[0-4]\d{12}",  # Mir
    re.A,
)
_IPV4 = re.compile(
    r"(?<![^\W_])(?<![\d_][.-])(?<![\w]/)(?<![.=]=)(?<![~^<>]=)(?<![~^])"
    r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|[.-]\w)"
)
_IPV6 = re.compile(
    r"(?<![\w:.])[23][0-9A-Fa-f]{3}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4}(?![\w:]|\.\d)"
)
_DOCUMENTATION = IPv6Network("3fff::/20")  # RFC 9637, which ipaddress does not know yet
_VERSION = re.compile(
    r"\b(?:v|ver|versions?|release|build|revision|rev|firmware|driver|section|sections|sect|chapter"
    r"|clause|paragraph|article|figure|fig|table|appendix|theorem|lemma|definition|item|level|step"
    r"|updated?|patch|upgraded?|sdk|api|oid|python|java|chrome|protocol|§)"
    r"(?:\s(?:number|no|is|to))?[\s.:(#-]{0,3}$",
    re.I,
)
_ADDRESS = re.compile(
    r"\b(?:ip(?:v4)?s?|address(?:es)?|host|hosts|server|ping|traceroute|client|visitor|from|ssh"
    r"|nameservers?|dns|resolver|whois|peer|ban|banned|block|blocked|curl|inet|at|source|src|dst"
    r")\b[^.\d]{0,24}$|//$",
    re.I,
)
_VERSION_LIKE = 32  # four numbers below are a version or a section, unless called an address


def find(
    text: str,
    kinds: Collection[str],
    engine: Engine = "patterns",
    possible: Collection[str] = tuple(SUSPECT),
) -> list[Found]:
    """The private data of some kinds, in order, no two of them overlapping.

    Args:
        text: Any text.
        kinds: Names of the settings: `email`, `phone`, `iban`, `card`, `ip`, `key`.
        engine: `presidio` adds what Microsoft Presidio's recognizers find.
        possible: Kinds whose sign the text bears, where that is known: no other is looked for.

    Raises:
        RecipeError: Presidio is asked for and not installed.
    """
    wide = not text.isascii() and _WIDE.search(text)
    ascii_digits = text.translate(_ASCII_DIGITS) if wide else text
    found: list[Found] = []
    searched = [kind for kind in _FINDERS if kind in possible]
    while searched and searched[-1] not in kinds:  # it could take nothing from the others
        searched.pop()
    for kind in searched:
        for start, end in sorted(_FINDERS[kind](ascii_digits), key=_first_and_longest):
            _claim(found, Found(start, end, kind))
    if engine == "presidio":
        from synth.text.presidio import recognized

        for kind, start, end in recognized(text, kinds):
            _claim(found, Found(start, end, kind))
    return [one for one in found if one.kind in kinds]


def _first_and_longest(span: tuple[int, int]) -> tuple[int, int]:
    return span[0], -span[1]


def _claim(found: list[Found], new: Found) -> None:
    """Puts a span into its place, unless one that is surer has some of it."""
    place = bisect_left(found, new)
    before, after = found[place - 1 : place], found[place : place + 1]
    free_before = not before or before[0].end <= new.start
    if free_before and (not after or new.end <= after[0].start) and new.start < new.end:
        found.insert(place, new)


def _emails(text: str) -> Spans:
    past = 0
    at = text.find("@")
    while at >= 0:
        domain = _AT_DOMAIN.match(text, at)
        first = max(past, at - _MAILBOX_LENGTH)
        mailbox = domain and _MAILBOX.search(text, first, at + 1)
        past = at + 1
        if domain and mailbox:
            start, past = mailbox.start(), domain.end()
            if _is_email(text[start:past], text[max(0, start - 80) : start]):
                yield start, past
        at = text.find("@", past)


def _is_email(written: str, before: str) -> bool:
    _, scheme, user = before.rpartition("://")
    in_url = scheme and not re.search(r"[\s\"'<>()/]", user)  # user:password@host
    return not in_url and not _NO_MAILBOX.match(written) and ".." not in written


def _ibans(text: str) -> Spans:
    for match in _IBAN.finditer(text):
        ends = [end.end() for end in _IBAN_END.finditer(text, match.start(), match.end())]
        for end in reversed(ends):  # words may follow
            number = text[match.start() : end]
            if len(number) >= 15 and iban.is_valid(number, check_country=False):
                yield match.start(), end
                break


def _cards(text: str) -> Spans:
    for match in _CARD.finditer(text):
        digits = match[0].replace(" ", "").replace("-", "")
        mixed = " " in match[0] and "-" in match[0]
        if not mixed and _ISSUERS.fullmatch(digits) and luhn.is_valid(digits):
            yield match.span()


def _addresses(text: str) -> Spans:
    for match in _IPV4.finditer(text):
        if _points_at_someone(match[0], text[max(0, match.start() - 40) : match.start()]):
            yield match.span()
    for match in _IPV6.finditer(text):
        try:
            address = IPv6Address(match[0])
        except AddressValueError:
            continue
        if address.is_global and address not in _DOCUMENTATION:
            yield match.span()


def _points_at_someone(written: str, before: str) -> bool:
    """Whether an IPv4 address is public, and neither a version nor a number of a section."""
    try:
        address = IPv4Address(written)
    except AddressValueError:
        return False
    if not address.is_global or address.is_multicast or written.endswith(".0.0"):
        return False
    if max(address.packed) < _VERSION_LIKE:
        return _ADDRESS.search(before) is not None and not _VERSION.search(before)
    version = _VERSION.search(before)
    return version is None or _ADDRESS.search(before) is not None


_FINDERS: dict[str, Callable[[str], Spans]] = {
    "key": keys,
    "iban": _ibans,
    "card": _cards,
    "email": _emails,
    "ip": _addresses,
    "phone": phones,
}
"""The surest first: what one has claimed the next ones leave."""

"""Text -> the spans of its telephone numbers.

Numbers are checked by Google's libphonenumber (`phonenumbers`). Its own matcher takes 3 ms for a
kilobyte and region, and in prose it takes many numbers for telephones; so candidates are found
here, and what cannot be told from an order number must be said to be a telephone beside it.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

# Regions whose national numbers are looked for, those with most speakers of what is published.
_REGIONS = """
US GB DE FR IT ES NL BE AT CH SE NO DK FI PL CZ PT IE GR HU RO UA RU TR IL AE SA EG ZA NG KE IN PK
ID SG MY TH JP CN KR TW HK AU NZ BR MX AR CL CO
""".split()
GAP = " \u00a0\u202f\u2009\u2010-\u2013./()-"
"""What may stand between the digits of a number, for a class of characters."""

_CANDIDATE = re.compile(
    rf"(?<![^\W_])(?<![^\W_][-./:,+_=@])(?<![$€£¥#%=@_])(?:\(?[+\uff0b]|\()?[0-9](?:[{GAP}]{{0,3}}[0-9]){{6,15}}"
    r"(?![^\W_]|[-./:,]?\d|[%°€£@_]|\s?(?:%|€|EUR\b|USD\b|°|km\b|kg\b|years\b))"
)
_GROUPS = re.compile(r"[0-9]+")
_SAYS = re.compile(
    r"\b(?:tele(?:phone|fon[eo]?)|phone|(?:smart)?fax|mobile|mobil|cell(?:phone|ular)?|tel|t[eé]l"
    r"|t[eé]l[eé]phone|tel[eé]fono|telefoon|telefon[iu]?|telefone|handy|hotline|whatsapp|celular"
    r"|m[oó]vil|portable|helpline|landline|rufnummer|pager|sms|电话|電話|手机|전화|тел(?:ефон)?"
    r"|هاتف|फ़ोन|फोन)"
    r"(?:\W{0,2}(?:numbers?|no|nr|num[eé]ro|n[uú]mero|nummer|line|is|was|us|at|on|me|her|him|it"
    r"|ext|office|home|work|direct|hours?)\b){0,3}\W{0,4}$"
    r"|\b(?:call|dial|ring|text|phone|reach|contact)(?: (?:me|us|him|her|them|back|now|the|number"
    r"|office|[A-Z]\w+|anytime|on|at|toll|free|today|directly|help)){0,4}[\s:]{1,3}$",
    re.I,
)
_DENIES = re.compile(
    r"\b(?:isbn(?:-1[03])?|issn|doi|orders?|invoice|ticket|tracking|serial|sku|part|model|case|ref"
    r"(?:erence)?|account|acct|ssn|id|patent|version|commit|page|pages|pp|article|item|batch|lot"
    r"|customer|policy|claim|bug|issue|section|vat|iban|ean|upc|asin|imei|timestamp|seed|port)"
    r"(?:\W{0,2}(?:numbers?|no|nr|is|was|code|id|of))?\W{0,3}$",
    re.I,
)
_DATE = re.compile(
    r"(?:1[5-9]|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ][0-3]?\d(?!\d).*"
    r"|[0-3]?\d[-./ ][0-3]?\d[-./ ](?:1[5-9]|20)\d\d(?!\d).*"
    r"|(?:1[0-9]|20)\d\d ?[-\u2013/ ] ?(?:1[0-9]|20)\d\d(?!\d).*"
)
# The North American way of writing: an area code that exists in form, then three and four digits.
_AMERICAN = re.compile(
    r"(?:(?:\+?1[-. ])?(?:\([2-9]\d\d\)[-. ]?|[2-9]\d\d[-.])\d{3}[-. ]\d{4}"
    r"|[2-9]\d\d [2-9]\d\d-\d{4})"
)
_BEFORE = 40  # characters in which a number may be said to be a telephone, or something else


def phones(text: str) -> Iterator[tuple[int, int]]:
    """Spans of telephone numbers, in order; the text's digits are ASCII ones."""
    for match in _CANDIDATE.finditer(text):
        start = match.start()
        before = text[max(0, start - _BEFORE) : start]
        if _DENIES.search(before):
            continue
        if text[start] == "(" and ")" not in match[0]:  # a parenthesis around it
            start += 1
        ends = list(_ends(text, start, match.end()))
        said = _SAYS.search(before) is not None
        # One that any reader knows for a telephone goes before one that is only said to be.
        surest = [end for end in ends if _is_phone(text[start:end], False)]
        surest += [end for end in ends if said and _is_phone(text[start:end], True)]
        if surest:
            yield start, surest[0]


def _ends(text: str, start: int, end: int) -> Iterator[int]:
    """The end of the candidate, then those of its beginnings: two numbers may stand in a row."""
    yield end
    groups = list(_GROUPS.finditer(text, start, end))
    for group, following in zip(groups[-2:0:-1], groups[:1:-1], strict=False):
        if " " in text[group.end() : following.start()]:
            yield group.end()


@lru_cache(maxsize=4096)
def _is_phone(number: str, said: bool) -> bool:
    groups = _GROUPS.findall(number)
    digits = "".join(groups)
    if not 7 <= len(digits) <= 15 or _DATE.fullmatch(number) or len(set(digits)) < 3:
        return False
    if number.count("(") != number.count(")"):
        return False
    if number.startswith(("+", "\uff0b", "(+", "00")):
        return _international("+" + digits.removeprefix("00"))
    if _AMERICAN.fullmatch(number):
        return True
    if said:
        return len(digits) <= 13
    return _national(number, groups)


def _international(number: str) -> bool:
    try:
        parsed = phonenumbers.parse(number)
    except NumberParseException:
        return False
    return phonenumbers.is_possible_number(parsed)


def _national(number: str, groups: list[str]) -> bool:
    """Whether one region writes a valid number in these very groups, and no amounts look so."""
    digits = sum(map(len, groups))
    if digits < 9 or len(groups) < 2 or {".", "/"} <= set(number):
        return False
    if number[0] not in "(0" and (digits < 10 or all(len(group) == 3 for group in groups[1:])):
        return False
    return any(_written_so(number, groups, region) for region in _REGIONS)


def _written_so(number: str, groups: list[str], region: str) -> bool:
    try:
        parsed = phonenumbers.parse(number, region)
    except NumberParseException:
        return False
    if not phonenumbers.is_valid_number_for_region(parsed, region):
        return False
    written = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    return _GROUPS.findall(written) == groups

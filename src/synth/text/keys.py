"""Text -> the spans of its secrets: tokens of known make, private key blocks, assigned passwords.

The makes are those that issuers document so that scanners can find them (GitHub, Slack, Stripe...);
values assigned to something called a password or secret count where they look made by chance.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

_TOKEN = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{40,255}"
    r"|gl(?:pat|dt|rt|cbt|ptt|ft)-[\w-]{20,}"  # GitLab
    r"|(?:hf_|api_org_)[A-Za-z0-9]{30,}"  # Hugging Face
    r"|sk-(?:proj-|svcacct-|admin-|ant-|or-)[\w-]{20,}|sk-[A-Za-z0-9]{32,}"  # OpenAI, Anthropic
    r"|gsk_[A-Za-z0-9]{40,}|r8_[A-Za-z0-9]{30,}|xai-[A-Za-z0-9]{40,}|pplx-[A-Za-z0-9]{40,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{12,}|xapp-\d-[A-Za-z0-9-]{12,}"  # Slack
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,}"  # Stripe
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{28}"  # Google
    r"|SG\.[\w-]{20,24}\.[\w-]{39,50}"  # SendGrid
    r"|npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{50,}"
    r"|do[opr]_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|dapi[0-9a-f]{32}"
    r"|\d{8,10}:AA[\w-]{33}|hvs\.[\w-]{24,}|lin_api_[A-Za-z0-9]{40}"  # Telegram, Vault, Linear
    r"|AGE-SECRET-KEY-1[A-Z0-9]{58}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"  # JSON web tokens
    r")(?![A-Za-z0-9])",
    re.A,
)
_HOOK = re.compile(r"hooks\.slack\.com/services/(T\w{6,}/B\w{6,}/\w{16,})", re.A)
_BLOCK = re.compile(
    r"-----BEGIN (?P<kind>(?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?)-----"
    r"(?:(?!-----).){40,20000}-----END (?P=kind)-----"
    # A block that the end of the text cuts.
    r"|-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:\s|\\n)+[A-Za-z0-9+/=]{16,76})+",
    re.A | re.S,
)
_NAMES = """
passw passphrase pwd secret key token credential kennwort contrase passe senha
""".split()
_ASSIGNED = (
    r"(?:passw(?:or)?d|passphrase|passwd|pwd|secret(?:[_ -]?(?:access[_ -]?)?key)?"
    r"|api[_ -]?key|apikey|access[_ -]?key|account[_ -]?key|private[_ -]?key|encryption[_ -]?key"
    r"|signing[_ -]?key|(?:access|auth|refresh|bearer|api|session|bot)[_ -]?token|token"
    r"|credentials?|passwort|kennwort|contrase[ñÑn]a|mot de passe|senha)"
    r"[\"'`\]]{0,2}(?:\s{0,3}[:=][:=]?>?\s{0,3}| is:?\s{1,3})"
    r"(?P<quote>[brf]?[\"'`])?(?P<value>[^\s\"'`,;<>(){}]{8,200})(?P<after>[(\[{<]?)"
)
_BEARER = re.compile(r"\bBearer\s+(?P<value>[\w.~+/=-]{20,})", re.I | re.A)
_USERINFO = re.compile(r"://[^\s/:@\"'<>]{1,64}:(?P<value>[^\s/@\"'<>]{6,128})@[\w.-]", re.A)
_PLACEHOLDER = re.compile(
    r"pass|secret|token|change|example|your|xxx|\*\*|dummy|placeholder|insert|redact|sample|test123"
    r"|here|environ|getenv|process\.|config|settings"
    r"|^[$%]|\$[{(]|\.\.\.|://|todo|none|null|undefined",
    re.I,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z_.:/\[\]-]*\d{0,2}")  # words: an identifier, a path, a phrase
_BITS = 2.75  # bits a character: eight different characters have 3, English words some 2.5


def keys(text: str) -> Iterator[tuple[int, int]]:
    """Spans of secrets; of an assignment the value alone. In no order, and they may overlap."""
    for match in _TOKEN.finditer(text):
        if _mixed(match[0]):
            yield match.span()
    for match in _HOOK.finditer(text):
        yield match.span(1)
    for match in _BLOCK.finditer(text):
        yield match.span()
    yield from _assigned(text)
    for found in (_BEARER, _USERINFO):
        for match in found.finditer(text):
            if _by_chance(match["value"]):
                yield match.span("value")


def _assigned(text: str) -> Iterator[tuple[int, int]]:
    low = text.lower()
    if not any(word in low for word in _NAMES):  # a tenth of what the search takes
        return
    for match in _assignments(text, low):
        start, end = match.span("value")
        value = text[start:end] if match["quote"] else text[start:end].rstrip(".:!?]")
        if not match["after"] and _by_chance(value):
            yield start, start + len(value)


def _assignments(text: str, low: str) -> Iterator[re.Match[str]]:
    """Matches of `_ASSIGNED`, in the text or in its lower case, where it takes a tenth."""
    if text.isascii():
        return re.finditer(_ASSIGNED, low, re.A)
    return re.finditer(_ASSIGNED, text, re.I | re.A)


def _mixed(token: str) -> bool:
    """Whether it has digits or both cases, as what is made by chance has."""
    body = token[4:]
    return any(map(str.isdigit, body)) or (body != body.lower() and body != body.upper())


def _by_chance(value: str) -> bool:
    """Whether a value looks like a secret, and not like a word, a name in code or a placeholder."""
    if len(value) < 6 or _PLACEHOLDER.search(value) or _NAME.fullmatch(value):
        return False
    kinds = sum(
        any(map(test, value)) for test in (str.islower, str.isupper, str.isdigit, _is_symbol)
    )
    if kinds < 2 or value.replace(".", "").isdigit():
        return False
    return _entropy(value) >= _BITS


def _is_symbol(character: str) -> bool:
    return not character.isalnum()


def _entropy(value: str) -> float:
    """Bits a character."""
    total = len(value)
    return -math.fsum(n / total * math.log2(n / total) for n in Counter(value).values())

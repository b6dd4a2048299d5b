"""Good responses -> unusable texts, from which a model learns to answer `null`.

What crawls bring: text cut mid-word, page furniture, shuffled words, lists of links.
"""

import random
from collections.abc import Callable

from synth.records import content_id

NULL = "null"
"""What a model answers that declines a text."""
_FURNITURE = (
    """
Home|About us|Contact|Sign in|Register|My account|Search|Menu|Close|Skip to main content|Next page
Previous page|Back to top|Share on social media|Follow us|Subscribe to our newsletter|Privacy policy
Cookie settings|Accept all cookies|Terms of use|All rights reserved|Read more|Load more|View cart
Checkout|Add to basket|Page not found|Related articles|Advertisement|Sitemap|Careers|Help centre
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
_SITES = "example.org example.net example.com".split()


def declines(answer: str) -> bool:
    """Whether that is what the answer says."""
    return answer.strip().strip(".\"'").lower() == NULL


def junk(text: str, seed: int) -> str:
    """An unusable text made from a good one; which kind, its content decides."""
    rng = random.Random(content_id(seed, "junk", text))
    makers: tuple[Callable[[str, random.Random], str], ...] = (_cut, _furniture, _shuffled, _links)
    return rng.choice(makers)(text, rng)


def _cut(text: str, rng: random.Random) -> str:
    """A stretch of a few dozen characters that begins and ends inside a word."""
    size = rng.randint(25, 70)
    start = rng.randrange(max(1, len(text) - size))
    piece = text[start : start + size].strip()
    return piece[1:-1] if len(piece) > 12 else piece


def _furniture(text: str, rng: random.Random) -> str:
    """The buttons and notices of a page, with a word or two of its text."""
    items = rng.sample(_FURNITURE, rng.randint(6, 14))
    items.insert(rng.randrange(len(items)), " ".join(text.split()[:2]))
    return rng.choice((" | ", "\n", " \u00b7 ", "  ")).join(items)


def _shuffled(text: str, rng: random.Random) -> str:
    """Its words in no order."""
    tokens = text.split()
    rng.shuffle(tokens)
    return " ".join(tokens[: rng.randint(20, 80)])


def _links(text: str, rng: random.Random) -> str:
    """Addresses made of its words."""
    tokens = [t for t in "".join(c if c.isalnum() else " " for c in text.lower()).split() if t]
    lines = []
    for _ in range(rng.randint(4, 9)):
        slug = "-".join(rng.choice(tokens or ["page"]) for _ in range(rng.randint(1, 4)))
        lines.append(f"https://{rng.choice(_SITES)}/{slug}")
    return "\n".join(lines)

"""Untrusted text -> Markdown that shows it and does nothing else."""

import re
from collections.abc import Iterable, Sequence

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_MOST = 3000  # characters of a text that are shown


def code_block(text: str) -> str:
    """The text behind a fence that it cannot close; a long one is cut, and says so."""
    more = len(text) - _MOST
    shown = text if more <= 0 else f"{text[:_MOST]}\n[... {more} more characters]"
    shown = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", shown.replace("\r\n", "\n"))
    fence = "`" * max(3, _longest(shown) + 1)
    return f"{fence}text\n{shown}\n{fence}"


def code(text: str, most: int = 200) -> str:
    """The text as code in a line."""
    flat = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    flat = flat if len(flat) <= most else f"{flat[: most - 1]}…"
    fence = "`" * (_longest(flat) + 1)
    pad = " " if "`" in flat or not flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; its first column is of words, the others are of numbers. A bar ends no cell."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(
        f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |"
        for line in lines
    )


def _longest(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)

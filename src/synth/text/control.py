"""Instruction -> its traits, and the control line that asks for an instruction with such traits.

Reverse models drift to short plain questions. A line in the prompt that names the traits of the
pair's instruction teaches the model to follow it; at generation the traits are drawn from a target
distribution, so the mix of the dataset is chosen rather than suffered.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence

from py3langid.langid import classify

from synth.settings import Kind, Length, Style

_SHORT, _MEDIUM, _QUERY = 8, 20, 5  # words: at most so many
_WORD = re.compile(r"\w+")
_QUESTION_WORDS = frozenset(
    "what who whom whose which when where why how is are was were do does did can could should"
    " would will has have".split()
)
_KINDS: dict[Kind, str] = {
    "comparison": r"compare|difference|differ|versus|\bvs\b|better",
    "howto": r"^how (do|can|should|to)\b|\bhow to\b|steps?\b|guide\b|recipe",
    "explanation": r"^(why|explain|how)\b|\bexplain\b|\bcauses?\b|\bmakes?\b",
    "list": r"^(list|name|give)\b|\b(types|kinds|examples|ways) of\b",
    "rewriting": r"^(summari[sz]e|rewrite|translate|paraphrase|edit|correct|shorten)\b",
    "writing": r"^(write|compose|create|generate|draft|make)\b",
    "sorting": r"^(classify|identify|categori[sz]e|sort|group)\b",
    "fact": r"^(what|who|when|where|which|describe|define|tell)\b",
}


def traits(instruction: str, aspects: Sequence[str]) -> dict[str, str]:
    """The instruction's value of each aspect: `kind`, `length`, `style`, `language`."""
    measures: dict[str, Callable[[str], str]]
    measures = {"kind": _kind, "length": _length, "style": _style, "language": language}
    return {aspect: measures[aspect](instruction) for aspect in aspects}


def language(text: str) -> str:
    """ISO 639-1 code of the text's language, as py3langid sees it."""
    return str(classify(text)[0])


def line(wanted: Mapping[str, str]) -> str:
    """The control line of a prompt; empty when nothing is wanted."""
    if not wanted:
        return ""
    return "Wanted: " + ", ".join(f"{aspect} {value}" for aspect, value in wanted.items())


Learnt = list[tuple[dict[str, str], int]]
"""Traits, and how many training pairs had them."""


def learnt_traits(counts: Mapping[str, int]) -> Learnt:
    """Control lines and how many pairs had each, read back once for all draws."""
    return [(_parsed(text), count) for text, count in sorted(counts.items())]


def drawn(
    learnt: Learnt,
    target: Mapping[str, Mapping[str, float]],
    seed: int,
) -> dict[str, str]:
    """Traits for one generation.

    Args:
        learnt: The training pairs' traits.
        target: Aspect -> value -> share; aspects left out keep the training pairs' distribution.
        seed: Decides the draw.

    Returns:
        Aspect -> value; empty when nothing was learnt.
    """
    if not learnt:
        return {}
    rng = random.Random(seed)
    chosen = {
        aspect: rng.choices(list(shares), list(shares.values()))[0]
        for aspect, shares in target.items()
    }
    fitting = [(t, n) for t, n in learnt if all(t.get(a) == v for a, v in chosen.items())]
    options = fitting or learnt
    found = rng.choices([t for t, _ in options], [n for _, n in options])[0]
    return {**found, **chosen}


def _parsed(text: str) -> dict[str, str]:
    parts = (part.split(" ", 1) for part in text.removeprefix("Wanted: ").split(", "))
    return {part[0]: part[1] for part in parts}


def _kind(instruction: str) -> Kind:
    low = instruction.strip().lower()
    return next((kind for kind, pattern in _KINDS.items() if re.search(pattern, low)), "other")


def _length(instruction: str) -> Length:
    count = len(_WORD.findall(instruction))
    return "short" if count <= _SHORT else "medium" if count <= _MEDIUM else "long"


def _style(instruction: str) -> Style:
    words = _WORD.findall(instruction.lower())
    if instruction.rstrip().endswith(("?", "\uff1f")) or (words and words[0] in _QUESTION_WORDS):
        return "question"
    ended = instruction.rstrip().endswith((".", "!", ":", "\u3002"))
    return "query" if len(words) <= _QUERY and not ended else "instruction"

"""Instructions -> the verb that each opens with and its object, as Self-Instruct drew them.

Words are tagged by HanTa's model for English (Wartena 2019; British National Corpus tags). Where a
question has no verb but a form of "to be", its question word takes the verb's place.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

_WORDS = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")
_HEAD = 40  # words that are looked at
# What stands between the nouns of one phrase.
_INSIDE = frozenset({"AT0", "AJ0", "AJC", "AJS", "CRD", "ORD", "DPS", "DT0", "POS", "VVG", "VVN"})


def asked(instructions: Iterable[str]) -> Counter[tuple[str, str]]:
    """(verb, object) -> instructions; without those in which no verb or no object is found."""
    found = (verb_and_object(text) for text in instructions)
    return Counter(pair for pair in found if pair is not None)


def verb_and_object(instruction: str) -> tuple[str, str] | None:
    """The first verb, as in a dictionary, and the head of the noun phrase after it."""
    words = _WORDS.findall(instruction)[:_HEAD]
    tagged = _tagger().tag_sent(words) if words else []
    start, verb = _verb(tagged)
    noun = _noun(tagged[start:])
    return (verb, noun) if verb and noun else None


def _verb(tagged: list[tuple[str, str, str]]) -> tuple[int, str]:
    """The place after the verb, and the verb; empty where there is none."""
    question = ""
    for place, (_, lemma, tag) in enumerate(tagged):
        if tag.startswith("VV"):
            return place + 1, lemma.lower()
        if tag in ("DTQ", "AVQ", "PNQ") and not question:
            question = lemma.lower()
        elif tag.startswith("VB") and question:
            return place + 1, question
    return 0, ""


def _noun(tagged: list[tuple[str, str, str]]) -> str:
    """The last noun of the first noun phrase."""
    noun = ""
    for _, lemma, tag in tagged:
        if tag.startswith("N"):
            noun = lemma.lower()
        elif tag == "PUN" or (noun and tag not in _INSIDE):
            break
    return noun


@cache
def _tagger() -> Any:  # noqa: ANN401
    from HanTa import HanoverTagger

    return HanoverTagger.HanoverTagger("morphmodel_en.pgz")

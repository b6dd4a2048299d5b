"""Text -> its keywords: the words that return most often in it.

A prompt that names them keeps a small model with the text's subject. Counting suits short texts:
over 3,279 passages whose subject is known (`recipes/nano/passages.jsonl`) the subject is among the
first three in 96 %; YAKE (Campos et al. 2020), made for whole articles, had it in 22 % of an eighth
of them.
"""

import re
from collections import Counter
from functools import lru_cache

from stop_words import StopWordError, get_stop_words

from synth.text.control import language

_WORD = re.compile(r"[^\W\d_]{3,}(?:['\u2019-][^\W\d_]+)*")
_PLURAL = re.compile(r"(?:ies|y|es|s|e)$")
_STEM = 3  # letters that stay, at least
_LONGEST = 40  # characters; what is longer would fill a prompt and names nothing


def keywords(text: str, count: int) -> list[str]:
    """At most so many words, the most frequent first; among equals the earlier.

    Singular and plural count as one and are given as they stand most often, in small letters; stop
    words, those of the text's language, words of one or two letters, and runs of letters that are
    longer than any word never are.
    """
    common = _stop_words(language(text)) if count else frozenset()
    forms: dict[str, Counter[str]] = {}
    for match in _WORD.finditer(text.lower().replace("\u2019", "'")):
        word = match[0].removesuffix("'s")
        if word not in common and len(word) <= _LONGEST:
            forms.setdefault(_stem(word), Counter())[word] += 1
    ranked = sorted(forms.values(), key=Counter.total, reverse=True)  # stable: the earlier first
    return [form.most_common(1)[0][0] for form in ranked[:count]]


def _stem(word: str) -> str:
    ending = _PLURAL.search(word)
    return word[: ending.start()] if ending and ending.start() >= _STEM else word


@lru_cache
def _stop_words(code: str) -> frozenset[str]:
    """The stop words of a language, by its ISO 639-1 code; none where no list is known."""
    try:
        return frozenset(get_stop_words(code))
    except StopWordError:
        return frozenset()

"""A passage written by hand -> the same shape of text about something else, in other words.

A few thousand passages are soon remembered by a model that reads them dozens of times. Here each
serves many times: its subject is renamed, and a share of its words is swapped, a word the same way
wherever it stands. What stays is what a reader goes by: the small words, the order, and which words
return.
"""

import random
import re
from collections.abc import Sequence

import templates
from grammar import ASKING_WORDS, SMALL_WORDS, Composer, Example, capitalized, plural

_WORD = re.compile(r"[A-Za-z]{4,}")
_SUFFIX = re.compile(r"(?:ings?|ed|er|ers|ly|es|s)$")
_ARTICLE = re.compile(r"^(a|an|the) ")


def stem_of(word: str) -> tuple[str, str]:
    """A lower-case word as stem and ending; the stem keeps at least three letters."""
    match = _SUFFIX.search(word)
    if match and match.start() >= 3:
        return word[: match.start()], match[0]
    return word, ""


def word_pattern(noun: str) -> str:
    """A regular expression for the noun as a word of its own."""
    return rf"\b{re.escape(noun)}\b"


def swapped(text: str, old: str, new: str) -> str:
    """The text with one noun for another, capitals kept."""

    def other(match: re.Match[str]) -> str:
        return capitalized(new) if match[0][0].isupper() else new

    text = re.sub(word_pattern(old), other, text, flags=re.IGNORECASE)
    article = r"\1n " if new[0] in "aeiou" else r"\1 "
    return re.sub(rf"\b([Aa])n? (?={re.escape(new)}\b)", article, text)


def _is_plural(noun: str) -> bool:
    return noun.endswith("s") and not noun.endswith(("ss", "us", "is"))


class Variations:
    """Varies passages; words and names come from one another and from the grammar.

    Args:
        composer: Invents names; its random numbers are used for every choice.
        passages: All passages; their words and subjects are the stock.
    """

    def __init__(self, composer: Composer, passages: Sequence[Example]) -> None:
        self._composer = composer
        self._rng: random.Random = composer.rng
        stems = {
            stem_of(word)[0]
            for passage in passages
            for word in _WORD.findall(passage.response)
            if word.islower() and word not in SMALL_WORDS
        }
        self._stems = sorted(stems)
        subjects = {
            _ARTICLE.sub("", subject)
            for passage in passages
            if passage.kind not in ("person", "place")
            for subject in passage.subjects
        }
        names = sorted(s for s in subjects if s.islower())
        self._many = [s for s in names if _is_plural(s)]
        self._one = [s for s in names if not _is_plural(s)]

    def varied(self, example: Example) -> Example:
        """The example, mostly renamed, some sentences shorter and partly in other words."""
        if self._rng.random() < 0.7:
            example = self.renamed(example)
        if self._rng.random() < 0.35:
            example = self._shortened(example)
        if self._rng.random() < 0.4:
            example = self._repeated(example)
        share = self._rng.choices((0.0, 0.25, 0.6, 1.0), (3, 3, 3, 1))[0]
        return self._reworded(example, share) if share else example

    def renamed(self, example: Example) -> Example:
        """The example about something else; as it is where its subject stands too seldom."""
        olds = [_ARTICLE.sub("", subject) for subject in example.subjects]
        often = 2 if len(olds) == 1 and example.kind != "person" else 1
        if any(
            len(re.findall(word_pattern(old), example.response, re.IGNORECASE)) < often
            for old in olds
        ):
            return example
        instruction, response, news = example.instruction, example.response, []
        for old in olds:
            new, forms = self._name(old, example.kind)
            for was, becomes in forms:
                instruction, response = (
                    swapped(text, was, becomes) for text in (instruction, response)
                )
            news.append(new)
        return Example(example.kind, tuple(news), instruction, response)

    def _name(self, old: str, kind: str) -> tuple[str, list[tuple[str, str]]]:
        """A name for the old one, and which form of the old becomes which."""
        if kind == "person":
            new = self._composer.subject("person").core
            return new, [(old, new), (old.split()[-1], new.split()[-1])]
        if kind == "place":
            new = self._composer.subject("place").core
            return new, [(old, new)]
        roll = self._rng.random()
        if roll < 0.35:
            new = self._rng.choice(self._many if _is_plural(old) else self._one)
        elif roll < 0.65:
            stem = self._rng.choice(self._stems)
            new = plural(stem) if _is_plural(old) else stem
        else:
            noun = _ARTICLE.sub("", self._composer.core(self._rng.choice(templates.OBJECTS)))
            new = plural(noun) if _is_plural(old) else noun
        if _is_plural(old):
            return new, [(old, new), (old[:-1], new[:-1] if _is_plural(new) else new)]
        return new, [(old, new), (plural(old), plural(new))]

    def _shortened(self, example: Example) -> Example:
        """Without one of its sentences, if every subject still stands in it."""
        sentences = re.split(r"(?<=[.?!]) ", example.response)
        if len(sentences) < 3 or "\n" in example.response:
            return example
        dropped = self._rng.randrange(len(sentences))
        shorter = " ".join(sentences[:dropped] + sentences[dropped + 1 :])
        if not all(subject.lower() in shorter.lower() for subject in example.subjects):
            return example
        return Example(example.kind, example.subjects, example.instruction, shorter)

    def _repeated(self, example: Example) -> Example:
        """The subject's name for a pronoun, where a sentence begins with one."""
        if len(example.subjects) > 1 or example.kind == "howto":
            return example
        name = _ARTICLE.sub("", example.subjects[0])
        pronoun = r"\bThey\b(?= )" if _is_plural(name) else r"\bIt\b(?= )"
        other = capitalized(name) if _is_plural(name) or example.kind == "place" else f"The {name}"
        response = re.sub(pronoun, other, example.response)
        return Example(example.kind, example.subjects, example.instruction, response)

    def _reworded(self, example: Example, share: float) -> Example:
        """That share of the distinct longer words swapped, each the same way wherever it stands."""
        kept = {
            stem_of(word.lower())[0]
            for subject in example.subjects
            for word in re.findall(r"[A-Za-z]+", subject)
        }
        others: dict[str, str | None] = {}

        def other(match: re.Match[str]) -> str:
            word = match[0]
            low = word.lower()
            stem, ending = stem_of(low)
            if stem in kept or low in SMALL_WORDS or low in ASKING_WORDS:
                return word
            if stem not in others:
                others[stem] = self._word() if self._rng.random() < share else None
            new = others[stem]
            if new is None:
                return word
            return capitalized(new + ending) if word[0].isupper() else new + ending

        response = _WORD.sub(other, example.response)
        instruction = _WORD.sub(other, example.instruction)
        return Example(example.kind, example.subjects, instruction, response)

    def _word(self) -> str:
        """A stem of another passage or, less often, an invented word."""
        if self._rng.random() < 0.75:
            return self._rng.choice(self._stems)
        return self._composer.word(name=True)

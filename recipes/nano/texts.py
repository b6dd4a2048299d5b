"""Seed -> the texts nano reads and is taught by: a prompt and its answer, forwards, without end."""

import itertools
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grammar import Composer, Example
from synth.text.keywords import keywords
from variation import Variations

_LONGER = (
    "Continue the input.",
    "Write more about the input.",
    "Use the provided input to write a longer text.",
    "Use the provided input to write what could come next.",
    "Read the input and go on.",
)
_AGAIN = (
    "Say the same in another order.",
    "Rewrite the input.",
    "Use the provided input to write it again.",
)
_FIRST_SENTENCE = (
    "Summarize the input in one sentence.",
    "Say in one sentence what the input says.",
)
_ABOUT = ("What is the input about?", "Name the subject of the input.")
_KIND = ("What kind of text is the input?", "Say what kind of text this is.")
_KINDS = {
    "definition": "It is a definition.",
    "howto": "It is a guide.",
    "comparison": "It is a comparison.",
    "history": "It is a history.",
    "causes": "It is an explanation.",
    "kinds": "It is a list of kinds.",
    "recipe": "It is a recipe.",
    "place": "It is a description of a place.",
    "person": "It is a biography.",
    "proscons": "It is a review.",
}
# Shares of the tasks (answer, go on, say again, sum up, name the subject, name the kind).
READING = (70, 12, 5, 3, 8, 2)
TEACHING = (12, 10, 6, 4, 50, 18)


@dataclass(frozen=True, slots=True)
class Text:
    """What stands before the answer, and the answer."""

    prompt: str
    answer: str


def texts(
    seed: int,
    tasks: tuple[int, ...],
    passages_after: float = 0,
    hand: float = 0.4,
    hinted: float = 0.0,
) -> Iterator[Text]:
    """Texts without end.

    Args:
        seed: Of the grammar and of the order.
        tasks: Shares of the tasks, such as `READING`.
        passages_after: After so many texts passages written by hand, varied, are among them.
        hand: Their share from then on.
        hinted: Share of the inputs that are followed by their keywords, as in synth's prompts.
    """
    rng = random.Random(seed)
    composer = Composer(seed)
    composed = composer.examples()
    by_hand = passages()
    variations = Variations(composer, by_hand)
    for number in itertools.count():
        if number >= passages_after and rng.random() < hand:
            example = variations.varied(rng.choice(by_hand))
        else:
            example = next(composed)
        yield _text(example, rng, tasks, hinted)


def passages() -> list[Example]:
    """The examples written by hand."""
    lines = (Path(__file__).parent / "passages.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [by_hand_example(row) for row in rows]


def by_hand_example(row: dict[str, str]) -> Example:
    """A row of passages or pairs as an example; comparisons have two subjects."""
    subjects = row["subject"].split(" and ", 1) if row["kind"] == "comparison" else [row["subject"]]
    return Example(row["kind"], tuple(subjects), row["instruction"], row["response"])


def _text(example: Example, rng: random.Random, tasks: tuple[int, ...], hinted: float) -> Text:
    sentences = re.split(r"(?<=[.:?!]) |\n", example.response)
    half = (len(sentences) + 1) // 2
    task = rng.choices(("answer", "longer", "again", "gist", "about", "kind"), tasks)[0]
    if task == "answer" or (task == "longer" and half == len(sentences)):
        prompt = f"### Instruction:\n{example.instruction}\n\n### Response:\n"
        return Text(prompt, example.response)
    whole = example.response
    question, text, answer = {
        "longer": (_LONGER, " ".join(sentences[:half]), " ".join(sentences[half:])),
        "again": (_AGAIN, whole, " ".join(reversed(sentences))),
        "gist": (_FIRST_SENTENCE, whole, sentences[0]),
        "about": (_ABOUT, whole, f"It is about {' and '.join(example.subjects)}."),
        "kind": (_KIND, whole, _KINDS[example.kind]),
    }[task]
    asked = rng.choice(question)
    if hinted and rng.random() < hinted:
        text += f"\n\nKeywords: {', '.join(keywords(text, rng.randint(2, 4)))}"
    prompt = f"### Instruction:\n{asked}\n\n### Input:\n{text}\n\n### Response:\n"
    return Text(prompt, answer)

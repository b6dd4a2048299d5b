"""Parts of a card that outlive it: between two lines of marks, before any text of the corpus.

A corpus's text that spells the marks cannot take their place, as the first of them counts.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a card, and what stands in it when there is nothing yet."""

    name: str
    empty: str

    def blank(self) -> str:
        """The part with its marks."""
        return f"{self._begin}\n\n{self.empty}\n\n{self._end}"

    def of(self, card: str) -> str | None:
        """What stands between the marks, with the line ends around it; None without marks."""
        lines = card.splitlines(keepends=True)
        marks = [line.strip() for line in lines]
        if self._begin not in marks:
            return None
        start = marks.index(self._begin)
        if self._end not in marks[start:]:
            return None
        return "".join(lines[start + 1 : marks.index(self._end, start)])

    def put(self, card: str, text: str) -> str:
        """The card with that text between the marks; without marks it stays as it is."""
        there = self.of(card)
        if there is None:
            return card
        whole = f"{self._begin}\n{there}{self._end}"
        return card.replace(whole, f"{self._begin}\n{text}{self._end}", 1)

    @property
    def _begin(self) -> str:
        return f"<!-- {self.name} -->"

    @property
    def _end(self) -> str:
        return f"<!-- /{self.name} -->"


NOTES = Part(
    "notes",
    "_Write here what others should know; `synth export` keeps what stands between the marks._",
)


def with_notes(card: str, old_card: str) -> str:
    """The card with the notes of the old one, if it has any."""
    old = NOTES.of(old_card)
    return card if old is None else NOTES.put(card, old)

"""The part of a card that people write; it lies between two lines, before any text of the corpus.

A corpus's text that spells the lines cannot take their place, as the first of them counts.
"""

BEGIN, END = "<!-- notes -->", "<!-- /notes -->"
EMPTY = (
    "\n_Write here what others should know; `synth export` keeps what stands between the marks._\n"
)


def notes_of(card: str) -> str | None:
    """What stands between the marks, with the line ends around it; None without marks."""
    lines = card.splitlines(keepends=True)
    marks = [line.strip() for line in lines]
    if BEGIN not in marks:
        return None
    start = marks.index(BEGIN)
    if END not in marks[start:]:
        return None
    return "".join(lines[start + 1 : marks.index(END, start)])


def with_notes(card: str, old_card: str) -> str:
    """The card with the notes of the old one, if it has any."""
    old, new = notes_of(old_card), notes_of(card)
    if old is None or new is None:
        return card
    return card.replace(f"{BEGIN}\n{new}{END}", f"{BEGIN}\n{old}{END}", 1)

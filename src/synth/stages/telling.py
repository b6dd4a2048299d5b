"""A judge or a count -> the same, telling a listener of everything that comes of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from synth.models.protocols import Judge, Question, Request, Score
from synth.records import Completion, Listener, Progress


@dataclass(slots=True)
class Told:
    """Counts answers, and tells of each; `total` is 0 where nobody knows it."""

    stage: str
    total: int
    listen: Listener
    unit: str = "answer"
    note: str = ""
    done: int = 0

    def tell(self, note: str) -> None:
        """What is done next."""
        self.note = note
        self.count(0)

    def count(self, more: int = 1) -> None:
        """So many more are done."""
        self.done += more
        self.listen(Progress(self.stage, self.done, self.total, self.unit, self.note))


class TellingJudge:
    """A judge whose answers are told of as they come; fulfils `protocols.Judge`."""

    def __init__(self, judge: Judge, told: Told) -> None:
        self.tokenizer = judge.tokenizer
        self._judge = judge
        self._told = told

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        """As the judge does."""
        for found in self._judge.generate(requests):
            self._told.count()
            yield found

    def score(self, questions: Iterable[Question]) -> Iterator[tuple[int, Score]]:
        """As the judge does."""
        for found in self._judge.score(questions):
            self._told.count()
            yield found

    def use_adapter(self, on: bool) -> None:
        """As the judge does."""
        self._judge.use_adapter(on)

    def close(self) -> None:
        """As the judge does."""
        self._judge.close()

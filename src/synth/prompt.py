"""Response (and instruction) -> token ids: the one renderer for training and for generation.

Style `plain` is the layout of the public lesson "Fine-Tuning Mistral 7B" (headers Instruction,
Input, Response); style `chat` is the model's own chat template. What does not fit is cut from the
middle of the response; the template and the instruction are never cut.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from synth.errors import RecipeError, TooLongError, TrainingError
from synth.records import content_id

_GAP = "\n[...]\n"
_ROOM_FOR_TEXT = 32  # tokens of response below which a prompt says nothing about it


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that prompts need."""

    bos_token_id: int | None
    eos_token_id: int | None
    chat_template: Any

    def __call__(
        self, text: str | list[str], *, add_special_tokens: bool, split_special_tokens: bool
    ) -> Any:  # noqa: ANN401
        """Text, or several -> a mapping whose `input_ids` are token ids, or as many lists."""

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Token ids -> text."""

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> Any:  # noqa: ANN401
        """Conversation -> text, or token ids."""


@dataclass(frozen=True, slots=True)
class Example:
    """A training example: `input_ids` with `labels` of -100 except on the instruction and eos."""

    input_ids: list[int]
    labels: list[int]
    shortened: bool

    def over_whole_text(self) -> "Example":
        """The same with the loss over every token but bos, as the public lesson trained."""
        return Example(self.input_ids, [-100, *self.input_ids[1:]], self.shortened)


class Rendered(NamedTuple):
    """A generation prompt.

    Attributes:
        ids: Token ids, exactly one bos in front.
        shortened: Whether the text was cut to fit.
        text_tokens: How many tokens the whole text has.
    """

    ids: list[int]
    shortened: bool
    text_tokens: int


def _no_keywords(_text: str, _count: int) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a response is put to the model.

    Attributes:
        style: `plain` or `chat`.
        task: The sentence that says what to do.
        control: Aspects that a line after the task sentence may name (see `text/control.py`).
        keywords: So many keywords of the response stand after it.
        find_keywords: Text and count -> keywords (see `text/keywords.py`).
    """

    style: str
    task: str
    control: tuple[str, ...] = ()
    keywords: int = 0
    find_keywords: Callable[[str, int], Sequence[str]] = field(default=_no_keywords, compare=False)

    @property
    def hash(self) -> str:
        """Identity of the prompt, kept in the adapter's metadata."""
        keywords = (self.keywords,) if self.keywords else ()
        return content_id(self.style, *self._parts(None, ""), *self.control, *keywords)

    def render(
        self, response: str, tokenizer: Tokenizer, max_tokens: int, wanted: str = ""
    ) -> Rendered:
        """The prompt that asks for the instruction of `response`, of at most `max_tokens` tokens.

        Args:
            response: The text.
            tokenizer: The base's.
            max_tokens: What does not fit is cut from the middle of the response.
            wanted: The control line, if any.

        Raises:
            RecipeError: When the template alone leaves no room for text.
        """
        return self.render_all([response], tokenizer, max_tokens, [wanted])[0]

    def render_all(
        self,
        responses: Sequence[str],
        tokenizer: Tokenizer,
        max_tokens: int,
        wanted: Sequence[str],
    ) -> list[Rendered]:
        """As `render`, for several at once, which is several times as fast.

        Raises:
            RecipeError: When the template alone leaves no room for text.
        """
        frames = {line: self._frame(tokenizer, line) for line in set(wanted)}
        bodies = _encode_all(responses, tokenizer)
        notes: Iterable[list[int]] = itertools.repeat([], len(responses))
        if self.keywords:
            notes = (self._note(response, tokenizer) for response in responses)
        return [
            _fitted(frames[line], body, note, max_tokens, tokenizer)
            for line, body, note in zip(wanted, bodies, notes, strict=True)
        ]

    def _frame(self, tokenizer: Tokenizer, wanted: str) -> tuple[list[int], list[int]]:
        """Token ids before and after the response and its note."""
        before, after = self._parts(tokenizer, wanted)
        head = _encode(before, tokenizer, template=True)
        if tokenizer.bos_token_id is not None and head[:1] != [tokenizer.bos_token_id]:
            head = [tokenizer.bos_token_id, *head]
        return head, _encode(after, tokenizer, template=True)

    def _note(self, response: str, tokenizer: Tokenizer) -> list[int]:
        """Token ids of the line that names the response's keywords; none where there are none."""
        found = self.find_keywords(response, self.keywords) if self.keywords else ()
        return _encode(f"\n\nKeywords: {', '.join(found)}", tokenizer) if found else []

    def example(
        self,
        instruction: str,
        response: str,
        tokenizer: Tokenizer,
        max_tokens: int,
        wanted: str = "",
    ) -> Example:
        """The training example of a pair: the generation prompt, then the instruction and one eos.

        Raises:
            TrainingError: When the instruction has no token.
            TooLongError: When it leaves no room for the response.
            RecipeError: When the template alone leaves none.
        """
        target = _encode(instruction.strip(), tokenizer)
        if not target or tokenizer.eos_token_id is None:
            raise TrainingError(
                "an instruction without a token, or a tokenizer without eos, teaches nothing"
            )
        target = [*target, tokenizer.eos_token_id]
        frame, note = self._frame(tokenizer, wanted), self._note(response, tokenizer)
        body = _encode(response, tokenizer)
        rendered = _fitted(frame, body, note, max_tokens, tokenizer, len(target))
        return Example(
            rendered.ids + target, [-100] * len(rendered.ids) + target, rendered.shortened
        )

    def forwards(
        self, instruction: str, response: str, tokenizer: Tokenizer, max_tokens: int
    ) -> tuple[Example, Example]:
        """The response as an answer to the instruction, and alone: what IFD compares.

        The loss is over the response's tokens, the same in both; what does not fit is cut off at
        its end.
        """
        if self.style == "chat" and tokenizer.chat_template is not None:
            turns = [{"role": "user", "content": instruction}]
            asked = str(
                tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            )
        else:
            asked = f"### Instruction:\n{instruction}\n\n### Response:\n"
        start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        head = _encode(asked, tokenizer, template=True)
        head = head if head[:1] == start else start + head
        body = _encode(response, tokenizer)[: max(1, max_tokens - len(head))]
        # Without a bos the first token is nobody's prediction.
        body_labels = body if start else [-100, *body[1:]]
        return (
            Example(head + body, [-100] * len(head) + body_labels, shortened=False),
            Example(start + body, [-100] * len(start) + body_labels, shortened=False),
        )

    def _parts(self, tokenizer: Tokenizer | None, wanted: str) -> tuple[str, str]:
        """What stands before and after the response."""
        task = f"{self.task}\n{wanted}" if wanted else self.task
        if self.style == "plain":
            return f"### Instruction:\n{task}\n\n### Input:\n", "\n\n### Response:\n"
        if tokenizer is None:
            return task, ""
        if tokenizer.chat_template is None:
            raise RecipeError(
                "prompt.style is chat, but the base's tokenizer has no chat template; name a base"
                " that has one, or set prompt.style to plain"
            )
        mark = "\u241e"
        turns = [{"role": "user", "content": f"{task}\n\n{mark}"}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        before, _, after = str(text).partition(mark)
        return before, after


def _fitted(
    frame: tuple[list[int], list[int]],
    body: list[int],
    note: list[int],
    max_tokens: int,
    tokenizer: Tokenizer,
    answer: int = 0,
) -> Rendered:
    """The prompt of at most `max_tokens` tokens, of which the answer takes so many."""
    head, tail = frame
    fixed = len(head) + len(note) + len(tail)
    if max_tokens - fixed < _ROOM_FOR_TEXT:
        raise RecipeError(
            f"the prompt template takes {fixed} of {max_tokens} tokens, which"
            " leaves no room for the text; raise generate.max_tokens or finetune.max_tokens"
        )
    room = max_tokens - fixed - answer
    if room < _ROOM_FOR_TEXT:
        raise TooLongError(
            f"an instruction takes {answer} of {max_tokens} tokens, which leaves no room for its"
            " text; shorten it, or raise finetune.max_tokens or generate.max_tokens"
        )
    whole = len(body)
    if whole > room:
        gap = _encode(_GAP, tokenizer)
        keep = room - len(gap)
        body = body[: keep - keep // 3] + gap + body[whole - keep // 3 :]
    return Rendered([*head, *body, *note, *tail], whole > room, whole)


def _encode(text: str, tokenizer: Tokenizer, *, template: bool = False) -> list[int]:
    """Token ids of the text alone; a special token that a text spells out stays text."""
    encoded = tokenizer(text, add_special_tokens=False, split_special_tokens=not template)
    return list(encoded["input_ids"])


def _encode_all(texts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    """As `_encode`, of several texts, on all cores."""
    if not texts:  # which fails in the tokenizer
        return []
    encoded = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)
    return list(encoded["input_ids"])

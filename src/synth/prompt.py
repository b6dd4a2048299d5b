"""Response (and instruction) -> token ids: the one renderer for training and for generation.

Style `plain` is the layout of the public lesson "Fine-Tuning Mistral 7B" (headers Instruction,
Input, Response); style `chat` is the model's own chat template. What does not fit is cut from the
middle of the response; the template and the instruction are never cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from synth.errors import RecipeError, TrainingError
from synth.records import content_id

_GAP = "\n[...]\n"
_ROOM_FOR_TEXT = 32  # tokens of response below which a prompt says nothing about it


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that prompts need."""

    bos_token_id: int | None
    eos_token_id: int | None
    chat_template: Any

    def __call__(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool) -> Any:  # noqa: ANN401
        """Text -> a mapping whose `input_ids` are token ids."""

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


@dataclass(frozen=True, slots=True)
class Rendered:
    """A generation prompt: token ids, exactly one bos in front; whether the text was shortened."""

    ids: list[int]
    shortened: bool


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a response is put to the model.

    Attributes:
        style: `plain` or `chat`.
        task: The sentence that says what to do.
        control: Aspects that a line after the task sentence may name (see `text/control.py`).
    """

    style: str
    task: str
    control: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Identity of the prompt, kept in the adapter's metadata."""
        return content_id(self.style, *self._parts(None, ""), *self.control)

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
        before, after = self._parts(tokenizer, wanted)
        head = _encode(before, tokenizer, template=True)
        if tokenizer.bos_token_id is not None and head[:1] != [tokenizer.bos_token_id]:
            head = [tokenizer.bos_token_id, *head]
        tail = _encode(after, tokenizer, template=True)
        room = max_tokens - len(head) - len(tail)
        if room < _ROOM_FOR_TEXT:
            raise RecipeError(
                f"the prompt template takes {len(head) + len(tail)} of {max_tokens} tokens, which"
                " leaves no room for the text; raise generate.max_tokens or finetune.max_tokens"
            )
        body = _encode(response, tokenizer)
        shortened = len(body) > room
        if shortened:
            gap = _encode(_GAP, tokenizer)
            keep = room - len(gap)
            body = body[: keep - keep // 3] + gap + body[len(body) - keep // 3 :]
        return Rendered(head + body + tail, shortened)

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
            TrainingError: When the instruction has no token, or leaves no room for the response.
        """
        target = _encode(instruction.strip(), tokenizer)
        if not target or tokenizer.eos_token_id is None:
            raise TrainingError(
                "an instruction without a token, or a tokenizer without eos, teaches nothing"
            )
        target = [*target, tokenizer.eos_token_id]
        rendered = self.render(response, tokenizer, max_tokens - len(target), wanted)
        return Example(
            rendered.ids + target, [-100] * len(rendered.ids) + target, rendered.shortened
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


def _encode(text: str, tokenizer: Tokenizer, *, template: bool = False) -> list[int]:
    """Token ids of the text alone; a special token that a text spells out stays text."""
    encoded = tokenizer(text, add_special_tokens=False, split_special_tokens=not template)
    return list(encoded["input_ids"])

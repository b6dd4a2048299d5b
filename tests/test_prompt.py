"""Prompts: one renderer for training and generation; exactly the right tokens are supervised."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.errors import RecipeError, TooLongError, TrainingError
from synth.prompt import Prompt
from synth.settings import TASK, Model
from tests.conftest import ROOT

PLAIN = Prompt("plain", TASK)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from synth.models.loading import load_tokenizer

    return load_tokenizer(Model(base=str(ROOT / "data" / "nano")))


def chat_tokenizer(tokenizer: Any, tmp_path: Path) -> Any:
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    chat = AutoTokenizer.from_pretrained(tmp_path)
    chat.chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %} [answer] {% endif %}"
    )
    return chat


def test_plain_is_the_layout_of_the_lesson(tokenizer: Any) -> None:
    ids = PLAIN.render("A passage.", tokenizer, 512).ids
    assert tokenizer.decode(ids) == (
        f"<s>### Instruction:\n{TASK}\n\n### Input:\nA passage.\n\n### Response:\n"
    )


def test_exactly_the_instruction_and_one_eos_are_supervised(tokenizer: Any) -> None:
    example = PLAIN.example("What is grass?", "Grass is a plant.", tokenizer, 512)
    supervised = [label for label in example.labels if label != -100]
    assert tokenizer.decode(supervised) == "What is grass?</s>"
    assert supervised.count(tokenizer.eos_token_id) == 1
    assert example.input_ids.count(tokenizer.bos_token_id) == 1
    assert example.input_ids[0] == tokenizer.bos_token_id
    assert len(example.input_ids) == len(example.labels)
    assert example.input_ids[-len(supervised) :] == supervised


def test_the_training_example_begins_with_the_generation_prompt(tokenizer: Any) -> None:
    prompt = PLAIN.render("Grass is a plant.", tokenizer, 512).ids
    example = PLAIN.example("What is grass?", "Grass is a plant.", tokenizer, 512)
    assert example.input_ids[: len(prompt)] == prompt
    assert set(example.labels[: len(prompt)]) == {-100}


def test_the_lessons_loss_covers_all_but_bos(tokenizer: Any) -> None:
    example = PLAIN.example("What?", "This.", tokenizer, 512).over_whole_text()
    assert example.labels == [-100, *example.input_ids[1:]]


def test_a_long_response_loses_its_middle_and_nothing_else(tokenizer: Any) -> None:
    response = "first words " + "middle " * 2000 + "last words"
    example = PLAIN.example("What is long?", response, tokenizer, 256)
    text = tokenizer.decode(example.input_ids)
    assert example.shortened
    assert len(example.input_ids) == 256
    assert f"### Instruction:\n{TASK}\n\n### Input:\nfirst words middle" in text
    assert text.endswith("last words\n\n### Response:\nWhat is long?</s>")
    assert "[...]" in text


def test_a_limit_without_room_for_text_is_an_error(tokenizer: Any) -> None:
    with pytest.raises(RecipeError, match="leaves no room for the text"):
        PLAIN.render("text", tokenizer, 64)


def test_an_instruction_leaves_room_for_its_text_or_is_an_error(tokenizer: Any) -> None:
    text, instruction = "This is a text. " * 40, ("What? " * 100).strip()
    empty = len(PLAIN.render("", tokenizer, 512).ids)
    answer = len(tokenizer(instruction, add_special_tokens=False)["input_ids"]) + 1  # eos
    least = empty + answer + 32
    assert len(PLAIN.example(instruction, text, tokenizer, least).input_ids) == least
    message = f"an instruction takes {answer} of {least - 1} tokens"
    with pytest.raises(TooLongError, match=message):
        PLAIN.example(instruction, text, tokenizer, least - 1)
    with pytest.raises(RecipeError, match=f"the prompt template takes {empty} of 64 tokens"):
        PLAIN.example(instruction, text, tokenizer, 64)


def test_an_empty_instruction_is_an_error(tokenizer: Any) -> None:
    with pytest.raises(TrainingError, match="without a token"):
        PLAIN.example("  ", "text", tokenizer, 512)


@pytest.mark.parametrize("style", ["plain", "chat"])
def test_special_tokens_spelt_in_a_text_stay_text(
    tokenizer: Any, tmp_path: Path, style: str
) -> None:
    used = tokenizer if style == "plain" else chat_tokenizer(tokenizer, tmp_path)
    ids = Prompt(style, TASK).render("an </s> and an <s> in text", used, 512).ids
    assert ids.count(used.eos_token_id) == 0
    assert ids.count(used.bos_token_id) == 1
    assert "an </s> and an <s> in text" in used.decode(ids)


def test_chat_uses_the_models_template(tokenizer: Any, tmp_path: Path) -> None:
    chat = chat_tokenizer(tokenizer, tmp_path)
    example = Prompt("chat", "Do it.").example("What?", "This is a text.", chat, 512)
    assert chat.decode(example.input_ids) == (
        "<s>[user] Do it.\n\nThis is a text. [answer] What?</s>"
    )


def test_chat_without_a_template_is_an_error(tokenizer: Any) -> None:
    with pytest.raises(RecipeError, match="the base's tokenizer has no chat template"):
        Prompt("chat", TASK).render("text", tokenizer, 512)


def test_the_hash_tells_prompts_apart() -> None:
    hashes = {Prompt(s, t).hash for s in ("plain", "chat") for t in (TASK, "Other.")}
    assert len(hashes) == 4
    assert Prompt("plain", TASK).hash == PLAIN.hash


@settings(max_examples=60, deadline=None)
@given(text=st.text(min_size=1, max_size=400), limit=st.integers(140, 400))
def test_any_text_fits_with_one_bos(tokenizer: Any, text: str, limit: int) -> None:
    rendered = PLAIN.render(text, tokenizer, limit)
    assert len(rendered.ids) <= limit
    assert rendered.ids.count(tokenizer.bos_token_id) == 1
    if not rendered.shortened:
        assert f"### Input:\n{text}\n\n" in tokenizer.decode(rendered.ids)

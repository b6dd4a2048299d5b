"""Keywords: the words that return, in the text's own language, and how a prompt names them."""

import pytest

from synth.prompt import Prompt
from synth.text.keywords import keywords

MOSS = (
    "Mosses have no roots. A moss drinks with its leaves, and the leaves of a moss are one cell"
    " thick. Where the air is clean, moss grows on bark."
)


def test_the_words_that_return_most_come_first() -> None:
    assert keywords(MOSS, 2) == ["moss", "leaves"]
    assert keywords(MOSS, 0) == []
    assert keywords(MOSS, 99)[:2] == ["moss", "leaves"]


def test_among_equals_the_earlier_comes_first() -> None:
    assert keywords("Lime trees smell of honey in June.", 3) == ["lime", "trees", "smell"]


def test_stop_words_short_words_and_numbers_are_none() -> None:
    assert keywords("It is of the to and 1999 1999 1999 ox ox ox, and they were there.", 5) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (
            "Die Eule jagt nachts. Die Eule hört auch unter dem Schnee, und sie sieht sehr gut.",
            "eule",
        ),
        (
            "La lechuza caza de noche. La lechuza oye bajo la nieve y también ve muy bien.",
            "lechuza",
        ),
        ("The owl\u2019s ears differ, and an owl\u2019s head turns far.", "owl"),
    ],
)
def test_stop_words_are_those_of_the_texts_language(text: str, word: str) -> None:
    assert keywords(text, 1) == [word]


def test_a_language_without_a_list_has_keywords_all_the_same() -> None:
    assert keywords("ཨོཾ་མ་ཎི་པདྨེ་ཧཱུྃ།", 3) == keywords("ཨོཾ་མ་ཎི་པདྨེ་ཧཱུྃ།", 3)
    assert keywords("", 3) == []


def test_a_run_of_letters_is_no_keyword() -> None:
    assert keywords("y" * 100_000 + " moss " + "z" * 41, 3) == ["moss"]
    assert keywords("z" * 40, 3) == ["z" * 40]


def test_a_prompt_names_them_after_the_text_and_never_cuts_them() -> None:
    from transformers import AutoTokenizer

    from tests.conftest import ROOT

    tokenizer = AutoTokenizer.from_pretrained(ROOT / "data" / "nano")
    prompt = Prompt("plain", "Ask.", (), 2, keywords)
    text = tokenizer.decode(prompt.render(MOSS, tokenizer, 200).ids, skip_special_tokens=True)
    assert text.endswith("grows on bark.\n\nKeywords: moss, leaves\n\n### Response:\n")
    long = prompt.render(MOSS * 20, tokenizer, 120)
    assert long.shortened
    assert len(long.ids) == 120
    cut = tokenizer.decode(long.ids, skip_special_tokens=True)
    assert cut.endswith("\n\nKeywords: moss, leaves\n\n### Response:\n")
    empty = tokenizer.decode(prompt.render("", tokenizer, 200).ids, skip_special_tokens=True)
    assert "Keywords" not in empty


def test_keywords_are_part_of_the_prompts_identity() -> None:
    hashes = {Prompt("plain", "Ask.", (), n, keywords).hash for n in (0, 1, 2)}
    assert len(hashes) == 3
    assert Prompt("plain", "Ask.").hash in hashes

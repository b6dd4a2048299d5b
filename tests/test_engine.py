"""The transformers engine: right tokens, right scores, draws that depend on the request alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from synth.errors import ModelError
from synth.models.loading import load_tokenizer, load_with_adapter
from synth.models.protocols import Question, Request, losses
from synth.models.transformers_engine import (
    TransformersEngine,
    _batches,
    _Draw,
    _nucleus,
    _pick,
)
from synth.prompt import Prompt
from synth.records import Completion
from synth.settings import TASK, Generate, Model

TEXTS = ["A kettle is red.", "People keep a rope in boats. " * 6, "A drum.", "A sail is blue."]


@pytest.fixture(scope="module")
def loaded(tiny_base: Path, tiny_run: Path) -> tuple[Any, Any]:
    model = Model(base=str(tiny_base), dtype="float32")
    return load_with_adapter(model, tiny_run / "adapter"), load_tokenizer(model)


def engine(loaded: tuple[Any, Any], **changes: Any) -> TransformersEngine:
    settings = Generate(temperature=0.0, max_new_tokens=8, max_tokens=256)
    return TransformersEngine(*loaded, settings.model_copy(update=changes))


def requests(loaded: tuple[Any, Any]) -> list[Request]:
    prompt = Prompt("plain", TASK)
    return [Request(prompt.render(t, loaded[1], 256).ids, i, i) for i, t in enumerate(TEXTS)]


def said(engine: TransformersEngine, asked: list[Request]) -> list[Completion]:
    """The completions in the order of the keys."""
    return [completion for _, completion in sorted(engine.generate(asked), key=lambda x: x[0])]


def test_greedy_follows_the_most_likely_token(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    for request in requests(loaded):
        ids, logprobs = list(request.ids), []
        for _ in range(8):
            with torch.no_grad():
                scores = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            ids.append(int(scores.argmax()))
            logprobs.append(float(scores.max()))
            if ids[-1] == tokenizer.eos_token_id:
                break
        found = said(engine(loaded), [request])[0]
        new = ids[len(request.ids) :]
        assert found.tokens == len(new)
        assert found.text == tokenizer.decode(new, skip_special_tokens=True).strip()
        assert found.logprob == pytest.approx(sum(logprobs) / len(logprobs), abs=1e-4)
        assert found.finish == ("stop" if new[-1] == tokenizer.eos_token_id else "length")


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_completion_depends_on_its_request_not_on_its_batch(
    loaded: tuple[Any, Any], temperature: float
) -> None:
    asked = requests(loaded)
    together = said(engine(loaded, temperature=temperature), asked)
    small = said(engine(loaded, temperature=temperature, batch_tokens=64), asked[::-1])
    assert [c.text for c in together] == [c.text for c in small]


def test_the_seed_decides_the_draw(loaded: tuple[Any, Any]) -> None:
    ids = requests(loaded)[0].ids
    hot = engine(loaded, temperature=1.5, top_p=1.0)
    asked = [Request(ids, seed, key) for key, seed in enumerate((1, 1, 2, 3, 4))]
    texts = [c.text for c in said(hot, asked)]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 2


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]]).repeat(4000, 1)
    settings = Generate(temperature=1.0, top_p=1.0)
    tokens, logprobs = _pick(logits, [_Draw(seed, settings) for seed in range(4000)])
    shares = torch.bincount(torch.tensor(tokens), minlength=4) / 4000
    assert torch.allclose(shares, logits[0].softmax(-1), atol=0.03)
    assert logprobs[0] == pytest.approx(float(logits[0].log_softmax(-1)[tokens[0]]))


@pytest.mark.parametrize("top_p", [1.0, 0.5])
def test_a_draw_takes_one_number_whatever_the_size_of_the_vocabulary(top_p: float) -> None:
    settings = Generate(temperature=1.0, top_p=top_p)
    small, large = (_Draw(7, settings) for _ in range(2))
    _pick(torch.zeros(1, 10), [small])
    _pick(torch.zeros(1, 1000), [large])
    assert small.number() == large.number()


def test_the_least_and_the_greatest_number_draw_what_is_in_the_nucleus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits = torch.tensor([[-torch.inf, 0.1, 0.5, 0.3, 0.1, -torch.inf]])
    logits[0, 1:5] = logits[0, 1:5].log()
    settings, drawn = Generate(temperature=1.0, top_p=0.75), []
    for number in (2**-53, 0.62, 0.63, 1.0):
        monkeypatch.setattr(_Draw, "number", lambda _, number=number: number)
        drawn += _pick(logits, [_Draw(0, settings)])[0]
    assert drawn == [2, 2, 3, 3]  # 0.5 of 0.8 is 0.625


def test_rows_that_end_leave_the_batch_and_the_others_go_on(loaded: tuple[Any, Any]) -> None:
    model = loaded[0]
    hot = {"temperature": 1.3, "top_p": 1.0, "max_new_tokens": 60}
    asked = [Request(requests(loaded)[0].ids[: 20 + n], n, n) for n in range(48)]
    sizes = []
    hook = model.register_forward_pre_hook(
        lambda _, __, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    try:
        together = said(engine(loaded, **hot), asked)
    finally:
        hook.remove()
    alone = [said(engine(loaded, **hot), [Request(r.ids, r.seed)])[0] for r in asked]
    assert [c.text for c in together] == [c.text for c in alone]
    assert [c.tokens for c in together] == [c.tokens for c in alone]
    ended = [c.tokens for c in together if c.finish == "stop"]
    assert ended
    assert sizes == [
        sum(c.tokens > step for c in together) for step in range(max(c.tokens for c in together))
    ]


def test_prompts_are_read_in_parts_and_go_on_together(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, read = said(engine(loaded), requests(loaded)), []
    hook = loaded[0].register_forward_pre_hook(
        lambda _, __, kwargs: read.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    monkeypatch.setattr("synth.models.transformers_engine._READ", 250)
    try:
        parts = said(engine(loaded), requests(loaded))
    finally:
        hook.remove()
    longest = max(len(request.ids) for request in requests(loaded))
    assert read[:2] == [(250 // longest, longest)] * 2
    assert read[2] == (4, 1)
    assert [c.text for c in parts] == [c.text for c in whole]
    assert [c.logprob for c in parts] == pytest.approx([c.logprob for c in whole], abs=1e-5)


def test_the_nucleus_is_the_smallest_set_that_holds_the_share() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert _nucleus(logits, 0.75).isinf().tolist() == [[False, False, True, True]]
    assert _nucleus(logits, 0.1).isinf().tolist() == [[False, True, True, True]]
    assert not _nucleus(logits, 1.0).isinf().any()


def test_batches_hold_every_row_once_within_the_budget() -> None:
    sizes = [5, 90, 30, 30, 7, 200, 1]
    found = list(_batches(sizes, 100))
    assert sorted(row for batch in found for row in batch) == list(range(7))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(sizes[row] for row in batch) <= 100


def test_scores_are_those_of_the_model(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    prompt = Prompt("plain", TASK)
    examples = [prompt.example(f"What is {i}?", t, tokenizer, 256) for i, t in enumerate(TEXTS)]
    examples[1] = examples[1].over_whole_text()
    for example, score in zip(
        examples, losses(engine(loaded), examples, adapter=True), strict=True
    ):
        ids, labels = torch.tensor([example.input_ids]), torch.tensor([example.labels])
        with torch.no_grad():
            mean = model(input_ids=ids, labels=labels).loss.item()
        assert score.tokens == sum(label != -100 for label in example.labels)
        assert score.nats == pytest.approx(mean * score.tokens, rel=1e-4)


def test_a_loss_can_be_asked_with_the_adapter_or_without(loaded: tuple[Any, Any]) -> None:
    example = Prompt("plain", TASK).example("What is a lamp?", TEXTS[0], loaded[1], 256)
    judge = engine(loaded)
    questions = [Question(example, adapter, key) for key, adapter in enumerate((True, False, True))]
    scores = dict(judge.score(questions))
    assert scores[0].nats < scores[1].nats
    assert scores[0] == scores[2]
    judge.use_adapter(False)
    off = dict(judge.score(questions))
    judge.use_adapter(True)
    assert off == scores


def test_generation_goes_without_the_adapter_while_it_is_off(loaded: tuple[Any, Any]) -> None:
    judge = engine(loaded)
    first = said(judge, requests(loaded))
    judge.use_adapter(False)
    assert said(judge, requests(loaded)) != first
    judge.use_adapter(True)
    assert said(judge, requests(loaded)) == first


def test_the_stream_is_read_only_as_far_as_there_is_room(loaded: tuple[Any, Any]) -> None:
    read = []

    def stream() -> Iterator[Request]:
        for number in range(5000):
            read.append(number)
            yield Request([1, 5, 6], 0, number)

    answers = engine(loaded, max_new_tokens=1).generate(stream())
    next(answers)
    assert len(read) == 1024


def test_a_batch_that_memory_does_not_hold_is_halved(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [completion.text for completion in said(engine(loaded), requests(loaded))]
    tight, sizes = engine(loaded), []
    whole = tight._generate_batch

    def short_of_memory(batch: Sequence[Request]) -> list[Completion]:
        sizes.append(len(batch))
        if len(batch) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return whole(batch)

    monkeypatch.setattr(tight, "_generate_batch", short_of_memory)
    assert [completion.text for completion in said(tight, requests(loaded))] == expected
    assert sizes == [4, 2, 1, 1, 1, 1]


def test_a_single_prompt_that_memory_does_not_hold_is_an_error(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = engine(loaded)

    def full(batch: Sequence[Request]) -> list[Completion]:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr(tight, "_generate_batch", full)
    with pytest.raises(ModelError, match=r"lower generate\.max_tokens"):
        said(tight, requests(loaded))
    monkeypatch.undo()

    def broken(batch: Sequence[Request]) -> list[Completion]:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(tight, "_generate_batch", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        said(tight, requests(loaded))

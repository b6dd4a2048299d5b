"""Requests -> completions with transformers: batches of like length under a token budget.

Each request has a seed of its own, and draws by one number a token: the first token at which the
probabilities, summed in the vocabulary's order, reach it. So a draw depends on its request and not
on its batch.
"""

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

from synth.errors import ModelError
from synth.models.protocols import Question, Request, Score
from synth.records import Completion
from synth.settings import Generate

T = TypeVar("T")
R = TypeVar("R")

_READ = 4096  # tokens of prompts read at once: more fall out of a processor's cache
_WINDOW = 1024  # items read ahead, so that a batch finds others of its length


class TransformersEngine:
    """Generates with, and measures, a base model and its adapter."""

    def __init__(self, model: Any, tokenizer: Any, settings: Generate) -> None:  # noqa: ANN401
        self.tokenizer = tokenizer
        self._model = model
        self._settings = settings
        self._on = True
        self._most = sys.maxsize  # items of a batch; halved when memory runs out

    def use_adapter(self, on: bool) -> None:
        """Switches the adapter on or off for what is generated next.

        Raises:
            ModelError: When it is to be off, and the model is a merged one.
        """
        if not hasattr(self._model, "peft_config"):
            raise ModelError(
                "a merged model has no base to go back to; set generate.weights to adapter"
            )
        self._on = on
        if on:
            self._model.base_model.enable_adapter_layers()
        else:
            self._model.base_model.disable_adapter_layers()

    def close(self) -> None:
        """Frees the model."""
        del self._model

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        """Completions by key, a batch at a time; see `protocols.Engine`."""
        room = self._settings.max_new_tokens
        for batch in self._batches(requests, lambda request: len(request.ids) + room):
            keys = [request.key for request in batch]
            yield from zip(keys, self._halving(self._generate_batch, batch), strict=True)

    def score(self, questions: Iterable[Question]) -> Iterator[tuple[int, Score]]:
        """Losses by key, a batch at a time; see `protocols.Engine`."""
        for batch in self._batches(questions, lambda question: len(question.example.input_ids)):
            for adapter in (True, False):
                part = [question for question in batch if question.adapter is adapter]
                if part:
                    keys = [question.key for question in part]
                    with self._adapter(adapter):
                        scores = self._halving(self._score_batch, part)
                    yield from zip(keys, scores, strict=True)

    def _batches(self, items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
        """Windows of the stream, in batches of like length."""
        stream = iter(items)
        while window := list(itertools.islice(stream, _WINDOW)):
            for rows in _batches([size(item) for item in window], self._settings.batch_tokens):
                yield [window[row] for row in rows]

    def _halving(self, work: Callable[[Sequence[T]], list[R]], batch: Sequence[T]) -> list[R]:
        """What `work` makes of the batch; where memory is short, of its halves.

        Raises:
            ModelError: When memory is short for a single item.
        """
        if len(batch) > self._most:
            parts = [batch[i : i + self._most] for i in range(0, len(batch), self._most)]
            return [result for part in parts for result in self._halving(work, part)]
        try:
            return work(batch)
        except RuntimeError as error:  # torch.OutOfMemoryError is one; on a CPU it is a plain one
            if not _out_of_memory(error):
                raise
            if len(batch) == 1:
                raise ModelError(
                    "the memory does not hold a single prompt; lower generate.max_tokens, or load"
                    " the base in 4 bits (model.quantization=nf4)"
                ) from error
        self._most = len(batch) // 2  # outside the except block, which keeps the tensors alive
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return self._halving(work, batch)

    @contextlib.contextmanager
    def _adapter(self, on: bool) -> Iterator[None]:
        """The adapter on or off for a while."""
        if on is self._on:
            yield
            return
        self.use_adapter(on)
        try:
            yield
        finally:
            self.use_adapter(not on)

    @torch.inference_mode()
    def _generate_batch(self, batch: Sequence[Request]) -> list[Completion]:
        """Completions of the batch; a row leaves it when it ends, so that the others go faster."""
        to, eos = self._model.device, self.tokenizer.eos_token_id
        length = max(len(r.ids) for r in batch)
        pad = [length - len(r.ids) for r in batch]
        ids = torch.tensor([[eos] * n + r.ids for n, r in zip(pad, batch, strict=True)], device=to)
        mask = (torch.arange(length) >= torch.tensor(pad)[:, None]).long().to(to)
        positions = (mask.cumsum(1) - 1).clamp_min(0)
        draws = [_Draw(request.seed, self._settings) for request in batch]
        rows, drawn = list(range(len(batch))), [Drawn([], []) for _ in batch]
        logits, cache = self._read(ids, mask, positions)
        for left in range(self._settings.max_new_tokens, 0, -1):
            tokens, logprobs = _pick(logits, [draws[row] for row in rows])
            for row, token, logprob in zip(rows, tokens, logprobs, strict=True):
                drawn[row].tokens.append(token)
                drawn[row].logprobs.append(logprob)
            going = [i for i, token in enumerate(tokens) if token != eos]
            if left == 1 or not going:
                break
            if len(going) < len(rows):
                rows, kept = [rows[i] for i in going], torch.tensor(going, device=to)
                mask, positions = mask[kept], positions[kept]
                cache.batch_select_indices(kept)
            ids = torch.tensor([[tokens[i]] for i in going], device=to)
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            positions = positions[:, -1:] + 1
            logits, cache = self._forward(ids, mask, positions, cache)
        return [self._completion(row) for row in drawn]

    def _read(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, Any]:
        """Logits after the prompts, (rows, vocabulary), and their cache; some rows at a time."""
        size = max(1, _READ // ids.shape[1])
        parts = [
            self._forward(*part)
            for part in zip(
                *(torch.split(part, size) for part in (ids, mask, positions)), strict=True
            )
        ]
        (_, cache), *others = parts
        if others:
            for number, layer in enumerate(cache.layers):
                layers = [layer, *(other.layers[number] for _, other in others)]
                layer.keys = torch.cat([one.keys for one in layers])
                layer.values = torch.cat([one.values for one in layers])
        return torch.cat([logits for logits, _ in parts]), cache

    def _forward(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor,
        positions: torch.Tensor,
        cache: Any = None,  # noqa: ANN401
    ) -> tuple[torch.Tensor, Any]:
        """Logits of the next tokens, (rows, vocabulary), and the cache."""
        output = self._model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
            use_cache=True, logits_to_keep=1,
        )  # fmt: skip
        return output.logits[:, -1], output.past_key_values

    def _completion(self, drawn: "Drawn") -> Completion:
        tokens, count = drawn.tokens, len(drawn.tokens)
        stopped = tokens[-1] == self.tokenizer.eos_token_id
        text = self.tokenizer.decode(tokens[: count - stopped], skip_special_tokens=True)
        mean = sum(drawn.logprobs) / count
        return Completion(text.strip(), count, "stop" if stopped else "length", mean)

    @torch.inference_mode()
    def _score_batch(self, batch: Sequence[Question]) -> list[Score]:
        pad, to = self.tokenizer.pad_token_id, self._model.device
        examples = [question.example for question in batch]
        shape = (len(batch), max(len(e.input_ids) for e in examples))
        ids, labels = torch.full(shape, pad), torch.full(shape, -100)
        mask = torch.zeros(shape, dtype=torch.long)
        for i, example in enumerate(examples):
            size = len(example.input_ids)
            ids[i, :size] = torch.tensor(example.input_ids)
            labels[i, :size] = torch.tensor(example.labels)
            mask[i, :size] = 1
        # Only the last positions are supervised as a rule; the others need no logits.
        keep = int((labels != -100).any(0).nonzero().min()) - 1
        logits = self._model(
            input_ids=ids.to(to), attention_mask=mask.to(to), logits_to_keep=shape[1] - keep
        ).logits
        targets = labels[:, keep + 1 :].to(to)
        nats = torch.nn.functional.cross_entropy(
            logits[:, :-1].float().transpose(1, 2), targets, reduction="none"
        )
        totals, counts = nats.sum(1).tolist(), (targets != -100).sum(1).tolist()
        return list(map(Score, totals, counts))


class Drawn(NamedTuple):
    """A row's tokens so far, and their log-probabilities."""

    tokens: list[int]
    logprobs: list[float]


class _Draw:
    """The random numbers of one request, token by token."""

    def __init__(self, seed: int, settings: Generate) -> None:
        self.settings = settings
        self._generator = torch.Generator().manual_seed(seed % 2**63)

    def number(self) -> float:
        """A number of (0, 1] for the next token, whatever the vocabulary's size."""
        return 1 - torch.rand(1, generator=self._generator, dtype=torch.float64).item()


def _pick(logits: torch.Tensor, draws: Sequence[_Draw]) -> tuple[list[int], list[float]]:
    """The drawn token of each row of (rows, vocabulary), and its log-probability."""
    settings = draws[0].settings
    logprobs = logits.float().log_softmax(-1)
    if settings.temperature > 0:
        shares = _nucleus(logprobs / settings.temperature, settings.top_p).softmax(-1)
        reached = shares.cumsum(-1)
        numbers = torch.tensor([[draw.number()] for draw in draws], device=reached.device)
        token = (reached < numbers * reached[:, -1:]).sum(-1, keepdim=True)
    else:
        token = logprobs.argmax(-1, keepdim=True)
    return token[:, 0].tolist(), logprobs.gather(1, token)[:, 0].tolist()


def _nucleus(logits: torch.Tensor, share: float) -> torch.Tensor:
    """Logits with -inf outside the smallest set of tokens that holds `share` of the probability."""
    if share >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True)
    probability = ordered.softmax(-1)
    outside = probability.cumsum(-1) - probability >= share
    return logits.masked_fill(outside.scatter(1, order, outside), -torch.inf)


def _batches(sizes: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Row numbers, longest first, in batches of at most `budget` tokens, padding included."""
    batch: list[int] = []
    for row in sorted(range(len(sizes)), key=lambda row: (-sizes[row], row)):
        if batch and (len(batch) + 1) * sizes[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)

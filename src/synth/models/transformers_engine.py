"""Requests -> completions with transformers: batches of like length under a token budget.

Each request has a seed of its own, and draws by the Gumbel-max trick (argmax of logits plus noise
is a sample of the softmax), so a draw depends on its request and not on its batch.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from synth.models.protocols import Request, Score
from synth.prompt import Example
from synth.records import Completion
from synth.settings import Generate


class TransformersEngine:
    """Generates with, and measures, a base model and its adapter."""

    def __init__(self, model: Any, tokenizer: Any, settings: Generate) -> None:  # noqa: ANN401
        self.tokenizer = tokenizer
        self._model = model
        self._settings = settings

    def use_adapter(self, on: bool) -> None:
        """Switches the adapter on or off for what follows."""
        if on:
            self._model.base_model.enable_adapter_layers()
        else:
            self._model.base_model.disable_adapter_layers()

    def close(self) -> None:
        """Frees the model."""
        del self._model

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion per request, in their order."""
        done: dict[int, Completion] = {}
        room = self._settings.max_new_tokens
        for rows in _batches([len(r.ids) + room for r in requests], self._settings.batch_tokens):
            batch = [requests[row] for row in rows]
            done.update(zip(rows, self._generate_batch(batch), strict=True))
        return [done[row] for row in range(len(requests))]

    @torch.inference_mode()
    def _generate_batch(self, batch: Sequence[Request]) -> list[Completion]:
        pad = self.tokenizer.pad_token_id
        length = max(len(r.ids) for r in batch)
        ids = torch.tensor([[pad] * (length - len(r.ids)) + r.ids for r in batch])
        mask = torch.tensor([[0] * (length - len(r.ids)) + [1] * len(r.ids) for r in batch])
        draw = _Draw(batch, self._settings)
        output = self._model.generate(
            input_ids=ids.to(self._model.device),
            attention_mask=mask.to(self._model.device),
            max_new_tokens=self._settings.max_new_tokens,
            do_sample=False,
            use_cache=True,
            logits_processor=LogitsProcessorList([draw]),
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=pad,
        )
        new = output[:, length:].cpu()
        logprobs = draw.finish(new)
        return [self._completion(row, lp) for row, lp in zip(new.tolist(), logprobs, strict=True)]

    def _completion(self, row: list[int], logprobs: list[float]) -> Completion:
        eos = self.tokenizer.eos_token_id
        stopped = eos in row
        tokens = row.index(eos) + 1 if stopped else len(row)
        text = self.tokenizer.decode(row[: tokens - stopped], skip_special_tokens=True)
        return Completion(
            text.strip(), tokens, "stop" if stopped else "length", sum(logprobs[:tokens]) / tokens
        )

    @torch.inference_mode()
    def scores(self, examples: Sequence[Example]) -> list[Score]:
        """What each example's supervised tokens cost the model."""
        found: dict[int, Score] = {}
        pad, to = self.tokenizer.pad_token_id, self._model.device
        sizes = [len(e.input_ids) for e in examples]
        for rows in _batches(sizes, self._settings.batch_tokens):
            batch = [examples[row] for row in rows]
            shape = (len(batch), max(len(e.input_ids) for e in batch))
            ids, labels = torch.full(shape, pad), torch.full(shape, -100)
            mask = torch.zeros(shape, dtype=torch.long)
            for i, example in enumerate(batch):
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
            found.update(zip(rows, map(Score, totals, counts), strict=True))
        return [found[row] for row in range(len(examples))]


class _Draw(LogitsProcessor):  # type: ignore[misc]  # transformers is not typed
    """Leaves one token a row: the drawn one. Remembers the log-probabilities of what was drawn."""

    def __init__(self, batch: Sequence[Request], settings: Generate) -> None:
        self._generators = [torch.Generator().manual_seed(r.seed % 2**63) for r in batch]
        self._settings = settings
        self._steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        logprobs = scores.float().log_softmax(-1)
        choice = logprobs
        if self._settings.temperature > 0:
            choice = _nucleus(logprobs / self._settings.temperature, self._settings.top_p)
            noise = torch.stack(
                [torch.empty(choice.shape[1]).exponential_(generator=g) for g in self._generators]
            )
            choice = choice - noise.log().to(choice.device)
        token = choice.argmax(-1, keepdim=True)
        self._steps.append(logprobs.gather(1, token).cpu())
        return torch.full_like(scores, -torch.inf).scatter_(1, token, 0.0)

    def finish(self, new: torch.Tensor) -> list[list[float]]:
        """Log-probabilities of the new tokens, (rows, tokens)."""
        return torch.cat(self._steps, dim=1)[:, : new.shape[1]].tolist()


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

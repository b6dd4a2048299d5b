"""Nothing -> the nano base model: texts, a tokenizer, and a small Mistral that is trained on them.

It learns forwards (instruction -> response), as instruct models do; working backwards is left to
the adapter. First it reads: the loss is over whole texts. Then it is taught: the loss is over the
answers alone, every text counting the same. At last it is taught to heed the keywords that synth's
prompts may name after a text.

    python recipes/nano/train.py --out data/nano

Deterministic for one thread count, PyTorch release and kind of processor. It prints its speed and
how long it will take; `tests/benchmarks/nano.py` says how good the model is.
"""

import argparse
import contextlib
import copy
import ctypes
import itertools
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

from texts import READING, TEACHING, Text, texts

SEED = 20231116
VOCABULARY = 3072
CONTEXT = 2048
LONGEST = 1024  # tokens of a training sequence
TOKENS_PER_TEXT = 150  # about
MICROBATCH = 2048  # tokens; small enough for the processor's cache
STEP = 4 * MICROBATCH  # tokens of an optimizer step
BOS, EOS = "<s>", "</s>"


@dataclass(frozen=True, slots=True)
class Lesson:
    """A cycle of training: learning rate up, then down to 0."""

    name: str
    tokens: float
    rate: float
    tasks: tuple[int, ...]
    passages_from: float
    hand: float
    answers_only: bool
    hinted: float = 0.0

    def texts(self) -> Iterator[Text]:
        """What the cycle is about."""
        first = self.tokens / TOKENS_PER_TEXT * self.passages_from
        return texts(SEED + len(self.name), self.tasks, first, self.hand, self.hinted)


def keep_freed_memory() -> None:
    """Tells glibc to keep freed memory: returning it costs a third of a step."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def make_tokenizer(count: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of `VOCABULARY` tokens; like Mistral's it adds one bos and no eos."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<unk>", BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    sample = itertools.islice(texts(SEED, READING), count)
    bpe.train_from_iterator((text.prompt + text.answer for text in sample), trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, bpe.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        unk_token="<unk>",
        bos_token=BOS,
        eos_token=EOS,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def make_model(layers: int, hidden: int, mlp: int, eos: int, bos: int) -> MistralForCausalLM:
    """A small Mistral with fresh weights; its widths are multiples of 64, as 4 bits want."""
    config = MistralConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=max(1, hidden // 128),
        head_dim=64,
        max_position_embeddings=CONTEXT,
        sliding_window=None,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        bos_token_id=bos,
        eos_token_id=eos,
        initializer_range=0.02,
    )
    model = MistralForCausalLM(config)
    model.set_attn_implementation("eager")  # on a CPU and at these lengths the fastest
    return model


class Muon:
    """Momentum, orthogonalized by five Newton-Schulz steps (Jordan et al. 2024), for matrices.

    `torch.optim.Muon` computes in bfloat16, which takes seconds a step on a CPU without that type.
    """

    def __init__(self, matrices: list[torch.nn.Parameter], momentum: float = 0.95) -> None:
        by_shape: dict[torch.Size, list[torch.nn.Parameter]] = {}
        for matrix in matrices:
            by_shape.setdefault(matrix.shape, []).append(matrix)
        self.groups = [
            (group, torch.zeros(len(group), *shape)) for shape, group in by_shape.items()
        ]
        self.momentum = momentum

    @torch.no_grad()
    def step(self, rate: float, decay: float = 0.01) -> None:
        """One update of every matrix at the learning rate `rate`."""
        for group, velocity in self.groups:
            gradient = torch.stack([p.grad for p in group if p.grad is not None])
            velocity.lerp_(gradient, 1 - self.momentum)
            x = gradient.lerp(velocity, self.momentum)
            tall = x.shape[1] > x.shape[2]
            x = x.mT if tall else x
            x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
            for _ in range(5):
                gram = x @ x.mT
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            scale = max(1.0, group[0].shape[0] / group[0].shape[1]) ** 0.5
            for p, update in zip(group, x.mT if tall else x, strict=True):
                p.mul_(1 - rate * decay).add_(update, alpha=-rate * scale)


Row = tuple[list[int], int]
"""Token ids of a text, and how many of them come before what is learnt."""


def rows(lesson: Lesson, tokenizer: PreTrainedTokenizerFast) -> Iterator[Row]:
    """The lesson's texts as token ids; while reading, some rows hold several texts."""
    rng = random.Random(SEED)
    stream = lesson.texts()
    while True:
        text = next(stream)
        prompt = text.prompt
        if not lesson.answers_only and rng.random() < 0.07:
            several = itertools.islice(stream, rng.randint(1, 4))
            prompt = "\n\n".join([*(t.prompt + t.answer for t in several), prompt])
        before = tokenizer(prompt)["input_ids"]
        answer = tokenizer(text.answer, add_special_tokens=False)["input_ids"]
        ids = [*before, *answer, tokenizer.eos_token_id][:LONGEST]
        yield ids, len(before) if lesson.answers_only else 1


def batches(lesson: Lesson, tokenizer: PreTrainedTokenizerFast) -> Iterator[list[Row]]:
    """Rows of like length, about `MICROBATCH` tokens together."""
    rng = random.Random(SEED)
    stream = rows(lesson, tokenizer)
    while True:
        pool: list[list[Row]] = [[]]
        for row in sorted(itertools.islice(stream, 1024), key=lambda row: len(row[0])):
            if pool[-1] and len(row[0]) * (len(pool[-1]) + 1) > MICROBATCH:
                pool.append([])
            pool[-1].append(row)
        rng.shuffle(pool)
        yield from pool


def loss_of(model: MistralForCausalLM, batch: list[Row], lesson: Lesson) -> torch.Tensor:
    """Mean loss over the batch's tokens or, when answers are taught, over its answers."""
    length = max(len(ids) for ids, _ in batch)
    inputs = torch.zeros(len(batch), length, dtype=torch.long)
    learnt = torch.zeros(len(batch), length, dtype=torch.bool)
    for i, (ids, before) in enumerate(batch):
        inputs[i, : len(ids)] = torch.tensor(ids)
        learnt[i, before : len(ids)] = True
    with torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported()):
        states = model.model(input_ids=inputs).last_hidden_state[:, :-1][learnt[:, 1:]]
        logits = model.lm_head(states).float()
    targets = inputs[:, 1:][learnt[:, 1:]]
    losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    if not lesson.answers_only:
        return losses.mean()
    weights = (1 / learnt.sum(1, keepdim=True)).expand(-1, length)[:, 1:][learnt[:, 1:]]
    return (losses * weights).sum() / len(batch)


def study(
    model: MistralForCausalLM, tokenizer: PreTrainedTokenizerFast, lesson: Lesson, out: Path
) -> float:
    """Trains the model through one lesson, saving it on the way; returns the last smoothed loss."""
    inner = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    outer = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = Muon(inner)
    adam = torch.optim.AdamW(outer, betas=(0.9, 0.95), weight_decay=0.0)
    steps = math.ceil(lesson.tokens / STEP)
    stream = batches(lesson, tokenizer)
    started, seen, smooth = time.monotonic(), 0, 0.0
    model.train()
    for step in range(steps):
        rate = lesson.rate * min(1.0, (step + 1) / 50, 2 * (steps - step) / steps)
        mean = 0.0
        for batch in itertools.islice(stream, STEP // MICROBATCH):
            loss = loss_of(model, batch, lesson) / (STEP // MICROBATCH)
            loss.backward()
            mean += loss.item()
            seen += len(batch) * max(len(ids) for ids, _ in batch)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step(rate)
        adam.param_groups[0]["lr"] = rate * 0.2
        adam.step()
        model.zero_grad(set_to_none=True)
        smooth = mean if step == 0 else 0.95 * smooth + 0.05 * mean
        if step % 25 == 0:
            speed = seen / (time.monotonic() - started)
            left = (steps - step) * STEP / speed / 60
            facts = f"loss {smooth:.3f} {speed:,.0f} tokens/s, {left:.0f} min left"
            print(f"{lesson.name} {step}/{steps} {facts}", flush=True)
        if step % 200 == 199:
            save(model, tokenizer, out)
    save(model, tokenizer, out)
    return smooth


def save(model: MistralForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes the model folder, weights in bf16; the model in training keeps its own."""
    copy.deepcopy(model).eval().to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    """Trains and writes the model folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--read", type=float, default=11e6, help="tokens of the reading")
    parser.add_argument("--teach", type=float, default=6e6, help="tokens of the teaching")
    parser.add_argument("--keywords", type=float, default=6e6, help="of that with keywords")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--mlp", type=int, default=640)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", type=Path, help="a model folder to go on from")
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    started = time.monotonic()

    if args.start:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(args.start)
        model = MistralForCausalLM.from_pretrained(args.start, dtype=torch.float32)
    else:
        tokenizer = make_tokenizer(30_000)
        eos, bos = tokenizer.eos_token_id, tokenizer.bos_token_id
        model = make_model(args.layers, args.hidden, args.mlp, eos, bos)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters:,} parameters", flush=True)
    lessons = (
        Lesson("read", args.read, 0.02, READING, 0.5, 0.4, answers_only=False),
        Lesson("teach", args.teach, 0.01, TEACHING, 0.0, 0.7, answers_only=True),
        Lesson("keywords", args.keywords, 0.006, TEACHING, 0.0, 0.7, answers_only=True, hinted=0.7),
    )
    losses = {
        lesson.name: round(study(model, tokenizer, lesson, args.out), 4)
        for lesson in lessons
        if lesson.tokens
    }
    minutes = round((time.monotonic() - started) / 60, 1)
    print(json.dumps({"parameters": parameters, "losses": losses, "minutes": minutes}))


if __name__ == "__main__":
    main()

"""Nothing -> the nano base model: training text, tokenizer and a small Mistral, trained on it.

It learns forwards (instruction -> response), as instruct models do; working backwards is left to
the adapter. The text is that of `grammar.py`; later two of five are passages of `passages.jsonl`.

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
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

from grammar import Composer, Example, about

SEED = 20231116
VOCABULARY = 3072
CONTEXT = 2048
MICROBATCH = 2048  # tokens; small enough for the processor's cache
TOKENS_PER_TEXT = 150  # about
LONGEST = 1024  # tokens of a training sequence
BOS, EOS = "<s>", "</s>"


def keep_freed_memory() -> None:
    """Tells glibc to keep freed memory: returning it costs a third of a step."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def forward_texts(seed: int, passages_after: float = math.inf) -> Iterator[str]:
    """Training texts without end: instruction, sometimes input, response; sometimes several.

    Args:
        seed: Of the grammar and of the order.
        passages_after: After so many texts two of five come from `passages.jsonl`, mostly renamed.
    """
    rng = random.Random(seed)
    composer = Composer(seed)
    composed = composer.examples()
    by_hand: list[Example] = []

    def one(number: int) -> str:
        if number >= passages_after and not by_hand:
            by_hand.extend(passages())
        if by_hand and rng.random() < 0.4:
            example = rng.choice(by_hand)
            example = composer.renamed(example) if rng.random() < 0.7 else example
        else:
            example = next(composed)
        if rng.random() < 0.3:
            question, text, answer = about(example, rng)
            return f"### Instruction:\n{question}\n\n### Input:\n{text}\n\n### Response:\n{answer}"
        return f"### Instruction:\n{example.instruction}\n\n### Response:\n{example.response}"

    for number in itertools.count():
        yield "\n\n".join(
            one(number) for _ in range(1 if rng.random() < 0.93 else rng.randint(2, 5))
        )


def passages() -> list[Example]:
    """The examples written by hand."""
    lines = (Path(__file__).parent / "passages.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Example(r["kind"], (r["subject"],), r["instruction"], r["response"]) for r in rows]


def make_tokenizer(texts: int) -> PreTrainedTokenizerFast:
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
    pairs = (Path(__file__).parents[2] / "data" / "sample" / "pairs.jsonl").read_text(
        encoding="utf-8"
    )
    by_hand = [
        row["response"] for row in map(json.loads, pairs.splitlines()) if row["source"] == "hand"
    ]
    bpe.train_from_iterator(
        itertools.chain(itertools.islice(forward_texts(SEED + 1), texts), by_hand * 20), trainer
    )
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
    return MistralForCausalLM(config)


def batches(
    tokenizer: PreTrainedTokenizerFast, tokens_per_batch: int, passages_after: float, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(input ids, labels), each (rows, length); about `tokens_per_batch` tokens of like length."""
    texts = forward_texts(seed, passages_after)
    rng = random.Random(seed)
    while True:
        encoded = tokenizer([next(texts) for _ in range(1024)])["input_ids"]
        rows = sorted(([*ids, tokenizer.eos_token_id][:LONGEST] for ids in encoded), key=len)
        pool: list[list[list[int]]] = [[]]
        for row in rows:
            if pool[-1] and len(row) * (len(pool[-1]) + 1) > tokens_per_batch:
                pool.append([])
            pool[-1].append(row)
        rng.shuffle(pool)
        for group in pool:
            length = max(map(len, group))
            ids = torch.full((len(group), length), tokenizer.eos_token_id)
            labels = torch.full((len(group), length), -100)
            for i, row in enumerate(group):
                ids[i, : len(row)] = labels[i, : len(row)] = torch.tensor(row)
            yield ids, labels


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
    parser.add_argument("--tokens", type=float, default=11e6, help="training tokens in all")
    parser.add_argument("--batch", type=int, default=8192, help="tokens per step")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--mlp", type=int, default=640)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", type=Path, help="a model folder to go on from")
    parser.add_argument("--passages-from", type=float, default=0.5, help="share of the training")
    parser.add_argument(
        "--rate", type=float, default=0.02, help="peak learning rate of the matrices (Muon)"
    )
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    started = time.monotonic()

    if args.start:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(args.start)
        model = MistralForCausalLM.from_pretrained(args.start, dtype=torch.float32)
    else:
        tokenizer = make_tokenizer(texts=30_000)
        eos, bos = tokenizer.eos_token_id, tokenizer.bos_token_id
        model = make_model(args.layers, args.hidden, args.mlp, eos, bos)
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{parameters:,} parameters; tokenizer after {time.monotonic() - started:.0f} s", flush=True
    )

    inner = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    outer = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = Muon(inner)
    adam = torch.optim.AdamW(outer, lr=args.rate * 0.2, betas=(0.9, 0.95), weight_decay=0.0)
    steps = math.ceil(args.tokens / args.batch)
    parts = args.batch // MICROBATCH
    passages_after = args.tokens / TOKENS_PER_TEXT * args.passages_from
    stream = batches(tokenizer, MICROBATCH, passages_after, SEED + 2 if args.start else SEED)
    seen, smooth = 0, 0.0
    model.train()
    for step in range(steps):
        factor = min(1.0, (step + 1) / 50) * min(1.0, (steps - step) / (0.5 * steps))
        mean = 0.0
        for ids, labels in itertools.islice(stream, parts):
            loss = model(input_ids=ids, labels=labels).loss / parts
            loss.backward()
            mean += loss.item()
            seen += ids.numel()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step(args.rate * factor)
        adam.param_groups[0]["lr"] = args.rate * 0.2 * factor
        adam.step()
        model.zero_grad(set_to_none=True)
        smooth = mean if step == 0 else 0.95 * smooth + 0.05 * mean
        if step % 25 == 0:
            speed = seen / (time.monotonic() - started)
            left = (steps - step) * args.batch / speed / 60
            print(
                f"step {step}/{steps} loss {smooth:.3f} {speed:,.0f} tokens/s, {left:.0f} min left",
                flush=True,
            )
        if step % 200 == 199:
            save(model, tokenizer, args.out)

    save(model, tokenizer, args.out)
    minutes = (time.monotonic() - started) / 60
    facts = {
        "parameters": parameters,
        "tokens": seen,
        "loss": round(smooth, 4),
        "minutes": round(minutes, 1),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()

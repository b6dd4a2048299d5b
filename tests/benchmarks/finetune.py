"""Training in the public lesson's way against ours, on the same pairs, base and machine.

    python tests/benchmarks/finetune.py [--set model.base=FOLDER ...]

The lesson: padded batches in random order, the loss over the whole text. Ours: batches of like
length, the loss over the instruction alone. All else is the recipe's, and the same. Each way
runs in its own process, in turn, `--rounds` times, and the best round counts. Supervised tokens
are the instruction's and its eos, which is what there is to learn, whatever the loss covers. Both
are measured by the instruction's held-out loss. The card is the CUDA device, if there is one; a
base for it is made by `tests/bases.py`. Prints one JSON object last.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WAYS = {
    "lesson": ["finetune.loss=text", "finetune.group_by_length=false"],
    "ours": ["finetune.loss=completion", "finetune.group_by_length=true"],
}


def measure(recipe_name: str, sets: list[str], steps: int, evals: int) -> dict[str, Any]:
    """Trains once in this process; held-out losses of the instruction by seconds of training."""
    import torch

    from synth.models.local import LocalModels
    from synth.models.training import train_adapter
    from synth.recipe import load_recipe
    from synth.records import Progress
    from synth.stages.common import split_pairs
    from synth.stages.finetune import examples

    every = max(1, steps // evals)
    sets = [*sets, f"finetune.steps={steps}", f"finetune.eval_every={every}"]
    recipe = load_recipe(recipe_name, [*sets, "finetune.keep_best=false"])
    split = split_pairs(recipe.pairs)
    tokenizer = LocalModels().tokenizer(recipe)
    learn_all = recipe.model_copy(
        update={"finetune": recipe.finetune.model_copy(update={"loss": "completion"})}
    )
    train = examples(split.train, [""] * len(split.train), recipe, tokenizer)
    held_out = examples(split.held_out, [""] * len(split.held_out), learn_all, tokenizer)
    stamps: dict[int, float] = {}

    def listen(progress: Progress) -> None:
        stamps.setdefault(int(progress.done), time.monotonic())

    with tempfile.TemporaryDirectory() as folder:
        trained = train_adapter(recipe, train, held_out, Path(folder) / "a", Path(folder), listen)
    losses = {p.step: p.held_out for p in trained.losses if p.held_out is not None}
    supervised = sum(len(tokenizer(p.instruction)["input_ids"]) for p in split.train)  # bos for eos
    # The first step pays for warming up; held-out passes and checkpoints are part of both ways.
    seconds = stamps[steps] - stamps[1]
    per_step = supervised / len(train) * recipe.finetune.batch * recipe.finetune.accumulation
    return {
        "seconds": seconds,
        "supervised_tokens_per_second": per_step * (steps - 1) / seconds,
        "losses": [(stamps[step] - stamps[1], loss) for step, loss in losses.items()],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "card_peak_mib": torch.cuda.max_memory_allocated() / 2**20,
    }


def main() -> None:
    """Measures both ways in turn and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="nano")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--evals", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], help="section.key=value, for both")
    parser.add_argument("--way", choices=sorted(WAYS), help="measure this way in this process")
    args = parser.parse_args()
    if args.way:
        print(
            json.dumps(measure(args.recipe, [*args.set, *WAYS[args.way]], args.steps, args.evals))
        )
        return
    rounds: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(args.rounds):
        for way in WAYS:
            command = [sys.executable, __file__, "--way", way, *sys.argv[1:]]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rounds[way].append(json.loads(output.splitlines()[-1]))
            print(way, {k: v for k, v in rounds[way][-1].items() if k != "losses"}, flush=True)
    lesson, ours = (min(rounds[way], key=lambda r: float(r["seconds"])) for way in WAYS)
    target = lesson["losses"][-1][1]
    reached = next((seconds for seconds, loss in ours["losses"] if loss <= target), None)
    figures = {
        "lesson_supervised_tokens_per_second": round(lesson["supervised_tokens_per_second"], 1),
        "our_supervised_tokens_per_second": round(ours["supervised_tokens_per_second"], 1),
        "speed_ratio": round(
            ours["supervised_tokens_per_second"] / lesson["supervised_tokens_per_second"], 2
        ),
        "lesson_held_out_loss_nats": round(target, 3),
        "our_held_out_loss_nats": round(ours["losses"][-1][1], 3),
        "seconds_to_the_lessons_loss_ratio": round(lesson["losses"][-1][0] / reached, 2)
        if reached
        else None,
        "lesson_peak_mib": round(lesson["peak_mib"]),
        "our_peak_mib": round(ours["peak_mib"]),
        "memory_ratio": round(ours["peak_mib"] / lesson["peak_mib"], 2),
        "lesson_card_peak_mib": round(lesson["card_peak_mib"]),
        "our_card_peak_mib": round(ours["card_peak_mib"]),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

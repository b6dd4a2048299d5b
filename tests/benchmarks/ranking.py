"""Whether ranking is worth its samples: the best of 4 by each score against the first of 4.

    python tests/benchmarks/ranking.py

Finetunes nano, asks 4 times for an instruction of each held-out pair's response and of each passage
with unseen names, and measures what each rule of `curate.rank` would keep: likeness to the
reference, and whether the subject is named. Prints one JSON object last.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "recipes" / "nano"))

from grammar import Composer, plural  # noqa: E402
from synth.models.local import LocalModels  # noqa: E402
from synth.models.protocols import Request  # noqa: E402
from synth.recipe import load_recipe  # noqa: E402
from synth.records import Completion, Segment  # noqa: E402
from synth.stages.common import prompt_of, split_pairs  # noqa: E402
from synth.stages.finetune import finetune  # noqa: E402
from synth.stages.scoring import scored  # noqa: E402
from synth.store.candidates import Asked, Scores  # noqa: E402
from synth.store.run import Run  # noqa: E402
from synth.text import metrics  # noqa: E402

SEED = 4243
Drawn = tuple[Completion, Scores]

RULES: dict[str, Callable[[Drawn], float]] = {
    "logprob": lambda drawn: -drawn[0].logprob,
    "r_ifd": lambda drawn: drawn[1].r_ifd or 0.0,
    "ifd": lambda drawn: drawn[1].ifd or 0.0,
}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=200)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--temperature", type=float, default=0.7)
    args = parser.parse_args()
    sets = [f"generate.temperature={args.temperature}", "generate.scores=[r_ifd, ifd]"]
    recipe = load_recipe("nano", sets)
    models = LocalModels()
    made = list(itertools.islice(Composer(SEED, reserved=True).examples(), args.passages))
    pairs = [(e.instruction, e.response, e.subjects) for e in made]
    pairs += [(p.instruction, p.response, ()) for p in split_pairs(recipe.pairs).held_out]
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        finetune(run, recipe, models)
        engine = models.engine(recipe, run.adapter)
        prompt, limit = prompt_of(recipe), recipe.generate.max_tokens
        asked = []
        for row, (_, text, _) in enumerate(pairs):
            segment = Segment.of(str(row), 0, len(text), text)
            ids = prompt.render(text, engine.tokenizer, limit).ids
            asked += [Asked(0, segment, n, n, "", False, ids) for n in range(args.samples)]
        said = dict(engine.generate(Request(a.ids, i, i) for i, a in enumerate(asked)))
        answers = [(a, said[i]) for i, a in enumerate(asked)]
        drawn = [(completion, scores) for _, completion, scores in scored(engine, answers, recipe)]
        engine.close()
    groups = [drawn[i : i + args.samples] for i in range(0, len(drawn), args.samples)]
    figures: dict[str, float] = {"pairs": len(pairs), "samples": args.samples}
    chosen = {"first": [group[0] for group in groups]}
    chosen |= {name: [min(group, key=rule) for group in groups] for name, rule in RULES.items()}
    references = [instruction for instruction, _, _ in pairs]
    for name, kept in chosen.items():
        texts = [completion.text for completion, _ in kept]
        named = [
            all(s.lower() in t.lower() or plural(s).lower() in t.lower() for s in subjects)
            for t, (_, _, subjects) in zip(texts, pairs, strict=True)
            if subjects
        ]
        figures[f"{name}_chrf"] = round(metrics.chrf(texts, references), 2)
        figures[f"{name}_rouge_l"] = round(metrics.rouge_l(texts, references), 4)
        figures[f"{name}_subject_named_percent"] = round(100 * sum(named) / len(named), 1)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

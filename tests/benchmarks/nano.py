"""How well nano learns to work backwards: the figures of recipes/README.md.

    python tests/benchmarks/nano.py

Finetunes with the default recipe, then measures on made passages whose names were kept out of all
training, and on the hand-written sample corpus (its subjects are in `sample_subjects.json`).
Prints one JSON object last.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "recipes" / "nano"))

from grammar import Composer, Example, kind_of, plural  # noqa: E402
from synth.models.local import LocalModels  # noqa: E402
from synth.models.protocols import Judge, completions, losses  # noqa: E402
from synth.recipe import Recipe, load_recipe  # noqa: E402
from synth.records import Document  # noqa: E402
from synth.stages.common import prompt_of  # noqa: E402
from synth.stages.finetune import finetune  # noqa: E402
from synth.store.run import Run  # noqa: E402
from synth.text.segment import cut  # noqa: E402

SEED = 4242


def names(instruction: str, example: Example) -> bool:
    """Whether the instruction holds every subject of the passage, singular or plural."""
    low = instruction.lower()
    return all(s.lower() in low or plural(s).lower() in low for s in example.subjects)


def generated(judge: Judge, recipe: Recipe, texts: list[str]) -> list[str]:
    """The instruction generated for each text."""
    limit = recipe.generate.max_tokens
    prompts = [prompt_of(recipe).render(text, judge.tokenizer, limit) for text in texts]
    return [c.text for c in completions(judge, [p.ids for p in prompts])]


def loss(judge: Judge, recipe: Recipe, examples: list[Example], *, adapter: bool) -> float:
    """Mean nats per token of the instructions and their eos."""
    room = recipe.finetune.max_tokens
    prompt = prompt_of(recipe)
    learnt = [prompt.example(e.instruction, e.response, judge.tokenizer, room) for e in examples]
    scores = losses(judge, learnt, adapter=adapter)
    return sum(score.nats for score in scores) / sum(score.tokens for score in scores)


def reserved_examples(count: int, *, strange: bool) -> list[Example]:
    """Passages with unseen names; `strange` ones have invented words everywhere."""
    return list(itertools.islice(Composer(SEED, reserved=True, strange=strange).examples(), count))


def named_share(answers: list[str], examples: list[Example]) -> float:
    """Percentage of answers that name every subject."""
    hits = [names(a, e) for a, e in zip(answers, examples, strict=True)]
    return round(100 * sum(hits) / len(hits), 1)


def sample_segments(recipe: Recipe) -> dict[str, str]:
    """`document:start` -> text of every segment of the sample corpus but the bad documents."""
    texts = {}
    for line in (ROOT / "data/sample/corpus.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        document = Document(row["id"], row["text"], "")
        for s in cut(document, recipe.corpus).segments:
            if not s.skip and not row["id"].startswith("bad-"):
                texts[f"{row['id']}:{s.start}"] = s.text
    return texts


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=400)
    parser.add_argument("--run", type=Path, help="a run folder whose adapter is to be measured")
    parser.add_argument("--show", type=int, default=0, help="print so many generated instructions")
    parser.add_argument("--set", action="append", default=[], help="section.key=value")
    args = parser.parse_args()
    recipe, models = load_recipe("nano", args.set), LocalModels()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(args.run or Path(folder))
        started = time.monotonic()
        finetune(run, recipe, models)
        seconds = time.monotonic() - started
        judge = models.judge(recipe, run.adapter)
        made = reserved_examples(args.passages, strange=False)
        hard = reserved_examples(args.passages, strange=True)
        before = loss(judge, recipe, made, adapter=False)
        after = loss(judge, recipe, made, adapter=True)
        answers = generated(judge, recipe, [e.response for e in made])
        hard_answers = generated(judge, recipe, [e.response for e in hard])
        texts = sample_segments(recipe)
        sample = dict(zip(texts, generated(judge, recipe, list(texts.values())), strict=True))
    subjects = json.loads((Path(__file__).parent / "sample_subjects.json").read_text("utf-8"))
    assert subjects.keys() == texts.keys(), "sample_subjects.json does not fit the sample corpus"
    # A leading space in a listed name asks for the start of a word.
    named = {key: any(s in f" {sample[key].lower()}" for s in subjects[key]) for key in texts}
    right = [kind_of(a) == e.kind for a, e in zip(answers, made, strict=True)]
    wrong = Counter(
        f"{e.kind} -> {kind_of(a)}"
        for a, e in zip(answers, made, strict=True)
        if kind_of(a) != e.kind
    )
    for key in list(texts)[: args.show]:
        print("+" if named[key] else "-", key, "|", sample[key], "|", subjects[key])
    for answer, example in list(zip(answers, made, strict=True))[: args.show]:
        print("+" if names(answer, example) else "-", answer, "|", example.instruction)
    print("most frequent wrong kinds:", dict(wrong.most_common(5)))
    figures = {
        "finetune_seconds": round(seconds, 1),
        "passages": len(made),
        "loss_before_nats": round(before, 3),
        "loss_after_nats": round(after, 3),
        "loss_fall_percent": round(100 * (1 - after / before), 1),
        "subject_named_percent": named_share(answers, made),
        "strange_text_subject_named_percent": named_share(hard_answers, hard),
        "right_kind_percent": round(100 * sum(right) / len(made), 1),
        "sample_segments": len(texts),
        "sample_subject_named_percent": round(100 * sum(named.values()) / len(named), 1),
        "grass_instruction": sample["grass:0"],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

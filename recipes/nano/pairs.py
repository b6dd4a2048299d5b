"""data/sample/pairs.jsonl -> the same with its made pairs made again; those written by hand stay.

Made pairs are the grammar's (`source` is `made`), and those by hand about something else
(`renamed`).

python recipes/nano/pairs.py
"""

import itertools
import json
from pathlib import Path

from grammar import Composer, Example
from texts import by_hand_example
from variation import Variations

FILE = Path(__file__).parents[2] / "data" / "sample" / "pairs.jsonl"
SEED = 77
MADE = 800
RENAMED = 600


def main() -> None:
    """Rewrites the file: made pairs first, then the ones by hand in their order."""
    rows = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    by_hand = [row for row in rows if row["source"] == "hand"]
    composer = Composer(SEED)
    made = list(itertools.islice(composer.examples(), MADE))
    examples = [by_hand_example(row) for row in by_hand]
    variations = Variations(composer, examples)
    told = ((e, variations.renamed(e)) for e in itertools.cycle(examples))
    renamed = list(itertools.islice((new for old, new in told if new != old), RENAMED))
    rows = [_row(e, "made") for e in made] + [_row(e, "renamed") for e in renamed] + by_hand
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    FILE.write_text("".join(lines), encoding="utf-8")
    print(f"{len(made)} made, {len(renamed)} renamed, {len(by_hand)} by hand")


def _row(example: Example, source: str) -> dict[str, str]:
    return {
        "instruction": example.instruction,
        "response": example.response,
        "kind": example.kind,
        "source": source,
        "subject": " and ".join(example.subjects),
    }


if __name__ == "__main__":
    main()

"""data/sample/pairs.jsonl -> the same with its made pairs made again; those written by hand stay.

python recipes/nano/pairs.py
"""

import itertools
import json
from pathlib import Path

from grammar import Composer

FILE = Path(__file__).parents[2] / "data" / "sample" / "pairs.jsonl"
SEED = 77
MADE = 1000


def main() -> None:
    """Rewrites the file: made pairs first, then the ones by hand in their order."""
    rows = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    made = [
        {"instruction": e.instruction, "response": e.response, "kind": e.kind, "source": "made"}
        for e in itertools.islice(Composer(SEED).examples(), MADE)
    ]
    by_hand = [row for row in rows if row["source"] == "hand"]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in (*made, *by_hand)]
    FILE.write_text("".join(lines), encoding="utf-8")
    print(f"{len(made)} made, {len(by_hand)} by hand")


if __name__ == "__main__":
    main()

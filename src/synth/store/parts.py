"""A corpus that is put through in parts: which of them are done, and what they add up to.

Each part has a file of its own that says what it did, so that none waits for another; whoever is
last enters their sum into the manifest. The pieces of a corpus are told of in the same way. Parts
of another division of the corpus are let go of when one begins; their answers stay, to be found
again by request.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.errors import RunError
from synth.records import Part, Piece, content_id
from synth.store.files import write_json
from synth.store.run import Done, Run, entry

STAGE = "backtranslate"
Entry = Mapping[str, Any]

_OF_PART = re.compile(
    r"(?:segments|bad_lines|done|asked|tried)(?:-(\d{5})-of-(\d{5}))?\.(?:parquet|jsonl|json|txt)(?:\.part)?"
)
_NAMED = 20  # missing parts that are named, at most
_OF_DIVISION = ("parts", "pieces")
_OF_ONE = ("pairs_per_hour",)  # counts that say nothing of several parts together


def done_part(run: Run, part: Part) -> Done | None:
    """What is told of a part; None when it never finished."""
    if part.of == 1:
        return run.done(STAGE)
    told = _told(run, part)
    return Done(told["fingerprint"], told["counts"]) if told else None


def begin_part(run: Run, part: Part) -> None:
    """Takes the part out of what is done, and what belongs to another division of the corpus.

    Raises:
        RunError: For a run that has its candidates from others.
    """
    if run.taken.exists():
        raise RunError(f"{run.folder}: has its candidates from other runs; name another --run")
    begin_division(run, part.of)
    run.done_of(part).unlink(missing_ok=True)


def begin_division(run: Run, of: int) -> None:
    """Takes the corpus out of what is done, and lets go of other divisions than that into `of`."""
    with run.turn():
        run.forget(STAGE)
        for path in run.candidates.glob("*"):
            name = _OF_PART.fullmatch(path.name)
            if name and int(name[2] or 1) != of:
                path.unlink(missing_ok=True)


def commit_part(
    run: Run, part: Part, fingerprint: str, counts: Mapping[str, Any], started: float
) -> None:
    """Says that a part is finished; with the last one the corpus is, once it is settled."""
    if part.of == 1:
        run.commit(STAGE, fingerprint, counts, started)
        return
    told = entry(fingerprint, counts, started)
    write_json(run.done_of(part), told | ({"on": "ray"} if isinstance(part, Piece) else {}))
    if not isinstance(part, Piece):  # there may be many; who hands them out settles once
        settle(run)


def settle(run: Run) -> None:
    """Enters the corpus into the manifest where all of its parts are done, and nobody has yet.

    Of a run that has its candidates from others it enters what those have now.

    Raises:
        RunError: When one of those has nothing, or lacks a part.
    """
    with run.turn():
        if run.taken.exists():
            told, done = _taken(run), run.done(STAGE)
            if done is None or done.fingerprint != told["fingerprint"]:
                run.enter(STAGE, told)
            return
        found = _parts(run)
        if found and run.done(STAGE) is None and not _missing(found):
            run.enter(STAGE, _sum(found))


def need_corpus(run: Run) -> Done:
    """The finished corpus, also where its parts are done and nobody has entered it yet.

    Raises:
        RunError: When nothing is there, or a part is missing.
    """
    if run.taken.exists():
        told = _taken(run)
        return Done(told["fingerprint"], told["counts"])
    done, found = run.done(STAGE), _parts(run)
    if done or not found:
        return run.need(STAGE)
    _check_complete(run, found)
    told = _sum(found)
    return Done(told["fingerprint"], told["counts"])


def take_from(run: Run, folders: Sequence[Path]) -> None:
    """Remembers that the run has its candidates from those of other run folders, in that order.

    Raises:
        RunError: For a folder that is none, or this run, or a run that has candidates of its own.
    """
    sources: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise RunError(f"{folder}: no such run folder; check --from")
        sources |= dict.fromkeys(source.folder for source in Run(folder.resolve()).sources())
    if run.folder.resolve() in sources:
        raise RunError(
            f"{run.folder}: --from leads to this run itself; name others, or another --run"
        )
    if any(run.candidates.glob("*.parquet")):
        raise RunError(
            f"{run.folder}: has candidates of its own; name another --run to take several together"
        )
    names = [os.path.relpath(folder, run.folder.resolve()) for folder in sources]
    write_json(run.taken, names)


def _taken(run: Run) -> Entry:
    """What is told of all the runs together that this one has its candidates from."""
    entries: dict[Path | str, Entry] = {}
    divided: dict[str, dict[Part, Entry]] = {}
    for source in run.sources():
        found = _parts(source)
        if not source.folder.is_dir():
            raise RunError(f"{source.folder}: is no longer there; put it back, or say --from anew")
        if source.done(STAGE) or not found:
            source.need(STAGE)
            entries[source.folder] = source.stages()[STAGE]
            continue
        for part, told in found.items():
            others = divided.setdefault(told["fingerprint"], {})
            if part in others:
                raise RunError(
                    f"{source.folder}: part {part} is in another run named before; name it once"
                )
            others[part] = told
            entries[told["fingerprint"]] = told  # keeps the order
    for fingerprint, found in divided.items():
        _check_complete(run, found)
        entries[fingerprint] = _sum(found)
    told = _sum(entries)
    counts = {name: count for name, count in told["counts"].items() if name not in _OF_DIVISION}
    return {
        **told,
        "fingerprint": content_id("from", *(one["fingerprint"] for one in entries.values())),
        "counts": {**counts, "runs": len(run.sources())},
    }


def _check_complete(run: Run, found: Mapping[Part, Entry]) -> None:
    missing = _missing(found)
    if missing:
        of = missing[0].of
        numbers = ", ".join(str(part.number) for part in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        how = "on ray" if _on_ray(found) else f"shard {missing[0]}"
        raise RunError(
            f"{run.candidates}: part {numbers}{more} of {of} of the corpus is missing, or was made"
            " of another corpus or with other settings than the part finished last; run"
            f" `synth backtranslate` with --{how} first"
        )


def _told(run: Run, part: Part) -> Entry | None:
    path = run.done_of(part)
    try:
        told: Entry = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunError(f"{path}: damaged; delete it, and run --shard {part} again") from error
    return told


def _parts(run: Run) -> dict[Part, Entry]:
    """Every part that is done, in order."""
    found = {}
    for path in sorted(run.candidates.glob("done-*.json")):
        name = _OF_PART.fullmatch(path.name)
        part = Part(int(name[1]), int(name[2])) if name else None
        told = _told(run, part) if part else None
        if part and told:
            found[part] = told
    return found


def _missing(found: Mapping[Part, Entry]) -> list[Part]:
    """The parts without which those found are no corpus."""
    last = _last(found)
    fitting = {p for p, told in found.items() if told["fingerprint"] == found[last]["fingerprint"]}
    every = [Part(number, last.of) for number in range(1, last.of + 1)]
    return [part for part in every if part not in fitting]


def _last(found: Mapping[Part, Entry]) -> Part:
    return max(found, key=lambda part: (found[part]["finished"], part.number))


def _on_ray(found: Mapping[Part, Entry]) -> bool:
    return "on" in found[_last(found)]


def _sum(found: Mapping[Any, Entry]) -> Entry:
    """What is told of parts, or runs, together; `seconds` are of all of them."""
    told = list(found.values())
    counts = added(one["counts"] for one in told)
    return {
        "fingerprint": told[0]["fingerprint"],
        "counts": {**counts, "pieces" if "on" in told[0] else "parts": len(told)},
        "versions": {name: v for one in told for name, v in one["versions"].items()},
        "finished": max(one["finished"] for one in told),
        "seconds": round(sum(one["seconds"] for one in told), 1),
    }


def added(counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts of several together; of a text, such as an error, the first."""
    total: dict[str, Any] = {}
    for one in counts:
        for name, value in one.items():
            if name in _OF_ONE:
                continue
            if isinstance(value, dict):
                sums = Counter(total.get(name, {})) + Counter(value)
                total[name] = dict(sums.most_common())
            elif isinstance(value, str):
                total.setdefault(name, value)
            else:
                total[name] = total.get(name, 0) + value
    return total

"""Results, to stdout: tables for people, one JSON object for machines."""

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from synth.cli import voice
from synth.cli.session import Session, is_main
from synth.cli.summary import facts_told, show_summary, state_of
from synth.cli.voice import safe, say

if TYPE_CHECKING:
    from synth.records import Outcome
    from synth.report.server import ReviewServer
    from synth.store.run import Run

_PAIRS_SHOWN = 10


def tell(outcomes: Iterable["Outcome"], session: Session, as_json: bool) -> None:
    """Prints what each stage did as it is done; as JSON, all of it in one object at the end."""
    if not is_main():
        for _ in outcomes:  # a process beside the first works, and says nothing
            pass
        return
    if as_json:
        stages = {o.stage: {"unchanged": o.skipped, **o.counts} for o in outcomes}
        session.wipe()
        say(json.dumps({"run": str(session.run.folder), "stages": stages}, ensure_ascii=False))
        return
    began = session.began
    for outcome in outcomes:
        session.wipe()
        shows = {"evaluate": _show_evaluation, "curate": _show_ledger, "explain": _show_stories}
        show = shows.get(outcome.stage, show_summary)
        show(outcome, time.monotonic() - began)
        began = time.monotonic()


def _show_evaluation(outcome: "Outcome", seconds: float) -> None:
    counts = outcome.counts
    columns = ("before", "after", "reference")
    names = list(dict.fromkeys(name for column in columns for name in counts[column]))
    rows = [
        (
            name.replace("_", " "),
            *(f"{counts[c][name]:g}" if name in counts[c] else "" for c in columns),
        )
        for name in names
    ]
    _table(f"Report card: {counts['held_out']} held-out pairs", ("", *columns), rows)
    samples = [(s["text"], s["before"], s["after"], s["reference"]) for s in counts["samples"]]
    _table("Before and after", ("text", *columns), samples, lined=True)
    for name, check in counts["checks"].items():
        bound = (
            f"at least {check['at_least']}"
            if "at_least" in check
            else f"at most {check['at_most']}"
        )
        state = "passed" if check["passed"] else "FAILED"
        say(f"  {state}  {name.replace('_', ' ')} {check['value']:g} ({bound})")
    verdict = "go" if counts["go"] else "NO-GO: not fit to generate with"
    say(f"{state_of(outcome, seconds)}: {verdict}")


def _show_ledger(outcome: "Outcome", seconds: float) -> None:
    counts = outcome.counts
    segments = counts["segments"]
    rows = [
        (bucket, f"{n}", f"{n / max(1, segments):.1%}") for bucket, n in counts["buckets"].items()
    ]
    rows.append(("all segments", f"{segments}", "100.0%"))
    title = f"Ledger: {counts['documents']} documents, {counts['bad_lines']} bad lines"
    if counts["repeated_documents"]:
        title += f", {counts['repeated_documents']} repeated documents"
    if counts.get("repeated_segments"):
        title += f", {counts['repeated_segments']} repeated segments"
    _table(title, ("bucket", "segments", "share"), rows)
    if counts.get("rejected_candidates"):
        say(f"rejected candidates: {facts_told(counts['rejected_candidates'])}")
    _show_reviews(counts)
    _show_leaks(counts)
    say(state_of(outcome, seconds))


def _show_reviews(counts: dict[str, Any]) -> None:
    """What people said of the rows that they read."""
    said = counts.get("reviewed")
    if not said or not said["read"]:
        return
    from synth.tables.reviews import share_interval

    low, high = share_interval(said["good"], said["read"])
    say(
        f"reviewed: people read {said['read']} rows and found {said['good']} good:"
        f" {said['good'] / said['read']:.1%} (95 % interval {low:.1%} to {high:.1%});"
        f" those found bad ({said['bad']}) are removed"
    )


def _show_leaks(counts: dict[str, Any]) -> None:
    """What was found of benchmarks and of private data; which benchmarks could not be had."""
    checked = counts["contamination"]
    if checked["questions"]:
        say(
            f"contamination: {checked['questions']} benchmark questions looked for;"
            f" {checked['spared']} candidates with no more than stock wording were spared"
        )
    for name, why in checked["missing"].items():
        say(safe(f"contamination: NOT CHECKED against {name}: {why}"))
    masked = {name: kinds for name, kinds in counts["masked"].items() if kinds}
    if masked:
        say(f"masked private data: {facts_told(masked)}")


def _show_stories(outcome: "Outcome", _: float) -> None:
    for story in outcome.counts["samples"]:
        facts = {key: value for key, value in story.items() if key != "rules"}
        rows = [(name.replace("_", " "), _cell(value)) for name, value in facts.items()]
        _table(f"Segment {outcome.counts['segment']}", ("", ""), rows)
        rules = [
            (r["rule"], r["value"] or "", "" if r["good"] else "FAILED", r["source"])
            for r in story["rules"]
        ]
        _table("Rules", ("rule", "measured", "", "source"), rules)


def tell_difference(outcome: "Outcome", as_json: bool) -> None:
    """Prints how two versions of a dataset differ."""
    counts = outcome.counts
    if as_json:
        say(json.dumps(counts, ensure_ascii=False))
        return
    rows = counts["rows"]
    title = safe(f"{counts['old']} -> {counts['new']}")
    kinds = ("same", "changed", "added", "removed")
    _table(title, ("rows", "count"), [(kind, str(rows[kind])) for kind in kinds])
    scores = rows["logprob"]
    quantiles = [
        (
            name,
            *(f"{scores[side][name]:g}" if name in scores[side] else "" for side in ("old", "new")),
        )
        for name in dict.fromkeys([*scores["old"], *scores["new"]])
    ]
    _table("Log-probability of the instruction", ("rows", "before", "after"), quantiles)
    for name, what in (("segments", "segments"), ("settings", "settings")):
        changed = [(key, *map(_cell, pair)) for key, pair in counts[name].items()]
        if changed:
            _table(f"Changed {what}", ("", "before", "after"), changed)


def serve(server: "ReviewServer", session: Session, as_json: bool) -> None:
    """Says where the page is, and serves it until Ctrl-C."""
    session.wipe()
    marks = session.run.reviews
    with suppress(KeyboardInterrupt):
        if as_json:
            say(json.dumps({"url": server.url, "marks": str(marks)}))
        else:
            say(f"Open {server.url}")
            say(f"Marks are kept in {marks}; Ctrl-C ends this.")
        server.serve()
    if not as_json:
        from synth.stages.report import sort_again

        say(f"\nThis lets the rows go that were marked bad:\n  {sort_again(session.run)}")


def _cell(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def show_pairs(run: "Run") -> None:
    """Ten pairs, evenly spaced over the kept rows."""
    import polars as pl

    rows = pl.read_parquet(run.curated, columns=["instruction", "text"])
    step = max(1, rows.height // _PAIRS_SHOWN)
    shown = rows.gather_every(step).head(_PAIRS_SHOWN)
    title = f"{shown.height} of {rows.height} pairs"
    _table(
        title, ("instruction (generated)", "response (from the corpus)"), list(shown.iter_rows())
    )


def _table(
    title: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    *,
    lined: bool = False,
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE, title_justify="left", show_lines=lined)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(safe(_short(cell))) for cell in row))
    voice.console(voice.stdout()).print(table)


def _short(text: str, limit: int = 280) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"

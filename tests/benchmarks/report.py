"""`synth report` at size: how long it takes, how large its page is, and how soon the page is there.

    python tests/benchmarks/report.py [--rows 100000]

Makes a run folder of so many candidates (see candidates.py), sorts it with `synth curate`, draws it
with `synth report`, and opens the page from disk three times in headless Chromium; the time is from
the start of loading until the page is drawn. Prints one JSON object last.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import candidates  # type: ignore[import-not-found]  # lies beside this file

SEED = 7
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


def synth(command: str, run: Path, more: list[str]) -> tuple[float, float, dict[str, Any]]:
    """Seconds and peak memory (MiB) of the command in a process of its own, and what it says."""
    call = [sys.executable, "-m", "synth", command, "--run", str(run), "--quiet", "--json", *more]
    started = time.perf_counter()
    process = subprocess.Popen(call, stdout=subprocess.PIPE)
    assert process.stdout
    told = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"synth {command} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1024, told


def opening(page: Path, rounds: int) -> list[float]:
    """Seconds until the page is drawn, each time in a new browser."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("google-chrome")
    seconds = []
    with sync_playwright() as playwright:
        for _ in range(rounds):
            browser = playwright.chromium.launch(executable_path=found, args=_QUIET)
            tab = browser.new_page()
            started = time.perf_counter()
            tab.goto(page.as_uri(), wait_until="commit")
            tab.wait_for_selector("html[data-ready]")
            tab.evaluate("new Promise(drawn => requestAnimationFrame(() => setTimeout(drawn)))")
            seconds.append(time.perf_counter() - started)
            browser.close()
    return seconds


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        candidates.write(run, given.rows, Path(folder) / "exam.parquet", SEED, [])
        arguments = json.loads((run / "arguments.json").read_text(encoding="utf-8"))
        curated = synth("curate", run, arguments)
        drawn = synth("report", run, [])
        opened = opening(run / "report.html", 3)
        figures = {
            "rows": given.rows,
            "curate_seconds": round(curated[0], 2),
            "report_seconds": round(drawn[0], 2),
            "report_peak_mib": round(drawn[1]),
            "page_megabytes": round((run / "report.html").stat().st_size / 1e6, 2),
            "rows_shown": drawn[2]["stages"]["report"]["rows"],
            "opening_seconds": round(statistics.median(opened), 2),
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

"""What reaches the terminal, what reaches the log, and what of the log is shown on a failure."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from synth.cli.pace import Pace, pace_told
from synth.cli.summary import show_summary, state_of
from synth.records import Outcome, Progress
from synth.store.run import Run
from tests.conftest import ROOT
from tests.test_cli import one_line_error, synth

LOG = "logs/work.log"
WORK = """
import logging, os, subprocess, sys, typer, warnings
from pathlib import Path
from synth.cli.log import Log
from synth.cli.session import errors_told
from synth.cli.voice import remark, say
from synth.errors import *

def noise():
    print("a print")
    logging.getLogger("a.library").warning("a logged warning")
    logging.getLogger("synth.models").info("a loss")
    warnings.warn("a warning")
    os.write(1, b"a C library\\n")
    subprocess.run(["sh", "-c", "echo a child; echo a complaint >&2"], check=True)

try:
    with errors_told(logged=True), Log(Path("logs/work.log"), "work"):
        {}
except typer.Exit as end:
    sys.exit(end.exit_code)
print("afterwards")
logging.getLogger("late").warning("too late")
"""


def work(body: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the statement inside a log."""
    return subprocess.run(
        [sys.executable, "-c", WORK.replace("{}", body)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_libraries_write_goes_to_the_log_and_what_synth_says_does_not(tmp_path: Path) -> None:
    done = work("noise(); say('a result'); remark('progress')", tmp_path)
    assert (done.stdout, done.stderr) == ("a result\nafterwards\n", "progress\ntoo late\n")
    first, *lines = (tmp_path / LOG).read_text("utf-8").splitlines()
    assert re.fullmatch(r"=== \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ synth work", first)
    told = "\n".join(lines)
    for line in ("a print", "a logged warning", "a C library", "a child", "a complaint"):
        assert line in lines
    assert "INFO synth.models: a loss" in told
    assert "UserWarning: a warning" in told
    assert "a result" not in told
    assert "progress" not in told


def test_handlers_that_libraries_made_write_to_the_log_to_the_end(tmp_path: Path) -> None:
    done = work("logging.getLogger('late').addHandler(logging.StreamHandler())", tmp_path)
    assert (done.stdout, done.stderr) == ("afterwards\n", "")
    assert (tmp_path / LOG).read_text("utf-8").splitlines()[1:] == ["too late"]


def test_a_log_grows_and_only_the_part_of_the_command_is_shown(tmp_path: Path) -> None:
    work("print('of the first')", tmp_path)
    failed = work("print('of the second'); raise ModelError('m: died')", tmp_path)
    text = (tmp_path / LOG).read_text("utf-8")
    assert text.count("synth work\n") == 2
    assert "of the first" in text
    assert "of the first" not in failed.stderr
    assert failed.stderr.splitlines()[0] == "  | of the second"


def test_the_last_lines_are_shown_without_commands_to_the_terminal(tmp_path: Path) -> None:
    body = (
        "[print(f'line {i}') for i in range(30)];"
        " os.write(2, b'\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07\\n 10%\\r100%\\n');"
        " raise TrainingError('m: learnt nothing')"
    )
    failed = work(body, tmp_path)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr.splitlines() == [
        *(f"  | line {i}" for i in range(17, 30)),
        "  | red \ufffd]0;title\ufffd",
        "  | 100%",
        "  the whole log: logs/work.log",
        "synth: m: learnt nothing",
    ]


@pytest.mark.parametrize(
    ("error", "status", "end"),
    [
        ("InputError('c: no such file')", 1, "synth: c: no such file\n"),
        ("RecipeError('r: wrong')", 1, "synth: r: wrong\n"),
        ("HubError('h: refused')", 1, "synth: h: refused\n"),
        ("EndpointError('e: gone')", 1, "synth: e: gone\n"),
        ("KeyboardInterrupt", 130, "the same command goes on\n"),
        ("typer.Exit(3)", 3, ""),
    ],
)
def test_other_ends_show_no_line_of_the_log(
    error: str, status: int, end: str, tmp_path: Path
) -> None:
    failed = work(f"noise(); raise {error}", tmp_path)
    assert failed.returncode == status
    assert failed.stderr.count("\n") == bool(end)
    assert failed.stderr.endswith(end)


def test_a_bug_shows_its_traceback_below_the_last_lines(tmp_path: Path) -> None:
    failed = work("noise(); 1 / 0", tmp_path)
    assert failed.returncode == 1
    lines = failed.stderr.splitlines()
    place = lines.index(f"  the whole log: {LOG}")
    assert "  | a C library" in lines[:place]
    assert lines[place + 1] == "Traceback (most recent call last):"
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_a_failed_training_shows_the_trainers_last_lines(tiny_files: Path, tmp_path: Path) -> None:
    sets = ["--set", "finetune.learning_rate=1e30", "--run", "run"]
    failed = synth("finetune", "--recipe", str(tiny_files / "recipe.yaml"), *sets, cwd=tmp_path)
    assert failed.returncode == 1
    assert failed.stdout == ""
    *others, last = [x for x in failed.stderr.splitlines() if not x.startswith("finetune:")]
    assert last.startswith("synth: ")
    assert "training would teach nothing" in last
    assert others[-1] == "  the whole log: run/logs/finetune.log"
    assert all(line.startswith("  | ") for line in others[:-1])
    assert any("synth.models.watch: step" in line for line in others)


def test_what_a_user_did_wrong_is_one_line_although_there_is_a_log(in_tmp: Path) -> None:
    failed = synth("evaluate", cwd=in_tmp)
    assert "no adapter of synth here" in one_line_error(failed)
    assert (in_tmp / "runs/nano/logs/evaluate.log").is_file()


def test_nothing_is_logged_where_nothing_is_written(in_tmp: Path) -> None:
    (in_tmp / "c.txt").write_text("A kettle is a red thing.", "utf-8")
    failed = synth("backtranslate", "c.txt", "--dry-run", cwd=in_tmp)
    assert "no adapter of synth here" in one_line_error(failed)
    assert not (in_tmp / "runs").exists()


def test_processes_that_train_together_have_a_log_each() -> None:
    logs = [Run(Path("r")).log("finetune", process) for process in (0, 1)]
    assert logs == [Path("r/logs/finetune.log"), Path("r/logs/finetune-1.log")]


DRAW = """
import time
from synth.cli.drawing import drawing
from synth.cli.summary import show_summary
from synth.cli.voice import say
from synth.records import Outcome, Progress

with drawing(False) as (listen, wipe):
    for done in range(11):
        counts = {"kept": 900 + done, "rejected": 0}
        listen(Progress("curate", done, 10, "candidate", "wri\\x1b[2Jting", counts=counts))
        time.sleep(0.03)
    wipe()
show_summary(Outcome("merge", {"onto": "original base", "compared": 16}), 61)
"""


def drawn(**environment: str) -> str:
    """What a terminal of 100 columns gets to see of it."""
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "cols", "100", "rows", "30"], stdin=theirs, check=True)
    known = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS", "FORCE_COLOR"}}
    process = subprocess.Popen(
        [sys.executable, "-c", DRAW],
        env={**known, "TERM": "xterm-256color", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 1 << 16):
            seen += part
    except OSError:  # the other end was closed
        pass
    os.close(ours)
    assert process.wait() == 0
    return seen.decode()


COLOUR = re.compile(r"\x1b\[(?:\d+;)*[34]\d(?:;\d+)*m")


def test_a_terminal_gets_a_bar_with_rate_and_outcomes() -> None:
    seen = drawn()
    assert COLOUR.search(seen)
    assert re.search(r"10/10 candidates, [\d.]+/s, 0:00:0\d", seen)
    assert re.search(r"\d/10 candidates, [\d.]+/s, 0:00:0\d, ETA 0:00:0\d", seen)
    assert "  910 kept; wri\ufffd[2Jting" in seen
    assert "rejected" not in seen  # none were
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line).rstrip() for line in seen.split("\n")]
    assert [line.strip("\r") for line in lines[-4:]] == [
        "merge: done in 0:01:01",
        "  merged onto the              original base",
        "  held-out prompts compared    16",
        "",
    ]


def test_no_color_is_respected() -> None:
    seen = drawn(NO_COLOR="1")
    assert "10/10 candidates" in seen
    assert not COLOUR.search(seen)


def test_a_dumb_terminal_gets_lines() -> None:
    seen = drawn(TERM="dumb")
    assert "\x1b" not in seen
    assert seen.splitlines()[0] == "curate: 0/10 candidates, 0:00:00 (900 kept; wri\ufffd[2Jting)"
    assert len(seen.splitlines()) == 5  # the first and the last report, and the table


def test_what_is_no_terminal_gets_no_codes_whatever_is_set() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DRAW],
        env={**os.environ, "FORCE_COLOR": "1", "TERM": "xterm"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.splitlines()[-1].startswith("curate: 10/10 candidates, ")


def told(pace: Pace, reports: list[tuple[float, Progress]]) -> list[list[str]]:
    """What is told of each report, made at that second."""
    lines = []
    for now, progress in reports:
        pace.hear(progress, now)
        lines.append(pace_told(progress, pace, now))
    return lines


def test_what_was_found_done_says_nothing_of_the_pace() -> None:
    reports = [
        (0.0, Progress("x", 0, 2000, "row", "loading")),
        (50.0, Progress("x", 1000, 2000, "row", found=1000)),
        (60.0, Progress("x", 1100, 2000, "row", found=1000)),
    ]
    assert told(Pace(0.0), reports) == [
        ["0/2,000 rows", "0:00:00"],
        ["1,000/2,000 rows", "0:00:50"],
        ["1,100/2,000 rows", "10.0/s", "0:01:00", "ETA 0:01:30"],
    ]


def test_a_count_that_begins_again_begins_the_pace_again() -> None:
    reports = [
        (0.0, Progress("x", 0, 100, "row", "looking")),
        (1.0, Progress("x", 100, 100, "row", "looking")),
        (11.0, Progress("x", 10, 100, "row", "writing")),
        (12.0, Progress("x", 15, 100, "row", "writing")),
    ]
    assert told(Pace(0.0), reports)[1:] == [
        ["100/100 rows", "100/s", "0:00:01"],
        ["10/100 rows", "0:00:11"],
        ["15/100 rows", "5.0/s", "0:00:12", "ETA 0:00:17"],
    ]


def test_the_pace_is_that_of_the_last_minute() -> None:
    slow = [(float(i), Progress("x", i, 2000, "row")) for i in range(0, 100, 2)]
    fast = [(100.0 + i, Progress("x", 100 + 10 * i, 2000, "row")) for i in range(70)]
    assert told(Pace(0.0), [*slow, *fast])[-1][1] == "10.0/s"


def test_a_summary_has_words_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {
        "documents": 1234567,
        "skipped": {"too_short": 9, "links": 3},
        "dropped": {},
        "first_error": "a\x1bb",
        "best_step": None,
        "largest_logit_gap": {"original base": 0.000123},
    }
    show_summary(Outcome("backtranslate", counts), 3723.4)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "backtranslate: done in 1:02:03",
        "  documents                   1,234,567",
        "  segments skipped            too short 9, links 3",
        "  first error                 a\ufffdb",
        "  largest logit difference    original base 0.000123",
    ]
    assert state_of(Outcome("merge", {}, skipped=True), 5) == "merge: unchanged"
    assert state_of(Outcome("finetune", {}, planned=True), 5) == "finetune: planned"


def test_the_command_line_prints_through_one_module_alone() -> None:
    files = sorted((ROOT / "src/synth/cli").glob("*.py"))
    assert len(files) > 5
    speaking = {
        f.name for f in files if re.search(r"typer\.echo\(|\bprint\(", f.read_text("utf-8"))
    }
    assert speaking - {"__init__.py"} == {"show.py", "summary.py", "voice.py"}
    # Those of rich's consoles, which `voice` makes; and the version, before anything is lent.
    assert (ROOT / "src/synth/cli/__init__.py").read_text("utf-8").count("typer.echo(") == 1

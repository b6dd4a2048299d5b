"""Marking rows in a browser: by keyboard, kept at once, and never lost between two tabs."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from synth.models.local import LocalModels
from synth.report.server import ReviewServer
from synth.stages.curate import curate
from synth.stages.review import review
from synth.store.reviews import read_marks
from synth.store.run import Run
from tests.browser.conftest import Opened
from tests.test_curate import made, recipe_of, run_of

pytestmark = pytest.mark.browser


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Run, ReviewServer]]:
    """A curated run, its 20 rows to read served."""
    run = run_of(tmp_path / "run", made(120))
    curate(run, recipe_of(), LocalModels())
    server = review(run, recipe_of(), LocalModels(), 20)
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield run, server
    server.close()
    thread.join()


def test_marks_by_keyboard_survive_a_reload_and_reach_curate(
    served: tuple[Run, ReviewServer], opened: Opened
) -> None:
    run, server = served
    page = opened(server.url)
    expect(page.locator("#rows-told")).to_contain_text("20 rows")
    page.keyboard.press("j")
    first = page.locator(".detail h3").inner_text()
    page.keyboard.press("g")
    expect(page.locator(".detail h3")).not_to_have_text(first)  # the next one
    page.keyboard.press("c")
    page.keyboard.type("gives the answer away")
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    expect(page.locator("#review-told")).to_contain_text("2 of 20 rows read: 1 good, 1 bad")
    verdicts = [(mark.verdict, mark.comment) for mark in read_marks(run).values()]
    assert verdicts == [("good", ""), ("bad", "gives the answer away")]
    page.reload()
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#review-told")).to_contain_text("2 of 20 rows read: 1 good, 1 bad")
    before = json.loads(run.ledger.read_text(encoding="utf-8"))["buckets"]["kept"]
    ledger = curate(run, recipe_of(), LocalModels()).counts
    assert ledger["reviewed"] == {"read": 2, "good": 1, "bad": 1}
    assert ledger["buckets"]["reviewed"] == 1
    assert ledger["buckets"]["kept"] in (before - 1, before)  # what it had stood for comes back


def test_two_tabs_keep_one_anothers_marks(served: tuple[Run, ReviewServer], opened: Opened) -> None:
    run, server = served
    one, two = opened(server.url), opened(server.url)
    for page, steps in ((one, 1), (two, 3), (one, 2)):
        for _ in range(steps):
            page.keyboard.press("j")
        page.keyboard.press("g")
        page.wait_for_function(
            "document.querySelector('#review-told').textContent.includes('read')"
        )
        page.wait_for_timeout(300)
    assert len(read_marks(run)) == 3
    two.evaluate("dispatchEvent(new Event('focus'))")
    expect(two.locator("#review-told")).to_contain_text("3 of 20 rows read")


def test_a_mark_that_is_not_kept_is_told(
    served: tuple[Run, ReviewServer], chromium: Browser
) -> None:
    page = chromium.new_page()
    page.goto(served[1].url)
    page.wait_for_selector("html[data-ready]")
    page.route("**/marks", lambda route: route.abort())
    page.keyboard.press("j")
    page.keyboard.press("g")
    expect(page.locator("#review-told")).to_contain_text("Not saved")
    assert read_marks(served[0]) == {}
    page.close()

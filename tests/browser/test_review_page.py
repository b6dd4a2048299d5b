"""Marking rows in a browser: by keyboard, kept at once, and never lost between two tabs."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from synth.models.local import LocalModels
from synth.report.server import ReviewServer
from synth.stages.curate import curate
from synth.stages.review import review
from synth.store.reviews import Mark, add_mark, read_marks
from synth.store.run import Run
from synth.tables.reviews import candidate_ids
from tests.browser.conftest import Opened
from tests.candidates import row
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
    _saved(page, run, [("good", ""), ("bad", "gives the answer away")])
    page.reload()
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#review-told")).to_contain_text("2 of 20 rows read: 1 good, 1 bad")
    before = json.loads(run.ledger.read_text(encoding="utf-8"))["buckets"]["kept"]
    ledger = curate(run, recipe_of(), LocalModels()).counts
    assert ledger["reviewed"] == {"read": 2, "good": 1, "bad": 1}
    assert ledger["buckets"]["reviewed"] == 1
    assert ledger["buckets"]["kept"] in (before - 1, before)  # what it had stood for comes back


def test_what_a_row_was_marked_before_is_not_told_as_if_it_held(
    tmp_path: Path, opened: Opened
) -> None:
    run = run_of(tmp_path / "run", [row(1)])
    curate(run, recipe_of(), LocalModels())
    (candidate,) = candidate_ids(pl.read_parquet(run.curated))
    add_mark(run, Mark(candidate, row(1)["segment_id"], 0, "good"))
    server = review(run, recipe_of(), LocalModels(), 1)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        page = opened(server.url)
        page.keyboard.press("j")
        page.keyboard.press("b")
        _saved(page, run, [("bad", "")])
        expect(page.locator(".detail button.bad")).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".detail dd").filter(has_text="good")).to_have_count(0)
    finally:
        server.close()
        thread.join()


def test_two_tabs_keep_one_anothers_marks(served: tuple[Run, ReviewServer], opened: Opened) -> None:
    run, server = served
    one, two = opened(server.url), opened(server.url)
    for marked, (page, steps) in enumerate(((one, 1), (two, 3), (one, 2)), start=1):
        for _ in range(steps):
            page.keyboard.press("j")
        page.keyboard.press("g")
        _saved(page, run, [("good", "")] * marked)
    two.evaluate("dispatchEvent(new Event('focus'))")
    expect(two.locator("#review-told")).to_contain_text("3 of 20 rows read")


def test_a_comment_of_another_tab_is_not_written_over(
    served: tuple[Run, ReviewServer], opened: Opened
) -> None:
    run, server = served
    one, two = _at_one_row(opened, server)
    one.keyboard.press("c")
    one.keyboard.type("from one")
    one.keyboard.press("Escape")
    one.keyboard.press("g")
    _saved(one, run, [("good", "from one")])
    two.evaluate("dispatchEvent(new Event('focus'))")
    expect(two.locator("#review-comment")).to_have_value("from one")
    two.keyboard.press("b")
    expect(two.locator("#review-told")).to_contain_text("1 bad")
    _saved(two, run, [("bad", "from one")])


def test_marks_arrive_in_the_order_in_which_they_were_given(
    served: tuple[Run, ReviewServer], opened: Opened
) -> None:
    run, server = served
    page = opened(server.url)
    slow = iter([1.0])

    def delayed(route: Route) -> None:
        if route.request.method == "POST":
            time.sleep(next(slow, 0.0))
        route.continue_()

    page.route("**/marks", delayed)
    page.keyboard.press("j")
    page.keyboard.press("c")
    page.keyboard.type("why")
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    expect(page.locator("#review-told")).to_contain_text("1 bad")
    _saved(page, run, [("bad", "why")])


def test_a_comment_is_saved_though_its_field_is_not_left(
    served: tuple[Run, ReviewServer], opened: Opened
) -> None:
    run, server = served
    page = opened(server.url)
    page.keyboard.press("j")
    page.keyboard.press("c")
    page.keyboard.type("half a sen")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    _saved(page, run, [("", "half a sen")])
    page.keyboard.press("j")
    expect(page.locator("#review-comment")).to_have_value("half a sen")
    page.keyboard.press("c")
    page.keyboard.type("tence")
    _saved(page, run, [("", "half a sentence")])  # after a moment


def test_a_mark_from_elsewhere_takes_no_focus(
    served: tuple[Run, ReviewServer], opened: Opened
) -> None:
    run, server = served
    one, two = _at_one_row(opened, server)
    two.keyboard.press("c")
    two.keyboard.type("I think")
    one.keyboard.press("g")
    _saved(one, run, [("good", "")])
    two.evaluate("dispatchEvent(new Event('focus'))")
    expect(two.locator("#review-told")).to_contain_text("1 good")
    expect(two.locator("#review-comment")).to_be_focused()
    two.keyboard.type(" so, by and by")
    expect(two.locator("#review-comment")).to_have_value("I think so, by and by")
    two.keyboard.press("Escape")
    _saved(two, run, [("good", "I think so, by and by")])


def test_a_button_keeps_the_focus(served: tuple[Run, ReviewServer], opened: Opened) -> None:
    page = opened(served[1].url)
    page.keyboard.press("j")
    good = page.get_by_role("button", name="Good (g)")
    good.focus()
    page.keyboard.press("Enter")
    expect(good).to_have_attribute("aria-pressed", "true")
    expect(good).to_be_focused()


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
def test_the_text_that_is_judged_is_in_view(
    size: tuple[int, int], served: tuple[Run, ReviewServer], opened: Opened
) -> None:
    page = opened(served[1].url)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.locator("#rows-table button.open").first.click()
    expect(page.locator(".detail article h3")).to_be_in_viewport()
    expect(page.locator(".detail article pre").first).to_be_in_viewport()
    expect(page.get_by_role("button", name="Good (g)")).to_be_in_viewport()


def _at_one_row(opened: Opened, server: ReviewServer) -> tuple[Page, Page]:
    """Two tabs that show the same row."""
    tabs = opened(server.url), opened(server.url)
    for tab in tabs:
        tab.keyboard.press("j")
    return tabs


def _saved(page: Page, run: Run, expected: list[tuple[str, str]]) -> None:
    """Waits until the marks on disk are these."""
    for _ in range(50):
        found = [(mark.verdict, mark.comment) for mark in read_marks(run).values()]
        if found == expected:
            return
        page.wait_for_timeout(100)
    assert found == expected


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

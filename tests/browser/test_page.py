"""The page of a run in a browser: what it shows, and that what it shows stays text."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from synth.models.local import LocalModels
from synth.recipe import Recipe, load_recipe
from synth.stages.curate import curate
from synth.stages.report import report
from synth.stages.run import run_all
from synth.store.run import Run
from tests.browser.conftest import Opened
from tests.candidates import row
from tests.conftest import ROOT
from tests.test_curate import made, recipe_of, run_of

pytestmark = pytest.mark.browser

AXE = ROOT / "src/synth/report/web/node_modules/axe-core/axe.min.js"

WILD = {
    "script": "<script>document.title='owned'</script>",
    "handler": "<img src=x onerror=\"document.title='owned'\">",
    "closing": "</script></style><!--<svg onload=alert(1)>",
    "override": "safe \u202egnp.exe\u202c end",
    "nul": "a\u0000b\ufffd\uffff",
    "arabic": "\u0627\u0644\u0633\u0644\u0627\u0645 one",
    "long": "word " * 200_000,
}


def report_of(folder: Path, rows: list[dict[str, Any]], *sets: str) -> Run:
    """A run with these candidates, sorted and drawn."""
    run, recipe = run_of(folder, rows), recipe_of(*sets)
    run.open(recipe)
    curate(run, recipe, LocalModels())
    report(run, recipe, LocalModels())
    return run


def number(page: Page, selector: str) -> int:
    """The first number that stands there."""
    found = re.search(r"[\d,]+", page.locator(selector).first.inner_text())
    assert found
    return int(found[0].replace(",", ""))


@pytest.fixture(scope="session")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Recipe]:
    """The sample corpus through nano, all the way, after a short training."""
    run = Run(tmp_path_factory.mktemp("real") / "run")
    recipe = load_recipe("nano", ["finetune.steps=10", "finetune.eval_every=5", "pairs.held_out=8"])
    corpus = [str(ROOT / "data/sample/corpus.jsonl")]
    for outcome in run_all(run, recipe, LocalModels(), corpus, force=True):
        assert not outcome.skipped
    return run, recipe


def test_each_section_of_a_real_run_is_there(real_run: tuple[Run, Recipe], opened: Opened) -> None:
    run, recipe = real_run
    page = opened(run.report)
    ids = page.locator("section").evaluate_all("all => all.map(one => one.id)")
    assert ids == ["funnel", "training", "data", "rows", "whatif", "making"]
    expect(page.locator("h1")).to_have_text(recipe.name)
    ledger = json.loads(run.ledger.read_text(encoding="utf-8"))
    assert number(page, ".tile:nth-child(2) strong") == ledger["segments"]
    assert number(page, ".tile:nth-child(4) strong") == ledger["buckets"]["kept"]
    for figure in page.locator("figure .chart").all():
        figure.scroll_into_view_if_needed()
        expect(figure.locator("svg")).to_be_visible()
    cells = page.locator("#funnel tbody tr:not(:last-child) td:nth-child(2)").all_inner_texts()
    assert sum(int(cell.replace(",", "")) for cell in cells) == ledger["segments"]


def test_a_page_of_a_run_that_has_only_an_adapter(
    tiny_run: Path, tiny_files: Path, tmp_path: Path, opened: Opened
) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    run = Run(tmp_path / "run")
    report(run, load_recipe(str(tiny_files / "recipe.yaml")), LocalModels())
    page = opened(run.report)
    ids = page.locator("section").evaluate_all("all => all.map(one => one.id)")
    assert ids == ["training", "making"]


def test_a_page_of_a_run_that_kept_nothing(tmp_path: Path, opened: Opened) -> None:
    run = report_of(tmp_path / "run", [row(n, logprob=-9.0) for n in range(5)])
    page = opened(run.report)
    assert number(page, ".tile:nth-child(4) strong") == 0
    expect(page.locator("#rows-told")).to_contain_text("5 rows")


def test_a_bucket_of_any_name_is_in_the_picture(tmp_path: Path, opened: Opened) -> None:
    sets = "curate.rules=[{name: segments, good: text_words >= 9999}]"
    page = opened(report_of(tmp_path / "run", [row(1), row(2)], sets).report)
    figure = page.locator("#funnel .chart")
    figure.scroll_into_view_if_needed()
    expect(figure.locator("svg text").filter(has_text="segments 2")).to_have_count(2)


def test_a_clipped_text_says_so_whatever_its_characters(tmp_path: Path, opened: Opened) -> None:
    text = row(1)["text"] + "\U0001f600" * 30_000
    page = opened(report_of(tmp_path / "run", [row(1, text=text)]).report)
    page.locator("#rows-table button.open").first.click()
    told = f"The first 20,000 of {len(text):,} characters."
    expect(page.get_by_text(told)).to_be_visible()


def test_filters_narrow_the_rows(tmp_path: Path, opened: Opened) -> None:
    run = report_of(tmp_path / "run", made(200))
    page = opened(run.report)
    told = page.locator("#rows-told")
    expect(told).to_contain_text("200 rows")
    page.select_option("#rows-reason", "unlikely")
    buckets = json.loads(run.ledger.read_text(encoding="utf-8"))["buckets"]
    expect(told).to_contain_text(f"{buckets['unlikely']} rows")
    fates = page.locator("#rows-table .badge").all_inner_texts()
    assert fates
    assert set(fates) == {"unlikely"}
    page.select_option("#rows-reason", "")
    page.fill("#rows-search", "thingcax")
    expect(told).not_to_contain_text("200 rows")
    shown = page.locator("#rows-table .tabulator-row").all_inner_texts()
    assert shown
    assert all("thingcax" in text for text in shown)
    page.click("text=Clear")
    page.fill("#rows-lowest", "-0.1")
    expect(told).not_to_contain_text("200 rows")
    scores = page.locator("#rows-table [tabulator-field=logprob][role=gridcell]").all_inner_texts()
    assert scores
    assert all(float(score) >= -0.1 for score in scores)


def test_a_bucket_leads_to_its_rows_and_keys_step_through_them(
    tmp_path: Path, opened: Opened
) -> None:
    page = opened(report_of(tmp_path / "run", made(200)).report)
    page.locator("#funnel a", has_text="near text").click()
    expect(page.locator("#rows-reason")).to_have_value("near_text")
    page.keyboard.press("j")
    first = page.locator(".detail article h3").inner_text()
    expect(page.locator(".detail")).to_contain_text("The row that stayed instead")
    page.keyboard.press("j")
    expect(page.locator(".detail article h3")).not_to_have_text(first)
    page.keyboard.press("k")
    expect(page.locator(".detail article h3")).to_have_text(first)


def test_a_bucket_has_an_address(tmp_path: Path, opened: Opened) -> None:
    page = opened(report_of(tmp_path / "run", made(200)).report)
    page.locator("#funnel a", has_text="near text").click()
    expect(page.locator("#rows-title")).to_be_focused()
    assert page.url.endswith("#rows=near_text")
    page.reload()
    expect(page.locator("#rows-reason")).to_have_value("near_text")
    page.click("text=Clear")
    page.evaluate("location.hash = '#rows=kept'")
    expect(page.locator("#rows-reason")).to_have_value("kept")


def test_the_rows_are_sorted_and_skipped_by_keyboard(tmp_path: Path, opened: Opened) -> None:
    page = opened(report_of(tmp_path / "run", made(60)).report)
    head = page.locator("#rows-table .tabulator-col[tabulator-field=logprob]")
    head.focus()
    for order, way in (("ascending", 1), ("descending", -1)):
        page.keyboard.press("Enter")
        expect(head).to_have_attribute("aria-sort", order)
        cells = page.locator("#rows-table [tabulator-field=logprob][role=gridcell]")
        scores = [float(score) for score in cells.all_inner_texts()]
        assert scores == sorted(scores, key=lambda score: score * way)
    skip = page.get_by_text("Skip the rows")
    skip.focus()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('section').id") == "whatif"


def test_the_value_that_a_rule_measured_is_a_column(tmp_path: Path, opened: Opened) -> None:
    page = opened(report_of(tmp_path / "run", made(60)).report)
    expect(page.locator("#rows-table .tabulator-col[tabulator-field=value]")).to_be_visible()


def test_pictures_say_what_they_are(real_run: tuple[Run, Recipe], opened: Opened) -> None:
    page = opened(real_run[0].report)
    for chart in page.locator(".chart:visible").all():
        chart.scroll_into_view_if_needed()
        expect(chart.locator("svg")).to_be_visible()
        assert "NaN" not in (chart.get_attribute("aria-label") or "NaN")
    expect(page.locator("#funnel .chart")).to_have_attribute(
        "aria-label", "Where every segment went"
    )


def test_the_headline_counts_instructions_that_there_are(tmp_path: Path, opened: Opened) -> None:
    rows = [row(n) for n in range(5)]
    rows[1]["instruction"] = "null"
    page = opened(report_of(tmp_path / "run", rows).report)
    assert number(page, ".tile:nth-child(3) strong") == 4
    expect(page.locator(".tile:nth-child(3)")).to_contain_text("1 declined")


def test_a_page_of_a_run_that_nobody_sorted(tmp_path: Path, opened: Opened) -> None:
    run = run_of(tmp_path / "run", [row(n) for n in range(5)])
    report(run, recipe_of(), LocalModels())
    page = opened(run.report)
    assert number(page, ".tile:nth-child(3) strong") == 5
    expect(page.locator(".tile:nth-child(3)")).to_contain_text("not sorted yet")


def test_a_slider_counts_as_curate_does(tmp_path: Path, opened: Opened) -> None:
    run = report_of(tmp_path / "run", made(200))
    page = opened(run.report)
    now = number(page, "#whatif-kept")
    slider = page.locator("#knob-min-logprob")
    slider.focus()
    page.keyboard.press("End")
    then = number(page, "#whatif-kept")
    assert then != now
    page.click("text=Show them")
    expect(page.locator("#rows-told")).to_contain_text("that would change")
    line = page.locator("#whatif-set").inner_text()
    assert "--set curate.min_logprob=" in line
    subprocess.run([sys.executable, "-m", *shlex.split(line)], cwd=tmp_path, check=True)
    assert json.loads(run.ledger.read_text(encoding="utf-8"))["buckets"]["kept"] == then


def test_what_is_focused_stays_when_the_grid_comes_into_sight(
    tmp_path: Path, opened: Opened
) -> None:
    page = opened(report_of(tmp_path / "run", [row(n) for n in range(4)]).report)
    button = page.locator("#rows-table button.open").first
    button.wait_for()
    assert page.evaluate("document.querySelector('#rows-table').getBoundingClientRect().y") > 900
    button.focus()
    page.wait_for_timeout(500)
    expect(button).to_be_focused()
    expect(button).to_be_in_viewport()


def test_the_grid_follows_the_window(tmp_path: Path, opened: Opened) -> None:
    page = opened(report_of(tmp_path / "run", [row(n) for n in range(4)]).report)
    heads = page.locator("#rows-table .tabulator-col:visible")
    expect(heads).to_have_count(5)
    page.set_viewport_size({"width": 420, "height": 900})
    expect(heads).to_have_count(3)
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(heads).to_have_count(5)


@pytest.mark.parametrize("kind", WILD)
def test_wild_text_stays_text(kind: str, tmp_path: Path, opened: Opened) -> None:
    wild = WILD[kind]
    rows = [row(n) for n in range(4)]
    rows[1] |= {
        "text": rows[1]["text"] + " " + wild,
        "instruction": f"What is a thingbax, and why {wild[:300]}?",
        "document_id": wild[:60],
        "metadata": json.dumps({"source": wild[:60], wild[:20]: wild[:60]}),
    }
    run = report_of(tmp_path / "run", rows, "curate.max_link_share=1")
    page = opened(run.report)
    title = page.title()
    page.fill("#rows-search", "thingbax")
    expect(page.locator("#rows-told")).to_contain_text("1 row ")
    page.locator("#rows-table button.open").first.click()
    article = page.locator(".detail article")
    expect(article).to_contain_text(wild[:8].split("\u202e")[0].split("\u0000")[0].strip())
    assert page.locator("img, iframe, object, embed, main script").count() == 0
    assert page.title() == title
    if kind == "override":
        expect(article.locator(".hidden-char").first).to_have_text("U+202E")


def test_nothing_but_its_own_script_may_run(tmp_path: Path, chromium: Browser) -> None:
    page = chromium.new_page()
    page.goto(report_of(tmp_path / "run", [row(n) for n in range(4)]).report.as_uri())
    page.wait_for_selector("html[data-ready]")
    ran = page.evaluate(
        """() => {
            const blocked = [];
            addEventListener('securitypolicyviolation', e => blocked.push(e.violatedDirective));
            const script = document.createElement('script');
            script.textContent = 'window.ran = true';
            document.body.append(script);
            return new Promise(done => setTimeout(() => done([window.ran, blocked]), 200));
        }"""
    )
    assert ran[0] is None
    assert ran[1] == ["script-src-elem"]
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_anybody_out(
    scheme: Any, real_run: tuple[Run, Recipe], opened: Opened
) -> None:
    page = opened(real_run[0].report)
    page.emulate_media(color_scheme=scheme)
    page.keyboard.press("j")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(all => all.violations.map(one => [one.id, one.help]))")
    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_window(
    width: int, scheme: Any, real_run: tuple[Run, Recipe], opened: Opened
) -> None:
    page = opened(real_run[0].report)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(246, 247, 249)" if scheme == "light" else "rgb(20, 23, 27)")

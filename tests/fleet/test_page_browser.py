"""The HTML report in a real browser: no error on its console, sorting, filter, keyboard, both themes, print, and axe.

Needs Chromium on PATH (`make browser` installs Debian's) and axe-core from npm, kept in the toolchain's cache; where
one is not to be had, tests that need it are skipped with the reason. UPDATE_PICTURES=1 writes docs/images/report-*.png.
The stack's program is run, too, so that its policies and its graph are on the page.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, sync_playwright
from typer.testing import CliRunner

from fleet.cli import app
from fleet.workspace import ROOT, STACKS
from sandbox import toolchain

pytestmark = pytest.mark.enable_socket
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
AXE = "axe-core@4.14.1"
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a change that makes a pool anew."""
    here = tmp_path_factory.mktemp("page")
    before, page = here / "before", here / "page.html"
    before.mkdir()
    text = (STACKS / "aws-dev.yaml").read_text()
    old = text.replace("nodes: {min: 0, max: 3}", "nodes: {min: 0, max: 3}\n        disk_gib: 300")
    assert old != text
    (before / "aws-dev.yaml").write_text(old)
    words = ["report", "--stack", "aws-dev", "--base-dir", "before", "--program", "--format", "html", "--out", str(page)]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    if BROWSER is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on PATH: make browser")
    with sync_playwright() as playwright:
        # Root may not use Chromium's sandbox; the page is our own, and it has no network.
        made = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield made
        made.close()


@pytest.fixture
def page(browser: object, file: Path) -> Iterator[Page]:
    """The page, opened; what its console says, and what it asks the network for, fails the test."""
    made: Page = browser.new_page(viewport={"width": 1280, "height": 900})  # type: ignore[attr-defined]
    said: list[str] = []
    made.on("console", lambda message: said.append(message.text))
    made.on("pageerror", lambda error: said.append(str(error)))
    made.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
    made.goto(file.as_uri())
    yield made
    made.close()
    assert said == []


def tables(page: Page) -> Locator:
    """Those of the stack; the regions' is another section's."""
    return page.locator("section[aria-label=aws-dev] table")


def column(page: Page, table: int, number: int) -> list[str]:
    rows = tables(page).nth(table).locator("tbody tr:not([hidden])")
    return rows.evaluate_all(f"rows => rows.map(row => row.cells[{number}].textContent)")


def amount(text: str) -> float:
    return -1 if text == "not known" else float(text.replace(",", ""))


def test_it_opens_with_the_change_and_its_tables(page: Page) -> None:
    assert "Accelfleet" in page.title()
    assert page.locator("li.danger").count() == 1
    assert "Made anew: pool main/l4" in page.locator("li.danger").first.inner_text()
    assert tables(page).count() == 3
    assert page.locator("section[aria-label='Where it stands'] table tbody tr").count() == 1
    assert page.locator("svg circle.here").count() > 0


def test_a_click_and_a_key_sort_by_number_both_ways(page: Page) -> None:
    head = tables(page).first.locator("th", has_text="USD ceiling")
    head.locator("button").click()
    up = [amount(text) for text in column(page, 0, 6)]
    assert up == sorted(up)
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").focus()
    page.keyboard.press("Enter")
    down = [amount(text) for text in column(page, 0, 6)]
    assert down == sorted(down, reverse=True)
    assert down != up
    assert head.get_attribute("aria-sort") == "descending"


def test_the_filter_leaves_the_rows_that_hold_the_word(page: Page) -> None:
    whole = len(column(page, 0, 0))
    box = page.locator("section[aria-label=aws-dev] input[type=search]").first
    box.fill("DISKS")
    left = column(page, 0, 0)
    assert 0 < len(left) < whole
    assert all("disks" in name for name in left)
    box.fill("no such thing")
    assert column(page, 0, 0) == []
    box.fill("")
    assert len(column(page, 0, 0)) == whole


def test_every_control_is_reached_by_the_tab_key(page: Page) -> None:
    controls = "button, input, [tabindex='0'], section > details > summary"
    wanted = page.locator(controls).count()
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("(all) => [...document.querySelectorAll(all)].indexOf(document.activeElement)", controls))
    assert reached >= set(range(wanted))


def test_dark_is_dark_and_light_is_light(page: Page) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        style = "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"
        seen[scheme] = tuple(page.evaluate(style))
        if os.environ.get("UPDATE_PICTURES"):
            images = ROOT / "docs" / "images"
            page.screenshot(path=str(images / f"report-{scheme}.png"))
            page.locator(".wide svg").screenshot(path=str(images / f"report-resources-{scheme}.png"))
            page.locator("section[aria-label='Where it stands']").screenshot(path=str(images / f"report-regions-{scheme}.png"))
    assert seen == {"light": ("rgb(31, 35, 40)", "rgb(255, 255, 255)"), "dark": ("rgb(240, 246, 252)", "rgb(13, 17, 23)")}


def test_the_map_shows_the_region_and_the_graph_its_boxes_apart(page: Page) -> None:
    assert page.locator(".world circle.site").count() == 1
    assert "aws us-east-1 in Northern Virginia" in (page.locator(".world svg").get_attribute("aria-label") or "")
    boxes = page.locator(".box").evaluate_all("all => all.map(one => one.getBBox()).map(b => [b.x, b.y, b.width, b.height])")
    assert len(boxes) > 10
    assert page.locator(".edge").count() > 10
    for (x1, y1, w1, h1), (x2, y2, w2, h2) in itertools.combinations(boxes, 2):
        assert x1 + w1 <= x2 or x2 + w2 <= x1 or y1 + h1 <= y2 or y2 + h2 <= y1
    over = """all => all.filter(g => {
        const box = g.querySelector('rect').getBBox();
        return [...g.querySelectorAll('text')].some(text => text.getBBox().x + text.getBBox().width > box.x + box.width);
    }).map(g => g.textContent)"""
    assert page.locator(".wide g").evaluate_all(over) == [], "text that leaves its box"


def test_the_outline_unfolds_by_key_to_every_resource(page: Page) -> None:
    summary = page.locator("section > details > summary")
    summary.focus()
    page.keyboard.press("Enter")
    count = int(summary.inner_text().split()[1])
    assert count > 100
    assert page.locator("section > details li").count() == count
    assert page.locator("section > details > ul > li").first.is_visible()


def test_on_paper_it_has_no_controls_and_becomes_a_document(page: Page) -> None:
    page.emulate_media(media="print")
    assert not page.locator("input[type=search]").first.is_visible()
    assert page.locator("table").first.is_visible()
    printed = page.pdf()
    assert printed.startswith(b"%PDF")
    assert len(printed) > 10_000


def test_on_a_phone_nothing_is_wider_than_the_page(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core's script, from npm into the toolchain's cache."""
    place = toolchain.cache() / AXE.replace("@", "-")
    script = place / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        npm = shutil.which("npm") or shutil.which("npm", path=str(ROOT / ".venv" / "bin"))
        words = [npm or "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(place), AXE]
        if npm is None or subprocess.run(words, capture_output=True, timeout=300, check=False).returncode:
            pytest.skip(f"npm cannot install {AXE}")
    return script.read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(scheme: str, page: Page, axe: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    assert [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found["violations"]] == []
    assert len(found["passes"]) > 10

"""The page of differences in a real Chromium with the network off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.report.differences.page import render_differences
from harness.report.differences.table import differences
from tests.records.kit import typed
from tests.support import fixtures_run as runs

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
]
PAGES: dict[str, Callable[[], list[runs.Run]]] = {
    "two": lambda: [runs.consistent_run(), runs.diverging_run()],
    "hostile": lambda: [runs.hostile_run(), runs.consistent_run(), runs.interrupted_run(), runs.not_compared_run()],
    "twenty": lambda: [
        runs.diverging_run(20, origin=10) if place % 3 else runs.consistent_run(20) for place in range(20)
    ],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, made in PAGES.items():
        page = render_differences(differences([typed(run) for run in made()]))
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in PAGES}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_says_nothing_to_the_console_asks_for_nothing_and_fits(
    browser: Any, files: dict[str, Path], name: str
) -> None:
    context = browser.new_context(offline=True)
    page = context.new_page()
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(files[name].as_uri())
    assert (messages, len(requests)) == ([], 1)
    assert page.evaluate("window.hurt === undefined")
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_layers_can_be_filtered_and_without_scripts_all_of_them_stand_there(
    browser: Any, files: dict[str, Path]
) -> None:
    counted = []
    for scripts in (True, False):
        context = browser.new_context(offline=True, java_script_enabled=scripts)
        page = context.new_page()
        page.goto(files["two"].as_uri())
        counted.append(page.locator("#layer-table tbody tr:visible").count())
        if scripts:
            page.locator(".tools[data-for=layer-table] input").fill("model.4/")
            assert 0 < page.locator("#layer-table tbody tr:visible").count() < counted[0]
        else:
            assert page.locator(".tools:visible").count() == 0
            assert "24 layers worse" in page.locator("header").inner_text()
        context.close()
    assert counted[0] == counted[1] > 20


@pytest.mark.parametrize(("name", "scheme"), [("two", "dark")])
def test_axe_finds_nothing(browser: Any, files: dict[str, Path], name: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    context = browser.new_context(offline=True, color_scheme=scheme)
    page = context.new_page()
    page.goto(files[name].as_uri())
    results = axe.Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    context.close()

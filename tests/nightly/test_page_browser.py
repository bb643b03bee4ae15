"""The page of a night in a real Chromium: every verdict is told apart, in light and dark, on a phone and a screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.records.nights import CELL_WORDS, Cell
from harness.report.nights.lab import render_lab
from harness.report.nights.page import render_night
from tests.nightly.test_verdicts import night
from tests.report.test_browser import CHROMIUM, Opened

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
]
HOSTILE = "<img src=x onerror='window.hurt=1'>" + "n" * 300


def night_page() -> str:
    """A night with every verdict."""
    cells = [
        Cell(case=f"{case} {HOSTILE if not case else ''}", board=f"board-{place}", word=word, state="done",
             reason="link" if word == "unmeasured" else "", began_s=4.0 * case, duration_s=3.5)
        for case in range(2) for place, word in enumerate(CELL_WORDS)
    ]  # fmt: skip
    return render_night(night(*cells))


def lab_page() -> str:
    """Boards in every state of health, at work or not, held or not."""
    use = {
        "night": "s/1",
        "case": "layers",
        "since_utc": "2026-11-20T01:00:00Z",
        "waiting": 4,
        "folder": "/n",
        "by": "u",
    }
    rows = [
        {"name": f"x5-{place:02} {HOSTILE if not place else ''}", "soc": "x5", "kind": "real",
         "health": {"word": word, "reason": HOSTILE, "since_utc": "2026-11-20T01:00:00Z", "by": "root@pc"},
         "use": use if place % 2 else None, "lease": f"u@pc (process {place})" if place % 3 else ""}
        for place, word in enumerate(("good", "unknown", "bad", "maintenance") * 2)
    ]  # fmt: skip
    return render_lab(rows, "2026-11-20T05:00:00Z")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("night") / "index.html"
    file.write_text(night_page(), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def lab_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("lab") / "lab.html"
    file.write_text(lab_page(), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.mark.parametrize("kind", ["page_file", "lab_file"])
@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light"), (1280, "dark")])
def test_it_is_quiet_fits_and_has_no_fault_of_access(
    browser: sync_api.Browser, request: pytest.FixtureRequest, kind: str, width: int, scheme: str
) -> None:
    page_file: Path = request.getfixturevalue(kind)
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    shown = Opened(browser, page_file, color_scheme=scheme, viewport={"width": width, "height": 900})
    assert shown.messages == [] and len(shown.requests) == 1
    assert shown.page.evaluate("window.hurt === undefined")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    results = axe.Axe().run(shown.page)
    assert results.violations_count == 0, results.generate_report()
    shown.context.close()


def test_bars_and_cells_of_each_verdict_have_a_colour(browser: sync_api.Browser, page_file: Path) -> None:
    """A class that the style does not know leaves a black bar and a white cell."""
    shown = Opened(browser, page_file)
    for word in CELL_WORDS:
        bar = shown.page.locator(f"rect.l-{word}").first
        assert bar.evaluate("one => getComputedStyle(one).fill") != "rgb(0, 0, 0)", word
        cell = shown.page.locator(f"td.w-{word}").first
        assert cell.evaluate("one => getComputedStyle(one).backgroundColor") != "rgba(0, 0, 0, 0)", word
    names = [box["y"] for li in shown.page.locator(".nightlanes li").all() if (box := li.bounding_box())]
    bars = sorted(
        {round(box["y"]) for one in shown.page.locator(".nightlanes rect").all() if (box := one.bounding_box())}
    )
    assert len(names) == len(bars) and all(abs(name - bar) < 10 for name, bar in zip(names, bars, strict=True))
    shown.context.close()

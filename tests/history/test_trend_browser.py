"""The trend of a pair in a real Chromium: quiet, accessible, on a phone and a screen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.history.epochs import epochs_of
from harness.records.nights.history import HistoryEntry, LayerTurn
from harness.report.nights.trends import render_trend, trend_file
from tests.report.test_browser import CHROMIUM, Opened

HOSTILE = "<img src=x onerror='window.hurt=1'>" + "n" * 300


def nights() -> list[HistoryEntry]:
    """Sixty nights with two epochs, an odd night, one without a time, a ticket, and a layer that changed."""
    entries = []
    for place in range(60):
        level = 11200.0 if place < 25 else 10800.0 if place < 50 else 11130.0
        day = f"2026-{8 + place // 30:02d}-{place % 30 + 1:02d}T02:00:00Z"
        noise = level * (1 + 0.002 * ((place * 7) % 5 - 2))
        facts = {"runtime": "1.9" if place < 25 else "2.0"}
        entries.append(HistoryEntry("yolo", "t40-01", day, night=f"s/{place}", word="pass", epoch=facts["runtime"],
                                    facts=facts, median_us=noise, layers="b" if place == 40 else "a"))  # fmt: skip
    entries[12] = replace(
        entries[12], median_us=12000.0, percent=7.1, alarm="noise", sitting_percent=0.1, sitting_p=0.6
    )
    entries[33] = replace(entries[33], word="unmeasured", reason="throttled", median_us=None)
    for place in range(50, 60):
        alarm = "confirmed" if place == 50 else "known"
        entries[place] = replace(entries[place], word="slower", percent=3.0, alarm=alarm)
    return entries


def page(entries: list[HistoryEntry]) -> str:
    turn = LayerTurn("conv2", "a1", "b1", "differs", entries[0], entries[-1], ("builder 1.2 to 1.3",), 3)
    return render_trend(entries, epochs_of(entries), [turn], "0.1")


def test_the_page_says_what_happened_and_is_the_same_twice() -> None:
    text = page(nights())
    assert text == page(nights())
    expected = ["yolo on t40-01: slower", "epoch: runtime 1.9 to 2.0", "with it: builder 1.2 to 1.3"]
    expected += ["layer conv2 and 2 more layers changed its hash", "not confirmed: noise (+0.1 % side by side, p 0.6)"]
    for words in expected:
        assert words in text, words
    assert (text.count('class="t-ticket"'), text.count('class="t-alarm"'), text.count('class="t-invalid"')) == (
        10,
        1,
        1,
    )
    assert text.count('class="t-level"') == 3


def test_hostile_names_are_text() -> None:
    entries = [replace(one, case=HOSTILE, board=HOSTILE, word=HOSTILE, reason=HOSTILE) for one in nights()[:3]]
    assert "<img" not in page(entries)
    assert "/" not in trend_file("../x", HOSTILE)
    assert "No night gave a latency" in page([replace(entries[0], median_us=None)])


sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_it_is_quiet_fits_and_has_no_fault_of_access(
    browser: sync_api.Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    file = tmp_path / "trend.html"
    file.write_text(page(nights()), encoding="utf-8")
    shown = Opened(browser, file, color_scheme=scheme, viewport={"width": width, "height": 900})
    assert shown.messages == [] and len(shown.requests) == 1
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    results = axe.Axe().run(shown.page)
    assert results.violations_count == 0, results.generate_report()
    colours = {kind: shown.page.locator(f".t-{kind} path").first.evaluate("one => getComputedStyle(one).fill")
               for kind in ("ticket", "alarm")}  # fmt: skip
    assert len({*colours.values(), "rgb(0, 0, 0)"}) == 3
    shown.context.close()

"""Every other page that harness writes, in one Chromium: access, widths and labels, on a phone and a screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.records import Band, Failure, Run
from harness.records.samples import Sample, SampledLayer, SamplesOfRun, SequencePlan
from harness.records.series import SoakStretch, SweepPoint
from harness.records.workload import Setting, SoakPlan, SweepPlan
from harness.report.differences.page import render_differences
from harness.report.differences.table import differences
from harness.report.page import render
from harness.review.samples.sequence import jitter_of
from harness.review.soak import soak_of
from harness.review.sweep import chosen
from tests.history.test_trend_browser import nights
from tests.history.test_trend_browser import page as trend_page
from tests.nightly.test_page_browser import lab_page, night_page
from tests.records.kit import typed
from tests.report.test_browser import CHROMIUM, Opened, browser
from tests.support import fixtures_run as runs

__all__ = ["browser"]
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
]
# One label over another, or outside its drawing.
COLLIDING_LABELS = """[...document.querySelectorAll('svg')].flatMap(svg => {
    const edge = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(one => [one.textContent, one.getBoundingClientRect()]);
    return texts.flatMap(([name, a], place) => [
        ...(a.width && (a.right > edge.right + 1.5 || a.left < edge.left - 1.5) ? [[name, 'leaves its drawing']] : []),
        ...texts.slice(place + 1).filter(([, b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
            && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4).map(([other]) => [name, other]),
    ]);
})"""


def plain() -> Run:
    return typed(runs.not_compared_run())


def swept() -> Run:
    """Settings close together, an estimated one, one that failed and one that was not reached."""
    points = [
        SweepPoint(Setting(threads, core), ("p",), 1000.0 * threads, 990.0 * threads, 1012.0 * threads, "bootstrap",
                   max_us=1500.0 * threads, fps=800.0 + 40 * threads + core, frames=200, is_on_front=core == 0)
        for threads in range(1, 7) for core in (0, 1, 2)
    ]  # fmt: skip
    points[4] = replace(points[4], estimated=True, band=Band(1500.0, 3200.0, 0.9, "like networks"))
    points.append(SweepPoint(Setting(8, "1,2", {"l2": "6:6:6:6"}), failure=Failure("crash", "the tool ended")))
    return replace(plain(), sweep=chosen([*points, SweepPoint(Setting(9))], SweepPlan(latency_us=4000.0, fps=900.0)))


def soaked() -> Run:
    """Forty turns that grow hotter and slower, with another output from turn 30 on and a failure at the end."""
    turns = [
        SoakStretch(90.0 * n, f"profile-{n + 1}", 1000.0 + n, 990.0 + n, 1010.0 + n, 1400.0, 900.0, 200,
                    {"bpu": 50.0 + n / 2}, {"bpu": 1000.0}, 1e9 - 1e6 * n, ("boxes",) if n >= 30 else ())
        for n in range(40)
    ]  # fmt: skip
    turns.append(SoakStretch(3600.0, "profile-41", failure=Failure("timeout", "no answer")))
    return replace(plain(), soak=soak_of(turns, SoakPlan(3600.0), 3690.0))


def jittering() -> Run:
    """A walk of 17 joints: quantization shakes every frame, the board one of them."""
    frames = np.cumsum(np.random.default_rng(1).normal(0, 0.01, (200, 17, 3)), axis=0)
    quantized = np.round(frames * 64) / 64
    board = quantized.copy()
    board[77, 3] += 0.2
    outputs = {"joints": {"float": frames, "quantized": quantized, "board": board}}
    return replace(plain(), jitter=jitter_of(outputs, SequencePlan(0, 1, 25.0), None, 200))


def sampled() -> Run:
    """Samples with every verdict, and layers of two of them."""
    words = ("exact", "within", "differs", "not_compared", "failed") * 3
    samples = [Sample(f"picture_{n:03}", word, "boxes", 0.01 * n) for n, word in enumerate(words)]
    layers = (SampledLayer("conv1", "conv1", "Conv", 2, 1, "picture_002", "differs", 0.1, 0.05, 0.0),)
    of_run = SamplesOfRun(len(samples), tuple(samples), layers=layers, debugged=("picture_000", "picture_002"))
    return replace(plain(), samples=of_run)


def compared(*made: runs.Run) -> str:
    return render_differences(differences([typed(run) for run in made]))


PAGES: dict[str, Callable[[], str]] = {
    "origin": lambda: render(typed(runs.diverging_run(20, origin=10))),
    "sweep": lambda: render(swept()),
    "soak": lambda: render(soaked()),
    "samples": lambda: render(sampled()),
    "jitter": lambda: render(jittering()),
    "differences": lambda: compared(runs.consistent_run(20), runs.diverging_run(20, origin=10), runs.failed_run()),
    "night": night_page,
    "lab": lab_page,
    "trend": lambda: trend_page(nights()),
}
LOOKS = [(width, scheme) for width in (320, 1280) for scheme in ("light", "dark")]
CONTRAST = {"runOnly": ["color-contrast"]}  # all that a scheme changes for axe, which takes seconds for a page


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, made in PAGES.items():
        (folder / f"{name}.html").write_text(made(), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in PAGES}


@pytest.mark.parametrize(("name", "look"), [*zip(PAGES, LOOKS * len(PAGES), strict=False)])
def test_pages_of_series_are_quiet_fit_and_have_no_fault_of_access(
    browser: sync_api.Browser, files: dict[str, Path], name: str, look: tuple[int, str]
) -> None:
    """Each in one look by all rules of axe, and in the opposite one by those of contrast."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    shown = Opened(browser, files[name])
    opposite = LOOKS[-1 - LOOKS.index(look)]
    for (width, scheme), rules in ((look, None), (opposite, CONTRAST)):
        shown.page.set_viewport_size({"width": width, "height": 900})
        shown.page.emulate_media(color_scheme=scheme)
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        results = axe.Axe().run(shown.page, options=rules)
        assert results.violations_count == 0, results.generate_report()
    assert shown.messages == [] and len(shown.requests) == 1
    shown.context.close()


def test_labels_of_series_neither_overlap_nor_leave_their_drawing(
    browser: sync_api.Browser, files: dict[str, Path]
) -> None:
    colliding = []
    for name, file in files.items():
        shown = Opened(browser, file, bypass_csp=True)
        for font in ("", "DejaVu Sans"):
            if font:
                shown.page.add_style_tag(content=f'body,button{{font-family:"{font}"!important}}')
            for width in (320, 390, 1280):
                shown.page.set_viewport_size({"width": width, "height": 900})
                colliding += [(name, width, font, *labels) for labels in shown.page.evaluate(COLLIDING_LABELS)]
        shown.context.close()
    assert colliding == []

"""The picture of the network in a real Chromium: colours by CSS alone, search, keyboard, links, any size and window."""

from __future__ import annotations

import pytest

from harness.records import Graph
from tests.report.graph import networks
from tests.report.test_browser import CUT_LABELS, browser, show  # fixtures
from tests.support import fixtures_run as runs

__all__ = ["browser", "show"]
WIDTHS = (320, 390, 1280, 1920)


def wrong(count: int, at: int) -> runs.Run:
    return networks.wrong_run(networks.detector(count), at)


def too_wide(page: object, widths: tuple[int, ...]) -> list[int]:
    wide = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(width)
    return wide


def fill(page: object, square: str) -> str:
    return str(page.evaluate(f"getComputedStyle(document.querySelector('{square} use')).fill"))


def test_the_colouring_is_chosen_without_a_script(show) -> None:
    page = show("", runs.large_run(60), java_script_enabled=False).page
    assert fill(page, ".net .vo") == 'url("#g-vo")'  # verdict first
    for view, mark in (("error", "e3"), ("time", "t2")):
        page.locator(f"label[for=net-{view}]").click()
        assert fill(page, f".net .vo.{mark}") == f'url("#g-{mark}")'
        assert page.locator(f".key-{view}").is_visible() and not page.locator(".key-verdict").is_visible()
    assert not page.locator(".seek").is_visible()


def test_a_search_marks_ops_dims_the_rest_and_enter_goes_there(show) -> None:
    page = show("", wrong(69, 40)).page
    page.get_by_label("Find an op").fill("m.0/add")
    assert page.locator(".net .hit").count() == 4 == page.evaluate("document.querySelectorAll('.net .hit').length")
    assert page.locator(".seek output").inner_text().startswith("4 of ")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.querySelector('code').textContent").startswith("/model.0/m.0/Add")


def test_a_search_looks_into_modules_that_are_only_counted(show) -> None:
    page = show("", wrong(900, 500)).page
    page.get_by_label("Find an op").fill("/model.3/")
    assert page.locator(".seek output").inner_text() == "22 of 902 ops"
    assert page.locator(".net .bx:not(.miss)").count() == 1


def test_the_picture_is_one_stop_of_the_tab_key_and_enter_opens_the_row(show) -> None:
    page = show("", wrong(69, 40)).page
    assert page.locator(".net a[tabindex='0']").count() == 1
    page.locator(".net a[tabindex='0']").focus()
    assert page.locator(".seek output").inner_text().startswith("40 origin ")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "L40"


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 69, 430, 5000, 20000])
def test_a_network_of_any_size_opens_quietly_and_fits_any_window(show, count: int) -> None:
    opened = show("", wrong(count, count // 2) if count > 1 else networks.exact_run(networks.flat(1)))
    assert opened.messages == [] and len(opened.requests) == 1
    assert opened.page.locator(".net use").count() > 0
    assert too_wide(opened.page, WIDTHS if count < 5000 else (390,)) == []


def test_a_run_without_ops_has_no_picture(show) -> None:
    opened = show("", networks.exact_run(Graph((), (), ())) | {"comparison": None})
    assert opened.messages == [] and opened.page.locator("#graph").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["diverging", "hostile", "large"])
def test_labels_of_the_picture_stay_in_it(show, name: str) -> None:
    assert show(name, java_script_enabled=True).page.evaluate(CUT_LABELS.replace("svg text", ".net text")) == []


def test_paper_has_the_picture_with_its_marks_and_without_what_cannot_be_pressed(show) -> None:
    page = show("", wrong(69, 40), viewport={"width": 718, "height": 1039}).page
    page.emulate_media(media="print")
    assert page.locator(".net").first.is_visible() and not page.locator(".seek").is_visible()
    assert page.locator(".network label:visible").all_inner_texts() == ["verdict"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 720

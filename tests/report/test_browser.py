"""Reports in a real Chromium with the network off: empty console, sorting, filtering, keyboard, axe, print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.report import run_of as consistent
from tests.records.kit import render
from tests.support import fixtures_run as runs

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield launched
        launched.close()


class Opened:
    """One page from a file, everything that its console said, and every request that it made."""

    def __init__(self, browser: sync_api.Browser, file: Path, **context: object) -> None:
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.context = browser.new_context(offline=True, **context)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())


@pytest.fixture()
def show(browser: sync_api.Browser, tmp_path: Path) -> Iterator[object]:
    opened: list[Opened] = []

    def show(name: str, run: runs.Run | None = None, **context: object) -> Opened:
        file = tmp_path / "report.html"
        file.write_text(render(run or runs.ALL[name]()), encoding="utf-8")
        opened.append(Opened(browser, file, **context))
        return opened[-1]

    yield show
    for one in opened:
        one.context.close()


def texts(page: sync_api.Page, selector: str) -> list[str]:
    return [str(text).strip() for text in page.locator(selector).all_inner_texts()]


def column(page: sync_api.Page, heading: str) -> str:
    """Selector of the layers' cells under a heading: columns that hold one value in every row are left out."""
    heads = [text.split("\n")[0] for text in texts(page, "#layer-table thead th")]
    place = next(n for n, text in enumerate(heads, 1) if text.startswith(heading))
    return f"#layer-table tbody tr[id] td:nth-child({place})"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(runs.ALL) - {"large"}))
def test_a_page_opens_with_an_empty_console_and_asks_for_nothing(show, name: str) -> None:
    opened = show(name)
    assert opened.messages == []
    assert len(opened.requests) == 1
    assert opened.page.evaluate("window.hurt === undefined")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["diverging", "hostile", "failed", "waived"])
def test_a_page_is_never_wider_than_the_window(show, name: str) -> None:
    page = show(name).page
    for width in (380, 1100, 1800):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def violations(opened: Opened) -> str:
    """What axe finds on a page, in its own words; "" for nothing."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    results = axe.Axe().run(opened.page)
    return results.generate_report() if results.violations_count else ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scheme"), [("diverging", "light"), ("waived", "dark"), ("memory", "light"), ("failed", "dark")]
)
def test_axe_finds_nothing(show, name: str, scheme: str) -> None:
    run = runs.diverging_run(20, origin=10) if name == "diverging" else None  # axe takes a second per hundred rows
    assert violations(show(name, run, color_scheme=scheme)) == ""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", sorted(set(runs.ALL) - {"large"}))
def test_axe_finds_nothing_on_any_page(show, name: str, scheme: str) -> None:
    assert violations(show(name, color_scheme=scheme)) == ""


def test_columns_sort_by_number_both_ways_with_unknowns_last(show) -> None:
    page = show("diverging").page
    head = page.locator("#layer-table th", has_text="SQNR")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    cells = column(page, "SQNR")
    first = texts(page, cells)
    assert first[0] == "\u221e"
    assert first[-1] == "\u2013"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    again = [float(text) for text in texts(page, cells) if text[0].isdigit()]
    assert again == sorted(again)
    assert texts(page, cells)[-1] == "\u2013"


def test_scientific_figures_sort_by_value(show) -> None:
    page = show("accumulated").page
    head = page.locator("#layer-table th", has_text="cos")
    head.get_by_role("button").click()
    figures = [float(text) for text in texts(page, column(page, "1 \u2212 cos"))]
    assert figures == sorted(figures, reverse=True)


def test_names_sort_with_their_numbers(show) -> None:
    page = show("diverging").page
    page.locator("#layer-table th", has_text="layer").get_by_role("button").click()
    names = texts(page, "#layer-table tbody tr td.n code")
    assert names.index("/model.9/cat/Concat_output_0") < names.index("/model.10/act/Lut_output_0")


def test_a_filter_keeps_rows_that_match_and_says_how_many(show) -> None:
    page = show("diverging").page
    page.get_by_label("Filter layers").fill("model.4/")
    assert page.locator("#layer-table tbody tr:visible").count() == 6
    assert "6 rows that match, of 64" in page.locator(".tools[data-for=layer-table] output").inner_text()


def test_rows_can_be_chosen_by_verdict(show) -> None:
    page = show("diverging").page
    page.get_by_label("Show").select_option("not_compared")
    assert page.locator("#layer-table tbody tr:visible").count() == 3


def test_whole_md5s_are_one_tick_away(show) -> None:
    page = show("diverging").page
    code = page.locator("#layer-table .m code:visible").first
    short = code.bounding_box()
    page.get_by_label("whole md5s").check()
    whole = code.bounding_box()
    assert short and whole and whole["width"] > 2 * short["width"]


def test_the_strip_is_one_stop_of_the_tab_key_and_arrows_walk_along_it(show) -> None:
    page = show("diverging").page
    assert page.locator(".plot a[tabindex='0']").count() == 1
    page.locator(".plot a[tabindex='0']").focus()
    assert "26 /model.4/cv2/Conv_output_0: origin, SQNR 19.5 dB" in page.locator("#readout").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#readout").inner_text().startswith("27 ")
    page.keyboard.press("Home")
    assert page.locator("#readout").inner_text().startswith("0 ")


def test_on_a_narrow_screen_the_strip_shows_what_is_to_blame(show) -> None:
    page = show("diverging", viewport={"width": 390, "height": 800}).page
    box = page.locator(".strip .scroll").first.bounding_box()
    mark = page.locator(".plot use.f-origin").first.bounding_box()
    assert box["x"] <= mark["x"] and mark["x"] + mark["width"] <= box["x"] + box["width"]
    assert page.evaluate("document.scrollingElement.scrollLeft") == 0


def test_enter_on_the_strip_opens_the_row_even_when_it_is_filtered_out(show) -> None:
    page = show("diverging").page
    page.get_by_label("Filter layers").fill("no such layer")
    page.locator(".plot a[tabindex='0']").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "L26"
    assert page.locator("#L26").is_visible()


@pytest.mark.slow
def test_a_large_table_is_paged_and_a_link_turns_to_its_page(show) -> None:
    opened = show("large")
    page = opened.page
    assert opened.messages == [] and len(opened.requests) == 1
    folded = page.locator("#layer-table tr.fold")
    page.evaluate("document.querySelectorAll('#layer-table .fold button').forEach((button) => button.click())")
    tools, rows = page.locator(".tools[data-for=layer-table]"), 500 + folded.count()
    assert page.locator("#layer-table tbody tr:visible").count() == 200
    tools.get_by_role("button", name="next").click()
    assert f"201 to 400 of {rows} lines" in tools.locator("output").inner_text()
    page.locator(".plot a[tabindex='0']").focus()
    page.keyboard.press("Enter")
    assert page.locator("#L250").is_visible()


def test_exact_rows_fold_and_open_by_keyboard_and_a_link_opens_its_fold(show) -> None:
    page = show("consistent").page
    rows, head = page.locator("#layer-table tr[id]:visible"), page.locator("#layer-table .fold").get_by_role("button")
    assert rows.count() < 5 and head.first.get_attribute("aria-expanded") == "false"
    head.first.focus()
    page.keyboard.press("Enter")
    assert rows.count() >= 60 and head.first.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Enter")
    assert rows.count() < 5
    page.locator(".net a[tabindex='0']").focus()
    page.keyboard.press("Enter")
    assert page.locator("#L0").is_visible()


def test_the_header_of_a_table_stays_in_sight(show) -> None:
    page = show("diverging", viewport={"width": 1280, "height": 900}).page
    page.locator("#L40").scroll_into_view_if_needed()
    page.evaluate("document.getElementById('L40').scrollIntoView({block: 'center'})")
    head, nav = page.locator("#layer-table thead th").first.bounding_box(), page.locator("nav").bounding_box()
    assert head and nav and nav["y"] + nav["height"] - 2 <= head["y"] < nav["y"] + nav["height"] + 6


@pytest.mark.slow
def test_a_very_long_table_is_whole_when_somebody_looks_for_a_row(show) -> None:
    """Its rest is text until then; a search, a page, a link to a row, an opened fold and a printer find all."""
    run = consistent(1500)
    rows = "#layer-table tbody tr[id]"
    opened = show("", run)
    page = opened.page
    assert page.locator(rows).count() < 300 and page.locator("#L1499").is_visible()
    tools = page.locator(".tools[data-for=layer-table]")
    assert tools.locator("output").inner_text().startswith("1500 rows, ")
    tools.get_by_role("searchbox").fill("nothing is called like this")
    assert page.locator(rows).count() == 1500 and tools.locator("output").inner_text() == "0 rows that match, of 1500"
    assert opened.messages == []
    for reach in (
        lambda page: page.evaluate("location.hash = '#L700'; location.reload()"),
        lambda page: page.locator("#layer-table .fold button").first.click(),
        lambda page: page.pdf(),
    ):
        page = show("", run).page
        reach(page)
        page.locator("#L700").wait_for(state="attached")
        ids = page.evaluate("[...document.querySelectorAll('#layer-table tbody tr[id]')].map((row) => row.id)")
        assert ids == [f"L{place}" for place in range(1500)]
    off = show("", run, java_script_enabled=False).page
    assert off.locator("table.layers tbody tr:visible").count() == 1500


@pytest.mark.slow
def test_everything_is_readable_with_scripts_off(show) -> None:
    page = show("large", java_script_enabled=False).page
    assert page.locator("#layer-table tbody tr:visible").count() == 500
    assert page.locator(".tools:visible").count() == 0
    assert page.locator("#environment + details summary").is_visible()


@pytest.mark.slow
def test_print_shows_all_rows_and_nothing_that_only_works_on_screen(show) -> None:
    page = show("large").page
    page.emulate_media(media="print")
    assert page.locator("#layer-table tbody tr:visible").count() == 500
    assert page.locator("nav:visible, .tools:visible").count() == 0
    assert page.locator("details.aside table").first.is_visible()
    # Chromium prints a button in a heading on the table's first page only: the printed heading is plain text
    assert page.locator("th button:visible").count() == 0
    assert texts(page, "#layer-table thead th")[:3] == ["#", "layer", "verdict"]


@pytest.mark.parametrize("name", ["diverging", "accumulated", "memory"])
def test_print_fits_the_paper(show, name: str) -> None:
    page = show(name, viewport={"width": 718, "height": 1039}).page  # A4 portrait less its margins
    page.emulate_media(media="print")
    clipped = page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 720"
        " && !e.closest('.quiet, .defs, .skip')).map(e => e.tagName + '.' + e.className).slice(0, 5)"
    )
    assert clipped == []
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


@pytest.mark.slow
def test_labels_of_drawings_are_not_cut(show) -> None:
    page = show("diverging").page
    for width in (380, 1100, 1800):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(CUT_LABELS) == []


CUT_LABELS = """[...document.querySelectorAll('svg text')].filter(text => {
    const box = text.getBoundingClientRect(), frame = text.ownerSVGElement.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1;
}).map(text => text.textContent)"""


@pytest.mark.slow
def test_nodes_that_ran_elsewhere_stand_first_and_the_two_cosines_in_their_own_columns(show) -> None:
    page = show("diverging").page
    heads = [text.lower() for text in texts(page, "#plan-table th")]
    assert heads.index("toolchain cosine") != heads.index("board 1 \u2212 cos")
    first = texts(page, "#plan-table tbody tr td:nth-child(4)")[:3]
    assert [("moved" in cell) for cell in first] == [True, True, False]


def test_points_of_the_error_propagation_lie_inside_their_drawing(show) -> None:
    page = show("accumulated").page
    outside = page.evaluate(
        """[...document.querySelectorAll('.grown, .ring')].filter(mark => {
            const box = mark.getBoundingClientRect(), frame = mark.closest('svg').getBoundingClientRect();
            return box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
        }).length"""
    )
    assert page.locator(".ring").count() == 44
    assert outside == 0

"""The page of a report: what it says, what it never does, and the command that writes it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.errors import InputError
from harness.report import write_report
from harness.report.tables.layers import STANDINGS
from harness.runs.folder import save_run
from tests.records.kit import render, typed
from tests.support import fixtures_run as runs


class Page(HTMLParser):
    """Tags, attributes and text of a page, for questions that a pattern would answer badly."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._silent = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag in ("script", "style"):
            self._silent = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._silent:
            self._silent = ""

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {name: render(build()) for name, build in runs.ALL.items()}


# ------------------------------------------------------------------ every page


@pytest.mark.slow
@pytest.mark.parametrize("name", runs.ALL)
def test_the_same_run_gives_the_same_bytes(pages: dict[str, str], name: str) -> None:
    assert render(json.loads(json.dumps(runs.ALL[name]()))) == pages[name]


@pytest.mark.parametrize("name", runs.ALL)
def test_no_page_refers_to_anything_outside_itself(pages: dict[str, str], name: str) -> None:
    page = Page(pages[name])
    assert "http:" not in pages[name] and "https:" not in pages[name]
    assert not re.search(r"url\((?!#)|@import", pages[name])
    for tag, attributes in page.tags:
        assert not {"src", "srcset", "action", "data", "poster", "style"} & set(attributes), (tag, attributes)
        assert attributes.get("href", "#").startswith("#"), (tag, attributes)
        assert not [key for key in attributes if key.startswith("on")], (tag, attributes)


@pytest.mark.parametrize("name", runs.ALL)
def test_every_link_and_label_of_a_page_has_its_target(pages: dict[str, str], name: str) -> None:
    page = Page(pages[name])
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        wanted = [attributes["href"][1:]] if "href" in attributes else []
        wanted += attributes.get("aria-labelledby", "").split()
        assert set(wanted) <= set(ids)


@pytest.mark.parametrize("name", runs.ALL)
def test_every_page_has_one_script_one_style_and_a_policy_that_allows_only_them(
    pages: dict[str, str], name: str
) -> None:
    page = Page(pages[name])
    (policy,) = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert (len(page.all("script")), len(page.all("style"))) == (1, 1)


@pytest.mark.parametrize("name", runs.ALL)
def test_no_value_of_the_program_leaks_as_its_spelling(pages: dict[str, str], name: str) -> None:
    assert not re.search(r">\s*(None|True|False|nan|inf|Undefined|\[\]|\{\})\s*<", pages[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", runs.ALL)
def test_pages_are_small(pages: dict[str, str], name: str) -> None:
    assert len(pages[name].encode()) < (2_000_000 if name == "large" else 250_000)


# ------------------------------------------------------------------ what they say


def test_the_page_begins_with_the_verdict_and_says_emulated_in_its_header(pages: dict[str, str]) -> None:
    header = Page(pages["diverging"].split("<nav")[0]).text
    assert "Diverges at /model.4/cv2/Conv" in header
    assert "EMULATED no board was measured" in header
    assert "ESTIMATED times of 2 of 8 ops" in header
    assert "61 of 64 layers compared" in header


def test_a_real_board_measured_by_a_clock_is_neither_emulated_nor_estimated(pages: dict[str, str]) -> None:
    page = Page(pages["unordered profile"])
    assert "EMULATED" not in page.text
    assert "ESTIMATED" not in page.text
    assert "est" not in [a.get("class") for a in page.all("i")]


def test_a_run_that_was_not_whole_is_not_shown_in_the_tone_of_good(pages: dict[str, str]) -> None:
    assert 'class="top tone-good"' in pages["consistent"]
    assert 'class="top tone-part"' in pages["partly compared"]


def test_layers_that_were_not_compared_are_never_green(pages: dict[str, str]) -> None:
    rows = re.findall(r"<tr id=L\d+ data-s=not_compared>.*", pages["not comparable"])
    assert len(rows) == 12
    assert not any("s-exact" in row or "f-exact" in row for row in rows)
    assert "f-exact" not in pages["not comparable"].split("</style>")[1]


def test_every_standing_is_said_in_a_word_beside_its_colour(pages: dict[str, str]) -> None:
    page, style = pages["diverging"], pages["diverging"].split("</style>")[0]
    marks = dict(re.findall(r'\.s-(\w+) { --g: "(.+?)"; }', style))
    assert set(marks) == set(STANDINGS)
    assert len(set(marks.values())) == len(STANDINGS)
    words = re.findall(r"<b class=s-(\w+)>([\w ]+)</b>", page)
    assert len(words) == page.count("<b class=s-")


def test_a_failed_run_says_where_it_stopped_and_in_whose_words(pages: dict[str, str]) -> None:
    text = Page(pages["failed"]).text
    assert "Failed at debug" in text
    assert "hbmem_alloc failed: size 104857600" in text
    assert "stop other users of the ION heap" in text


def test_an_interrupted_run_is_a_readable_page(pages: dict[str, str]) -> None:
    text = Page(pages["interrupted"]).text
    assert "Interrupted at profile" in text
    assert "did not finish" in text


def test_an_unknown_order_of_ops_gives_no_time_axis(pages: dict[str, str]) -> None:
    assert "does not report the op order" in Page(pages["unordered profile"]).text
    assert 'class="data fall"' not in pages["unordered profile"]


def test_ops_that_add_up_to_more_than_end_to_end_are_explained(pages: dict[str, str]) -> None:
    assert "more than end to end" in Page(pages["unordered profile"]).text


def test_a_difference_too_small_for_a_float_is_not_written_as_zero() -> None:
    run = runs.diverging_run()
    run["comparison"]["layers"][26]["metrics"]["one_minus_cosine"] = 0.0
    (row,) = re.findall(r"<tr id=L26 .*", render(run))
    assert "&lt; 1.2e-16" in row


def test_hostile_text_stays_text(pages: dict[str, str]) -> None:
    page = Page(pages["hostile"])
    assert not page.all("img")
    assert len(page.all("script")) == 1
    assert "<script>window.hurt=1</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "line one\\nline two" in page.text
    assert not set("\u202e\u202c\x00\x1b\ud800") & set(pages["hostile"])


def test_chinese_names_are_shown_as_they_are(pages: dict[str, str]) -> None:
    assert "\u5377\u79ef\u5c42/\u8f93\u51fa_0" in Page(pages["hostile"]).text


@pytest.mark.slow
def test_five_thousand_layers_stay_under_six_megabytes() -> None:
    page = render(runs.large_run(5000))
    assert len(page.encode()) < 6_000_000
    assert page.count("<tr id=L") == 5000


# ------------------------------------------------------------------ the command


def harness(*words: str) -> Result:
    return CliRunner().invoke(cli, ["report", *words])


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    run_folder = tmp_path / "runs" / "yolo_n" / "emu-x5" / "20261120T091400Z"
    run_folder.mkdir(parents=True)
    save_run(run_folder, typed(runs.diverging_run()))
    return run_folder


def test_a_run_folder_its_file_and_its_case_folder_mean_the_same_run(folder: Path) -> None:
    for named in (folder, folder / "run.json", folder.parent.parent):
        result = harness(str(named))
        assert (result.exit_code, result.stdout.splitlines()) == (
            0,
            [str(folder / "report.html"), str(folder / "report.json")],
        )


def test_the_newest_run_of_a_case_is_taken(folder: Path) -> None:
    newer = folder.parent.parent / "x5-01" / "20261121T000000Z"
    newer.mkdir(parents=True)
    save_run(newer, typed(runs.consistent_run()))
    assert harness(str(folder.parent.parent)).stdout.splitlines()[0] == str(newer / "report.html")


def test_the_page_is_rendered_again_byte_for_byte(folder: Path) -> None:
    first = write_report(folder).read_bytes()
    data = (folder / "report.json").read_bytes()
    assert harness(str(folder)).exit_code == 0
    assert ((folder / "report.html").read_bytes(), (folder / "report.json").read_bytes()) == (first, data)


def test_output_goes_where_it_is_asked_to_with_the_data_beside(folder: Path, tmp_path: Path) -> None:
    assert harness(str(folder), "-o", str(tmp_path / "page.html")).exit_code == 0
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))["headline"]["word"] == "diverges"
    assert not (folder / "report.html").exists()


def test_json_answers_with_paths_verdict_and_coverage(folder: Path) -> None:
    result = harness(str(folder), "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["page"]) == (0, str(folder / "report.html"))
    assert answer["coverage"]["layers_compared"] == 61


def test_markdown_is_the_only_thing_on_stdout(folder: Path) -> None:
    assert harness(str(folder), "--markdown").stdout.startswith("### Diverges at")


def test_half_a_run_json_is_a_clear_error(folder: Path) -> None:
    (folder / "run.json").write_text(runs.damaged_text(runs.diverging_run()), encoding="utf-8")
    result = harness(str(folder))
    assert result.exit_code == 2
    assert "not a readable run.json" in result.stderr
    assert "hint:" in result.stderr


@pytest.mark.parametrize("text", ["[]", '{"a": 1}', "", "\x00\x01"])
def test_json_that_is_no_run_is_a_clear_error(folder: Path, text: str) -> None:
    (folder / "run.json").write_text(text, encoding="utf-8")
    assert harness(str(folder)).exit_code == 2


def test_a_newer_format_is_refused(folder: Path) -> None:
    save_run(folder, typed(runs.consistent_run() | {"format": 99}))
    result = harness(str(folder))
    assert (result.exit_code, "format 99" in result.stderr) == (2, True)


def test_a_folder_without_a_run_is_a_clear_error(tmp_path: Path) -> None:
    result = harness(str(tmp_path))
    assert (result.exit_code, "no run.json" in result.stderr) == (2, True)


def test_a_part_of_the_wrong_shape_is_named_and_the_rest_is_shown_and_not_called_good(folder: Path) -> None:
    run = runs.consistent_run()
    run["comparison"]["layers"] = "many"
    run["modes"][1]["files"] = {}
    (folder / "run.json").write_text(json.dumps(run))
    result = harness(str(folder))
    assert result.exit_code == 0, result.stderr
    data = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert data["problems"][:2] == [
        "run.json: modes[1].files is not a list: an object of 0",
        "run.json: comparison.layers is not a list: 'many'",
    ]
    assert data["headline"]["tone"] == "none" and "(damaged record)" in data["headline"]["title"]
    assert data["headline"]["sentences"][0].startswith("run.json is damaged (modes[1].files is not a list")


def test_a_folder_that_cannot_be_written_is_a_clear_error(folder: Path, tmp_path: Path) -> None:
    result = harness(str(folder), "-o", str(tmp_path / "missing" / "page.html"))
    assert (result.exit_code, "hint:" in result.stderr) == (2, True)


def test_nothing_half_written_is_left_behind(folder: Path, tmp_path: Path) -> None:
    (folder / "report.html").mkdir()
    with pytest.raises(InputError):
        write_report(folder)
    assert not list(folder.glob(".*.part"))


def test_the_help_has_an_example() -> None:
    assert "harness report runs/yolo_n -o" in harness("--help").stdout

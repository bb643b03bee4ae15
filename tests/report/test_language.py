"""The page in Chinese: headline, section titles and findings are complete, and nothing that was measured changes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.consistency.fingerprint.kinds import KINDS
from harness.diagnosis import rules_of_findings
from harness.report.language import LANGUAGES, Language, language
from harness.report.page import render
from harness.report.tables import headline
from harness.report.tables.run import tables
from tests.records.kit import typed
from tests.support import fixtures_run as runs

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "tests/data/runs_0_1"
PAGES = sorted((ROOT / "templates/report").glob("*.html.j2"))
# Of many runs, of boards and of nights: no --lang.
OTHER_PAGES = {"differences.html.j2", "night.html.j2", "lab.html.j2", "trend.html.j2"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
PARTLY = ("Layers ", "Trajectory of joint ")  # a name or a figure goes on with it
NAMES = {"NaN", "epsilon"}  # Chinese engineers write them so
zh = language("zh")


@pytest.mark.parametrize("rule", rules_of_findings())
def test_every_finding_has_its_title_and_next_step(rule: str) -> None:
    """Titles and steps with figures in them: tests/support/diagnosis_kit.py asks for each that a test raises."""
    made = rules_of_findings()[rule]
    assert CHINESE.search(zh(made.title)) and CHINESE.search(zh(made.advice)) and CHINESE.search(zh(made.severity))


def test_every_kind_of_fault_and_its_next_step() -> None:
    for kind in KINDS.values():
        name = zh(headline._SPELLED.get(kind.name, kind.name.replace("_", " ")))
        assert CHINESE.search(name) or name in NAMES, kind.name
        assert CHINESE.search(zh(kind.advice)), kind.name


def test_every_title_of_a_verdict() -> None:
    for _, title in headline._TITLES.values():
        for text in (title, f"{title}, as far as compared", f"{title}; quantization is below the gate"):
            assert CHINESE.search(zh(text)), text


def _sample(part: ast.expr) -> str:
    """What may stand at a place: `7`, `7 layers` of plural(n, "layer"), a constant of a choice."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    value = part.value if isinstance(part, ast.FormattedValue) else part
    if isinstance(value, ast.IfExp) and isinstance(value.body, ast.Constant | ast.JoinedStr):
        return _sample(value.body)
    if isinstance(value, ast.JoinedStr):
        return "".join(map(_sample, value.values))
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "plural":
        return f"7 {ast.literal_eval(value.args[1])}s"
    return SAMPLES.get(ast.unparse(value), "7")


# Places that hold a text of their own, which has its own entry.
SAMPLES = {
    "size": "equal values",
    "parts": "7 of 7 layers compared",
    "'; '.join(parts)": "7 layers accepted by a waiver",
    "counted(layers)": "7 exact",
    "counted(counts)": "7 exact",
    "named": "Channel",
    "differ": "differ by more than a step",
    "most": ", by up to 7 steps",
    "level_db": "; SQNR 7 dB",
}


def _sentences(source: str) -> Iterator[str]:
    """Sentences of headline.py: f-strings that end as one, and say a word themselves."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            own = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            if own.endswith(".") and re.search("[a-z]{2}", own):
                yield _sample(node)


def test_every_sentence_of_the_headline() -> None:
    """A sentence that is added to headline.py without a translation fails here."""
    sentences = set(_sentences(Path(headline.__file__).read_text(encoding="utf-8")))
    assert len(sentences) > 10
    assert [text for text in sorted(sentences) if not zh.knows(text)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in OTHER_PAGES], ids=lambda page: page.name)
def test_every_section_title_is_translated(page: Path) -> None:
    source = page.read_text(encoding="utf-8")
    calls = re.findall(r"\b_\((.*?)\) ?(?:\||\}\})", source)
    texts = [text for call in calls for text in re.findall(r'"([A-Z][^"]*)"', call) if not text.startswith(PARTLY)]
    for title in texts:
        assert CHINESE.search(zh(title)), title
    plain = re.findall(r"<h[1-4][^>]*>\s*([A-Za-z][^<{]*)", re.sub(r"{#.*?#}", "", source, flags=re.S))
    assert plain == [], "a title without _()"


@pytest.mark.parametrize("name", ["diverging", "failed", "hostile"])
def test_the_page_of_a_run(name: str) -> None:
    """All headings are Chinese, and nothing but words changed: every figure and name of the English page stands."""
    run = typed(runs.ALL[name]())
    page, english = render(run, "zh"), render(run)
    assert '<html lang="zh-CN">' in page and '<html lang="en">' in english
    for heading in re.findall(r"<h2[^>]*>(.*?)</h2>", page, re.S):
        assert CHINESE.search(heading), heading
    assert re.findall(r"<code>.*?</code>", page, re.S) == re.findall(r"<code>.*?</code>", english, re.S)
    figures = re.compile(r"<t[dh][^>]*>[^<]*\d[^<]*")
    assert figures.findall(page) == figures.findall(english)


def test_the_headline_of_a_diverging_run() -> None:
    data = tables(typed(runs.ALL["diverging"]()))
    page = render(typed(runs.ALL["diverging"]()), "zh")
    assert zh(data["headline"]["title"]) in page and "不一致，起始于" in page


def test_hostile_texts_are_no_patterns() -> None:
    """A record's text is data: places in it stay letters, separators in thousands cost nothing, code is escaped."""
    assert zh("{title!t}, as far as compared") == "{title!t}, as far as compared"
    many = ", ".join(["3 of 4 layers compared"] * 80)
    assert zh(many + ".")
    made = Language("zh", {"a {x} b {y} c": "{y}-{x}", "a {x!t} z": "{x!t}"})
    assert made("a {y} b {x} c") == "{x}-{y}" and made("a unknown z") == "a unknown z" and made("a b c") == "a b c"
    assert "<script>window" not in render(typed(runs.ALL["hostile"]()), "zh")


def test_the_command(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    result = CliRunner().invoke(cli, ["report", str(RUNS / "x5_complete"), "--lang", "zh", "-o", str(target)])
    assert result.exit_code == 0, result.output
    text = target.read_text(encoding="utf-8")
    assert CHINESE.search(text) and not CHINESE.search(target.with_suffix(".json").read_text(encoding="utf-8"))
    assert not CHINESE.search(result.output)
    wrong = CliRunner().invoke(cli, ["report", str(RUNS / "x5_complete"), "--lang", "fr"])
    assert wrong.exit_code == 2 and "'en', 'zh'" in wrong.output
    both = CliRunner().invoke(cli, ["report", str(RUNS / "x5_complete"), "--lang", "zh", "--as", "json"])
    assert both.exit_code == 2


def test_languages() -> None:
    assert set(LANGUAGES) == {"en", "zh"} and language("en")("Layers") == "Layers"

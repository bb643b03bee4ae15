"""Every kind of text that `harness inspect` knows, cut, repeated, reordered and with foreign lines: no figure is
invented, no failure becomes a success, and text that somebody left out is named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.records.codec import to_json
from harness.toolchains import board_readers, read_any
from harness.toolchains.horizon.pages import _read_page
from harness.toolchains.records import Artifact
from tests.support import magik_texts
from tests.support.toolchain_samples import x5_log
from tests.toolchains.test_kinds import TEXTS

PERF = """\
hrt_model_exec perf --model_file=a.bin --frame_count=200 --thread_num=1
Load model to DDR cost 21.5 ms.
Frame count: 200,  Thread Average: 4.625000 ms,  thread max latency: 6.100000 ms,  thread min latency: 4.510000 ms
Running condition:
  Thread number is: 1
  Frame count   is: 200
  Program run time: 926.104 ms
Perf result:
  Frame totally latency is: 925.000 ms
  Average    latency    is: 4.625 ms
  Frame      rate       is: 215.957 FPS
"""
STATUS = """\
=====================1=====================
temperature-->
\tCPU      : 58.3 (C)
cpu frequency-->
\t\tmin\tcur\tmax
\tcpu0: 300\t1500\t1500
bpu status information---->
\tmin\tcur\tmax\tratio
\tbpu0: 500\t1000\t1000\t87
"""
PAGE = """\
<!DOCTYPE html><html><body><h2>Model Performance Summary</h2><table>
<tr><td>Model Name</td><td>yolo</td></tr>
<tr><td>Model Latency(ms)</td><td>4.62</td></tr>
<tr><td>Total DDR bytes per frame(MB)</td><td>17.4</td></tr>
</table><table>
<tr><th>Name</th><th>OPpf</th><th>latency(ms)</th></tr>
<tr><td>main_graph_subgraph_0</td><td>1,234</td><td>3.2</td></tr>
</table></body></html>
"""
REPORT = """\
| # | Phase | Configuration | Output Cosine Similarity | Threshold Met |
|---|---|---|---|---|
| 1 | INT8 | output_int8 | 0.9812 | No |
| 2 | INT16 | output_int16 | 0.9991 | Yes |
"""
GOOD_VERDICT = "2026-01-02 03:04:05,325 INFO The model output consistency comparison was successful.\n"
BAD_VERDICT = "2026-01-02 03:04:05,325 INFO The model output consistency compare was failed.\n"
SUMS = "".join(f"{hashlib.md5(bytes([i])).hexdigest()}  ./d/layer_{i}_out.bin\n" for i in range(4))
EVERY = TEXTS | {
    "perf": PERF,
    "status": STATUS,
    "page": PAGE,
    "report": REPORT,
    "md5s": "root@board:~# md5sum *\n" + SUMS,
    "build log": x5_log(),
    "magik console": magik_texts.RELEASE,
}
FOREIGN = (
    "W1120 12:00:00.123456 4242 engine.cpp:77] foreign 0.123456 line",
    "\x1b[31m[E] 2026-11-20 12:00:00 other tool 99.5 us\x1b[0m",
    "校准数据 正在加载 55%|#####     | 5/9",
    "| a | b |",
    "",
)
COMPUTED = (
    "mean ",
    "samples",
    "line",
    "count",
    "runs",
    "sum_us",
    "mean_us",
    "kernels",
    "files",
    "snapshots",
    "snapshot",
)


def read(text: str, folder: Path) -> Artifact | None:
    path = folder / "x.txt"
    path.write_text(text)
    return read_any(path, *board_readers())


def figures(
    value: object, place: tuple[str, ...] = (), is_row: bool = False
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Every number of an artifact under the names that it stands beneath; numbers that are computed are left out."""
    if isinstance(value, dict):
        name = next((one for one in value.values() if isinstance(one, str) and one), "") if is_row else ""
        for key, one in value.items():
            if not str(key).startswith(COMPUTED):
                yield from figures(one, (*place, name, str(key)) if name else (*place, str(key)))
    elif isinstance(value, list):
        for one in value:
            yield from figures(one, place, is_row=True)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place, float(value)


def of_artifact(artifact: Artifact) -> dict[str, set[float]]:
    """Numbers of an artifact by the name of the row and of the column, whatever the table is called."""
    known: dict[str, set[float]] = {}
    plain = to_json(artifact)
    for part in ("facts", "similarities", "checks", "outputs", "estimates"):
        for place, number in figures(plain[part]):
            name = "/".join(place[-2:]).replace("unfinished_perf/", "perf/")  # the same run without its end
            known.setdefault(name, set()).add(number)
    return known


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_no_damage_invents_a_figure(name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = read(EVERY[name], folder)
    assert whole is not None
    lines = EVERY[name].splitlines(keepends=True)
    kept = data.draw(st.lists(st.sampled_from([*lines, *(f"{one}\n" for one in FOREIGN)]), max_size=len(lines) + 4))
    text = "".join(data.draw(st.sampled_from((kept, [*lines, *kept], [*kept, *lines]))))
    damaged = read(text[: data.draw(st.integers(0, len(text)))], folder)
    if damaged is not None and damaged.kind == whole.kind:
        truth = of_artifact(whole)
        for place, numbers in of_artifact(damaged).items():
            assert numbers <= truth.get(place, set()), place


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("profile", "quant config", "page")])
def test_lines_that_somebody_left_out_are_named(name: str, tmp_path: Path) -> None:
    lines = EVERY[name].splitlines(keepends=True)
    for mark in ("...\n", "    ......\n", "[...]\n", "(omitted)\n"):
        artifact = read("".join([*lines[:-1], mark, lines[-1]]), tmp_path)
        assert artifact is not None and any("'...'" in problem or "..." in problem for problem in artifact.problems)


@pytest.mark.parametrize("front", ["> ", ">", "    ", "\t"])
@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("page", "profile", "quant config")])
def test_a_quoted_or_indented_copy_is_read_as_the_same_kind(name: str, front: str, tmp_path: Path) -> None:
    whole = read(EVERY[name], tmp_path)
    copy = read("".join(f"{front}{line}" for line in EVERY[name].splitlines(keepends=True)), tmp_path)
    assert whole is not None and copy is not None and copy.kind == whole.kind
    if front.startswith(">"):
        assert of_artifact(copy) == of_artifact(whole)


@pytest.mark.parametrize("verdicts", [(BAD_VERDICT, GOOD_VERDICT), (GOOD_VERDICT, BAD_VERDICT)])
def test_one_failed_verdict_of_several_is_a_failure(verdicts: tuple[str, str], tmp_path: Path) -> None:
    artifact = read("".join(verdicts), tmp_path)
    assert artifact is not None and artifact.finished is False
    assert any("2 verdicts" in problem for problem in artifact.problems)
    good = read(GOOD_VERDICT, tmp_path)
    assert good is not None and good.finished is True


def test_the_figures_of_each_kind_are_there(tmp_path: Path) -> None:
    """So that the properties above speak of something."""
    for name in ("perf", "status", "page", "report", "monitor", "ddr", "per layer", "sensitivity"):
        artifact = read(EVERY[name], tmp_path)
        assert artifact is not None and of_artifact(artifact), name


def test_a_page_and_a_report_are_read_by_their_labels(tmp_path: Path) -> None:
    page, report = read(PAGE, tmp_path), read(REPORT, tmp_path)
    assert page is not None and page.facts["Model Latency(ms)"] == 4.62
    turned = "<html>hb_perf<table><tr><th>Model Latency(ms)</th><th>Total DDR bytes per frame(MB)</th></tr>"
    other = read(f"{turned}<tr><td>4.62</td><td>17.4</td></tr></table></html>", tmp_path)
    assert other is not None and other.facts["Model Latency(ms)"] == 4.62
    assert page.facts["subgraphs"] == [{"Name": "main_graph_subgraph_0", "OPpf": 1234.0, "latency(ms)": 3.2}]
    assert report is not None and report.facts["phases"] == [
        {"#": 1.0, "phase": "INT8", "configuration": "output_int8", "output cosine similarity": 0.9812,
         "threshold met": "No"},
        {"#": 2.0, "phase": "INT16", "configuration": "output_int16", "output cosine similarity": 0.9991,
         "threshold met": "Yes"},
    ]  # fmt: skip


def test_a_tuning_folder_lists_its_phases(tmp_path: Path) -> None:
    for phase in ("output_int8", "output_int16/threshold_0.99"):
        (tmp_path / phase).mkdir(parents=True)
        (tmp_path / phase / "hmct.log").write_text(TEXTS["hmct"])
    (tmp_path / "output_int8/quant_config.json").write_text(TEXTS["quant config"])
    artifact = read_any(tmp_path, *board_readers())
    assert artifact is not None and artifact.kind == "tuning_folder"
    rows = to_json(artifact)["facts"]["phases"]
    assert [(row["phase"], row["cosine"]) for row in rows] == [
        ("output_int16/threshold_0.99", 0.987601),
        ("output_int8", 0.987601),
    ]


def _reads_on(what: str) -> bool:
    parser = HTMLParser()
    try:
        parser.feed(f"{what}<table><tr><td>x</td></tr></table>")
    except (AssertionError, ValueError):
        return False
    return not parser.rawdata  # nothing is left unread


@pytest.mark.parametrize("what", ["<![foo[", "<![if", "&#" + "9" * 5000 + ";<p>"])
def test_a_page_that_the_parser_gives_up_keeps_what_stood_before(what: str) -> None:
    page = _read_page(PAGE.replace("</table><table>", f"</table>{what}<table>"))
    assert page.facts["Model Latency(ms)"] == 4.62
    gives_up = any("not read from line 5 on" in problem for problem in page.problems)
    # Patched releases of html.parser take such a mark for a comment, as browsers do, and read on.
    assert gives_up == ("subgraphs" not in page.facts) or _reads_on(what)
    assert not _read_page(PAGE).problems and _read_page(PAGE).facts["subgraphs"]

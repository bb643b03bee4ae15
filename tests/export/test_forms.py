"""Forms of a run for other tools: each is held against the rules of who reads it, for every kind of run."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cli import cli
from harness.cli.export import write_forms
from harness.export.frames import FINDINGS, FRAMES, LAYERS, OPS, TABLES, frames_of
from harness.export.model_explorer import files
from harness.export.table_files import CSV, CSV_EXCEL, PARQUET, harmless
from harness.report.exporters import card, junit, sarif, trace
from tests.export.trace_rules import faults
from tests.records.kit import typed
from tests.support import fixtures_run as runs

NOWHERE = Path()
CASES = [pytest.param(build, id=build.__name__) for build in runs.ALL.values()]
EVERY = pytest.mark.parametrize("build", CASES)
# An XML reader that knows the attributes which a strict one refuses in a testcase.
ALLOWED = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname"},
    "testcase": {"classname", "name", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
    "property": {"name", "value"},
    "properties": set[str](),
    "system-out": set[str](),
}


def junit_faults(text: str) -> list[str]:
    root = ElementTree.fromstring(text.encode())
    wrong = [
        f"{e.tag} has {sorted(set(e.attrib) - ALLOWED[e.tag])}" for e in root.iter() if set(e.attrib) - ALLOWED[e.tag]
    ]
    wrong += [
        e.get("time", "")
        for e in root.iter()
        if "time" in e.attrib and not re.fullmatch(r"\d+\.\d{3}", e.get("time", ""))
    ]
    keys = [(e.get("classname"), e.get("name")) for e in root.iter("testcase")]
    wrong += [f"twice: {key}" for key in set(keys) if keys.count(key) > 1]
    for suite in root.iter("testsuite"):
        counted = {
            "tests": len(keys),
            "failures": len(list(suite.iter("failure"))),
            "errors": len(list(suite.iter("error"))),
        }
        wrong += [f"{name} {suite.get(name)} != {n}" for name, n in counted.items() if suite.get(name) != str(n)]
    return wrong


@EVERY
def test_junit_keeps_the_rules_of_its_readers(build: Any) -> None:
    assert junit_faults(junit.export(typed(build()))) == []


@EVERY
def test_a_trace_keeps_the_nesting_rules(build: Any) -> None:
    assert faults(trace.export(typed(build()))) == []


@EVERY
def test_sarif_points_at_its_rules_and_has_no_odd_number(build: Any) -> None:
    log = json.loads(sarif.export(typed(build())), parse_constant=lambda name: pytest.fail(name))
    (one,) = log["runs"]
    rules = [rule["id"] for rule in one["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    for result in one["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note") and result["message"]["text"]


@EVERY
def test_a_card_is_xml_without_script_or_link_and_inside_its_frame(build: Any) -> None:
    root = ElementTree.fromstring(card.export(typed(build())).encode())
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "rect", "path", "text"}
    height = float(root.get("height", "0"))
    assert all(float(e.get("y", "0")) < height for e in root.iter())
    assert all(len("".join(e.itertext())) < 120 for e in root.iter() if e.tag.endswith("text"))


@EVERY
def test_csv_and_parquet_read_back_equal(build: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    run = typed(build())
    made = frames_of(run)
    for name, columns in {"layers": LAYERS, "ops": OPS, "frames": FRAMES, "findings": FINDINGS}.items():
        assert list(made[name].columns) == list(columns)
    for name, data in {**CSV.files(run, NOWHERE), **PARQUET.files(run, NOWHERE)}.items():
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        frame = made[path.stem]
        if path.suffix == ".csv":
            kinds: Any = {
                column: str(frame[column].dtype) if frame[column].dtype != "str" else "str" for column in frame
            }
            back = pd.read_csv(
                path, dtype=kinds, keep_default_na=False, na_values={c: [""] for c in frame if frame[c].dtype != "str"}
            )
        else:
            back = pd.read_parquet(path)
        pd.testing.assert_frame_equal(back, frame, check_dtype=path.suffix == ".csv")


def test_excel_computes_no_name() -> None:
    run = runs.diverging_run(18, origin=9)
    run["comparison"]["layers"][0]["name"] = "=HYPERLINK(1)"
    text = CSV_EXCEL.files(typed(run), NOWHERE)["layers.csv"]
    assert isinstance(text, bytes) and text.startswith(b"\xef\xbb\xbf") and b",'=HYPERLINK(1)," in text


def test_nor_where_pandas_calls_its_words_objects() -> None:
    """As before pandas 3, where a column of `str` has no dtype of its own."""
    for kinds in TABLES.values():
        frame = pd.DataFrame({name: pd.Series(["=1+1"], dtype="object") for name in kinds}, columns=list(kinds))
        guarded = harmless(frame, kinds)
        assert all((guarded[name][0] == "'=1+1") == (kind == "str") for name, kind in kinds.items())


def test_node_data_is_keyed_by_nodes_of_the_graph_and_tells_what_is_left_out() -> None:
    run = typed(runs.diverging_run(18, origin=8))
    made = files(run, NOWHERE)
    graph = run.graph or (run.comparison.extras.graph if run.comparison else None)
    assert graph is not None
    nodes = {op.name for op in graph.ops}
    for text in made.values():
        held = json.loads(text, parse_constant=lambda name: pytest.fail(name))
        assert set(held["results"]) <= nodes
    assert any(
        entry["value"] == "origin" for entry in json.loads(made["harness-standing.node_data.json"])["results"].values()
    )


def test_a_run_without_a_graph_has_no_node_data(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(runs.failed_run()))
    result = CliRunner().invoke(cli, ["export", str(tmp_path), "--to", "model-explorer"])
    assert result.exit_code == 2 and "--graph ONNX" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json"]


def test_a_run_that_is_bad_fails_and_one_that_nobody_could_measure_is_an_error() -> None:
    for build, outcome in ((runs.consistent_run, ""), (runs.diverging_run, "failure"), (runs.failed_run, "error")):
        root = ElementTree.fromstring(junit.export(typed(build())).encode())
        case = next(e for e in root.iter("testcase") if e.get("name") == "consistency")
        assert [e.tag for e in case if e.tag in ("failure", "error", "skipped")] == ([outcome] if outcome else []), (
            outcome
        )
    (case,) = ElementTree.fromstring(junit.export(typed(runs.not_compared_run())).encode()).iter("testcase")
    assert [e.tag for e in case if e.tag != "system-out"] == ["skipped"]


@settings(max_examples=40)
@given(st.lists(st.floats(allow_nan=True) | st.floats(0, 1e6), max_size=6), st.text(max_size=12))
def test_no_time_and_no_name_breaks_a_trace(times: list[float], name: str) -> None:
    run = runs.consistent_run(4)
    run["profile"]["latency"]["samples_us"] = [repr(t) if not math.isfinite(t) else t for t in times]
    for op in run["profile"]["ops"]:
        op["name"] = name
    assert faults(trace.export(typed(run))) == []


@pytest.mark.parametrize(
    ("event", "word"),
    [
        ({"ph": "X", "name": "a", "ts": 0, "pid": 1, "tid": 1}, "without"),
        ({"ph": "X", "name": "a", "ts": 5, "dur": 10, "pid": 1, "tid": 1}, "crosses"),
        ({"ph": "C", "name": "a", "ts": 20, "pid": 1, "args": {}}, "counter"),
        ({"ph": "s", "name": "a", "cat": "x", "id": 1, "ts": 20, "pid": 1, "tid": 1}, "one end"),
    ],
)
def test_the_rules_find_what_is_wrong(event: dict[str, Any], word: str) -> None:
    good = {"ph": "X", "name": "b", "ts": 0, "dur": 9, "pid": 1, "tid": 1}
    assert faults(json.dumps({"traceEvents": [good]})) == []
    assert word in faults(json.dumps({"traceEvents": [good, event]}))[0]


def test_a_run_leaves_its_forms_with_the_report_as_attachment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs/a"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(runs.failed_run()))
    monkeypatch.chdir(tmp_path)
    write_forms(folder, tmp_path / "j.xml", tmp_path / "t.json")
    output = ElementTree.parse(tmp_path / "j.xml").findtext(".//system-out") or ""
    assert output.splitlines()[0] == "[[ATTACHMENT|runs/a/report.html]]"
    assert faults((tmp_path / "t.json").read_text()) == []

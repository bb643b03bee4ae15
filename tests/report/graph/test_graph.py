"""The picture of the network: folded without a circle, in layers, every op in one box, nothing over anything else."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.records import Graph, Op, Run
from harness.report.graph import folding
from harness.report.graph.drawing import PART_PX, network_drawing
from harness.report.graph.edges import in_circles, readers_of
from harness.report.graph.layered import crossings, layout
from harness.report.graph.network import network_table
from tests.records.kit import render, tables, typed
from tests.report.graph import networks
from tests.support import fixtures_run as runs

Row = dict[str, Any]


def table(graph: Graph) -> Row:
    made = network_table(Run(graph=graph), [], None)
    assert made is not None
    return made


def drawn(graph: Graph) -> Row:
    picture = network_drawing(table(graph))
    assert picture is not None
    return picture


def boxes(picture: Row, sort: str = "") -> list[Row]:
    return [box for part in picture["parts"] for box in part["boxes"] if not sort or box["sort"] == sort]


# ------------------------------------------------------------------ folding


def test_modules_are_told_by_names() -> None:
    folded = folding.fold(table(networks.detector(430))["ops"])
    assert [box.label for box in folded.boxes][:3] == ["model.0", "model.1", "model.2"]
    assert 15 <= len(folded.boxes) <= 40
    assert {box.path for box in folded.boxes if "/" in box.path} == set()  # no module is large enough to be opened


def test_a_module_that_holds_most_of_the_network_is_opened() -> None:
    net = networks.Building()
    at = net.op("/stem/Conv", "Conv", "images")
    for layer in range(12):
        for place in range(10):
            at = net.op(f"/encoder/layer.{layer}/op.{place}/MatMul", "MatMul", at)
    labels = [box.label for box in folding.fold(table(net.graph())["ops"]).boxes]
    assert labels == ["stem", *(f"layer.{n}" for n in range(12))]


def test_a_module_in_a_circle_falls_into_stretches_and_others_do_not() -> None:
    """/a reads /b and /b reads /a: neither can be one box before the other."""
    net = networks.Building()
    first = net.op("/a/one/Conv", "Conv", "images")
    second = net.op("/b/one/Conv", "Conv", first)
    third = net.op("/a/two/Conv", "Conv", second)
    for place in range(40):
        third = net.op(f"/{'cdef'[place // 10]}/{place}/Conv", "Conv", third)
    folded = folding.fold(table(net.graph())["ops"])
    shown = [(box.label, len(box.ops)) for box in folded.boxes]
    assert shown == [("a", 1), ("b", 1), ("a", 1), ("c", 10), ("d", 10), ("e", 10), ("f", 10)]
    assert in_circles(folded.readers) == set()


def test_names_that_tell_nothing_are_folded_by_the_network_itself() -> None:
    folded = folding.fold(table(networks.flat(430))["ops"])
    assert 20 <= len(folded.boxes) <= 107
    assert max(len(box.ops) for box in folded.boxes) < 12


def test_an_activation_of_three_ops_is_one_box_where_names_tell_nothing() -> None:
    net, at = networks.Building(), "images"
    for place in range(0, 60, 3):
        conv = net.op(f"Conv_{place}", "Conv", at)
        at = net.op(f"Mul_{place + 2}", "Mul", conv, net.op(f"Sigmoid_{place + 1}", "Sigmoid", conv))
    folded = folding.fold(table(net.graph())["ops"])
    assert all(len(box.ops) % 3 == 0 for box in folded.boxes)


@pytest.mark.parametrize("count", [1, 2, 16, 69, 430, 5000, pytest.param(20000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("make", [networks.detector, networks.flat])
def test_a_network_of_any_size_is_a_few_boxes(make: Any, count: int) -> None:
    graph = make(count)
    picture = drawn(graph)
    assert len(boxes(picture)) <= folding.MOST_BOXES_LARGE + 2
    assert all(part["width"] <= PART_PX for part in picture["parts"])
    shown = [square for box in boxes(picture) if box["sort"] in ("op", "module") for square in box["squares"]]
    assert sum(square["count"] or 1 for square in shown) == len(graph.ops)


def test_no_graph_is_no_picture() -> None:
    assert network_table(Run(), [], None) is None and network_drawing(None) is None
    assert 'id="graph"' not in render(runs.interval_run())


# ------------------------------------------------------------------ any graph

names = st.sampled_from(
    ["", "/a/x", "/a/y", "/b/x", "a", "a.b", "a_b_1", "/a", "//", "\u5377\u79ef/\u8f93\u51fa", "<b>", "n" * 4000]
)
tensors = st.integers(0, 25).map(str)
any_op = st.builds(
    Op, names, st.sampled_from(["Conv", "", "QuantizeLinear"]),
    st.lists(tensors, max_size=3).map(tuple), st.lists(tensors, max_size=2).map(tuple),
)  # fmt: skip
any_graph = st.builds(
    Graph, st.lists(any_op, min_size=1, max_size=40).map(tuple), st.lists(tensors, max_size=2).map(tuple),
    st.lists(tensors, max_size=2).map(tuple),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(any_graph)
def test_any_graph_is_folded_without_a_circle_and_drawn_without_an_overlap(graph: Graph) -> None:
    ops = table(graph)["ops"]
    folded = folding.fold(ops)
    assert sorted(place for box in folded.boxes for place in box.ops) == list(range(len(ops)))
    assert in_circles(folded.readers) == set() and in_circles(readers_of(ops)) == set()
    assert_no_overlap(drawn(graph))


def assert_no_overlap(picture: Row) -> None:
    for part in picture["parts"]:
        for box in part["boxes"]:
            assert box["x"] >= 0 and box["x"] + box["w"] <= part["width"]
            assert box["y"] >= 0 and box["y"] + box["h"] <= part["height"] + 1
        for one, other in combinations(part["boxes"], 2):
            apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_boxes_of_large_networks_do_not_overlap() -> None:
    for graph in (networks.detector(430), networks.detector(5000), networks.flat(2000)):
        assert_no_overlap(drawn(graph))


def test_long_lines_by_the_million_are_left_out_longest_first_and_counted() -> None:
    """Every box reads every earlier one."""
    count = 120
    readers = [list(range(n + 1, count)) for n in range(count)]
    placed = layout([30.0] * count, readers, [None] * count)
    assert placed.left_out > 0 and len(placed.nodes) < 6000
    assert {(n, n + 1) for n in range(count - 1)} <= {(line[0], line[-1]) for line in placed.lines}


def test_the_picture_is_the_same_every_time() -> None:
    run = networks.wrong_run(networks.detector(430), 200)
    assert render(run) == render(run)


# ------------------------------------------------------------------ what it shows


def test_a_square_says_verdict_error_unit_and_time_and_leads_to_its_row() -> None:
    run = runs.large_run(60)
    run["profile"]["ops"][30] |= {"mean_us": 900.0, "unit": "CPU"}
    picture = network_drawing(tables(run)["network"])
    assert picture is not None and picture["views"] == ["verdict", "error", "unit", "time"]
    squares = {square["href"]: square for box in boxes(picture) for square in box["squares"]}
    assert squares["L30"]["classes"] == "vo e3 uc t4" and squares["L30"]["label"] == "30 origin"
    assert squares["L0"]["classes"] == "t1"


def test_not_compared_and_nan_are_never_shown_as_good() -> None:
    data = tables(runs.hostile_run())
    assert data["network"] is not None
    marks = [op["standing"] for op in data["network"]["ops"]]
    assert marks[0] == "origin" and data["network"]["ops"][0]["nonfinite"]
    picture = network_drawing(data["network"])
    assert picture is not None
    classes = [square["classes"].split() for box in boxes(picture) for square in box["squares"]]
    assert any("e4" in one for one in classes)
    words = {row["word"]: row["count"] for row in picture["legend"]["verdict"]}
    assert words["not compared"] == marks.count("not_compared") > 0


def test_stretches_on_one_unit_are_bands_with_their_time_and_no_box_is_in_two() -> None:
    graph = networks.detector(120)
    run = typed(networks.exact_run(graph))
    assert run.profile is not None
    third = len(graph.ops) // 3
    names = [op.name for op in graph.ops]
    cut = [("BPU", "subgraph_0", names[:third]), ("CPU", "tail", names[third:])]
    from dataclasses import replace

    from harness.records import Segment
    from harness.report.tables.run import tables as tables_of

    segments = tuple(Segment(unit, name, tuple(ops), 1000.0) for unit, name, ops in cut)
    data = tables_of(replace(run, profile=replace(run.profile, segments=segments)))
    folded = folding.fold(data["network"]["ops"])
    assert all(box.segment is not None for box in folded.boxes)
    picture = network_drawing(data["network"])
    assert picture is not None
    bands = [band for part in picture["parts"] for band in part["bands"]]
    assert bands[0]["label"].startswith("BPU subgraph_0") and bands[-1]["off"]
    triangles = "".join(part["dequantize"] for part in picture["parts"])
    assert triangles  # of the line from the accelerator to the CPU


# ------------------------------------------------------------------ beside dot


@pytest.mark.parametrize("make", [networks.detector, networks.flat])
def test_lines_cross_hardly_more_often_than_dots(make: Any) -> None:
    pygraphviz = pytest.importorskip(
        "pygraphviz", reason="pygraphviz, the oracle of the layout, is not installed", exc_type=ImportError
    )
    folded = folding.fold(table(make(430))["ops"])
    ours = layout([30.0] * len(folded.boxes), folded.readers, [None] * len(folded.boxes))
    right: list[list[int]] = [[] for _ in ours.nodes]
    for line in ours.lines:
        for one, other in pairwise(line):
            right[one].append(other)
    assert crossings(ours.columns, right) <= 1.5 * _dots_crossings(pygraphviz, folded.readers) + 5


def _dots_crossings(pygraphviz: Any, readers: list[list[int]]) -> int:
    """Of straight lines between the places that dot gives, ends apart."""
    graph = pygraphviz.AGraph(directed=True, strict=True)
    graph.add_nodes_from(range(len(readers)))
    graph.add_edges_from((one, other) for one, row in enumerate(readers) for other in row)
    graph.layout(prog="dot")
    at = {int(node): tuple(map(float, node.attr["pos"].split(","))) for node in graph.nodes()}
    lines = [(one, other) for one, row in enumerate(readers) for other in row]
    return sum(
        _cross(at[a], at[b], at[c], at[d]) for (a, b), (c, d) in combinations(lines, 2) if len({a, b, c, d}) == 4
    )


def _cross(a: Any, b: Any, c: Any, d: Any) -> bool:
    def side(p: Any, q: Any, r: Any) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0

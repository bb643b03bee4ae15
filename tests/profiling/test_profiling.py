"""Op times to split, order, segments and shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.platforms import load
from harness.profiling import order_of_dumps, profile
from harness.profiling.placement import cut_graph
from harness.profiling.rounding import print_step_us, rounding_us
from harness.profiling.segments import segments_of
from harness.profiling.split import shares, split
from harness.records import Dump, Graph, Latency, Op, OpTime
from tests.support.horizon_fixtures import perf_console, profiler_log

HBDNN = load("hbdnn")


def op(name: str, us: float, unit: str = "BPU", category: str = "compute", kind: str = "", **more: int) -> OpTime:
    return OpTime(name, kind or ("subgraph" if unit == "BPU" else "Softmax"), unit, category, us, **more)  # type: ignore[arg-type]


# conv1 -> softmax (CPU) -> conv2 -> out, with a second branch conv1 -> conv3 -> conv2
GRAPH = Graph(
    (
        Op("conv1", "Conv", ("x",), ("a",), covers=("conv1", "relu1")),
        Op("soft", "Softmax", ("a",), ("b",), covers=("soft",)),
        Op("conv3", "Conv", ("a",), ("c",), covers=("conv3",)),
        Op("conv2", "Add", ("b", "c"), ("y",), covers=("conv2",)),
    ),
    ("x",),
    ("y",),
)
OPS = (
    op("net_subgraph_1", 30.0),
    op("net_subgraph_0", 100.0),
    op("mid_HzDequantize", 4.0, "CPU", "dequantize", "Dequantize"),
    op("soft", 20.0, "CPU"),
    op("net_subgraph_0_output_layout_convert", 2.0, "CPU", "layout", "layout_convert"),
    op("Preprocess", 1.0, "CPU", "pre", "Preprocess"),
    op("TaskRunningTime", 160.0, "", "wait", "task"),
)


def test_the_split_counts_each_category_once_and_no_wait() -> None:
    assert split(OPS) == {"BPU": 130.0, "CPU": 20.0, "layout": 2.0, "other": 1.0, "quantize": 4.0}


def test_unattributed_time_is_the_rest_of_the_latency() -> None:
    measured = profile(Latency(200.0), OPS)
    assert measured.unattributed_us == pytest.approx(43.0)
    assert sum(shares(measured).values()) == pytest.approx(1.0)


def test_ops_that_overlap_leave_a_negative_rest_and_a_note() -> None:
    measured = profile(Latency(100.0), OPS)
    assert measured.unattributed_us == pytest.approx(-57.0) and any("overlap" in note for note in measured.notes)


@pytest.mark.parametrize(
    ("figures_us", "step_us"),
    [((110.0, 40.0, 30.0), 10.0), ((110.0, 41.0), 1.0), ((212.85, 4.7), 0.01), ((1 / 3,), 0.0), ((0.0, 0.0), 10.0)],
)
def test_the_last_digit_that_a_profiler_prints_is_seen(figures_us: tuple[float, ...], step_us: float) -> None:
    assert print_step_us(figures_us) == pytest.approx(step_us)


def test_an_excess_within_the_rounding_of_the_printed_figures_is_no_overlap() -> None:
    """Sixty ops of 40 us, printed in hundredths of a millisecond: their sum is known to 300 us only."""
    ops = [OpTime(f"op{n}", "Conv", "NNA", "compute", 40.0) for n in range(60)]
    assert rounding_us([op.mean_us for op in ops]) == pytest.approx(300.0)
    assert not any("overlap" in note for note in profile(Latency(2350.0), ops).notes)
    assert any("overlap" in note for note in profile(Latency(2050.0), ops).notes)


def test_without_evidence_there_is_no_order_and_no_segment() -> None:
    measured = profile(Latency(200.0), OPS)
    assert not measured.order_known and measured.segments == ()
    assert [o.name for o in measured.ops] == [o.name for o in OPS]


def test_the_numbers_of_node_dumps_give_the_order() -> None:
    dumps = [
        Dump("t", Path("x"), op=name, index=index)
        for index, name in enumerate(["net_subgraph_0", "mid_HzDequantize", "soft", "net_subgraph_1"])
    ]
    measured = profile(Latency(200.0), OPS, order=order_of_dumps(reversed(dumps)))
    assert measured.order_known
    assert [(s.unit, s.name, s.time_us) for s in measured.segments] == [
        ("CPU", "Preprocess", 1.0),
        ("BPU", "net_subgraph_0", 100.0),
        ("CPU", "net_subgraph_0_output_layout_convert .. soft", 26.0),
        ("BPU", "net_subgraph_1", 30.0),
    ]
    assert measured.ops[-1].category == "wait"


def test_an_order_that_misses_an_op_that_computes_is_not_used() -> None:
    assert not profile(Latency(200.0), OPS, order=("net_subgraph_0", "net_subgraph_1")).order_known


def test_a_border_op_without_a_place_is_in_no_segment_and_named() -> None:
    measured = profile(Latency(200.0), OPS, order=("net_subgraph_0", "soft", "net_subgraph_1"))
    assert measured.order_known and sum(s.time_us for s in measured.segments) == pytest.approx(157.0 - 4.0)
    assert any("mid_HzDequantize" in note for note in measured.notes)


def test_the_graph_places_border_ops_that_are_named_after_an_op_inside_a_subgraph() -> None:
    ops = (*OPS[:2], op("relu1_HzDequantize", 4.0, "CPU", "dequantize", "Dequantize"), op("soft", 20.0, "CPU"))
    dumps = [
        Dump("a", Path("x"), op="net_subgraph_0", index=0),
        Dump("b", Path("x"), op="soft", index=1),
        Dump("y", Path("x"), op="net_subgraph_1", index=2),
    ]
    measured = profile(Latency(200.0), ops, GRAPH, order=order_of_dumps(dumps))
    assert [o.name for o in measured.ops] == ["net_subgraph_0", "relu1_HzDequantize", "soft", "net_subgraph_1"]


def test_the_graph_and_the_ops_off_the_accelerator_give_the_order_and_what_subgraphs_cover() -> None:
    ops = [o for o in OPS if o.category not in ("dequantize",)]
    measured = profile(Latency(200.0), ops, GRAPH)
    assert measured.order_known
    covered = {segment.name: segment.ops for segment in measured.segments}
    assert covered["net_subgraph_0"] == ("conv1", "conv3") and covered["net_subgraph_1"] == ("conv2",)
    assert "from the graph" in " ".join(measured.notes)


def test_a_border_op_finds_its_place_by_the_tensor_in_its_name() -> None:
    ops = (*OPS[:2], op("a_HzDequantize", 4.0, "CPU", "dequantize", "Dequantize"), op("soft", 20.0, "CPU"))
    names = [o.name for o in profile(Latency(200.0), ops, GRAPH).ops]
    assert names == ["net_subgraph_0", "a_HzDequantize", "soft", "net_subgraph_1"]


def test_a_graph_of_another_network_is_not_used() -> None:
    other = Graph((Op("conv9", "Conv", ("x",), ("y",)),), ("x",), ("y",))
    assert not profile(Latency(200.0), OPS, other).order_known


def test_ordered_ops_are_taken_as_they_are() -> None:
    ops = (op("b", 1.0, "NNA", kind="Conv"), op("a", 2.0, "NNA", kind="Conv"), op("c", 3.0, "CPU"))
    measured = profile(Latency(10.0), ops, ordered=True)
    assert [(s.unit, s.ops) for s in measured.segments] == [("NNA", ("b", "a")), ("CPU", ("c",))]


def test_neighbouring_subgraphs_stay_apart() -> None:
    cut_segments = segments_of((op("s_0", 1.0), op("s_1", 2.0)))
    assert [s.name for s in cut_segments] == ["s_0", "s_1"]


def test_several_threads_are_noted_because_latency_then_holds_waiting() -> None:
    measured = profile(Latency(200.0, threads=4), OPS)
    assert any("4 threads" in note and "1000 / latency" in note for note in measured.notes)


def test_estimated_ops_make_an_estimated_profile() -> None:
    marked = OpTime("s", "subgraph", "BPU", "compute", 5.0, estimated=True)
    assert profile(Latency(9.0), (marked,)).estimated and not profile(Latency(9.0), OPS).estimated


def test_a_latency_alone_is_a_profile_that_attributes_nothing() -> None:
    measured = profile(Latency(9.0), ())
    assert measured.unattributed_us == 0.0 and measured.split_us == {} and "only the end-to-end" in measured.notes[0]


def test_console_to_profile_in_one_go(tmp_path: Path) -> None:
    (tmp_path / "profiler.log").write_text(profiler_log())
    latency = HBDNN.read_latency(tmp_path, perf_console())
    assert latency is not None
    measured = profile(latency, HBDNN.read_ops(tmp_path, ""), folder=tmp_path)
    assert measured.split_us == {"BPU": 1750.0, "CPU": 125.0, "layout": 46.875, "other": 15.625, "quantize": 93.75}
    assert measured.unattributed_us == pytest.approx(2500.0 - 2031.25)
    assert measured.source == tmp_path.name


# --------------------------------------------------------------------------- cutting graphs


@st.composite
def networks(draw: st.DrawFn) -> tuple[Graph, set[str]]:
    count = draw(st.integers(1, 12))
    ops = []
    for index in range(count):
        before = draw(st.lists(st.integers(0, index - 1), max_size=3, unique=True)) if index else []
        ops.append(Op(f"o{index}", "Op", tuple(f"t{b}" for b in before) or ("x",), (f"t{index}",)))
    outside = {o.name for o in ops if draw(st.booleans())}
    return Graph(tuple(ops), ("x",), (f"t{count - 1}",)), outside


@given(networks())
def test_pieces_hold_every_op_once_and_never_wait_for_themselves(case: tuple[Graph, set[str]]) -> None:
    graph, outside = case
    pieces = cut_graph(graph, lambda o: o.name in outside)
    assert sorted(o.name for p in pieces for o in p.ops) == sorted(o.name for o in graph.ops)
    place = {o.name: i for i, p in enumerate(pieces) for o in p.ops}
    maker = {tensor: o for o in graph.ops for tensor in o.outputs}
    for piece in pieces:
        assert not piece.outside or len(piece.ops) == 1
        for each in piece.ops:
            for tensor in each.inputs:
                assert tensor not in maker or place[maker[tensor].name] <= place[each.name]

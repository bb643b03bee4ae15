"""No row of a node table is lost: neither among equal rows, nor between a log and the files beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.diagnosis.plan import join
from harness.records import Comparison, Coverage, Layer, Verdict
from harness.toolchains import read_any
from harness.toolchains.horizon.files import read_quant_info
from harness.toolchains.horizon.log import read_build_log
from harness.toolchains.records import PlannedNode
from harness.toolchains.same_nodes import match_nodes, merge_nodes
from tests.support.toolchain_samples import TOOLCHAIN, record, sample, table

HEADER = ["Node", "ON", "Subgraph", "Type", "Cosine Similarity", "Threshold", "DataType"]
WIDTH = 50  # characters that the tool leaves of a name
ROW_IN_TEXT = re.compile(r"(?<=\S)\s+(?:BPU|CPU)\s+(?:id\(\d+\)|--)\s+[A-Z]\w+")


def cut(name: str) -> str:
    return name if len(name) <= WIDTH else "..." + name[-(WIDTH - 3) :]


def node_table(nodes: list[tuple[str, str, str, str]], title: str = "The main quantized node information:") -> str:
    """(full name, type, cosine, threshold) as the tool prints them."""
    return table(title, HEADER, [[cut(n), "BPU", "id(0)", kind, c, t, "int8"] for n, kind, c, t in nodes])


def log_of(*tables: str) -> str:
    return "\n".join([record("hb_mapper version 1.24.3"), *tables, record("End Model Convert")]) + "\n"


def quant_info(nodes: list[tuple[str, str, str, str]]) -> str:
    entries = {
        name: {"type": kind, "inputs": [], "outputs": [], "thresholds": [[float(t)]], "cosine_similarity": c}
        for name, kind, c, t in nodes
        if c != "--"
    }
    return json.dumps(entries)


def block(index: int, op: str = "Softmax_reciprocal") -> str:
    return f"/model.0/encoder/blocks.{index}/attention/self_attention/scores/{op}"


@pytest.mark.parametrize("path", sorted(TOOLCHAIN.glob("*")) or [TOOLCHAIN / "none"], ids=lambda path: path.name)
def test_a_real_log_has_as_many_nodes_as_rows(path: Path) -> None:
    text = sample(path.name).read_text("utf-8", errors="replace")
    rows = len([line for line in text.splitlines() if ROW_IN_TEXT.search(line)])
    artifact = read_any(path) if rows else None
    assert rows == (len(artifact.nodes) if artifact else 0)


def test_rows_that_are_equal_in_every_cell_are_all_nodes() -> None:
    nodes = [(block(i), "HzLut", "1.000000", "3.25") for i in range(7)]
    log = read_build_log(log_of(node_table([("/stem/Conv", "HzConv", "0.99", "1.5"), *nodes])))
    assert len({node.name for node in log.nodes}) == 2
    assert len(log.nodes) == 8


def test_only_a_table_that_is_repeated_as_a_whole_counts_once() -> None:
    nodes = [(block(i), "HzLut", "0.990000", "3.25") for i in range(3)]
    log = read_build_log(log_of(node_table(nodes), node_table(nodes)))
    assert len(log.nodes) == 3
    assert any("printed 2 times" in problem for problem in log.problems)


def test_a_console_that_prints_each_line_twice_has_each_node_once() -> None:
    nodes = [(block(i), "HzLut", "0.990000", "3.25") for i in range(3)]
    text = log_of(node_table(nodes))
    doubled = "".join(line + "\n" + line + "\n" for line in text.splitlines())
    assert read_build_log(doubled).nodes == read_build_log(text).nodes


def test_two_tables_of_one_network_are_one_list_of_nodes() -> None:
    """The table before quantization and the one after it: rows meet, also those whose names are cut."""
    nodes = [(block(i), "HzLut", "0.99000" + str(i), "3.25") for i in range(3)]
    first = node_table([(n, k, "--", "--") for n, k, _, _ in nodes], "The converted model node information:")
    log = read_build_log(log_of(first, node_table([*nodes, ("/head/Conv", "HzConv", "0.950000", "2.5")])))
    assert [node.cosine for node in log.nodes] == [0.99, 0.990001, 0.990002, 0.95]


def test_cut_rows_meet_full_names_by_cosine_and_threshold_whatever_their_order() -> None:
    nodes = [(block(0), "HzLut", "0.910000", "3.25"), (block(1), "HzLut", "0.820000", "7.5")]
    log, beside = read_build_log(log_of(node_table(nodes))), read_quant_info(quant_info(nodes[::-1]))
    merged = merge_nodes([log.nodes, beside.nodes])
    assert [(node.name, node.cosine, node.unit) for node in merged] == [
        (block(0), 0.91, "BPU"),
        (block(1), 0.82, "BPU"),
    ]


def test_cut_rows_with_equal_figures_meet_full_names_in_order() -> None:
    nodes = [(block(i), "HzLut", "1.000000", "3.25") for i in range(12)]
    merged = merge_nodes([read_build_log(log_of(node_table(nodes))).nodes, read_quant_info(quant_info(nodes)).nodes])
    assert [node.name for node in merged] == [block(i) for i in range(12)]


def test_a_choice_that_nothing_supports_is_not_made() -> None:
    """One row, two names that fit it alike: it stays a node without a full name."""
    row = PlannedNode("...attention/scores/Softmax_reciprocal", "BPU", "HzLut")
    names = [PlannedNode(f"/blocks.{i}/attention/scores/Softmax_reciprocal", "", "HzLut") for i in (0, 1)]
    assert match_nodes([row], names) == {}
    assert len(merge_nodes([[row], names])) == 3


def test_the_plan_of_a_run_has_every_node() -> None:
    nodes = [(block(i), "HzLut", "--", "--") for i in range(5)] + [(block(9, "Add"), "HzAdd", "0.700000", "1.5")]
    log = read_build_log(log_of(node_table(nodes)))
    layer = Layer(0, "sum", block(9, "Add"), "Add", "differs", unit="BPU")
    comparison = Comparison(Verdict("diverges", "", 1), Coverage(1, 1, 1, 1), (layer,))
    plan = join([(Path("hb_mapper_makertbin.log"), log)], None, comparison)
    assert plan is not None and len(plan.rows) == 6
    assert plan.rows[5].board_verdict == "differs", "a cut name that fits one layer is that layer's"


FIGURES = st.sampled_from(["--", "1.000000", "0.990000", "0.500000"])
NODES = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["Softmax", "Add", "x"]), FIGURES), max_size=30)


@given(NODES, st.integers(0, 3))
def test_tables_of_any_names_lose_no_node(drawn: list[tuple[int, str, str]], repeats: int) -> None:
    named = [(f"{block(i, op)}_{j if op == 'x' else 0}", "HzLut", c, "--") for j, (i, op, c) in enumerate(drawn)]
    unique = list({name: (name, kind, c, t) for name, kind, c, t in named}.values())
    log = read_build_log(log_of(*[node_table(unique)] * (1 + repeats)) if unique else log_of())
    assert len(log.nodes) == len(unique)
    beside = [PlannedNode(name, "", kind, cosine=None if c == "--" else float(c)) for name, kind, c, _ in unique]
    pairs = match_nodes(log.nodes, beside)
    assert len(set(pairs.values())) == len(pairs)
    assert {node.name for node in beside} <= {node.name for node in merge_nodes([log.nodes, beside])}

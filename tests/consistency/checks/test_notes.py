"""What the origins together say that none of them says alone."""

from __future__ import annotations

import pytest

from harness.consistency.checks.notes import after_localization
from harness.records import Graph, Layer, Metrics, Op, Origin


@pytest.mark.parametrize(("mismatched", "doubted"), [(4, False), (5, True), (100, True)])
def test_a_dump_is_doubted_where_much_of_it_differs_and_all_behind_it_is_equal(mismatched: int, doubted: bool) -> None:
    """A few wrong elements may be lost in the next op's rounding: then the op is wrong, and its file is right."""
    graph = Graph((Op("A", "Relu", ("x",), ("a",)), Op("B", "Relu", ("a",), ("b",))), ("x",), ("b",))
    layers = [
        Layer(0, "a", "A", "Relu", "differs", metrics=Metrics(100, mismatched)),
        Layer(1, "b", "B", "Relu", "exact"),
    ]
    message = list(after_localization(graph, layers, [Origin("A", "Relu", "a")]))
    assert any("more likely wrong" in one for one in message) is doubted

"""Half precision in archives that tell no ops: a cast that the graph does not hold hands on what it was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from harness.consistency.compare import CompareSettings, compare
from harness.consistency.reading.readings import choose
from harness.records import Comparison
from harness.reference.open import open_reference

F32 = npt.NDArray[np.float32]
SHAPE = (1, 4, 16, 16)
FACTOR = 1.0371  # so that every bit of half precision is used


def half(values: npt.NDArray[np.float64]) -> F32:
    return values.astype(np.float16).astype(np.float32)


def network(folder: Path) -> Path:
    """relu -> minus a constant -> times a constant."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "relu_a"),
        helper.make_node("Sub", ["a", "c"], ["b"], "minus"),
        helper.make_node("Mul", ["b", "d"], ["y"], "times"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("x", "y")]
    constants = [numpy_helper.from_array(np.float32(value), name) for name, value in (("c", 4.0), ("d", FACTOR))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "net.onnx")
    return folder / "net.onnx"


def archives(folder: Path, cast: float = 1.0) -> None:
    """Reference and board; the board's `a` is off by what half precision may be, which the subtraction makes larger."""
    rng = np.random.default_rng(5)
    x = (4.2 + rng.exponential(6, SHAPE)).astype(np.float32)
    noise = half(x * (1 + rng.normal(0, 1.7e-3, SHAPE)))
    for name, a in (("reference", half(x.astype(np.float64))), ("board", noise)):
        b = half(a.astype(np.float64) - 4)
        factor = cast if name == "board" else 1.0
        y = half(b.astype(np.float64) * FACTOR)
        np.savez(folder / f"{name}.npz", x=x, a_Relu=a, b_Sub=b, b_Sub_f32=b * np.float32(factor), y_Mul=y)


def judged(folder: Path, graph: Path | None) -> Comparison:
    reference = open_reference(folder / "reference.npz", graph=graph)
    choice = choose(reference, folder / "board.npz")
    return compare(reference, choice.candidate.dumps, CompareSettings(reading=choice.reading, model=graph))


def test_a_cast_that_hands_on_what_it_was_given_is_not_blamed(tmp_path: Path) -> None:
    archives(tmp_path)
    comparison = judged(tmp_path, network(tmp_path))
    assert [row.name for row in comparison.layers if row.verdict == "differs"], "the noise must exceed the limit"
    assert comparison.origins == (), [origin.tensor for origin in comparison.origins]


def test_a_cast_that_gives_something_else_is(tmp_path: Path) -> None:
    archives(tmp_path, cast=1.25)
    assert [origin.tensor for origin in judged(tmp_path, network(tmp_path)).origins] == ["b_Sub_f32"]

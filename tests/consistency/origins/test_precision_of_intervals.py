"""The precision of a board that dumped the outputs only, each of them as float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from harness.consistency.arithmetic import BF16, rounded
from harness.consistency.compare import compare
from harness.consistency.origins.single_precision import TRIALS, _correlated
from harness.dumps.folders import read_dumps
from harness.reference.open import Reference, open_session, run_reference
from tests.support.nets import tiny_model

Array = np.ndarray[Any, Any]
SHAPE, DEPTH = (1, 6, 12, 12), 4
RNG = np.random.default_rng(0)
WEIGHTS = [RNG.normal(0, 0.25, (6, 6, 3, 3)).astype(np.float32) for _ in range(DEPTH)]


def convolutions(weights: list[Array], output: str) -> onnx.ModelProto:
    nodes = []
    for i in range(DEPTH):
        given = [f"r{i - 1}" if i else "x", f"w{i}"]
        nodes.append(helper.make_node("Conv", given, [f"c{i}"], f"conv{i}", pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu" if i < DEPTH - 1 else "Tanh", [f"c{i}"], [f"r{i}"], f"relu{i}"))
    return tiny_model(nodes, {"x": list(SHAPE)}, [output], **{f"w{i}": w for i, w in enumerate(weights)})


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("convolutions")
    onnx.save(convolutions(WEIGHTS, f"r{DEPTH - 1}"), folder / "m.onnx")
    return run_reference(folder / "m.onnx", {"x": np.asarray(RNG.normal(0, 1, SHAPE), np.float32)}, folder / "pc")


def board_of(reference: Reference, weights: list[Array], narrow: bool) -> Array:
    """The output; `narrow`: weights and every second result are rounded to bf16, as a runtime with fused ops does."""
    value = np.array(reference.tensors["x"].load())
    weights = [rounded(w, BF16) if narrow else w for w in weights]
    session = None
    for i in range(DEPTH):
        kind = "Relu" if i < DEPTH - 1 else "Tanh"
        nodes = [
            helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node(kind, ["c"], ["y"]),
        ]
        session = open_session(tiny_model(nodes, {"x": list(SHAPE)}, ["y"], w=weights[i]), Path("m"), "all")
        value = session.run(["y"], {"x": rounded(value, BF16).astype(np.float32) if narrow and i % 2 else value})[0]
    return value


def some_weights_wrong() -> list[Array]:
    wrong = [w.copy() for w in WEIGHTS]
    wrong[1][2] *= np.float32(1.02)
    return wrong


@pytest.mark.parametrize(("narrow", "wrong", "code"), [(True, False, 0), (False, True, 1), (True, True, 1)])
def test_outputs_show_what_the_board_rounded_to_and_a_wrong_op_stays_wrong(
    narrow: bool, wrong: bool, code: int, reference: Reference, tmp_path: Path
) -> None:
    weights = some_weights_wrong() if wrong else WEIGHTS
    if wrong and narrow:
        weights = [w * np.float32(1.5) if i == 1 else w for i, w in enumerate(WEIGHTS)]
    np.save(tmp_path / f"r{DEPTH - 1}.npy", board_of(reference, weights, narrow))
    comparison = compare(reference, read_dumps(tmp_path))
    assert comparison.verdict.exit_code == code
    assert ("judged as bfloat16" in comparison.verdict.detail) is (narrow and not wrong)


def errors(seed: int) -> Array:
    return np.random.default_rng(seed).normal(0, 1e-3, 1024)


@pytest.mark.parametrize(
    ("error", "explained"),
    [
        (0.6 * errors(1) + errors(9), True),  # of the same precision, other sums
        (errors(9), False),
        (40 * errors(1), False),  # of another size
        (errors(1) + errors(2), False),  # of either precision: both go where the network is sensitive
        (errors(1)[:64], False),  # chance
    ],
)
def test_an_error_that_goes_along_with_one_precision_shows_it(error: Array, explained: bool) -> None:
    moves = [errors(1 if precision is BF16 else 2)[: error.size] for precision, _ in TRIALS]
    explanations = _correlated(error, moves)
    assert bool(explanations) is explained and {precision for precision, _ in explanations} <= {BF16}

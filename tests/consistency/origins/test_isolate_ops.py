"""Single ops run on this PC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from harness.consistency.compare import compare
from harness.consistency.origins.isolate import Isolator, Request
from harness.dumps.folders import read_dumps
from harness.reference.open import Reference, run_reference
from tests.support.nets import (
    board_folder,
    tiny_model,
)


def test_every_op_alone_on_its_own_inputs_gives_the_references_values(transformer: Reference) -> None:
    assert transformer.model is not None and transformer.graph is not None
    isolator = Isolator(transformer.model)
    values = {t.name: np.array((t.alternate or t).load()) for t in transformer.tensors.values()}
    requests = [Request(o.outputs[0], {n: values[n] for n in o.inputs}) for o in transformer.graph.ops]
    for request, value in isolator.run(requests):
        assert value is not None and np.array_equal(value, values[request.target]), request.target
    assert len(isolator.sessions) == 1 and isolator.problems == []
    list(isolator.run(requests))
    assert len(isolator.sessions) == 1  # kept


def test_a_stretch_of_ops_is_run_as_one(cnn: Reference) -> None:
    assert cnn.model is not None
    fed = np.array(cnn.tensors["relu1_out"].load())
    [(_, value)] = Isolator(cnn.model).run([Request("logits", {"relu1_out": fed})])
    assert value is not None and np.array_equal(value, cnn.tensors["logits"].load())


def test_hundreds_of_ops_run_alone_with_few_files_open(tmp_path: Path) -> None:
    import resource

    nodes = [helper.make_node("Neg", [f"t{i}"], [f"t{i + 1}"], name=f"neg{i}") for i in range(400)]
    onnx.save(tiny_model(nodes, {"t0": [4]}, ["t400"]), tmp_path / "long.onnx")
    reference = run_reference(tmp_path / "long.onnx", {"t0": np.ones(4, np.float32)}, tmp_path / "reference")
    twice = {n: (lambda x: (2 * x).astype(np.float32)) for n in reference.tensors if n != "t0"}
    dumps = read_dumps(board_folder(tmp_path / "board", reference, twice))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        comparison = compare(reference, dumps)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [o.op for o in comparison.origins] == ["neg0"]
    assert sum(layer.single is not None for layer in comparison.layers) == 399


def test_what_cannot_be_run_alone_says_why_and_stops_nobody_else(cnn: Reference) -> None:
    assert cnn.model is not None
    fed = np.array(cnn.tensors["relu1_out"].load())
    isolator = Isolator(cnn.model)
    requests = [Request("relu3_out", {}), Request("relu3_out", {"relu1_out": fed.astype(np.float32)})]
    results = list(isolator.run([*requests, Request("relu3_out", {"relu1_out": fed})]))
    assert [value is None for _, value in results] == [True, True, False]
    assert any("images" in p for p in isolator.problems) and any("float32" in p for p in isolator.problems)

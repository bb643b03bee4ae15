"""Inputs of both sides before an op is blamed: what the models themselves tell, and what the files of a run hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.platforms import load
from harness.records import Case, Comparison, FedInput, Finding, ModelInfo, Run, TensorSpec
from harness.records.run import CaseOfRun
from harness.reference.open import run_reference
from harness.review import preflight
from harness.review.case_reference import CaseReference
from tests.support.builds import harness_here
from tests.support.diagnosis_kit import compared, layer

PICTURE = (1, 3, 24, 16)
Inputs = dict[str, tuple[int, ...]]


def adder(path: Path, inputs: Inputs, name: str = "net") -> Path:
    """A model that adds its inputs, in that order."""
    names = list(inputs)
    nodes = [helper.make_node("Identity", [names[0]], ["y"], "same")]
    if len(names) > 1:
        nodes = [helper.make_node("Add", names, ["y"], "add")]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in inputs.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, name, values, [output])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def board_of(inputs: Inputs, name: str = "net", models: Sequence[str] = ()) -> ModelInfo:
    specs = tuple(TensorSpec(n, "f32", shape, "NCHW") for n, shape in inputs.items())
    return ModelInfo(name, inputs=specs, input_types=("F32",) * len(specs), models_in_file=tuple(models))


class FedCase:
    """A case in a folder: a model of the board, an ONNX or a reference folder, and what was fed."""

    def __init__(self, folder: Path, board: ModelInfo, reference: Path, fed: dict[str, np.ndarray[Any, Any]]) -> None:
        self.folder, self.board = folder, board
        (folder / "inputs").mkdir(exist_ok=True)
        for name, values in fed.items():
            values.tofile(folder / "inputs" / f"{name}.bin")
        self.inputs = tuple(FedInput(name, name=f"{name}.bin", file=f"inputs/{name}.bin") for name in fed)
        self.case = Case("net", folder / "net.bin", reference=str(reference))

    def findings(self, comparison: Comparison | None = None, by_order: bool = False) -> tuple[Finding, ...]:
        given = tuple(("" if by_order else one.tensor, self.folder / one.file) for one in self.inputs)
        expected = CaseReference(replace(self.case, inputs=given), load("hbdnn"), lambda *_: None)
        run = Run(case=CaseOfRun(inputs=self.inputs), model_info=self.board)
        from harness.review.case_reference import Fed

        fed = [Fed(one.tensor, self.folder / one.file) for one in self.inputs]
        expected.open(self.board, fed, self.folder / "scratch")
        views = preflight.views(self.folder, run, expected)
        return preflight.findings(views, run, expected, comparison)

    def rules(self, comparison: Comparison | None = None, by_order: bool = False) -> list[str]:
        return [one.rule for one in self.findings(comparison, by_order)]


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


BAD = compared(layer(0, "differs"), word="diverges")
GOOD = compared(layer(0, "exact"), word="consistent")
PAIR: Inputs = {"left": PICTURE, "right": PICTURE}


def test_models_that_agree_say_nothing(tmp_path: Path) -> None:
    """The near miss of I-104, I-111 and I-116."""
    onnx_file = adder(tmp_path / "q.onnx", PAIR)
    tried = FedCase(tmp_path, board_of(PAIR), onnx_file, {name: noise(PICTURE) for name in PAIR})
    assert tried.rules(BAD) == [] and tried.rules(BAD, by_order=True) == []


def test_inputs_by_order(tmp_path: Path) -> None:
    """I-111: the compiled model has them the other way round, and nobody named them."""
    onnx_file = adder(tmp_path / "q.onnx", PAIR)
    tried = FedCase(
        tmp_path, board_of({"right": PICTURE, "left": PICTURE}), onnx_file, dict.fromkeys(PAIR, noise(PICTURE))
    )
    (look,) = tried.findings(by_order=True)
    assert (look.rule, look.severity) == ("I-111", "warning")
    assert look.evidence == "compiled model: right, left; q.onnx: left, right" and "--input right=" in look.advice


def test_inputs_by_name(tmp_path: Path) -> None:
    """The near miss of I-111: they were named, or no two have one shape; the order is a note (I-116)."""
    onnx_file = adder(tmp_path / "q.onnx", PAIR)
    turned = board_of({"right": PICTURE, "left": PICTURE})
    tried = FedCase(tmp_path, turned, onnx_file, dict.fromkeys(PAIR, noise(PICTURE)))
    assert [(one.rule, one.severity) for one in tried.findings()] == [("I-116", "note")]
    mixed: Inputs = {"left": PICTURE, "right": (1, 3, 1, 1)}
    other = adder(tmp_path / "o.onnx", mixed)
    fed = {name: noise(shape) for name, shape in mixed.items()}
    assert FedCase(tmp_path, board_of(dict(reversed(mixed.items()))), other, fed).rules(by_order=True) == ["I-116"]


def test_another_layout_is_told(tmp_path: Path) -> None:
    """I-116: harness turns what it feeds, other scripts have to."""
    onnx_file = adder(tmp_path / "q.onnx", {"images": (1, 24, 16, 3)})
    tried = FedCase(tmp_path, board_of({"images": PICTURE}), onnx_file, {"images": noise(PICTURE)})
    (look,) = tried.findings()
    assert look.rule == "I-116" and "1x3x24x16 in the compiled model, 1x24x16x3 in q.onnx" in look.evidence


def test_another_batch_is_told(tmp_path: Path) -> None:
    """I-104, of an ONNX beside the model."""
    run_reference(adder(tmp_path / "q.onnx", {"images": PICTURE}), {"images": noise(PICTURE)}, tmp_path / "ref")
    adder(tmp_path / "net_quantized_model.onnx", {"images": PICTURE})
    four = (4, *PICTURE[1:])
    tried = FedCase(tmp_path, board_of({"images": four}), tmp_path / "ref", {"images": noise(four)})
    assert tried.rules(BAD) == ["I-104"]


# --------------------------------------------------------------------------- packed files


def packed(folder: Path, reference: str, board: str, same_inputs: bool = False, graph: str = "net") -> FedCase:
    names = {"det": "images", "reid": "images" if same_inputs else "crop"}
    which = "reid" if "reid" in reference or graph == "reid" else "det"
    onnx_file = adder(folder / reference, {names[which]: PICTURE}, graph)
    info = board_of({names[board]: PICTURE}, board, ("det", "reid"))
    return FedCase(folder, info, onnx_file, {names[board]: noise(PICTURE)})


@pytest.mark.parametrize("same_inputs", [False, True])
def test_another_model_of_the_file_is_named(same_inputs: bool, tmp_path: Path) -> None:
    """I-101, by the name of the reference and by the names of its inputs."""
    for file in ("reid_quantized_model.onnx", "net_reid_quantized_model.onnx"):
        (look,) = packed(tmp_path, file, "det", same_inputs).findings(BAD)
        assert (look.rule, look.severity, look.subject) == ("I-101", "error", "reid")
        assert "--model-name reid" in look.advice and ("its inputs: crop" in look.evidence) is not same_inputs


def test_another_model_by_its_graph_or_its_inputs_alone(tmp_path: Path) -> None:
    assert packed(tmp_path, "b.onnx", "det", same_inputs=True, graph="reid").rules(BAD) == ["I-101"]
    assert packed(tmp_path, "b.onnx", "reid", graph="net").rules(BAD) == ["I-101"]  # takes `images`, not `crop`


def test_the_right_model(tmp_path: Path) -> None:
    """The near miss of I-101: the right reference, a wrong board; another's name, all equal; a file of one model."""
    assert packed(tmp_path, "det_quantized_model.onnx", "det").rules(BAD) == []
    assert packed(tmp_path, "reid_quantized_model.onnx", "det").rules(GOOD) == []
    tried = packed(tmp_path, "reid_quantized_model.onnx", "det")
    tried.board = replace(tried.board, models_in_file=("det",))
    assert tried.rules(BAD) == []


def test_nothing_is_compared_with_another_model() -> None:
    other = Finding("I-101", "error", "another model of this file?", "det ran", "", "reid")
    settled = preflight.settled(BAD, [other])
    assert settled is not None and (settled.verdict.word, settled.verdict.exit_code) == ("not_comparable", 3)
    assert not settled.origins and preflight.settled(BAD, []) is BAD


# --------------------------------------------------------------------------- what was fed, on a board


def smooth(seed: int = 0) -> np.ndarray[Any, Any]:
    y, x = np.mgrid[0 : PICTURE[2], 0 : PICTURE[3]]
    planes = np.stack([np.sin(x / 5 + seed), np.cos(y / 7), np.sin((x + y) / 9)])[None]
    return (planes + np.random.default_rng(seed).normal(0, 0.05, PICTURE)).astype(np.float32)


@pytest.mark.slow
def test_the_first_lines_name_the_input_and_no_op_is_blamed(tmp_path: Path) -> None:
    """A release run, whose board dumps no input: the reference was fed channels-last bytes."""
    node = helper.make_node("Conv", ["images", "w"], ["y"], "conv")
    weights = onnx.numpy_helper.from_array(np.random.default_rng(1).normal(0, 1, (4, 3, 1, 1)).astype(np.float32), "w")
    values = [helper.make_tensor_value_info("images", TensorProto.FLOAT, PICTURE)]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4, *PICTURE[2:]))
    graph = helper.make_graph([node], "m", values, [output], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "m.onnx")
    (tmp_path / "cal").mkdir()
    for i in range(3):
        np.save(tmp_path / "cal" / f"{i}.npy", smooth(i))
    smooth().tofile(tmp_path / "good.bin")
    smooth().transpose(0, 2, 3, 1).tofile(tmp_path / "last.bin")
    harness_here("emulator", "build", "m.onnx", "--soc", "x5", "--calibration", "cal", cwd=tmp_path)
    reference = ("reference", "m_quantized_model.onnx", "--input", "images=last.bin", "-o", "ref")
    assert harness_here(*reference, cwd=tmp_path).returncode == 0
    words = ["run", "--board", "emu-x5", "m.bin", "--mode", "release", "--wait", "120"]
    result = harness_here(*words, "--input", "good.bin", "--reference", "ref", cwd=tmp_path)
    head = result.stdout.splitlines()[:3]
    assert result.returncode == 1 and "the reference's bytes of images lie as NHWC" in head[1], result.stdout
    (run,) = tmp_path.glob("runs/*/*/*/run.json")
    record = json.loads(run.read_text())
    assert record["findings"][0]["rule"] == "I-103" and record["findings"][0]["source"]
    assert {origin["op_kind"] for origin in record["comparison"]["origins"]} == {"input"}
    assert record["steps"][0]["state"] == "done" and "I-103" in record["steps"][0]["detail"]
    page = run.with_name("report.html").read_text()
    assert "the reference&#39;s bytes of images lie as NHWC" in page and 'id="steps"' in page
    again = harness_here(*words, "--input", "last.bin", "--reference", "m_quantized_model.onnx", cwd=tmp_path)
    assert again.returncode == 0 and "look like another layout" in again.stdout.splitlines()[2]
    fine = harness_here(*words, "--input", "good.bin", "--reference", "m_quantized_model.onnx", cwd=tmp_path)
    assert fine.returncode == 0 and "I-1" not in fine.stdout

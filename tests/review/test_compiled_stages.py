"""A compiled model beside the board's as a stage, or as the reference of a build that leaves no quantized ONNX."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from harness.platforms import load
from harness.records import Case, ModelInfo, ReferenceRuntime, TensorSpec
from harness.review.case_reference import CaseReference, Fed
from harness.review.chosen_stages import ChosenStages, with_beside
from harness.review.judge import check_before
from tests.support.vendor_models import plain_model, stand_in_environment

INFO = ModelInfo("net", inputs=(TensorSpec("x", "f32", (1, 4)),))
PYTHON = ReferenceRuntime(python=sys.executable)
NOTHING = ChosenStages("", "", ())


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a toolchain without a quantized ONNX leaves; its runtime can be imported by another interpreter."""
    for name, value in stand_in_environment("newer").items():
        monkeypatch.setenv(name, value)
    plain_model(tmp_path / "net_original_float_model.onnx")
    (tmp_path / "net_quantized_model.bc").write_text("stand-in x y")
    (tmp_path / "net.hbm").write_text("model")
    (tmp_path / "x.bin").write_bytes(np.array([-1, 0, 1, 2], np.float32).tobytes())
    return tmp_path / "net.hbm"


def test_without_its_runtime_it_is_left_out_with_the_reason(build: Path) -> None:
    chosen = with_beside(build, "", NOTHING)
    assert chosen.reference == "" and "need HBRuntime, not installed" in chosen.left_out["compiled"]


def test_it_is_the_reference_where_there_is_no_quantized_onnx(build: Path) -> None:
    chosen = with_beside(build, "", NOTHING, PYTHON)
    assert Path(chosen.reference).name == "net_quantized_model.bc" and chosen.automatic.keys() == {"reference", "float"}
    case = Case("net", build, reference=chosen.reference, floats=chosen.floats, reference_runtime=PYTHON)
    expected = CaseReference(check_before(case), load("ucp"), lambda *_: None)
    fed = [Fed("x", build.parent / "x.bin")]
    expected.open(INFO, fed, build.parent / "reference")
    expected.open_stages(INFO, fed, build.parent)
    assert expected.reference is not None and expected.reference.kind == "compiled" and not expected.left_out
    assert expected.reference.tensors["y"].load().tolist() == [[-2, 0, 2, 4]]
    assert expected.floats is not None and expected.floats.tensors["y"].load().tolist() == [[0, 0, 2, 4]]


def test_beside_a_quantized_onnx_it_is_a_stage_and_what_cannot_be_fed_is_said(build: Path) -> None:
    plain_model(build.with_name("net_quantized_model.onnx"))
    chosen = with_beside(build, "", NOTHING, PYTHON)
    assert [name for name, _ in chosen.others] == ["compiled"] and chosen.reference.endswith(".onnx")
    case = Case("net", build, reference=chosen.reference, stages=chosen.others, reference_runtime=PYTHON)
    fed = [Fed("x", build.parent / "x.bin")]
    expected = CaseReference(case, load("ucp"), lambda *_: None)
    expected.open(INFO, fed, build.parent / "reference")
    expected.open_stages(ModelInfo("net"), fed, build.parent)
    assert "its shape on the board is not known" in expected.left_out.pop("compiled")
    expected.open_stages(INFO, fed, build.parent)
    assert list(expected.stages) == ["compiled"] and not expected.left_out


def test_folders_of_tensors_are_the_stages_of_a_build_that_leaves_no_models(tmp_path: Path) -> None:
    model = tmp_path / "net.bin"
    model.write_text("model")
    assert with_beside(model, "", NOTHING) == NOTHING
    for place in ("result/path/float_model", "result/path/ptq_model", "magik_dump_path/ptq_model"):
        (tmp_path / place).mkdir(parents=True)
    chosen = with_beside(model, "", NOTHING)
    assert chosen.reference == str(tmp_path / "magik_dump_path/ptq_model")
    assert chosen.floats == str(tmp_path / "result/path/float_model") and set(chosen.automatic.values()) == {
        "by their folder"
    }
    plain_model(tmp_path / "net_quantized_model.onnx")  # what is named after the model goes before
    assert with_beside(model, "", NOTHING).reference == str(tmp_path / "net_quantized_model.onnx")

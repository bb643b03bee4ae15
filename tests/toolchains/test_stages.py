"""Which models of a build belong to a compiled one, and what the build does with its pixels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
import pytest
from onnx import helper

from harness.records import BuiltPixels
from harness.toolchains.stages import built_pixels, pixels_of, stages_beside
from tests.support.nets import tiny_model

ENDINGS = {
    "float": "original_float_model.onnx",
    "optimized": "optimized_float_model.onnx",
    "calibrated": "calibrated_model.onnx",
}


def a_build(folder: Path, front: str, *more: str) -> Path:
    """A compiled model with all its stages beside it, every file with content of its own."""
    for ending in (*ENDINGS.values(), "quantized_model.onnx", *more):
        (folder / f"{front}_{ending}").write_bytes(f"{front} {ending}".encode())
    model = folder / f"{front}.bin"
    model.write_bytes(front.encode())
    return model


def listed(folder: Path, model: Path) -> Path:
    rows = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.iterdir())]
    path = model.with_suffix(".md5")
    path.write_text("".join(rows), encoding="utf-8")
    return path


def test_stages_belong_together_by_name(tmp_path: Path) -> None:
    model = a_build(tmp_path, "net")
    a_build(tmp_path, "net2")
    beside = stages_beside(model)
    assert beside.reference == tmp_path / "net_quantized_model.onnx" and beside.by == "by name"
    assert {name: path.name for name, path in beside.stages.items()} == {n: f"net_{e}" for n, e in ENDINGS.items()}
    assert list(beside.stages) == list(ENDINGS), "float comes first"


def test_with_a_list_of_md5s_they_belong_by_content_too(tmp_path: Path) -> None:
    model = a_build(tmp_path, "net")
    listed(tmp_path, model)
    assert stages_beside(model).by == "by name and md5" and len(stages_beside(model).stages) == 3
    (tmp_path / "net_calibrated_model.onnx").write_bytes(b"of a later build")
    beside = stages_beside(model)
    assert "not of this build" in beside.left_out["calibrated"] and "calibrated" not in beside.stages
    model.write_bytes(b"built again without its stages")
    beside = stages_beside(model)
    assert beside.reference is None and not beside.stages
    assert set(beside.left_out) == {*ENDINGS, "quantized"} and "another build" in beside.left_out["float"]


def test_a_packed_file_has_the_stages_of_the_chosen_model(tmp_path: Path) -> None:
    a_build(tmp_path, "pack_det")
    a_build(tmp_path, "pack_reid")
    model = tmp_path / "pack.bin"
    model.write_bytes(b"both")
    assert stages_beside(model).reference is None
    assert stages_beside(model, "reid").reference == tmp_path / "pack_reid_quantized_model.onnx"


def test_an_onnx_that_a_board_runs_as_it_is_has_no_stages(tmp_path: Path) -> None:
    a_build(tmp_path, "net")
    (tmp_path / "net.onnx").write_bytes(b"")
    assert stages_beside(tmp_path / "net.onnx").reference is None
    assert stages_beside(tmp_path / "other.bin").reference is None


CONFIG = """\
model_parameters:
  march: "bayes-e"
input_parameters:
  input_name: "image;points;depth"
  input_type_rt: "nv12;featuremap;gray"
  input_type_train: "bgr;featuremap;gray"
  mean_value: "103.5 116.3 123.7;;12"
  scale_value: "0.017 0.0175 0.0171;;0.5"
"""


def test_mean_and_scale_come_from_the_yaml(tmp_path: Path) -> None:
    config = tmp_path / "net.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    assert built_pixels([config, tmp_path / "absent.log"]) == {
        "image": BuiltPixels("bgr", (103.5, 116.3, 123.7), (0.017, 0.0175, 0.0171)),
        "depth": BuiltPixels("gray", (12.0,), (0.5,)),
    }


@pytest.mark.parametrize("line", ["mean_value: a b c", "std_value: 0 0 0"])
def test_numbers_that_are_none_say_nothing(line: str, tmp_path: Path) -> None:
    config = tmp_path / "net.yaml"
    text = f"input_parameters:\n  input_name: x\n  input_type_rt: nv12\n  input_type_train: rgb\n  {line}\n"
    config.write_text(text, encoding="utf-8")
    assert built_pixels([config]) == {}


@pytest.mark.parametrize(("name", "is_inside"), [("HZ_PREPROCESS_FOR_x", True), ("conv1", False)])
def test_a_model_that_holds_its_preprocessing_is_known_by_its_first_op(
    name: str, is_inside: bool, tmp_path: Path
) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["i"], "same"), helper.make_node("Relu", ["i"], ["y"], name)]
    onnx.save(tiny_model(nodes, {"x": [1, 3, 4, 4]}, ["y"]), str(tmp_path / "net.onnx"))
    known = {"x": BuiltPixels("bgr", (1.0,), (2.0,))}
    pixels = pixels_of(tmp_path / "net.onnx", known)
    assert pixels["x"] == BuiltPixels("bgr", (1.0,), (2.0,), is_inside)

"""Faults that are another build: what is changed before the vendor's compiler is called again, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.emulator.compiler.options import BuildRequest
from harness.emulator.sophgo import rebuilt
from harness.emulator.sophgo.faults import Planted, planted
from harness.emulator.sophgo.recipe import Recipe, read_recipe
from harness.emulator.sophgo.samples import pictures, takes_pixels
from harness.errors import InputError, UserError

TABLE = """\
# op_name    threshold    min    max
image 1.0000000 0.0000000 1.0000000
conv_Relu 3.0000000 -1.0000000 3.0000000
pool_MaxPool 3.0000000 -1.0000000 3.0000000
fc_Gemm 9.0000000 -9.0000000 5.0000000
"""
MLIR = """\
    %0 = "top.Input"(%arg0) {mean = [1.000000e+01, 2.000000e+00], pixel_format = "rgb", scale = [5.000000e-01, 1.0]}
#loc1 = loc("image")
#loc2 = loc("conv_Relu")
"""
INT8 = Recipe("bm1684x", "INT8")
PIXELS = Recipe("bm1684x", "INT8", pixels=True)


def mistake(text: str, folder: Path, recipe: Recipe = PIXELS) -> Recipe:
    (folder / "net_cali_table").write_text(TABLE)
    (folder / "net.mlir").write_text(MLIR)
    (fault,) = planted(text)
    return rebuilt.MISTAKES[fault.kind]("net", recipe, fault, folder)


def test_a_threshold_is_changed_with_those_that_follow_it(tmp_path: Path) -> None:
    """A pool hands its threshold back to its producer: one alone would have no effect."""
    mistake("built_calibration@conv_Relu:by=0.5", tmp_path)
    rows = [line.split() for line in (tmp_path / "net_cali_table").read_text().splitlines()]
    assert [row[1] for row in rows[1:]] == ["1.0000000", "1.5000000", "1.5000000", "9.0000000"]
    assert rows[2][2:] == ["-0.5000000", "1.5000000"]


def test_a_layers_type_is_a_line_of_the_quantize_table(tmp_path: Path) -> None:
    assert mistake("built_bf16@conv_Relu", tmp_path).layer_types == ("conv_Relu BF16",)
    assert mistake("built_int4@conv_Relu", tmp_path, INT8).layer_types == ("conv_Relu INT4",)


def test_pixels_are_normalised_otherwise(tmp_path: Path) -> None:
    mistake("built_mean:by=-3", tmp_path)
    assert "mean = [7.000000e+00, -1.000000e+00]" in (tmp_path / "net.mlir").read_text()
    mistake("built_scale:by=0.5", tmp_path)
    assert "scale = [2.500000e-01, 5.000000e-01]" in (tmp_path / "net.mlir").read_text()
    assert mistake("built_bgr", tmp_path).pixel_order == "BGR_PLANAR"


@pytest.mark.parametrize(
    ("text", "recipe", "why"),
    [
        ("built_calibration@con_Relu", INT8, "no such layer"),
        ("built_calibration@conv_Relu", Recipe("bm1684x", "F16"), "no calibration table"),
        ("built_bf16@con_Relu", INT8, "no such layer"),
        ("built_mean", INT8, "takes normalised floats"),
        ("built_bgr", INT8, "takes normalised floats"),
    ],
)
def test_what_cannot_be_planted_is_refused(tmp_path: Path, text: str, recipe: Recipe, why: str) -> None:
    with pytest.raises(UserError, match=why):
        mistake(text, tmp_path, recipe)


def test_a_faulty_model_is_one_of_the_model_and_its_faults(tmp_path: Path) -> None:
    model = tmp_path / "net.bmodel"
    model.write_bytes(b"good")
    one, other = planted("weight_bit@a:at=1"), planted("weight_bit@a:at=2")
    assert rebuilt.place_of(model, one) != rebuilt.place_of(model, other)
    assert rebuilt.place_of(model, one) == rebuilt.place_of(model, (*one, *planted("input_scaled:by=2")))
    assert rebuilt.actual(model, planted("input_scaled:by=2")) == model
    with pytest.raises(InputError, match="was not made on this PC"):
        rebuilt.actual(model, one)
    place = rebuilt.place_of(model, one)
    place.mkdir(parents=True)
    (place / "faulty_model.bmodel").write_bytes(b"bad")
    assert rebuilt.actual(model, one).read_bytes() == b"bad"


def test_a_model_without_its_neighbours_is_refused_with_what_to_build(tmp_path: Path) -> None:
    model = tmp_path / "net.bmodel"
    model.write_bytes(b"good")
    for text, error in (("weight_bit@a", UserError), ("built_bf16@a", InputError)):
        with pytest.raises(error) as caught:
            rebuilt.check(text, model)
        assert "harness emulator build" in (caught.value.hint or "")
    assert not list((rebuilt.place_of(model, planted("weight_bit@a"))).parent.glob(".making*"))


def test_a_recipe_is_what_was_kept(tmp_path: Path) -> None:
    recipe = Recipe("cv181x", "BF16", True, ("a BF16",))
    recipe.save(tmp_path / "net_build.json")
    assert read_recipe(tmp_path / "net_build.json") == recipe
    for text in ("", "[]", '{"soc": 1}', "[" * 100_000):
        (tmp_path / "net_build.json").write_text(text)
        with pytest.raises(InputError, match="no record of a build"):
            read_recipe(tmp_path / "net_build.json")


def test_every_fault_of_another_build_is_played() -> None:
    assert set(rebuilt.MISTAKES) == {
        "built_calibration", "built_bf16", "built_int4", "built_mean", "built_scale", "built_bgr",
    }  # fmt: skip
    assert all(rebuilt.of_the_file([Planted(kind, "a", {})]) for kind in rebuilt.MISTAKES)


def request(**given: object) -> BuildRequest:
    fields: dict[str, object] = {
        "soc": "bm1684x", "calibration": None, "types": (), "mean": "0", "var": "255", "scale": "1", "colour": "rgb",
        "shapes": (), "on_cpu": (), "on_accelerator": (), "output_type": "float", "debug_layers": True, "cores": 1,
        "seed": 0, "times_only": False, "int16": (), **given,
    }  # fmt: skip
    return BuildRequest(**fields)  # type: ignore[arg-type]


def test_a_model_takes_pixels_where_a_normalisation_is_given(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 6]) for name in ("x", "y")]
    node = helper.make_node("Relu", ["x"], ["y"], "r")
    model = helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:]), ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    assert not takes_pixels(request()) and takes_pixels(request(scale="0.5")) and takes_pixels(request(colour="bgr"))
    (tmp_path / "work").mkdir()
    made = pictures(tmp_path / "net.onnx", request(mean="1,2,3", scale="0.5", colour="bgr"), tmp_path / "work")
    assert made.pixel_words == ("--mean", "1,2,3", "--scale", "0.5,0.5,0.5", "--pixel_format", "bgr")
    assert (made.shapes, made.count, (tmp_path / "work" / made.first).is_file()) == ("[1,3,8,6]", 8, True)
    for bad in ({"mean": "1,2"}, {"scale": "x"}, {"scale": "2", "calibration": tmp_path / "work"}):
        (tmp_path / "again").mkdir(exist_ok=True)
        with pytest.raises((InputError, FileExistsError)):
            pictures(tmp_path / "net.onnx", request(**bad), tmp_path / "again")

"""Dump names, storage and inputs of the libdnn boards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.platforms import load
from harness.platforms.horizon.dumps import align_to_set
from harness.records import ModelInfo, Quantization, TensorSpec
from tests.support.horizon_fixtures import captured, feature, nv12, x5_info

HBDNN = load("hbdnn")

# --------------------------------------------------------------------------- dumps


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"\x00" * 8)


INFO = ModelInfo("m", outputs=(TensorSpec("_output_0", "f32", (1, 2)), TensorSpec("/head/conv", "f32", (1, 2))))


def test_model_outputs_are_joined_with_model_info_by_place_and_name(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "model_infer_output_0__output_0.bin",
        "model_infer_output_1__head_conv.bin",
        "model_infer_input_0_x.bin",
    )
    outputs = HBDNN.read_outputs(tmp_path, "", INFO)
    assert [(d.name, d.index, d.spec) for d in outputs] == [
        ("_output_0", 0, INFO.outputs[0]), ("/head/conv", 1, INFO.outputs[1]),
    ]  # fmt: skip


def test_outputs_in_another_order_go_by_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "model_infer_output_0__head_conv.bin", "model_infer_output_1__output_0.bin")
    outputs = HBDNN.read_outputs(tmp_path, "", INFO)
    assert [d.name for d in outputs] == ["/head/conv", "_output_0"]


def test_an_output_that_model_info_does_not_know_has_no_spec(tmp_path: Path) -> None:
    touch(tmp_path, "model_infer_output_0_strange.bin")
    (output,) = HBDNN.read_outputs(tmp_path, "", INFO)
    assert output.name == "strange" and output.spec is None


def test_the_old_tool_s_outputs_have_only_a_number(tmp_path: Path) -> None:
    touch(tmp_path, "model_infer_output_0.bin")
    info = ModelInfo("m", outputs=(TensorSpec("output[0]", "f32", (1, 2)),))
    (output,) = HBDNN.read_outputs(tmp_path, "", info)
    assert output.name == "output[0]" and output.spec == info.outputs[0]


def test_node_dumps_tell_layer_unit_node_and_tensor(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "layer-10-Softmax-soft-max_1-output-0-prob.bin",
        "layer-0-bpu-ResNet-18_subgraph_0-input-0-data.y0.data.bin",
        "layer-0-bpu-ResNet-18_subgraph_0-input-0-data.uv0.data.bin",
        "layer-0-bpu-ResNet-18_subgraph_0-output-0-fc_nhwc2nchw.bin",
        "layer-1-Dequantize-replaced_fc_HzDequantize-input-1-fc_x_scale.bin",
        "unrelated.bin",
        "layer-2-broken.bin",
    )
    dumps = {d.path.name: d for d in HBDNN.read_dumps(tmp_path, "", ModelInfo("m"))}
    assert len(dumps) == 5
    bpu = dumps["layer-0-bpu-ResNet-18_subgraph_0-output-0-fc_nhwc2nchw.bin"]
    assert (bpu.name, bpu.op, bpu.op_kind, bpu.unit, bpu.index) == (
        "fc_nhwc2nchw", "ResNet-18_subgraph_0", "subgraph", "BPU", 0,
    )  # fmt: skip
    luma = dumps["layer-0-bpu-ResNet-18_subgraph_0-input-0-data.y0.data.bin"]
    assert (luma.name, luma.role, luma.aliases) == ("data.y0", "input", ())
    cpu = dumps["layer-10-Softmax-soft-max_1-output-0-prob.bin"]
    assert (cpu.name, cpu.op, cpu.op_kind, cpu.unit, cpu.index) == ("prob", "soft-max_1", "Softmax", "CPU", 10)


@pytest.mark.parametrize("word", ["", "_data"])
def test_the_whole_picture_of_an_nv12_input_stands_for_its_planes(tmp_path: Path, word: str) -> None:
    planes = [f"layer-0-bpu-net_subgraph_0-input-0-data.{plane}.data.bin" for plane in ("y0", "uv0")]
    touch(tmp_path, *planes, "layer-0-bpu-net_subgraph_0-output-0-out.bin", f"model_infer_input_0{word}.bin")
    dumps = HBDNN.read_dumps(tmp_path, "", ModelInfo("m"))
    assert [(dump.name, dump.role) for dump in dumps] == [("data", "input"), ("out", "output")]
    (tmp_path / f"model_infer_input_0{word}.bin").unlink()
    touch(tmp_path, "model_infer_input_0_other.bin")
    assert [dump.name for dump in HBDNN.read_dumps(tmp_path, "", ModelInfo("m"))] == ["data.uv0", "data.y0", "out"]


def test_layers_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    touch(tmp_path, *(f"layer-{i}-Relu-r{i}-output-0-t{i}.bin" for i in (10, 2, 1)))
    assert [d.index for d in HBDNN.read_dumps(tmp_path, "", ModelInfo("m"))] == [1, 2, 10]


def test_captured_listing_of_node_dumps(tmp_path: Path) -> None:
    names = [line for line in captured("j5_dump_intermediate_listing.txt").splitlines() if line.startswith("layer-")]
    touch(tmp_path, *(name if name.endswith(".bin") else name + ".bin" for name in names))
    dumps = HBDNN.read_dumps(tmp_path, "", ModelInfo("m"))
    assert [d.role for d in dumps[:3]] == ["input", "input", "output"]
    assert {(d.index, d.op) for d in dumps[:3]} == {(0, "ResNet-18_subgraph_0")}
    assert dumps[3].op == "replaced_fc1000_1_HzDequantize" and dumps[3].op_kind == "Dequantize"


def test_captured_listing_of_bin_dumps(tmp_path: Path) -> None:
    names = captured("x3_hrt_bin_dump_outputs_listing_screenshot.txt").split()
    touch(tmp_path, *names)
    dumps = HBDNN.read_dumps(tmp_path, "", ModelInfo("m"))
    assert len(dumps) == len(names) == 29
    assert {"conv1", "conv5_6_sep", "fc7", "pool6"} <= {d.name for d in dumps}


def test_the_map_of_convolutions_gives_bin_dumps_their_tensors(tmp_path: Path) -> None:
    touch(tmp_path, "conv1_float.bin", "pool_float.bin")
    (tmp_path / "net_quantized_model_conv_output_map.json").write_text('{"conv1": "conv1_out"}')
    dumps = {d.name: (d.op, d.aliases) for d in HBDNN.read_dumps(tmp_path, "", ModelInfo("m"))}
    assert dumps == {"conv1_out": ("conv1", ("conv1",)), "pool": ("pool", ())}


# --------------------------------------------------------------------------- storage


@pytest.mark.parametrize(
    ("size", "padded"),
    [(1, 16), (16, 16), (17, 32), (33, 64), (65, 128), (129, 256), (256, 256), (257, 272), (400, 512)],
)
def test_rows_are_padded_to_the_documented_set(size: int, padded: int) -> None:
    assert align_to_set(size, (0, 16, 32, 64, 128)) == padded


def test_an_accelerator_tensor_lies_channels_last_and_padded_first() -> None:
    spec = TensorSpec("t", "s8", (1, 24, 7, 5), "NCHW", quantization=Quantization((0.5,) * 24, (0,), 1))
    first, *others = HBDNN.storages(spec, "BPU")
    assert (first.shape, first.aligned_shape, first.layout) == ((1, 7, 5, 24), (1, 7, 5, 32), "NHWC")
    assert first.quantization is not None and first.quantization.axis == 3
    assert any(s.shape == (1, 24, 7, 5) and not s.aligned_shape for s in others)
    assert any(s.dtype == "f32" and s.quantization is None for s in others)


def test_a_tensor_of_a_cpu_op_lies_dense_in_its_own_order_first() -> None:
    spec = TensorSpec("t", "f32", (1, 24, 7, 5), "NCHW")
    assert HBDNN.storages(spec, "CPU")[0] == spec


def test_few_channels_pad_height_and_width() -> None:
    spec = TensorSpec("t", "u8", (1, 3, 7, 33), "NCHW")
    assert HBDNN.storages(spec, "BPU")[0].aligned_shape == (1, 8, 64, 4)


def test_every_storage_is_a_different_one() -> None:
    for shape in ((1, 64, 8, 8), (1, 3, 4, 4), (1, 10), (2, 3, 4), (1, 1, 1, 1), ()):
        storages = HBDNN.storages(TensorSpec("t", "s8", shape, "NCHW"), "BPU")
        assert len(set(storages)) == len(storages) and storages


# --------------------------------------------------------------------------- inputs


def feed(board_spec: TensorSpec, reference: TensorSpec, data: bytes) -> bytes:
    return HBDNN.reference_feed(ModelInfo("m", inputs=(board_spec,)), reference, data)


def test_nv12_becomes_yuv444_in_the_reference_s_axis_order() -> None:
    picture = TensorSpec("x", "u8", (1, 3, 2, 4), "NV12")
    data = bytes(range(8)) + bytes([100, 200, 101, 201])
    planes = np.frombuffer(feed(picture, TensorSpec("x", "u8", (1, 3, 2, 4)), data), np.uint8).reshape(3, 2, 4)
    assert planes[0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert planes[1].tolist() == [[100, 100, 101, 101]] * 2 and planes[2].tolist() == [[200, 200, 201, 201]] * 2
    last = np.frombuffer(feed(picture, TensorSpec("x", "u8", (1, 2, 4, 3)), data), np.uint8).reshape(2, 4, 3)
    assert np.array_equal(last.transpose(2, 0, 1), planes)
    shifted = np.frombuffer(feed(picture, TensorSpec("x", "s8", (1, 3, 2, 4)), data), np.int8).reshape(3, 2, 4)
    assert np.array_equal(shifted.astype(int) + 128, planes)


def test_an_nv12_picture_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(InputError, match="12 bytes, the file has 13"):
        feed(TensorSpec("x", "u8", (1, 3, 2, 4), "NV12"), TensorSpec("x", "u8", (1, 3, 2, 4)), b"\x00" * 13)


def test_no_rule_makes_a_float_input_out_of_a_picture() -> None:
    with pytest.raises(InputError, match="cannot convert"):
        feed(TensorSpec("x", "u8", (1, 3, 2, 4), "NV12"), TensorSpec("x", "f32", (1, 3, 2, 4)), b"\x00" * 12)


def test_a_channels_last_board_input_is_turned_for_the_reference() -> None:
    data = np.arange(24, dtype="<f4").reshape(1, 2, 4, 3)
    fed = feed(TensorSpec("x", "f32", (1, 2, 4, 3), "NHWC"), TensorSpec("x", "f32", (1, 3, 2, 4)), data.tobytes())
    assert np.array_equal(np.frombuffer(fed, "<f4").reshape(1, 3, 2, 4), data.transpose(0, 3, 1, 2))


def test_pixels_are_shifted_for_a_signed_reference() -> None:
    spec = TensorSpec("x", "u8", (1, 2, 2, 1), "NHWC")
    assert feed(spec, TensorSpec("x", "s8", (1, 2, 2, 1)), bytes([0, 127, 128, 255])) == bytes([128, 255, 0, 127])


def test_inputs_meet_by_name_and_a_stranger_is_refused() -> None:
    info = ModelInfo("m", inputs=(TensorSpec("a", "f32", (2,)), TensorSpec("b", "u8", (4,))))
    assert HBDNN.reference_feed(info, TensorSpec("b", "u8", (4,)), b"abcd") == b"abcd"
    with pytest.raises(InputError, match="not an input of the model"):
        HBDNN.reference_feed(info, TensorSpec("c", "u8", (4,)), b"abcd")


def test_a_stated_size_of_three_bytes_per_pixel_is_explained_and_the_file_stays_nv12() -> None:
    old = nv12("images", 16, 32) | {"aligned byte size": 16 * 32 * 3}
    info = HBDNN.read_model_info(x5_info([old], [feature("o", (1, 2))]))
    assert "3 bytes per pixel" in info.warnings[0] and HBDNN.read_input_facts(info)[0].size_bytes == 768


def test_resizer_inputs_have_no_fixed_size() -> None:
    resizer = nv12("images", 16, 32) | {"input source": "HB_DNN_INPUT_FROM_RESIZER"}
    (fact,) = HBDNN.read_input_facts(HBDNN.read_model_info(x5_info([resizer], [feature("o", (1, 2))])))
    assert fact.size_bytes is None and "roi" in fact.describe

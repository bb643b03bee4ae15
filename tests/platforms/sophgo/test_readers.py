"""Sophgo's texts and files: model_tool, bmrt_test, engine profiles, archives of layers, boards that are met."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.platforms import load
from harness.platforms.probing import Seen
from harness.platforms.sophgo import probe
from harness.platforms.sophgo.info import tensor_map
from harness.platforms.sophgo.profile import end_us
from harness.records import BoardIdentity, Job, ModelInfo, TensorSpec

SOPHGO = load("sophgo")
BM = BoardIdentity("se7", "sophgo", "bm1684x")
CV = BoardIdentity("duo", "sophgo", "cv181x")
INFO = """\
bmodel version: B.2.2+v1.30.2-20260831
chip: BM1684X
net 0: [two heads]  static
------------
stage 0, core num: 1
input: images, [1, 3, 64, 64], uint8, scale: 1, zero_point: 0
input: a, b, [1, 4], float32, scale: 1, zero_point: 0
output: boxes_Conv, [1, 24, 8, 8], int8, scale: 0.125, zero_point: 3
output: scores, [1, 8], bfloat16, scale: 1, zero_point: 0
------------
stage 1, core num: 1
input: images, [4, 3, 64, 64], uint8, scale: 1, zero_point: 0
net 1: [other]  static
stage 0, core num: 1
input: x, [1], float32, scale: 1, zero_point: 0
"""
CV_INFO = """\
Mlir Version: v1.30.2-20260831
Cvimodel Version: 1.4.0
small Build at 2026-11-29 08:43:38
For cv181x chip ONLY

Program #0
    batch_num   : 0
    inputs      : image
    outputs     : out_f32
    routines    :
     #00  tpu
        inputs  : image
        outputs : mid_Relu

    tensor_map  :
        ID   OFFSET      TYPE  N    C    H    W    QSCALE     MEM     NAME
        000  0           fp32  1    1    8    8    1.000000   io_mem  image
        001  0           int8  1    24   2    2    0.071385   shared  mid_Relu
        002  0           bf16  1    10   1    1    1.000000   shared  last_Softmax
        003  0           fp32  1    10   1    1    1.000000   io_mem  out_f32
"""
LAUNCH = "[BMRT][bmrt_test:1129] INFO:net[n] stage[0], launch total time is {} us (npu {} us, cpu {} us)"
COLUMNS = """\
ENGINE_BD                                   ENGINE_GDMA
                                            Load_15|GDMA_TENSOR|s:0|b:0|g:1|e:17|t:18|dr:0|sz:256|bw:13.25
Conv2D_19|CONV|s:18|b:1|g:1|e:117|t:100|
Conv2D_19|AR|s:118|b:2|g:1|e:217|t:100      Load_18|GDMA_TENSOR|s:20|b:1|g:2|e:69|t:50|dr:0|sz:1000|bw:20
"""


def test_model_tool_tells_inputs_outputs_and_scales() -> None:
    info = SOPHGO.read_model_info(INFO)
    assert (info.name, info.models_in_file) == ("two heads", ("two heads", "other"))
    assert [(spec.name, spec.dtype, spec.shape) for spec in info.inputs] == [
        ("images", "u8", (1, 3, 64, 64)),
        ("a, b", "f32", (1, 4)),
    ]
    assert [spec.dtype for spec in info.outputs] == ["s8", "bf16"]
    quantization = info.outputs[0].quantization
    assert quantization and (quantization.scales, quantization.zero_points) == ((0.125,), (3,))
    assert info.outputs[1].quantization is None
    assert info.warnings == ("2 input sizes (stages) in the model; the first is run",)
    assert info.versions["chip"] == "BM1684X"
    assert SOPHGO.read_model_info("harness: net other\n" + INFO).name == "other"


def test_a_cvimodels_tensors_have_their_scales() -> None:
    info = SOPHGO.read_model_info(CV_INFO)
    assert ([spec.name for spec in info.inputs], [spec.name for spec in info.outputs]) == (["image"], ["out_f32"])
    known = tensor_map(CV_INFO)
    middle = known["mid_Relu"].quantization
    assert middle and middle.scales == (0.071385,) and known["last_Softmax"].dtype == "bf16"
    assert info.versions == {"compiler": "v1.30.2-20260831", "cvimodel": "1.4.0", "chip": "cv181x"}


@given(st.lists(st.sampled_from(INFO.splitlines() + CV_INFO.splitlines()), max_size=30), st.integers(0, 400))
def test_no_text_breaks_a_reader(lines: list[str], cut: int) -> None:
    text = "\n".join(lines)
    for one in (text, text[:cut], INFO[cut:] + text):
        info = SOPHGO.read_model_info(one)
        assert all(spec.dtype and spec.name for spec in (*info.inputs, *info.outputs))
        assert SOPHGO.read_failure("release", 1, one, []) is not None


def test_times_of_launches_and_their_parts(tmp_path: Path) -> None:
    log = "\n".join(LAUNCH.format(*row) for row in ((100, 90, 10), (120, 100, 20)))
    latency = SOPHGO.read_latency(tmp_path, log)
    assert latency and (latency.samples_us, latency.mean_us) == ((100.0, 120.0), 110.0)
    parts = {op.unit: op.mean_us for op in SOPHGO.read_ops(tmp_path, log)}
    assert parts == {"NPU": 95.0, "CPU": 15.0}
    older = "launch total time is 50 us (npu 40 us, normal 10 us)"
    assert SOPHGO.read_latency(tmp_path, older).mean_us == 50.0  # type: ignore[union-attr]
    runs = "Performance result: 100 runs take 412.3 ms, each run takes 4.123000 ms, fps 242.541839"
    latency = SOPHGO.read_latency(tmp_path, runs)
    assert latency and (latency.mean_us, latency.frames) == (4123.0, 100)


def test_an_op_takes_what_its_busier_engine_takes(tmp_path: Path) -> None:
    (tmp_path / "net_stat.sim").write_text(COLUMNS)
    (tmp_path / "global.profile").write_text("[bmprofile] tpu_freq=500\n")
    rows = [{"file-line": 19, "opcode": "tpu.Conv2D", "results": [{"name": "conv_Relu"}]}]
    (tmp_path / "tensor_location.json").write_text(json.dumps(rows))
    ops = {op.name: op for op in SOPHGO.read_ops(tmp_path, "")}
    assert list(ops) == ["Load_15", "conv_Relu", "Load_18"]
    assert ops["conv_Relu"].mean_us == 0.4 and ops["conv_Relu"].unit == "NPU"
    assert ops["Load_18"].category == "compute" and ops["Load_18"].figures["bytes"] == 1000
    assert end_us(tmp_path) == pytest.approx(217 / 500)


@pytest.mark.parametrize("text", ["", "[", "{}", '[1, {"file-line": "x"}, {"file-line": 1, "results": [3]}]'])
def test_a_damaged_location_file_names_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "compiler_profile_0.txt").write_text(COLUMNS)
    (tmp_path / "tensor_location.json").write_text(text)
    assert [op.name for op in SOPHGO.read_ops(tmp_path, "")] == ["Load_15", "Conv2D_19", "Load_18"]


# ---- tensors


def test_layers_of_an_archive_go_by_the_onnx_names_too(tmp_path: Path) -> None:
    """Members without `.npy`, as the vendor writes them; the network's input is an input."""
    with zipfile.ZipFile(tmp_path / "soc_infer_names.npz", "w") as archive:
        for name in ("image", "conv1_relu_out_Relu", "out_Softmax_f32"):
            data = io.BytesIO()
            np.save(data, np.ones((1, 2), np.float64))
            archive.writestr(name, data.getvalue())
    info = ModelInfo("n", (TensorSpec("image", "f32", (1, 2)),), (TensorSpec("out_Softmax_f32", "f32", (1, 2)),))
    dumps = {dump.name: dump for dump in SOPHGO.read_dumps(tmp_path, "", info)}
    assert (dumps["image"].role, dumps["image"].op_kind) == ("input", "input")  # it tells no arithmetic
    assert dumps["conv1_relu_out_Relu"].aliases == ("conv1_relu_out",)
    assert "out_Softmax_f32" not in dumps
    (tmp_path / "output_0.bin").write_bytes(bytes(8))
    (output,) = SOPHGO.read_outputs(tmp_path, "", info)
    assert output.aliases == ("out_Softmax", "out")


def test_stored_integers_and_bf16_take_their_scales_from_model_tool(tmp_path: Path) -> None:
    np.savez(tmp_path / "layers.npz", mid_Relu=np.ones((1, 24, 2, 2), np.int8), last_Softmax=np.ones(10, np.uint16))
    (tmp_path / "model_info.txt").write_text(CV_INFO)
    dumps = {dump.name: dump.spec for dump in SOPHGO.read_dumps(tmp_path, "", SOPHGO.read_model_info(CV_INFO))}
    middle, last = dumps["mid_Relu"], dumps["last_Softmax"]
    assert middle and middle.quantization and middle.quantization.scales == (0.071385,)
    assert last and last.dtype == "bf16"


def test_a_cut_archive_is_no_dump(tmp_path: Path) -> None:
    (tmp_path / "soc_infer_names.npz").write_bytes(b"PK\x03\x04 cut")
    assert SOPHGO.read_dumps(tmp_path, "", ModelInfo("n")) == ()


# ---- before and after a run


@pytest.mark.parametrize(
    ("board", "content", "why"),
    [
        (BM, b"\xee\xaa\x55\xff" + bytes(60) + b"BM1684X\0", ""),
        (BM, b"\xee\xaa\x55\xff" + bytes(60) + b"BM1688\0", "built for bm1688, the board is a bm1684x"),
        (BM, b"CviModelX" + bytes(20) + b"cv181x\0", "a .cvimodel; bm1684x runs .bmodel files"),
        (CV, b"CviModelX" + bytes(20) + b"cv181x\0", ""),
        (CV, b"CviModelX" + bytes(20) + b"cv180x\0", "built for cv180x, the board is a cv181x"),
        (BM, b"\x08\x01onnx", "neither a .bmodel nor a .cvimodel"),
    ],
)
def test_a_model_for_another_chip_is_refused(tmp_path: Path, board: BoardIdentity, content: bytes, why: str) -> None:
    path = tmp_path / "model.bmodel"
    path.write_bytes(content)
    if not why:
        SOPHGO.check_model(path, board)
        return
    with pytest.raises(InputError, match=why.replace(".", r"\.")):
        SOPHGO.check_model(path, board)


def test_what_lies_beside_the_model_goes_with_it(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    for name in ("net/final.mlir", "net/tensor_location.json", "net_bm1684x_int8_sym_tpu_outputs.npz"):
        (tmp_path / name).write_bytes(b"x")
    names = [path.name for path in SOPHGO.beside(tmp_path / "net.bmodel", "bm1684x", is_emulated=False)]
    assert names == ["final.mlir", "tensor_location.json", "net_bm1684x_int8_sym_tpu_outputs.npz"]
    assert SOPHGO.beside(tmp_path / "net.cvimodel", "cv181x", is_emulated=False) == ()


def test_layers_without_names_are_refused_with_what_to_build() -> None:
    with pytest.raises(InputError, match="takes its names from there") as caught:
        SOPHGO.invocation(BM, Job("debug", "m.bmodel", "f"))
    assert "--compare_all" in (caught.value.hint or "")


def test_all_inputs_of_a_cvimodel_are_one_archive(tmp_path: Path) -> None:
    info = SOPHGO.read_model_info(CV_INFO)
    np.ones((1, 1, 8, 8), "<f4").tofile(tmp_path / "image.bin")
    (packed,) = SOPHGO.pack_inputs(info, [("image", tmp_path / "image.bin")], tmp_path)
    assert np.load(packed)["image"].shape == (1, 1, 8, 8)
    assert SOPHGO.pack_inputs(SOPHGO.read_model_info(INFO), [("a", packed)], tmp_path) == (packed,)


@pytest.mark.parametrize(
    ("code", "log", "present", "kind"),
    [
        (0, "", ["output_0.bin"], ""),
        (0, "", [], "no_result"),
        (127, "sh: bmrt_test: not dumps", [], "missing_tool"),
        (1, "bmrt_test: error while loading shared libraries: libbmrt.so.1.0: cannot open", [], "missing_library"),
        (255, "[BMRT][main:1] FATAL:Failed to fread reference data of net #0, need_bytesize=9", [], "bad_input"),
        (255, "[BMRT][x:1] FATAL:something new", [], "crash"),
        (139, "", [], "crash"),
    ],
)
def test_failures_by_code_text_and_files(code: int, log: str, present: list[str], kind: str) -> None:
    failure = SOPHGO.read_failure("release", code, log, present)
    assert (failure.kind if failure else "") == kind


def test_a_board_is_recognised_by_its_device_and_named_by_its_tree() -> None:
    seen = Seen(
        files={"/proc/device-tree/model": "SOPHGO SE7 BM1684X"},
        tools={"bmrt_test": "/opt/sophon/libsophon-current/bin/bmrt_test"},
        paths={"/dev/bm-sophon0": "/dev/bm-sophon0"},
        whole=True,
    )
    guess = probe.recognise(seen)
    assert guess and (guess.platform, guess.soc) == ("sophgo", "bm1684x")
    assert guess.options["tool"].endswith("bmrt_test")
    duo = probe.recognise(Seen(files={"/proc/device-tree/compatible": "cvitek,cv181x"}, whole=True))
    assert duo and duo.soc == "cv181x"
    assert probe.recognise(Seen(files={"/proc/cpuinfo": "ARM"}, whole=True)) is None
    assert "bm1688" in probe.wrong_soc("bm1684x", "BM1688 EVB", "")
    assert probe.wrong_soc("cv186x", "BM1688 EVB", "") == ""


def test_bm_smi_tells_temperatures_and_load() -> None:
    table = (
        "|card  Name      Mode        SN         |TPU  boardT  chipT   TPU_P  TPU_V  ECC  CorrectN  Tpu-Util|\n"
        "| 0  1684X-SOC   SOC          N/A       | 0    37C     42C     N/A    N/A   N/A    N/A      7%    |\n"
    )
    (sense,) = SOPHGO.read_status(table)
    assert sense.temperatures_c == {"board": 37.0, "chip": 42.0} and sense.load_percent == {"TPU": 7.0}
    assert SOPHGO.read_status("bm-smi: open device failed") == ()


# ---- the vendor's own output


SAMPLES = Path(os.environ.get("HARNESS_SAMPLES", Path(__file__).parents[4] / "shared/samples")) / "vendor-simulators"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no vendor output here (HARNESS_SAMPLES)")
def test_the_vendors_own_files() -> None:
    folder = SAMPLES / "sophgo"
    info = SOPHGO.read_model_info((folder / "model_tool_info_mobilenet.txt").read_text())
    assert len(info.inputs) == len(info.outputs) == 1 and not info.problems
    ops = SOPHGO.read_ops(folder / "bmprofile_data-1", "")
    assert len(ops) == 12 and sum(op.kind in ("Load", "Store") for op in ops) == 4
    assert len(tensor_map((folder / "model_tool_info_cv181x.txt").read_text())) == 8


@pytest.mark.parametrize(("name", "value"), [("threads", 4), ("core", 2), ("time_s", 3.0)])
def test_options_that_the_tools_do_not_have_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match="does not apply to platform sophgo"):
        SOPHGO.invocation(BM, Job("release", "m.bmodel", "f", **{name: value}))  # type: ignore[arg-type]


def test_the_profiler_runs_on_the_same_device() -> None:
    job = Job("profile", "m.bmodel", "f", options={"device": 1, "cores": "0,1"})
    words = SOPHGO.invocation(BM, job).argv
    assert "--devid 1 --loopnum 1 --core_list 0,1" in words


def test_a_chip_that_is_not_listed_takes_its_own_models(tmp_path: Path) -> None:
    path = tmp_path / "m.bmodel"
    path.write_bytes(b"\xee\xaa\x55\xff" + bytes(60) + b"BM1690\0")
    SOPHGO.check_model(path, BoardIdentity("b", "sophgo", "bm1690"))
    with pytest.raises(InputError, match="built for bm1690"):
        SOPHGO.check_model(path, BM)


def test_without_a_clock_the_times_are_estimates(tmp_path: Path) -> None:
    (tmp_path / "net_stat.sim").write_text(COLUMNS)
    assert {op.estimated for op in SOPHGO.read_ops(tmp_path, "")} == {True}


@pytest.mark.parametrize("line", ["Load model " * 4000, "BMRuntime " * 8000, "[" * 40_000, "a " * 40_000])
def test_a_long_line_takes_no_time(line: str) -> None:
    assert SOPHGO.read_failure("release", 1, line, []) is not None
    assert SOPHGO.read_versions(line) == {} and not SOPHGO.read_model_info(line).inputs


def test_a_layer_is_the_op_with_weights_that_makes_it(tmp_path: Path) -> None:
    """An activation behind a convolution gives the layer its name; the compiler's own file tells what computes it."""
    np.savez(tmp_path / "soc_infer_names.npz", c_Relu=np.ones((1, 2)), p_MaxPool=np.ones((1, 2)), a_Relu=np.ones(2))
    rows: list[object] = [
        {"file-line": 1, "opcode": "tpu.Conv2D", "results": [{"name": "c_Relu"}]},
        {"file-line": 2, "opcode": "tpu.Pool2D", "results": [{"name": "p_MaxPool"}]},
        {"file-line": 3, "opcode": "tpu.Store", "results": [{"name": "c_Relu"}]},
        {"file-line": 4, "opcode": "tpu.MatMul", "results": [7, {"name": 8}]},
        "x",
    ]
    (tmp_path / "tensor_location.json").write_text(json.dumps(rows))
    kinds = {dump.name: dump.op_kind for dump in SOPHGO.read_dumps(tmp_path, "", ModelInfo("n"))}
    assert kinds == {"c_Relu": "Conv", "p_MaxPool": "MaxPool", "a_Relu": "Relu"}

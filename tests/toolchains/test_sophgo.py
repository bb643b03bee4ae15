"""Files of Sophgo's compiler: tables, lowered models, logs. Real ones are read where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.toolchains.base import FileProbe
from harness.toolchains.records import Artifact
from harness.toolchains.sophgo.readers import READERS, tensors_of

TABLE = """\
# mlir version: v1.2 cali version 1.0
# quantization threshold calculation method: ['kl']
# sample number: 8
# op_name    threshold    min    max
image 1.0 0.0 1.0
a b_Relu 3.5 -0.5 3.5
broken 1.0
"""
MLIR = """\
module @net attributes {module.chip = "bm1684x"} {
    %1 = "top.Input"(%arg0) {} : (tensor<1x4xf32>) -> tensor<1x4xf32> loc(#loc1)
    %2 = "tpu.Cast"(%1) {} : (tensor<1x4xf32>) -> tensor<1x4x!quant.uniform<i8:f32, 0.5:3>> loc(#loc2)
    %3 = "tpu.MatMul"(%2) {} : (tensor<1x4x!quant.uniform<i8:f32, 0.5:3>>) -> tensor<1x2xbf16> loc(#loc3)
}
#loc1 = loc("image")
#loc2 = loc("image_si8")
#loc3 = loc("/fc/out_Gemm")
"""
LOG = """\
2026/11/29 08:43:37 - INFO : TPU-MLIR v1.30.2
[Running]: npz_tool.py compare a.npz b.npz
[image                  ]        EQUAL [PASSED]
    (1, 1, 8, 8) float32
[conv_Relu              ]  NOT_SIMILAR [FAILED]
    (1, 12, 8, 8) float32
    cosine_similarity      = 0.912000
    sqnr_similarity        = 10.5
2 compared
npz compare FAILED.
[Failed]: npz_tool.py compare a.npz b.npz
"""


def read(text: str, folder: Path) -> Artifact | None:
    path = folder / "file.txt"
    path.write_text(text)
    probe = FileProbe(path)
    return next((one.read(probe) for one in READERS if one.matches(probe)), None)


def test_a_calibration_table(tmp_path: Path) -> None:
    table = read(TABLE, tmp_path)
    assert table and table.kind == "sophgo_calibration_table"
    assert [(node.name, node.kind, node.threshold) for node in table.nodes] == [
        ("image", "", 1.0),
        ("a b_Relu", "Relu", 3.5),
    ]
    assert table.facts == {"method": "kl", "samples": 8} and table.problems == ("1 rows are damaged, left out",)


def test_a_lowered_model_tells_types_and_scales(tmp_path: Path) -> None:
    model = read(MLIR, tmp_path)
    assert model and (model.kind, model.march) == ("sophgo_mlir", "bm1684x")
    assert [(node.name, node.kind, node.output_dtypes) for node in model.nodes] == [
        ("image_si8", "Cast", ("s8",)),
        ("/fc/out_Gemm", "MatMul", ("bf16",)),
    ]
    quantization = tensors_of(MLIR)["image_si8"].quantization
    assert quantization and (quantization.scales, quantization.zero_points) == ((0.5,), (3,))


def test_a_log_that_failed_says_what_and_how_far(tmp_path: Path) -> None:
    log = read(LOG, tmp_path)
    assert log and log.finished is False and log.facts["failed"] == "npz_tool.py"
    assert log.similarities[1].metrics == {"cosine": 0.912, "sqnr_db": 10.5}
    assert log.checks[0].passed is False and log.checks[0].total == 2


def test_passed_over_nothing_is_no_pass(tmp_path: Path) -> None:
    log = read("0 compared\nnpz compare PASSED.\n", tmp_path)
    assert log and log.checks[0].passed is not True


def test_a_quantize_table_with_a_layer_twice(tmp_path: Path) -> None:
    table = read("# mixed\na_Conv BF16\nb F16\na_Conv INT8\n", tmp_path)
    assert table and table.kind == "sophgo_quantize_table" and table.problems == ("a_Conv stands 2 times",)


@given(st.lists(st.sampled_from((TABLE + MLIR + LOG).splitlines()), max_size=25), st.integers(0, 300))
def test_no_text_breaks_a_reader(lines: list[str], cut: int) -> None:
    text = "\n".join(lines)[cut:]
    for one in READERS:
        path = Path(os.environ["HARNESS_HOME"]) / "sophgo.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        assert isinstance(one.read(FileProbe(path)), Artifact)


SAMPLES = Path(os.environ.get("HARNESS_SAMPLES", Path(__file__).parents[3] / "shared/samples")) / "vendor-simulators"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no vendor output here (HARNESS_SAMPLES)")
def test_the_vendors_own_files(tmp_path: Path) -> None:
    folder = SAMPLES / "sophgo"
    mlir = (folder / "digits_bm1684x_int8_sym_tpu.mlir").read_text()
    assert len(tensors_of(mlir)) == 11 and tensors_of(mlir)["conv1_relu_out_Relu"].dtype == "u8"
    log = read((folder / "model_deploy_cv181x_console.log").read_text(), tmp_path)
    assert log and log.finished is True and log.checks[0].passed is True
    table = read((folder / "digits_cali_table.txt").read_text(), tmp_path)
    assert table and len(table.nodes) == 8 and not table.problems

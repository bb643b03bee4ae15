"""Files of Rockchip's toolkit and board programs, and its snapshots as folders of layers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import cli
from harness.dumps.folders import read_dumps
from harness.errors import InputError
from harness.platforms import load
from harness.records import BoardIdentity, Job
from harness.toolchains import read_any
from harness.toolchains.base import FileProbe
from harness.toolchains.records import Artifact
from harness.toolchains.rockchip.consoles import CONSOLES
from harness.toolchains.rockchip.readers import READERS, layers_by_file

ANALYSIS = """\
# simulator_error: calculate the output error of each layer
layer_name                simulator_error
                         cos      euc        cos      euc
---------------------------------------------------------
[Input] image          1.00000 | 0.00000   1.00000 | 0.00000
[Conv] /net/conv
[Relu] /net/relu       0.98000 | 0.50000   0.99000 | 0.40000
"""
MAP = """\
layer_name               file_name
-----------------------------------
image                    image.txt
/net/conv                _net_conv.txt
/net/relu                _net_relu.txt
"""
BUILD = """\
I rknn-toolkit2 version: 2.5.0
W build: The default input dtype is changed
I RKNN: [08:33:01.140] librknnc version: 2.5.0 (74ea)
D RKNN: [08:33:01.368] ID   OpType   DataType Target InputShape OutputShape   Cycles(DDR/NPU/Total)    RW(KB)  FullName
D RKNN: [08:33:01.368] ----------------------------------------
D RKNN: [08:33:01.368] 0    InputOperator INT8 CPU \\ (1,3,8,8) 0/0/0 0 InputOperator:image
D RKNN: [08:33:01.368] 1    ConvRelu INT8 NPU (1,3,8,8),(4,3,3,3) (1,4,8,8) 10/1200/1200 149 Conv:/net/conv
D RKNN: [08:33:01.368] ----------------------------------------
D RKNN: [08:33:01.375] Total Weight Memory Size: 2065KB
E RKNN: [08:33:01.375] Unkown op target: 0
I rknn building done.
"""
DETAIL = """\
    - 1800000
NPU Current Frequency List:
    - 1000000
ID OpType  DataType Target InputShape OutputShape Cycles(DDR/NPU/Total) Time(us) MacUsage(%) RW(KB) FullName
1  Conv    INT8     NPU    (1,3,8,8)  (1,4,8,8)   10/20/20              123      0.1/0.0     12     Conv:a
2  Softmax FLOAT16  CPU    (1,4)      (1,4)       0/0/0                 77       \\           1      Soft:b
Total Operator Elapsed Per Frame Time(us): 200
"""
BENCHMARK = """\
rknn_api/rknnrt version: 2.3.0 (c949ad889d@2024-11-07T11:35:33), driver version: 0.9.6
Warmup ...
   0: Elapse Time = 9.12ms, FPS = 109.6
Begin perf ...
   0: Elapse Time = 4.00ms, FPS = 250.00
   1: Elapse Time = 6.00ms, FPS = 166.67
Avg Time 5.00ms, Avg FPS = 200.000
"""


def read(text: str, folder: Path) -> Artifact | None:
    path = folder / "file.txt"
    path.write_text(text)
    probe = FileProbe(path)
    return next((one.read(probe) for one in (*READERS, *CONSOLES) if one.matches(probe)), None)


def test_error_analysis_marks_what_lies_inside_of_a_fused_op(tmp_path: Path) -> None:
    analysis = read(ANALYSIS, tmp_path)
    assert analysis and [(node.name, node.fused, node.cosine) for node in analysis.nodes] == [
        ("image", False, 1.0),
        ("/net/conv", True, None),
        ("/net/relu", False, 0.98),
    ]
    alone = [row.metrics for row in analysis.similarities if row.kind == "simulator_single"]
    assert alone[-1] == {"cosine": 0.99, "euclid": 0.4}


def test_a_verbose_build_tells_placement_and_cycles(tmp_path: Path) -> None:
    build = read(BUILD, tmp_path)
    assert build and build.finished is True and build.versions == {"rknn-toolkit2": "2.5.0", "compiler": "2.5.0"}
    assert [(node.name, node.unit) for node in build.nodes] == [("image", "CPU"), ("/net/conv", "NPU")]
    assert build.similarities[1].metrics == {"cycles": 1200.0}
    assert build.facts["weight_memory_bytes"] == 2065 * 1024
    assert [message.severity for message in build.messages] == ["warning", "error"]


def test_times_of_ops_whatever_the_order_of_columns(tmp_path: Path) -> None:
    detail = read(DETAIL, tmp_path)
    assert detail and [
        (node.unit, layer.compute_us) for node, layer in zip(detail.nodes, detail.layers, strict=True)
    ] == [
        ("NPU", 123.0),
        ("CPU", 77.0),
    ]
    assert detail.estimates[0].latency_us == 200.0 and detail.facts["npu_clock_khz"] == 1000000
    older = "ID OpType DataType Target InputShape OutputShape DDR NPU Total Time(us) FullName\n"
    older += "1 Conv INT8 NPU (1) (1) 1 2 3 45 Conv:a\n"
    assert read(older, tmp_path).layers[0].compute_us == 45.0  # type: ignore[union-attr]


def test_a_benchmark_leaves_the_warm_up_out(tmp_path: Path) -> None:
    console = read(BENCHMARK, tmp_path)
    assert console and console.facts == {
        "frames": 2, "median_us": 5000.0, "min_us": 4000.0, "max_us": 6000.0, "mean_us": 5000.0, "fps": 200.0,
    }  # fmt: skip
    assert console.versions["driver"] == "0.9.6"
    cut = read(BENCHMARK[: BENCHMARK.index("Avg")], tmp_path)
    assert cut and cut.problems


def test_a_model_tells_its_chip_and_whether_it_is_cut(tmp_path: Path) -> None:
    body = b'{"target_platform": ["rk3588"], "compiler_version": "2.5.0"}'
    path = tmp_path / "net.rknn"
    path.write_bytes(b"RKNN\0\0\0\0" + (6).to_bytes(4, "little") + bytes(4) + len(body).to_bytes(8, "little") + body)
    model = read_any(path)
    assert model and (model.kind, model.march) == ("rknn_model", "rk3588") and not model.problems
    path.write_bytes(path.read_bytes()[:-5])
    cut = read_any(path)
    assert cut and cut.problems


def test_a_log_of_a_build_keeps_the_analysis_that_follows_in_it(tmp_path: Path) -> None:
    both, build, analysis = read(BUILD + ANALYSIS, tmp_path), read(BUILD, tmp_path), read(ANALYSIS, tmp_path)
    assert both and build and analysis and (both.kind, both.nodes) == ("rknn_build", build.nodes)
    assert both.similarities == (*build.similarities, *analysis.similarities)


@given(st.lists(st.sampled_from((ANALYSIS + MAP + BUILD + DETAIL + BENCHMARK).splitlines()), max_size=25))
def test_no_text_breaks_a_reader(lines: list[str]) -> None:
    path = Path(os.environ["HARNESS_HOME"]) / "rockchip.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))
    for one in (*READERS, *CONSOLES):
        assert isinstance(one.read(FileProbe(path)), Artifact)


# ---- snapshots


def snapshot(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for side in ("golden", "simulator"):
        (folder / side / "npy").mkdir(parents=True)
        for name in ("image", "_net_conv", "_net_relu"):
            np.save(folder / side / "npy" / f"{name}.npy", rng.normal(size=(1, 2, 3)).astype(np.float32))
    (folder / "map_name_to_file.txt").write_text(MAP)
    (folder / "error_analysis.txt").write_text(ANALYSIS)
    return folder


def test_a_snapshots_layers_have_their_names_and_their_order(tmp_path: Path) -> None:
    dumps = read_dumps(snapshot(tmp_path) / "simulator")
    assert [(dump.name, dump.index) for dump in dumps] == [("image", 0), ("/net/conv", 1), ("/net/relu", 2)]
    assert dumps[1].op_kind == "Conv (inside a fused op)"


def test_golden_and_simulator_are_compared(tmp_path: Path) -> None:
    folder = snapshot(tmp_path)
    result = CliRunner().invoke(cli, ["compare", str(folder / "golden"), str(folder / "simulator")])
    assert result.exit_code == 1 and "3 of 3 layers" in result.stdout


@pytest.mark.parametrize("fault", [False, True])
def test_the_float_graph_and_its_quantized_simulation_are_judged_by_their_noise(tmp_path: Path, fault: bool) -> None:
    """`golden` is the reference that the toolkit itself means: quantization is no reason to refuse it."""
    folder, rng = snapshot(tmp_path), np.random.default_rng(1)
    for name in ("image", "_net_conv", "_net_relu"):
        values = rng.normal(size=(1, 8, 16, 16)).astype(np.float32)
        step = np.float32(np.abs(values).max() / 127)
        stored = values if name == "image" else np.round(values / step).astype(np.float32) * step
        np.save(folder / "golden" / "npy" / f"{name}.npy", values)
        np.save(folder / "simulator" / "npy" / f"{name}.npy", -stored if fault and name == "_net_relu" else stored)
    words = ["compare", str(folder / "golden"), str(folder / "simulator")]
    result = CliRunner().invoke(cli, words)
    assert "policy float-reference" in result.stdout and "the toolchain's own float graph" in result.stdout
    assert result.stdout.startswith("diverges" if fault else "consistent_within") and result.exit_code == int(fault)
    (folder / "golden").rename(folder / "mine")  # somebody's own folder of floats: nothing says what was meant
    assert CliRunner().invoke(cli, ["compare", str(folder / "mine"), words[2]]).exit_code == 3


def test_a_file_outside_of_the_folder_is_no_layer(tmp_path: Path) -> None:
    folder = snapshot(tmp_path)
    (folder / "map_name_to_file.txt").write_text("layer_name  file_name\nevil    ../../golden/npy/image.txt\n")
    assert "evil" not in [dump.name for dump in read_dumps(folder / "simulator")]


def test_nothing_is_run_on_these_boards() -> None:
    with pytest.raises(InputError, match="does not run models on Rockchip boards yet"):
        load("rknn").invocation(BoardIdentity("rk", "rknn", "rk3588"), Job("debug", "m.rknn", "f"))


SAMPLES = Path(os.environ.get("HARNESS_SAMPLES", Path(__file__).parents[3] / "shared/samples")) / "vendor-simulators"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no vendor output here (HARNESS_SAMPLES)")
def test_the_vendors_own_files(tmp_path: Path) -> None:
    folder = SAMPLES / "rknn"
    build = read((folder / "mobilenet_build_verbose.log").read_text(), tmp_path)
    assert build and len(build.nodes) == 59 and sum(node.unit == "CPU" for node in build.nodes) == 2
    analysis = read((folder / "mobilenet_error_analysis.txt").read_text(), tmp_path)
    assert analysis and len(analysis.nodes) == 104 and analysis.facts["fused"] == 35
    assert len(layers_by_file((folder / "mobilenet_map_name_to_file.txt").read_text())) == 104

"""A board's own profile: records of its engines, written here as the vendor's reader describes them."""

from __future__ import annotations

import json
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.platforms import load
from harness.platforms.sophgo.iterations import read_iterations
from harness.platforms.sophgo.profile import read_profile

SOPHGO = load("sophgo")
GLOBAL = """\
[bmprofile] arch=BM1684X
[bmprofile] net_name=net
[bmprofile] tpu_freq=500
[bmprofile] is_mlir=1
[bmprofile] start to run subnet_id=0
[bmprofile] local_layer: layer_id=15 layer_type=Load layer_name=
[bmprofile] gdma cmd_id bd_id=0 gdma_id=1 gdma_dir=0 gdma_func=0
[bmprofile] local_layer: layer_id=19 layer_type=Conv2D layer_name=
[bmprofile] bd cmd_id bd_id=1 gdma_id=1 bd_func=5
[bmprofile] bd cmd_id bd_id=2 gdma_id=1 bd_func=3
[bmprofile] global_layer: layer_id=20 layer_type=Pool2D layer_name=
[bmprofile] bd cmd_id bd_id=3 gdma_id=1 bd_func=1
[bmprofile] gdma cmd_id bd_id=3 gdma_id=2 gdma_dir=1 gdma_func=0
"""
BD, GDMA = 3, 4


def block(code: int, content: bytes) -> bytes:
    return struct.pack("<II", code, len(content)) + content


def summary(subnet: int, kind: int = 0, took_us: int = 900) -> bytes:
    return block(1, struct.pack("<IIIQQQ", 0, subnet, kind, 10_000, 10_000 + took_us, 0))


def records(code: int, rows: list[tuple[int, int, int]]) -> bytes:
    size = {BD: 32, GDMA: 192}[code]
    return block(code, b"".join(struct.pack("<III", *row).ljust(size, b"\0") for row in rows))


def profile(folder: Path, scale: int = 1, number: int = 0) -> Path:
    """One inference: the load takes 100 cycles, the convolution 200 and 300, the pool 50 beside a store of 80."""
    (folder / "global.profile").write_text(GLOBAL)
    bd = [(1000, 1000 + 200 * scale, 0), (1300, 1300 + 300 * scale, 1), (2**32 - 20, 50 * scale - 20, 2)]
    gdma = [(0, 100 * scale, 0), (1800, 1800 + 80 * scale, 1)]
    data = summary(0) + block(8, b"commands") + records(BD, bd) + records(GDMA, gdma)
    (folder / f"iter{number}.profile").write_bytes(data)
    return folder


def test_each_op_takes_what_its_busier_engine_took(tmp_path: Path) -> None:
    rows = [{"file-line": 19, "opcode": "tpu.Conv2D", "results": [{"name": "conv_Relu"}]}]
    (tmp_path / "tensor_location.json").write_text(json.dumps(rows))
    ops = {op.name: op for op in SOPHGO.read_ops(profile(tmp_path), "")}
    assert {name: op.mean_us for name, op in ops.items()} == {"conv_Relu": 1.0, "Pool2D_20": 0.16, "Load_15": 0.2}
    assert not any(op.estimated for op in ops.values()) and ops["conv_Relu"].count == 2


def test_several_inferences_are_one_mean_and_a_subnet_of_the_cpu_has_its_time(tmp_path: Path) -> None:
    profile(tmp_path)
    profile(tmp_path, scale=3, number=1)
    for number in (2, 3):
        (tmp_path / f"iter{number}.profile").write_bytes(summary(1, kind=1, took_us=100 * number))
    log = "launch total time is 50 us (npu 40 us, cpu 10 us)"
    ops = {op.name: (op.mean_us, op.unit) for op in SOPHGO.read_ops(tmp_path, log)}
    assert ops["Conv2D_19"] == (2.0, "NPU") and ops["CPU subnet 1"] == (250.0, "CPU")
    assert [unit for _, unit in ops.values()].count("CPU") == 1


def test_records_of_other_programs_are_passed_over(tmp_path: Path) -> None:
    profile(tmp_path)
    data = summary(0) + records(BD, [(0, 9999, 500), (1000, 1200, 0), (1300, 1600, 1)])
    (tmp_path / "iter0.profile").write_bytes(data)
    assert {line: dict(work.cycles) for line, work in read_iterations(tmp_path).layers.items()} == {19: {"bd": 500.0}}


def test_a_chip_with_other_records_is_not_read(tmp_path: Path) -> None:
    profile(tmp_path)
    (tmp_path / "global.profile").write_text(GLOBAL.replace("BM1684X", "BM1690"))
    profiled = read_iterations(tmp_path)
    assert not profiled.layers and "BM1690" in profiled.problem


def test_the_simulators_file_has_no_records(tmp_path: Path) -> None:
    (profile(tmp_path) / "iter0.profile").write_bytes(summary(0) + block(8, b"x"))
    (tmp_path / "net_stat.sim").write_text("Conv2D_19|CONV|s:18|b:1|g:1|e:117|t:100|\n")
    assert [op.name for op in SOPHGO.read_ops(tmp_path, "")] == ["Conv2D_19"]


@settings(max_examples=50)
@given(cut=st.integers(0, 700), text=st.integers(0, 700), noise=st.binary(max_size=64))
def test_damaged_files_are_read_as_far_as_they_are_whole(
    tmp_path_factory: pytest.TempPathFactory, cut: int, text: int, noise: bytes
) -> None:
    folder = profile(tmp_path_factory.mktemp("damaged"))
    path = folder / "iter0.profile"
    path.write_bytes(path.read_bytes()[:cut] + noise)
    (folder / "global.profile").write_text(GLOBAL[:text])
    assert all(op.mean_us >= 0 for op in SOPHGO.read_ops(folder, ""))


LONG = "9" * 5000


@pytest.mark.parametrize(
    "line",
    [
        f"[bmprofile] start to run subnet_id={LONG}",
        f"[bmprofile] local_layer: layer_id={LONG} layer_type=Load layer_name=",
        f"[bmprofile] bd cmd_id bd_id={LONG} gdma_id=1 bd_func=5",
        f"[bmprofile] gdma cmd_id bd_id=1 gdma_id={LONG} bd_func=5",
    ],
)
def test_a_number_that_no_chip_counts_to_is_no_number(tmp_path: Path, line: str) -> None:
    profile(tmp_path)
    (tmp_path / "global.profile").write_text(f"{line}\n{GLOBAL}")
    assert set(read_iterations(tmp_path).layers) == {15, 19, 20}


def test_nor_in_the_vendors_model_of_it(tmp_path: Path) -> None:
    (tmp_path / "global.profile").write_text(f"[bmprofile] tpu_freq={LONG}\n")
    cell = "Conv2D_{}|BD|s:0|b:1|g:1|e:100|t:100"
    (tmp_path / "net_stat.sim").write_text(f"{cell.format(LONG)}\n{cell.format(7)}\n")
    assert [(op.name, op.mean_us) for op in read_profile(tmp_path)] == [("Conv2D_7", 0.1)]


def test_blocks_of_no_content_take_no_memory(tmp_path: Path) -> None:
    (tmp_path / "iter0.profile").write_bytes(struct.pack("<II", BD, 0) * 100_000)
    tracemalloc.start()
    try:
        assert not read_iterations(tmp_path).layers
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()

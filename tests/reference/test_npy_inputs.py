"""Inputs in .npy files that are damaged: one sentence that names the file, no traceback, no memory for nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import helper, save

from harness.cli import cli
from harness.errors import InputError
from harness.records import TensorSpec
from harness.reference.inputs import arrays_of_bytes
from tests.support.nets import tiny_model

TYPED = "{'descr': '<f4', 'fortran_order': False, 'shape': "
HEADERS = {
    "cut off": "{'descr': (",
    "a huge shape": f"{TYPED}(1000000000000,), }}",
    "a shape beyond 64 bits": f"{TYPED}(99999999999999999999999,), }}",
    "a negative size": f"{TYPED}(-3,), }}",
    "brackets": "(" * 900 + ")" * 900,
}


def npy(header: str) -> bytes:
    text = header.encode()
    text += b" " * (-(11 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(8)


@pytest.mark.parametrize("damage", HEADERS)
def test_a_damaged_npy_is_said_to_be_one(damage: str, tmp_path: Path) -> None:
    save(tiny_model([helper.make_node("Neg", ["x"], ["y"], "neg")], {"x": [2]}, ["y"]), tmp_path / "m.onnx")
    (tmp_path / "x.npy").write_bytes(npy(HEADERS[damage]))
    words = ["reference", str(tmp_path / "m.onnx"), "--input", str(tmp_path / "x.npy"), "--out", str(tmp_path / "r")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2 and "x.npy: not a readable .npy" in result.output, result.output
    with pytest.raises(InputError, match="'x': not a readable"):
        arrays_of_bytes([TensorSpec("x", "f32", (-1, -1))], {"x": npy(HEADERS[damage])})


def test_a_whole_npy_in_memory_is_its_array() -> None:
    values = np.arange(6, dtype=np.float32)
    data = npy(f"{TYPED}(2,), }}")[:-8] + values[:2].tobytes()
    (array,) = arrays_of_bytes([TensorSpec("x", "f32", (-1, -1))], {"x": data}).values()
    assert np.array_equal(array, values[:2])

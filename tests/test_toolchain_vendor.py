"""The vendor's runtime as a reference: used where it is importable, a clear line where it is not.

A stand-in package `horizon_tc_ui` in a folder plays the vendor's; it is imported by a real interpreter.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.errors import HostError, InputError
from harness.toolchains.vendor_runtime import find_runtime, read_named, run_vendor, runtime_of

PLAYED = """
import numpy as np

class HB_ONNXRuntime:
    def __init__(self, model_file):
        self.input_names, self.output_names = ["x"], ["y"]

    def run(self, names, feed, input_offset):
        return [feed["x"].astype(np.int32) - input_offset]

    def run_feature(self, names, feed, input_offset):
        if feed["x"].size == 0:
            raise RuntimeError("empty feed\\nsecond line")
        return [feed["x"] * 2]
"""
ASK = """
import sys
from pathlib import Path
import numpy as np
from harness.errors import HarnessError
from harness.toolchains.vendor_runtime import write_vendor_reference
model, out, dtype, size = sys.argv[1:]
try:
    path = write_vendor_reference(Path(model), {"x": np.arange(int(size)).astype(dtype)}, Path(out))
except HarnessError as error:
    print(f"{type(error).__name__}: {error.message} | {error.hint}")
else:
    print(dict(np.load(path))["y"].tolist())
"""


def hz_model(path: Path, kind: str = "HzSQuantizedPreprocess") -> Path:
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    node = helper.make_node(kind, ["x"], ["y"], domain="horizon" if kind.startswith("Hz") else "")
    onnx.save(helper.make_model(helper.make_graph([node], "g", info[:1], info[1:])), str(path))
    return path


def ask(tmp_path: Path, dtype: str, size: int = 3, package: str | None = PLAYED) -> str:
    """What a fresh interpreter says, with or without the stand-in package on its path."""
    environment = dict(os.environ)
    if package is not None:
        (tmp_path / "horizon_tc_ui").mkdir()
        (tmp_path / "horizon_tc_ui" / "__init__.py").write_text(package)
        environment["PYTHONPATH"] = str(tmp_path)
    model = hz_model(tmp_path / "m_quantized_model.onnx")
    argv = [sys.executable, "-c", ASK, str(model), str(tmp_path / "out"), dtype, str(size)]
    return subprocess.run(argv, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def test_which_runtime_a_file_needs(tmp_path: Path) -> None:
    assert runtime_of(hz_model(tmp_path / "a.onnx")) == "HB_ONNXRuntime"
    assert runtime_of(hz_model(tmp_path / "b.onnx", "Relu")) == ""
    assert runtime_of(tmp_path / "c.hbm") == "HBRuntime"
    (tmp_path / "d.onnx").write_bytes(b"not onnx")
    assert runtime_of(tmp_path / "d.onnx") == ""


def test_pixels_are_offset_and_feature_maps_are_not(tmp_path: Path) -> None:
    assert ask(tmp_path, "uint8") == "[-128, -127, -126]"


def test_feature_maps_go_in_as_they_are(tmp_path: Path) -> None:
    assert ask(tmp_path, "float32") == "[0.0, 2.0, 4.0]"


def test_a_failing_vendor_run_is_one_line(tmp_path: Path) -> None:
    told = ask(tmp_path, "float32", size=0)
    assert told.startswith("InputError: ") and "empty feed" in told and "second line" not in told


def test_without_the_vendors_package_the_answer_says_what_to_do(tmp_path: Path) -> None:
    told = ask(tmp_path, "float32", package=None)
    assert told.startswith("HostError: HB_ONNXRuntime") and "docs/reference-vendor.md" in told


def test_a_broken_vendor_package_is_named(tmp_path: Path) -> None:
    told = ask(tmp_path, "float32", package="import no_such_dependency_of_theirs")
    assert "no_such_dependency_of_theirs" in told and told.startswith("HostError")


def test_a_plain_model_needs_no_vendor(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs no vendor runtime"):
        run_vendor(hz_model(tmp_path / "m.onnx", "Relu"), {"x": np.zeros(4, np.float32)})
    with pytest.raises(HostError):
        find_runtime("HBRuntime")


def test_harness_reference_uses_the_vendors_runtime_and_says_when_it_cannot(tmp_path: Path) -> None:
    model = hz_model(tmp_path / "m_quantized_model.onnx")
    np.save(tmp_path / "x.npy", np.arange(4, dtype=np.float32))
    argv = [sys.executable, "-m", "harness", "reference", str(model), "--input", f"x={tmp_path / 'x.npy'}"]
    argv += ["-o", str(tmp_path / "out"), "--json"]
    without = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert without.returncode == 3 and "cannot be imported" in without.stderr and "hint:" in without.stderr
    (tmp_path / "horizon_tc_ui").mkdir()
    (tmp_path / "horizon_tc_ui" / "__init__.py").write_text(PLAYED)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "vendor.npz").is_file() and '"y"' in done.stdout


def test_inputs_of_a_vendor_model_are_named_npy_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which input"):
        read_named(["x.npy"])
    (tmp_path / "bad.npy").write_bytes(b"no")
    with pytest.raises(InputError, match="not a readable"):
        read_named([f"x={tmp_path / 'bad.npy'}"])

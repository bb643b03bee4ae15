"""References computed beside a vendor's runtime: real interpreters, a test package in the vendor's place."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.assets import asset
from harness.cli import cli
from harness.errors import HostError, InputError
from harness.records import ReferenceRuntime, TensorSpec
from harness.reference.runtime import place_of
from harness.toolchains.vendor_runtime import needs_vendor, read_named, runtimes_for, shift_pixels
from tests.support.vendor_models import plain_model, save_input, stand_in_environment, vendor_model


def harness(*words: str | Path, release: str | None = "newer", **variables: str) -> Result:
    """A command of harness, in a shell where the stand-in of a release can be imported, or none."""
    environment = {"PYTHONPATH": None, **(stand_in_environment(release) if release else {}), **variables}
    return CliRunner().invoke(cli, [str(word) for word in words], env=environment)


def reference(model: Path, data: Path, *words: str | Path, release: str | None = "newer", **variables: str) -> Result:
    out = model.parent / "out"
    given = ("--input", f"x={data}", "-o", out, *words)
    return harness("reference", model, *given, release=release, **variables)


def tensors(folder: Path) -> dict[str, Any]:
    manifest = json.loads((folder / "manifest.json").read_text())
    return {row["name"]: np.load(folder / row["file"]).ravel().tolist() for row in manifest["tensors"]}


@pytest.mark.parametrize("release", ["older", "newer"])
def test_every_layer_of_a_vendor_model_comes_back(tmp_path: Path, release: str) -> None:
    model, data = vendor_model(tmp_path / "m.onnx"), save_input(tmp_path / "x.npy", [-1, 0, 1, 2])
    answer = reference(model, data, "--python", sys.executable, "--json", release=release)
    assert answer.exit_code == 0, answer.stderr
    assert tensors(tmp_path / "out") == {
        "x": [-1, 0, 1, 2],
        "a": [-1, 0, 1, 2],
        "b": [0, 0, 1, 2],
        "y": [0, 0, 2, 4],
    }
    record = json.loads(answer.stdout)
    assert record["ops"] == 3 and record["skipped"] == []
    runner = record["provenance"]["runner"]
    assert runner["runtime"] == "HB_ONNXRuntime" and runner["module"] == "horizon_tc_ui"
    assert "stand-in" in runner["versions"]["horizon_tc_ui"] and runner["dumping_changed_outputs"] is False
    assert "a vendor's runtime prints" not in answer.stdout
    assert str(sys.executable) not in (tmp_path / "out" / "manifest.json").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("release", ["older", "newer"])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_pixels_and_int8_mean_the_same_in_every_release(tmp_path: Path, release: str, dtype: str) -> None:
    model = vendor_model(tmp_path / "m.onnx", signed=True)
    pixels = [0, 128, 129, 255] if dtype == "uint8" else [-128, 0, 1, 127]
    answer = reference(model, save_input(tmp_path / "x.npy", pixels, dtype), release=release)
    assert answer.exit_code == 0, answer.stderr
    assert tensors(tmp_path / "out")["x"] == [-128, 0, 1, 127]
    assert tensors(tmp_path / "out")["y"] == [0, 0, 2, 254]


def test_without_the_vendors_package_the_answer_says_what_was_looked_for(tmp_path: Path) -> None:
    model, data = vendor_model(tmp_path / "m.onnx"), save_input(tmp_path / "x.npy", [1, 2, 3, 4])
    answer = reference(model, data, "--json", release=None)
    assert answer.exit_code == 3
    error = json.loads(answer.stdout)["error"]
    assert "HB_ONNXRuntime of horizon_tc_ui: ModuleNotFoundError" in error and "HBRuntime" in error
    assert "docs/reference-vendor.md" in json.loads(answer.stdout)["hint"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("special", "code", "words"),
    [
        ("HzUnknown", 2, "No Op registered for HzUnknown"),
        ("HzCrash", 3, "killed by SIGSEGV, without a result"),
        ("HzAllocate", 3, "ran out of memory: MemoryError: std::bad_alloc"),
        ("HzExit", 3, "no result (exit status 7): licence"),
    ],
)
def test_a_runtime_that_fails_is_one_sentence(tmp_path: Path, special: str, code: int, words: str) -> None:
    model = vendor_model(tmp_path / "m.onnx", special)
    answer = reference(model, save_input(tmp_path / "x.npy", [1, 2, 3, 4]))
    assert answer.exit_code == code, answer.stderr
    assert words in answer.stderr and "Traceback" not in answer.stderr and "\x1b" not in answer.stderr


@pytest.mark.slow
def test_a_time_limit_ends_the_runtime(tmp_path: Path) -> None:
    model = vendor_model(tmp_path / "m.onnx", "HzSleep")
    data = save_input(tmp_path / "x.npy", [1, 2, 3, 4])
    answer = reference(model, data, "--python", sys.executable, "--timeout", "3")
    assert answer.exit_code == 3 and "timed out after 3 s" in answer.stderr and "--timeout" in answer.stderr


@pytest.mark.slow
def test_only_named_variables_reach_the_runtime(tmp_path: Path) -> None:
    model = vendor_model(tmp_path / "m.onnx", "HzEnvironment")
    data = save_input(tmp_path / "x.npy", [1, 2, 3, 4])
    answer = reference(model, data, HARNESS_PASSWORD="no-one's business", AWS_SECRET_ACCESS_KEY="neither")
    assert "environment: " in answer.stderr
    assert "PASSWORD" not in answer.stderr and "AWS" not in answer.stderr and "PATH" in answer.stderr


@pytest.mark.slow
def test_plain_onnxruntime_of_another_interpreter(tmp_path: Path) -> None:
    model, data = plain_model(tmp_path / "m.onnx"), save_input(tmp_path / "x.npy", [-1, 0, 1, 2])
    answer = reference(model, data, "--python", sys.executable, "--optimizations", "all", release=None)
    assert answer.exit_code == 0, answer.stderr
    runner = json.loads((tmp_path / "out" / "manifest.json").read_text())["runner"]
    assert runner["optimizations"] == "all" and isinstance(runner["vnni"], bool | None)
    assert "onnxruntime of onnxruntime" in answer.stdout and tensors(tmp_path / "out")["b"] == [0, 0, 1, 2]


@pytest.mark.slow
def test_a_compiled_model_gives_its_outputs(tmp_path: Path) -> None:
    model, data = tmp_path / "m.hbm", save_input(tmp_path / "x.npy", [1, 2, 3, 4])
    model.write_text("stand-in x y")
    answer = reference(model, data)
    assert answer.exit_code == 0, answer.stderr
    assert tensors(tmp_path / "out") == {"y": [2, 4, 6, 8]}
    wrong = harness("reference", model, "--input", f"z={data}", "-o", tmp_path / "no")
    assert wrong.exit_code == 2 and "takes x; given z" in wrong.stderr


@pytest.mark.slow
def test_compare_computes_the_reference_beside(tmp_path: Path) -> None:
    model, data = vendor_model(tmp_path / "m.onnx"), save_input(tmp_path / "x.npy", [-1, 0, 1, 2])
    assert reference(model, data).exit_code == 0
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for name, values in tensors(tmp_path / "out").items():
        np.save(dumps / f"{name}.npy", np.array([values], np.float32))
    given = ("compare", model, dumps, "--input", f"x={data}")
    good = harness(*given, "--reference-python", sys.executable)
    assert good.exit_code == 0, good.stdout + good.stderr
    assert "3 of 3 layers" in good.stdout
    without = harness(*given, release=None)
    assert without.exit_code == 3 and "looked for" in without.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--python", "/no/such/python3"), "no such interpreter"),
        (("--python", "{model}"), "not an executable file"),
        (("--python", sys.executable, "--image", "a"), "cannot be used together"),
        (("--image", "-v"), "not the name of an image"),
        (("--runtime", "HBRuntime"), "need --python"),
        (("--python", sys.executable, "--runtime", "HBRuntime", "--threads", "2"), "applies to ONNX Runtime only"),
        (("--optimizations", "all"), "applies to ONNX Runtime only"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, words: tuple[str, ...], expected: str) -> None:
    model, data = vendor_model(tmp_path / "m.onnx"), save_input(tmp_path / "x.npy", [1, 2, 3, 4])
    answer = reference(model, data, *(word.format(model=model) for word in words))
    assert answer.exit_code == 2 and expected in answer.stderr, answer.stderr


def test_a_run_with_a_vendor_reference_is_refused_before_the_board_is_touched(tmp_path: Path) -> None:
    model = vendor_model(tmp_path / "m.onnx")
    (tmp_path / "m.bin").write_bytes(b"compiled")
    given = ("run", "--board", "emu-x5", tmp_path / "m.bin", "--runs", tmp_path / "runs", "--reference")
    without = harness(*given, model, release=None)
    assert without.exit_code == 3 and "--reference-python PATH or --reference-image NAME" in without.stderr
    missing = harness(*given, model, "--reference-python", "/no/python3", release=None)
    assert missing.exit_code == 2 and "no such interpreter" in missing.stderr
    folder = harness(*given, tmp_path, "--reference-image", "some/image", release=None)
    assert folder.exit_code == 2 and "needs an ONNX as reference" in folder.stderr
    assert not (tmp_path / "runs").exists()


def test_which_runtime_a_model_needs(tmp_path: Path) -> None:
    assert runtimes_for(vendor_model(tmp_path / "a.onnx")) == ("HB_ONNXRuntime", "HBRuntime")
    assert runtimes_for(plain_model(tmp_path / "b.onnx"))[0] == "onnxruntime"
    assert runtimes_for(tmp_path / "c.hbm") == ("HBRuntime",)
    (tmp_path / "d.onnx").write_bytes(b"not onnx")
    assert not needs_vendor(tmp_path / "d.onnx")


def test_only_pixels_are_shifted() -> None:
    specs = [TensorSpec("image", "s8", (2,)), TensorSpec("map", "f32", (2,))]
    pixels = {"image": np.array([0, 255], np.uint8), "map": np.array([0, 255], np.uint8)}
    shifted = shift_pixels(specs, pixels)
    assert shifted["image"].tolist() == [-128, 127] and shifted["map"] is pixels["map"]


def test_inputs_of_a_compiled_model_are_named_npy_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="input name missing"):
        read_named(["x.npy"])
    (tmp_path / "bad.npy").write_bytes(b"no")
    with pytest.raises(InputError, match="not a readable"):
        read_named([f"x={tmp_path / 'bad.npy'}"])
    good = save_input(tmp_path / "good.npy", [1])
    with pytest.raises(InputError, match="more than once"):
        read_named([f"x={good}", f"x={good}"])


# --------------------------------------------------------------------------- containers: the command line


def engine_on_path(folder: Path, name: str) -> None:
    """A file that only has to be found: these tests never start it."""
    (folder / name).write_text("#!/bin/sh\nexit 1\n")
    (folder / name).chmod(0o755)


def test_the_containers_command_is_an_argument_list_without_network(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", ARGV, "vendor/image:1.2; rm -rf ~", "/opt/a b/python3"]
    engine_on_path(tmp_path, "podman")
    environment = {**os.environ, "PATH": str(tmp_path), "HARNESS_PASSWORD": "secret"}
    command, cleanup, variables = json.loads(subprocess.run(argv, env=environment, capture_output=True).stdout)
    assert command[:2] == [str(tmp_path / "podman"), "run"]
    name = command[command.index("--name") + 1]
    assert name.startswith("harness-reference-") and cleanup == [command[0], "rm", "--force", name]
    for option, value in (("--network", "none"), ("--pull", "never"), ("--entrypoint", "/opt/a b/python3")):
        assert command[command.index(option) + 1] == value
    mounts = [command[i + 1] for i, word in enumerate(command) if word == "--mount"]
    assert mounts[0].endswith("target=/harness/request,readonly") and mounts[1].endswith("target=/harness/result")
    assert "vendor/image:1.2; rm -rf ~" in command and "secret" not in " ".join(command)
    assert "HARNESS_PASSWORD" not in variables


ARGV = """
import json, sys
from pathlib import Path
from harness.records import ReferenceRuntime
from harness.reference.runtime import place_of
place = place_of(ReferenceRuntime(image=sys.argv[1], entrypoint=sys.argv[2]), Path("/tmp/folder"))
print(json.dumps([place.argv, place.cleanup, place.environment]))
"""


def test_no_engine_is_said(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no-such-engine is not installed"):
        place_of(ReferenceRuntime(image="a", engine="no-such-engine"), tmp_path)


# --------------------------------------------------------------------------- the script


def test_the_script_is_written_for_python_3_6_with_numpy_alone() -> None:
    source = asset("agents/reference_runner.py").read_text(encoding="ascii")
    tree = ast.parse(source, feature_version=(3, 6))
    newer = (ast.NamedExpr, ast.Match) if sys.version_info >= (3, 10) else (ast.NamedExpr,)
    assert not any(isinstance(node, newer) for node in ast.walk(tree))
    names = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert names <= {"hashlib", "importlib", "json", "os", "platform", "shutil", "sys", "threading"}
    assert not any(isinstance(node, ast.ImportFrom | ast.JoinedStr) for node in ast.walk(tree))


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_runtime_outlives_harness(tmp_path: Path, way: signal.Signals) -> None:
    model = vendor_model(tmp_path / "m.onnx", "HzSleep")
    data = save_input(tmp_path / "x.npy", [1, 2, 3, 4])
    argv = [sys.executable, "-m", "harness", "reference", str(model), "--input", f"x={data}", "-o", str(tmp_path / "r")]
    environment = {**os.environ, **stand_in_environment("older"), "TMPDIR": str(tmp_path)}
    host = subprocess.Popen(argv, env=environment, stderr=subprocess.DEVNULL)
    wait_for(lambda: bool(runtimes_in(tmp_path)))
    beside = runtimes_in(tmp_path)
    host.send_signal(way)
    host.wait()
    wait_for(lambda: not runtimes_in(tmp_path) & beside)


def wait_for(condition: Callable[[], bool]) -> None:
    """Patient far beyond what it takes: a loaded machine is slow, a hang is not."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def runtimes_in(folder: Path) -> set[int]:
    """Process ids of runners whose request lies in `folder`."""
    names = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"{folder}/harness-reference-" in path.read_text(errors="replace"):
                names.add(int(path.parent.name))
    return names

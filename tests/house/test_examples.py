"""The example models: built by the committed script, real where they say so, equal on the emulated board and the PC."""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest

from harness.emulator.build import build
from harness.emulator.compiler.compile import BuildOptions
from harness.emulator.compiler.pixels import PixelInput
from harness.emulator.model.execute import Executor
from harness.emulator.rooms import soc_named
from tests.support import emulator_kit as kit
from tests.support.emulator_kit import dumped, kit_quantized, reference_values
from tests.support.kept import kept_folder

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PIXEL = PixelInput(scale=(1 / 255,) * 3)


@cache
def script() -> ModuleType:
    """scripts/build_examples.py as a module: it is no part of the package."""
    spec = importlib.util.spec_from_file_location("build_examples", SCRIPTS / "build_examples.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@cache
def example(name: str) -> Path:
    """The folder of one example, built once per worker, its model compiled for an X5."""
    folder = kept_folder("harness-example-")
    script().build(folder, (name,))
    pixels = {"images": PIXEL} if name in ("mobilenet", "yolo") else {}
    options = BuildOptions(soc_named("x5"), calibration=folder / f"{name}_calibration", pixels=pixels)
    build([folder / f"{name}.onnx"], options, folder / f"{name}.bin")
    return folder


def board_top1(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The digits on the emulated board: its own executor in one process, one frame after the other."""
    file, model = kit.opened(example("digits") / "digits.bin")
    executor = Executor(file, model)
    name = model.outputs[0]
    return np.array([int(executor.run({"image": image}, [name])[name].argmax()) for image in images])


def pc_top1(path: Path, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.array([int(session.run(None, {"image": image})[0].argmax()) for image in images])


def digits_test() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    with np.load(example("digits") / "digits_test.npz") as kept:
        return kept["image"], kept["label"]


def test_the_digits_network_reads_handwriting() -> None:
    images, labels = digits_test()
    assert len(labels) == 360 and set(labels) == set(range(10))
    assert np.mean(pc_top1(example("digits") / "digits.onnx", images) == labels) >= 0.95


def test_top1_of_the_digits_is_the_same_on_board_and_pc_for_the_whole_test_set() -> None:
    images, labels = digits_test()
    board = board_top1(images)
    pc = pc_top1(kit_quantized(example("digits") / "digits.bin"), images)
    assert np.array_equal(board, pc)
    assert np.mean(board == labels) >= 0.95
    assert np.mean(board == pc_top1(example("digits") / "digits.onnx", images)) >= 0.98


def tool_top1(folder: Path, image: np.ndarray[Any, Any]) -> int:
    (folder / "frame.bin").write_bytes(image.tobytes())
    result = kit.tool(folder, "infer", f"--model_file={example('digits') / 'digits.bin'}", "--input_file=frame.bin",
                    "--enable_dump=true")  # fmt: skip
    assert result.returncode == 0, result.stderr
    return int(np.fromfile(folder / "model_infer_output_0_softmax_out.bin", np.float32).argmax())


def test_the_real_tool_gives_what_its_executor_gives(tmp_path: Path) -> None:
    images, _ = digits_test()
    few = images[::90]
    assert [tool_top1(tmp_path, image) for image in few] == board_top1(few).tolist()


@pytest.mark.slow
def test_top1_of_the_whole_test_set_through_the_real_tool(tmp_path: Path) -> None:
    """Every fourth image; all of them with HYPOTHESIS_PROFILE=thorough (`make soak`): a start of the tool each."""
    images = digits_test()[0][:: 1 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 4]
    pc = pc_top1(kit_quantized(example("digits") / "digits.bin"), images)
    assert [tool_top1(tmp_path, image) for image in images] == pc.tolist()


@pytest.mark.slow
def test_the_held_out_images_are_those_that_scikit_learn_carries_and_no_training_image_is_among_them() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    data = datasets.load_digits()
    images, labels = digits_test()
    assert np.array_equal(images[:, 0, 0] * 16, data.images[::5])
    assert np.array_equal(labels, data.target[::5])


@pytest.mark.parametrize(
    ("name", "frame", "entering"),
    [
        ("mobilenet", "photo_224.nv12", "images"),
        pytest.param("yolo", "photo_320.nv12", "images", marks=pytest.mark.slow),
        pytest.param("motionbert", "motionbert_input.bin", "pose", marks=pytest.mark.slow),
    ],
)
def test_every_layer_of_an_example_is_equal_on_board_and_pc(
    tmp_path: Path, name: str, frame: str, entering: str
) -> None:
    from harness.emulator.model.image import reference_feed

    folder = example(name)
    model = folder / f"{name}.bin"
    result = kit.tool(tmp_path, "infer", f"--model_file={model}", f"--input_file={folder / frame}",
                    "--enable_dump=true", "--dump_intermediate=1")  # fmt: skip
    assert result.returncode == 0, result.stderr
    data = (folder / frame).read_bytes()
    side = {"photo_224.nv12": 224, "photo_320.nv12": 320}.get(frame)
    value = reference_feed(data, side, side) if side else np.frombuffer(data, np.float32).reshape(1, 120, 17, 3)
    expected = reference_values(kit_quantized(model), {entering: value})
    layers = dumped(tmp_path, model)
    assert set(layers) == set(expected) - {entering}
    wrong = [tensor for tensor in layers if not np.array_equal(layers[tensor], expected[tensor])]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet", "yolo", "motionbert"])
def test_seeded_networks_are_alive_in_every_layer(name: str) -> None:
    """int8 activations use their range: no layer is constant, few are nearly so."""
    file, model = kit.opened(example(name) / f"{name}.bin")
    from harness.emulator.horizon.tool_inputs import read_frames

    frame = {"mobilenet": "photo_224.nv12", "yolo": "photo_320.nv12"}.get(name, f"{name}_input.bin")
    feed = read_frames(model, [str(example(name) / frame)]).feed
    names = [t.name for t in model.tensors if t.spec.dtype == "s8" and not t.is_input]
    used = {n: np.unique(v).size for n, v in Executor(file, model).run(feed, names).items()}
    assert min(used.values()) > 3, min(used, key=used.__getitem__)
    assert np.median(list(used.values())) > 60


def test_softmax_of_the_transformer_runs_on_the_cpu_of_an_x5() -> None:
    _, model = kit.opened(example("motionbert") / "motionbert.bin")
    assert {op.unit for op in model.ops if op.kind == "Softmax"} == {"CPU"}
    assert len({op.subgraph for op in model.ops if op.subgraph}) == 5
    assert model.inputs[0].spec.shape == (1, 120, 17, 3)


def test_the_script_gives_the_same_bytes_again(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        script().build(tmp_path / folder, ("digits", "motionbert"))
    for path in (tmp_path / "a").rglob("*"):
        twin = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.is_dir() or path.read_bytes() == twin.read_bytes(), path.name


def test_the_script_names_an_unknown_example(tmp_path: Path) -> None:
    import subprocess

    argv = [sys.executable, str(SCRIPTS / "build_examples.py"), str(tmp_path), "resnet"]
    result = subprocess.run(argv, capture_output=True, text=True)
    assert result.returncode != 0 and "no example resnet" in result.stderr

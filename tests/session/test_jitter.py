"""`harness jitter` by the real command line: three faults that the cosine of single frames hides, each told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper, numpy_helper

from scripts.example_nets import motionbert
from tests.support.builds import harness

FRAMES = 12  # of a window
STRIDE = 4
WINDOWS = 3


def walk(frames: int, noise: float, seed: int = 0, scale: float = 1.0) -> npt.NDArray[np.float32]:
    """A smooth motion of 17 joints in space, about 1.5 from the origin, with noise on every frame."""
    rng = np.random.default_rng(seed)
    at_s = np.arange(frames)[:, None, None] / 30
    turns, begins = rng.uniform(0.2, 0.9, (1, 17, 3)), rng.uniform(0, 6, (1, 17, 3))
    motion = 1.5 + 0.5 * np.sin(2 * np.pi * turns * at_s + begins)
    return np.asarray((motion + rng.normal(0, noise, motion.shape)) * scale, np.float32)


def refining_net(path: Path) -> None:
    """MotionBERT's shape in small; its output is the pose it was given, moved a little, so that cosines are near 1."""
    model = motionbert(walk(FRAMES, 0)[None], width=16, depth=1, heads=2)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array(0.05, np.float32), "share"))
    graph.node.append(helper.make_node("Mul", [graph.output[0].name, "share"], ["moved"], name="moved"))
    graph.node.append(helper.make_node("Add", ["pose", "moved"], ["refined"], name="refine"))
    graph.output[0].name = "refined"
    onnx.save(model, path)


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`near` is calibrated on poses like those of the sequences, `wide` on poses five times as large: coarse steps."""
    folder = tmp_path_factory.mktemp("jitter")
    refining_net(folder / "refine.onnx")
    for name, scale in (("near", 1.0), ("wide", 5.0)):
        (folder / name).mkdir()
        for place in range(4):
            np.save(folder / name / f"{place}.npy", walk(FRAMES, 0.05, 10 + place, scale)[None])
        argv = ["emulator", "build", "refine.onnx", "--soc", "x5", "--calibration", name, "-o", f"{name}.bin"]
        harness(*argv, cwd=folder, check=True)
    for name, noise in (("still", 0.0), ("shaky", 0.05)):
        np.save(folder / f"{name}.npy", walk(FRAMES + STRIDE * (WINDOWS - 1), noise))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "sequence", "fault", "words", "code"),
    [
        ("near", "shaky", (), "the float model or its input adds the jitter of refined", 0),
        ("wide", "still", (), "quantization adds the jitter of refined", 0),
        ("near", "still", ("--fault", "rounding@refine:share=0.6"), "the board adds the jitter of refined", 1),
    ],
    ids=["float", "quantization", "board"],
)
def test_the_stage_that_adds_the_jitter_is_named(
    nets: Path, tmp_path: Path, build: str, sequence: str, fault: tuple[str, ...], words: str, code: int
) -> None:
    result = harness(
        *("jitter", nets / f"{build}.bin", "--board", "emu-x5", "--samples", nets / f"{sequence}.npy"),
        *("--stride", "4", "--fps", "30", "--wait", "120", *fault),  # float and quantized model: those beside it
        *(("--truth", nets / "still.npy") if sequence == "shaky" else ()),
        cwd=tmp_path,
    )
    assert result.returncode == code, result.stdout + result.stderr
    first = " ".join("\n".join(result.stdout.splitlines()[:3]).split())
    assert words in first and "every single frame's cosine is above 0.999, which hides it" in first
    (path,) = tmp_path.glob("runs/*/*/*/run.json")
    record: dict[str, Any] = json.loads(path.read_text())
    (output,) = record["jitter"]["outputs"]
    taken = f"float {build}_original_float_model.onnx, reference {build}_quantized_model.onnx"
    assert taken in record["notes"][-1] and taken in " ".join(result.stdout.split())
    assert output["frames"] == STRIDE * WINDOWS and record["jitter"]["hidden"]
    assert (output["stages"][0]["mpjpe"] is not None) == (sequence == "shaky")
    known = [stage["one_minus_cosine"] for stage in output["stages"] if stage["one_minus_cosine"] is not None]
    assert len(known) == 2 and max(known) < 1e-3
    page = path.with_name("report.html").read_text()
    assert words in page and page.count('class="line l-') >= 9 and "Histogram of the difference" in page

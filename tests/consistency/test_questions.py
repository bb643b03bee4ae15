"""Questions that people asked in public, rebuilt small: own scripts make the files, the real command judges them."""

from __future__ import annotations

import html
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli import cli
from tests.support.toolchain_samples import SAMPLES

CASES = SAMPLES.parent / "cases" / "questions"
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Question:
    """A comparison that somebody made, and what is right: exit code, first origin, its kind, words in the answer."""

    case: str
    reference: Sequence[str]
    board: str
    exit_code: int
    origin: str = ""
    kinds: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    not_said: tuple[str, ...] = ()


FPN = ("fpn.onnx", "--input", "x=x.npy")
NORM = ("ln.onnx", "--input", "x=x.npy")
OUTPUTS = ("m.onnx", "--input", "images=x.npy")
HALF = ("overflow of half precision", "judged as half precision")
RESIZE = ("r.onnx", "--input", "x=x.npy")
QUESTIONS = {
    "numbered outputs": Question("c09", OUTPUTS, "board_npy", 3, words=("output_1: out_cls", "--map")),
    "numbered raw outputs": Question("c09", OUTPUTS, "board_raw", 3, words=("output_1: out_cls", "--map-template")),
    "flat outputs": Question("c09", OUTPUTS, "board_flat", 0),
    "an archive": Question("c09", OUTPUTS, "board.npz", 0),
    "a mapping": Question("c09", (*OUTPUTS, "--map", "map.yaml"), "board_npy", 0),
    "two exchanged": Question("c09", OUTPUTS, "board_named", 1, "out_obj", ("other_tensor",), ("are exchanged",)),
    "text": Question("c09", OUTPUTS, "board_txt", 3, words=("output_1: out_cls", "--map-template")),
    "text and a mapping": Question("c09", (*OUTPUTS, "--map", "map.yaml"), "board_txt", 0),
    "right dequantization": Question("c10", ("ref",), "d_float", 0),
    "no zero point": Question(
        "c10", ("ref",), "d_nozp", 1, "y", ("dequantization",), ("zero point 154 not subtracted",)
    ),
    "no scale": Question("c10", ("ref",), "d_rawf", 1, "y", ("dequantization",), ("integers without scale",)),
    "read as signed": Question("c10", ("ref",), "d_s8view", 1, "y", ("dequantization",), ("read as signed",)),
    "moved to be signed": Question("c10", ("ref",), "d_s8shift", 1, "y", ("dequantization",), ("-128",)),
    "signed, then real": Question("c10", ("ref",), "d_s8deq", 1, "y", ("dequantization",), ("read as signed",)),
    "another scale": Question("c10", ("ref",), "d_badscale", 1, "y", ("dequantization",), ("0.0130055",)),
    "channels last": Question("c10", ("ref",), "d_nhwc", 0, words=("NHWC",)),
    "overflow in a norm": Question("c12", NORM, "d32", 1, "sq", ("overflow",), HALF),
    "overflow, f16 files": Question("c12", NORM, "d16", 1, "sq", ("overflow",), HALF),
    "overflow, few tensors": Question("c12", NORM, "dpart", 1, "n", ("overflow",), ("judged as half precision",)),
    "bf16": Question("c13", FPN, "bf16_ok", 0, words=("judged as bfloat16",)),
    "f16": Question("c13", FPN, "fp16_ok", 0, words=("judged as half precision",)),
    "bf16, one op wrong": Question("c13", FPN, "bf16_bad", 1, "f2", ("tile",), ("one in 2",)),
    "f16, one op wrong": Question("c13", FPN, "fp16_bad", 1, "f2", ("tile",), ("one in 2",)),
    "names with ops, clean": Question(
        "c14", ("ref.npz",), "board.npz", 3, words=("float-reference",), not_said=("log",)
    ),
    "names with ops, a row": Question("c14", ("ref.npz",), "board_bad.npz", 1, "y_Conv", ("zeroed_region",), ("H 5",)),
    "a row, with the graph": Question(
        "c14", ("ref.npz", "--graph", "m.onnx"), "board_bad.npz", 1, "y", ("zeroed_region", "tile"), ("conv2 (Conv)",)
    ),
    "one scale for all": Question("c19", ("ref",), "pertensor", 1, "y", ("dequantization",), ("scale of channel 0",)),
    "scales along another axis": Question("c19", ("ref",), "wrongaxis", 1, "y", ("dequantization",), ("along axis 2",)),
    "right, channels filled up": Question("c19", ("ref",), "pad", 0),
    "stored as they are": Question("c19", ("ref",), "raw", 0),
    "right scales": Question("c19", ("ref",), "ok", 0),
    "a pixel further": Question("c31", RESIZE, "moved", 1, "u", ("moved",), ("moved by",), ("another frame",)),
    "a pixel further, noise": Question("c31", RESIZE, "moved_noisy", 1, "u", ("moved",), ("moved by",), ("stale",)),
}


def python(folder: Path, script: str) -> None:
    subprocess.run([sys.executable, script], cwd=folder, check=True, capture_output=True, timeout=120)


def harness(*arguments: str) -> None:
    result = CliRunner().invoke(cli, [*arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def dequantized(_folder: Path) -> None:
    harness("reference", "mq.onnx", "--input", "x=x.npy", "-o", "ref")


def per_channel(_folder: Path) -> None:
    build = ("emulator", "build", "hd.onnx", "--soc", "x5", "--calibration", "cal", "--output-type", "int32")
    harness(*build, "-o", "hd.bin")
    harness("reference", "hd_quantized_model.onnx", "--input", "x=x.npy", "-o", "ref")


def moved_pixel(folder: Path) -> None:
    """Every row of the Resize's output one pixel to the right, and what the next op makes of it."""
    (folder / "mk.py").write_text(MOVED, encoding="utf-8")


MOVED = """
import numpy as np, onnx, os
from onnx.numpy_helper import to_array
from onnxruntime import InferenceSession
model = onnx.load("r.onnx")
weights = {w.name: to_array(w) for w in model.graph.initializer}
model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in ("a", "ar", "u"))
session = InferenceSession(model.SerializeToString())
names = [o.name for o in session.get_outputs()]
values = dict(zip(names, session.run(None, {"x": np.load("x.npy")})), x=np.load("x.npy"))
values["u"] = np.concatenate([values["u"][..., :1], values["u"][..., :-1]], axis=3)
values["y"] = np.einsum("oc,nchw->nohw", weights["v"][:, :, 0, 0], values["u"])
for folder, noise in (("moved", 0), ("moved_noisy", 1e-6)):
    os.makedirs(folder)
    rng = np.random.default_rng(0)
    for name, value in values.items():
        np.save(f"{folder}/{name}.npy", (value * (1 + noise * rng.normal(size=value.shape))).astype(np.float32))
"""

AFTER: dict[str, Callable[[Path], None]] = {"c10": dequantized, "c19": per_channel, "c31": moved_pixel}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a case, made once: its own build.py, the step that the case names, and its mk.py."""
    made: dict[str, Path] = {}

    def make(case: str) -> Path:
        if case not in made:
            if not (CASES / case / "build.py").is_file():
                pytest.skip(f"the questions are not here: {CASES} (set HARNESS_SAMPLES)")
            folder = made[case] = tmp_path_factory.mktemp(case)
            shutil.copytree(CASES / case, folder, dirs_exist_ok=True)
            python(folder, "build.py")
            before = Path.cwd()
            os.chdir(folder)
            try:
                AFTER.get(case, lambda _: None)(folder)
            finally:
                os.chdir(before)
            if (folder / "mk.py").is_file():
                python(folder, "mk.py")
        return made[case]

    return make


def answered(folder: Path, question: Question) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON, and the text of `harness compare`."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        reference, *options = question.reference
        words = ["compare", reference, question.board, *options]
        plain, as_json = (CliRunner().invoke(cli, [*words, *more]) for more in ((), ("--json",)))
    finally:
        os.chdir(before)
    assert plain.exit_code == as_json.exit_code
    return plain.exit_code, json.loads(as_json.stdout), plain.output


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_gets_the_right_answer(name: str, built: Callable[[str], Path]) -> None:
    question = QUESTIONS[name]
    exit_code, answer, text = answered(built(question.case), question)
    assert exit_code == question.exit_code, text
    origins = answer["origins"]
    assert [origin["tensor"] for origin in origins][:1] == ([question.origin] if question.origin else [])
    if question.kinds:
        assert origins[0]["fingerprint"]["kind"] in question.kinds, origins[0]
    assert [word for word in question.words if word not in text] == []
    assert [word for word in question.not_said if word in text] == []


# --------------------------------------------------------------------------- pictures

PICTURES = """
import numpy as np
from PIL import Image
small = np.asarray(Image.open("photo.png").resize((64, 96))).astype(float)
rng = np.random.default_rng(0)
for i in range(3):
    Image.fromarray(np.clip(small + rng.normal(0, 20, small.shape), 0, 255).astype(np.uint8)).save(f"c{i}.png")
"""
MISTAKES = """
import numpy as np
data, height, width = np.fromfile("good.nv12", np.uint8), 96, 64
luma, chroma = data[: height * width], data[height * width :].reshape(-1, 2)
turned = luma.reshape(height, width).T, chroma.reshape(height // 2, width // 2, 2).transpose(1, 0, 2)
for name, parts in {
    "nv21": (luma, chroma[:, ::-1]),
    "i420": (luma, chroma.T),
    "planes": (chroma, luma),
    "turned": turned,
}.items():
    np.concatenate([part.reshape(-1) for part in parts]).tofile(f"{name}.nv12")
"""
WORDS = {
    "video": "limited range (16..235)",
    "nv21": "NV21 instead of NV12",
    "i420": "I420 instead of NV12",
    "planes": "the chroma plane lies before",
    "turned": "height and width exchanged",
}


def photos(folder: Path) -> None:
    (folder / "pictures.py").write_text(PICTURES, encoding="utf-8")
    python(folder, "pictures.py")
    size = ("--size", "64x96", "--fit", "stretch", "--to", "nv12")
    (folder / "cal").mkdir()
    for i in range(3):
        harness("convert", f"c{i}.png", *size, "-o", f"cal/{i}.nv12")
    harness("convert", "photo.png", *size, "-o", "good.nv12")
    harness("convert", "photo.png", *size, "--range", "video", "-o", "video.nv12")
    (folder / "mistakes.py").write_text(MISTAKES, encoding="utf-8")
    python(folder, "mistakes.py")


AFTER["c20"] = photos


def runs(folder: Path, soc: str, name: str, *words: str) -> tuple[str, str, dict[str, Any]]:
    """The first three lines, the page and the JSON of a debug run on an emulated board."""
    argv = ["run", "--board", f"emu-{soc}", f"p_{soc}.bin", "--input", f"{name}.nv12", *words]
    result = CliRunner().invoke(cli, [*argv, "--mode", "debug", "--case", f"{soc}_{name}", "--wait", "120"])
    assert result.exit_code in (0, 1), result.output
    (run,) = folder.glob(f"runs/{soc}_{name}/*/*/run.json")
    page = html.unescape(run.with_name("report.html").read_text(encoding="utf-8"))
    return "\n".join(result.stdout.splitlines()[:3]), page, dict(json.loads(run.read_text(encoding="utf-8")))


@pytest.mark.parametrize("soc", ["x5", "x3", "j5", "s100"])
def test_a_picture_in_another_form_is_named_on_every_board(soc: str, built: Callable[[str], Path]) -> None:
    """The board got the wrong picture, the reference was made with the right one."""
    folder = built("c20")
    before = Path.cwd()
    os.chdir(folder)
    try:
        build = ("emulator", "build", "p.onnx", "--soc", soc, "--calibration", "cal", "--input-type", "nv12")
        harness(*build, "-o", f"p_{soc}.bin")
        _, _, good = runs(folder, soc, "good")
        assert good["comparison"]["verdict"]["word"] == "consistent"
        (reference,) = folder.glob(f"runs/{soc}_good/*/*/reference")
        for name, words in WORDS.items():
            first, page, run = runs(folder, soc, name, "--reference", str(reference))
            comparison = run["comparison"]
            marks = [origin["fingerprint"] for origin in comparison["origins"]]
            assert {origin["op_kind"] for origin in comparison["origins"]} == {"input"}, name
            if name != "planes" or soc != "s100":  # there the planes are files of their own: nothing is out of order
                assert marks[0]["kind"] == "preprocessing" and words in marks[0]["evidence"], (name, marks)
                assert words in first and words in page, first
    finally:
        os.chdir(before)


def test_twelve_ops_with_one_habit_have_one_summary(built: Callable[[str], Path]) -> None:
    folder = built("c08")
    before = Path.cwd()
    os.chdir(folder)
    try:
        harness("emulator", "build", "deep.onnx", "--soc", "x5", "--calibration", "cal", "-o", "deep.bin")
        words = ["run", "--board", "emu-x5", "deep.bin", "--input", "x.bin", "--reference", "deep_quantized_model.onnx"]
        words += ["--mode", "debug", "--wait", "120", "--case", "deep"]
        for i in range(12):
            words += ["--fault", f"rounding@conv{i}"]
        assert CliRunner().invoke(cli, words).exit_code == 1
        (run,) = folder.glob("runs/deep/*/*/run.json")
    finally:
        os.chdir(before)
    comparison = json.loads(run.read_text(encoding="utf-8"))["comparison"]
    assert len(comparison["origins"]) == 12
    (summary,) = [note for note in comparison["notes"] if note.startswith("12 origins show one habit")]
    assert "- {name: rounding of Conv, op_kinds: [Conv], limits: {max_step: 1" in summary


def test_a_packed_file_names_the_model_whose_reference_was_given(built: Callable[[str], Path]) -> None:
    folder = built("c28")
    before = Path.cwd()
    os.chdir(folder)
    try:
        harness("emulator", "build", "det.onnx", "reid.onnx", "--soc", "x5", "-o", "packed.bin")
        for ran, other in (("det", "reid"), ("reid", "det")):
            words = ["run", "--board", "emu-x5", "packed.bin", "--model-name", ran, "--input", "x.bin"]
            words += ["--reference", f"packed_{other}_quantized_model.onnx", "--mode", "debug", "--wait", "120"]
            result = CliRunner().invoke(cli, [*words, "--case", ran])
            head = result.stdout.splitlines()[:3]
            assert result.exit_code == 3 and f"another model of this file?: {ran} ran" in head[1], result.output
            assert f"looks like {other}" in head[1]
            (run,) = folder.glob(f"runs/{ran}/*/*/run.json")
            assert f"looks like {other}" in run.with_name("report.html").read_text(encoding="utf-8")
            assert json.loads(run.read_text(encoding="utf-8"))["comparison"]["origins"] == []
    finally:
        os.chdir(before)

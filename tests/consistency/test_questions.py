"""Questions that people asked in public, rebuilt small: own scripts make the files, the real command judges them."""

from __future__ import annotations

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
    "one scale for all": Question("c19", ("ref",), "pertensor", 1, "y", ("dequantization",), ("scale of channel 0",)),
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

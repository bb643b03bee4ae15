"""The main job, shown: example models, an emulated RDK X5, a run that is right and one with a planted fault."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"
WRONG_OP = "block4_1_expand"
HARNESS = [sys.executable, "-m", "harness"]


def step(text: str, argv: list[str], expected: int = 0) -> None:
    print(f"\n== {text}\n$ {' '.join(['harness', *argv[3:]] if argv[:3] == HARNESS else argv)}", flush=True)
    code = subprocess.run(argv, cwd=DEMO).returncode
    if code != expected:
        sys.exit(f"demo: ended with {code}, {expected} was expected")


def main() -> None:
    DEMO.mkdir(exist_ok=True)
    step(
        "example models (real inputs, seeded or trained weights)",
        [sys.executable, str(ROOT / "scripts/build_examples.py"), "models"],
    )
    step(
        "compile for the emulated X5",
        [*HARNESS, "emulator", "build", "models/mobilenet.onnx", "--soc", "x5", "--input-type", "nv12",
         "--scale", "0.00392157", "--calibration", "models/mobilenet_calibration", "-o", "mobilenet.bin"],
    )  # fmt: skip
    run = [*HARNESS, "run", "mobilenet.bin", "--board", "emu-x5", "--input", "models/photo_224.nv12",
           "--reference", "mobilenet_quantized_model.onnx"]  # fmt: skip
    step("the main job: everything must be equal", run)
    step("the same with one op planted wrong: the report names it", [*run, "--fault", f"halved@{WRONG_OP}"], expected=1)
    for page in sorted((DEMO / "runs").rglob("report.html"))[-2:]:
        print(f"\nopen {page}")


if __name__ == "__main__":
    main()

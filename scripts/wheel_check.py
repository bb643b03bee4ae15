"""Build the wheel, install it into an empty environment, and run the main job from another folder."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def call(*argv: str | Path, cwd: Path) -> None:
    print("$", *argv, flush=True)
    subprocess.run([str(a) for a in argv], cwd=cwd, check=True)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="harness wheel ") as text:  # a blank in the path, on purpose
        folder = Path(text)
        call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT, cwd=folder)
        venv.create(folder / "env", with_pip=True)
        python = folder / "env/bin/python"
        call(python, "-m", "pip", "install", "--quiet", next(folder.glob("*.whl")), cwd=folder)
        call(python, "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('sklearn') is not None)", cwd=folder)
        # Models are made with this checkout's environment: the wheel's own has no scikit-learn.
        call(sys.executable, ROOT / "scripts/build_examples.py", "models", cwd=folder)
        harness = folder / "env/bin/harness"
        call(harness, "--version", cwd=folder)
        call(harness, "emulator", "build", "models/digits.onnx", "--soc", "x5", "-o", "digits.bin", cwd=folder)
        call(
            harness, "run", "digits.bin", "--board", "emu-x5", "--reference", "digits_quantized_model.onnx", cwd=folder
        )
        call(harness, "boards", "list", cwd=folder)


if __name__ == "__main__":
    main()

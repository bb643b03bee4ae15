"""Build the wheel, install it into an empty environment of every supported Python, run the main job from elsewhere.

A Python that is not on this machine is left out, by name.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pythons import SUPPORTED, find_python

ROOT = Path(__file__).resolve().parent.parent
NO_SKLEARN = "import importlib.util as u, sys; sys.exit(u.find_spec('sklearn') is not None)"


def call(*argv: str | Path, cwd: Path) -> None:
    print("$", *argv, flush=True)
    subprocess.run([str(a) for a in argv], cwd=cwd, check=True)


def check(interpreter: str, folder: Path) -> None:
    """Errors: CalledProcessError of the first command that fails."""
    call(interpreter, "-m", "venv", folder / "env", cwd=folder)
    python, harness = folder / "env/bin/python", folder / "env/bin/harness"
    wheel = next(folder.parent.glob("*.whl"))
    call(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=folder)
    call(python, "-c", NO_SKLEARN, cwd=folder)
    call(harness, "--version", cwd=folder)
    call(harness, "emulator", "build", "../models/digits.onnx", "--soc", "x5", "-o", "digits.bin", cwd=folder)
    call(harness, "run", "digits.bin", "--board", "emu-x5", "--reference", "digits_quantized_model.onnx", cwd=folder)
    call(harness, "boards", "list", cwd=folder)


def main() -> int:
    results = {}
    with tempfile.TemporaryDirectory(prefix="harness wheel ") as text:  # a blank in the path, on purpose
        base = Path(text)
        call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", base, ROOT, cwd=base)
        # Models are made with this checkout's environment: the wheel's own has no scikit-learn.
        call(sys.executable, ROOT / "scripts/build_examples.py", "models", cwd=base)
        for release in SUPPORTED:
            results[release] = on_python(release, base / f"python {release}")
    for release, result in results.items():
        print(f"Python {release}: {result}")
    return 1 if "FAILED" in results.values() else 0


def on_python(release: str, folder: Path) -> str:
    interpreter = find_python(release)
    if not interpreter:
        return "LEFT OUT: not on this machine"
    print(f"== Python {release}", flush=True)
    begin = time.monotonic()
    folder.mkdir()
    try:
        check(interpreter, folder)
    except subprocess.CalledProcessError as error:
        print(error, file=sys.stderr)
        return "FAILED"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return f"ok ({time.monotonic() - begin:.0f} s)"


if __name__ == "__main__":
    sys.exit(main())

"""`soc_bmodel_infer.py` of tpu-mlir's debugger, played: every layer of the compiled model, in soc_infer_NAMES.npz.

On a board it runs pickled commands; here the vendor's checker decodes the same commands and runs them one by one on the
simulator. Names come from the archive given as --ref, whose values do not matter.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.emulator.sophgo import faults, simulation
from harness.emulator.sophgo.environment import call

NEEDED = ("compilation.bmodel", "final.mlir", "tensor_location.json", "input_ref_data.dat")


def run(arguments: Sequence[str]) -> int:
    """The tool's exit code."""
    parser = argparse.ArgumentParser(prog="soc_bmodel_infer.py")
    for name in ("path", "bmodel", "input", "ref"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--tool_path", default="/tmp")
    given = parser.parse_args(list(arguments))
    folder = Path(given.path)
    missing = [name for name in (*NEEDED, given.ref) if not (folder / name).is_file()]
    if missing:
        print(f"FileNotFoundError: [Errno 2] No such file or directory: '{missing[0]}'", file=sys.stderr)
        return 1
    with simulation.faulty(folder) as context:
        _scale_input(context)
        arguments = [str(context), str(context / given.ref), "--no_interactive", "--dump_mode", "comb"]
        finished = call("bmodel_checker.py", arguments, cwd=context)
        sys.stdout.write(finished.stdout)
        sys.stderr.write(finished.stderr)
        made = context / "bmodel_inference.npz"
        if not made.is_file():
            return finished.returncode or 1
        shutil.copyfile(made, Path(given.tool_path) / f"soc_infer_{Path(given.ref).stem}.npz")
    simulation.write_side_file(Path(given.tool_path))
    return 0


def _scale_input(context: Path) -> None:
    planted = faults.planted()
    if not any(fault.kind == "input_scaled" for fault in planted):
        return
    info = simulation.model_facts(context / "compilation.bmodel")
    file = context / "input_ref_data.dat"
    arrays = simulation.read_inputs(file.read_bytes(), info.inputs)
    if arrays is not None:
        file.write_bytes(b"".join(array.tobytes() for array in arrays.values()))

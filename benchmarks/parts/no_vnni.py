"""An x86 PC without VNNI, played by qemu: its references made with optimizations on saturate, and that is found."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.networks import models as networks
from harness.consistency.checks.reference_check import SUMS, check, unstable_ops
from harness.reference.open import open_reference

HIDDEN = re.compile(r" (avx512\w*|avx_vnni|avx_vnni_int8|amx\w*)\b")
MAKE = """
import sys
from pathlib import Path
import numpy as np
from harness.reference.inputs import input_specs
from harness.reference.open import run_reference
import onnx
model, data, out, level = sys.argv[1:]
spec = input_specs(onnx.load(model))[0]
value = np.fromfile(data, "<f4").reshape(spec.shape)
run_reference(Path(model), {spec.name: value}, Path(out), optimizations=level)
"""


def plain_python(folder: Path) -> list[str] | None:
    """This Python under user-mode emulation of an x86 with AVX2 and nothing newer; None without qemu or off x86.

    `folder` gets the /proc/cpuinfo that such a CPU has: the PC's own would tell of flags that it lacks.
    """
    qemu = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    if qemu is None or os.uname().machine != "x86_64":
        return None
    (folder / "proc").mkdir(parents=True, exist_ok=True)
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    (folder / "proc/cpuinfo").write_text(HIDDEN.sub("", cpuinfo))
    return [qemu, "-cpu", "max", "-L", str(folder), str(Path(sys.executable).resolve())]


def make_reference(python: list[str], model: Path, data: Path, out: Path, level: str) -> None:
    """`harness reference`, by another Python."""
    root = Path(__file__).resolve().parents[2]
    paths = [str(root), *(p for p in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")} if p)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    argv = [*python, "-c", MAKE, str(model), str(data), str(out), level]
    result = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    if result.returncode != 0:
        raise RuntimeError(result.stderr[-2000:])


def no_vnni_report(folder: Path, kinds: tuple[str, ...] = ("tfu", "mixu")) -> dict[str, Any]:
    """Per network with uint8 activations: which ops saturate without VNNI; with 7-bit weights none may."""
    python = plain_python(folder / "machine")
    if python is None:
        return {"skipped": "no qemu-x86_64 on this PC, or it is no x86"}
    report = {}
    for kind in kinds:
        for reduce_range in (False, True):
            name = f"{kind}{' 7-bit weights' if reduce_range else ''}"
            report[name] = _one(python, folder / name.replace(" ", "_"), kind, reduce_range)
    return report


def _one(python: list[str], folder: Path, kind: str, reduce_range: bool) -> dict[str, Any]:
    folder.mkdir(parents=True)
    proto = networks.FLOATS[kind.removesuffix("u")]()
    model = networks.quantize(proto, folder / "model.onnx", unsigned=True, reduce_range=reduce_range)
    networks.make_inputs(proto, 1)[0].tofile(folder / "input.bin")
    make_reference(python, model, folder / "input.bin", folder / "reference", "all")
    reference = open_reference(folder / "reference")
    unstable = unstable_ops(reference)
    return {
        "vnni": reference.provenance["runner"]["vnni"],
        "rules": sorted({finding.rule for finding in check(reference)}),
        "wrong_ops": dict(Counter(unstable_op.op_kind for unstable_op in unstable)),
        "max_step": max((unstable_op.max_step or 0.0 for unstable_op in unstable), default=0.0),
        "only_sums": all(unstable_op.op_kind in SUMS for unstable_op in unstable),
    }


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(no_vnni_report(Path(scratch)), indent=1))

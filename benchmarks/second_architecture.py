"""x86 against aarch64, five networks: what is exact, what only grows, whether planted faults are found.

    python -m benchmarks.second_architecture [--inputs 3] [--clean 20] [--faults 4] [--kinds mb,tf] [--folder DIR]
        [--json]

The reference runs on this PC with optimizations off. The board runs under user-mode emulation of a Cortex-A76, with
optimizations off (`off_*`: every integer must be equal) and on (`on_*`: differences grow, and no op may be blamed).
`planted` counts faults that moved at least 0.1 % of a tensor by 2 steps or more on the aarch64 side, with optimizations
on; `found_at_op` those of which that op, and no other, is blamed. `invented` are blamed ops in the runs without fault.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks import models as networks
from benchmarks.parts.no_vnni import no_vnni_report
from benchmarks.truth_parts.planting import CLEAN, FAULTS, effect, plant, plantable
from harness.assets import asset
from harness.consistency.compare import CompareSettings, compare
from harness.emulator.ort.arm64 import arm_python
from harness.platforms.ort.platform import PLATFORM
from harness.records import Comparison, ModelInfo
from harness.reference.graph import LogicalTensor, logical_tensors
from harness.reference.open import Reference, run_reference

LEAST_SHARE = 1e-3
TRIES = 6  # choices of op and kind until a fault has an effect
DRIVER = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import ort_runner
for line in sys.stdin:
    job = json.loads(line)
    os.makedirs(job["folder"], exist_ok=True)
    os.chdir(job["folder"])
    print("done:", ort_runner.main(job["argv"]), flush=True)
"""


class RunnerProcess:
    """The runner in one long-lived Python of the board: starting it costs more than a network."""

    def __init__(self, python: Sequence[str]) -> None:
        command = [*python, "-c", DRIVER, str(asset("agents/ort_runner.py").parent)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def debug(self, model: Path, data: Path, folder: Path, optimizations: str) -> Path:
        """Dump every layer of one run to `folder`."""
        argv = [str(model), "--mode", "debug", "--input", str(data), "--optimizations", optimizations]
        request = json.dumps({"folder": str(folder), "argv": argv})
        writer, reader = _pipes(self.process)
        writer.write(request + "\n")
        writer.flush()
        lines = []
        for line in reader:
            if line.startswith("done:"):
                break
            lines.append(line)
        else:
            raise RuntimeError(f"the board's Python ended: {lines[-1:]}")
        if line.split() != ["done:", "0"]:
            raise RuntimeError(f"{model.name}: {lines[-1:]}")
        return folder

    def close(self) -> None:
        self.process.communicate(timeout=60)


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


@contextmanager
def board(python: Sequence[str]) -> Iterator[RunnerProcess]:
    made = RunnerProcess(python)
    try:
        yield made
    finally:
        made.close()


@dataclass
class Tally:
    """Counts over all networks."""

    cases: int = 0
    off_exact: int = 0
    on_blamed: int = 0
    on_verdicts: Counter[str] = field(default_factory=Counter)
    clean_runs: int = 0
    clean_verdicts: Counter[str] = field(default_factory=Counter)
    invented: int = 0
    planted: int = 0
    found_at_op: int = 0
    blamed_elsewhere: int = 0
    missed: list[dict[str, Any]] = field(default_factory=list)
    max_tie_step: float = 0.0
    planted_kinds: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        return {k: dict(v) if isinstance(v, Counter) else v for k, v in vars(self).items()}


class NetworkUnderTest:
    """One of the five kinds: its model, its inputs and its references."""

    def __init__(self, kind: str, folder: Path, inputs: int) -> None:
        self.kind, self.folder = kind, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.model = networks.build(kind, folder / "model.onnx")
        float_model = networks.FLOATS[kind.removesuffix("u")]()
        self.inputs = networks.make_inputs(float_model, inputs)
        self.tensors: tuple[LogicalTensor, ...] = logical_tensors(self.model)
        for i, data in enumerate(self.inputs):
            data.tofile(folder / f"input{i}.bin")

    def data(self, i: int) -> Path:
        return self.folder / f"input{i}.bin"

    def reference(self, i: int) -> Reference:
        return run_reference(self.model, {"input": self.inputs[i]}, self.folder / f"reference{i}")

    def compare(self, reference: Reference, dumped: Path) -> Comparison:
        info = ModelInfo("")
        dumps = (*PLATFORM.read_dumps(dumped, "", info), *PLATFORM.read_outputs(dumped, "", info))
        wanted = [dump for dump in dumps if not dump.name.endswith(CLEAN)]
        return compare(reference, wanted, CompareSettings(storages=PLATFORM.storages, platform=PLATFORM.name))


def measure(network: NetworkUnderTest, python: Sequence[str], tally: Tally, counts: Mapping[str, int]) -> None:
    """All runs of one network on one board."""
    with board(python) as arm:
        for i in range(max(counts["inputs"], counts["clean"])):
            reference = network.reference(i)
            if i < counts["inputs"]:
                off = arm.debug(network.model, network.data(i), network.folder / f"off{i}", "disabled")
                tally.cases += 1
                tally.off_exact += _all_exact(network.compare(reference, off))
            on = network.compare(reference, arm.debug(network.model, network.data(i), network.folder / f"on{i}", "all"))
            _count_clean(on, tally, is_case=i < counts["inputs"], is_clean=i < counts["clean"])
            if i < counts["inputs"]:
                for turn in range(counts["faults"]):
                    _plant_one(network, arm, reference, i, turn, tally)


def _all_exact(comparison: Comparison) -> bool:
    """Every integer tensor of the network, byte for byte; the floats behind the last one are left out."""
    rows = [layer for layer in comparison.layers if layer.dtype[:1] in ("s", "u")]
    full = comparison.coverage.layers_compared == comparison.coverage.layers_total
    return full and bool(rows) and all(row.verdict == "exact" for row in rows)


def _count_clean(on: Comparison, tally: Tally, *, is_case: bool, is_clean: bool) -> None:
    singles = [layer.single.max_step or 0.0 for layer in on.layers if layer.single is not None]
    tally.max_tie_step = max([tally.max_tie_step, *singles])
    if is_case:
        tally.on_blamed += len(on.origins)
        tally.on_verdicts[on.verdict.word] += 1
    if is_clean:
        tally.clean_runs += 1
        tally.invented += len(on.origins)
        tally.clean_verdicts[on.verdict.word] += 1


def _plant_one(
    network: NetworkUnderTest, arm: RunnerProcess, reference: Reference, i: int, turn: int, tally: Tally
) -> None:
    """Plant one fault that has an effect, and see who is blamed. Kinds go round, ops are drawn."""
    rng = np.random.default_rng([i, turn, networks.KINDS.index(network.kind)])
    names = list(FAULTS)
    for attempt in range(TRIES):
        kind = names[(i + turn * 3 + attempt) % len(names)]
        tensor = rng.choice(np.array(plantable(network.tensors), dtype=object))
        folder = network.folder / f"fault{i}-{turn}-{attempt}"
        model = plant(network.model, tensor, kind, int(rng.integers(2**31)), network.folder / "faulty.onnx")
        dumped = arm.debug(model, network.data(i), folder, "all")
        share = effect(*_before_and_after(dumped, tensor))
        if share >= LEAST_SHARE:
            _count_planted(network.compare(reference, dumped), tensor, kind, share, network, tally)
            return


def _before_and_after(dumped: Path, tensor: LogicalTensor) -> tuple[NDArray[Any], NDArray[Any]]:
    rows = {row["name"]: row for row in json.loads((dumped / "manifest.json").read_text())["tensors"]}
    kind = {"s8": np.int8, "u8": np.uint8}[tensor.spec.dtype]
    before, after = (np.fromfile(dumped / rows[tensor.onnx_name + end]["file"], kind) for end in (CLEAN, ""))
    return before, after


def _count_planted(
    comparison: Comparison, tensor: LogicalTensor, kind: str, share: float, network: NetworkUnderTest, tally: Tally
) -> None:
    blamed = [origin.op for origin in comparison.origins if origin.certain]
    others = [origin.op for origin in comparison.origins if origin.op != tensor.op]
    tally.planted += 1
    tally.planted_kinds[kind] += 1
    tally.found_at_op += tensor.op in blamed and not others
    tally.blamed_elsewhere += len(others)
    if tensor.op not in blamed or others:
        row = {"network": network.kind, "op": tensor.op, "fault": kind, "share": share}
        tally.missed.append(row | {"blamed": blamed, "verdict": comparison.verdict.word})


def resize_ties(folder: Path, python: Sequence[str]) -> dict[str, Any]:
    """Why `mix` does not resize by half_pixel: exact halves, which two correct CPUs round differently."""
    folder.mkdir(parents=True)
    proto = networks.mixed(side=64, coordinates="half_pixel")
    model = networks.quantize(proto, folder / "model.onnx", unsigned=False)
    data = networks.make_inputs(proto, 1)[0]
    data.tofile(folder / "input.bin")
    reference = run_reference(model, {"input": data}, folder / "reference")
    with board(python) as arm:
        dumped = arm.debug(model, folder / "input.bin", folder / "off", "disabled")
    dumps = PLATFORM.read_dumps(dumped, "", ModelInfo(""))
    comparison = compare(reference, dumps, CompareSettings(storages=PLATFORM.storages, platform=PLATFORM.name))
    first = next((row for row in comparison.layers if row.verdict not in ("exact", "not_compared")), None)
    if first is None or first.metrics is None:
        return {"first_difference": ""}
    share = first.metrics.mismatch_share
    return {"first_difference": first.op_kind, "max_step": first.metrics.max_step, "share": share,
            "verdict": comparison.verdict.word}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=3, help="cases per network")
    parser.add_argument("--clean", type=int, default=20, help="runs without fault per network")
    parser.add_argument("--faults", type=int, default=4, help="planted faults per case")
    parser.add_argument("--kinds", default=",".join(networks.KINDS))
    parser.add_argument("--json", action="store_true", help="end with one JSON object, in one line")
    parser.add_argument("--folder", type=Path, default=None, help="keep everything here")
    args = parser.parse_args(argv)
    logging.disable(logging.WARNING)  # onnxruntime's quantizer has opinions on zero points
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (args.folder or Path(scratch)).absolute()
        python = [str(arm_python())]
        set_up_s = time.monotonic() - began
        tally = Tally()
        counts = {"inputs": args.inputs, "clean": args.clean, "faults": args.faults}
        for kind in args.kinds.split(","):
            network = NetworkUnderTest(kind, folder / kind, max(args.inputs, args.clean))
            measure(network, python, tally, counts)
            print(f"{kind}: {tally.cases} cases, {tally.planted} planted", file=sys.stderr)
        result = tally.to_json()
        result["no_vnni"] = no_vnni_report(folder / "no_vnni")
        result["resize_half_pixel_off"] = resize_ties(folder / "resize", python)
    result |= {"set_up_s": round(set_up_s, 1), "seconds": round(time.monotonic() - began, 1)}
    print(json.dumps(result, indent=None if args.json else 1))
    good = result["off_exact"] == result["cases"] and not result["on_blamed"] and not result["invented"]
    return 0 if good and result["found_at_op"] == result["planted"] else 1


if __name__ == "__main__":
    sys.exit(main())

"""Compiled models on the vendor's own chip simulator: right runs and real faults, beside npz_tool.

    python -m benchmarks.vendor [--quick] [--faults 40] [--only digits] [--folder DIR] [--json]

Every number is the vendor's: Sophgo's compiler builds the project's examples (INT8, F16, BF16 for BM1684X; digits for
BM1688 and CV181x), its simulator runs the compiled file, `harness run` compares layer by layer with the compiler's own
quantized layers. Faults are bytes of the compiled file and of the input.

`clean_runs` of which `false_verdicts` ended in another word than a good one, with `ops_blamed`; a mobilenet in F16 or
BF16 whose softmax alone is named is right, for that gap is real (docs/boards/sophgo.md). `planted`, and as shares of
them `detected`, `origin` (the op and no other) and `kind`; `vendor_detected` is what npz_tool finds in the same two
archives with its usual limits.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.emulator.sophgo import environment, faults

ROOT = Path(__file__).resolve().parent.parent
LIMITS = "0.99,0.90"  # of npz_tool, as the vendor's own flow has them
SAME = ("exact", "not_compared")
GOOD = ("consistent", "consistent_within", "consistent_accumulated")
REAL_GAP = ("mobilenet-f16", "mobilenet-bf16")
CHANNEL_KINDS = ("channel", "channel_scale", "channel_offset", "one_channel", "bias", "weight_bits", "weight_order")
KINDS = {
    "weight_bit": (*CHANNEL_KINDS, "single_element"),
    "weight_block": (*CHANNEL_KINDS, "dead_channel", "zeroed_region"),
    "input_scaled": ("scale", "shift", "wrong_scale"),
}


@dataclass(frozen=True)
class Built:
    """One compiled network and what the compiler left beside it."""

    name: str
    soc: str
    model: Path
    given: Path
    reference: Path

    @property
    def board(self) -> str:
        return f"emu-{self.soc}"


@dataclass
class Tally:
    """The figures so far; each case is shown on standard error as it ends."""

    clean_runs: int = 0
    false_verdicts: int = 0
    ops_blamed: int = 0
    planted: int = 0
    detected: int = 0
    at_origin: int = 0
    of_kind: int = 0
    vendor_detected: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, **row: Any) -> None:
        self.rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)

    def figures(self) -> dict[str, Any]:
        def share(count: int) -> float | None:
            return round(count / self.planted, 4) if self.planted else None

        return {
            "clean_runs": self.clean_runs,
            "false_verdicts": self.false_verdicts,
            "ops_blamed": self.ops_blamed,
            "planted": self.planted,
            "detected": share(self.detected),
            "origin": share(self.at_origin),
            "kind": share(self.of_kind),
            "vendor_detected": share(self.vendor_detected),
            "rows": self.rows,
        }


def harness(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it."""
    argv = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, cwd=folder, check=False, stdin=subprocess.DEVNULL)


def plan(quick: bool, only: str) -> list[tuple[str, str, str]]:
    """(network, type, chip) of what is built."""
    if quick:
        networks = [("digits", "int8", "bm1684x"), ("mobilenet", "int8", "bm1684x"), ("digits", "int8", "cv181x")]
    else:
        networks = [
            (name, kind, "bm1684x") for name in ("digits", "mobilenet", "yolo") for kind in ("int8", "f16", "bf16")
        ]
        networks += [("digits", "int8", "bm1688"), ("digits", "int8", "cv181x")]
    return [network for network in networks if only in ("", network[0])]


def build(folder: Path, network: str, kind: str, soc: str) -> Built:
    """Errors: SystemExit with the compiler's words."""
    name = f"{network}-{kind}"
    place = folder / soc / name
    model = place / f"net{'.cvimodel' if soc.startswith('cv') else '.bmodel'}"
    if not model.is_file():
        place.mkdir(parents=True, exist_ok=True)
        source, samples = folder / f"models/{network}.onnx", folder / f"models/{network}_calibration"
        arrays = sorted(samples.glob("*.npy"))  # camera pictures are for boards that take them: those get seeded noise
        given = ["--calibration", str(samples)] if arrays else ["--seed", "1"]
        line = ["emulator", "build", str(source), "--soc", soc, "--quantize", kind, *given]
        built = harness(folder, *line, "-o", str(model))
        if built.returncode != 0:
            raise SystemExit(f"{name} for {soc}: {built.stderr.strip()[-400:]}")
    (reference,) = place.glob("net_*_tpu_outputs.npz")
    return Built(name, soc, model, place / "net_in_f32.npz", reference)


def run(folder: Path, built: Built, reference: Path, *more: str) -> dict[str, Any]:
    """The report of one debug run."""
    line = ["run", str(built.model), "--board", built.board, "--input", str(built.given), "--reference", str(reference)]
    runs = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    result = harness(folder, *line, "--mode", "debug", "--runs", str(runs), *more)
    reports = sorted(runs.rglob("report.json"))
    if not reports:
        raise SystemExit(f"{built.name} on {built.board}: {result.stderr.strip()[-400:]}")
    report: dict[str, Any] = json.loads(reports[-1].read_text())
    report["board_layers"] = next(iter(sorted(runs.rglob("soc_infer_*.npz"))), None)
    return report


def vendor_detects(built: Built, report: dict[str, Any], reference: Path) -> bool:
    """Whether npz_tool, at its usual limits, calls the same layers different."""
    layers = report["board_layers"]
    if layers is None:
        return False
    compared = environment.call("npz_tool.py", ["compare", str(layers), str(reference), "--tolerance", LIMITS])
    return compared.returncode != 0 or "FAILED" in compared.stdout


# ---- right runs


def clean(folder: Path, built: Built, tally: Tally) -> None:
    report = run(folder, built, built.reference)
    word, origins = report["headline"]["word"], [origin["op"] for origin in report["origins"]]
    real_gap = built.name in REAL_GAP and len(origins) == 1 and "softmax" in origins[0].lower()
    right = word in GOOD or real_gap
    tally.clean_runs += 1
    tally.false_verdicts += not right
    tally.ops_blamed += 0 if right else len(origins)
    tally.add(case=f"{built.name} {built.soc}", word=word, origins=origins, right=right)


# ---- faults


def layers_with_weights(built: Built) -> list[str]:
    archive = faults.weights_file([built.model.parent])
    if archive is None:
        return []
    with np.load(archive) as arrays:
        names = [name for name in arrays.files if name.endswith(("_merge", "_filter_int8"))]
    return [name.removesuffix("_merge").removesuffix("_filter_int8") for name in names]


def drawn(built: Built, count: int, rng: random.Random) -> Iterator[tuple[str, str]]:
    """(kind, fault) of faults in the compiled file and the input."""
    layers = layers_with_weights(built)
    for i in range(count):
        kind = ("weight_bit", "weight_block", "weight_bit", "weight_block", "input_scaled")[i % 5]
        if kind == "input_scaled":
            yield kind, f"input_scaled:by={rng.choice((0.5, 0.9, 2.0))}"
        else:
            yield kind, f"{kind}@{rng.choice(layers)}:at={rng.randrange(0, 400)}"


def expected_origin(kind: str, fault: str) -> str:
    return "" if kind == "input_scaled" else fault.partition("@")[2].partition(":")[0]


def planted(folder: Path, built: Built, kind: str, fault: str, tally: Tally) -> None:
    try:
        report = run(folder, built, built.reference, "--fault", fault)
    except SystemExit:
        return  # the place lies outside of that layer's bytes: nothing was planted
    origins = [origin["op"] or origin["tensor"] for origin in report["origins"]]
    if report["headline"]["word"] in GOOD and all(row["verdict"] in SAME for row in report["layers"]):
        return  # a byte that is padding, or a weight that meets zeros only: the vendor's values are what they were
    wanted = expected_origin(kind, fault)
    at_origin = origins == [wanted] if wanted else len(origins) == 1 and origins[0] in _inputs(report)
    kinds = [origin["fingerprint"]["kind"] for origin in report["origins"] if origin["fingerprint"]]
    tally.planted += 1
    tally.detected += report["headline"]["word"] == "diverges"
    tally.at_origin += at_origin
    tally.of_kind += any(name in KINDS[kind] for name in kinds)
    tally.vendor_detected += vendor_detects(built, report, built.reference)
    tally.add(case=f"{built.name} {fault}", origins=origins, kinds=kinds, right=at_origin)


def _inputs(report: dict[str, Any]) -> list[str]:
    return [row["tensor"] if "tensor" in row else row["name"] for row in report["inputs"]]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three builds, six faults: what CI runs")
    parser.add_argument("--faults", type=int, default=40, help="faults to plant in all (with --quick: 6)")
    parser.add_argument("--only", default="", help="one network: digits, mobilenet or yolo")
    parser.add_argument("--folder", type=Path, help="keep builds and runs here")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    given = parser.parse_args(argv)
    environment.prepare(tell=lambda line: print(line, file=sys.stderr))
    folder = given.folder or Path(tempfile.mkdtemp(prefix="harness-vendor-"))
    folder = folder.resolve()
    if not (folder / "models").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        made = [sys.executable, str(ROOT / "scripts/build_examples.py"), str(folder / "models")]
        subprocess.run(made, check=True, capture_output=True)
    figures = measure(folder, plan(given.quick, given.only), 6 if given.quick else given.faults)
    rows = figures.pop("rows")
    print(json.dumps(figures | {"cases": rows} if given.json else figures, indent=None if given.json else 1))


def measure(folder: Path, networks: Sequence[tuple[str, str, str]], count: int) -> dict[str, Any]:
    """Build, run clean, plant; the figures."""
    tally, rng, built = Tally(), random.Random(20261130), []
    for network, kind, soc in networks:
        built.append(build(folder, network, kind, soc))
        clean(folder, built[-1], tally)
    hosts = [one for one in built if one.soc == "bm1684x" and one.name.endswith("int8")]
    for i, one in enumerate(hosts):
        share = count // len(hosts) + (i < count % len(hosts))
        for kind, fault in drawn(one, share, rng):
            planted(folder, one, kind, fault, tally)
    return tally.figures()


if __name__ == "__main__":
    main()

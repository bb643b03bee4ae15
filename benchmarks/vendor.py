"""Compiled models on the vendor's own chip simulator: right runs and real faults, beside npz_tool.

    python -m benchmarks.vendor [--quick] [--only digits] [--folder DIR] [--minutes N] [--json]

Every number is the vendor's: Sophgo's compiler builds the project's examples (INT8, F16, BF16 for BM1684X; digits for
BM1688 and CV181x; two that normalise their pixels themselves), its simulator runs the compiled file, `harness run`
compares layer by layer with the compiler's own quantized layers. Faults are bytes of the compiled file (a bit, 64 bytes
of weights), another build (calibration threshold, a layer in BF16 or INT4, mean, scale, channel order) and the input.
With --folder what is done is kept there, and the next call goes on with the rest; with --minutes no case begins after
so long, and `left` is how many of the plan are left. Clean runs in F16 and BF16 get the ONNX as --graph.

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
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.emulator.sophgo import environment, faults

ROOT = Path(__file__).resolve().parent.parent
LIMITS = "0.99,0.90"  # of npz_tool, as the vendor's own flow has them
WAIT_S = "3600"  # for the board, while another run holds it
NETWORKS = ("digits", "mobilenet", "yolo")
SAME = ("exact", "not_compared")
GOOD = ("consistent", "consistent_within", "consistent_accumulated")
REAL_GAP = ("mobilenet-f16", "mobilenet-bf16")
CHANNEL_KINDS = ("channel", "channel_scale", "channel_offset", "one_channel", "bias", "weight_bits", "weight_order")
KINDS = {
    "weight_bit": (*CHANNEL_KINDS, "single_element"),
    "weight_block": (*CHANNEL_KINDS, "dead_channel", "zeroed_region"),
    "input_scaled": ("scale", "shift", "wrong_scale"),
    "built_calibration": ("scale", "saturation"),  # another step, and an end that comes with it
    "built_bf16": ("precision",),
    "built_int4": ("scale", "weight_bits"),
    "built_mean": ("preprocessing", "zero_point"),
    "built_scale": ("preprocessing", "scale", "shift"),
    "built_bgr": ("preprocessing", "permutation"),
}
AT_INPUT = ("input_scaled", "built_mean", "built_scale", "built_bgr")
# (network, type, chip) -> how many of each fault; digits take seconds, the others minutes.
FAULTS = {
    ("digits", "int8", "bm1684x"): {
        "weight_bit": 4, "weight_block": 4, "built_calibration": 4, "built_bf16": 2, "built_int4": 1, "input_scaled": 3,
    },
    ("digits", "pixels", "bm1684x"): {"built_mean": 5, "built_scale": 5},
    ("digits", "int8", "bm1688"): {"weight_bit": 2, "weight_block": 5, "built_calibration": 3, "input_scaled": 1},
    ("mobilenet", "int8", "bm1684x"): {"weight_bit": 2, "weight_block": 2, "built_calibration": 2, "built_bf16": 1},
    ("mobilenet", "pixels", "bm1684x"): {"built_bgr": 1, "built_mean": 1},
    ("yolo", "int8", "bm1684x"): {"weight_bit": 2, "weight_block": 2, "built_calibration": 1},
}  # fmt: skip
QUICK_FAULTS = {
    ("digits", "int8", "bm1684x"): {
        "weight_bit": 1, "weight_block": 1, "built_calibration": 1, "built_bf16": 1, "input_scaled": 1,
    },
    ("mobilenet", "int8", "bm1684x"): {"weight_bit": 1},
}  # fmt: skip


@dataclass(frozen=True)
class Built:
    """One compiled network and what the compiler left beside it."""

    network: tuple[str, str, str]  # name, type, chip
    model: Path
    given: Path
    reference: Path

    @property
    def name(self) -> str:
        return "-".join(self.network[:2])

    @property
    def board(self) -> str:
        return f"emu-{self.network[2]}"


class Tally:
    """The cases so far, each shown on standard error as it ends and kept in a file, where there is one."""

    def __init__(self, kept: Path | None = None) -> None:
        self.kept = kept
        lines = kept.read_text().splitlines() if kept and kept.is_file() else []
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def has(self, case: str) -> bool:
        return any(row["case"] == case for row in self.rows)

    def add(self, **row: Any) -> None:
        self.rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
        if self.kept:
            with self.kept.open("a") as stream:
                stream.write(json.dumps(row) + "\n")

    def figures(self) -> dict[str, Any]:
        clean = [row for row in self.rows if row["what"] == "clean"]
        faults = [row for row in self.rows if row["what"] == "fault"]

        def share(key: str) -> float | None:
            return round(sum(row[key] for row in faults) / len(faults), 4) if faults else None

        return {
            "clean_runs": len(clean),
            "false_verdicts": sum(not row["right"] for row in clean),
            "ops_blamed": sum(len(row["origins"]) for row in clean if not row["right"]),
            "planted": len(faults),
            "detected": share("detected"),
            "origin": share("at_origin"),
            "kind": share("of_kind"),
            "vendor_detected": share("vendor_detected"),
            "not_planted": sum(row["what"] == "none" for row in self.rows),
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
        networks = [(name, kind, "bm1684x") for name in NETWORKS for kind in ("int8", "f16", "bf16")]
        networks += [(name, "pixels", "bm1684x") for name in ("digits", "mobilenet")]
        networks += [("digits", "int8", "bm1688"), ("digits", "int8", "cv181x")]
    return [network for network in networks if only in ("", network[0])]


def model_of(folder: Path, network: tuple[str, str, str]) -> Path:
    name, kind, soc = network
    return folder / soc / f"{name}-{kind}" / f"net{'.cvimodel' if soc.startswith('cv') else '.bmodel'}"


def is_built(folder: Path, network: tuple[str, str, str]) -> bool:
    return model_of(folder, network).is_file()


def build(folder: Path, network: tuple[str, str, str]) -> Built:
    """Errors: SystemExit with the compiler's words."""
    name, kind, soc = network
    model = model_of(folder, network)
    place = model.parent
    if not model.is_file():
        place.mkdir(parents=True, exist_ok=True)
        words = pixel_words(folder, name) if kind == "pixels" else float_words(folder, name, kind)
        line = ["emulator", "build", str(folder / f"models/{name}.onnx"), "--soc", soc, *words, "-o", str(model)]
        built = harness(folder, *line)
        if built.returncode != 0:
            raise SystemExit(f"{name} {kind} for {soc}: {built.stderr.strip()[-400:]}")
    (reference,) = place.glob("net_*_tpu_outputs.npz")
    return Built(network, model, place / ("net_in_ori.npz" if kind == "pixels" else "net_in_f32.npz"), reference)


def float_words(folder: Path, name: str, kind: str) -> list[str]:
    """A model that takes floats; camera pictures are for boards that take them: those get seeded noise."""
    samples = folder / f"models/{name}_calibration"
    arrays = sorted(samples.glob("*.npy"))
    return ["--quantize", kind, *(["--calibration", str(samples)] if arrays else ["--seed", "1"])]


def pixel_words(folder: Path, name: str) -> list[str]:
    """A model that normalises pictures: digits in grey, or cuts of the photograph."""
    from PIL import Image

    pictures = folder / f"models/{name}_pictures"
    pictures.mkdir(exist_ok=True)
    if name == "digits":
        for file in sorted((folder / "models/digits_calibration").glob("*.npy"))[:8]:
            pixels = np.rint(np.load(file).reshape(8, 8) * 255).astype(np.uint8)
            Image.fromarray(pixels).save(pictures / f"{file.stem}.png")
        return ["--calibration", str(pictures), "--mean", "16", "--scale", "0.0039"]
    with Image.open(ROOT / "examples/china.jpg") as photo:
        for i in range(4):
            photo.convert("RGB").crop((i * 60, i * 20, i * 60 + 224, i * 20 + 224)).save(pictures / f"{i}.png")
    return ["--calibration", str(pictures), "--mean", "124,117,104", "--scale", "0.0171,0.0175,0.0174"]


class NotRun(Exception):
    """The board was not to be had, or the PC has trouble of its own: no case, and tried again by the next call."""


def run(folder: Path, built: Built, reference: Path, *more: str) -> dict[str, Any]:
    """The report of one debug run. Errors: SystemExit without one; NotRun where nothing was compared."""
    line = ["run", str(built.model), "--board", built.board, "--input", str(built.given), "--reference", str(reference)]
    runs = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    result = harness(folder, *line, "--mode", "debug", "--runs", str(runs), "--wait", WAIT_S, *more)
    reports = sorted(runs.rglob("report.json"))
    if not reports:
        raise SystemExit(f"{built.name} on {built.board}: {result.stderr.strip()[-400:]}")
    report: dict[str, Any] = json.loads(reports[-1].read_text())
    if report["headline"]["word"] == "failed" and not report["modes"]:
        raise NotRun(f"{built.name} on {built.board}: {'; '.join(report['problems'])[:400]}")
    layers = sorted(runs.rglob("soc_infer_*.npz"))
    report["board_layers"] = layers[0] if layers else None
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
    case = " ".join(built.network)
    if tally.has(case):
        return
    name, kind, _ = built.network
    # Noise of half precision grows from layer to layer: only the graph tells it from an op that is wrong alone.
    graph = ["--graph", str(folder / f"models/{name}.onnx")] if kind in ("f16", "bf16") else []
    report = run(folder, built, built.reference, *graph)
    word, origins = report["headline"]["word"], [origin["op"] or origin["tensor"] for origin in report["origins"]]
    real_gap = built.name in REAL_GAP and [origin["op_kind"] for origin in report["origins"]] == ["Softmax"]
    compared = sum(row["verdict"] not in ("not_compared",) for row in report["layers"])
    tally.add(case=case, what="clean", word=word, origins=origins, layers=compared, right=word in GOOD or real_gap)


# ---- faults


def layers_with_weights(built: Built) -> list[str]:
    """Layers whose filter is found in the compiled file."""
    archive = faults.weights_file([built.model.parent])
    if archive is None:
        return []
    with np.load(archive) as arrays:
        names = [name for name in arrays.files if name.endswith(("_merge", "_filter_int8"))]
    return [name.removesuffix("_merge").removesuffix("_filter_int8") for name in names]


def drawn(built: Built, counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """(kind, fault), the same on every call, each once: some kinds have few."""
    rng = random.Random("-".join(built.network))
    layers = layers_with_weights(built)
    for kind, count in counts.items():
        yield from dict.fromkeys((kind, _fault(kind, layers, rng)) for _ in range(count))


def _fault(kind: str, layers: Sequence[str], rng: random.Random) -> str:
    if kind == "input_scaled":
        return f"{kind}:by={rng.choice((0.5, 0.9, 2.0))}"
    if kind == "built_mean":
        return f"{kind}:by={rng.choice((-30, 20, 60, 100))}"
    if kind == "built_scale":
        return f"{kind}:by={rng.choice((0.3, 0.5, 0.8, 1.5))}"
    if kind == "built_bgr":
        return kind
    at = {"built_calibration": f":by={rng.uniform(0.3, 0.9):.3f}", "built_bf16": "", "built_int4": ""}
    return f"{kind}@{rng.choice(layers)}{at.get(kind, f':at={rng.randrange(0, 400)}')}"


def planted(folder: Path, built: Built, kind: str, fault: str, tally: Tally) -> None:
    case = f"{' '.join(built.network)} {fault}"
    if tally.has(case):
        return
    try:
        report = run(folder, built, built.reference, "--fault", fault)
    except SystemExit as refused:  # the place lies outside of that layer's bytes
        tally.add(case=case, what="none", why=str(refused)[-200:])
        return
    if report["headline"]["word"] in GOOD and all(row["verdict"] in SAME for row in report["layers"]):
        tally.add(case=case, what="none", why="the vendor's values are what they were")
        return  # a byte that is padding, or a weight that meets zeros only
    origins = [origin["op"] or origin["tensor"] for origin in report["origins"]]
    kinds = [origin["fingerprint"]["kind"] for origin in report["origins"] if origin["fingerprint"]]
    expected = [fault.partition("@")[2].partition(":")[0]] if kind not in AT_INPUT else first_of(report)
    tally.add(
        case=case,
        what="fault",
        origins=origins,
        expected=expected,
        kinds=kinds,
        detected=report["headline"]["word"] == "diverges",
        at_origin=len(origins) == 1 and origins[0] in expected,
        of_kind=any(name in KINDS[kind] for name in kinds),
        vendor_detected=vendor_detects(built, report, built.reference),
    )


def first_of(report: dict[str, Any]) -> list[str]:
    """The network's inputs; where they are pixels that the first op normalises, that op too."""
    inputs = [row["tensor"] if "tensor" in row else row["name"] for row in report["inputs"]]
    pixels = any(name.endswith("_raw") for name in inputs)
    computed = [row["name"] for row in report["layers"] if row["name"] not in inputs]
    return [*inputs, *computed[:1]] if pixels else inputs


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three builds, six faults: what CI runs")
    parser.add_argument("--only", default="", help="one network: digits, mobilenet or yolo")
    parser.add_argument("--folder", type=Path, help="keep builds and runs here")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no build and no case after so long")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    given = parser.parse_args(argv)
    environment.prepare(tell=lambda line: print(line, file=sys.stderr))
    folder = given.folder or Path(tempfile.mkdtemp(prefix="harness-vendor-"))
    folder = folder.resolve()
    if not (folder / "models").is_dir():
        make_models(folder)
    tally = Tally(folder / "cases.jsonl" if given.folder else None)
    counts = QUICK_FAULTS if given.quick else FAULTS
    try:
        figures = measure(folder, plan(given.quick, given.only), counts, tally, given.minutes)
    except NotRun as trouble:
        raise SystemExit(str(trouble)) from None
    rows = figures.pop("rows")
    print(json.dumps(figures | {"cases": rows} if given.json else figures, indent=None if given.json else 1))


def make_models(folder: Path) -> None:
    """The project's examples as ONNX, with their calibration data."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [sys.executable, str(ROOT / "scripts/build_examples.py"), str(folder / "models"), *NETWORKS]
    subprocess.run(made, check=True, capture_output=True)


def measure(
    folder: Path,
    networks: Sequence[tuple[str, str, str]],
    counts: Mapping[tuple[str, str, str], Mapping[str, int]],
    tally: Tally,
    minutes: float = 1e6,
) -> dict[str, Any]:
    """Build, run clean, plant; the figures, and how many cases of the plan are `left`."""
    end_s = time.monotonic() + 60 * minutes
    built = [build(folder, network) for network in networks if time.monotonic() < end_s or is_built(folder, network)]
    for one in built:
        if time.monotonic() < end_s:
            clean(folder, one, tally)
    for one in built:
        for kind, fault in drawn(one, counts.get(one.network, {})):
            if time.monotonic() < end_s:
                planted(folder, one, kind, fault, tally)
    planned = len(networks) + sum(len(list(drawn(one, counts.get(one.network, {})))) for one in built)
    planned += sum(sum(counts.get(network, {}).values()) for network in networks[len(built) :])
    return tally.figures() | {"left": max(0, planned - len(tally.rows))}


if __name__ == "__main__":
    main()

"""Fit the constants of the BPU cost model to published board latencies.

    python scripts/fit_cost.py            print the constants and the residuals
    python scripts/fit_cost.py --write    put them into harness/emulator/cost/model.py, bands.py and docs/cost-model.md
    python scripts/fit_cost.py --check    exit 1 when the constants in the code are not those of the fit

Reads the samples named in benchmarks/estimate_parts/cost_samples.py ($HARNESS_SAMPLES).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.estimate import LEFT_OUT, accuracy, placement_agreement, unseen_ratios  # noqa: E402
from benchmarks.estimate_parts.cost_samples import SAMPLES, load_samples  # noqa: E402
from harness.emulator.cost.bands import LIKE, between, kind_of  # noqa: E402
from harness.emulator.cost.fit import PublishedLatency, cross_validate, fit, five_folds  # noqa: E402
from harness.emulator.cost.model import CONSTANTS, Constants, estimate  # noqa: E402

CODE = ROOT / "harness" / "emulator" / "cost" / "model.py"
BANDS = CODE.with_name("bands.py")
DOCS = ROOT / "docs" / "cost-model.md"
BLOCK = re.compile(r"CONSTANTS = Constants\(\n.*?\n\)\n", re.DOTALL)
RESIDUALS = re.compile(r"<!-- fit -->.*<!-- /fit -->", re.DOTALL)
TOLERANCE = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="update the code and the docs")
    parser.add_argument("--check", action="store_true", help="compare the code with the fit")
    given = parser.parse_args()
    if not (SAMPLES / "topologies").is_dir():
        raise SystemExit(f"{SAMPLES / 'topologies'} is not there: set HARNESS_SAMPLES to the folder of samples")
    samples = [sample for sample in load_samples() if sample.name not in LEFT_OUT]
    constants = fit(samples)
    if given.check:
        check(constants)
        return
    text = residuals(samples, constants)
    print(block(constants))
    print(text)
    if given.write:
        _write_bands(samples)
        CODE.write_text(BLOCK.sub(lambda _: block(constants), CODE.read_text(encoding="utf-8")), encoding="utf-8")
        page = RESIDUALS.sub(lambda _: f"<!-- fit -->\n{text}\n<!-- /fit -->", DOCS.read_text(encoding="utf-8"))
        DOCS.write_text(page, encoding="utf-8")


def _write_bands(samples: Sequence[PublishedLatency]) -> None:
    """The bands of networks alike, with how many there are."""
    kinds, ratios = [kind_of(sample.works) for sample in samples], unseen_ratios(samples)
    text = BANDS.read_text(encoding="utf-8")
    for kind, band in LIKE.items():
        alike = [float(ratio) for ratio, one in zip(ratios, kinds, strict=True) if one == kind]
        (low, high), words = between(alike), band.of.split(" ", 1)[1]
        row = f'    "{kind}": Spread({low:.3f}, {high:.3f}, "{len(alike)} {words}"),'
        text = re.sub(rf'^    "{kind}": Spread\(.*\),$', row, text, flags=re.MULTILINE)
    BANDS.write_text(text, encoding="utf-8")


def block(constants: Constants) -> str:
    """The table as it stands in the code, four digits each."""
    lines = [f"    {name}={_digits(value)}," for name, value in asdict(constants).items()]
    return "CONSTANTS = Constants(\n" + "\n".join(lines) + "\n)\n"


def _digits(value: float) -> str:
    text = f"{value:.4g}"
    return f"{float(text):.1f}" if "e" in text else text if "." in text else f"{text}.0"


def check(constants: Constants) -> None:
    known = asdict(CONSTANTS)
    off = {k: (known[k], v) for k, v in asdict(constants).items() if abs(known[k] / v - 1.0) > TOLERANCE}
    for name, (code, fitted) in off.items():
        print(f"{name}: {code:g} in the code, {fitted:g} fitted")
    if off:
        raise SystemExit(1)
    print("the constants in the code are those of the fit")


def residuals(samples: Sequence[PublishedLatency], constants: Constants) -> str:
    """Markdown: the headline figures, then every model."""
    folds = cross_validate(samples, five_folds(len(samples), 0))
    family = cross_validate(samples, [sample.family for sample in samples])
    figures = accuracy(samples, samples, {}) | {"placement_agreement": placement_agreement()}
    lines = [
        f"Fitted {datetime.now(timezone.utc):%Y-%m-%d} on {len(samples)} models; placement agreement "
        f"{figures['placement_agreement']:.1%}.",
        "",
        "| | median | p90 |",
        "|---|---|---|",
    ]
    seen = np.abs([_error(sample, constants) for sample in samples])
    lines.append(
        f"| five-fold, mean of five shuffles | {figures['median_abs_error']:.1%} | {figures['p90_abs_error']:.1%} |"
    )
    lines.append(f"| whole families left out | {figures['family_median']:.1%} | {figures['family_p90']:.1%} |")
    lines.append(f"| the fit itself | {np.median(seen):.1%} | {np.percentile(seen, 90):.1%} |")
    lines += ["", "| model | published ms | fit | five-fold | family out |", "|---|---|---|---|---|"]
    for sample, one, other in zip(samples, folds, family, strict=True):
        error = _error(sample, constants)
        lines.append(f"| {sample.name} | {sample.latency_us / 1e3:.2f} | {error:+.1%} | {one:+.1%} | {other:+.1%} |")
    return "\n".join(lines)


def _error(sample: PublishedLatency, constants: Constants) -> float:
    estimated = estimate(
        [sample.works],
        sample.output_elements,
        constants=constants,
        older_runtime=sample.older_runtime,
    )
    return estimated.total_us / sample.latency_us - 1.0


if __name__ == "__main__":
    main()

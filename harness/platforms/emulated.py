"""The emulator's side file `emulated.json`: which of a profile's times no clock measured."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.platforms.text import read_text
from harness.records import Band, ErrorFactors, OpTime, Profile

SIDE_FILE = "emulated.json"
# A format of our own, never mistaken for a vendor's; then a zip with meta.json: docs/emulator.md
EMULATOR_MAGIC = b"HARNEMU1"


def mark_estimates(folder: Path, ops: Sequence[OpTime]) -> tuple[OpTime, ...]:
    """Mark op times as estimated where the side file says so.

    `{"estimated": ["BPU"]}` names units, `{"estimated_ops": [...]}` names ops; without either all accelerator times of
    an emulated board are estimates. No side file: a real board, nothing is marked.
    """
    text = read_text(folder / SIDE_FILE)
    if not text:
        return tuple(ops)
    units, names = _estimated(text)
    if units is None:
        return tuple(replace(op, estimated=op.unit != "CPU" or op.name in names) for op in ops)
    return tuple(replace(op, estimated=op.unit in units or op.name in names) for op in ops)


def latency_is_estimated(folder: Path) -> bool:
    """Whether a run's end-to-end time holds times that no clock measured; for runs without times of ops."""
    text = read_text(folder / SIDE_FILE)
    units, names = _estimated(text) if text else (set[str](), set[str]())
    return units is None or bool(units or names)


def simulator_of(folder: Path) -> str:
    """The vendor's simulator that a run's times are from, as the side file names it; "" where none is named."""
    try:
        value = json.loads(read_text(folder / SIDE_FILE) or "{}")
    except (ValueError, RecursionError):
        return ""
    name = value.get("simulator") if isinstance(value, dict) else None
    return name[:100] if isinstance(name, str) else ""


def with_estimate(measured: Profile, folder: Path) -> Profile:
    """The profile with the band of its latency; of a run without times of ops, whether its latency is an estimate."""
    estimated = measured.estimated if measured.ops else latency_is_estimated(folder)
    band = band_of(folder, measured.latency.mean_us)
    off_error = _factors(folder, "off_band") if estimated else None
    return replace(measured, estimated=estimated, band=band, simulator=simulator_of(folder), off_error=off_error)


def band_of(folder: Path, latency_us: float) -> Band | None:
    """How far the estimated latency of a run may be off, where the side file tells it."""
    factors = _factors(folder, "band")
    return factors.around(latency_us, latency_us) if factors and math.isfinite(latency_us) else None


def _factors(folder: Path, key: str) -> ErrorFactors | None:
    """How far estimates may be off, as the side file tells it under a key."""
    try:
        band = json.loads(read_text(folder / SIDE_FILE) or "{}").get(key)
        low, high, share = (float(band[key]) for key in ("low", "high", "share"))
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return None
    if not 0.0 < low <= high < math.inf or not 0.0 < share <= 1.0:
        return None
    return ErrorFactors(low, high, share, str(band.get("of", "")))


def _estimated(text: str) -> tuple[set[str] | None, set[str]]:
    """(units, ops); None for every accelerator."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = {}
    if not isinstance(value, dict):
        value = {}
    units, names = value.get("estimated"), value.get("estimated_ops")
    known_units = {str(u) for u in units} if isinstance(units, list) else None
    return known_units, {str(n) for n in names} if isinstance(names, list) else set()


def read_emulated_meta(path: Path) -> dict[str, Any]:
    """meta.json of an emulator model. Errors: InputError for a file that was cut short."""
    try:
        with zipfile.ZipFile(path) as archive:
            value = json.loads(archive.read("meta.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            f"{path}: the model file is damaged or truncated ({error})", "build it again with `harness emulator build`"
        ) from None
    return value if isinstance(value, dict) else {}

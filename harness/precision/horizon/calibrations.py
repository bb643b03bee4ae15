"""What hb_mapper and hb_compile let one choose of the calibration, and how it is written."""

from __future__ import annotations

from collections.abc import Iterator

from harness.emulator.thresholds.settings import DEFAULT, KL, MAX, MIX, CalibrationSettings
from harness.platforms.horizon.op_lists import list_of
from harness.precision.base import CalibrationOffer

_EQUALISATION = "no option of hb_mapper or hb_compile: their manuals name none"
_NOT_OPTIMIZED = "a word of `optimization` on X5 (bayes-e) only"


def offer(march: str) -> CalibrationOffer:
    """By the manuals: X3 `calibration_type`, X5 `optimization`, the J6 yaml pages and quant_config's activation."""
    missing = {"equalisation": _EQUALISATION}
    if list_of(march) == "nash":
        missing |= dict.fromkeys((MIX, DEFAULT), "deprecated in hb_compile")
        return CalibrationOffer((MAX, KL), True, True, True, True, missing)
    is_x5 = march == "bayes-e"
    if not is_x5:
        missing |= dict.fromkeys(("asymmetric", "bias_correction"), _NOT_OPTIMIZED)
    return CalibrationOffer((MAX, KL, MIX, DEFAULT), True, True, is_x5, is_x5, missing)


def mapper_lines(calibrating: CalibrationSettings) -> Iterator[str]:
    """Lines of hb_mapper's calibration_parameters."""
    yield f"  calibration_type: {calibrating.method}"
    if calibrating.method == MAX and calibrating.percentile < 1:
        yield f"  max_percentile: {calibrating.percentile:g}"
    if calibrating.per_channel:
        yield "  per_channel: true"
    words = [word for word in ("asymmetric", "bias_correction") if getattr(calibrating, word)]
    if words:
        yield f"  optimization: {','.join(words)}"


def compile_settings(calibrating: CalibrationSettings) -> Iterator[tuple[str, object]]:
    """Keys of quant_config's model_config; none where the largest value is the range."""
    if calibrating.is_plain:
        return
    activation: dict[str, object] = {"calibration_type": calibrating.method}
    if calibrating.method == MAX and calibrating.percentile < 1:
        activation["max_percentile"] = calibrating.percentile
    if calibrating.method == KL:
        activation["num_bin"] = calibrating.bins
    activation |= {word: True for word in ("per_channel", "asymmetric") if getattr(calibrating, word)}
    yield "activation", activation
    if calibrating.bias_correction:
        yield "weight", {"bias_correction": {"num_sample": 1}}

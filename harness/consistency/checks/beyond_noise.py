"""Differences that quantization does not make: against a float model every layer of a quantized board differs, and a
part of a tensor that is far off while the rest is within a few steps is a fault all the same."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np

from harness.consistency.grid import grid_step
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import Pair
from harness.consistency.rows import RowComparer
from harness.errors import MEASURED_BAD
from harness.records import Comparison, Origin, Verdict

PLACES = frozenset(
    ["zeroed_region", "dead_channel", "tile", "stride", "page", "cache_line", "cut_off", "single_element", "bit_flip"]
)
FAR_STEPS = 8.0  # of the board's own grid
FAR_NOISE = 16.0  # times what is usual in this tensor
MOST_SHARE = 0.5  # of the elements; a tensor that is off everywhere may be quantized badly
WHY = "judged by policy float-reference: part of a tensor is off by far more than quantization makes"
SUSPECTS = "{}: beyond the limits, too; quantization may be why"


def beyond_noise(comparison: Comparison, rows: RowComparer) -> Comparison | None:
    """What `--policy float-reference` says, where one origin at least cannot be quantization; None otherwise.

    Origins that can be are suspects only. `rows` opens the pairs of that comparison.
    """
    faults = [origin for origin in comparison.origins if _is_fault(origin, rows)]
    if not faults:
        return None
    origins = tuple(origin if origin in faults else replace(origin, certain=False) for origin in comparison.origins)
    notes = [SUSPECTS.format(origin.op or origin.tensor) for origin in origins if origin not in faults]
    word = Verdict("diverges", f"{comparison.verdict.detail}; {WHY}", MEASURED_BAD)
    return replace(comparison, verdict=word, origins=origins, notes=(*comparison.notes, *notes))


def _is_fault(origin: Origin, rows: RowComparer) -> bool:
    mark = origin.fingerprint
    if mark is None or mark.kind not in PLACES:
        return False
    with suppress(TensorError):
        return is_far_in_part(rows.pair(origin.tensor))
    return False


def is_far_in_part(pair: Pair) -> bool:
    """Whether some elements of a dequantized tensor are off by far more than the rest, and not for want of range."""
    step = grid_step(pair.board)
    if not step or not np.isfinite(pair.reference).all():
        return False
    error = np.abs(pair.board.astype(np.float64) - pair.reference)
    at_rail = (pair.board == pair.board.min()) | (pair.board == pair.board.max())
    usual = max(float(np.median(error)), step / 4)  # of rounding alone: a quarter of a step
    far = (error > max(FAR_STEPS * step, FAR_NOISE * usual)) & ~at_rail
    return bool(far.any()) and float(far.mean()) <= MOST_SHARE

"""What rounding alone makes of an op's result: played on this PC, with values cut to fewer bits."""

from __future__ import annotations

import numpy as np

from harness.consistency.arithmetic import Precision
from harness.consistency.metrics.pointwise import measure
from harness.consistency.origins.isolate import Isolator, Request
from harness.consistency.origins.rounded import Rounding
from harness.consistency.reading.tensor_files import Array
from harness.records import Metrics

ROUNDING_ROOM = 4.0  # a sum of many products rounds at other places, and some boards round every partial sum
MANY_UNSEEN = 8  # ops in a row: what their roundings make of a few large elements is one draw of chance
FEWER_BITS = (0, 1, 2)  # further draws, whose errors are twice and four times as large


def is_rounding(single: Metrics, plain: Request, isolator: Isolator, precision: Precision, unseen: int) -> bool:
    """Whether the roundings of an op, and of `unseen` ops before it, move its result about as far as the board is off.

    `single` holds the figures of the board's value against the op's own, fed with `plain`.
    """
    if single.relative_l2 is None or single.max_abs is None or not single.nonfinite_agree:
        return False
    most = farthest = 0.0
    for fewer in FEWER_BITS if unseen >= MANY_UNSEEN else FEWER_BITS[:1]:
        moved = _played(plain, precision.significant_bits - fewer, isolator)
        most = max(most, *(2.0**-fewer * (one.relative_l2 or 0.0) for one in moved))
        farthest = max(farthest, *(2.0**-fewer * (one.max_abs or 0.0) for one in moved))
        if single.relative_l2 <= ROUNDING_ROOM * most and single.max_abs <= ROUNDING_ROOM * farthest:
            return True
    return False


def _played(plain: Request, bits: int, isolator: Isolator) -> list[Metrics]:
    """How far roundings to that many bits move what the op gives, a row for each style."""
    styles = [None, *(Rounding(bits, style) for style in ("operands", "everything"))]
    requests = [Request(plain.target, plain.feeds, plain.float_side, rounding) for rounding in styles]
    exact, *values = [value for _, value in isolator.run(requests)]
    nothing = Metrics(elements=0, mismatched=0)
    return [nothing if value is None or exact is None else _moved(value, exact) for value in values]


def _moved(value: Array, exact: Array) -> Metrics:
    if value.dtype.kind != "f":
        return Metrics(elements=value.size, mismatched=0)
    return measure(np.ascontiguousarray(value), np.ascontiguousarray(exact))

"""Boards that hold nothing below the smallest normal value of their float arithmetic: it is zero there.

Many accelerators flush what is smaller. Half precision loses values below 6.1e-5 so, which small maps are made of: a
board that flushes them is right. It is shown by tensors that hold zeros, and nothing else, in that range.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from harness.consistency.arithmetic import Precision
from harness.consistency.metrics.pointwise import measure
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import Pair
from harness.records import Layer, Metrics

LEAST = 16  # values that became zero although the precision has values of their size
ROOM = 8  # roundings: what lies so near above the smallest normal value may have been below it on the board


def smallest_kept(precision: Precision) -> float:
    """What is smaller, by right arithmetic, may be zero on a board that flushes."""
    return precision.smallest_normal * (1 + ROOM * precision.unit)


def flushes(rows: Sequence[Layer], opened: Callable[[str], Pair], precision: Precision) -> bool:
    """Whether the board's tensors, inputs aside, hold no value but zero below the smallest normal one, where the
    reference's do. A tensor of zeros only shows nothing: it may never have been written."""
    least = precision.smallest_normal * 2.0 ** (2 - precision.significant_bits)  # a few steps above nothing
    seen = 0
    for row in rows:
        if row.verdict == "not_compared" or row.op_kind == "input":
            continue
        with suppress(TensorError):
            pair = opened(row.name)
            if pair.form != "float":
                continue
            board, right = np.abs(pair.board), np.abs(pair.reference)
            if bool(((board > 0) & (board < precision.smallest_normal)).any()):
                return False
            if board.any():
                seen += int(np.count_nonzero((board == 0) & (right > least) & (right < precision.smallest_normal)))
    return seen >= LEAST


def measured_flushed(pair: Pair, below: float) -> Metrics:
    """Figures of the pair with what the board flushed zero in the reference, too."""
    gone = (pair.board == 0) & (np.abs(pair.reference) < below)
    reference = np.where(gone, np.zeros((), pair.reference.dtype), pair.reference)
    return measure(pair.board, reference, pair.spec_board, pair.spec_reference)

"""The op as a whole: not computed, or computed twice."""

from __future__ import annotations

import numpy as np

from harness.consistency.hypotheses.bench import DEQUANTIZE, QUANTIZE, NodeScene
from harness.consistency.hypotheses.functions import ACTIVATIONS
from harness.consistency.hypotheses.variant import Variant, Variants

QUIET = frozenset((DEQUANTIZE, QUANTIZE, "Identity", "Constant", "Cast", "Dropout", "Reshape", "Flatten", "Squeeze"))


def skipped(op: NodeScene) -> Variants:
    """One of its inputs in place of its output."""
    if op.kind in QUIET or op.kind in ACTIVATIONS:
        return
    for at in op.data:
        x = op.given(at)
        if x.size == op.y.size and x.dtype == op.y.dtype:
            words = "the op left out" if len(op.data) == 1 else f"only its input {op.node.input[at]}"
            yield Variant("skipped_op", words, np.ascontiguousarray(x), reshaped=True)


def repeated(op: NodeScene) -> Variants:
    """Its output through it once more."""
    if op.kind in QUIET or not op.data:
        return
    at = op.data[0]
    if op.given(at).shape == op.y.shape and op.given(at).dtype == op.y.dtype:
        yield Variant("repeated_op", "the op applied twice", op.again({at: op.y}))

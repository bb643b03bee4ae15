"""What a fingerprint may know besides the pair itself. Everything is optional; more of it makes more certain."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.records import TensorSpec

Array = npt.NDArray[Any]
MOST_INPUTS = 4


@dataclass(frozen=True)
class FingerprintContext:
    """All arrays are logical, in the reference's axis order.

    `previous` is this tensor of the frame before, `repeats` of other runs of the same input. `stored` is how the
    board keeps the tensor (its padding). `is_input`: the tensor is a network input; `first_op`: its op reads
    nothing but network inputs. `step` is one quantization step of a float tensor that was dequantized.
    `weighted` and `in_memory` say what a region may be called.
    `recompute(inputs)` runs the op alone on the PC; `inputs` are what the reference fed to it.
    """

    previous: Array | None = None
    repeats: tuple[Array, ...] = ()
    stored: TensorSpec | None = None
    is_input: bool = False
    first_op: bool = False
    inputs_equal: bool = False  # what the op was fed is known to be equal
    step: float | None = None
    weighted: bool = False  # the op, or one of the interval's ops, has weights: channels are its own
    in_memory: bool = True  # the file lies as the board's memory does: lines and pages mean something
    inputs: tuple[Array, ...] = ()
    recompute: Callable[[Sequence[Array]], Array] | None = None

    def hypotheses(self) -> Iterator[tuple[str, str, tuple[Array, ...]]]:
        """(kind, name, inputs) of input mistakes that can be tried; nothing without `recompute`."""
        if self.recompute is None:
            return
        yield from self._exchanged()
        if self.first_op:
            yield from self._recoloured()

    def _exchanged(self) -> Iterator[tuple[str, str, tuple[Array, ...]]]:
        for a, b in itertools.combinations(range(min(len(self.inputs), MOST_INPUTS)), 2):
            first, second = self.inputs[a], self.inputs[b]
            if first.shape == second.shape and first.dtype == second.dtype:
                changed = list(self.inputs)
                changed[a], changed[b] = second, first
                yield "input_order", f"inputs {a} and {b} swapped", tuple(changed)

    def _recoloured(self) -> Iterator[tuple[str, str, tuple[Array, ...]]]:
        for index, image in enumerate(self.inputs):
            axis = _colour_axis(image)
            if axis is None:
                continue
            for name, order in (("channels reversed (RGB/BGR)", (2, 1, 0)), ("U and V swapped", (0, 2, 1))):
                changed = np.take(image, order, axis=axis)
                yield "preprocessing", name, (*self.inputs[:index], changed, *self.inputs[index + 1 :])


def _colour_axis(image: Array) -> int | None:
    if image.ndim != 4:
        return None
    return next((axis for axis in (1, 3) if image.shape[axis] == 3), None)

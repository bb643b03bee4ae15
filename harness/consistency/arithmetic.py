"""Which float arithmetic a board computes in: half precision is told by the values, whatever file holds them.

A value that survives the round trip through a narrower type is evidence only where chance and grids are ruled out: a
tensor counts when many of its values, small ones among them, use the last bit of the narrower type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import Pair
from harness.consistency.reading.tensor_files import Array
from harness.records import Layer

LOOKED_AT = 1 << 14  # elements of a tensor, spread over it
LEAST = 16  # values that must use the last bit
NO_CHANCE_BITS = 32  # that a few values leave zero together
LEAST_SHARE = 0.2  # of those below a quarter of the largest: by chance it is half, on the grid of integers none
MOST_LAYERS = 64  # float layers that are looked at
# What comes before the arithmetic of a network: it moves values of float32 inputs and constants, or scales an image.
# An equal tensor of full float32 made by one of these is a vote; made by any other op it shows that the op is float32.
UNROUNDED = frozenset(
    ("Add", "Cast", "Concat", "Constant", "ConstantOfShape", "DepthToSpace", "Div", "Expand", "Flatten", "Gather")
    + ("Identity", "Mul", "Pad", "Range", "Reshape", "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Sub")
    + ("Tile", "Transpose", "Unsqueeze", "Upsample", "Where")
)


@dataclass(frozen=True)
class Precision:
    """A float arithmetic by the bits that its values keep. `largest` is its largest finite value."""

    name: str  # that of the built-in policy, too
    words: str
    significant_bits: int  # with the leading one
    smallest_normal: float
    largest: float

    @property
    def unit(self) -> float:
        """Largest relative error of one rounding."""
        return 2.0**-self.significant_bits


BF16 = Precision("bf16", "bfloat16", 8, 2.0**-126, 3.3895313892515355e38)
F16 = Precision("f16", "half precision", 11, 2.0**-14, 65504.0)
TF32 = Precision("tf32", "TF32", 11, 2.0**-126, 3.4011621342146535e38)
PRECISIONS = (BF16, F16, TF32)  # a value of an earlier one survives every later one, as far as its range goes
PRECISION_BY_NAME = {precision.name: precision for precision in PRECISIONS}


@dataclass(frozen=True)
class Evidence:
    """A precision, and what shows it, in words."""

    precision: Precision
    sentence: str


def rounded(values: Array, precision: Precision) -> npt.NDArray[np.float32]:
    """float32 values rounded to a precision: to nearest, ties to even; beyond its range infinite."""
    narrow = np.ascontiguousarray(values, dtype=np.float32)
    if precision is F16:
        with np.errstate(over="ignore"):
            return narrow.astype(np.float16).astype(np.float32)
    return _cut(narrow, precision.significant_bits)


def _cut(values: npt.NDArray[np.float32], bits: int) -> npt.NDArray[np.float32]:
    dropped = np.uint32(24 - bits)
    raw = values.view(np.uint32)
    half = np.uint32((1 << (int(dropped) - 1)) - 1) + ((raw >> dropped) & np.uint32(1))
    cut: npt.NDArray[np.float32] = (((raw + half) >> dropped) << dropped).view(np.float32)
    return np.where(np.isfinite(values), cut, values)


def precision_of(array: Array) -> Precision | str | None:
    """The narrowest precision that holds all values of a float tensor, "" for none narrower than float32, None where
    the values do not tell (few of them, zeros, whole steps of a grid)."""
    flat = array.reshape(-1)
    sample = np.asarray(flat[:: max(1, flat.size // LOOKED_AT)])
    if sample.dtype == np.float16:
        return F16
    with np.errstate(over="ignore"):
        values = sample.astype(np.float32)
    values = values[np.isfinite(values) & (values != 0)]
    if np.unique(values).size < LEAST:
        return None
    return _narrowest(values) if np.array_equal(values, sample[np.isfinite(sample) & (sample != 0)]) else ""


def _narrowest(values: npt.NDArray[np.float32]) -> Precision | str | None:
    small = np.abs(values) < np.abs(values).max() / 4
    for precision in PRECISIONS:
        if np.array_equal(rounded(values, precision), values):
            seen = values[small & (np.abs(values) >= precision.smallest_normal)]
            odd = int(np.count_nonzero(_cut(seen, precision.significant_bits - 1) != seen))
            return precision if odd >= max(LEAST, LEAST_SHARE * len(seen)) else None
    return ""


def of_values(layers: Sequence[Layer], opened: Callable[[str], Pair]) -> Evidence | None:
    """The precision that the board's float tensors are kept in: all of those that tell, or half of several.

    A runtime keeps some of its tensors wider (sums, a last output). Tensors that the reference keeps narrow itself and
    tensors that are equal say nothing where others do; but equal ones that need all bits of float32 show what a board
    computes in, and one layer of another precision is then a fault.
    """
    rows = _telling(layers, "within", "differs")
    classes = _classes(rows, opened)
    if rows and not classes:  # too small to tell: what is equal then shows how both sides round
        classes = _classes(_telling(layers, "exact", "within", "differs"), opened)
    narrow = [p for p in classes if isinstance(p, Precision)]
    if not narrow:
        return None if classes else _of_few(rows, opened)
    against = [row for row in _telling(layers, "exact") if _of_layer(row, opened) == ""]
    if any(row.op_kind not in UNROUNDED for row in against):
        return None
    return _evidence(max(narrow, key=_fineness), classes, len(against))


def _evidence(finest: Precision, classes: Mapping[Precision | str, int], against: int) -> Evidence | None:
    """Of the finest precision that was seen: a coarser layer is judged by it, too."""
    held = {finest, F16} if finest is TF32 else {finest}  # within the range of f16 the two cannot be told apart
    count, classified = sum(classes.get(p, 0) for p in held), sum(classes.values()) + against
    if count < classified and (count < 2 or 2 * count < classified):
        return None
    which = (
        "every float layer that tells holds" if count == classified else f"{count} of {classified} float layers hold"
    )
    coarser = [p for p in classes if isinstance(p, Precision) and p not in held]
    others = "".join(f", {classes[p]} {p.name} values only" for p in coarser)
    return Evidence(finest, f"{which} {finest.name} values only{others}")


def _of_few(rows: Sequence[Layer], opened: Callable[[str], Pair]) -> Evidence | None:
    """Of outputs of a few values each: all of them together, where what they all leave zero is no chance.

    Half of them use the last bit, so that they are no coarser steps.
    """
    parts = [np.asarray(opened(row.name).board, np.float32).reshape(-1) for row in rows if _is_small(row)]
    values = np.unique(np.concatenate(parts)) if parts and len(parts) == len(rows) else np.zeros(0, np.float32)
    values = values[np.isfinite(values) & (values != 0)]
    for precision in PRECISIONS:
        if len(values) and np.array_equal(rounded(values, precision), values):
            odd = int(np.count_nonzero(_cut(values, precision.significant_bits - 1) != values))
            zeros = len(values) * (24 - precision.significant_bits)
            if zeros < NO_CHANCE_BITS or odd < 2 or 2 * odd < len(values):
                return None
            return Evidence(precision, f"all {len(values)} values of its outputs are {precision.name} values")
    return None


def _is_small(row: Layer) -> bool:
    return row.metrics is not None and row.metrics.elements <= LEAST


def _fineness(precision: Precision) -> tuple[int, float]:
    return precision.significant_bits, precision.largest


def _classes(rows: Sequence[Layer], opened: Callable[[str], Pair]) -> Counter[Precision | str]:
    return Counter(p for p in (_of_layer(row, opened) for row in rows) if p is not None)


def _telling(layers: Sequence[Layer], *verdicts: str) -> list[Layer]:
    """Float rows of these verdicts, evenly taken where there are many."""
    floats = [row for row in layers if row.dtype in ("f16", "bf16", "f32", "f64") and row.op_kind != "input"]
    rows = [row for row in floats if row.verdict in verdicts]
    return rows[:: max(1, len(rows) // MOST_LAYERS)]


def _of_layer(row: Layer, opened: Callable[[str], Pair]) -> Precision | str | None:
    with suppress(TensorError):
        pair = opened(row.name)
        if pair.form == "float" and pair.reference.dtype.itemsize > 2:
            return precision_of(pair.board)
    return None

"""Float reference, simulator, board: how much of the board's noise is quantization's own?

ratio = |board - float| / |simulator - float|, per layer: below 1.1 fine, then a note, a look, bad.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from harness.consistency.policy import Policy
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import Pair, real_values
from harness.consistency.reading.specs import open_array
from harness.consistency.reading.tensor_files import Array, c_order_pieces, to_layout
from harness.records import Layer, NoiseRow, TensorSpec
from harness.reference.open import Reference, ReferenceTensor

PIECE_ELEMENTS = 1 << 20
WORDS = ("fine", "note", "look", "differs")


def noise_ratio(board: Array, simulator: Array, floats: Array) -> tuple[float | None, float, float]:
    """(ratio, |board - float|, |simulator - float|) of real values; the ratio is None where nothing is noisy and
    infinite where only the board is. A NaN on the board is infinite noise."""
    noise, floor = _distance(board, floats), _distance(simulator, floats)
    return _ratio_of(noise, floor), noise, floor


def _ratio_of(noise: float, floor: float) -> float | None:
    if floor == 0.0:
        return None if noise == 0.0 else math.inf
    return noise / floor


def _distance(values: Array, floats: Array) -> float:
    length = float(np.linalg.norm((values - floats).reshape(-1)))
    return math.inf if math.isnan(length) else length


def word(ratio: float | None, policy: Policy) -> str:
    """`fine`, `note`, `look` or `differs` by the policy's three bounds."""
    if ratio is None:
        return WORDS[0]
    return WORDS[sum(ratio >= bound for bound in policy.three_way)]


def three_way(
    layers: Sequence[Layer], pair: Callable[[str], Pair], floats: Reference, policy: Policy
) -> tuple[NoiseRow, ...]:
    """One row per compared layer; a layer that the float reference cannot be aligned with says why."""
    names = float_tensors(floats)
    return tuple(_row(layer, pair, names.get(layer.name), policy) for layer in layers if layer.metrics is not None)


def float_tensors(floats: Reference) -> Mapping[str, ReferenceTensor]:
    """The float reference's tensors by every name that they go by."""
    aliased = {alias: t for t in floats.tensors.values() for alias in (*t.aliases, t.onnx_name) if alias}
    return {**aliased, **floats.tensors}


def _row(layer: Layer, pair: Callable[[str], Pair], tensor: ReferenceTensor | None, policy: Policy) -> NoiseRow:
    index, name = layer.index, layer.name
    if tensor is None or tensor.spec is None:
        return NoiseRow(index, name, reason="not in the float reference")
    try:
        ratio, noise, floor = _ratio(pair(name), tensor)
    except TensorError as error:
        return NoiseRow(index, name, reason=error.message)
    return NoiseRow(index, name, ratio, word(ratio, policy), board_noise=noise, simulator_noise=floor)


def _ratio(both: Pair, tensor: ReferenceTensor) -> tuple[float | None, float, float]:
    assert tensor.spec is not None
    floats = to_layout(open_array(tensor.path, tensor.spec), tensor.spec, both.spec_reference.layout)
    if floats.shape != both.reference.shape:
        raise TensorError(f"the float reference has shape {floats.shape}", "", "shape_differs")
    parts = [
        noise_ratio(board, reference, real)[1:]
        for board, reference, real in zip(
            _pieces(both.board, both.spec_board),
            _pieces(both.reference, both.spec_reference),
            _pieces(floats, tensor.spec),
            strict=True,
        )
    ]
    noise, floor = (math.sqrt(sum(part[i] ** 2 for part in parts)) for i in (0, 1))
    return _ratio_of(noise, floor), noise, floor


def _pieces(array: Array, spec: TensorSpec) -> Iterator[Array]:
    """Real values in float64, in pieces of equal numbers of elements whatever the dtype; scales per channel whole."""
    if spec.quantization is not None and spec.quantization.axis is not None:
        values = real_values(array, spec)
        yield from c_order_pieces(values, PIECE_ELEMENTS * values.itemsize)
        return
    for piece in c_order_pieces(array, PIECE_ELEMENTS * array.itemsize):
        yield real_values(piece, spec)

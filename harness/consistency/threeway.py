"""Float reference, simulator, board: how much of the board's noise is quantization's own?

ratio = |board - float| / |simulator - float|, per layer: below 1.1 fine, then a note, a look, bad.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.consistency.layouts import TensorError
from harness.consistency.pairing import Pair, open_array, real_values
from harness.consistency.policy import Policy
from harness.consistency.tensors import Array, to_layout
from harness.records import Layer
from harness.reference import Reference, ReferenceTensor

WORDS = ("fine", "note", "look", "differs")


def noise_ratio(board: Array, simulator: Array, floats: Array) -> tuple[float | None, float, float]:
    """(ratio, |board - float|, |simulator - float|) of real values; the ratio is None where nothing is noisy and
    infinite where only the board is. A NaN on the board is infinite noise."""
    noise = _distance(board, floats)
    floor = _distance(simulator, floats)
    if floor == 0.0:
        return (None if noise == 0.0 else math.inf), noise, floor
    return noise / floor, noise, floor


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
) -> list[dict[str, Any]]:
    """One row per compared layer; a layer that the float reference cannot be aligned with says why."""
    names = _names(floats)
    return [_row(layer, pair, names.get(layer.name), policy) for layer in layers if layer.metrics is not None]


def _names(floats: Reference) -> Mapping[str, ReferenceTensor]:
    aliased = {alias: t for t in floats.tensors.values() for alias in (*t.aliases, t.onnx_name) if alias}
    return {**aliased, **floats.tensors}


def _row(layer: Layer, pair: Callable[[str], Pair], tensor: ReferenceTensor | None, policy: Policy) -> dict[str, Any]:
    row: dict[str, Any] = {"index": layer.index, "name": layer.name, "ratio": None, "word": "not_compared"}
    if tensor is None or tensor.spec is None:
        return {**row, "reason": "no tensor of this name in the float reference"}
    try:
        ratio, noise, floor = _ratio(pair(layer.name), tensor)
    except TensorError as error:
        return {**row, "reason": error.message}
    return {**row, "ratio": ratio, "word": word(ratio, policy), "board_noise": noise, "simulator_noise": floor}


def _ratio(both: Pair, tensor: ReferenceTensor) -> tuple[float | None, float, float]:
    assert tensor.spec is not None
    stored = open_array(tensor.path, tensor.spec)
    floats = real_values(to_layout(stored, tensor.spec, both.spec_reference.layout), tensor.spec)
    if floats.shape != both.reference.shape:
        raise TensorError(f"the float reference has shape {floats.shape}", "", "shape_differs")
    board = real_values(both.board, both.spec_board)
    return noise_ratio(board, real_values(both.reference, both.spec_reference), floats)

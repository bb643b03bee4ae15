"""What the ops of a graph take: which inputs are feature maps, and the scales of constant weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from harness.emulator.model.nodes import ModelGraph, attributes

CONV_LIKE = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
LEVELS = 127  # int8, symmetric
_SAME_SCALE = frozenset(
    ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "MaxPool", "GlobalMaxPool", "Slice", "Split")
    + ("DepthToSpace", "SpaceToDepth", "Gather", "Tile", "Expand", "Identity")
)
_SINGLE_DATA_INPUT = frozenset(
    ("Clip", "Pow", "Resize", "Pad", "Slice", "Reshape", "Gather", "Tile", "Expand", "BatchNormalization")
)


def data_inputs(node: onnx.NodeProto, network: ModelGraph) -> list[str]:
    """Inputs of a node that the accelerator reads as feature maps."""
    names = network.data_inputs(node)
    return names[:1] if node.op_type in _SINGLE_DATA_INPUT else names


def weight_axis(node: onnx.NodeProto, weight: NDArray[Any]) -> int | None:
    """The output-channel axis of a weight; None for one scale (MatMul of 1-D)."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1 if attributes(node).get("group", 1) == 1 else None
    if node.op_type == "Gemm":
        return 0 if attributes(node).get("transB", 0) else 1
    return weight.ndim - 1 if weight.ndim >= 2 else None


def weight_scale(weight: NDArray[Any], axis: int | None, levels: int = LEVELS) -> NDArray[Any]:
    """Symmetric scale per tensor (0-D) or per index of `axis` (1-D); an all-zero channel gets 1/levels."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    peak = np.max(np.abs(weight), axis=None if axis is None else others)
    return np.asarray(np.where(peak > 0, peak, 1.0) / levels, np.float32)


def moves_data(node: onnx.NodeProto) -> bool:
    """Whether an op only moves values, or picks of them: what it makes keeps the scale of what it reads."""
    nearest = node.op_type == "Resize" and attributes(node).get("mode", "nearest") == "nearest"
    return node.op_type in _SAME_SCALE or nearest

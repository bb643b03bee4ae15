"""Mistakes inside an op: it is computed again with other weights, attributes or rounding, and rounded after that.

Each takes (array, scene, args, rng) as every fault does, and gives what the changed op gives. Where a fault is only
tried, before a board is touched, there may be no graph: then the array comes back as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper

from harness.emulator.model.fault_kinds import Args, Array, FaultContext
from harness.emulator.model.op_graph import CannotApply, Change, OpGraph

BIASED = ("Conv", "ConvTranspose", "Gemm")
WEIGHTED = (*BIASED, "MatMul")
WINDOWED = ("Conv", "MaxPool", "AveragePool")
SOFTMAX = ("Softmax", "LogSoftmax")
CLIPPED = ("Clip", "Relu")
NORMALIZING = ("LayerNormalization", "BatchNormalization", "InstanceNormalization")
RESIZING = ("Resize",)


def _again(x: Array, scene: FaultContext, change: Change) -> Array:
    if scene.recompute is None:
        return x
    value = scene.recompute(change)
    if value.shape != x.shape:
        raise CannotApply("the changed op gives another shape")
    return value


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def _set(node: onnx.NodeProto, name: str, value: Any) -> None:
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def _output_axis(node: onnx.NodeProto, weights: Array) -> int:
    """The axis of the weights that belongs to the output's channels."""
    if node.op_type == "Gemm":
        return 0 if _attribute(node, "transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1}.get(node.op_type, weights.ndim - 1)


# --------------------------------------------------------------------------- weights


def bias_dropped(x: Array, scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """The op adds no bias. Errors: CannotApply where it has none."""

    def change(graph: OpGraph) -> None:
        node = graph.node(*BIASED)
        if len(node.input) < 3 or not node.input[2]:
            raise CannotApply("it has no bias")
        graph.give(node, 2, np.zeros_like(graph.constant(node.input[2]), np.float32))

    return _again(x, scene, change)


def channel_scale(x: Array, scene: FaultContext, _args: Args, rng: np.random.Generator) -> Array:
    """Every output channel has the weight scale of its neighbour; weights that have none get factors of 0.7 to 1.4."""

    def change(graph: OpGraph) -> None:
        node = graph.node(*WEIGHTED)
        weights = graph.constant(node.input[1])
        axis = _output_axis(node, weights)
        scales = graph.scales(node.input[1])
        if scales is not None and scales.shape[axis] == scales.size:
            factors: Array = np.roll(scales, 1, axis) / scales
        else:
            shape = [-1 if i == axis else 1 for i in range(weights.ndim)]
            factors = np.asarray(rng.uniform(0.7, 1.4, weights.shape[axis])).reshape(shape)
        graph.give(node, 1, (weights * factors).astype(np.float32))

    return _again(x, scene, change)


def channel_weights(x: Array, scene: FaultContext, args: Args, rng: np.random.Generator) -> Array:
    """One output channel (`index`, else any) is computed with its neighbour's weights."""

    def change(graph: OpGraph) -> None:
        node = graph.node(*WEIGHTED)
        weights = graph.constant(node.input[1]).copy()
        axis = _output_axis(node, weights)
        moved = np.moveaxis(weights, axis, 0)
        index = int(args.get("index", rng.integers(len(moved))))
        if not 0 <= index < len(moved) or len(moved) < 2:
            raise CannotApply(f"channel {index} is outside the {len(moved)} channels")
        moved[index] = moved[index - 1]
        graph.give(node, 1, weights)

    return _again(x, scene, change)


# --------------------------------------------------------------------------- attributes


def wrong_pads(x: Array, scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """One row and column of the padding is at the end instead of the beginning. Errors: CannotApply without padding."""

    def change(graph: OpGraph) -> None:
        node = graph.node(*WINDOWED)
        pads = list(_attribute(node, "pads", []))
        half = len(pads) // 2
        if not pads or not all(pads[:half]):
            raise CannotApply("it has no padding")
        _set(node, "pads", [*(n - 1 for n in pads[:half]), *(n + 1 for n in pads[half:])])

    return _again(x, scene, change)


def wrong_axis(x: Array, scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """A softmax along the axis before its own. Errors: CannotApply for one axis."""

    def change(graph: OpGraph) -> None:
        node = graph.node(*SOFTMAX)
        if x.ndim < 2:
            raise CannotApply("it has one axis")
        _set(node, "axis", (_attribute(node, "axis", -1) - 1) % x.ndim)

    return _again(x, scene, change)


def clip_missing(x: Array, scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """The op's Relu or Clip is left out."""

    def change(graph: OpGraph) -> None:
        node = graph.node(*CLIPPED)
        node.op_type = "Identity"
        del node.input[1:]
        del node.attribute[:]

    return _again(x, scene, change)


def resize_mode(x: Array, scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """Linear interpolation instead of the nearest value, and the other way round."""

    def change(graph: OpGraph) -> None:
        node = graph.node(*RESIZING)
        linear = _attribute(node, "mode", b"nearest") == b"nearest"
        _set(node, "mode", "linear" if linear else "nearest")

    return _again(x, scene, change)


def epsilon(x: Array, scene: FaultContext, args: Args, _rng: np.random.Generator) -> Array:
    """A normalization with another epsilon (`by`)."""

    def change(graph: OpGraph) -> None:
        _set(graph.node(*NORMALIZING), "epsilon", args.get("by", 0.01))

    return _again(x, scene, change)


# --------------------------------------------------------------------------- rounding, frames


def truncation(x: Array, scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """The op's result is cut to the step below instead of rounded. Errors: CannotApply for floats."""
    if x.dtype.kind not in "iu":
        raise CannotApply("it is not quantized")

    def change(graph: OpGraph) -> None:
        step = graph.step()
        graph.before_rounding(("Div", step), ("Floor", None), ("Mul", step))

    return _again(x, scene, change)


def stale_item(x: Array, scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """The last item of a batch is an earlier frame's. Errors: CannotApply for a batch of one."""
    assert scene.previous is not None
    if x.ndim < 2 or x.shape[0] < 2:
        raise CannotApply("it is a batch of one")
    changed = x.copy()
    changed[-1] = scene.previous[-1]
    return changed


# --------------------------------------------------------------------------- pictures


def _of_yuv(x: Array) -> None:
    if x.ndim != 4 or x.shape[1] != 3 or x.dtype != np.uint8:
        raise CannotApply(f"an input of shape {x.shape} is not NV12 on the board")


def limited_range(x: Array, _scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """NV12 of limited range (16 to 235, 16 to 240) where the full range is expected. Errors: CannotApply."""
    _of_yuv(x)
    low, centre = np.array([16, 0, 0]), np.array([0, 128, 128])
    factor = np.array([219, 224, 224]) / 255
    shape = (1, 3, 1, 1)
    made = (x - centre.reshape(shape)) * factor.reshape(shape) + (low + centre).reshape(shape)
    return np.asarray(np.clip(np.rint(made), 0, 255), np.uint8)


def i420(x: Array, _scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """I420 (U, then V) read as NV12 (U and V in turn). Errors: CannotApply."""
    _of_yuv(x)
    n, _, height, width = x.shape
    if height % 2 or width % 2:
        raise CannotApply("NV12 has even sides")
    planes = np.ascontiguousarray(x[:, 1:, ::2, ::2]).reshape(n, -1)  # U and then V, as they lie in the file
    turns = planes.reshape(n, height // 2, width // 2, 2).transpose(0, 3, 1, 2)
    return np.concatenate([x[:, :1], turns.repeat(2, axis=2).repeat(2, axis=3)], axis=1)

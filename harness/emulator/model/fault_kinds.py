"""What each numeric fault does to an array. Pure functions: (array, scene, args, rng) -> a new array.

Integers stay in their type's range. `scene` tells how the board stores the tensor and what an earlier frame held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.emulator.model.layout import byte_offsets, to_stored_axes
from harness.emulator.model.op_graph import CannotApply, Change, NotRounded
from harness.records import TensorSpec

Array = NDArray[Any]
Args = Mapping[str, float]
FaultFunction = Callable[[Array, "FaultContext", Args, np.random.Generator], Array]


@dataclass(frozen=True)
class FaultContext:
    """What a fault may know besides the values."""

    stored: TensorSpec
    spec: TensorSpec
    previous: Array | None = None  # the same tensor for another frame
    recompute: Callable[[Change], Array] | None = None  # the tensor as its changed op gives it


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault. `where` is "op", "input", "inputs" (two of them), "tool" or "step" (time of one step)."""

    name: str
    where: str
    doc: str
    args: Mapping[str, str]
    function: FaultFunction | None = None
    needs_previous: bool = False
    debug_only: bool = False
    inside: bool = False  # it is made inside the op, before the result is rounded


def tool(name: str, doc: str, **args: str) -> FaultKind:
    """A fault of an emulated tool, or of one of the ways it is run."""
    return FaultKind(name, "tool", doc, args)


def _saturate(values: Array, like: Array) -> Array:
    """Back to the type of `like`; integers are clipped to its range."""
    if like.dtype.kind in "iu":
        limits = np.iinfo(like.dtype)
        return np.clip(np.rint(values), limits.min, limits.max).astype(like.dtype)
    return values.astype(like.dtype)


def _wide(array: Array) -> Array:
    return array.astype(np.int64 if array.dtype.kind in "iu" else np.float64)


def _step(array: Array) -> float:
    """One quantization step: 1 for integers, 1/255 of the range for floats."""
    if array.dtype.kind in "iu":
        return 1.0
    finite = array[np.isfinite(array)]
    return float((np.ptp(finite) if finite.size else 0.0) / 255.0) or 1.0 / 255.0


def _channel_axis(array: Array) -> int:
    """Channels are axis 1 of 4-D tensors and the last axis of all others."""
    return 1 if array.ndim == 4 else array.ndim - 1


# --------------------------------------------------------------------------- values


def one_value(x: Array, _scene: FaultContext, args: Args, rng: np.random.Generator) -> Array:
    """One element (`index`, else any) is `by` steps off, towards the middle. Errors: CannotApply outside the tensor."""
    index = int(args.get("index", rng.integers(x.size)))
    if not 0 <= index < x.size:
        raise CannotApply(f"index {index} is outside the {x.size} elements")
    flat = x.reshape(-1).copy()
    by = args.get("by", 16.0) * _step(x)
    flat[index] = _saturate(np.asarray(_wide(flat[index : index + 1])[0] + (by if flat[index] <= 0 else -by)), x)
    return flat.reshape(x.shape)


def off_by_one(x: Array, _scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """Every element is one step too high."""
    return _saturate(_wide(x) + _step(x), x)


def halved(x: Array, _scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """Every element is half of what it was; integers are shifted right by one bit."""
    return x >> 1 if x.dtype.kind in "iu" else (x / 2).astype(x.dtype)


def _before_rounding(scene: FaultContext, kind: str, value: float, *, steps: bool = False) -> Array | None:
    """What the op gives when its real values pass another op before they are rounded, as a wrong requantization does;
    None of a tensor of floats, or where the op is not at hand."""
    if scene.recompute is None:
        return None
    try:
        return scene.recompute(lambda op: op.before_rounding((kind, value * op.step() if steps else value)))
    except NotRounded:
        return None


def shift(x: Array, scene: FaultContext, args: Args, _rng: np.random.Generator) -> Array:
    """Every element is 2^`by` times what it was, before it is rounded; saturated."""
    factor = 2.0 ** args.get("by", 1.0)
    made = _before_rounding(scene, "Mul", factor)
    return _saturate(_wide(x) * factor, x) if made is None else made


def scale(x: Array, scene: FaultContext, args: Args, _rng: np.random.Generator) -> Array:
    """Every element is `by` times what it was, before it is rounded; saturated."""
    made = _before_rounding(scene, "Mul", args.get("by", 1.1))
    return _saturate(_wide(x) * args.get("by", 1.1), x) if made is None else made


def zero_point(x: Array, scene: FaultContext, args: Args, _rng: np.random.Generator) -> Array:
    """Every element is `by` steps too high, before it is rounded; saturated."""
    made = _before_rounding(scene, "Add", args.get("by", 3.0), steps=True)
    return _saturate(_wide(x) + args.get("by", 3.0) * _step(x), x) if made is None else made


def saturation(x: Array, _scene: FaultContext, args: Args, _rng: np.random.Generator) -> Array:
    """Values saturate at the share `at` of the largest magnitude."""
    limit = float(np.max(np.abs(_wide(x)), initial=0)) * args.get("at", 0.6)
    return _saturate(np.clip(_wide(x), -limit, limit), x)


def rounding(x: Array, _scene: FaultContext, args: Args, rng: np.random.Generator) -> Array:
    """A `share` of the elements is one step off, up or down."""
    hit = rng.random(x.shape) < args.get("share", 0.2)
    return _saturate(_wide(x) + hit * rng.choice([-1.0, 1.0], x.shape) * _step(x), x)


def nibble_swap(x: Array, _scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """The two nibbles of every byte are swapped."""
    raw = np.ascontiguousarray(x).view(np.uint8)
    return np.asarray(np.bitwise_or(raw << 4, raw >> 4).astype(np.uint8).view(x.dtype).reshape(x.shape))


def _poison(x: Array, value: float, args: Args, rng: np.random.Generator) -> Array:
    if x.dtype.kind != "f":
        raise CannotApply(f"a {x.dtype} tensor cannot hold {value}; use a float op")
    flat = x.reshape(-1).copy()
    flat[rng.choice(flat.size, min(int(args.get("count", 1)), flat.size), replace=False)] = value
    return flat.reshape(x.shape)


def nan(x: Array, _scene: FaultContext, args: Args, rng: np.random.Generator) -> Array:
    """`count` elements are NaN. Errors: CannotApply for a tensor of integers."""
    return _poison(x, float("nan"), args, rng)


def inf(x: Array, _scene: FaultContext, args: Args, rng: np.random.Generator) -> Array:
    """`count` elements are infinite. Errors: CannotApply for a tensor of integers."""
    return _poison(x, float("inf"), args, rng)


# --------------------------------------------------------------------------- places


def permuted(x: Array, _scene: FaultContext, _args: Args, rng: np.random.Generator) -> Array:
    """All elements in any order; the shape stays."""
    return rng.permutation(x.reshape(-1)).reshape(x.shape)


def permutation(x: Array, _scene: FaultContext, _args: Args, rng: np.random.Generator) -> Array:
    """Channels in another order; the shape stays."""
    axis = _channel_axis(x)
    order = np.roll(np.arange(x.shape[axis]), 1) if x.shape[axis] < 4 else rng.permutation(x.shape[axis])
    return np.take(x, order, axis=axis)


def layout(x: Array, _scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """The bytes of another layout under the same shape: NHWC for NCHW, else the last two axes.

    Errors: CannotApply for one axis.
    """
    if x.ndim < 2:
        raise CannotApply("a one-dimensional tensor has no layout")
    turned = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x.swapaxes(-1, -2)
    return np.ascontiguousarray(turned).reshape(x.shape)


def stride(x: Array, _scene: FaultContext, args: Args, _rng: np.random.Generator) -> Array:
    """Rows read as if each were `by` elements longer than it is."""
    flat, length, by = x.reshape(-1), x.shape[-1], int(args.get("by", 1))
    starts = np.arange(x.size // length) * (length + by)
    return np.asarray(flat[(starts[:, None] + np.arange(length)) % x.size].reshape(x.shape))


def zeroed_column(x: Array, _scene: FaultContext, args: Args, _rng: np.random.Generator) -> Array:
    """Column `index` of the last axis is zero. Errors: CannotApply outside the tensor."""
    index = int(args.get("index", -1))
    if not -x.shape[-1] <= index < x.shape[-1]:
        raise CannotApply(f"column {index} is outside the {x.shape[-1]} columns")
    changed = x.copy()
    changed[..., index] = 0
    return changed


def dead_channel(x: Array, _scene: FaultContext, args: Args, rng: np.random.Generator) -> Array:
    """Channel `index`, else any that is not zero, is zero. Errors: CannotApply outside the tensor."""
    axis = _channel_axis(x)
    others = tuple(i for i in range(x.ndim) if i != axis)
    alive = np.flatnonzero(np.any(x != 0, axis=others))
    index = int(args["index"]) if "index" in args else int(rng.choice(alive)) if alive.size else 0
    if not 0 <= index < x.shape[axis]:
        raise CannotApply(f"channel {index} is outside the {x.shape[axis]} channels")
    changed = np.moveaxis(x.copy(), axis, 0)
    changed[index] = 0
    return np.ascontiguousarray(np.moveaxis(changed, 0, axis))


def tile(x: Array, _scene: FaultContext, args: Args, rng: np.random.Generator) -> Array:
    """A block of the last two axes holds what belongs one block further."""
    if x.ndim < 2:
        raise CannotApply("a one-dimensional tensor has no tiles")
    size = [min(int(args.get("size", 8)), max(1, n // 2)) for n in x.shape[-2:]]
    top, left = (int(rng.integers(n - s + 1)) for n, s in zip(x.shape[-2:], size, strict=True))
    block = (..., slice(top, top + size[0]), slice(left, left + size[1]))
    changed = x.copy()
    changed[block] = np.roll(x, (size[0], size[1]), axis=(-2, -1))[block]
    return changed


# --------------------------------------------------------------------------- memory


def _stale_extent(x: Array, scene: FaultContext, extent_bytes: int, rng: np.random.Generator) -> Array:
    """One aligned extent of the board's memory holds an earlier frame."""
    assert scene.previous is not None
    extents = byte_offsets(scene.stored) // extent_bytes
    differing = np.unique(extents[scene.previous != x])
    if not differing.size:
        raise CannotApply("the earlier frame has the same values")
    return np.asarray(np.where(extents == rng.choice(differing), scene.previous, x), x.dtype)


def cache_line(x: Array, scene: FaultContext, _args: Args, rng: np.random.Generator) -> Array:
    """64 aligned bytes of the board's memory hold an earlier frame. Errors: CannotApply where that was the same."""
    return _stale_extent(x, scene, 64, rng)


def page(x: Array, scene: FaultContext, _args: Args, rng: np.random.Generator) -> Array:
    """4096 aligned bytes of the board's memory hold an earlier frame. Errors: CannotApply where that was the same."""
    return _stale_extent(x, scene, 4096, rng)


def stale(x: Array, scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """The whole tensor is an earlier frame's."""
    assert scene.previous is not None
    return scene.previous.astype(x.dtype)


def padding_leak(x: Array, scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """Rows read as if they were not padded: the values slide by the padding."""
    shape = scene.stored.aligned_shape
    if not shape or shape == scene.stored.shape:
        raise CannotApply("this tensor is not padded on the board")
    memory = np.zeros(shape, x.dtype)
    memory[tuple(slice(0, n) for n in scene.stored.shape)] = to_stored_axes(x, scene.stored)
    dense = memory.reshape(-1)[: x.size].reshape(scene.stored.shape)
    return np.ascontiguousarray(dense.transpose(0, 3, 1, 2) if scene.stored.layout == "NHWC" else dense)


# --------------------------------------------------------------------------- time


def nondeterminism(x: Array, scene: FaultContext, args: Args, _rng: np.random.Generator) -> Array:
    """Another draw at every run: seeded by the system, not by the fault."""
    return rounding(x, scene, {"share": args.get("share", 0.05)}, np.random.default_rng())


# --------------------------------------------------------------------------- inputs


def wrong_mean(x: Array, _scene: FaultContext, args: Args, _rng: np.random.Generator) -> Array:
    """The input's mean is `by` levels off (of floats `by`/64 standard deviations), of YUV444 in Y only; saturated."""
    by = args.get("by", 10.0) * (1.0 if x.dtype.kind in "iu" else float(np.std(x) or 1.0) / 64.0)
    changed = _wide(x)
    target = changed[:, :1] if x.dtype == np.uint8 and x.ndim == 4 else changed  # of YUV444 only Y has a mean
    target += round(by) if changed.dtype.kind == "i" else by
    return _saturate(changed, x)


def wrong_scale(x: Array, _scene: FaultContext, args: Args, _rng: np.random.Generator) -> Array:
    """The input's values are `by` times as far from its middle, saturated."""
    centre = 128 if x.dtype == np.uint8 else 0
    return _saturate((_wide(x) - centre) * args.get("by", 1.2) + centre, x)


def letterbox(x: Array, _scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """The picture moved by a quarter of its frame, what leaves at one side enters at the other."""
    if x.ndim != 4:
        raise CannotApply(f"an input of shape {x.shape} is not an image")
    return np.ascontiguousarray(np.roll(x, max(1, x.shape[3] // 4), axis=3))


def colour_order(x: Array, _scene: FaultContext, _args: Args, _rng: np.random.Generator) -> Array:
    """BGR for RGB; for YUV444 (NV12 on the board) U and V change places."""
    if x.ndim != 4 or x.shape[1] != 3:
        raise CannotApply(f"an input of shape {x.shape} has no colour channels (expected 1x3xHxW)")
    return np.ascontiguousarray(x[:, [0, 2, 1]] if x.dtype == np.uint8 else x[:, ::-1])

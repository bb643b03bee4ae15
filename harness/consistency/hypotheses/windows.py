"""Ops with a window: pads, padded values, strides, dilations, groups, and what a pool does with its window."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from harness.consistency.hypotheses.bench import Attribute, NodeScene
from harness.consistency.hypotheses.variant import Variant, Variants, listed
from harness.consistency.reading.tensor_files import Array

CONVOLUTIONS = ("Conv", "ConvTranspose", "QLinearConv", "ConvInteger")
POOLS = ("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool")
GLOBAL_POOLS = ("GlobalAveragePool", "GlobalMaxPool")
AXES = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def pads(op: NodeScene) -> Variants:
    """Pads at other ends, with other values, counted or not."""
    if op.kind not in CONVOLUTIONS + POOLS:
        return
    now = _pads(op)
    name = op.attribute("auto_pad", "NOTSET")
    other = {"SAME_UPPER": "SAME_LOWER", "SAME_LOWER": "SAME_UPPER"}.get(name)
    for words, new in _other_pads(now):
        same = f" ({other} instead of {name})" if other and words == "pads at the other ends" else ""
        value = op.again(auto_pad=None, pads=new)
        yield Variant("padding", f"{words}{same}: {listed(new)} instead of {listed(now)}", value)
    if op.kind != "ConvTranspose" and any(now):
        yield from _padded_with(op, now)
    if op.kind in ("AveragePool", "QLinearAveragePool"):
        counted = int(op.attribute("count_include_pad", 0))
        yield Variant("padding", f"count_include_pad {1 - counted}", op.again(count_include_pad=1 - counted))
    if op.kind in POOLS:
        ceil = int(op.attribute("ceil_mode", 0))
        yield Variant("padding", f"ceil_mode {1 - ceil}", op.again(ceil_mode=1 - ceil))


def _kernel(op: NodeScene) -> list[int]:
    given = op.attribute("kernel_shape")
    return list(given) if given else list(op.given(3 if op.kind == "QLinearConv" else 1).shape[2:])


def _pads(op: NodeScene) -> list[int]:
    """Begins, then ends, as they are or as auto_pad makes them."""
    kernel, auto = _kernel(op), op.attribute("auto_pad", "NOTSET")
    rank = len(kernel)
    if auto in ("NOTSET", "VALID") or op.kind == "ConvTranspose":
        return list(op.attribute("pads") or [0] * 2 * rank)
    strides, dilations = (op.attribute(name) or [1] * rank for name in ("strides", "dilations"))
    sizes = zip(op.given(0).shape[2:], kernel, strides, dilations, strict=True)
    both = [max(0, (math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n) for n, k, s, d in sizes]
    less, more = [n // 2 for n in both], [n - n // 2 for n in both]
    return less + more if auto == "SAME_UPPER" else more + less


def _other_pads(now: Sequence[int]) -> Iterator[tuple[str, list[int]]]:
    rank = len(now) // 2
    begins, ends = list(now[:rank]), list(now[rank:])
    seen = {tuple(now)}
    proposals = [("pads at the other ends", ends + begins)]
    both = [b + e for b, e in zip(begins, ends, strict=True)]
    proposals += [("all padding at the end", [0] * rank + both), ("all padding at the begin", both + [0] * rank)]
    for shift, words in ((-1, "pads one less at the begin"), (1, "pads one more at the begin")):
        proposals.append((words, [b + shift for b in begins] + [e - shift for e in ends]))
        for axis in range(rank) if rank > 1 else ():
            new = [*now]
            new[axis], new[axis + rank] = new[axis] + shift, new[axis + rank] - shift
            proposals.append((f"{words}, in {AXES.get(rank, AXES[3])[axis]} only", new))
    for axis in range(rank) if rank > 1 else ():
        new = [*now]
        new[axis], new[axis + rank] = new[axis + rank], new[axis]
        proposals.append((f"pads at the other ends, in {AXES.get(rank, AXES[3])[axis]} only", new))
    proposals.append(("pads of the axes exchanged", begins[::-1] + ends[::-1]))
    if rank == 2:
        paired = [begins[0], begins[1], ends[0], ends[1]]
        proposals.append(("pads read as begin, end of each axis", [paired[0], paired[2], paired[1], paired[3]]))
    for words, new in proposals:
        if tuple(new) not in seen and min(new) >= 0:
            seen.add(tuple(new))
            yield words, new


def _padded_with(op: NodeScene, now: Sequence[int]) -> Variants:
    x = op.given(0)
    rank = len(now) // 2
    widths = [(0, 0), (0, 0), *zip(now[:rank], now[rank:], strict=True)]
    for words, padded in _paddings(op, x, widths):
        value = op.again({0: padded}, auto_pad=None, pads=[0] * 2 * rank)
        yield Variant("padding", words, value)


def _paddings(op: NodeScene, x: Array, widths: list[tuple[int, int]]) -> Iterator[tuple[str, Array]]:
    yield "padded with the values of the edge", np.pad(x, widths, mode="edge")
    if all(max(pair) < n for pair, n in zip(widths, x.shape, strict=True)):
        yield "padded by reflection", np.pad(x, widths, mode="reflect")
    if op.kind == "MaxPool" or x.dtype.kind in "iu":
        yield "padded with zeros", np.pad(x, widths)
    stored = op.source(0)
    zero = op.bench.array(stored.input[2]) if stored is not None and len(stored.input) > 2 else None
    if stored is not None and stored.op_type == "DequantizeLinear" and zero is not None and zero.any():
        scale = op.bench.array(stored.input[1])
        if scale is not None and scale.size == 1:
            padding = -float(zero.reshape(-1)[0]) * float(scale.reshape(-1)[0])
            words = "padded with the integer 0, not with the zero point"
            yield words, np.pad(x, widths, constant_values=padding).astype(x.dtype)


def geometry(op: NodeScene) -> Variants:
    """Strides, dilations and groups ignored or exchanged."""
    if op.kind not in CONVOLUTIONS + POOLS:
        return
    for name in ("strides", "dilations"):
        given = op.attribute(name)
        if given and set(given) != {1}:
            changes: dict[str, Attribute] = {name: [1] * len(given), "auto_pad": None, "pads": _pads(op)}
            value = op.again(None, **changes)
            yield Variant("window", f"{name} ignored", _cropped(value, op.y))
            yield Variant("window", f"{name} of the axes exchanged", op.again(None, **{name: given[::-1]}))
            if name == "dilations":
                yield from _narrow(op, given)
    group = int(op.attribute("group", 1))
    x = op.given(0)
    if 1 < group < x.shape[1] and op.kind != "ConvTranspose":
        first = np.concatenate([x[:, : x.shape[1] // group]] * group, axis=1)
        yield Variant("window", "every group reading the first group's channels", op.again({0: first}))
        taken = np.concatenate([np.arange(g, x.shape[1], group) for g in range(group)])
        yield Variant("window", "groups of interleaved channels", op.again({0: np.take(x, taken, axis=1)}))


def _narrow(op: NodeScene, dilations: Sequence[int]) -> Variants:
    """Without dilation, and with pads that keep the size."""
    now, kernel = _pads(op), _kernel(op)
    less = [(k - 1) * (d - 1) for k, d in zip(kernel, dilations, strict=True)]
    rank = len(kernel)
    new = [now[i] - less[i] // 2 for i in range(rank)] + [now[rank + i] - (less[i] - less[i] // 2) for i in range(rank)]
    if min(new) >= 0:
        value = op.again(dilations=[1] * rank, auto_pad=None, pads=new)
        yield Variant("window", "dilations ignored, the pads smaller by as much", value)


def _cropped(value: Array | None, like: Array) -> Array | None:
    if value is None or value.ndim != like.ndim or any(a < b for a, b in zip(value.shape, like.shape, strict=True)):
        return None
    return np.ascontiguousarray(value[tuple(slice(n) for n in like.shape)])


def pools(op: NodeScene) -> Variants:
    """Another function of the window."""
    if op.kind in ("MaxPool", "AveragePool"):
        names = ("auto_pad", "ceil_mode", "kernel_shape", "pads", "strides")
        kept = {name: op.attribute(name) for name in names if op.attribute(name) is not None}
        other = "AveragePool" if op.kind == "MaxPool" else "MaxPool"
        yield Variant("function", f"{other} instead of {op.kind}", op.compute(other, [op.given(0)], **kept))
        kernel = op.attribute("kernel_shape") or []
        if kernel != kernel[::-1]:
            yield Variant("window", "kernel sizes of the axes exchanged", op.again(kernel_shape=kernel[::-1]))
    if op.kind == "AveragePool":
        size = math.prod(op.attribute("kernel_shape") or [1])
        yield Variant("function", "the sum of the window instead of its mean", (op.y * size).astype(op.y.dtype))
    if op.kind in GLOBAL_POOLS:
        other = GLOBAL_POOLS[1 - GLOBAL_POOLS.index(op.kind)]
        yield Variant("function", f"{other} instead of {op.kind}", op.compute(other, [op.given(0)]))
        total = op.given(0).sum(axis=tuple(range(2, op.given(0).ndim)), keepdims=True, dtype=np.float64)
        yield Variant("function", "the sum instead of the mean", total.astype(op.y.dtype))

"""What the model's inputs were fed with: order, layout, sides and preprocessing, before any op is blamed.

Two kinds of checks. Where a reference keeps its own inputs, the values of both sides are held against each other and
prove a law (errors). The values alone can only look wrong (warnings): pictures are smooth in their own layout and
width, and an input's quantizer tells which values it was calibrated with.
Sources: the FAQ of Horizon's toolchains (layout and order of inputs between quantized ONNX and compiled model), the
post-quantization guide of Ingenic (first layer low: format, mean and variance).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.diagnosis.rules import Findings, finding
from harness.records import Finding, TensorSpec

Array = npt.NDArray[Any]
CHANNELS = (3, 4)  # of a picture whose layout can be told
LEAST_SIDE = 16  # pixels; smaller pictures tell nothing about their layout
ROUGHER = 1.5  # times as rough in the layout that was stated as in the other one
ROUGH = 0.8  # differences of neighbours over the spread of all; noise has more than 2
LEAST_VALUES = 64
CLIPPED = 0.5  # of the values are beyond what the quantizer holds
TINY = 20  # times smaller than what the quantizer holds
PIXELS = ("NV12", "RGB", "BGR", "YUV444", "Y", "U8")
ALIKE = 0.9999  # correlation of two preprocessings of one picture


@dataclass(frozen=True)
class InputView:
    """One input as the board was fed, and as the reference was."""

    name: str
    board: TensorSpec
    kind: str  # "NV12", "RGB", "F32", ...: the board's word, "" where it tells none
    file: str  # as the user calls it
    fed: Array | None  # in the board's shape and dtype; None for what has no fixed one, or was made up
    picture: Array | None = None  # luma of an NV12 picture (H, W)
    as_reference: Array | None = None  # what was fed, turned into the reference's axes and type
    reference: Array | None = None  # what the reference was computed with, where it keeps that
    holds: tuple[float, float] | None = None  # least and greatest value that the input's quantizer holds


def proved(views: Sequence[InputView]) -> Findings:
    """I-102, I-103, I-105: what both sides were fed with differs by a law."""
    for view in views:
        if view.as_reference is None or view.reference is None or _equal(view.as_reference, view.reference):
            continue
        law = _exchanged(view, views) or _turned(view) or _scaled(view)
        if law is not None:
            yield law


def suspected(views: Sequence[InputView]) -> Findings:
    """I-112 to I-115: values that look wrong by themselves."""
    for view in views:
        yield from _other_layout(view)
        yield from _other_width(view)
        yield from _preprocessing(view)


# --------------------------------------------------------------------------- proved by both sides


def _equal(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.array_equal(a, b))


def _exchanged(view: InputView, views: Sequence[InputView]) -> Finding | None:
    mine = view.as_reference
    if mine is None:
        return None
    other = _origin_of(mine, view, views)
    # What is the same everywhere equals other inputs by chance, and one file fed twice is no exchange.
    if other is None or other.as_reference is None or not _tells(mine) or not _tells(other.as_reference):
        return None
    if _origin_of(other.as_reference, other, views) is None:
        return None
    names = " ".join(f"--input {one.name}=FILE" for one in views)
    evidence = f"the board's {view.name} ({view.file}) holds what the reference was fed as {other.name}"
    return finding("I-102", evidence, subject=view.name, advice=f"name the inputs on both sides: {names}")


def _origin_of(values: Array, view: InputView, views: Sequence[InputView]) -> InputView | None:
    """The input, other than `view`, that the reference was fed these values as."""
    held = ((one, one.reference) for one in views if one is not view and one.reference is not None)
    return next((one for one, fed in held if _equal(values, fed)), None)


def _tells(values: Array) -> bool:
    """Whether values are not all the same."""
    return bool(values.size and (values != values.reshape(-1)[0]).any())


def _as_other_layout(values: Array) -> Iterator[tuple[str, Array]]:
    """(the layout that the bytes really lie in, the values in the axes of `values`) for both ways of misreading."""
    if values.ndim == 4:
        n, a, b, c = values.shape
        yield "NHWC", values.reshape(n, b, c, a).transpose(0, 3, 1, 2)  # stated NCHW
        yield "NCHW", values.reshape(n, c, a, b).transpose(0, 2, 3, 1)  # stated NHWC


def _turned(view: InputView) -> Finding | None:
    """One side's bytes, read in the other layout, are the other side's."""
    assert view.as_reference is not None and view.reference is not None
    for side, mine, other in (
        ("board's", view.as_reference, view.reference),
        ("reference's", view.reference, view.as_reference),
    ):
        for layout, values in _as_other_layout(mine):
            if mine.shape == other.shape and _equal(values, other):
                return _of_turned(view.name, side, layout, _smoother(mine, other, layout))
    return None


def _of_turned(name: str, side: str, layout: str, smoother: str) -> Finding:
    """I-103. That one side is the other one turned does not tell which was right: the smooth picture is."""
    stated = "NCHW" if layout == "NHWC" else "NHWC"
    if smoother == "other":
        evidence = f"the {side} bytes of {name} lie as {layout}; read so, both sides are equal"
        advice = f"change the {side} input: its model takes {stated}, so transpose the file before it is fed"
        return finding("I-103", evidence, subject=name, advice=advice)
    evidence = f"the {side} bytes of {name}, read as {layout}, are what the other side was fed"
    if smoother == "mine":
        wrong = "reference's" if side == "board's" else "board's"
        evidence += f"; read as {stated} they are the smooth picture"
        advice = f"change the {wrong} input: it was transposed although the file lay as {stated}, feed it as it is"
        return finding("I-103", evidence, subject=name, advice=advice)
    title = "board or reference was fed an input in another layout; the values do not tell which"
    advice = (
        f"look at both files, the board's and the reference's: the model takes {stated}; transpose the one that is not"
    )
    return finding("I-103", evidence, subject=name, title=title, advice=advice)


def _smoother(mine: Array, other: Array, layout: str) -> str:
    """ "mine" or "other", whichever is clearly the smooth picture in the axes that both have; "" where none is."""
    stated = "NCHW" if layout == "NHWC" else "NHWC"
    if _stated(TensorSpec("", "", mine.shape)) != stated:
        return ""
    if not (np.isfinite(mine).all() and np.isfinite(other).all()):
        return ""
    pictures = (np.asarray(side[0], np.float64) for side in (mine, other))
    a, b = (_roughness(np.moveaxis(one, 0, -1) if stated == "NCHW" else one) for one in pictures)
    if min(a, b) >= ROUGH or max(a, b) <= ROUGHER * min(a, b) or not min(a, b):
        return ""
    return "mine" if a < b else "other"


def _scaled(view: InputView) -> Finding | None:
    """One side is the other by a factor and an offset: which one does its quantizer hold?"""
    assert view.as_reference is not None and view.reference is not None
    mine, other = (_by_channel(side) for side in (view.as_reference, view.reference))
    if (
        mine.shape != other.shape
        or mine.size < LEAST_VALUES
        or not all(_alike(*pair) for pair in zip(mine, other, strict=True))
    ):
        return None
    laws = [_law(*pair) for pair in zip(mine, other, strict=True)]
    law = laws[0] + (" (channel 0)" if len(set(laws)) > 1 else "")
    board, reference = (_unlike(side, view.holds) for side in (mine, other))
    if bool(board) == bool(reference):
        advice = "use one preprocessing on both sides: that of training, once"
        return finding("I-105", f"{view.name}: {law}", subject=view.name, advice=advice)
    side, why = ("board's", board) if board else ("reference's", reference)
    times = "not at all, or in another way" if why.endswith("clipped") else "twice"
    advice = f"change the {side} input, which is preprocessed {times}: preprocess it as in training, once"
    return finding("I-105", f"{view.name}: {law}; the {side} is {why}", subject=view.name, advice=advice)


def _by_channel(values: Array) -> Array:
    """One row per channel of a picture; one row of any other tensor."""
    whole = np.asarray(values, np.float64)
    axis = next((axis for axis in (1, 3) if whole.ndim == 4 and whole.shape[axis] in CHANNELS), None)
    return whole.reshape(1, -1) if axis is None else np.moveaxis(whole, axis, 0).reshape(whole.shape[axis], -1)


def _alike(mine: Array, other: Array) -> bool:
    """Whether one is a line of the other, and not constant."""
    if not (np.isfinite(mine).all() and np.isfinite(other).all() and np.ptp(mine) and np.ptp(other)):
        return False
    return bool(abs(np.corrcoef(mine, other)[0, 1]) >= ALIKE)


def _law(mine: Array, other: Array) -> str:
    factor, offset = np.polyfit(other, mine, 1)
    sign = "-" if offset < 0 else "+"
    shift = "" if abs(offset) < 1e-6 * float(np.ptp(mine)) else f" {sign} {abs(offset):.4g}"
    return f"board = {factor:.4g} * reference{shift}"


# --------------------------------------------------------------------------- seen in the values alone


def _roughness(picture: Array) -> float:
    """Differences of neighbours along rows and columns of (H, W, C), over the spread of all values."""
    spread = float(picture.std())
    if not spread:
        return 0.0
    steps = (float(np.abs(np.diff(picture, axis=axis)).mean()) for axis in (0, 1))
    return sum(steps) / spread


def _stated(spec: TensorSpec) -> str:
    """The layout that a picture's shape states; "" where both or none fit."""
    if len(spec.shape) != 4 or min(spec.shape) < 1:
        return ""
    first, last = spec.shape[1] in CHANNELS, spec.shape[3] in CHANNELS
    sides = spec.shape[2:] if first else spec.shape[1:3]
    return ("NCHW" if first else "NHWC") if first != last and min(sides) >= LEAST_SIDE else ""


def _other_layout(view: InputView) -> Findings:
    """I-112: the bytes are a smooth picture in the layout that the input does not take."""
    stated = _stated(view.board)
    if view.fed is None or not stated or not np.isfinite(view.fed).all():
        return
    first = np.asarray(view.fed[0], np.float64)
    picture = np.moveaxis(first, 0, -1) if stated == "NCHW" else first
    height, width, channels = picture.shape
    flat = first.reshape(-1)
    turned = flat.reshape(height, width, channels) if stated == "NCHW" else flat.reshape(channels, height, width)
    other = turned if stated == "NCHW" else np.moveaxis(turned, 0, -1)
    as_stated, as_other = _roughness(picture), _roughness(other)
    if as_other < ROUGH and as_stated > ROUGHER * as_other > 0:
        layout = "NHWC" if stated == "NCHW" else "NCHW"
        evidence = (
            f"{view.file}: neighbours differ by {as_stated:.2f} of the spread read as {stated}, which the model takes, "
            f"and by {as_other:.2f} read as {layout}"
        )
        yield finding("I-112", evidence, subject=view.name, advice=_turn_advice(view, stated, layout))


def _turn_advice(view: InputView, stated: str, layout: str) -> str:
    order = "(0, 3, 1, 2)" if stated == "NCHW" else "(0, 2, 3, 1)"
    return (
        f"if {view.file} was saved as {layout}, change the board's input: "
        f"np.save('input.npy', array.transpose{order}), and give the .npy, whose shape is checked"
    )


def _other_width(view: InputView) -> Findings:
    """I-113: the rows of an NV12 picture line up at another width: height and width exchanged."""
    if view.picture is None or min(view.picture.shape) < LEAST_SIDE or len(set(view.picture.shape)) == 1:
        return
    height, width = view.picture.shape
    flat = np.asarray(view.picture, np.float64).reshape(-1)
    spread = float(flat.std())
    if not spread:
        return
    own, other = (float(np.abs(flat[step:] - flat[:-step]).mean()) / spread for step in (width, height))
    if other < ROUGH / 2 and own > ROUGHER * other > 0:
        evidence = f"{view.file}: rows line up at {height} pixels, the model's are {width} wide"
        advice = (
            f"change the board's input: the picture is {height}x{width} (width x height), it needs {width}x{height}"
        )
        yield finding("I-113", evidence, subject=view.name, advice=advice)


def _preprocessing(view: InputView) -> Findings:
    """I-114, I-115: values that the input's quantizer was not calibrated with."""
    if view.fed is None or view.fed.size < LEAST_VALUES:
        return
    if view.fed.dtype == np.uint8 and view.kind in PIXELS:
        if 0 < int(view.fed.max()) <= 2:
            evidence = (
                f"{view.file}: pixels are 0 to {int(view.fed.max())}, the model takes 0 to 255 and normalises them"
            )
            yield finding("I-115", evidence, subject=view.name)
        return
    if view.fed.dtype.kind != "f":
        return
    values = np.asarray(view.fed, np.float64)
    why = _unlike(values, view.holds)
    if why:
        rule = "I-114" if why.endswith("clipped") else "I-115"
        named = f" ({'pixels without preprocessing' if _are_pixels(values) else 'another mean or scale'})"
        yield finding(rule, f"{view.file}: {why}{named if rule == 'I-114' else ''}", subject=view.name)


def _unlike(values: Array, holds: tuple[float, float] | None) -> str:
    """How far values are from what a quantizer holds, in words; "" where they are like it or nothing tells."""
    if holds is None or not np.isfinite(values).all():
        return ""
    low, high = holds
    room = 0.05 * (high - low)
    beyond = float(np.mean((values < low - room) | (values > high + room)))
    least, most = float(values.min()), float(values.max())
    span = f"{least:.4g} to {most:.4g}, the input's quantizer holds {low:.4g} to {high:.4g}"
    if beyond > CLIPPED:
        return f"{span}: {beyond:.0%} of the values are clipped"
    if 0 < (most - least) * TINY < high - low:
        return f"{span}: {(high - low) / (most - least):.0f} times as much"
    return ""


def _are_pixels(values: Array) -> bool:
    return bool(values.min() >= 0 and 2 < values.max() <= 255 and np.array_equal(values, np.rint(values)))

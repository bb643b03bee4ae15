"""Mistakes in data: the board's input is not the reference's, or one file holds what it should not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.foreign_parts.surgery import Mistake, Patient


def _input(p: Patient) -> Iterator[str]:
    """The input that a picture goes into."""
    for value in p.graph.input:
        if p.values[value.name].ndim == 4 and p.values[value.name].shape[1] == 3 and p.normalised is not None:
            yield value.name
            return


def _pixels(p: Patient, name: str) -> Any:
    mean, deviation = (np.array(x).reshape(3, 1, 1) for x in p.normalised or ())
    return p.values[name].astype(np.float64) * deviation + mean, mean, deviation


def not_normalised(p: Patient) -> Iterator[str]:
    for name in _input(p):
        pixels, _, _ = _pixels(p, name)
        p.feeds[name] = pixels.astype(np.float32)
        yield name


def other_mean(p: Patient) -> Iterator[str]:
    """The mean and deviation of another framework."""
    for name in _input(p):
        pixels, mean, _ = _pixels(p, name)
        other = (
            ((103.94, 116.78, 123.68), 58.8)
            if mean.max() != mean.min() or mean.max() == 0
            else ((123.68, 116.28, 103.5), 57.4)
        )
        p.feeds[name] = ((pixels - np.array(other[0]).reshape(3, 1, 1)) / other[1]).astype(np.float32)
        yield name


def blue_first(p: Patient) -> Iterator[str]:
    for name in _input(p):
        pixels, mean, deviation = _pixels(p, name)
        p.feeds[name] = ((pixels[:, ::-1] - mean) / deviation).astype(np.float32)
        yield name


def channels_last_input(p: Patient) -> Iterator[str]:
    """Pixels in the order of a camera's buffer, given to a network that wants planes."""
    for name in _input(p):
        value = p.values[name]
        p.feeds[name] = np.ascontiguousarray(value.transpose(0, 2, 3, 1)).reshape(value.shape)
        yield name


def other_picture(p: Patient) -> Iterator[str]:
    for value in p.graph.input:
        p.feeds[value.name] = p.before_feeds[value.name]
        yield value.name
        return


def _dumped(p: Patient, least_axes: int = 2) -> list[str]:
    """Tensors that an op gives and whose values are no repetition, in random order; no output of the network."""
    outputs = {o.name for o in p.graph.output}
    names = [
        n.output[0]
        for n in p.graph.node
        if n.output[0] in p.values
        and n.output[0] not in outputs
        and n.op_type not in ("Constant", "Reshape", "Identity")
    ]
    kept = [n for n in names if p.values[n].ndim >= least_axes and p.values[n].size > 64 and p.values[n].std() > 0]
    return [kept[i] for i in p.rng.permutation(len(kept))]


def channels_last_file(p: Patient) -> Iterator[str]:
    """One layer is written as its kernel keeps it, channels last; all others as the model has them."""
    for name in _dumped(p, 4):
        if p.values[name].shape[1] > 1 and np.prod(p.values[name].shape[2:]) > 1:
            p.patches.append({"tensor": name, "how": "channels_last"})
            yield name
            return


def stale_file(p: Patient) -> Iterator[str]:
    """One layer's file is left over from the frame before."""
    for name in _dumped(p):
        p.patches.append({"tensor": name, "how": "frame_before"})
        yield name
        return


def files_exchanged(p: Patient) -> Iterator[str]:
    """One layer's file is another layer's, of the same shape."""
    for name in _dumped(p):
        same = [o for o in _dumped(p) if o != name and p.values[o].shape == p.values[name].shape]
        other = next((o for o in same if p.values[o].dtype == p.values[name].dtype), None)
        if other is not None and not np.allclose(p.values[other], p.values[name]):
            p.patches.append({"tensor": name, "how": "copy", "of": other})
            yield name
            return


PREPROCESSING = ("preprocessing",)
DATA_MISTAKES = (
    Mistake("input not normalised", "pixels of 0 to 255", PREPROCESSING, not_normalised, quantized=None, where="input"),
    Mistake(
        "mean of another framework", "mean and deviation", PREPROCESSING, other_mean, quantized=None, where="input"
    ),
    Mistake("blue first", "BGR for RGB", PREPROCESSING, blue_first, quantized=None, where="input"),
    Mistake(
        "channels last input",
        "NHWC bytes as NCHW",
        ("layout", "permutation", "preprocessing"),
        channels_last_input,
        quantized=None,
        where="input",
    ),
    Mistake(
        "another picture",
        "another frame",
        ("other_input", "preprocessing", "stale"),
        other_picture,
        quantized=None,
        where="input",
    ),
    Mistake(
        "one file channels last",
        "one dump is NHWC",
        ("layout", "permutation"),
        channels_last_file,
        quantized=None,
        where="file",
    ),
    Mistake("one file of the frame before", "one dump is stale", ("stale",), stale_file, quantized=None, where="file"),
    Mistake(
        "one file twice", "one dump is another tensor", ("other_tensor",), files_exchanged, quantized=None, where="file"
    ),
)

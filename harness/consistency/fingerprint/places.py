"""Faults that are known by where they are: a few elements, a region, every n-th slice."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.channels import axis_of_channels
from harness.consistency.fingerprint.error_stats import Errors
from harness.consistency.fingerprint.regions import Region
from harness.records import Fingerprint

FEW = 16  # elements: below, statistics of the errors say little
LEAST_CHANNELS = 4  # of so many, one is told
STRAY = 0.1  # of the elements that differ in a slice: fewer are noise
LEAST_STRIPES = 4  # slices that make a pattern
FLAT = 0.01  # of its size: a channel that spans less has one value


def _mark(kind: str, certain: bool, evidence: str, **figures: Any) -> Fingerprint:
    return Fingerprint(kind, certain, evidence, "", figures)


def few(e: Errors) -> Fingerprint | None:
    """One element, or a handful: confined to a region, each in one bit, or scattered."""
    steps = not e.is_float and e.max_step <= 1
    if steps or e.count > FEW:
        return None
    if e.count == 1 and e.channel_is_one_element and e.is_zero(e.board_constant_where_wrong):
        return _mark("dead_channel", False, f"one channel of one element is zero: {e.example()}")
    if e.count == 1:
        return _mark("single_element", False, f"one element of {e.wrong.size} differs: {e.example()}")
    region = e.region
    if region is not None:
        return _confined(e, region)
    channel = _small_channel(e)
    if channel is not None:
        return channel
    if e.one_bit_each:
        return _mark("bit_flip", False, f"{e.count} scattered elements differ, each in exactly one bit")
    if e.count <= 4:
        return _mark("single_element", False, f"{e.count} scattered elements of {e.wrong.size} differ: {e.example()}")
    return None


def _small_channel(e: Errors) -> Fingerprint | None:
    """Most of the few elements of one channel, and no other: too few to be a region, and what wrong weights do."""
    axis = axis_of_channels(e)
    if not e.context.weighted or axis is None or e.board.shape[axis] < LEAST_CHANNELS:
        return None
    channels = np.unique(np.nonzero(e.wrong)[axis])
    elements = e.board.size // e.board.shape[axis]
    if len(channels) != 1 or 2 * e.count < elements:
        return None
    which = f"{e.geometry.labels[axis]} {channels[0]} of {e.board.shape[axis]}"
    text = f"{e.count} of the {elements} elements of {which} differ, and no other"
    return _mark("channel", False, f"{text}: weights, bias or scale of that output channel", elements=elements)


def where(e: Errors) -> Fingerprint | None:
    """A region of axes or memory that holds all that differs."""
    region = e.region
    return _confined(e, region) if region is not None else None


def _confined(e: Errors, region: Region) -> Fingerprint:
    kind, more = _kind_of_region(e, region)
    return _mark(kind, False, f"{e.count} elements differ, {region.sentence}{more}", elements=region.elements)


def _kind_of_region(e: Errors, region: Region) -> tuple[str, str]:
    constant = e.board_constant_where_wrong
    text = f"; the board has {constant} at each" if constant is not None else ""
    if region.what in ("line", "page"):
        return {"line": "cache_line", "page": "page"}[region.what], text
    if region.what == "channel":
        if e.context.weighted and (constant is None or _is_flat(e.reference[e.wrong])):
            return "channel", ": weights, bias or scale of that output channel"
        return ("dead_channel" if constant is not None else "tile"), text
    if region.what == "column" or (region.what == "row" and region.edge):
        return "stride", text
    return ("zeroed_region" if constant is not None and e.is_zero(constant) else "tile"), text


def _is_flat(reference: npt.NDArray[Any]) -> bool:
    """Whether the reference has next to one value, too: then a channel of one value is as alive as there."""
    held = reference.astype(np.float64)
    span, size = float(np.ptp(held)), float(np.abs(held).max())
    return np.isfinite(size) and span <= FLAT * size


def striped(e: Errors) -> Fingerprint | None:
    """Every second or n-th slice of one axis, from one on."""
    for axis in range(e.wrong.ndim):
        counts = e.wrong.sum(axis=tuple(i for i in range(e.wrong.ndim) if i != axis))
        held = np.flatnonzero(counts > (STRAY * counts.max() if e.noise else 0))
        steps = np.diff(held)
        if len(held) < LEAST_STRIPES or steps[0] < 2 or not (steps == steps[0]).all():
            continue
        which = f"{e.geometry.labels[axis]} {held[0]}, {held[1]}, {held[2]}, ... of {e.wrong.shape[axis]}"
        return _mark("tile", False, f"{e.count} elements differ, all in {which}: one in {steps[0]}")
    return None


def emptied(e: Errors) -> Fingerprint | None:
    """Zero wherever it differs."""
    constant = e.board_constant_where_wrong
    if constant is None or e.count < FEW or not e.is_zero(constant):
        return None
    return _mark("zeroed_region", False, f"the board has {constant} at all {e.count} differing elements")

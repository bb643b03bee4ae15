"""Laws of each channel before anything was rounded: board = factor * reference + offset.

A board rounds what it computed: each integer hides half a step, on both sides, so a law is judged with that much room,
and where values lie at the ends (clipped, or a Relu's zeros) nothing is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.error_stats import Errors
from harness.consistency.reading.layouts import channel_axis
from harness.records.json_values import Json

F64 = npt.NDArray[np.float64]
LEAST = 8  # pairs of a channel that are not at an end
EXPLAINED = 0.15  # of a float error may be left: root mean square
FIT_ROOM = 0.25  # steps: least squares do not find the line that is nearest to all
SAME = 0.02  # two factors are one
MOST_CHANNELS = 1 << 12
FEW_CHANNELS = 4  # of so many, one or a few: a share of the axis
LISTED = 4  # channels in a sentence


@dataclass(frozen=True)
class ChannelLaw:
    """`kind` as in kinds.py; the sentence says the figures."""

    kind: str
    sentence: str
    figures: Mapping[str, Json]


@dataclass(frozen=True)
class _Fit:
    """board = factor * reference + offset of one channel, in steps about the zero point (floats: in their unit)."""

    factor: float
    offset: float
    offset_room: float  # the offset is known so well
    good: bool


def channel_law(e: Errors) -> ChannelLaw | None:
    """The law of a pair whose every wrong channel follows one; None where one does not, or there are too few values."""
    axis = axis_of_channels(e)
    if axis is None or not 1 < e.board.shape[axis] <= MOST_CHANNELS or e.nonfinite_wrong:
        return None
    x, r, inside, wrong = (_by_channel(part, axis) for part in (e.board, e.reference, _inside(e), e.wrong))
    counts = wrong.sum(axis=1)
    channels = np.flatnonzero(counts)
    known: dict[int, _Fit] = {}
    for c in map(int, channels):
        fit = _fit(x[c], r[c], inside[c], e)
        if fit is not None and not fit.good:
            return None
        known |= {c: fit} if fit is not None else {}
    if not known or 2 * len(known) < len(channels):
        return None
    return _named(known, [int(c) for c in channels], len(x), _unit(e))


def axis_of_channels(e: Errors) -> int | None:
    """The axis that weights belong to: as labelled, else the second of an image, the last of a sequence."""
    axis = channel_axis(e.spec, e.board.ndim)
    if axis is not None:
        return axis
    return 1 if e.board.ndim == 4 else e.board.ndim - 1 if e.board.ndim > 1 else None


def _unit(e: Errors) -> str:
    return "" if e.is_float else " steps"


def _by_channel(array: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)


def _inside(e: Errors) -> npt.NDArray[np.bool_]:
    """Where neither side is at an end of its values: there a clip hides what was computed."""
    at_end = np.zeros(e.board.shape, dtype=bool)
    for side in (e.board, e.reference):
        finite = side[np.isfinite(side)] if e.is_float else side
        for end in (finite.min(), finite.max()):
            at_end |= side == end
    return ~at_end


def _fit(x: npt.NDArray[Any], r: npt.NDArray[Any], inside: npt.NDArray[np.bool_], e: Errors) -> _Fit | None:
    """Least squares; None where too few values are left, or all are the same."""
    a, b = (side[inside].astype(np.float64) - e.zero_point for side in (x, r))
    if len(b) < LEAST or np.ptp(b) == 0:
        return None
    centre = float(b.mean())
    factor = float(np.dot(b - centre, a - a.mean()) / np.dot(b - centre, b - centre))
    offset = float(a.mean() - factor * centre)
    left = a - (factor * b + offset)
    room = 0.5 * (1 + abs(factor)) if not e.is_float else EXPLAINED * float(np.sqrt(np.mean((a - b) ** 2)))
    good = (
        float(np.abs(left).max()) <= room * 1.1 + FIT_ROOM
        if not e.is_float
        else float(np.sqrt(np.mean(left**2))) <= room
    )
    error = float(left.std()) / np.sqrt(len(b)) * (1 + abs(centre) / (float(b.std()) or 1.0))
    return _Fit(factor, offset, 4 * error + (0.0 if e.is_float else 0.05), good)


def _few(fits: Mapping[int, _Fit], wrong: Sequence[int], channels: int, unit: str) -> ChannelLaw:
    """All wrong channels are counted, those too whose values admit no fit."""
    laws = {c: f"x {fit.factor:.4g} {fit.offset:+.4g}{unit}" for c, fit in fits.items()}
    which = ", ".join(f"{c} ({laws.get(c, 'too few different values for a factor')})" for c in wrong[:LISTED])
    more = f" and {len(wrong) - LISTED} more" if len(wrong) > LISTED else ""
    if len(wrong) == 1:
        text = f"only channel {which} of {channels} differs: weights, bias or scale of that output channel"
    else:
        text = f"only channels {which}{more} of {channels} differ: weights, bias or scale of those output channels"
    return ChannelLaw("channel", text, {"channels": list(wrong)})


def _named(fits: dict[int, _Fit], wrong: Sequence[int], channels: int, unit: str) -> ChannelLaw | None:
    first = next(iter(fits.values()))
    if len(wrong) <= max(1, channels // FEW_CHANNELS) and channels >= FEW_CHANNELS:
        return _few(fits, wrong, channels, unit)
    factors = np.array([fit.factor for fit in fits.values()])
    offsets = np.array([fit.offset for fit in fits.values()])
    rooms = np.array([fit.offset_room for fit in fits.values()])
    plain = bool((np.abs(factors - 1) < SAME).all())
    centred = bool((np.abs(offsets) <= rooms).all())
    alike = bool((np.abs(factors / first.factor - 1) < SAME).all()) if first.factor else False
    unknown = len(wrong) - len(fits)
    more = f" ({unknown} more differ: too few different values for a factor)" if unknown else ""
    ends = (
        f"{len(fits)} channels{more}: factor {factors.min():.4g} to {factors.max():.4g}, "
        f"offset {offsets.min():.4g} to {offsets.max():.4g}{unit}"
    )
    if plain:
        one = bool(np.ptp(offsets) <= 2 * rooms.max() + 1e-12)
        return None if one else ChannelLaw("channel_offset", ends, {"offsets": offsets[:64].tolist()})
    if alike:
        return None  # one factor for all: the laws of the whole tensor say it
    kind = "channel_scale" if centred else "channel_affine"
    return ChannelLaw(kind, ends, {"factors": factors[:64].tolist(), "offsets": offsets[:64].tolist()})

"""What goes wrong with a picture on its way into a network: range, order of the chroma samples, planes, sides.

Pictures are luma and chroma (NV12 as the YUV444 that it stands for, or the two planes as inputs of their own), or any
tensor whose channels follow a law each: another mean and scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.channels import axis_of_channels
from harness.consistency.fingerprint.error_stats import Errors
from harness.consistency.fingerprint.nearly import rms
from harness.consistency.reading.layouts import NV12
from harness.records import Fingerprint

Array = npt.NDArray[Any]
LUMA_FACTOR, CHROMA_FACTOR, LUMA_LOW, CHROMA_MIDDLE = 219 / 255, 224 / 255, 16, 128  # BT.601, limited of full range
ROOM = 1.6  # steps that two roundings may leave
PICTURE = (1, 2, 3)  # channels: luma, two of chroma, or all
MOST_CHANNELS = 4  # of a picture
LEAST_FIT = 0.05  # of the error may be left, root mean square
GRID = 24  # places along each side at which two pictures are held against each other
ALIKE = 0.9  # correlation
SAME_FACTOR = 1e-3
SENTENCE = "of the network's input: "


@dataclass(frozen=True)
class _Planes:
    """Luma (H, W) and chroma (H/2, W/2, 2) of the first picture, 0..255; None for a plane that is not there."""

    luma: Array | None
    chroma: Array | None


def of_picture(e: Errors) -> Fingerprint | None:
    """What was done to the luma and chroma that the board got; None where nothing of it explains the pair."""
    if not e.context.is_input or not e.comparable:
        return None
    board, reference = _planes(e.board, e), _planes(e.reference, e)
    sentence = next(_of_planes(board, reference), "") if board is not None and reference is not None else ""
    return Fingerprint("preprocessing", False, SENTENCE + sentence, sentence) if sentence else None


# ------------------------------------------------------------------------- luma and chroma


def _planes(values: Array, e: Errors) -> _Planes | None:
    stored = e.context.stored
    if e.is_float or values.ndim != 4:
        return None
    picture = values.astype(np.int16) + (128 if values.dtype == np.int8 else 0)
    last = values.shape[3] in PICTURE and values.shape[1] not in PICTURE  # whatever the labels: a graph may turn them
    first = np.moveaxis(picture, 3 if last else 1, -1)[0]
    if stored is not None and stored.layout == NV12 and first.shape[-1] == 3:
        return _Planes(first[..., 0], first[::2, ::2, 1:])
    if first.shape[-1] == 1:
        return _Planes(first[..., 0], None)
    return _Planes(None, first) if first.shape[-1] == 2 else None


def _of_planes(board: _Planes, reference: _Planes) -> Iterator[str]:
    yield from _range(board, reference)
    yield from _chroma_order(board, reference)
    yield from _plane_order(board, reference)
    yield from _sides(board, reference)


def _range(board: _Planes, reference: _Planes) -> Iterator[str]:
    """Limited range on one side: 16..235 of luma, 16..240 of chroma."""
    for narrow, wide, words in (
        (board, reference, "the board's picture is in limited range (16..235), the reference's in full range"),
        (reference, board, "the board's picture is in full range, the reference's in limited range (16..235)"),
    ):
        seen = []
        if narrow.luma is not None and wide.luma is not None:
            seen.append(_follows(narrow.luma, wide.luma * LUMA_FACTOR + LUMA_LOW))
        if narrow.chroma is not None and wide.chroma is not None:
            seen.append(_follows(narrow.chroma, (wide.chroma - CHROMA_MIDDLE) * CHROMA_FACTOR + CHROMA_MIDDLE))
        if seen and all(seen):
            yield words


def _follows(values: Array, law: Array) -> bool:
    """Within two roundings; chroma is averaged over pixels before or after."""
    return bool(np.quantile(np.abs(values - law), 0.99) <= ROOM) and bool(np.ptp(values) > 4 * ROOM)


def _same(a: Array | None, b: Array | None) -> bool:
    return a is None or b is None or (a.shape == b.shape and bool(np.abs(a - b).max(initial=0) <= 1))


def _chroma_order(board: _Planes, reference: _Planes) -> Iterator[str]:
    x, r = board.chroma, reference.chroma
    if x is None or r is None or not _same(board.luma, reference.luma) or _same(x, r):
        return
    if _same(x[..., ::-1], r):
        yield "U and V swapped: NV21 instead of NV12"
    halves = x.reshape(2, *x.shape[:2])  # the plane's bytes, one chroma plane after the other
    for order, name in (((0, 1), "I420"), ((1, 0), "YV12")):
        if _same(np.stack([halves[i] for i in order], axis=-1), r):
            yield f"U and V in planes of their own: {name} instead of NV12"


def _bytes(planes: _Planes) -> Array | None:
    if planes.luma is None or planes.chroma is None:
        return None
    joined: Array = np.concatenate([planes.luma.reshape(-1), planes.chroma.reshape(-1)])
    return joined


def _plane_order(board: _Planes, reference: _Planes) -> Iterator[str]:
    x, r = _bytes(board), _bytes(reference)
    if x is not None and r is not None and not _same(x, r) and _same(np.roll(x, -(len(x) // 3)), r):
        yield "the chroma plane lies before the luma plane"


def _sides(board: _Planes, reference: _Planes) -> Iterator[str]:
    """Rows of the wrong length: height and width exchanged, of the very picture or of the same one resized."""
    for x, r in ((board.luma, reference.luma), (board.chroma, reference.chroma)):
        if x is None or r is None:
            continue
        height, width = r.shape[:2]
        read = x.reshape(width, height, *x.shape[2:])
        if height != width and (_alike(read, r, x) or _alike(np.swapaxes(read, 0, 1), r, x)):
            yield f"height and width exchanged: rows of {height} were written where rows of {width} are read"
        return


def _alike(a: Array, r: Array, given: Array) -> bool:
    """Whether the pictures are one by eye, whatever their sides, and `given` is not."""
    return _resemblance(a, r) >= ALIKE > _resemblance(given, r)


def _resemblance(a: Array, b: Array) -> float:
    one, other = _thinned(a), _thinned(b)
    return float(np.corrcoef(one, other)[0, 1]) if one.std() and other.std() else 0.0


def _thinned(picture: Array) -> Array:
    rows, columns = (np.linspace(0, n - 1, GRID).round().astype(int) for n in picture.shape[:2])
    return np.asarray(picture[np.ix_(rows, columns)], np.float64).reshape(-1)


# ------------------------------------------------------------------------- mean and scale


def of_channels(e: Errors) -> Fingerprint | None:
    """Every channel of the board's input is that of the reference, times a factor, plus an offset; also of colours
    in another order."""
    if not e.context.is_input or not e.comparable or e.nonfinite_wrong:
        return None
    axis = axis_of_channels(e)
    if e.board.ndim == 4 and e.board.shape[3] in PICTURE and e.board.shape[1] not in PICTURE:
        axis = 3
    if axis is None or e.board.ndim < 3 or not 1 <= e.board.shape[axis] <= MOST_CHANNELS or e.count < 64:
        return None
    x, r = (
        np.asarray(np.moveaxis(side, axis, 0), np.float64).reshape(side.shape[axis], -1)
        for side in (e.board, e.reference)
    )
    orders = [("", list(range(len(x))))] + ([(REVERSED, [2, 1, 0])] if len(x) == 3 else [])
    for words, order in orders:
        lines = [line for c, source in enumerate(order) if (line := _line(x[c], r[source], e)) is not None]
        if len(lines) == len(order):
            return _of_lines(lines, words, LEAST_FIT * rms(x, r))
    return None


REVERSED = "channels reversed (RGB/BGR)"


def _of_lines(lines: Sequence[tuple[float, float]], words: str, least: float) -> Fingerprint | None:
    if all(abs(factor - 1) < SAME_FACTOR and abs(offset) <= least for factor, offset in lines):
        return Fingerprint("preprocessing", False, SENTENCE + words, words) if words else None
    laws = "; ".join(f"channel {c} x {factor:.4g} {offset:+.4g}" for c, (factor, offset) in enumerate(lines))
    return Fingerprint(
        "preprocessing", False, f"{SENTENCE}another mean or scale ({laws}){', ' if words else ''}{words}"
    )


def _line(x: Array, r: Array, e: Errors) -> tuple[float, float] | None:
    """(factor, offset) that leave next to nothing of the error, values at the ends left out; None for none."""
    inside = (x > x.min()) & (x < x.max())
    if np.count_nonzero(inside) < 32 or not np.ptp(r[inside]):
        return None
    a, b = x[inside], r[inside]
    factor, offset = np.polyfit(b, a, 1)
    left = rms(a, factor * b + offset)
    room = 1.0 if not e.is_float else 0.0
    return (float(factor), float(offset)) if left <= max(LEAST_FIT * float(a.std()), room) and factor else None

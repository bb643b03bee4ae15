"""Whether integers are off because unseen ops round elsewhere: held against the moves that such roundings make.

Size alone tells nothing: a chain of ops that round elsewhere moves nearly every integer by a step, and so does a real
fault. A runtime that leaves roundings out is nearer to what the ops give without any than the reference is, and goes
its way; an offset, a factor, a wrong channel or a wrong weight is farther from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.consistency.reading.tensor_files import Array

ALIKE = 0.3  # correlation of error and move: one rounding of seven that is left out gives 0.38
BY_CHANCE = 5.0  # of 1 / sqrt(elements): independent errors correlate less than once in a million
ROOM = 2.0  # of the move's signed mean, overall and in a channel
NOISE = 5.0  # standard errors
LEAST_ELEMENTS = 16  # of a channel: of fewer a mean tells nothing


def goes_along(board: Array, plain: Array, played: Array, channels: int | None) -> bool:
    """Whether the error board - plain is a part of the move played - plain.

    All of one shape, integers; `channels`: their axis, None where the layout tells none. The error must correlate with
    the move, leave the board no farther from `played` than `plain` is, and have a signed mean that the move has, too;
    the last two overall and in every channel.
    """
    error, move = (np.subtract(side, plain, dtype=np.float64) for side in (board, played))
    size = float(np.linalg.norm(error) * np.linalg.norm(move))
    least = max(ALIKE, BY_CHANCE / math.sqrt(max(1, error.size)))
    if size == 0 or float(np.vdot(error, move)) < least * size or _rms(error - move) > _rms(move):
        return False
    spread = float(move.std())
    if not _has_mean(error, move, spread):
        return False
    if channels is None or error.ndim < 2:
        return True
    each = zip(np.moveaxis(error, channels, 0), np.moveaxis(move, channels, 0), strict=True)
    return all(
        _has_mean(part, moved, spread) and _is_nearer(part, moved, spread)
        for part, moved in each
        if part.size >= LEAST_ELEMENTS
    )


def is_one_of(board: Array, played: Sequence[Array], channels: int | None) -> bool:
    """Whether the board, or each of its channels, is exactly one of the arrays: one tie of a scalar moves a channel."""
    if channels is None or board.ndim < 2:
        return any(np.array_equal(board, value) for value in played)
    axes = tuple(i for i in range(board.ndim) if i != channels)
    equal = np.stack([(board == value).all(axis=axes) for value in played])
    return bool(equal.any(axis=0).all())


def within_moves(board: Array, plain: Array, played: Sequence[Array], channels: int | None) -> bool:
    """Whether the error board - plain is no larger than the moves played - plain together, and has no mean that they
    do not have; overall and in every channel. Of ties any part may be moved, so that no direction is asked for.
    Arguments as in `goes_along`."""
    error, *moves = (np.subtract(side, plain, dtype=np.float64) for side in (board, *played))
    together: npt.NDArray[np.float64] = np.sqrt(sum(np.square(move) for move in moves))
    spread = _rms(together)
    if not spread or _rms(error) > spread:
        return False
    if channels is None or error.ndim < 2:
        return any(_has_mean(error, move, spread) for move in moves)
    each = zip(*(np.moveaxis(part, channels, 0) for part in (error, together, *moves)), strict=True)
    return all(
        any(_has_mean(part, move, spread) for move in own)
        and _rms(part) <= max(_rms(size), spread) * (1 + NOISE / math.sqrt(2 * part.size))
        for part, size, *own in each
        if part.size >= LEAST_ELEMENTS
    )


def _has_mean(error: npt.NDArray[np.float64], move: npt.NDArray[np.float64], spread: float) -> bool:
    return abs(float(error.mean())) <= ROOM * abs(float(move.mean())) + NOISE * spread / math.sqrt(error.size)


def _is_nearer(error: npt.NDArray[np.float64], move: npt.NDArray[np.float64], spread: float) -> bool:
    """In one channel, of which the size of all moves is known better than its own."""
    return _rms(error - move) <= max(_rms(move), spread) * (1 + NOISE / math.sqrt(2 * error.size))


def _rms(values: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0

"""Small pictures of a difference, for the report: plain lists of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.error_stats import differing
from harness.consistency.fingerprint.regions import labels_of
from harness.records import ErrorMap, TensorSpec

Array = npt.NDArray[Any]
MOST_CELLS = 64  # per side
LOOK = 1 << 26  # elements; a larger tensor is thinned along its longest axis


def error_map(board: Array, reference: Array, spec: TensorSpec | None = None) -> ErrorMap:
    """Share of differing elements by row and column, at most 64x64 cells.

    Rows and columns are the last two axes longer than one (H and W of NCHW and NHWC); a vector is folded.
    Arrays are logical and of one shape.
    """
    labels = labels_of(spec.layout if spec else "", board.ndim)
    board, reference = _thin(board, reference)
    wrong = differing(board, reference)
    grid, axes = _grid(wrong, labels)
    values = _binned(grid)
    rows, columns = grid.shape
    return ErrorMap(tuple(axes), rows, columns, tuple(tuple(round(float(share), 6) for share in row) for row in values))


def _thin(board: Array, reference: Array) -> tuple[Array, Array]:
    if board.size <= LOOK:
        return board, reference
    axis = int(np.argmax(board.shape))
    at = (slice(None),) * axis + (slice(None, None, -(-board.size // LOOK)),)
    return board[at], reference[at]


def _grid(wrong: Array, labels: tuple[str, ...]) -> tuple[npt.NDArray[np.float64], list[str]]:
    axes = picture_axes(wrong.shape, labels)
    if len(axes) < 2:
        side = max(1, int(np.sqrt(wrong.size)))
        flat = wrong.reshape(-1).astype(np.float64)
        rows = -(-len(flat) // side)
        padded = np.pad(flat, (0, rows * side - len(flat)))
        return padded.reshape(rows, side), ["element / row length", "element"]
    others = tuple(i for i in range(wrong.ndim) if i not in axes)
    return np.asarray(wrong.mean(axis=others, dtype=np.float64)), [labels[a] for a in axes]


def picture_axes(shape: tuple[int, ...], labels: tuple[str, ...]) -> list[int]:
    """The two axes that a picture of a tensor has: H and W, else the last two longer than one; fewer where it has."""
    plane = [labels.index(name) for name in "HW" if name in labels]
    if len(plane) == 2 and all(shape[axis] > 1 for axis in plane):
        return plane
    return [axis for axis, size in enumerate(shape) if size > 1][-2:]


def _binned(grid: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    for axis in (0, 1):
        size = grid.shape[axis]
        if size > MOST_CELLS:
            starts = np.arange(MOST_CELLS) * size // MOST_CELLS
            counts = np.diff(np.append(starts, size))
            shape = (-1, 1) if axis == 0 else (1, -1)
            grid = np.add.reduceat(grid, starts, axis=axis) / counts.reshape(shape)
    return grid

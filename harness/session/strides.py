"""Raw input files whose rows are padded to a stride, as cameras and image hardware hand them over.

The boards' tools take inputs without padding. Rows are cut where two things say so: their length is the row's, rounded
up to what hardware aligns to, and what lies behind each row is padding to the eye: one value or two, or the row's end
again. Of anything else (a wider picture has the same number of bytes) nobody can tell, and nothing is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from harness.records import InputFacts

ALIGNMENTS = (16, 32, 64, 128, 256)
MOST_VALUES = 2  # of padding: luma's, and chroma's

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PaddedRows:
    """`data` without padding; rows of `row_bytes` were `stride_bytes` long."""

    data: bytes
    rows: int
    row_bytes: int
    stride_bytes: int

    def words(self, tensor: str, name: str) -> str:
        """For the notes of a run."""
        cut = f"{self.stride_bytes} bytes, of which {self.row_bytes} are the input's"
        return f"input {tensor!r} is {name} without the padding of its {self.rows} rows ({cut})"


def without_padding(data: bytes, fact: InputFacts) -> PaddedRows | None:
    """The input's own bytes of a file whose rows are padded; None where it is not surely one."""
    for rows, row_bytes, stride_bytes in padded_forms(fact, len(data)):
        lines = np.frombuffer(data, np.uint8).reshape(rows, stride_bytes)
        aligned = any(stride_bytes == -(-row_bytes // step) * step for step in ALIGNMENTS)
        if aligned and _is_padding(lines[:, row_bytes:], lines[:, :row_bytes]):
            return PaddedRows(np.ascontiguousarray(lines[:, :row_bytes]).tobytes(), rows, row_bytes, stride_bytes)
    return None


def padded_forms(fact: InputFacts, size_bytes: int) -> Iterator[tuple[int, int, int]]:
    """(rows, bytes of a row, bytes that each would have) in which `size_bytes` may be the input with padded rows."""
    expected = fact.size_bytes or 0
    for shape in fact.shapes:
        for axes in range(len(shape) - 1, 0, -1):
            rows = prod(shape[:axes])
            if rows > 1 and min(shape) > 0 and not expected % rows and not size_bytes % rows and size_bytes > expected:
                yield rows, expected // rows, size_bytes // rows


def _is_padding(behind: Bytes, values: Bytes) -> bool:
    if len(np.unique(behind)) <= MOST_VALUES and (behind == behind[:, :1]).all():
        return True
    return any(_repeats(behind, values[:, -size:]) for size in (1, 2) if values.shape[1] >= size)


def _repeats(behind: Bytes, ends: Bytes) -> bool:
    count = -(-behind.shape[1] // ends.shape[1])
    return bool((np.tile(ends, (1, count))[:, : behind.shape[1]] == behind).all())


def hint_of(fact: InputFacts, size_bytes: int) -> str:
    """What to do where a file may be the input with padded rows, and only a person can tell; "" where it is not."""
    fits: Sequence[tuple[int, int, int]] = [
        form for form in padded_forms(fact, size_bytes) if form[2] - form[1] < ALIGNMENTS[-1]
    ]
    if not fits:
        return ""
    rows, row_bytes, stride_bytes = fits[0]
    cut = f"array.reshape({rows}, {stride_bytes})[:, :{row_bytes}]"
    return f"it has {rows} rows of {stride_bytes} bytes, padded to a stride; drop the padding: {cut}"

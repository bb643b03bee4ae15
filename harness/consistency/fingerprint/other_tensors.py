"""Dumps that hold another tensor's values, under noise; reading/size_mismatch.py finds those that are equal by bits."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.nearly import LEAST_VALUES, LEAST_WRONG, LEFT_OF_SAMPLE, Nearness, rms
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import Pair
from harness.consistency.reading.specs import open_array
from harness.records import Fingerprint
from harness.reference.open import Reference

Array = npt.NDArray[Any]
SAME_SCALE = 1e-5
SAMPLE = 64  # values of every tensor that are looked at first


class OtherTensors:
    """What the reference holds beside the tensor that a dump should be; every file is opened once for a sample."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference

    def holds(self, name: str, pair: Pair) -> Fingerprint | None:
        """The tensor that leaves next to nothing of the error of `name`'s pair; None for none."""
        board = pair.board
        if board.size < LEAST_WRONG or not np.isfinite(board).all() or not np.isfinite(pair.reference).all():
            return None
        near = Nearness(rms(board, pair.reference))
        sample = _sample(board)
        if not near.error or np.unique(sample).size < LEAST_VALUES:
            return None
        for other, held in self._samples.get(board.shape, {}).items():
            if other != name and rms(sample, held) <= LEFT_OF_SAMPLE * near.error and self._close(other, board, near):
                text = f"it holds the values of {other!r}, within noise"
                return Fingerprint("other_tensor", False, text, figures={"holds": other})
        return None

    def _close(self, name: str, board: Array, near: Nearness) -> bool:
        return near.close(board, self._open(name))

    def _open(self, name: str) -> Array:
        tensor = self.reference.tensors[name]
        assert tensor.spec is not None
        return open_array(tensor.path, tensor.spec)

    @cached_property
    def _samples(self) -> dict[tuple[int, ...], dict[str, Array]]:
        by_shape: dict[tuple[int, ...], dict[str, Array]] = defaultdict(dict)
        for name, tensor in self.reference.tensors.items():
            if tensor.spec is not None:
                with suppress(TensorError):
                    array = self._open(name)
                    by_shape[array.shape][name] = _sample(array)
        return by_shape


def with_owner_of_scale(mark: Fingerprint, reference: Reference) -> Fingerprint:
    """A wrong scale that is another tensor's is said to be that one's."""
    scale = mark.figures.get("scale") if mark.kind == "dequantization" else None
    if not isinstance(scale, float) or "instead of" not in mark.evidence:
        return mark
    owners = [
        name
        for name, tensor in reference.tensors.items()
        if tensor.spec is not None
        and tensor.spec.quantization is not None
        and any(abs(own / scale - 1) < SAME_SCALE for own in tensor.spec.quantization.scales)
    ]
    return replace(mark, evidence=f"{mark.evidence}, the scale of {owners[0]!r}") if owners else mark


def _sample(array: Array) -> Array:
    if not array.size:
        return np.zeros(0)
    at = np.linspace(0, array.size - 1, num=min(SAMPLE, array.size)).astype(np.int64)
    places = np.unravel_index(at, array.shape) if array.ndim else ()
    with np.errstate(invalid="ignore"):
        return np.asarray(array[places], np.float64)

"""What compiling gave, and how far it is from the float model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx

from harness.emulator.model.compiled import CompiledModel


@dataclass(frozen=True)
class Distance:
    """The columns of the toolchain's output table."""

    cosine: float
    l1: float
    l2: float
    chebyshev: float


@dataclass(frozen=True)
class Build:
    """What compiling gave: the model, its graphs by file name, the ONNX before and after quantizing."""

    model: CompiledModel
    files: dict[str, bytes]
    quantized: onnx.ModelProto
    calibration: str
    float_model: onnx.ModelProto | None = None  # None for a model that came quantized
    distances: Mapping[str, Distance] = field(default_factory=dict)  # per tensor, on the first calibration sample
    original: onnx.ModelProto | None = None  # the float model before anything was folded
    refused: tuple[str, ...] = ()  # types that were asked for and are not offered, a line each
    method: str = "max"  # by which the samples became ranges, in the words of the toolchain's log

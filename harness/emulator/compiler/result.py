"""What compiling gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx

from harness.emulator.compiler.accuracy import Distance
from harness.emulator.model.compiled import CompiledModel


@dataclass(frozen=True)
class Build:
    """What compiling gave: the model, its graphs by file name, the ONNX before and after quantizing."""

    model: CompiledModel
    files: dict[str, bytes]
    quantized: onnx.ModelProto
    calibration: str
    float_model: onnx.ModelProto | None = None  # None for a model that came quantized
    distances: Mapping[str, Distance] = field(default_factory=dict)  # per tensor, on the first calibration sample

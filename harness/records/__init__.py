"""The nouns. Frozen dataclasses, no I/O, no third-party library.

Units are in the names: `_us` microseconds, `_s` seconds, `_bytes` bytes, `_db` decibels. A share is 0..1.
`None` means "not known" or "does not apply"; it never stands for zero or for good.
"""

from __future__ import annotations

from harness.records.boards import (
    Board,
    Emulated,
    Limits,
)
from harness.records.comparison import (
    REASONS,
    ROLES,
    RUN_VERDICTS,
    VERDICTS,
    Comparison,
    Coverage,
    Fingerprint,
    Layer,
    Metrics,
    Origin,
    Verdict,
)
from harness.records.running import (
    Case,
    Failure,
    FileIdentity,
    Finding,
    Invocation,
    Job,
    Latency,
    ModelInfo,
    OpTime,
    Profile,
    ReferenceRuntime,
    Segment,
)
from harness.records.tensors import (
    Dump,
    Gap,
    Graph,
    Op,
    Quantization,
    TensorSpec,
)

__all__ = [
    "REASONS",
    "ROLES",
    "RUN_VERDICTS",
    "VERDICTS",
    "Board",
    "Case",
    "Comparison",
    "Coverage",
    "Dump",
    "Emulated",
    "Failure",
    "FileIdentity",
    "Finding",
    "Fingerprint",
    "Gap",
    "Graph",
    "Invocation",
    "Job",
    "Latency",
    "Layer",
    "Limits",
    "Metrics",
    "ModelInfo",
    "Op",
    "OpTime",
    "Origin",
    "Profile",
    "Quantization",
    "ReferenceRuntime",
    "Segment",
    "TensorSpec",
    "Verdict",
]

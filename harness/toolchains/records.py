"""What a PC toolchain left behind, as records. No I/O, no third-party library.

One `Artifact` per file. A part that the file does not hold is empty; a value that could not be read whole is
None and named in `problems`. Data types are in the words of `TensorSpec.dtype` (s8, s16, s32, f32).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records import Message


@dataclass(frozen=True)
class PlannedNode:
    """One row of a toolchain's node table: where the node is planned to run and how well it was calibrated."""

    name: str  # as printed; a table cuts names over 50 characters at the front ("...")
    unit: str  # "BPU", "CPU", "JIT", "" where this file does not tell
    kind: str  # op type as printed; it differs between versions (HzSQuantizedConv, Conv)
    subgraph: int | None = None  # index of the BPU segment
    input_dtype: str = ""
    output_dtypes: tuple[str, ...] = ()
    cosine: float | None = None  # calibrated against float, on calibration data; not the board
    quantized_cosine: float | None = None  # J6: float against quantized .bc, first sample only
    threshold: float | None = None  # first threshold of the first input
    thresholds: tuple[tuple[float, ...], ...] = ()  # per input; several values are per channel
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    fused: bool = False  # part of the node before it; no tensor of its own on the board

    @property
    def name_is_cut(self) -> bool:
        """Whether the tool printed only the end of the name."""
        return self.name.startswith("...")


@dataclass(frozen=True)
class OutputAccuracy:
    """Quantized against float model on the calibration data, one row per output."""

    name: str
    cosine: float | None
    l1: float | None = None
    l2: float | None = None
    chebyshev: float | None = None


@dataclass(frozen=True)
class SegmentEstimate:
    """The compiler's static estimate of one BPU segment. CPU ops are not in it."""

    subgraph: str
    fps: float | None
    latency_us: float | None
    ddr_bytes: int | None = None
    compile_s: float | None = None
    frames_per_run: int | None = None  # latency is per run; a batched model has several frames in one
    mac_shares: Mapping[str, float] = field(default_factory=dict)  # operand types -> share of multiply-accumulates
    memory_bytes: Mapping[str, int] = field(default_factory=dict)  # by what it holds


@dataclass(frozen=True)
class LayerCost:
    """One layer of a hb_perf / hbm_perf estimate. Layers overlap: the sum is not the latency."""

    name: str
    operations: int | None = None
    compute_us: float | None = None
    load_store_us: float | None = None
    total_us: float | None = None  # where the tool gives one time for both


@dataclass(frozen=True)
class Check:
    """One comparison that hb_verifier or hb_model_verifier made."""

    what: str  # "Quanti.onnx VS Arm", or the tensor's name
    passed: bool | None
    mismatched: int | None = None
    total: int | None = None
    max_abs_error: float | None = None
    max_relative_error: float | None = None


@dataclass(frozen=True)
class Similarity:
    """One row of a similarity, sensitivity or weight table. `metrics` are as printed, by normalized name."""

    name: str
    kind: str = ""
    tensor: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Artifact:
    """One file of a toolchain, read."""

    kind: str  # stable word: "hb_mapper_log", "quant_info", ...
    title: str  # for people
    versions: dict[str, str] = field(default_factory=dict)
    march: str = ""
    finished: bool | None = None  # the tool said that it succeeded (True), failed (False), or nothing (None)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)  # group -> key -> value, as the tool used
    inputs: tuple[dict[str, str], ...] = ()  # one block per input, in the order of the compiled model
    nodes: tuple[PlannedNode, ...] = ()
    outputs: tuple[OutputAccuracy, ...] = ()
    estimates: tuple[SegmentEstimate, ...] = ()
    layers: tuple[LayerCost, ...] = ()
    similarities: tuple[Similarity, ...] = ()
    checks: tuple[Check, ...] = ()
    messages: tuple[Message, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    problems: tuple[str, ...] = ()  # what could not be read, never guessed

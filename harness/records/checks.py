"""What a comparison checks besides its layers, and what a run checks of itself where it was compared with nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records.json_values import Json
from harness.records.slots import stored
from harness.records.tensors import Op


@dataclass(frozen=True)
class DebugVsRelease:
    """Whether two modes give the same outputs: dumping the layers may change what is computed."""

    same: bool | None = None  # None: there was nothing to hold side by side
    modes: tuple[str, ...] = ()
    differing: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # output -> mode -> hash
    unread: tuple[str, ...] = ()  # outputs that are not readable in every mode
    detail: str = ""
    within: bool | None = field(
        default=None, metadata=stored(optional=True)
    )  # of outputs that differ: both modes are within the policy


@dataclass(frozen=True)
class Instability:
    """A tensor that repeats do not agree in."""

    same: int = 0  # how often the commonest result came
    results: int = 0  # how many different ones there are
    outliers: tuple[int, ...] = ()  # numbers of the runs that gave another
    hashes: tuple[str, ...] = ()  # of each run


@dataclass(frozen=True)
class Determinism:
    """Whether repeats of one mode give the same tensors."""

    deterministic: bool | None = None  # None: fewer than two runs, or nothing that could be judged
    runs: int = 0
    judged: int = 0  # tensors
    first: str = ""  # that is not the same
    unstable: Mapping[str, Instability] = field(default_factory=dict)
    undecided: tuple[str, ...] = ()  # tensors that could not be judged
    undecided_before: int = 0  # `first`
    detail: str = ""
    order: str = field(default="", metadata=stored(optional=True))  # of the tensors: "network" or "files"


@dataclass(frozen=True)
class PropagationPoint:
    """One compared layer: its error in the run, and of its op alone."""

    index: int = -1
    name: str = ""
    relative_l2: float | None = None
    max_step: float | None = None
    mismatch_share: float | None = None
    single_max_step: float | None = None
    single_relative_l2: float | None = None
    role: str = ""


@dataclass(frozen=True)
class OutputEffect:
    """What is left of the difference at an output; the top-1 where it is a list of scores."""

    name: str
    relative_l2: float | None = None
    top1_board: int | None = field(default=None, metadata=stored(optional=True))
    top1_reference: int | None = field(default=None, metadata=stored(optional=True))
    top1_same: bool | None = field(default=None, metadata=stored(optional=True))


@dataclass(frozen=True)
class NoiseRow:
    """A layer's noise on the board over quantization's own; `reason` where there is none."""

    index: int
    name: str
    ratio: float | None = None
    word: str = field(default="not_compared", metadata=stored(damaged="not_compared"))
    reason: str = field(default="", metadata=stored(optional=True))
    board_noise: float | None = field(default=None, metadata=stored(optional=True))
    simulator_noise: float | None = field(default=None, metadata=stored(optional=True))


@dataclass(frozen=True)
class StageAlignment:
    """A stage and whether it got the first stage's input: `proven`, `different` or `unknown`."""

    name: str
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # input -> dtype -> md5
    alignment: str = field(default="unknown", metadata=stored(damaged="unknown"))


@dataclass(frozen=True)
class StageStep:
    """A stage held against the one before."""

    before: str = field(metadata=stored(key="from"))
    after: str = field(metadata=stored(key="to"))
    inputs: str = "unknown"
    word: str = "not_aligned"
    detail: str = ""
    first_difference: str = field(default="", metadata=stored(optional=True))


@dataclass(frozen=True)
class StageComparison:
    """Float, calibrated, quantized, compiled, board, side by side."""

    stages: tuple[StageAlignment, ...] = ()
    steps: tuple[StageStep, ...] = ()
    first: str = ""  # stage that departs
    table: tuple[Mapping[str, str], ...] = ()  # per tensor: "name", and stage -> verdict
    detail: str = ""


@dataclass(frozen=True)
class Vote:
    """Several boards with one model and one input."""

    agree: bool | None = None
    dissenting: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True)
class NetworkOps:
    """The ops of the graph that a comparison followed."""

    ops: tuple[Op, ...] = ()


@dataclass(frozen=True)
class OutputQuantization:
    """What quantization costs one output: float model against quantized model, both on this PC."""

    name: str
    sqnr_db: float | None = None  # infinite where both are equal
    channels: int = 0  # along the channel axis; 0 where they are not judged
    lost_channels: tuple[int, ...] = field(default=(), metadata=stored(optional=True))


@dataclass(frozen=True)
class QuantizationLoss:
    """The first op where quantization loses something. `kind`: "channels" (they keep less than a step of their own),
    "swallowed" (a few large values set the step), "saturated" (values beyond the calibrated range), "coarse" (all
    values within a few steps), "noise"."""

    kind: str
    op: str
    op_kind: str
    tensor: str
    detail: str
    is_harmful: bool = field(default=False, metadata=stored(damaged=False))  # an output suffers from it
    outputs: tuple[str, ...] = field(default=(), metadata=stored(optional=True))  # that do
    step: float | None = field(default=None, metadata=stored(optional=True))  # of the tensor's scale
    channels: int = field(default=0, metadata=stored(optional=True))
    lost_channels: tuple[int, ...] = field(default=(), metadata=stored(optional=True))
    constant: float | None = field(default=None, metadata=stored(optional=True))  # of a mask


@dataclass(frozen=True)
class QuantizationCheck:
    """What quantization itself does to the outputs, whatever the board computes."""

    outputs: tuple[OutputQuantization, ...] = ()
    losses: tuple[QuantizationLoss, ...] = ()
    detail: str = ""
    min_sqnr_db: float | None = field(default=None, metadata=stored(optional=True))  # that was asked for
    gate: str = field(default="", metadata=stored(optional=True))  # of it: "met", "missed" or "not_judged"


@dataclass(frozen=True)
class Checks:
    """Each part is there where it was asked. `other` is what this version does not know."""

    graph: NetworkOps | None = field(default=None, metadata=stored(optional=True))
    error_propagation: tuple[PropagationPoint, ...] = field(default=(), metadata=stored(optional=True))
    outputs: tuple[OutputEffect, ...] = field(default=(), metadata=stored(optional=True))
    three_way: tuple[NoiseRow, ...] | None = field(default=None, metadata=stored(optional=True))
    quantization: QuantizationCheck | None = field(default=None, metadata=stored(optional=True))
    debug_vs_release: DebugVsRelease | None = field(default=None, metadata=stored(optional=True))
    determinism: Mapping[str, Determinism] = field(
        default_factory=dict, metadata=stored(optional=True)
    )  # kind of mode -> its repeats
    stages: StageComparison | None = field(default=None, metadata=stored(optional=True))
    vote: Vote | None = field(default=None, metadata=stored(optional=True))
    other: Mapping[str, Json] = field(default_factory=dict, metadata=stored(rest=True))

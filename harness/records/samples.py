"""Many samples of one model in one session: what was asked, what came of each, and what they say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.records.slots import stored

STAGES = ("float", "quantized", "board")


@dataclass(frozen=True)
class SequencePlan:
    """SamplesOfRun that are windows of one sequence."""

    window: int = 0  # frames of a window; 0: the model has no axis of time
    stride: int = 1  # frames from the start of one window to that of the next
    fps: float | None = None  # frames per second of the sequence; None: frequencies are per frame
    max_jitter_percent: float | None = None  # of the motion, that quantization and board may add; None does not gate


@dataclass(frozen=True)
class SamplesPlan:
    """Where the samples lie: (tensor name or "", a folder with a file per sample, or one .npy of windows)."""

    sources: tuple[tuple[str, Path], ...]
    truth: str = ""  # a CSV of what is right for each sample; "": none
    sequence: SequencePlan | None = None
    keep_values: bool = field(default=False, metadata=stored(optional=True))  # the board's outputs, of every sample


@dataclass(frozen=True)
class Sample:
    """One sample. `verdict`: "exact", "within", "differs", "not_compared" of its worst output, or "failed".

    `quantization_*` is the reference against the float model, the other figures are the board against the reference.
    """

    stem: str
    verdict: str = field(metadata=stored(damaged="not_compared"))
    output: str = ""  # the worst one
    relative_l2: float | None = None
    one_minus_cosine: float | None = None
    max_step: float | None = None
    quantization_relative_l2: float | None = None
    quantization_one_minus_cosine: float | None = None
    tasks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # metric -> stage -> value
    outputs: Mapping[str, str] = field(default_factory=dict)  # output -> verdict
    tool_s: float | None = None  # from start to end of the board's tool
    failure: str = ""
    kept: str = ""  # the folder of its outputs in the run folder, where they differ


@dataclass(frozen=True)
class SampledOutput:
    """One output over all samples: how often it was what the reference says, and the worst sample."""

    name: str
    exact: int = 0
    within: int = 0
    differs: int = 0
    not_compared: int = 0


@dataclass(frozen=True)
class SampledLayer:
    """One layer over the samples that ran in debug mode."""

    name: str
    op: str = ""
    op_kind: str = ""
    samples: int = 0  # that were compared
    differs: int = 0
    worst: str = ""  # the sample
    worst_verdict: str = ""
    worst_relative_l2: float | None = None
    median_relative_l2: float | None = None
    least_relative_l2: float | None = None


@dataclass(frozen=True)
class TaskResult:
    """One metric of the task over all samples that have it; means by stage."""

    metric: str
    label: str = ""
    unit: str = ""  # "points" for a share in percent, else the truth's own
    higher_is_better: bool = True
    samples: int = 0
    means: Mapping[str, float] = field(default_factory=dict)  # by stage
    quantization_cost: float | None = None  # how much worse the quantized model is than the float model
    quantization_low: float | None = None  # of the cost's paired 95 % interval
    quantization_high: float | None = None
    board_cost: float | None = None  # how much worse the board is than the quantized model
    why_none: str = ""  # why no sample has it


@dataclass(frozen=True)
class SamplesOfRun:
    """All samples of a run."""

    total: int = 0
    samples: tuple[Sample, ...] = ()
    outputs: tuple[SampledOutput, ...] = ()
    layers: tuple[SampledLayer, ...] = ()
    debugged: tuple[str, ...] = ()  # samples whose layers were compared
    tasks: tuple[TaskResult, ...] = ()
    worst: str = ""
    first: str = ""
    worst_of_quantization: str = ""
    pushes: int = 0  # batches of inputs
    sent_bytes: int = 0  # over the link, for samples alone
    pulled_bytes: int = 0
    tool_s: float = 0.0  # all starts of the tool together
    session_s: float = 0.0  # from the first sample's preparation to the last one's judgement
    rss_mb: tuple[float, ...] = ()  # of this process, after each batch
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageJitter:
    """The jitter that one stage adds to what it is given, in the output's unit."""

    stage: str
    added_rms: float | None = None  # of its error's frame-to-frame difference; None: not measured
    added_max: float | None = None
    missing_frames: int = 0  # that the stage did not give
    nonfinite_frames: int = 0  # with NaN or infinity where the stage before is finite (of the first one: at all)
    share: float | None = None  # of the power of all stages together
    drift: float | None = None  # of its error: median of the last quarter less that of the first
    motion_rms: float | None = None  # of the stage's own frame-to-frame difference
    motion_max: float | None = None
    mpjpe: float | None = None  # against the truth
    one_minus_cosine: float | None = None  # largest of a single frame, against the stage before
    peak_hz: float | None = None  # where the spectrum of the error's difference is highest, per frame without `fps`
    spectrum: tuple[float, ...] = ()  # power of the error's difference by frequency, from 0 to half a cycle per frame
    by_frame: tuple[float, ...] = ()  # rms over values of the error's difference, per frame (thinned)
    histogram: tuple[int, ...] = ()  # of the error's differences, from -histogram_to to +histogram_to
    histogram_to: float = 0.0


@dataclass(frozen=True)
class JointJitter:
    """One joint (or value) of an output: rms of what each stage adds."""

    name: str
    added_rms: Mapping[str, float] = field(default_factory=dict)  # by stage
    added_max: Mapping[str, float] = field(default_factory=dict)
    trajectories: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # by stage, of one component (thinned)


@dataclass(frozen=True)
class OutputJitter:
    """One output of a sequence."""

    name: str
    frames: int = 0
    values: int = 0  # of a frame
    stages: tuple[StageJitter, ...] = ()
    joints: tuple[JointJitter, ...] = ()  # the worst first; those below the most shown are counted
    joints_total: int = 0
    source: str = ""  # the stage that adds most, "" where no stage adds what matters
    how_float: str = ""  # how the float model's own jitter was found


@dataclass(frozen=True)
class Jitter:
    """A sequence through float, quantized and board."""

    outputs: tuple[OutputJitter, ...] = ()
    windows: int = 0
    window: int = 0
    stride: int = 1
    fps: float | None = None
    unit: str = ""
    source: str = ""  # of the output with most jitter: "float", "quantized", "board", "" for none
    hidden: bool = False  # every single frame's cosine is above 0.999 though a stage adds jitter
    sentence: str = ""
    notes: tuple[str, ...] = ()

"""What is run on a board, and what it tells: jobs, model facts, times, findings."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.records.json_values import Json
from harness.records.samples import SamplesPlan
from harness.records.slots import stored
from harness.records.tensors import TensorSpec
from harness.records.workload import SoakPlan, SweepPlan, Workload


@dataclass(frozen=True)
class ReferenceRuntime:
    """Where a reference is computed that onnxruntime of this process cannot compute: an interpreter or an image."""

    python: str = ""  # an interpreter on this PC, its path or its name on PATH
    image: str = ""  # a container image on this PC
    entrypoint: str = "python3"  # the interpreter inside of the image
    engine: str = ""  # "docker" or "podman"; "" takes the first that is installed
    names: tuple[str, ...] = ()  # runtimes to try, in order; empty: as the model needs
    timeout_s: float = 3600.0


@dataclass(frozen=True)
class Case:
    """What to run and what to expect of it."""

    name: str
    model: Path
    inputs: tuple[tuple[str, Path], ...] = ()  # (tensor name or "", file); empty: seeded noise, and said so
    reference: str = ""  # a folder, an .npz or an ONNX on this PC; "" compares nothing
    reference_runtime: ReferenceRuntime | None = None  # what runs an ONNX as reference; None: onnxruntime, in here
    modes: tuple[str, ...] = ()  # empty: all that the platform has
    model_name: str = ""
    core: int | str = 0
    threads: int = 1
    frames: int = 200
    time_s: float = 0.0
    repeat: int = 1
    rounds: int = 1  # separate profile runs
    pause_s: float = field(default=0.0, metadata=stored(optional=True))  # before each of them but the first
    start_c: float | None = field(default=None, metadata=stored(optional=True))  # none begins on a hotter board
    cool_s: float = field(default=300.0, metadata=stored(optional=True))  # it is waited for, so long
    pull: str = "differing"  # which dumps come over the link: "differing", "all" or "none"
    policy: str = ""  # a policy file; "" is the built-in default
    min_coverage: float | None = None  # percent of the layers that must be compared; None: as the policy says
    hypotheses: bool = field(default=True, metadata=stored(optional=True))  # run variants of ops that are wrong alone
    mapping: str = ""  # a file of names: board tensor -> reference tensor
    graph: str = ""  # an ONNX that tells the graph and where values lie in dumps; "": the reference's own
    floats: str = ""  # the float model: a folder, an .npz or an ONNX; how much of the noise is quantization's own
    stages: tuple[tuple[str, Path], ...] = field(
        default=(), metadata=stored(optional=True)
    )  # of the toolchain beside `floats`, in order
    automatic: Mapping[str, str] = field(
        default_factory=dict, metadata=stored(optional=True)
    )  # of reference and stages those that lay beside the model, and what they belong together by
    left_out: Mapping[str, str] = field(default_factory=dict, metadata=stored(optional=True))  # stage -> why
    min_quantization_sqnr_db: float | None = field(default=None, metadata=stored(optional=True))  # None does not gate
    previous: str = ""  # the run.json of an earlier run, or a folder whose newest like run is the baseline
    max_slower_percent: float | None = None  # than the earlier run; None does not gate
    build: tuple[Path, ...] = ()  # what the toolchain left: logs, node tables; empty: looked for beside the model
    options: Mapping[str, Json] = field(default_factory=dict)  # the platform's own
    timeout_s: float = 600.0
    wait_s: float = 0.0  # how long to wait for a board that somebody else has
    beside: str = field(default="", metadata=stored(optional=True))  # a command that runs on the board meanwhile
    soak: SoakPlan | None = field(default=None, metadata=stored(optional=True))  # run the modes for so long
    sweep: SweepPlan | None = field(default=None, metadata=stored(optional=True))  # profile these settings, one by one
    samples: SamplesPlan | None = field(default=None, metadata=stored(optional=True))  # run release for each of them

    @property
    def workload(self) -> Workload:
        """For a platform's tool."""
        return Workload(self.model_name, self.core, self.threads, self.frames, self.time_s, self.options)


@dataclass(frozen=True)
class FileIdentity:
    """A file or folder on this PC that a run is about, as it was at one moment."""

    role: str  # "model", "input", "reference", ...
    path: str  # absolute
    files: dict[
        str, tuple[int, str]
    ]  # (bytes, md5) by name inside a folder; a file is named "". Empty: it is not there

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(size for size, _ in self.files.values())

    @property
    def md5(self) -> str:
        """Of a file that stands alone; else of the list of all names, sizes and md5s."""
        if list(self.files) == [""]:
            return self.files[""][1]
        lines = "".join(f"{name}\0{size}\0{md5}\n" for name, (size, md5) in sorted(self.files.items()))
        return hashlib.md5(lines.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Job:
    """One mode of one run, in paths of the board. The platform turns it into an Invocation."""

    mode: str  # "info", "release", "debug", "profile", "nmem"
    model: str
    folder: str  # working folder on the board; everything the mode leaves goes here
    inputs: tuple[str, ...] = ()  # in the model's input order
    model_name: str = ""
    core: int | str = 0
    threads: int = 1
    frames: int = 200
    time_s: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)  # the platform's own, and nothing else
    work: str = ""  # the board's work folder
    support: tuple[str, ...] = ()  # where `Platform.files` and `Platform.beside` lie on the board, in their order
    support_names: tuple[str, ...] = ()  # per such file, as it is called on this PC
    input_names: tuple[str, ...] = ()  # per input, as the user's file is called
    input_tensors: tuple[str, ...] = ()  # per input, as the model calls it
    is_trial: bool = False  # asked before anything is pushed: what is not known yet gets a stand-in


@dataclass(frozen=True)
class Invocation:
    """What to start on the board, and how to know that it worked."""

    argv: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    expected: tuple[str, ...] = ()  # glob patterns in the folder; each must match, or the mode failed
    keep: tuple[str, ...] = ("*",)  # glob patterns of what is pulled


@dataclass(frozen=True)
class Failure:
    """Why a mode gave no result, as a plain sentence, with the vendor's own words as evidence."""

    kind: str  # "missing_tool", "missing_model", "wrong_march", "memory", "timeout", "crash", "garbage", ...
    message: str
    hint: str = ""
    evidence: str = ""  # the line of the vendor's text


@dataclass(frozen=True)
class ModelInfo:
    """What the board's own tool says of a model."""

    name: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    input_sources: tuple[str, ...] = ()  # per input: "pyramid", "ddr", "resizer", "" when unknown
    input_types: tuple[str, ...] = ()  # per input: the vendor's word, "NV12", "RGB", "F32", ... "" when unknown
    models_in_file: tuple[str, ...] = ()
    load_us: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)  # runtime, hbrt, builder, platform, ...
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()  # what could not be read, never guessed


@dataclass(frozen=True)
class InputFacts:
    """What a board's tool takes for one input of a model."""

    name: str
    size_bytes: int | None  # of the raw file; None where it is not fixed
    dtype: str = ""  # of its elements, as in TensorSpec; "" where nothing tells
    describe: str = ""  # for people: kind, sizes, where it comes from
    shapes: tuple[tuple[int, ...], ...] = ()  # of arrays that hold it; -1 is open
    convert: str = ""  # options of `harness convert` that make it of a picture; "" where it cannot
    encoded_suffixes: tuple[str, ...] = ()  # of files that the tool decodes itself
    raw_modes: tuple[str, ...] = ()  # modes that decode none


@dataclass(frozen=True)
class OpTime:
    """Time of one op, node or subgraph as the board's profiler names it."""

    name: str
    kind: str  # "subgraph" for a BPU segment, else the op type
    unit: str  # "BPU", "CPU", "NNA", provider name, ...
    category: str  # "compute", "quantize", "dequantize", "layout", "pre", "wait"
    mean_us: float
    min_us: float | None = None
    max_us: float | None = None
    count: int | None = None
    estimated: bool = field(
        default=False, metadata=stored(damaged=True)
    )  # True where no clock measured it (emulated accelerator time)
    figures: Mapping[str, float] = field(default_factory=dict)  # gops, bytes, ... where the tool tells
    index: int | None = None  # place in the execution order, where the profiler itself tells it


@dataclass(frozen=True)
class Latency:
    """End to end, as the board's tool reports it."""

    mean_us: float
    min_us: float | None = None
    max_us: float | None = None
    fps: float | None = None
    frames: int | None = None
    threads: int | None = None
    core: str = ""
    total_us: float | None = None  # wall time of the whole loop
    samples_us: tuple[float, ...] = ()  # per frame, where the tool gives them
    rounds_us: tuple[float, ...] = field(
        default=(), metadata=stored(optional=True)
    )  # usual latency of each separate profile run, of several
    warmup_excluded: bool | None = None
    problems: tuple[str, ...] = ()  # what could not be read, or contradicts itself
    notes: tuple[str, ...] = ()  # what the figure is, where it is not what it seems


@dataclass(frozen=True)
class Distribution:
    """The usual latency with its 95 % interval, and what the frames tell. `basis`: "frames", "rounds", or "bounds"
    (the tool prints least, mean and most only). How each is found: profiling/distribution.py."""

    basis: str
    count: int  # of the basis
    median_us: float
    low_us: float
    high_us: float
    percentiles_us: Mapping[str, float] = field(default_factory=dict)  # "90" from 10 frames on, "99" from 100
    frames: int = 0  # warm-up left out
    outliers: int = 0  # frames that took half as long again as the median, beyond the spread of the others
    outliers_from_us: float | None = None
    outliers_to_us: float | None = None
    outliers_add_us: float = 0.0  # to the mean
    first_us: float | None = None
    warmup: int = 0  # slow frames at the front
    drift: float | None = None  # median of the last quarter over that of the first, minus 1


@dataclass(frozen=True)
class Band:
    """Between which times an estimated latency lies, by the errors of estimates of networks like it."""

    low_us: float
    high_us: float
    share: float  # of like networks that lay inside
    of: str  # which networks, or what else the band is of


@dataclass(frozen=True)
class ErrorFactors:
    """Factors on an estimated time between which the real one lies, as a Band tells it of one time."""

    low: float
    high: float
    share: float
    of: str

    def around(self, low_us: float, high_us: float) -> Band:
        """The band of what is estimated to lie between two times."""
        return Band(self.low * low_us, self.high * high_us, self.share, self.of)


@dataclass(frozen=True)
class Segment:
    """A stretch of consecutive ops on one unit."""

    unit: str
    name: str
    ops: tuple[str, ...]
    time_us: float


@dataclass(frozen=True)
class Profile:
    """Where the time goes. `unattributed_us` is end to end minus the sum of ops, negative when they overlap."""

    latency: Latency = field(metadata=stored(damaged=Latency(math.nan)))
    ops: tuple[OpTime, ...]
    split_us: Mapping[str, float]  # unit -> compute time; plus "quantize", "layout", "other", "outliers"
    segments: tuple[Segment, ...]
    unattributed_us: float
    order_known: bool = True  # False: the profiler sorts by name, so segments come from the graph or not at all
    estimated: bool = field(default=False, metadata=stored(damaged=True))
    source: str = ""
    notes: tuple[str, ...] = ()
    distribution: Distribution | None = field(default=None, metadata=stored(optional=True))
    simulator: str = field(default="", metadata=stored(optional=True))  # of the vendor, that the estimates are from
    band: Band | None = field(default=None, metadata=stored(optional=True))  # of the latency, where it is estimated
    off_error: ErrorFactors | None = field(
        default=None, metadata=stored(optional=True)
    )  # of estimated times of ops off the accelerator


@dataclass(frozen=True)
class Finding:
    """Something to do, with its evidence. `rule` is stable and documented."""

    rule: str  # "C-107"
    severity: str  # "error", "warning", "note"
    title: str
    evidence: str
    advice: str
    subject: str = ""  # op, tensor, file
    source: str = field(default="", metadata=stored(optional=True))  # what the rule is read from


@dataclass(frozen=True)
class Rule:
    """What a finding of this rule always says. `title` and `advice` may be filled by the check."""

    id: str
    severity: str  # "error", "warning", "note"
    title: str
    advice: str
    when: str = ""  # the condition that raises it
    source: str = ""  # what that is read from: files of the run, a document of the vendor


@dataclass(frozen=True)
class CheckStep:
    """One step: what is looked at, whether this run did it, what it showed, and the command that does it."""

    name: str
    state: str  # "done", "not_applicable", "to_do"
    detail: str = ""  # what it showed, or why it does not apply
    command: str = ""  # of a step that is to be done
    symptom: str = ""  # "A" to "D": what the step is about; "" for all

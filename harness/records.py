"""The nouns. Frozen dataclasses, no I/O, no third-party library.

Units are in the names: `_us` microseconds, `_s` seconds, `_bytes` bytes, `_db` decibels. A share is 0..1.
`None` means "not known" or "does not apply"; it never stands for zero or for good.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# --------------------------------------------------------------------------- boards


@dataclass(frozen=True)
class Limits:
    """What one run may take of a board; the agent enforces the time, the host the sizes."""

    timeout_s: float = 600.0
    connect_timeout_s: float = 10.0
    max_files: int = 200_000
    max_bytes: int = 64 * 2**30
    cache_bytes: int = 2 * 2**30


@dataclass(frozen=True)
class Emulated:
    """What plays this board: absent (`Board.emulated is None`) on real hardware."""

    soc: str
    server: str = ""  # "" (local), "openssh" or "dropbear"


@dataclass(frozen=True)
class Board:
    """A thing in the lab, from hosts.yaml or built in."""

    name: str
    platform: str  # "hbdnn", "ucp", "magik", "ort"
    soc: str  # "x5", "j6e", "t41", ...
    transport: str = "ssh"  # "ssh", "openssh" or "local"
    address: str = ""
    port: int = 22
    user: str = ""
    identity: str = ""  # private key file on this PC
    known_hosts: str = ""  # file that holds this board's host key; "" is harness's own
    jump: str = ""  # user@host:port of a jump host
    work: str = "harness-work"  # folder on the board; relative to the login's home
    tools: tuple[str, ...] = ()  # folders put before PATH on the board
    libraries: tuple[str, ...] = ()  # folders put before LD_LIBRARY_PATH on the board
    environment: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    setup: tuple[tuple[str, ...], ...] = ()  # argv lists run on the board before a run
    teardown: tuple[tuple[str, ...], ...] = ()
    shared_folder: tuple[str, str] = ("", "")  # (path on this PC, same folder on the board), NFS-like
    power: dict[str, tuple[str, ...]] = field(default_factory=dict)  # "cycle", "on", "off": argv on this PC
    limits: Limits = field(default_factory=Limits)
    emulated: Emulated | None = None
    options: dict[str, Any] = field(default_factory=dict)  # the platform's own keys, checked by it


# --------------------------------------------------------------------------- tensors


@dataclass(frozen=True)
class Quantization:
    """Affine: real = (stored - zero_point) * scale. One scale, or one per index of `axis`."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...] = (0,)
    axis: int | None = None  # in the axis order of TensorSpec.shape; None is per tensor


@dataclass(frozen=True)
class TensorSpec:
    """How bytes in a file become a logical tensor.

    `shape` is the valid shape in the stored axis order; `layout` labels those axes ("NHWC", "NCHW",
    "NC1HWC2", "NDHWC32", "NV12", "" when unknown). Padding is told by `aligned_shape` (dense, larger) or
    `stride_bytes` (per axis); both empty means dense and unpadded.
    """

    name: str
    dtype: str  # s4 u4 s8 u8 s16 u16 s32 u32 s64 u64 f16 f32 f64 bool8
    shape: tuple[int, ...]
    layout: str = ""
    aligned_shape: tuple[int, ...] = ()
    stride_bytes: tuple[int, ...] = ()
    aligned_bytes: int | None = None  # as the vendor's tool states it
    quantization: Quantization | None = None
    nibble_order: str = "low_first"  # or "high_first"; only for s4 and u4


@dataclass(frozen=True)
class Dump:
    """One tensor file that a board or a PC tool left, under the name that its platform reads from it.

    `spec` is None where the file alone does not tell; then the reference's spec and the platform's
    storage rules (`Platform.storages`) decide, held against the file's size.
    """

    name: str
    path: Path
    spec: TensorSpec | None = None
    op: str = ""
    op_kind: str = ""
    role: str = "output"  # "input" or "output"
    index: int = -1  # execution order where known
    aliases: tuple[str, ...] = ()  # other names of the same tensor by the platform's rule
    unit: str = ""  # "BPU", "CPU" where known


@dataclass(frozen=True)
class Op:
    """One node of a network as the comparison sees it: a QDQ sandwich or a fusion is one op."""

    name: str
    kind: str  # ONNX op type of the node that does the work: "Conv", "Softmax"
    inputs: tuple[str, ...]  # tensors that carry data between ops; constants are left out
    outputs: tuple[str, ...]
    covers: tuple[str, ...] = ()  # names of the ONNX nodes in it


@dataclass(frozen=True)
class Graph:
    """Ops in topological order. `source` says where it was read from."""

    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    source: str = ""


# --------------------------------------------------------------------------- comparison

VERDICTS = ("exact", "within", "differs", "not_compared")
REASONS = (
    "no_reference",
    "no_dump",
    "shape_differs",
    "dtype_differs",
    "truncated",
    "empty",
    "ambiguous",
    "unreadable",
)
ROLES = ("", "origin", "propagated", "suspect", "cleared")
RUN_VERDICTS = (
    "consistent",
    "consistent_within",
    "consistent_accumulated",
    "diverges",
    "not_deterministic",
    "not_comparable",
    "board_fault",
    "not_compared",  # the user gave no reference: measured, nothing judged
    "not_measured",  # a mode failed, or the link: nothing can be said
)


@dataclass(frozen=True)
class Metrics:
    """Pointwise figures of one pair (board against reference). Definitions: docs/metrics.md.

    Steps are quantization steps and only exist for integers on one scale; relative figures are None where
    the reference is all zero or the figure is undefined. NaN never hides in a number: `nan_*` count it.
    """

    elements: int
    mismatched: int
    max_step: float | None = None
    mean_step: float | None = None  # signed, board minus reference
    histogram: tuple[tuple[int, int], ...] = ()  # (step, count), ascending, only where steps exist
    relative_l2: float | None = None
    sqnr_db: float | None = None  # None also for an exact pair: infinite
    max_abs: float | None = None
    max_abs_over_range: float | None = None
    one_minus_cosine: float | None = None
    max_ulp: int | None = None
    nan_board: int = 0
    nan_reference: int = 0
    inf_board: int = 0
    inf_reference: int = 0
    nonfinite_agree: bool = True  # same positions, same signs
    saturated_share_board: float | None = None
    saturated_share_reference: float | None = None
    zero_share_board: float | None = None
    zero_share_reference: float | None = None
    special: str = ""  # "all_zero", "constant", "tiny", "empty": explicit treatment, see docs/metrics.md

    @property
    def mismatch_share(self) -> float:
        return self.mismatched / self.elements if self.elements else 0.0


@dataclass(frozen=True)
class Fingerprint:
    """What kind of fault, with the evidence. `certain` only where the evidence admits nothing else."""

    kind: str  # see consistency/kinds.py
    certain: bool
    evidence: str
    transform: str = ""  # what makes the pair equal, where something does
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Layer:
    """One row of the comparison: a tensor of the reference, of the board, or of both."""

    index: int
    name: str
    op: str
    op_kind: str
    verdict: str
    reason: str = ""  # of not_compared: one of REASONS; otherwise the policy line that decided
    note: str = ""  # a sentence for people, "" when there is nothing to add
    match: str = ""  # exact, rule, suffix, mapping; "" when there is no partner
    role: str = ""
    unit: str = ""
    dtype: str = ""
    shape: tuple[int, ...] = ()
    size_bytes: int = 0  # of the valid region
    file_md5_board: str = ""
    file_md5_reference: str = ""
    valid_md5_board: str = ""
    valid_md5_reference: str = ""
    metrics: Metrics | None = None
    single: Metrics | None = None  # isolated error: this op alone, fed with the board's own inputs
    fingerprint: Fingerprint | None = None
    board_file: str = ""
    is_output: bool = False


@dataclass(frozen=True)
class Origin:
    """Where a difference is born: one op, or an interval when tensors in between were not compared."""

    op: str
    op_kind: str
    tensor: str
    first: str = ""  # of an interval: last good tensor before it
    unseen: tuple[str, ...] = ()  # ops of the interval that were not compared
    certain: bool = True  # False for a suspect that could not be isolated
    how: str = "graph"  # "graph", "sequence" (file order, no graph known), "isolated"
    fingerprint: Fingerprint | None = None


@dataclass(frozen=True)
class Coverage:
    """The headline: how much was compared at all."""

    layers_compared: int
    layers_total: int
    bytes_compared: int
    bytes_total: int


@dataclass(frozen=True)
class Verdict:
    """The word on a run or a comparison. `exit_code` as in errors.py."""

    word: str
    detail: str
    exit_code: int


@dataclass(frozen=True)
class Comparison:
    """Board against reference, whole. Rows in execution order."""

    verdict: Verdict
    coverage: Coverage
    layers: tuple[Layer, ...]
    origins: tuple[Origin, ...] = ()
    first_difference: str = ""  # tensor name in execution order
    reference: dict[str, Any] = field(default_factory=dict)  # kind, source, provenance
    policy: str = ""  # name of the policy that judged
    graph_source: str = ""  # "" means sequence mode
    notes: tuple[str, ...] = ()
    pictures: dict[str, Any] = field(default_factory=dict)  # error map and histogram of origins, small
    extras: dict[str, Any] = field(default_factory=dict)  # ladder, three-way, observer, determinism


# --------------------------------------------------------------------------- running


@dataclass(frozen=True)
class Case:
    """What to run and what to expect of it."""

    name: str
    model: Path
    inputs: tuple[tuple[str, Path], ...] = ()  # (tensor name or "", file); empty: seeded noise, and said so
    reference: str = ""  # a folder, an .npz or an ONNX on this PC; "" compares nothing
    modes: tuple[str, ...] = ()  # empty: all that the platform has
    model_name: str = ""
    core: int | str = 0
    threads: int = 1
    frames: int = 200
    time_s: float = 0.0
    repeat: int = 1
    pull: str = "differing"  # which dumps come over the link: "differing", "all" or "none"
    policy: str = ""  # a policy file; "" is the built-in default
    mapping: str = ""  # a file of names: board tensor -> reference tensor
    options: dict[str, Any] = field(default_factory=dict)  # the platform's own
    timeout_s: float = 600.0


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
    options: dict[str, Any] = field(default_factory=dict)


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
    input_sources: tuple[str, ...] = ()  # per input: "pyramid", "ddr", "resizer", "" when not told
    input_types: tuple[str, ...] = ()  # per input: the vendor's word, "NV12", "RGB", "F32", ... "" when not told
    models_in_file: tuple[str, ...] = ()
    load_us: float | None = None
    versions: dict[str, str] = field(default_factory=dict)  # runtime, hbrt, builder, platform, ...
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()  # what could not be read, never guessed


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
    estimated: bool = False  # True where no clock measured it (emulated accelerator time)
    figures: dict[str, float] = field(default_factory=dict)  # gops, bytes, ... where the tool tells
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
    warmup_excluded: bool | None = None
    problems: tuple[str, ...] = ()


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

    latency: Latency
    ops: tuple[OpTime, ...]
    split_us: dict[str, float]  # unit -> compute time; plus "quantize", "layout", "other"
    segments: tuple[Segment, ...]
    unattributed_us: float
    order_known: bool = True  # False: the profiler sorts by name, so segments come from the graph or not at all
    estimated: bool = False
    source: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Something to do, with its evidence. `rule` is stable and documented."""

    rule: str  # "C-107"
    severity: str  # "error", "warning", "note"
    title: str
    evidence: str
    advice: str
    subject: str = ""  # op, tensor, file

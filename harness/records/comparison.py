"""What a comparison says: figures, verdicts, roles, origins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records.checks import Checks
from harness.records.json_values import Json
from harness.records.slots import stored

VERDICTS = ("exact", "within", "differs", "not_compared")
REASONS = (
    "no_reference",
    "no_dump",
    "missing",  # no dump either, and there is evidence that there must have been one (consistency/reading/missing.py)
    "shape_differs",
    "dtype_differs",
    "truncated",
    "other_tensor",  # the file of another tensor: its size is that one's, and so are its values
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
    "incomplete",  # what was compared is good, but files that belong to it are lost or damaged
    "board_fault",
    "slower",  # good, but slower than an earlier run by more than the user allows
    "not_compared",  # the user gave no reference: measured, nothing judged
    "swept",  # settings of a sweep were measured, and nothing was wanted of them
    "goal_met",  # one of them has the latency and rate that were wanted
    "goal_missed",  # all of them were measured, and none has
    "steady",  # of a soak: no output changed, no turn failed, no drift beyond what is allowed
    "unsteady",
    "smooth",  # of a sequence: no stage adds jitter worth a name
    "jitter_located",  # the float model or quantization adds it, and no limit was given
    "jitters",  # the board adds it, or more than the limit was added
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
    named: Mapping[str, float] = field(default_factory=dict, metadata=stored(optional=True))  # that the policy asks for

    @property
    def mismatch_share(self) -> float:
        """Of all elements, 0..1."""
        return self.mismatched / self.elements if self.elements else 0.0


@dataclass(frozen=True)
class Fingerprint:
    """What kind of fault, with the evidence. `certain` only where the evidence admits nothing else."""

    kind: str  # see consistency/fingerprint/kinds.py
    certain: bool
    evidence: str
    transform: str = ""  # what makes the pair equal, where something does
    figures: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Layer:
    """One row of the comparison: a tensor of the reference, of the board, or of both."""

    index: int = field(metadata=stored(damaged=-1))
    name: str
    op: str
    op_kind: str
    verdict: str = field(metadata=stored(damaged="not_compared"))
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
    hashed: str = ""  # "valid" or "file": equal by the md5 that the board made of that; its bytes were not pulled
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
class ComparedReference:
    """What was compared with: kind, where it was read from, and what it says of how it was made."""

    kind: str = ""
    source: str = ""
    provenance: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """How the board's files were read: one way for all, the one that brings most layers near the reference."""

    name: str = ""
    platform: str = ""  # whose names and ways of storing; "" for none
    layers: int = 0  # whose values were looked at
    near: int = 0  # of these: near the reference, or equal
    equal: int = 0
    runner_up: str = ""  # the next best; "" if no other way is possible
    runner_up_near: int = 0
    alone: bool = False  # no other way was tried, as where the platform is given

    @property
    def sentence(self) -> str:
        """What was chosen, by what, and what came next; "" if it is not known."""
        agrees = f": {self.near} of {self.layers} sampled layers are near the reference" if self.layers else ""
        other = "no other reading was tried" if self.alone else "no other reading fits"
        other = f"next: {self.runner_up} ({self.runner_up_near})" if self.runner_up else other
        return f"dumps read as {self.name}{agrees}; {other}" if self.name else ""


@dataclass(frozen=True)
class ErrorMap:
    """Share of differing elements by row and column of a tensor, at most 64 x 64 cells."""

    axes: tuple[str, ...] = ()  # of the rows and of the columns
    rows: int | None = None  # of the tensor
    columns: int | None = None
    values: tuple[tuple[float, ...], ...] = ()  # by row


@dataclass(frozen=True)
class SignedMap:
    """The plane of a tensor that holds most of what is wrong, at most 32 x 32 cells: the mean of each side, and of
    board minus PC what is farthest from 0. None: NaN or infinite. `unit`: "steps" of stored integers, or "value"."""

    where: str = ""  # "C 43"; "" where the tensor is that plane
    axes: tuple[str, ...] = ()  # of the rows and of the columns
    rows: int | None = None  # of the tensor
    columns: int | None = None
    unit: str = ""
    low: float | None = None  # of the reference, all of it
    high: float | None = None
    reference: tuple[tuple[float | None, ...], ...] = ()  # by row
    board: tuple[tuple[float | None, ...], ...] = ()
    difference: tuple[tuple[float | None, ...], ...] = ()


@dataclass(frozen=True)
class WorstSlice:
    """One index of an axis: elements that differ, of how many, and the largest difference (None: not finite)."""

    index: int
    mismatched: int
    elements: int
    max_abs: float | None = None


@dataclass(frozen=True)
class AxisProfile:
    """An axis of a tensor: share of differing elements along it, at most 64 figures, and its worst slices."""

    axis: str
    length: int
    shares: tuple[float, ...] = ()
    worst: tuple[WorstSlice, ...] = ()


@dataclass(frozen=True)
class WorstElement:
    """An element that is farthest off: as stored, and as the real numbers that integers stand for."""

    at: tuple[int, ...]
    board: float
    reference: float
    board_value: float | None = None
    reference_value: float | None = None


@dataclass(frozen=True)
class OpSide:
    """A fact of an op, as the PC's model and as the board's files tell it; "" where one does not."""

    name: str
    reference: str = ""
    board: str = ""


@dataclass(frozen=True)
class Picture:
    """What is drawn of an origin."""

    map: ErrorMap | None = None
    near: SignedMap | None = field(default=None, metadata=stored(optional=True))
    axes: tuple[AxisProfile, ...] = field(default=(), metadata=stored(optional=True))
    worst: tuple[WorstElement, ...] = field(default=(), metadata=stored(optional=True))
    sides: tuple[OpSide, ...] = field(default=(), metadata=stored(optional=True))


UNKNOWN = Verdict("not_measured", "run.json is damaged where it holds the verdict", exit_code=3)
NOTHING_SEEN = Coverage(0, 0, 0, 0)


@dataclass(frozen=True)
class Comparison:
    """Board against reference, whole. Rows in execution order."""

    verdict: Verdict = field(metadata=stored(damaged=UNKNOWN))
    coverage: Coverage = field(metadata=stored(damaged=NOTHING_SEEN))
    layers: tuple[Layer, ...]
    origins: tuple[Origin, ...] = ()
    first_difference: str = ""  # tensor name in execution order
    reference: ComparedReference = field(default_factory=ComparedReference)
    policy: str = ""  # name of the policy that judged
    graph_source: str = ""  # "" means sequence mode
    reading: Reading = field(default_factory=Reading)
    notes: tuple[str, ...] = ()
    pictures: Mapping[str, Picture] = field(default_factory=dict)  # of origins, by tensor
    extras: Checks = field(default_factory=Checks)  # besides the layers

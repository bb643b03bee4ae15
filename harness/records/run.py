"""A whole run, as `run.json` holds it: what was asked, where it ran, what it left, what was found.

One version for all of it: `Run.format`. Keys are the names of the fields; the places where they are not say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records.checks import Checks
from harness.records.comparison import Comparison, Verdict
from harness.records.earlier import Earlier
from harness.records.json_values import Json
from harness.records.plan import Plan
from harness.records.running import CheckStep, Failure, Finding, ModelInfo, Profile
from harness.records.samples import Jitter, SamplesOfRun
from harness.records.segmentation import Segmentation
from harness.records.series import Soak, Sweep
from harness.records.slots import stored
from harness.records.telemetry import FrameTimeline, Telemetry
from harness.records.tensors import Graph

FORMAT = 2
TAKEN = "beside the model, "  # before the note on what a run took from there
LEFT_OUT = "left out: stage "  # before every note on a stage of the build that a run did without
DAMAGED = Failure("damaged", "run.json is damaged where it says whether this mode failed", "run the case again")


@dataclass(frozen=True)
class NamedFile:
    """A file of this PC, by content."""

    name: str
    size_bytes: int = field(metadata=stored(key="bytes", damaged=0))
    md5: str = ""
    sha256: str = field(default="", metadata=stored(optional=True))


@dataclass(frozen=True)
class TypedCommand:
    """What was typed: `line` begins the same run again from `folder`."""

    argv: tuple[str, ...] = ()
    line: str = ""
    folder: str = ""


@dataclass(frozen=True)
class FileOfRun:
    """A file or folder of this PC that a run is about, as it was when the run began."""

    role: str  # "model", "input", "reference", ...
    name: str
    size_bytes: int = field(metadata=stored(key="bytes", damaged=0))
    md5: str
    files: int | None = field(default=None, metadata=stored(optional=True))  # in a folder
    sha256: str = field(default="", metadata=stored(optional=True))  # of one that stands alone


@dataclass(frozen=True)
class FedInput:
    """What one input of the model was fed. `name` is the user's file, `file` its copy in the run folder."""

    tensor: str
    generated: bool = False  # seeded noise, because no file was given
    name: str = ""
    size_bytes: int | None = field(default=None, metadata=stored(key="bytes"))
    md5: str = ""
    file: str = ""
    sha256: str = field(default="", metadata=stored(optional=True))


@dataclass(frozen=True)
class ReferenceOfCase:
    """Which reference a run was compared with."""

    name: str = ""
    kind: str = ""
    inputs: Mapping[str, str] | None = field(
        default=None, metadata=stored(optional=True)
    )  # of a vendor's folder: file -> md5
    md5: str = field(default="", metadata=stored(optional=True))
    source_md5: str = field(default="", metadata=stored(optional=True))
    provenance: Mapping[str, Json] = field(default_factory=dict, metadata=stored(optional=True))


@dataclass(frozen=True)
class CaseOfRun:
    """What was run, and how. Files are named, not where they lay."""

    name: str = ""
    model: NamedFile | None = None
    files: tuple[FileOfRun, ...] = field(default=(), metadata=stored(optional=True))
    inputs: tuple[FedInput, ...] = ()
    reference: ReferenceOfCase | None = None
    floats: str = field(default="", metadata=stored(key="float"))
    stages: Mapping[str, str] = field(default_factory=dict, metadata=stored(optional=True))  # more of the build: files
    policy: str = "default"
    options: Mapping[str, Json] = field(default_factory=dict)
    model_name: str = ""
    core: int | str = 0
    threads: int = 1
    frames: int | None = None
    time_s: float | None = None
    repeat: int = 1
    rounds: int = field(default=1, metadata=stored(optional=True))
    beside: str = field(default="", metadata=stored(optional=True))  # a command that ran on the board meanwhile


@dataclass(frozen=True)
class BoardOfRun:
    """Where it ran. `facts` are what the board said of itself."""

    name: str = ""
    platform: str = ""
    soc: str = ""
    transport: str = ""
    address: str = ""
    user: str = ""
    jump: str = ""
    emulated: bool = field(default=False, metadata=stored(damaged=True))
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Host:
    """This PC. `name`, `user`, `home` and `cache` are never shown in a report."""

    name: str = ""
    user: str = ""
    home: str = ""
    cache: str = ""
    os: str = ""
    python: str = ""
    machine: str = ""
    harness: str = ""
    cpu: str = field(default="", metadata=stored(optional=True))
    cpu_flags: tuple[str, ...] = field(default=(), metadata=stored(optional=True))


@dataclass(frozen=True)
class PushedFile:
    """A file that the board was given; `sent_bytes` crossed the link, 0 where it had the content already."""

    name: str
    size_bytes: int = field(default=0, metadata=stored(key="bytes"))
    md5: str = ""
    sent_bytes: int | None = None


@dataclass(frozen=True)
class Rehashed:
    """The board's copies that were hashed once more because a result was in doubt."""

    files: int = 0
    size_bytes: int = field(default=0, metadata=stored(key="bytes"))
    damaged: tuple[str, ...] = ()  # names of those that were sent again


@dataclass(frozen=True)
class LeftFile:
    """A file that a mode left. `obtained`: "pulled", "reused" (equal to the PC's by size and md5), "verified_on_board"
    (padded; its valid bytes are equal by the board's md5), or "" (not pulled); None: an older run does not tell."""

    name: str
    size_bytes: int = field(default=0, metadata=stored(key="bytes"))
    md5: str = ""
    file: str = ""  # in the mode's folder
    obtained: str | None = field(default=None, metadata=stored(optional=True))
    valid_md5: str = field(default="", metadata=stored(optional=True))  # of one that is "verified_on_board"
    sha256: str = field(default="", metadata=stored(optional=True))  # of one whose bytes lie here


@dataclass(frozen=True)
class ModeOfRun:
    """One command that ran on the board, and what it left."""

    mode: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    duration_s: float | None = None
    timed_out: bool = False
    folder: str = ""
    files: tuple[LeftFile, ...] = ()
    failure: Failure | None = field(default=None, metadata=stored(damaged=DAMAGED))
    notes: tuple[str, ...] = field(default=(), metadata=stored(optional=True))
    at_s: float | None = field(default=None, metadata=stored(optional=True))  # when it began, of a soak


@dataclass(frozen=True)
class WaiverOfRun:
    """A waiver of the policy: its words and bounds, whether it has ended, how many layers it is about."""

    reason: str
    until: str
    op: str = ""
    tensor: str = ""
    max_step: float | None = None
    mismatch_share: float | None = None
    relative_l2: float | None = None
    ended: bool = False
    layers: int | None = None


@dataclass(frozen=True)
class PolicyOfRun:
    """The policy that judged, with all its waivers: also those that no layer needed, or that have ended."""

    name: str = ""
    source: str = ""
    waivers: tuple[WaiverOfRun, ...] = ()


@dataclass(frozen=True)
class Run:
    """What `run.json` holds. None and empty parts: the run did not come so far, or was not asked for them."""

    format: int = FORMAT
    harness_version: str = ""
    command: TypedCommand | None = field(default=None, metadata=stored(optional=True))
    id: str = ""  # case/board/utc
    state: str = ""  # "running", "complete", "failed", "interrupted"
    stopped_at: str = ""
    started_utc: str = ""
    finished_utc: str = ""
    duration_s: float | None = None
    case: CaseOfRun = field(default_factory=CaseOfRun)
    board: BoardOfRun = field(default_factory=BoardOfRun)
    host: Host = field(default_factory=Host)
    versions: Mapping[str, str] = field(default_factory=dict)  # of the board's runtime and the model's builder
    pushed: tuple[PushedFile, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)  # step -> seconds
    modes: tuple[ModeOfRun, ...] = ()
    model_info: ModelInfo | None = None
    profile: Profile | None = None
    comparison: Comparison | None = None
    graph: Graph | None = field(default=None, metadata=stored(optional=True))
    telemetry: Telemetry = field(default_factory=Telemetry)
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    verdict: Verdict | None = None
    rehashed: Rehashed | None = field(default=None, metadata=stored(optional=True))
    resumed: int = field(default=0, metadata=stored(optional=True))  # how often
    checks: Checks = field(default_factory=Checks)  # of the board against itself, where there was no comparison
    policy: PolicyOfRun | None = None
    plan: Plan | None = None
    memory: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # mode -> figure -> bytes
    previous: Earlier | None = field(default=None, metadata=stored(optional=True))
    gate: str = field(
        default="", metadata=stored(optional=True)
    )  # of --previous: "no_baseline"; with --max-slower: "not_slower", "slower", "undecided", "not_comparable"
    segmentation: Segmentation | None = field(default=None, metadata=stored(optional=True))
    soak: Soak | None = field(default=None, metadata=stored(optional=True))
    steps: tuple[CheckStep, ...] = field(default=(), metadata=stored(optional=True))  # of looking into a wrong result
    sweep: Sweep | None = field(default=None, metadata=stored(optional=True))
    samples: SamplesOfRun | None = field(default=None, metadata=stored(optional=True))
    jitter: Jitter | None = field(default=None, metadata=stored(optional=True))
    timeline: FrameTimeline | None = field(default=None, metadata=stored(optional=True))
    unknown: tuple[str, ...] = field(
        default=(), metadata=stored(kept=False)
    )  # keys of the file that this version does not know
    damage: tuple[str, ...] = field(
        default=(), metadata=stored(kept=False)
    )  # what could not be read of the file, each with its place

    def mode(self, name: str) -> ModeOfRun | None:
        """The mode of that name, where it ran."""
        return next((mode for mode in self.modes if mode.mode == name), None)

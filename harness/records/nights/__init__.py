"""A night, as `night.json` holds it: what was to run where, what came of it, what that says of models and boards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records.checks import Vote
from harness.records.slots import stored

NIGHT_FORMAT = 1
CELL_WORDS = ("pass", "differs", "slower", "faster", "new", "unmeasured")
# Why a cell is unmeasured.
CELL_REASONS = (
    *("link", "leased", "board", "tool", "host", "input", "incomplete", "not_compared", "bug"),
    *("throttled", "drift", "hot", "budget", "stopped", "bad", "maintenance"),
)


@dataclass(frozen=True)
class SittingRecord:
    """Tonight's model measured in turns with the last good one, A-B-B-A: median ratio in percent, and its p."""

    artefact: str  # md5 of the last good model
    pairs: int = 0
    percent: float | None = None
    p: float | None = None
    problem: str = ""  # why it gave nothing
    can_find_pct: float | None = field(
        default=None, metadata=stored(optional=True)
    )  # a smaller change is not confirmed
    figure: str = field(default="", metadata=stored(optional=True))  # of its blocks: "median" or "quiet frames"


@dataclass(frozen=True)
class LayerSince:
    """The first layer of a bad pair that changed, and the first night on which it was as it is now."""

    layer: str
    night: str
    layers: int = 1  # that changed with it
    changed: tuple[str, ...] = ()  # what else did: model, builder, runtime


@dataclass(frozen=True)
class CellLatency:
    """The usual latency of one pair this night, and the level that it is held against: the median of `nights` earlier
    ones of the same epoch. `percent` is the change."""

    median_us: float
    low_us: float | None = None
    high_us: float | None = None
    estimated: bool = field(default=False, metadata=stored(damaged=True))
    level_us: float | None = None
    percent: float | None = None
    nights: int = 0
    sentence: str = ""
    alarm: str = field(default="", metadata=stored(optional=True))  # one of harness.regressions.judge.ALARMS
    can_find_pct: float | None = field(
        default=None, metadata=stored(optional=True)
    )  # a smaller change is not seen tonight
    since: str = field(default="", metadata=stored(optional=True))  # of "known": the night that confirmed it
    sitting: SittingRecord | None = field(default=None, metadata=stored(optional=True))


@dataclass(frozen=True)
class Cell:
    """One case on one board. `word` is one of CELL_WORDS, "" while `state` is "waiting" or "running"."""

    case: str
    board: str
    state: str = "waiting"  # "waiting", "running", "ended"
    word: str = ""
    reason: str = ""  # of "unmeasured": one of CELL_REASONS
    detail: str = ""
    consistency: str = ""  # the run's own word; "" where there is no run
    run: str = ""  # its folder, below the night's
    started_utc: str = ""
    ended_utc: str = ""
    began_s: float | None = None  # since the night began
    duration_s: float | None = None
    tool_s: float | None = None  # of that: the board's tools
    tries: int = 0  # of the way to the board, beyond the first
    model_md5: str = ""
    epoch: str = ""  # what has to stay the same for two latencies to be of one series
    latency: CellLatency | None = None
    outputs: Mapping[str, str] = field(default_factory=dict, metadata=stored(optional=True))  # name -> md5
    blamed: str = ""  # "board": an incident explains it, so it is no ticket
    changed: LayerSince | None = field(default=None, metadata=stored(optional=True))  # of "differs"


@dataclass(frozen=True)
class BoardOfNight:
    """A board, and how it was before and after."""

    name: str
    platform: str = ""
    soc: str = ""
    emulated: bool = field(default=False, metadata=stored(damaged=True))
    before: str = ""
    after: str = ""
    remark: str = ""
    checks: int = 0  # health checks of this night


@dataclass(frozen=True)
class Incident:
    """Something about a board, and no ticket about a model. `kind`: "vote", "alarms", "health", "slower"."""

    board: str
    kind: str
    detail: str
    cases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ticket:
    """A case that is bad, whatever board it runs on: one for all its boards."""

    case: str
    word: str  # "differs" or "slower"
    boards: tuple[str, ...]
    detail: str
    everywhere: bool = False  # on all boards that measured it
    fingerprint: str = field(default="", metadata=stored(optional=True))  # of the finding: what known issues match
    known: str = field(default="", metadata=stored(optional=True))  # the open issue that it is, without those ended
    until: str = field(default="", metadata=stored(optional=True))
    worse: str = field(default="", metadata=stored(optional=True))  # than the issue says: then it is red all the same


@dataclass(frozen=True)
class CaseVote:
    """The boards that ran one model of one case, held against each other."""

    case: str
    model_md5: str
    boards: tuple[str, ...]
    vote: Vote


@dataclass(frozen=True)
class UnfitBoard:
    """A board that its tags chose for a case, and that cannot run it."""

    case: str
    board: str
    reason: str


@dataclass(frozen=True)
class Night:
    """The whole night."""

    format: int = NIGHT_FORMAT
    harness_version: str = ""
    id: str = ""  # suite/utc
    suite: str = ""
    state: str = ""  # "running", "complete", "interrupted"
    started_utc: str = ""
    finished_utc: str = ""
    duration_s: float | None = None
    resumed: int = 0
    cells: tuple[Cell, ...] = ()
    boards: tuple[BoardOfNight, ...] = ()
    left_out: tuple[UnfitBoard, ...] = ()
    tickets: tuple[Ticket, ...] = ()
    incidents: tuple[Incident, ...] = ()
    votes: tuple[CaseVote, ...] = ()
    problems: tuple[str, ...] = ()
    sentence: str = ""
    exit_code: int | None = None

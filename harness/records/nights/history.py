"""What the history keeps of one result, a pair of a night or a run of its own. Run folders are the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class HistoryEntry:
    """One result. `word`: of a night's pair one of CELL_WORDS, of a run of its own the run's verdict.

    `layers` names the set of layer hashes that the run left ("" of none); two results with one name have the same
    layers, hash by hash. `fed` is the md5 of all inputs: hashes of other inputs say nothing about each other.
    """

    case: str
    board: str
    started_utc: str
    folder: str = ""  # of the run, below `source`
    source: str = ""  # the folder that was read
    night: str = ""  # suite/utc; "" of a run of its own
    soc: str = ""
    word: str = ""
    reason: str = ""
    detail: str = ""
    consistency: str = ""
    model_md5: str = ""
    epoch: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)  # image, kernel, runtime, governors, builder, ...
    median_us: float | None = None
    low_us: float | None = None
    high_us: float | None = None
    estimated: bool = False
    level_us: float | None = None
    percent: float | None = None
    alarm: str = ""
    sitting_percent: float | None = None
    sitting_p: float | None = None
    layers: str = ""
    fed: str = ""


@dataclass(frozen=True)
class PairSummary:
    """All results of one pair of case and board, in one line."""

    case: str
    board: str
    results: int
    first_utc: str
    last_utc: str
    last_word: str
    last_median_us: float | None = None


@dataclass(frozen=True)
class EpochOfPair:
    """A stretch of nights under the same conditions. `changed`: what is another thing than in the epoch before."""

    epoch: str
    first_utc: str
    last_utc: str
    results: int
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerTurn:
    """A layer whose hash became another one: last result with the old, first with the new, what else changed."""

    layer: str
    before: str
    after: str
    verdict: str
    last: HistoryEntry
    first: HistoryEntry
    changed: tuple[str, ...] = ()
    layers_changed: int = 1  # of that result, all of them


@dataclass(frozen=True)
class AcceptedLevel:
    """A change of a pair's latency that a person took as its new level, from `night` on.

    `through` is the newest night that there was then: what comes after it is judged as ever.
    """

    case: str
    board: str
    night: str  # suite/utc
    through: str
    reason: str
    by: str = ""
    at_utc: str = ""

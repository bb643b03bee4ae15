"""One job of a farm: what a worker needs to run one case on its board, as JSON crosses the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import HostError
from harness.farm.case_files import moved_case
from harness.nightly.pairing import CasePair
from harness.nightly.suite import NightLimitsFile
from harness.records import Board, Case, FileIdentity
from harness.records.codec import from_json, to_json
from harness.records.nights import Cell

CASE, CHECK = "case", "check"  # kinds of jobs


@dataclass(frozen=True)
class JobLimits:
    """What a suite says of time and tries, for one job. Seconds; `night_s` is what is left of the night."""

    budget_s: float
    night_s: float
    wait_s: float
    retries: int
    retry_pause_s: float
    power_cycle: bool = True
    max_us: float | None = None  # of a health check


@dataclass(frozen=True)
class FarmJob:
    """One attempt of one case, or of a health check, on one board. Paths are of the PC that submitted it."""

    night: str
    run_key: str
    attempt: int
    kind: str
    board: str
    platform: str
    soc: str
    farm_id: str  # of the database that the result is awaited in
    version: str  # of harness
    limits: JobLimits
    cell: Cell
    case: Case | None = None  # None: a health check that only looks at the board
    files: tuple[FileIdentity, ...] = field(default=())
    folder: str = "runs"  # of its runs, below the night's

    @property
    def place(self) -> tuple[str, int]:
        """Which row of the database it is."""
        return self.run_key, self.attempt

    def pair(self, board: Board, mirror: Path) -> CasePair:
        """The case on the worker's own board, its files below `mirror`."""
        assert self.case is not None
        return CasePair(moved_case(self.case, self.files, mirror), board, self.limits.budget_s, is_pinned=False)

    def night_limits(self) -> NightLimitsFile:
        """As the cells of a night take them."""
        limits = self.limits
        return NightLimitsFile(wait_s=limits.wait_s, retries=limits.retries, retry_pause_s=limits.retry_pause_s)


def written(job: FarmJob) -> Mapping[str, object]:
    """As it is sent."""
    return dict(to_json(job))


def read_job(value: object) -> FarmJob:
    """As it came. Errors: HostError for what is no job of this version."""
    read = from_json(FarmJob, value)
    if read is None or read.damage:
        why = read.damage[0] if read else "it is not readable"
        raise HostError(f"a job that this worker cannot read: {why}", "use one version of harness on all PCs of a farm")
    return read.value

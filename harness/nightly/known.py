"""Known issues: what a ticket already says does not turn a night red, until its end date, and unless it is worse."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from pydantic import Field, ValidationError

from harness.config import StrictFile, load_file
from harness.errors import ConfigError, HarnessError
from harness.records.nights import Cell, Ticket

COMMAND_LIMIT_S = 60.0
MOST_BYTES = 2**20  # of what a command prints
WORSE_PERCENT = 1.0  # beyond what the issue says


class IssueFile(StrictFile):
    """One known issue. `fingerprint` is that of the ticket, as night.json and the page show it."""

    ticket: str
    fingerprint: str
    until: date
    percent: float | None = Field(default=None, allow_inf_nan=False)
    layers: int | None = Field(default=None, ge=0)
    boards: list[str] = Field(default_factory=list)


class KnownIssuesFile(StrictFile):
    """The whole file, or all that the command prints, as JSON."""

    issues: list[IssueFile] = Field(default_factory=list)


@dataclass(frozen=True)
class KnownIssue:
    """A ticket that is open until a day (YYYY-MM-DD), and how bad it was when it was filed."""

    ticket: str
    fingerprint: str
    until: str
    percent: float | None = None
    layers: int | None = None
    boards: tuple[str, ...] = ()


def fingerprint_of(suite: str, word: str, cells: Sequence[Cell]) -> str:
    """What stays the same while a finding does: suite, case, word, and for values the first layer that changed."""
    layers = sorted({cell.changed.layer for cell in cells if cell.changed is not None})
    text = "\0".join((suite, cells[0].case, word, *(layers[:1] if word == "differs" else ())))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def with_known(ticket: Ticket, cells: Sequence[Cell], issues: Sequence[KnownIssue], today: str) -> Ticket:
    """The ticket with the issue that it is, if one is open today, and in what it is worse than that says."""
    issue = next((one for one in issues if one.fingerprint == ticket.fingerprint and one.until >= today), None)
    if issue is None:
        return ticket
    own = [cell for cell in cells if cell.case == ticket.case and cell.board in ticket.boards]
    return replace(ticket, known=issue.ticket, until=issue.until, worse="; ".join(_worse(ticket, own, issue)))


def _worse(ticket: Ticket, cells: Sequence[Cell], issue: KnownIssue) -> list[str]:
    reasons = []
    percents = [cell.latency.percent for cell in cells if cell.latency and cell.latency.percent is not None]
    if issue.percent is not None and percents and max(percents) > issue.percent + WORSE_PERCENT:
        reasons.append(f"{max(percents):+.1f} %, known are {issue.percent:+.1f} %")
    layers = max((cell.changed.layers for cell in cells if cell.changed), default=0)
    if issue.layers is not None and layers > issue.layers:
        reasons.append(f"{layers} layers, known are {issue.layers}")
    more = [board for board in ticket.boards if issue.boards and board not in issue.boards]
    return [*reasons, *([f"also on {', '.join(more)}"] if more else [])]


def known_issues(source: str | Sequence[str], folder: Path) -> tuple[list[KnownIssue], str]:
    """The issues of a file (relative to `folder`) or of a command's output, and why they are not known.

    A night does not end for them: without issues everything is a new ticket.
    """
    if not source:
        return [], ""
    try:
        text = source if isinstance(source, str) else ""
        written = load_file(folder / text, KnownIssuesFile) if text else _printed(list(source), folder)
    except (HarnessError, OSError, subprocess.SubprocessError) as error:
        return [], f"known issues: {error}"
    return [
        KnownIssue(one.ticket, one.fingerprint, one.until.isoformat(), one.percent, one.layers, tuple(one.boards))
        for one in written.issues
    ], ""


def _printed(argv: Sequence[str], folder: Path) -> KnownIssuesFile:
    """Errors: ConfigError, OSError, SubprocessError."""
    ended = subprocess.run(list(argv), cwd=folder, capture_output=True, timeout=COMMAND_LIMIT_S, check=False)
    if ended.returncode != 0 or len(ended.stdout) > MOST_BYTES:
        raise ConfigError(f"{argv[0]}: exit code {ended.returncode}, {len(ended.stdout)} bytes")
    try:
        return KnownIssuesFile.model_validate_json(ended.stdout)
    except ValidationError as error:
        raise ConfigError(f"{argv[0]}: {' '.join(str(error).split())[:300]}") from error

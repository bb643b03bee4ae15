"""Records of D-Robotics' X5 run contract: environment, artifacts, verification and receipt.

Their JSON schemas (2020-12) are in D-Robotics/oe-skills-x5, x5/schemas. Only what the run did is written: harness looks
for no toolchain on the PC, so `toolchain` is empty, and no skill of the vendor's ran. Passed is a run with a good
verdict, every layer compared, no damage, on a real board; an emulated board's run never is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import COULD_NOT_MEASURE, GOOD, InputError
from harness.files.digests import sums_of_file
from harness.files.passwords import values_without_passwords
from harness.platforms.horizon.options import chip_named
from harness.records import Run
from harness.report.private import without_private
from harness.report.values import Row

CHIP = "x5"
SCHEMA = "1.0"
SKILL = "x5-harness-run"  # the contract wants a name of this form; no skill of the vendor's is meant
FACTS = ("arch", "kernel", "libc", "os", "cpu", "memory_bytes")  # of the board; no names of hosts and users
MOST_EVIDENCE = 400  # characters


@dataclass(frozen=True)
class RunArtifact:
    """A file of the run; sha256 is "" where its bytes do not lie here, or are not those of the run any more."""

    path: str  # in the run folder, or the name of a file outside of it
    kind: str
    sha256: str = ""


@dataclass(frozen=True)
class Condition:
    """One condition of a passed run, with what was seen."""

    name: str
    passed: bool
    evidence: str


def records(run: Run, folder: Path) -> Mapping[str, str]:
    """The four records by file name. Errors: InputError for a run that is not of an X5, not over, or has no times."""
    _refuse(run)
    files, checks = tuple(_artifacts(run, folder)), _checks(run)
    limits = tuple(_limitations(run, files))
    made = {
        "environment.json": _environment(run, limits),
        "artifacts.json": _manifest(run, files),
        "verification.json": _verification(run, checks),
        "receipt.json": _receipt(run, files, checks, limits),
    }
    return {name: _text(record, run) for name, record in made.items()}


def _text(record: Row, run: Run) -> str:
    plain = values_without_passwords(without_private(record, run))
    return json.dumps(plain, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _refuse(run: Run) -> None:
    chip = chip_named(run.board.soc)
    if chip is None or chip.name != CHIP:
        what = run.board.soc or "of no known chip"
        raise InputError(f"the run's board is {what}; x5-records are for X5 boards", "harness export --forms")
    if run.state == "running":
        raise InputError("the run is not over", "wait for its end, or go on with harness run --resume")
    if not _ended(run):
        raise InputError("the run states no time", "its run.json is damaged: run the case again")


def _ended(run: Run) -> str:
    return run.finished_utc or run.started_utc


# --------------------------------------------------------------------------- what passed


def _checks(run: Run) -> tuple[Condition, ...]:
    """Every condition; a run passed when all of them did."""
    verdict, modes = run.verdict, run.modes
    failed = [f"{mode.mode}: {mode.failure.message}" for mode in modes if mode.failure is not None]
    all_compared, compared = _compared(run)
    word = f"{verdict.word}: {verdict.detail}" if verdict is not None else "no verdict"
    damage = "; ".join(run.damage)
    state = f"state {run.state or 'unknown'} {run.stopped_at}".strip()
    return (
        Condition("the run is complete", run.state == "complete", state),
        Condition("every mode worked", bool(modes) and not failed, "; ".join(failed) or f"{len(modes)} modes ran"),
        Condition("every layer was compared", all_compared, compared),
        Condition("the verdict is good", verdict is not None and verdict.exit_code == GOOD, word),
        Condition("the board is real", not run.board.emulated, "emulated" if run.board.emulated else run.board.name),
        Condition("run.json is whole", not damage, damage or "read without a problem"),
    )


def _compared(run: Run) -> tuple[bool, str]:
    if run.comparison is None:
        return False, "nothing was compared: the run had no reference"
    seen, skipped = run.comparison.coverage, _skipped(run)
    every = 0 < seen.layers_total == seen.layers_compared and not skipped
    return every, f"{seen.layers_compared} of {seen.layers_total} layers"


def _skipped(run: Run) -> int:
    return sum(layer.verdict == "not_compared" for layer in run.comparison.layers) if run.comparison else 0


def _passed(checks: Sequence[Condition]) -> bool:
    return all(check.passed for check in checks)


def _evidence(checks: Sequence[Condition]) -> str:
    """What a reader of the receipt needs: the conditions that failed, else the verdict."""
    shown = [check for check in checks if not check.passed] or [check for check in checks if "verdict" in check.name]
    return "; ".join(f"{check.name}: {check.evidence}" for check in shown)[:MOST_EVIDENCE]


def _status(run: Run, checks: Sequence[Condition]) -> str:
    """The contract's word. A run that could not be measured is blocked; one that was stopped is cancelled."""
    if _passed(checks):
        return "succeeded"
    if run.state == "interrupted":
        return "cancelled"
    nothing = run.verdict is None or run.verdict.exit_code == COULD_NOT_MEASURE
    return "blocked" if nothing and not run.board.emulated else "failed"


def _limitations(run: Run, files: Sequence[RunArtifact]) -> Iterator[str]:
    if run.board.emulated:
        yield "the board is emulated by harness: nothing of this was measured on an X5"
    if run.comparison is None:
        yield "no reference was given: no layer was compared"
    elif left := max(run.comparison.coverage.layers_total - run.comparison.coverage.layers_compared, _skipped(run)):
        yield f"{left} of {run.comparison.coverage.layers_total} layers were not compared"
    waived = [one for one in (run.policy.waivers if run.policy else ()) if one.layers]
    if waived:
        yield f"{len(waived)} waivers of the policy were used: {'; '.join(one.reason for one in waived)}"
    unhashed = sum(not one.sha256 for one in files)
    if unhashed:
        yield f"{unhashed} files have no sha256: they stayed on the board, or the run is of an older harness"
    yield "harness does not look for the toolchain on the PC: the environment's toolchain is empty"


# --------------------------------------------------------------------------- files


def _artifacts(run: Run, folder: Path) -> Iterator[RunArtifact]:
    """The run's record, the model and its companions, what was fed, what each mode left."""
    yield _in_folder(folder, "run.json", "run-record")
    for one in run.case.files:
        if one.files is None and one.role != "input":
            yield RunArtifact(one.name, one.role.replace(" ", "-"), one.sha256)
    if run.case.model is not None and not any(one.role == "model" for one in run.case.files):
        yield RunArtifact(run.case.model.name, "model", run.case.model.sha256)
    for fed in run.case.inputs:
        yield _in_folder(folder, fed.file, "input", fed.sha256, fed.md5) if fed.file else RunArtifact(fed.name, "input")
    for mode in run.modes:
        for left in mode.files:
            kind = "log" if left.name == "log.txt" else f"board-{mode.mode}"
            whole = bool(left.file) and left.obtained != "verified_on_board"  # those lie here without their padding
            name = f"{mode.folder or mode.mode}/{left.file or left.name}"
            yield _in_folder(folder, name, kind, left.sha256, left.md5) if whole else RunArtifact(name, kind)


def _in_folder(folder: Path, name: str, kind: str, sha256: str = "", md5: str = "") -> RunArtifact:
    """A file of the run folder; one of an older run is hashed now, if it still has the md5 that the run states."""
    path = folder / name
    if sha256 or ".." in Path(name).parts or Path(name).is_absolute() or not path.is_file() or path.is_symlink():
        return RunArtifact(name, kind, sha256)
    now_md5, now_sha256 = sums_of_file(path)
    return RunArtifact(name, kind, now_sha256 if md5 in ("", now_md5) else "")


# --------------------------------------------------------------------------- records


def _manifest(run: Run, files: Sequence[RunArtifact]) -> Row:
    hashed = [
        {"path": one.path, "type": one.kind, "sha256": one.sha256, "recorded_at": _ended(run)}
        for one in files
        if one.sha256
    ]
    return {"schema_version": SCHEMA, "artifacts": hashed}


def _verification(run: Run, checks: Sequence[Condition]) -> Row:
    rows = [
        {"name": one.name, "passed": one.passed, "evidence": one.evidence, "recorded_at": _ended(run)} for one in checks
    ]
    return {"schema_version": SCHEMA, "passed": _passed(checks), "checks": rows, "evidence": _evidence(checks)}


def _receipt(run: Run, files: Sequence[RunArtifact], checks: Sequence[Condition], limits: Sequence[str]) -> Row:
    return {
        "schema_version": SCHEMA,
        "run_id": run.id,
        "skill_id": SKILL,
        "status": _status(run, checks),
        "risk": "low",  # a leased board, an own folder on it, no system file touched
        "approval": {"required": False, "record": None},
        "artifacts": [{"path": one.path, "type": one.kind, "sha256": one.sha256 or None} for one in files],
        "verification": {"passed": _passed(checks), "evidence": _evidence(checks)},
        "limitations": list(limits),
        "handoff": {"next_skill": None, "required_inputs": []},
        "completed_at": _ended(run),
    }


def _environment(run: Run, limits: Sequence[str]) -> Row:
    host, board = run.host, run.board
    missing = [mode.failure.message for mode in run.modes if mode.failure and mode.failure.kind.startswith("missing")]
    worked = any(mode.failure is None for mode in run.modes)
    return {
        "schema_version": SCHEMA,
        "platform": "X5",
        "status": "blocked" if not worked else "degraded" if board.emulated or missing else "ready",
        "captured_at": run.started_utc or _ended(run),
        "workflow": "runtime",
        "host": {"os": host.os, "architecture": host.machine, "python": host.python, "harness": run.harness_version},
        "toolchain": {},
        "documentation": {"root": None, "available": False, "hat_in_scope": False},
        "board": {
            "name": board.name,
            "soc": board.soc,
            "emulated": board.emulated,
            "versions": dict(run.versions),
            **{key: board.facts[key] for key in FACTS if board.facts.get(key) not in (None, "")},
        },
        "missing": missing,
        "limitations": list(limits),
    }

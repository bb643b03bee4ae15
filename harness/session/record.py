"""What run.json holds: the record that a session begins with and fills as it goes. Its shape: docs/architecture.md."""

from __future__ import annotations

import getpass
import os
import platform as host_platform
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from harness import __version__, names
from harness.agent import FileFacts, Put
from harness.files.digests import sha256_of_file
from harness.files.user_folders import cache_folder
from harness.records import (
    BoardIdentity,
    BoardOfRun,
    Case,
    CaseOfRun,
    Endpoint,
    Failure,
    FedInput,
    FileIdentity,
    FileOfRun,
    Host,
    LeftFile,
    ModeOfRun,
    NamedFile,
    PushedFile,
    ReferenceOfCase,
    Run,
    SensorSample,
    TypedCommand,
)
from harness.runs import folder as store
from harness.session.inputs import InputFile


class RunFile:
    """run.json as it grows: `run` is what it holds, and is replaced by everything that adds to it."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder, self.run = folder, run

    def note(self, *sentences: str) -> None:
        """Keep what a reader of the run should know."""
        self.run = replace(self.run, notes=(*self.run.notes, *sentences))

    def reached_by(self, endpoint: Endpoint) -> None:
        """Keep how the board is reached, where only its manager knew."""
        board = replace(self.run.board, address=endpoint.address, user=endpoint.user, jump=endpoint.jump)
        self.run = replace(self.run, board=board)

    def add_samples(self, samples: Iterable[SensorSample]) -> None:
        """Keep what the board's sensors said."""
        telemetry = self.run.telemetry
        self.run = replace(self.run, telemetry=replace(telemetry, samples=(*telemetry.samples, *samples)))

    def add_inputs(self, inputs: Iterable[FedInput]) -> None:
        """Keep what the model's inputs are fed."""
        self.run = replace(self.run, case=replace(self.run.case, inputs=tuple(inputs)))

    def add_reference(self, reference: ReferenceOfCase | None) -> None:
        """Keep which reference the run is compared with."""
        self.run = replace(self.run, case=replace(self.run.case, reference=reference))

    def add_pushed(self, name: str, put: Put) -> None:
        """Keep what really crossed the link for one file."""
        pushed = PushedFile(name, put.size_bytes, put.md5, put.sent_bytes)
        self.run = replace(self.run, pushed=(*self.run.pushed, pushed))

    def add_mode(self, mode: ModeOfRun) -> None:
        """Keep what a mode left."""
        self.run = replace(self.run, modes=(*self.run.modes, mode))

    def mark_mode(self, name: str, at_s: float) -> None:
        """Keep when a mode of a soak began."""
        modes = tuple(replace(mode, at_s=at_s) if mode.mode == name else mode for mode in self.run.modes)
        self.run = replace(self.run, modes=modes)

    def drop_modes(self, names: Sequence[str]) -> None:
        """Forget modes that are to be run again."""
        self.run = replace(self.run, modes=tuple(mode for mode in self.run.modes if mode.mode not in names))

    def add_time(self, step: str, seconds: float) -> None:
        """Keep how long a step took, with what it took before."""
        timings = self.run.timings_s
        self.run = replace(self.run, timings_s={**timings, step: round(timings.get(step, 0.0) + seconds, 6)})

    def add_versions(self, versions: Mapping[str, str]) -> None:
        """Keep what a tool said of its versions."""
        self.run = replace(self.run, versions={**self.run.versions, **versions})

    def save(self) -> None:
        """Write it. Errors: OSError with the path."""
        store.save_run(self.folder, self.run)


def new_record(
    board: BoardOfRun, case: Case, folder: Path, files: Sequence[FileIdentity] = (), command: TypedCommand | None = None
) -> Run:
    """What a run begins with: `board` is of `board_record`, `files` are those of this PC that the run is about,
    `command` what was typed.

    Errors: InputError where the model cannot be read.
    """
    return Run(
        harness_version=__version__,
        command=command,
        id=f"{names.safe_name(case.name)}/{names.safe_name(board.name)}/{folder.name}",
        state="running",
        started_utc=now(),
        case=CaseOfRun(
            name=case.name,
            model=_model_record(case.model, files),
            files=tuple(_identity_record(one) for one in files),
            floats=Path(case.floats).name,
            stages={name: path.name for name, path in case.stages},
            policy=Path(case.policy).name or "default",
            options=case.options,
            model_name=case.model_name,
            core=case.core,
            threads=case.threads,
            frames=case.frames,
            time_s=case.time_s,
            repeat=case.repeat,
            rounds=case.rounds,
            beside=case.beside,
        ),
        board=board,
        host=_host_record(),
    )


def _model_record(model: Path, files: Sequence[FileIdentity]) -> NamedFile:
    for one in files:
        if one.role == "model":
            return NamedFile(model.name, one.size_bytes, one.md5, _sha256(one))
    return store.file_facts(model)


def _identity_record(one: FileIdentity) -> FileOfRun:
    """Without folders of this PC; resume.json keeps them, and what is in a folder."""
    alone = list(one.files) == [""]
    count = None if alone else len(one.files)
    return FileOfRun(one.role, Path(one.path).name, one.size_bytes, one.md5, count, _sha256(one))


def _sha256(one: FileIdentity) -> str:
    """Of a file that stands alone, else "". One that changed since its md5 was taken ends the run later."""
    return sha256_of_file(Path(one.path)) if list(one.files) == [""] and Path(one.path).is_file() else ""


def board_record(board: BoardIdentity, endpoint: Endpoint) -> BoardOfRun:
    """What is written down of a board: how it is reached, without keys."""
    return BoardOfRun(
        name=board.name,
        platform=board.platform,
        soc=board.soc,
        transport=endpoint.transport,
        address=endpoint.address,
        user=endpoint.user,
        jump=endpoint.jump,
        emulated=board.emulated is not None,
    )


def _host_record() -> Host:
    """This PC. `name`, `user`, `home` and `cache` are what a report never shows, wherever a text holds them."""
    return Host(
        name=socket.gethostname(),
        user=_user(),
        home=os.path.expanduser("~"),  # noqa: PTH111  (Path.home raises where there is none)
        cache=str(cache_folder()),
        os=f"{host_platform.system()} {host_platform.release()}",
        python=host_platform.python_version(),
        machine=host_platform.machine(),
        harness=__version__,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return ""


def input_record(item: InputFile) -> FedInput:
    """`name` is the user's file, `file` its copy in the run folder's `inputs/`."""
    facts = store.file_facts(item.path)
    name, file = item.given_name or item.path.name, f"inputs/{item.path.name}"
    return FedInput(item.tensor, item.generated, name, facts.size_bytes, facts.md5, file, facts.sha256)


def now() -> str:
    """This PC's time in UTC, to the second: `2026-11-19T01:00:00Z`."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class ModeRun:
    """What one mode left."""

    argv: list[str]
    environment: dict[str, str]
    code: int | None
    duration_s: float
    timed_out: bool
    log: str
    files: tuple[LeftFile, ...]

    @property
    def present(self) -> tuple[str, ...]:
        """Names of the files that it left."""
        return tuple(file.name for file in self.files)


def file_record(
    name: str,
    facts: FileFacts,
    pulled: Mapping[str, str],
    reused: Mapping[str, str],
    verified: Mapping[str, str],
    local: Path,
) -> LeftFile:
    """One file that a mode left; `verified` are md5s of valid bytes. `obtained`: "pulled", "reused" (equal to the PC's
    by size and md5), "verified_on_board" (padded; its valid bytes are equal by the board's md5), or "" (not pulled).
    `local` is the mode's folder here: whole files in it get their sha256, which the board does not make."""
    ways = (("pulled", pulled), ("verified_on_board", verified), ("reused", reused))
    obtained = next((way for way, names in ways if name in names), "")
    stored = pulled.get(name) or reused.get(name, "")
    valid = verified[name] if obtained == "verified_on_board" else ""
    is_whole = bool(stored) and not valid and (local / stored).is_file()
    sha256 = sha256_of_file(local / stored) if is_whole else ""
    return LeftFile(name, facts.size_bytes, facts.md5, stored, obtained, valid, sha256)


def mode_record(name: str, finished: ModeRun, failure: Failure | None) -> ModeOfRun:
    """One mode, with everything that tells what it was and how it ended."""
    return ModeOfRun(
        mode=name,
        command=tuple(finished.argv),
        environment=finished.environment,
        exit_code=finished.code,
        duration_s=round(finished.duration_s, 6),
        timed_out=finished.timed_out,
        folder=name,
        files=finished.files,
        failure=failure,
    )

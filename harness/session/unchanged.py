"""What a run must not mix: files, boards and settings as they were when it began, and others of the same names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from harness.agent import Put
from harness.diagnosis.plan import find_beside
from harness.errors import HarnessError, InputError
from harness.platforms.base import Platform
from harness.records import BoardCommands, BoardIdentity, Case, CommandEnvironment, FileIdentity, Json, Run
from harness.records.codec import to_json
from harness.review import identity
from harness.review.identity import command_of
from harness.runs.resume import BoardSettings, Resume
from harness.session.job import job_of

SINCE_BEGIN = "this run began"
FAULTS = "HARNESS_EMULATOR_"  # planted on emulated boards by --fault, also with --resume
FACTS = ("arch", "kernel", "os", "libc", "cpu")  # that a reboot does not change


def files_of(board: BoardIdentity, work: str, case: Case, platform: Platform) -> tuple[FileIdentity, ...]:
    """Every file of this PC that a run is about, as it is now; `work` is the board's folder.

    Errors: InputError for what cannot be read.
    """
    return identity.take(named_files(board, work, case, platform))


def named_files(board: BoardIdentity, work: str, case: Case, platform: Platform) -> tuple[tuple[str, Path], ...]:
    """(role, path) of every file and folder of this PC that a run is about; nothing is read."""
    own = platform.files(board, job_of(work, case.workload, "info", ""))
    support = (*own, *platform.beside(case.model, board.soc, is_emulated=board.emulated is not None))
    beside = () if case.build else find_beside(case.model, case.model_name)
    return identity.files_of(case, beside, support)


def settings_of(board: BoardIdentity, around: CommandEnvironment, commands: BoardCommands) -> BoardSettings:
    """What the inventory says of how a tool runs on a board."""
    return BoardSettings(
        platform=board.platform,
        soc=board.soc,
        options={name: str(value) for name, value in board.options.items()},
        environment={name: text for name, text in around.variables.items() if not name.startswith(FAULTS)},
        libraries=board.libraries,
        tools=around.tools,
        setup=commands.setup,
    )


def refuse_unknown(resume: Resume, run: Run) -> None:
    """Errors: InputError for a run of an earlier harness, which kept no md5s."""
    if not resume.files:
        raise InputError(
            "this run has no md5s of its files, so they cannot be verified",
            f"{identity.ANEW}: {command_of(run) or 'harness run'}",
        )


def refuse_other(resume: Resume, run: Run, files: Sequence[FileIdentity], settings: BoardSettings) -> None:
    """Refuse to go on with a run whose files or settings are not what they were.

    `run` is its run.json, `files` and `settings` are those of today. Errors: InputError with every file, both md5s, and
    the command of a new run.
    """
    command = command_of(run)
    identity.refuse(identity.differences(resume.files, files), SINCE_BEGIN, command)
    if has_measured(run, resume):
        changed = _other_settings(resume.settings, settings)
        if changed:
            raise InputError(
                f"board {resume.board} has changed in the inventory since this run began: {'; '.join(changed)}",
                f"{identity.ANEW}: {command or 'harness run'}",
            )


def has_measured(run: Run, resume: Resume) -> bool:
    """Whether there is anything that a resumed run would be mixed with."""
    return bool(resume.tokens) or any(not mode.failure for mode in run.modes)


def _other_settings(before: BoardSettings, now: BoardSettings) -> list[str]:
    """Names of variables, not their values: nobody knows what is kept in an environment."""
    differences = []
    for key in (one.name for one in fields(now) if one.name != "environment"):
        was, current = to_json(getattr(before, key)), to_json(getattr(now, key))
        if was != current:
            differences.append(f"{key} was {was!r}, now {current!r}")
    names = {*before.environment, *now.environment}
    others = sorted(name for name in names if before.environment.get(name) != now.environment.get(name))
    return [*differences, *([f"environment: {', '.join(others)}"] if others else [])]


@contextmanager
def held(files: Sequence[FileIdentity], roles: Sequence[str], run: Run, **which: bool) -> Iterator[None]:
    """Read files of some roles in this context: one that changed is what is reported, not what a half-written one looks
    like. Errors: InputError, or the context's own."""
    try:
        yield
    except HarnessError:
        refuse_changed(files, roles, run, **which)
        raise
    refuse_changed(files, roles, run, **which)


def refuse_changed(files: Sequence[FileIdentity], roles: Sequence[str], run: Run, *, folders: bool = True) -> None:
    """Refuse files that changed while this run goes on; without `folders`, which are read until the run is judged,
    what stands alone. Errors: InputError."""
    wanted = [one for one in files if folders or "" in one.files]
    identity.refuse(identity.differences(*identity.again(wanted, roles)), SINCE_BEGIN, command_of(run))


def refuse_other_bytes(files: Sequence[FileIdentity], path: Path, put: Put, run: Run) -> None:
    """Refuse a file that was not sent as it was when the run began. Errors: InputError."""
    before = [one for one in files if one.role in identity.SENT and one.path == str(path) and "" in one.files]
    sent = [FileIdentity(one.role, one.path, one.files | {"": (put.size_bytes, put.md5)}) for one in before]
    identity.refuse(identity.differences(before, sent), SINCE_BEGIN, command_of(run))


def refuse_other_board(run: Run, facts: Mapping[str, Json], resume: Resume) -> None:
    """Refuse a board that is another one than before, or got another system. Errors: InputError."""
    was = run.board.facts if has_measured(run, resume) else {}
    known = [key for key in FACTS if was.get(key)]
    _refuse_board(
        [f"{key} was {was[key]!r}, is {facts.get(key)!r}" for key in known if was[key] != facts.get(key)], run
    )


def refuse_other_versions(run: Run, versions: Mapping[str, str]) -> None:
    """Refuse a board whose runtime was exchanged since the modes that are kept. Errors: InputError."""
    kept = any(mode.mode != "info" for mode in run.modes)
    was = run.model_info.versions if kept and run.model_info else {}
    known = [key for key in was if key in versions]
    _refuse_board(
        [f"version of {key} was {was[key]!r}, is {versions[key]!r}" for key in known if was[key] != versions[key]], run
    )


def _refuse_board(differences: Sequence[str], run: Run) -> None:
    if differences:
        raise InputError(
            f"board {run.board.name} has changed since this run began: {'; '.join(differences)}",
            f"{identity.ANEW}: {command_of(run) or 'harness run'}",
        )

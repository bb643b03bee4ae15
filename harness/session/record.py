"""What run.json holds: the record that a session begins with and fills as it goes. Its shape: docs/architecture.md."""

from __future__ import annotations

import getpass
import os
import platform as host_platform
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness import __version__, names
from harness.agent import FileFacts, Put
from harness.files.user_folders import cache_folder
from harness.records import Board, Case, Failure, FileIdentity
from harness.runs import folder as store
from harness.session.inputs import BoardInput


def new_record(
    board: Board, case: Case, folder: Path, files: Sequence[FileIdentity] = (), command: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A record of a run that begins. `files` are those of this PC that it is about, `command` what was typed."""
    return {
        "format": store.FORMAT,
        "harness_version": __version__,
        "command": dict(command or {}),
        "id": f"{names.safe_name(case.name)}/{names.safe_name(board.name)}/{folder.name}",
        "state": "running",
        "stopped_at": "",
        "started_utc": now(),
        "finished_utc": "",
        "duration_s": None,
        "case": {
            "name": case.name,
            "model": _model_record(case, files),
            "files": [_identity_record(one) for one in files],
            "inputs": [],
            "reference": None,
            "float": Path(case.floats).name,
            "policy": Path(case.policy).name or "default",
            "options": case.options,
            "model_name": case.model_name,
            "core": case.core,
            "threads": case.threads,
            "frames": case.frames,
            "time_s": case.time_s,
            "repeat": case.repeat,
        },
        "board": _board_record(board),
        "host": _host_record(),
        "versions": {},
        "pushed": [],
        "timings_s": {},
        "modes": [],
        "model_info": None,
        "profile": None,
        "comparison": None,
        "telemetry": {"samples": []},
        "findings": [],
        "notes": [],
        "problems": [],
        "verdict": None,
    }


def _model_record(case: Case, files: Sequence[FileIdentity]) -> dict[str, Any]:
    for one in files:
        if one.role == "model":
            return {"name": case.model.name, "bytes": one.size_bytes, "md5": one.md5}
    return store.file_facts(case.model)


def _identity_record(one: FileIdentity) -> dict[str, Any]:
    """Without folders of this PC; resume.json keeps them, and what is in a folder."""
    alone = list(one.files) == [""]
    facts = {"role": one.role, "name": Path(one.path).name, "bytes": one.size_bytes, "md5": one.md5}
    return facts if alone else facts | {"files": len(one.files)}


def _board_record(board: Board) -> dict[str, Any]:
    return {
        "name": board.name,
        "platform": board.platform,
        "soc": board.soc,
        "transport": board.transport,
        "address": board.address,
        "user": board.user,
        "jump": board.jump,
        "emulated": board.emulated is not None,
        "facts": {},
    }


def _host_record() -> dict[str, Any]:
    """This PC. `name`, `user`, `home` and `cache` are what a report never shows, wherever a text holds them."""
    return {
        "name": socket.gethostname(),
        "user": _user(),
        "home": os.path.expanduser("~"),  # noqa: PTH111  (Path.home raises where there is none)
        "cache": str(cache_folder()),
        "os": f"{host_platform.system()} {host_platform.release()}",
        "python": host_platform.python_version(),
        "machine": host_platform.machine(),
        "harness": __version__,
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return ""


def input_record(item: BoardInput) -> dict[str, Any]:
    """`name` is the user's file, `file` its copy in the run folder's `inputs/`."""
    facts = store.file_facts(item.path)
    named = {"name": item.given_name or item.path.name, "file": f"inputs/{item.path.name}"}
    return {"tensor": item.tensor, "generated": item.generated} | facts | named


def pushed_record(name: str, put: Put) -> dict[str, Any]:
    """What really crossed the link for one file."""
    return {"name": name, "bytes": put.size_bytes, "md5": put.md5, "sent_bytes": put.sent_bytes}


def now() -> str:
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
    files: list[dict[str, Any]]

    @property
    def present(self) -> tuple[str, ...]:
        return tuple(file["name"] for file in self.files)


def file_record(
    name: str, facts: FileFacts, pulled: Mapping[str, str], known: Mapping[str, str], hashed: Mapping[str, str]
) -> dict[str, Any]:
    """One file that a mode left; `hashed` are md5s of valid bytes. `came`: "link", "known" (equal to the PC's by size
    and md5), "hashed" (padded; its valid bytes are equal by the board's md5 of them), or "" (left there)."""
    ways = (("link", pulled), ("hashed", hashed), ("known", known))
    came = next((way for way, names in ways if name in names), "")
    stored = pulled.get(name) or known.get(name, "")
    told = {"name": name, "bytes": facts.size_bytes, "md5": facts.md5, "file": stored, "came": came}
    return told | ({"valid_md5": hashed[name]} if came == "hashed" else {})


def mode_record(name: str, done: ModeRun, failure: Failure | None) -> dict[str, Any]:
    """One mode, with everything that tells what it was and how it ended."""
    return {
        "mode": name,
        "command": done.argv,
        "environment": done.environment,
        "exit_code": done.code,
        "duration_s": round(done.duration_s, 6),
        "timed_out": done.timed_out,
        "folder": name,
        "files": done.files,
        "failure": store.to_json(failure),
    }

"""hosts.yaml -> records: what a person may write about a board."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from harness.boards import hosts_checks
from harness.boards.flat import compose
from harness.config import StrictFile, line_of, load_file
from harness.errors import ConfigError
from harness.records import Board, BoardLimits, Endpoint
from harness.records.boards import SERVED, Emulated


class LimitsFile(StrictFile):
    """`limits:` of a board: seconds, numbers of files, and bytes."""

    timeout_s: float = Field(default=BoardLimits.timeout_s, gt=0)
    connect_timeout_s: float = Field(default=Endpoint.connect_timeout_s, gt=0)
    patience_s: float = Field(default=Endpoint.patience_s, ge=0)
    max_files: int = Field(default=BoardLimits.max_files, gt=0)
    max_bytes: int = Field(default=BoardLimits.max_bytes, gt=0)
    cache_bytes: int = Field(default=BoardLimits.cache_bytes, ge=0)


class SharedFolderFile(StrictFile):
    """`shared_folder:` of a board: one folder, as this PC and as the board call it."""

    here: str
    there: str


class BoardFile(StrictFile):
    """One board of hosts.yaml as it is written there; `hosts.example.yaml` says what each key means."""

    platform: str
    soc: str = ""
    transport: str = "ssh"
    address: str = ""
    port: int | None = Field(default=None, ge=1, le=65535)
    user: str = ""
    identity: str = ""
    known_hosts: str = ""
    jump: str = ""
    work: str = "harness-work"
    tools: list[str] = []
    libraries: list[str] = []
    environment: dict[str, str] = {}
    tags: list[str] = []
    setup: list[list[str]] = []
    teardown: list[list[str]] = []
    shared_folder: SharedFolderFile | None = None
    power: dict[Literal["cycle", "on", "off", "before", "after"], list[str]] = {}
    managed: dict[str, Any] = {}  # `by:`, and what that manager wants to know
    limits: LimitsFile = LimitsFile()
    options: dict[str, Any] = {}
    emulated: bool = False  # of `harness emulator serve`: emulated, so no time of its accelerator is a measurement

    @field_validator("environment", mode="before")
    @classmethod
    def _numbers_are_text(cls, value: Any) -> Any:
        """`THREADS: 4` means "4"; YAML's other guesses (true, null) are refused by the type."""
        if not isinstance(value, dict):
            return value
        return {k: str(v) if isinstance(v, int | float) and not isinstance(v, bool) else v for k, v in value.items()}


class HostsFile(StrictFile):
    """The whole hosts.yaml."""

    boards: dict[str, BoardFile]


def load_boards(path: Path) -> dict[str, Board]:
    """Read hosts.yaml. Errors: ConfigError that names file, line, key and the nearest known one."""
    hosts = load_file(path, HostsFile)
    return {name: _board(path, name, entry) for name, entry in hosts.boards.items()}


def _board(path: Path, name: str, entry: BoardFile) -> Board:
    _refuse_wrong(path, name, entry)
    kind = hosts_checks.kind_of(entry.transport)
    if kind.needs_address and not entry.address and not entry.managed:
        raise ConfigError(
            f"{path}: boards.{name}: transport {entry.transport} needs `address:`",
            "add `address: 192.168.1.10`",
        )
    values = entry.model_dump(exclude={"limits", "shared_folder", "managed"})
    shared = entry.shared_folder
    values |= entry.limits.model_dump()
    values |= {
        "port": entry.port or kind.port,
        "identity": str(Path(entry.identity).expanduser()) if entry.identity else "",
        "known_hosts": str(Path(entry.known_hosts).expanduser()) if entry.known_hosts else "",
        "shared_folder": (shared.here, shared.there) if shared else ("", ""),
        "setup": tuple(tuple(argv) for argv in entry.setup),
        "teardown": tuple(tuple(argv) for argv in entry.teardown),
        "power": {key: tuple(argv) for key, argv in entry.power.items()},
    }
    keys = dict(entry.managed)
    values |= {"manager": keys.pop("by", ""), "manager_keys": keys}
    values["emulated"] = Emulated(entry.soc, SERVED) if entry.emulated else None
    for key in ("tools", "libraries", "tags"):
        values[key] = tuple(values[key])
    return compose(name, **values)


def board_fields() -> list[str]:
    """Names of everything hosts.yaml may say of a board; docs and the example file are held to it."""
    return list(BoardFile.model_fields)


def _refuse_wrong(path: Path, name: str, entry: BoardFile) -> None:
    """Errors: ConfigError for a name, an address or a soc that cannot be, with its line and what to write."""
    wrongs = hosts_checks.complaints(name, entry.platform, entry.soc, entry.transport, entry.address)
    for wrong in (*wrongs, *hosts_checks.of_managed(entry.managed)):
        place = ("boards", name, *(wrong.key.split(".") if wrong.key else []))
        where = ".".join(place) if wrong.key else "boards"
        raise ConfigError(f"{path}:{line_of(path, place)}: {where}: {wrong.message}", wrong.hint)

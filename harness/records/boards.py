"""A thing in the lab, and what one run may take of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class BoardLimits:
    """What one run may take of a board; the agent enforces the time, the host the sizes."""

    timeout_s: float = 600.0
    max_files: int = 200_000
    max_bytes: int = 64 * 2**30
    cache_bytes: int = 2 * 2**30


@dataclass(frozen=True)
class Emulated:
    """How this board is emulated: absent (`Board.emulated is None`) on real hardware."""

    soc: str
    server: str = ""  # "" (local), "openssh" or "dropbear"; SERVED: it stands already, at the board's address


SERVED = "served"


@dataclass(frozen=True)
class BoardIdentity:
    """What a platform may know of a board: which one it is, and the platform's own keys for it."""

    name: str
    platform: str  # "hbdnn", "ucp", "magik", "ort"
    soc: str  # "x5", "j6e", "t41", ...
    emulated: Emulated | None = None
    libraries: tuple[str, ...] = ()  # folders prepended to LD_LIBRARY_PATH on the board
    options: Mapping[str, object] = field(default_factory=dict)  # the platform's own keys, checked by it


@dataclass(frozen=True)
class Endpoint:
    """What a transport must know to reach a board called `name`, and how long it may try."""

    name: str
    transport: str = "ssh"  # a name of transports.KINDS
    address: str = ""
    port: int = 22
    user: str = ""
    identity: str = ""  # private key file on this PC
    known_hosts: str = ""  # file that holds this board's host key; "" is harness's own
    jump: str = ""  # user@host:port of a jump host
    connect_timeout_s: float = 10.0
    patience_s: float = 30.0  # how long a link that broke is tried again


@dataclass(frozen=True)
class Lending:
    """Who lends the board, if others manage it: a name of boards.managers.MANAGERS, and that one's own keys."""

    manager: str = ""
    manager_keys: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class PowerSupply:
    """What may be run on this PC to bring a board back: argv by "cycle", "on", "off", "before" and "after"."""

    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class CommandEnvironment:
    """What is laid around every command on a board, besides the folders of its libraries."""

    variables: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[str, ...] = ()  # folders prepended to PATH on the board


@dataclass(frozen=True)
class BoardFolders:
    """Where a board's files lie."""

    work: str = "harness-work"  # on the board; relative to the login's home
    shared: tuple[str, str] = ("", "")  # (path on this PC, same folder on the board), NFS-like


@dataclass(frozen=True)
class BoardCommands:
    """Argv lists that are run on a board before and after a run."""

    setup: tuple[tuple[str, ...], ...] = ()
    teardown: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Board:
    """A thing in the lab, as hosts.yaml writes it down, or built in. Who needs a part of it is handed that part.

    Errors: ValueError where identity and endpoint are of two names.
    """

    identity: BoardIdentity
    endpoint: Endpoint
    environment: CommandEnvironment = field(default_factory=CommandEnvironment)
    folders: BoardFolders = field(default_factory=BoardFolders)
    commands: BoardCommands = field(default_factory=BoardCommands)
    power: PowerSupply = field(default_factory=PowerSupply)
    limits: BoardLimits = field(default_factory=BoardLimits)
    lending: Lending = field(default_factory=Lending)
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.identity.name != self.endpoint.name:
            raise ValueError(f"one board with two names: {self.identity.name!r} and {self.endpoint.name!r}")

    @property
    def name(self) -> str:
        """As hosts.yaml calls it."""
        return self.identity.name

    @property
    def emulated(self) -> Emulated | None:
        """What emulates it; None for real hardware."""
        return self.identity.emulated

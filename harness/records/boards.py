"""A thing in the lab, and what one run may take of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class BoardLimits:
    """What one run may take of a board; the agent enforces the time, the host the sizes."""

    timeout_s: float = 600.0
    connect_timeout_s: float = 10.0
    patience_s: float = 30.0  # how long a link that broke is tried again
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
    platform: str
    soc: str
    emulated: Emulated | None = None
    libraries: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Endpoint:
    """What a transport must know to reach a board called `name`, and how long it may try."""

    name: str
    transport: str = "ssh"
    address: str = ""
    port: int = 22
    user: str = ""
    identity: str = ""
    known_hosts: str = ""
    jump: str = ""
    connect_timeout_s: float = BoardLimits.connect_timeout_s
    patience_s: float = BoardLimits.patience_s


@dataclass(frozen=True)
class PowerSupply:
    """What may be run on this PC to bring a board back, and what those commands get from it."""

    name: str
    address: str
    commands: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class CommandEnvironment:
    """What is laid around every command on a board."""

    environment: Mapping[str, str]
    tools: tuple[str, ...]
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class Board:
    """A thing in the lab, as hosts.yaml writes it down, or built in. Who needs a part of it is handed that part."""

    name: str
    platform: str  # "hbdnn", "ucp", "magik", "ort"
    soc: str  # "x5", "j6e", "t41", ...
    transport: str = "ssh"  # a name of transports.KINDS
    address: str = ""
    port: int = 22
    user: str = ""
    identity: str = ""  # private key file on this PC
    known_hosts: str = ""  # file that holds this board's host key; "" is harness's own
    jump: str = ""  # user@host:port of a jump host
    work: str = "harness-work"  # folder on the board; relative to the login's home
    tools: tuple[str, ...] = ()  # folders prepended to PATH on the board
    libraries: tuple[str, ...] = ()  # folders prepended to LD_LIBRARY_PATH on the board
    environment: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    setup: tuple[tuple[str, ...], ...] = ()  # argv lists run on the board before a run
    teardown: tuple[tuple[str, ...], ...] = ()
    shared_folder: tuple[str, str] = ("", "")  # (path on this PC, same folder on the board), NFS-like
    power: dict[str, tuple[str, ...]] = field(default_factory=dict)  # "cycle", "on", "off": argv on this PC
    limits: BoardLimits = field(default_factory=BoardLimits)
    emulated: Emulated | None = None
    options: dict[str, object] = field(default_factory=dict)  # the platform's own keys, checked by it

    @property
    def who(self) -> BoardIdentity:
        """For platforms."""
        return BoardIdentity(self.name, self.platform, self.soc, self.emulated, self.libraries, self.options)

    @property
    def endpoint(self) -> Endpoint:
        """For transports."""
        return Endpoint(
            self.name,
            self.transport,
            self.address,
            self.port,
            self.user,
            self.identity,
            self.known_hosts,
            self.jump,
            self.limits.connect_timeout_s,
            self.limits.patience_s,
        )

    @property
    def supply(self) -> PowerSupply:
        """For bringing it back."""
        return PowerSupply(self.name, self.address, self.power)

    @property
    def surroundings(self) -> CommandEnvironment:
        """For commands that run on it."""
        return CommandEnvironment(self.environment, self.tools, self.libraries)

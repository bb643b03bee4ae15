"""A thing in the lab, and what one run may take of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """What one run may take of a board; the agent enforces the time, the host the sizes."""

    timeout_s: float = 600.0
    connect_timeout_s: float = 10.0
    patience_s: float = 30.0  # how long a link that broke is tried again
    max_files: int = 200_000
    max_bytes: int = 64 * 2**30
    cache_bytes: int = 2 * 2**30


@dataclass(frozen=True)
class Emulated:
    """What plays this board: absent (`Board.emulated is None`) on real hardware."""

    soc: str
    server: str = ""  # "" (local), "openssh" or "dropbear"; SERVED: it stands already, at the board's address


SERVED = "served"


@dataclass(frozen=True)
class Board:
    """A thing in the lab, from hosts.yaml or built in."""

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
    tools: tuple[str, ...] = ()  # folders put before PATH on the board
    libraries: tuple[str, ...] = ()  # folders put before LD_LIBRARY_PATH on the board
    environment: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    setup: tuple[tuple[str, ...], ...] = ()  # argv lists run on the board before a run
    teardown: tuple[tuple[str, ...], ...] = ()
    shared_folder: tuple[str, str] = ("", "")  # (path on this PC, same folder on the board), NFS-like
    power: dict[str, tuple[str, ...]] = field(default_factory=dict)  # "cycle", "on", "off": argv on this PC
    limits: Limits = field(default_factory=Limits)
    emulated: Emulated | None = None
    options: dict[str, object] = field(default_factory=dict)  # the platform's own keys, checked by it

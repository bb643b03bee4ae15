"""Host keys as text: reading, finding and writing lines of a known_hosts file. No network, no library."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HostKeyError
from harness.files.locks import changing
from harness.files.user_folders import config_folder
from harness.records import Endpoint


@dataclass(frozen=True)
class HostKey:
    """A server's public key: its kind ("ssh-ed25519"), fingerprint as OpenSSH shows it, and known_hosts line."""

    kind: str
    sha256: str  # "SHA256:..."
    line: str  # "[host]:port kind base64"


def default_file() -> Path:
    """Harness's own known_hosts ($XDG_CONFIG_HOME/harness/known_hosts, else under ~/.config)."""
    return config_folder() / "known_hosts"


def known_hosts_file(endpoint: Endpoint) -> Path:
    """The file that holds this board's host key."""
    return Path(endpoint.known_hosts).expanduser() if endpoint.known_hosts else default_file()


def host_pattern(address: str, port: int) -> str:
    """How a host is named in known_hosts: bare on port 22, else `[address]:port`."""
    return address if port == 22 else f"[{address}]:{port}"


def fingerprint(blob: bytes) -> str:
    """A public key's SHA-256 as OpenSSH shows it, `SHA256:...` in base64 without `=`."""
    digest = hashlib.sha256(blob).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def make_key(address: str, port: int, kind: str, blob: bytes) -> HostKey:
    """A server's key as harness and known_hosts write it."""
    line = f"{host_pattern(address, port)} {kind} {base64.b64encode(blob).decode()}"
    return HostKey(kind, fingerprint(blob), line)


def find(path: Path, address: str, port: int) -> list[HostKey]:
    """The keys recorded for a host; [] when there are none or no file."""
    wanted = host_pattern(address, port)
    return [key for name, key in _entries(path) if _names(name, wanted)]


def trust(path: Path, address: str, port: int, key: HostKey, *, replace: bool = False) -> None:
    """Record a host's key. Errors: HostKeyError when another key of the same kind is there and not `replace`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with changing(path):
        _trust(path, address, port, key, replace)


def _trust(path: Path, address: str, port: int, key: HostKey, replace: bool) -> None:
    wanted = host_pattern(address, port)
    old = [k for k in find(path, address, port) if k.kind == key.kind]
    if any(k.sha256 == key.sha256 for k in old) and not replace:
        return
    if old and not replace:
        raise HostKeyError(
            f"{wanted}: {path} holds another {key.kind} key: {old[0].sha256}, the board now shows {key.sha256}",
            "if the board was reflashed, add --replace",
        )
    lines = [line for line in _lines(path) if not (replace and _names(line.split(" ")[0], wanted))]
    _, kind, blob = key.line.rsplit(" ", 2)
    _write(path, [*lines, f"{wanted} {kind} {blob}"])


def _write(path: Path, lines: list[str]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    part.replace(path)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


def _entries(path: Path) -> Iterator[tuple[str, HostKey]]:
    for line in _lines(path):
        words = line.split()
        if len(words) < 3 or words[0].startswith(("#", "@")):
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue
        yield words[0], HostKey(words[1], fingerprint(blob), " ".join(words[:3]))


def _names(field: str, wanted: str) -> bool:
    """Whether the first field of a line names the host; hashed names (`|1|salt|hash`) are understood."""
    if not field.startswith("|1|"):
        return wanted in field.split(",")
    parts = field.split("|")
    if len(parts) != 4:
        return False
    salt, expected = base64.b64decode(parts[2]), base64.b64decode(parts[3])
    return hmac.compare_digest(hmac.digest(salt, wanted.encode(), "sha1"), expected)


def unknown(board_name: str, where: str, key: HostKey) -> HostKeyError:
    """The error for a host key that nobody has agreed to."""
    return HostKeyError(
        f"{where}: unknown host key {key.kind} {key.sha256}",
        f"check that it is the board's fingerprint, then: harness boards trust {board_name}",
    )


def changed(board_name: str, where: str, new: HostKey, old: list[HostKey]) -> HostKeyError:
    """The error for a host key that is another one than was recorded."""
    known = ", ".join(f"{key.kind} {key.sha256}" for key in old)
    return HostKeyError(
        f"{where}: host key changed: recorded {known}, now {new.kind} {new.sha256}",
        f"if the board was reflashed: harness boards trust {board_name} --replace; if not, it may be another machine",
    )

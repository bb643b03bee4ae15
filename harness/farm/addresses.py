"""Where the scheduler of a farm is, and whether the way there is one that a stranger cannot take.

Dask runs what it is sent. So beyond this PC its connections are TLS with certificates of one's own authority on both
sides, unless somebody says explicitly that the network is theirs alone.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError, InputError

SCHEDULER = "HARNESS_FARM_SCHEDULER"
CERTIFICATE_VARIABLES = ("HARNESS_FARM_CA", "HARNESS_FARM_CERT", "HARNESS_FARM_KEY")
CERTIFICATE_OPTIONS = ("--tls-ca", "--tls-cert", "--tls-key")
PORT = 8786
_ADDRESS = re.compile(r"(?:(?P<scheme>tcp|tls)://)?(?P<host>\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]*)(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True)
class Certificates:
    """Of this PC, and of the authority that signed those of all PCs of the farm."""

    authority: Path
    certificate: Path
    key: Path


def certificates_of(authority: Path | None, certificate: Path | None, key: Path | None) -> Certificates | None:
    """From options, or from the environment; None without any. Errors: InputError for some of them, and for a file that
    is not there."""
    given = [
        path or (Path(os.environ[variable]) if os.environ.get(variable) else None)
        for path, variable in zip((authority, certificate, key), CERTIFICATE_VARIABLES, strict=True)
    ]
    if not any(given):
        return None
    paths = []
    for path, option, variable in zip(given, CERTIFICATE_OPTIONS, CERTIFICATE_VARIABLES, strict=True):
        if path is None:
            raise InputError(f"TLS without {option}", f"give {option} FILE or {variable}; docs/farm.md makes them")
        if not path.is_file():
            raise InputError(
                f"{path}: no such file (from {option} or {variable})", "docs/farm.md makes it with openssl"
            )
        paths.append(path.absolute())
    return Certificates(*paths)


def checked_address(text: str, certificates: Certificates | None, insecure: bool) -> str:
    """`scheme://host:port` of what a person wrote, or $HARNESS_FARM_SCHEDULER.

    Errors: InputError for no address and what is none; ConfigError for plain TCP beyond this PC.
    """
    text = text or os.environ.get(SCHEDULER, "")
    if not text:
        raise InputError("no scheduler", f"give --scheduler tls://PC:{PORT}, or set {SCHEDULER}")
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"] or 0) > 65535:
        raise InputError(f"{text!r}: not the address of a scheduler", f"for example tls://farm-pc:{PORT}")
    scheme = match["scheme"] or ("tls" if certificates else "tcp")
    host = match["host"] or "127.0.0.1"
    address = f"{scheme}://{host}:{match['port'] or PORT}"
    refuse_unsafe(address, host, scheme, certificates, insecure)
    return address


def refuse_unsafe(shown: str, host: str, scheme: str, certificates: Certificates | None, insecure: bool) -> None:
    """Errors: InputError for TLS without certificates and certificates without TLS, ConfigError for plain TCP."""
    if scheme == "tls" and certificates is None:
        options = " ".join(f"{option} FILE" for option in CERTIFICATE_OPTIONS)
        raise InputError(f"{shown}: TLS needs certificates", f"give {options}; docs/farm.md makes them with openssl")
    if scheme == "tcp" and certificates is not None:
        raise InputError(f"{shown}: certificates were given, and the address is plain TCP", "write tls://")
    if scheme == "tcp" and not insecure and not is_loopback(host):
        raise ConfigError(
            f"{shown}: plain TCP beyond this PC: whoever reaches it could run programs on every PC of the farm",
            "use tls:// with certificates (docs/farm.md); --insecure says that nobody else is in this network",
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this PC by its very name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False

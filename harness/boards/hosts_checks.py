"""What hosts.yaml may say of a board beyond keys and types: names, addresses, SoCs. Text in, complaints out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from harness import platforms
from harness.boards.managers import MANAGERS, wrong_keys
from harness.config import nearest
from harness.errors import ConfigError
from harness.platforms import socs
from harness.records import Endpoint
from harness.transports import KINDS
from harness.transports.base import Kind, Transport

BOARD_NAME = re.compile(r"\w[\w.\-]{0,79}")
_ADDRESS = re.compile(
    r"(?:(?P<scheme>[a-z]+)://)?(?:(?P<user>[^@/\s]+)@)?(?P<host>\[[^\]\s]+\]|[^@:/\s]+|[0-9A-Fa-f]*(?::[0-9A-Fa-f%.\w]*){2,})"
    r"(?::(?P<port>[0-9]{1,9}))?/?"
)


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong: at which key of the board ("" is its name), what, and what to write."""

    key: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Address:
    """The parts of `root@192.168.1.10:2222`, `[fe80::1]:22`, `ssh://board`; 0 and "" were not given."""

    host: str
    port: int = 0
    user: str = ""


def read_address(text: str) -> Address | None:
    """The parts of an address; None for text that is none."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None:
        return None
    port = int(match["port"] or 0)
    return Address(match["host"].strip("[]"), port, match["user"] or "") if port <= 65535 else None


def kind_of(transport: str) -> Kind:
    """The transport's own description. A broken package is an error when its board is used, not when the inventory is
    read: other boards stay usable."""
    try:
        return KINDS.get(transport)
    except ConfigError:
        return Kind(_no_way, needs_address=False)


def _no_way(endpoint: Endpoint, prompt: object, patience: object) -> Transport:
    raise ConfigError(f"board {endpoint.name}: its transport {endpoint.transport!r} cannot be had")


def complaints(name: str, platform: str, soc: str, transport: str, address: str) -> Iterator[Complaint]:
    """Everything that is wrong with one board."""
    yield from _of_name(name)
    if not KINDS.knows(transport):
        yield Complaint("transport", f"unknown transport {transport!r}", KINDS.hint(transport))
    elif address and kind_of(transport).needs_address:
        yield from _of_address(address)
    if not platforms.is_known(platform):
        hint = nearest(platform.lower(), list(platforms.names()))
        yield Complaint("platform", f"unknown platform {platform!r}", hint)
    yield from _of_soc(platform, soc)


def _of_name(name: str) -> Iterator[Complaint]:
    if not BOARD_NAME.fullmatch(name):
        better = re.sub(r"[^\w.\-]+", "-", name).strip("-.")[:80] or "board-01"
        yield Complaint(
            "", f"invalid board name {name!r}: use letters, digits, '-', '_' and '.'", f"for example `{better}:`"
        )


def _of_address(text: str) -> Iterator[Complaint]:
    read = read_address(text)
    if read is None:
        yield Complaint(
            "address", f"invalid address {text!r}", "give a host name or IP address: `address: 192.168.1.10`"
        )
        return
    if read.host == text:
        return
    keys = [f"`address: {read.host}`"]
    keys += [f"`user: {read.user}`"] if read.user else []
    keys += [f"`port: {read.port}`"] if read.port else []
    yield Complaint("address", f"expected only an address, got {text!r}", f"write {', '.join(keys)}")


def of_managed(managed: Mapping[str, object]) -> Iterator[Complaint]:
    """What is wrong with `managed:` of a board."""
    if not managed:
        return
    manager = managed.get("by")
    if not isinstance(manager, str) or not manager:
        yield Complaint("managed", "`by:` must name the manager", "for example `managed: {by: labgrid, place: x5-01}`")
    elif not MANAGERS.knows(manager):
        yield Complaint("managed.by", f"unknown manager {manager!r}", MANAGERS.hint(manager))
    else:
        keys = {key: value for key, value in managed.items() if key != "by"}
        for key, message, hint in wrong_keys(manager, keys):
            yield Complaint(f"managed.{key}" if key else "managed", message, hint)


def _of_soc(platform: str, soc: str) -> Iterator[Complaint]:
    known = socs.known_of(platform)
    if not soc or not known or socs.plain_name(platform, soc):
        return
    other = socs.platform_of(soc)
    near = get_close_matches(soc.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    yield Complaint("soc", f"platform {platform} has no soc {soc!r}", f"`platform: {other}` has it" if other else hint)

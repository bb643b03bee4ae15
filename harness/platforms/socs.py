"""SoCs that each platform knows by name; light, for reading an inventory. Their facts are in the platform's files."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness import platforms
from harness.platforms.base import PlatformVendor

# platform -> names; () where any will do. Tests hold these to the tables of the platforms.
KNOWN: Mapping[str, tuple[str, ...]] = {
    name: socs for part in platforms.ROOMS.values() for name, socs in part.socs.items()
}


def known_of(platform: str) -> tuple[str, ...]:
    """The SoCs of a platform, a package's too; () where any will do."""
    part = platforms.part_of(platform)
    return part.socs.get(platform, ()) if part else ()


def plain_name(platform: str, soc: str) -> str:
    """The known name that is meant: `RDK-X5` is x5, `t40xp` is t40, `T41-LQ` is t41; "" for one that is not known."""
    part = platforms.part_of(platform)
    return _plain(part, part.socs.get(platform, ()), soc) if part else ""


def _plain(part: PlatformVendor, known: tuple[str, ...], soc: str) -> str:
    words = [word for room in (*platforms.ROOMS.values(), part) for word in room.board_words]
    word = re.sub(rf"^(?:{'|'.join(map(re.escape, words))})[-_ ]*", "", soc.strip().lower())
    if word in known:
        return word
    ending = part.soc_ending
    return next((name for name in known if ending and re.fullmatch(name + ending, word)), "")


def platform_of(soc: str) -> str:
    """The platform that knows this SoC; "" where none does."""
    return next((name for name in (*KNOWN, *platforms.added()) if plain_name(name, soc)), "")

"""SoCs that each platform knows by name; light, for reading an inventory. Their facts are in the platform's files."""

from __future__ import annotations

import re
from collections.abc import Mapping

# platform -> names; () where any will do. Tests hold these to the tables of the platforms.
KNOWN: Mapping[str, tuple[str, ...]] = {
    "hbdnn": ("x3", "j3", "x5", "j5", "ultra"),
    "ucp": ("j6e", "j6m", "j6p", "j6h", "j6b", "s100", "s100p", "s600"),
    "magik": ("t40", "t41", "x2500", "t02", "a1"),
    "ort": (),
}
_BOARD_WORDS = re.compile(r"^(?:rdk|horizon|d-robotics|drobotics|ingenic|journey|sunrise)[-_ ]*")


def plain_name(platform: str, soc: str) -> str:
    """The known name that is meant: `RDK-X5` is x5, `t40xp` is t40, `T41-LQ` is t41; "" for one that is not known."""
    word = _BOARD_WORDS.sub("", soc.strip().lower())
    known = KNOWN.get(platform, ())
    if word in known:
        return word
    if platform == "magik":  # the maker adds letters for memory and package
        return next((name for name in known if re.fullmatch(rf"{name}[a-z]{{0,4}}(?:[-_].*)?", word)), "")
    return ""


def platform_of(soc: str) -> str:
    """The platform that knows this SoC; "" where none does."""
    return next((platform for platform in KNOWN if plain_name(platform, soc)), "")

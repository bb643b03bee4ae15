"""SoCs that each platform knows by name; light, for reading an inventory. Their facts are in the platform's files."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.platforms import ROOMS

# platform -> names; () where any will do. Tests hold these to the tables of the platforms.
KNOWN: Mapping[str, tuple[str, ...]] = {name: socs for part in ROOMS.values() for name, socs in part.socs.items()}
_ENDINGS = {name: part.soc_ending for part in ROOMS.values() for name in part.modules}
_BOARD_WORDS = re.compile(rf"^(?:{'|'.join(re.escape(w) for part in ROOMS.values() for w in part.board_words)})[-_ ]*")


def plain_name(platform: str, soc: str) -> str:
    """The known name that is meant: `RDK-X5` is x5, `t40xp` is t40, `T41-LQ` is t41; "" for one that is not known."""
    word = _BOARD_WORDS.sub("", soc.strip().lower())
    known = KNOWN.get(platform, ())
    if word in known:
        return word
    ending = _ENDINGS.get(platform, "")
    return next((name for name in known if ending and re.fullmatch(name + ending, word)), "")


def platform_of(soc: str) -> str:
    """The platform that knows this SoC; "" where none does."""
    return next((platform for platform in KNOWN if plain_name(platform, soc)), "")

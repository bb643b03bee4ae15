"""Which platform a board is of, by what it shows: every platform's probe is asked, the most certain one wins."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from harness.platforms import ROOMS
from harness.platforms.probing import Guess, Probe, Seen, together

_PROBES: dict[str, ModuleType] = {
    platform: import_module(f"harness.platforms.{room}.{part.probe}")
    for room, part in ROOMS.items()
    for platform in part.modules
}
MARK = "/board.json"  # of a played board
_OWN = Probe(files=(MARK,))


def arguments() -> list[str]:
    """Of probing.SCRIPT, for all platforms."""
    return together([_OWN, *(module.PROBE for module in dict.fromkeys(_PROBES.values()))])


def guesses(seen: Seen) -> list[Guess]:
    """What each platform recognises, the most certain first."""
    found = [module.recognise(seen) for module in dict.fromkeys(_PROBES.values())]
    return sorted((guess for guess in found if guess is not None), key=lambda guess: -guess.certainty)


def heard(guess: Guess, answers: dict[str, str]) -> Guess:
    """The guess with what the board's own programs said to the questions of `ask`."""
    told: Guess = _PROBES[guess.platform].heard(guess, answers)
    return told


def wrong_soc(platform: str, soc: str, told: str, cores: str) -> str:
    """Why the `soc:` of an inventory cannot be this board, or "".

    `told` is what the board calls itself, `cores` the accelerator's cores; "" where it does not say.
    """
    reason: str = _PROBES[platform].wrong_soc(soc, told, cores) if platform in _PROBES else ""
    return reason

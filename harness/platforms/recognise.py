"""Which platform a board is of, by what it shows: every platform's probe is asked, the most certain one wins."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

from harness.errors import ConfigError
from harness.extensions import packages
from harness.platforms import ROOMS, added
from harness.platforms.probing import BoardProbe, Guess, Seen, together

MARK = "/board.json"  # of an emulated board
_OWN = BoardProbe(files=(MARK,))


def _imported(platform: str, module: str) -> ModuleType | None:
    try:
        return import_module(module)
    except Exception as error:  # a package of somebody else raises what it likes
        message = f"platform {platform!r}: {module} cannot be loaded: {type(error).__name__}: {error}"
        packages.leave_out(ConfigError(message, "repair or uninstall its package"))
        return None


@cache
def _probes() -> dict[str, ModuleType]:
    """The module that recognises each platform's boards, those of packages too."""
    own = {
        platform: import_module(f"harness.platforms.{room}.{part.probe}")
        for room, part in ROOMS.items()
        for platform in part.modules
        if part.probe
    }
    others = {name: part.probe for name, part in added().items() if part.probe}
    imported = {name: _imported(name, probe) for name, probe in others.items()}
    return own | {name: module for name, module in imported.items() if module is not None}


def arguments() -> list[str]:
    """Of probing.SCRIPT, for all platforms."""
    return together([_OWN, *(module.PROBE for module in dict.fromkeys(_probes().values()))])


def guesses(seen: Seen) -> list[Guess]:
    """What each platform recognises, the most certain first."""
    candidates = [module.recognise(seen) for module in dict.fromkeys(_probes().values())]
    return sorted((guess for guess in candidates if guess is not None), key=lambda guess: -guess.certainty)


def heard(guess: Guess, answers: dict[str, str]) -> Guess:
    """The guess with what the board's own programs said to the questions of `ask`."""
    guessed: Guess = _probes()[guess.platform].heard(guess, answers)
    return guessed


def wrong_soc(platform: str, soc: str, reported: str, cores: str) -> str:
    """Why the `soc:` of an inventory cannot be this board, or "".

    `reported` is what the board calls itself, `cores` the accelerator's cores; "" where it does not say.
    """
    probe = _probes().get(platform)
    reason: str = probe.wrong_soc(soc, reported, cores) if probe else ""
    return reason

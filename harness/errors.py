"""The error tree. Every error says what, where and with which value; the hint is the next thing to type.

    HarnessError
    ├── AskedWrongly            exit 2: you can act (usage, config, bad file)
    │   ├── ConfigError         a file that people write: hosts.yaml, policy.yaml, suite.yaml
    │   └── InputError          a model, input, reference or dump on this PC
    └── CouldNotMeasure         exit 3: the measurement could not be made
        ├── HostError           this PC lacks something (sshd, qemu, space)
        ├── LinkError           the way to the board; names user@host:port and what was being done
        │   ├── HostKeyError    unknown or changed host key
    │   └── LoginError      the board answers, and refuses the login
        ├── AgentError          the agent on the board answered nonsense or refused
        ├── BoardError          the board lacks something (space, tool, memory), or is leased or rebooted
        └── ToolError           the vendor's tool failed, hung or left no result

A difference between board and PC is a value (exit 1), never an exception.
"""

from __future__ import annotations

from pathlib import Path

GOOD = 0
MEASURED_BAD = 1
ASKED_WRONGLY = 2
COULD_NOT_MEASURE = 3


class HarnessError(Exception):
    """Root of all errors that a user is meant to read; anything else that escapes is a bug."""

    exit_code = COULD_NOT_MEASURE
    run_folder: Path | None = None  # set where a run folder was begun: what was measured is in it

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class AskedWrongly(HarnessError):
    exit_code = ASKED_WRONGLY


class ConfigError(AskedWrongly):
    pass


class InputError(AskedWrongly):
    pass


class CouldNotMeasure(HarnessError):
    exit_code = COULD_NOT_MEASURE


class HostError(CouldNotMeasure):
    pass


class LinkError(CouldNotMeasure):
    pass


class HostKeyError(LinkError):
    pass


class LoginError(LinkError):
    pass


class AgentError(CouldNotMeasure):
    pass


class BoardError(CouldNotMeasure):
    pass


class ToolError(CouldNotMeasure):
    pass

"""The error tree. Every error says what, where and with which value; the hint is the next thing to type.

    HarnessError
    ├── UserError            exit 2: you can act (usage, config, bad file)
    │   ├── ConfigError         a file that people write: hosts.yaml, policy.yaml, suite.yaml
    │   └── InputError          a model, input, reference or dump on this PC
    └── MeasurementError         exit 3: the measurement could not be made
        ├── HostError           this PC lacks something (sshd, qemu, space)
        ├── LinkError           the way to the board; names user@host:port and what was being done
        │   ├── HostKeyError    unknown or changed host key
    │   └── LoginError      the board answers, and refuses the login
        ├── AgentError          the agent on the board answered nonsense or refused
        ├── BoardError          the board lacks something (space, tool, memory), or is leased or rebooted
        │   └── BoardInUseError    somebody else has it, says who manages it
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


class UserError(HarnessError):
    """The user asked for what cannot be: exit code 2."""

    exit_code = ASKED_WRONGLY


class ConfigError(UserError):
    """A file that people write, an option or an inventory is wrong."""


class InputError(UserError):
    """A file or value that was given does not fit, or is not there."""


class MeasurementError(HarnessError):
    """What was asked is fine, and could not be done: exit code 3."""

    exit_code = COULD_NOT_MEASURE


class HostError(MeasurementError):
    """This PC lacks something: a program, space, a right."""


class LinkError(MeasurementError):
    """The link to the board failed, or does not come up."""


class HostKeyError(LinkError):
    """The board's host key is not known, or is another one than before."""


class LoginError(LinkError):
    """The board does not let us in."""


class AgentError(MeasurementError):
    """harness's agent on the board failed, or what it answers is no answer."""


class BoardError(MeasurementError):
    """The board cannot do what is wanted: no space, another's lease, a lost run, files that do not hold still."""


class BoardInUseError(BoardError):
    """Somebody else has the board, says who manages it."""


class ToolError(MeasurementError):
    """The vendor's tool failed on the board, or printed without end."""

"""A board's own environment and folders around a command of its platform."""

from __future__ import annotations

import dataclasses

from harness.records import CommandEnvironment, Invocation


def board_environment(around: CommandEnvironment, libraries: tuple[str, ...], invocation: Invocation) -> Invocation:
    """The board's own environment and library folders, under what the platform asks for."""
    environment = dict(around.variables)
    if libraries:
        environment["HARNESS_LIBRARIES"] = ":".join(libraries)  # the agent puts it before LD_LIBRARY_PATH
    if around.tools:
        environment["HARNESS_PATH"] = ":".join(around.tools)  # likewise, before PATH
    return dataclasses.replace(invocation, environment=environment | invocation.environment)

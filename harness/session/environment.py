"""A board's own environment and folders around a command of its platform."""

from __future__ import annotations

import dataclasses

from harness.records import Board, Invocation


def with_paths(board: Board, invocation: Invocation) -> Invocation:
    """The board's own environment and library folders, under what the platform asks for."""
    environment = dict(board.environment)
    if board.libraries:
        environment["HARNESS_LIBRARIES"] = ":".join(board.libraries)  # the agent puts it before LD_LIBRARY_PATH
    if board.tools:
        environment["HARNESS_PATH"] = ":".join(board.tools)  # likewise, before PATH
    return dataclasses.replace(invocation, environment=environment | invocation.environment)

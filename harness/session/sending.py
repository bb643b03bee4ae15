"""Files of one run to its board: into the agent's cache, or through a folder that both sides see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.agent import Agent, Put
from harness.records import Board
from harness.session import shared_folder

Tell = Callable[[str, int, int], None]  # (what is being done, done, total or -1)


def reserve(agent: Agent, board: Board, paths: Sequence[Path]) -> None:
    """Make room for all files of a run together. Errors: as Agent.reserve; none for a shared folder, this PC's disk."""
    if not board.shared_folder[0]:
        agent.reserve(paths)


def put(agent: Agent, board: Board, path: Path, tell: Tell) -> Put:
    """Bring one file to where the board reads it. Errors: as Agent.put_file or shared.put."""
    if board.shared_folder[0]:
        return shared_folder.put(path, board.shared_folder, agent.transport)
    return agent.put_file(path, lambda done, total: tell(f"pushing {path.name}", done, total))

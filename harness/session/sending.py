"""Files of one run to its board: into the agent's cache, or through a folder that both sides see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.agent import Agent, Put
from harness.records.callbacks import ProgressCallback
from harness.session import shared_folder

SharedFolder = tuple[str, str]  # on this PC, and the same on the board; ("", "") where there is none


def reserve(agent: Agent, shared: SharedFolder, paths: Sequence[Path]) -> None:
    """Make room for all files of a run together. Errors: as BoardCache.reserve; none for a shared folder."""
    if not shared[0]:
        agent.cache.reserve(paths)


def put(agent: Agent, shared: SharedFolder, path: Path, tell: ProgressCallback) -> Put:
    """Bring one file to where the board reads it. Errors: as BoardCache.put_file or shared.put."""
    if shared[0]:
        return shared_folder.put(path, shared, agent.link.transport)
    return agent.cache.put_file(path, lambda completed, total: tell(f"pushing {path.name}", completed, total))


def recheck(agent: Agent, shared: SharedFolder, sent: Mapping[Path, Put], tell: ProgressCallback) -> dict[Path, Put]:
    """Hash files that were put on the board once more, there; those that were damaged or gone, which are sent again.

    Errors: as `put`.
    """
    if shared[0]:
        again = {path: shared_folder.put(path, shared, agent.link.transport) for path in sent}
        return {path: it for path, it in again.items() if it.damaged}
    bad = {it.path for it in agent.cache.no_longer_whole(list(sent.values()))}
    return {path: put(agent, shared, path, tell) for path, it in sent.items() if it.path in bad}

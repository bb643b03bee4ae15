"""Did a board compute with what this PC sent? Its copies are hashed once more where a result is in doubt."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.agent import Agent, Put
from harness.errors import BoardError
from harness.records import FileIdentity, Rehashed
from harness.records.callbacks import ProgressCallback
from harness.session import sending, unchanged
from harness.session.record import RunFile
from harness.session.sending import SharedFolder

STEP = "verifying the board's files"


class Copies:
    """The files of one run on its board. Each is hashed once more at most; one that had to be sent again, twice."""

    def __init__(
        self, agent: Agent, shared: SharedFolder, record: RunFile, tell: ProgressCallback, files: Sequence[FileIdentity]
    ) -> None:
        self._files = files  # of this PC, as they were when the run began
        self._agent, self._shared, self._record, self._tell = agent, shared, record, tell
        self._unchecked: dict[Path, Put] = {}
        self._replaced: set[str] = set()

    def reserve(self, paths: Sequence[Path]) -> None:
        """Make room for all of these together. Errors: as `sending.reserve`."""
        sending.reserve(self._agent, self._shared, paths)

    def put(self, path: Path) -> Put:
        """Bring a file there; a damaged copy that was met on the way is noted in the record."""
        put = sending.put(self._agent, self._shared, path, self._tell)
        unchanged.refuse_other_bytes(self._files, path, put, self._record.run)
        self._unchecked[path] = put
        if put.damaged:
            self._record.note(f"{put.name}: the cached copy on the board was damaged, and was sent again before use")
        return put

    def replaced(self, reason: str) -> bool:
        """Hash what was not hashed since it was sent, and send again what is damaged or gone; whether there was any.

        The record gets the time, the files and a note that begins with `doubt`. Errors: LinkError, AgentError;
        BoardError for a file that is damaged again.
        """
        if not self._unchecked:
            return False
        self._tell(STEP, 0, -1)
        began = time.monotonic()
        checked, self._unchecked = self._unchecked, {}
        again = sending.recheck(self._agent, self._shared, checked, self._tell)
        for path, put in again.items():
            unchanged.refuse_other_bytes(self._files, path, put, self._record.run)
        self._account(checked, again, time.monotonic() - began)
        names = ", ".join(put.name for put in again.values())
        if any(put.path in self._replaced for put in again.values()):
            raise BoardError(
                f"{self._record.run.board.name}: {names}: damaged on the board, sent again, and damaged "
                "again in the same run",
                "check the board's storage and memory, and that nothing else writes to the work folder",
            )
        self._replaced |= {put.path for put in again.values()}
        self._unchecked = {path: put for path, put in checked.items() if put.path in self._replaced}
        if again:
            self._record.note(f"{reason}: the board's copy of {names} was damaged; sent again, affected modes repeated")
        return bool(again)

    def _account(self, checked: dict[Path, Put], again: dict[Path, Put], seconds: float) -> None:
        self._record.add_time(STEP, seconds)
        before = self._record.run.rehashed or Rehashed()
        rehashed = Rehashed(
            before.files + len(checked),
            before.size_bytes + sum(put.size_bytes for put in checked.values()),
            (*before.damaged, *(put.name for put in again.values())),
        )
        self._record.run = replace(self._record.run, rehashed=rehashed)

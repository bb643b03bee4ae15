"""The application's own load on the board while modes run (`--beside`): started before them, surely stopped after.

It is a job of the board's agent as every mode is: the board itself ends it, with all that it started, when its time
limit is over, when the run's folder is removed, and when it is stopped here.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import PurePosixPath

from harness.agent import Agent, RunState
from harness.errors import BoardError, HarnessError, LinkError, ToolError
from harness.records import BoardIdentity, CommandEnvironment, Failure, Invocation
from harness.session import record as run_record
from harness.session.environment import board_environment
from harness.session.progress import RunProgress
from harness.session.pulling import Puller

NAME = "beside"  # of its folder, and of its mode in run.json
LOOK_S = 2  # a command that does not stay in the foreground ends sooner


class BesideLoad:
    """The load of one run; "" as its command is none. `place` is the run's folder on the board."""

    def __init__(
        self,
        agent: Agent,
        board: tuple[BoardIdentity, CommandEnvironment],
        progress: RunProgress,
        puller: Puller,
    ) -> None:
        self._agent, (self._board, self._around), self._progress, self._puller = agent, board, progress, puller
        self._command = progress.resume.case.beside
        self._token = ""

    @contextlib.contextmanager
    def running(self, place: str, limit_s: float) -> Iterator[None]:
        """The load runs while this lasts. Errors: ToolError where it ends at once, and those of the agent's jobs."""
        if not self._command:
            yield
            return
        folder = str(PurePosixPath(place) / NAME)
        invocation = Invocation(("sh", "-c", self._command), keep=())
        invocation = board_environment(self._around, self._board.libraries, invocation)
        with self._progress.at("starting the load"):
            self._start(invocation, folder, limit_s)
        try:
            yield
        except LinkError:
            raise  # it goes on with the run that `--resume` picks up, until its time limit
        except BaseException:
            with contextlib.suppress(HarnessError):
                self._stop(folder, invocation)
            raise
        self._stop(folder, invocation)

    def ended(self) -> Failure | None:
        """Why a mode that has just ended did not run under the load; None where the load still runs, or there is
        none."""
        if not self._command:
            return None
        state = self._agent.jobs.poll(self._token)
        return None if state.state == "running" else _ended(state)

    def _start(self, invocation: Invocation, folder: str, limit_s: float) -> None:
        self._end_an_earlier_one(folder)
        self._token = secrets.token_hex(8)
        self._progress.started(NAME, self._token)
        self._agent.jobs.start(invocation, folder, limit_s, token=self._token)
        state = self._agent.jobs.poll(self._token, LOOK_S)
        if state.state != "running":
            self._collect(folder, invocation, state)
            failure = _ended(state)
            log = (self._progress.folder / NAME / "log.txt").read_text("utf-8", "replace").strip()[-300:]
            raise ToolError(f"{failure.message}{f': {log}' if log else ''}", failure.hint)

    def _end_an_earlier_one(self, folder: str) -> None:
        """A resumed run starts its load anew: nobody knows what it did meanwhile."""
        token = self._progress.resume.tokens.get(NAME, "")
        if token:
            with contextlib.suppress(BoardError):  # the board does not know it any more
                self._agent.jobs.stop(token)
            self._agent.files.remove(folder)
        self._progress.forget([NAME])

    def _stop(self, folder: str, invocation: Invocation) -> None:
        with self._progress.at("stopping the load"):
            self._agent.jobs.stop(self._token)
            self._collect(folder, invocation, self._agent.jobs.poll(self._token))

    def _collect(self, folder: str, invocation: Invocation, state: RunState) -> None:
        finished = self._puller.collect(NAME, folder, invocation, state)
        self._progress.forget([NAME])
        self._progress.record.add_mode(run_record.mode_record(NAME, finished, None))
        self._progress.save()


def _ended(state: RunState) -> Failure:
    how = f"exit code {state.exit_code}" if state.state == "done" else state.state.replace("_", " ")
    return Failure(
        "load_ended",
        f"the load of --beside ended after {state.duration_s:.1f} s ({how}): not measured under it",
        "give a command that stays in the foreground until it is stopped; its output is in beside/log.txt",
    )

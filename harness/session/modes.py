"""One mode on the board: started, or picked up where an earlier try left it, and waited for."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from harness.agent import Agent
from harness.errors import BoardError
from harness.platforms.base import Platform
from harness.records import BoardIdentity, CommandEnvironment, Failure, Invocation, Job
from harness.session import record as run_record
from harness.session.alongside.monitors import OPTION as MONITOR
from harness.session.alongside.monitors import Monitors
from harness.session.alongside.sensors import Sensors
from harness.session.environment import board_environment
from harness.session.job import timed_out
from harness.session.progress import RunProgress
from harness.session.pulling import Puller
from harness.session.rehash import Copies


class ModeRunner:
    """Runs modes in `place`, the run's folder on the board."""

    def __init__(
        self,
        agent: Agent,
        board: tuple[BoardIdentity, CommandEnvironment],
        platform: Platform,
        progress: RunProgress,
        copies: Copies,
        sensors: Sensors,
        puller: Puller,
    ) -> None:
        self.place = ""
        self._agent, (self._board, self._around), self._platform, self._progress = agent, board, platform, progress
        self._copies, self._sensors, self._puller = copies, sensors, puller
        self._timeout_s = progress.resume.case.timeout_s
        self.monitors = Monitors(agent, board, platform, progress.record, progress.resume.case.options.get(MONITOR))

    def run(self, mode: str, name: str, job: Job) -> tuple[run_record.ModeRun, Failure | None]:
        """Run a mode; once more where it fails and the board's copies of its files turn out to be damaged."""
        finished = self._start(job, name)
        failure = self._failure(mode, finished)
        if failure is not None and self._copies.replaced(f"{name} failed ({failure.message})"):
            self.forget([name])
            finished = self._start(job, name)
            failure = self._failure(mode, finished)
        return finished, failure

    def forget(self, names: Sequence[str]) -> None:
        """Modes that are to be run again: what they left is no result, here or on the board."""
        for name in names:
            self._agent.files.remove(str(PurePosixPath(self.place) / name))
        self._progress.forget(names)

    def remove_from_board(self, name: str) -> None:
        """What a mode left on the board, once it is here."""
        self._agent.files.remove(str(PurePosixPath(self.place) / name))
        self._progress.finished(name)

    def keep(self, name: str, finished: run_record.ModeRun, failure: Failure | None) -> None:
        """Record how a mode ended."""
        self._progress.record.add_mode(run_record.mode_record(name, finished, failure))
        self._progress.save()

    def _start(self, job: Job, name: str) -> run_record.ModeRun:
        """Run one mode on the board to its end and bring home what it left."""
        folder = str(PurePosixPath(self.place) / name)
        job = replace(job, folder=folder)
        invocation = board_environment(self._around, self._board.libraries, self._platform.invocation(self._board, job))
        with self._progress.at(f"running {name}"), self.monitors.beside(name, self.place, self._timeout_s):
            token = self._picked_up(name)
            if not token and name in self._progress.resume.tokens:
                self._agent.files.remove(folder)  # what an earlier try left there is no result of this one
            token = token or self._started(name, invocation, folder)
            state = self._agent.jobs.wait(
                token, lambda text: self._progress.say(f"running {name}: {text}"), self._timeout_s
            )
            self._sensors.collect(name, token)
        with self._progress.at(f"collecting {name}"):
            return self._puller.collect(name, folder, invocation, state)

    def _started(self, name: str, invocation: Invocation, folder: str) -> str:
        """Start a mode; its token is on disk before the board hears of it, so that no run is lost or doubled."""
        token = secrets.token_hex(8)
        self._progress.started(name, token)
        return self._agent.jobs.start(
            invocation, folder, self._timeout_s, sense_every_s=self._sensors.every_s, token=token
        )

    def _picked_up(self, name: str) -> str:
        """The token of a run of this mode that an earlier try left on the board and that is of use; else ""."""
        token = self._progress.resume.tokens.get(name, "")
        if not token:
            return ""
        try:
            return token if self._agent.jobs.poll(token).state in ("running", "done") else ""
        except BoardError:
            return ""  # the board does not know it (any more)

    def _failure(self, mode: str, finished: run_record.ModeRun) -> Failure | None:
        """The time limit is ours: the platform would only see a tool that was killed."""
        if finished.timed_out:
            return timed_out(self._timeout_s)
        return self._platform.read_failure(mode, finished.code, finished.log, finished.present)

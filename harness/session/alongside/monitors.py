"""A board's own monitor beside a profile run: what it printed is kept with the other sensors, on their clock."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from harness.agent import Agent
from harness.errors import HarnessError, InputError, LinkError
from harness.platforms.base import Platform
from harness.profiling.telemetry import sample_of
from harness.records import BoardIdentity, CommandEnvironment, Invocation
from harness.records.workload import PROFILE_MODE
from harness.session.environment import board_environment
from harness.session.record import RunFile

OPTION = "monitor"  # of a platform: a monitor costs the board time, so it runs where it is asked for
LOG = "log.txt"
MOST_LOG_BYTES = 16 * 2**20
MOST_SAMPLES = 20_000  # of one run

_YES, _NO = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


def is_wanted(value: object) -> bool:
    """Whether `--option monitor=VALUE` asks for a monitor; not given is no. Errors: InputError for other words."""
    word = "false" if value is None else str(value).strip().lower()
    if word not in (*_YES, *_NO):
        raise InputError(f"--option {OPTION}={value}: expected {', '.join(_YES)} or {', '.join(_NO)}", f"{OPTION}=true")
    return word in _YES


class Monitors:
    """The monitors that a board has, one beside each profile run: they exclude each other, so they take turns."""

    def __init__(
        self,
        agent: Agent,
        board: tuple[BoardIdentity, CommandEnvironment],
        platform: Platform,
        record: RunFile,
        wanted: object,
    ) -> None:
        self._is_wanted = is_wanted(wanted)
        self._agent, (self._board, self._around), self._platform, self._record = agent, board, platform, record
        self.present: frozenset[str] = frozenset()  # programs that were found on the board
        self._runs = 0

    @contextlib.contextmanager
    def beside(self, name: str, place: str, timeout_s: float) -> Iterator[None]:
        """A monitor runs while this lasts, where the mode is a profile and the board has one.

        It is no part of the result: what goes wrong with it is noted, and the run goes on.
        """
        argv = self._next() if name.split("-")[0] == PROFILE_MODE else None
        if argv is None:
            yield
            return
        folder = str(PurePosixPath(place) / f"{name}-monitor-{secrets.token_hex(4)}")
        started = self._start(argv, folder, timeout_s)
        try:
            yield
        except LinkError:
            raise  # the board ends it with the run's folder
        except BaseException:
            with contextlib.suppress(HarnessError):
                self._agent.files.remove(folder)
            raise
        if started is not None:
            self._collect(name, argv, folder, *started)

    def _next(self) -> tuple[str, ...] | None:
        if not self._is_wanted:
            return None
        have = [argv for argv in self._platform.monitors(self._board) if argv[0] in self.present]
        if not have:
            self._record.note("--option monitor: the board has none of its platform's monitors")
            return None
        self._runs += 1
        return have[(self._runs - 1) % len(have)]

    def _start(self, argv: tuple[str, ...], folder: str, timeout_s: float) -> tuple[str, float] | None:
        invocation = board_environment(self._around, self._board.libraries, Invocation(argv, keep=(LOG,)))
        try:
            at_s = self._agent.jobs.sense().at_s
            token = self._agent.jobs.start(invocation, folder, timeout_s, log_limit_bytes=MOST_LOG_BYTES)
        except LinkError:
            raise
        except HarnessError as error:
            self._record.note(f"{argv[0]} could not be started: {error.message}")
            return None
        return token, at_s

    def _collect(self, name: str, argv: tuple[str, ...], folder: str, token: str, at_s: float) -> None:
        try:
            self._agent.jobs.stop(token)
            with tempfile.TemporaryDirectory() as scratch:
                stored = self._agent.files.fetch(folder, [LOG], Path(scratch))
                text = (Path(scratch) / stored[LOG]).read_bytes().decode("utf-8", "replace")
            self._agent.files.remove(folder)
        except LinkError:
            raise
        except (HarnessError, KeyError, OSError) as error:
            self._record.note(f"{name}: what {argv[0]} printed could not be read: {error}")
            return
        senses = self._platform.read_monitor(argv[0], text)[:MOST_SAMPLES]
        if not senses:
            self._record.note(f"{name}: {argv[0]} told nothing: {text.strip()[-200:] or 'no output'}")
        self._record.add_samples(
            sample_of(dataclasses.replace(sense, phase=name, t_s=at_s + (sense.t_s or 0.0))) for sense in senses
        )

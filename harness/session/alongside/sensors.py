"""What a board's sensors say before, during and after a run, for run.json.

Of an emulated board only sensors that it plays are read (HARNESS_SYSFS): others would be this PC's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Sequence

from harness.agent import Agent, SensorReading
from harness.errors import BoardError
from harness.platforms.base import Platform
from harness.profiling.telemetry import hottest, sample_of, sense_of_words
from harness.records import SensorSample
from harness.records.callbacks import LogCallback
from harness.session.record import RunFile
from harness.transports.base import CommandTimeout

STATUS_TIMEOUT_S = 20.0  # the tool waits a second or two between its looks
COOL_LOOK_S = 5.0
SENSE_EVERY_S = 1.0  # one sysfs sweep costs a few milliseconds of a small core


class HotBoardError(BoardError):
    """The board did not cool down in the time that it was given."""


@dataclasses.dataclass(frozen=True)
class Sensors:
    """The sensors of one board in one run; `emulated`: it has none of its own.

    `record` is its run.json, `timeout_s` the time limit of a mode.
    """

    agent: Agent
    emulated: bool
    platform: Platform
    record: RunFile
    timeout_s: float
    interval_s: float = SENSE_EVERY_S

    @property
    def every_s(self) -> float:
        """How often the agent looks during a mode; 0 for an emulated board without any."""
        return self.interval_s if not self.emulated else 0.0

    def look(self, phase: str) -> None:
        """One look at sysfs, and at the board's own status tool."""
        if self.every_s:
            self._keep(phase, [self.agent.jobs.sense()])
            self._ask_status(phase)

    def wait_until_cool(self, start_c: float | None, cool_s: float, say: LogCallback) -> None:
        """Wait until the board's hottest sensor is at `start_c` at most: a hot board measures its cooler.

        A board that tells no temperature, and an emulated one, is not waited for. Errors: HotBoardError after `cool_s`.
        """
        if start_c is None or not self.every_s:
            return
        ends_at = time.monotonic() + cool_s
        while (now := hottest([sense_of_words(self.agent.jobs.sense().values)])) is not None and now[1] > start_c:
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                raise HotBoardError(
                    f"the board stayed too hot: {now[0]} at {now[1]:g} C after {cool_s:g} s, wanted {start_c:g}",
                    "cool it, or raise `start_c` of the case",
                )
            say(f"cooling down: {now[0]} is at {now[1]:g} C, wanted {start_c:g} C")
            time.sleep(min(COOL_LOOK_S, max(0.1, left_s)))

    def clocks(self) -> None:
        """Governors and highest frequencies."""
        if self.every_s:
            clocks = self.agent.jobs.clocks()
            governors, most = clocks.governors, clocks.max_clocks_mhz
            run = self.record.run
            telemetry = dataclasses.replace(run.telemetry, governors=governors, max_clocks_mhz=most)
            self.record.run = dataclasses.replace(run, telemetry=telemetry)

    def collect(self, phase: str, token: str) -> None:
        """What was sampled during a run."""
        if self.every_s:
            self._keep(phase, self.agent.jobs.samples(token))

    def _ask_status(self, phase: str) -> None:
        """The board's own status tool, beside sysfs; many images lack it, and then nothing is kept."""
        if not self.platform.status_command:
            return
        with contextlib.suppress(CommandTimeout):
            result = self.agent.lease.run_guarded(self.platform.status_command, STATUS_TIMEOUT_S)
            text = result.out.decode("utf-8", "replace")
            samples = self.platform.read_status(text) if result.code == 0 else ()
            self.record.add_samples(sample_of(dataclasses.replace(sense, phase=phase)) for sense in samples)

    def _keep(self, phase: str, samples: Sequence[SensorReading]) -> None:
        if len(samples) > self.timeout_s / SENSE_EVERY_S + 100:  # one a second until the time limit, and some
            self.record.note(f"{phase}: {len(samples)} implausible sensor samples discarded")
            samples = []
        self.record.add_samples(SensorSample(sample.at_s, phase, sample.values) for sample in samples)

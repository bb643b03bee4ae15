"""How far one run is: its run.json, what it takes to be resumed, and the step that it is at."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import COULD_NOT_MEASURE
from harness.records import Verdict
from harness.records.callbacks import ProgressCallback
from harness.runs import folder as store
from harness.runs.resume import Resume
from harness.runs.resume import save as save_resume
from harness.session import record as run_record


class RunProgress:
    """One run in its folder. `record` and `resume` grow with its steps, and `save` writes both."""

    def __init__(self, folder: Path, tell: ProgressCallback, record: run_record.RunFile, resume: Resume) -> None:
        self.folder, self.tell, self.record, self.resume = folder, tell, record, resume
        self.step = "starting"
        self._began = time.monotonic()
        self._kept: Resume | None = None  # as resume.json holds it
        self.save()

    def say(self, text: str) -> None:
        """What is being done, where nobody knows how long it takes."""
        self.tell(text, 0, -1)

    @contextlib.contextmanager
    def at(self, step: str) -> Iterator[None]:
        """Mark where we are, so that an interrupted run says where it stopped, and time the step."""
        self.step = step
        self.record.run = replace(self.record.run, stopped_at=step)  # a run whose process was killed says where, too
        self.say(step)
        began = time.monotonic()
        yield
        self.record.add_time(step, time.monotonic() - began)
        self.save()

    def started(self, mode: str, token: str) -> None:
        """A mode is about to start; its token is on disk before the board hears of it."""
        self.resume = self.resume.started(mode, token)
        self.save()

    def finished(self, mode: str) -> None:
        """Nothing of a mode is on the board any more."""
        kept = {name: token for name, token in self.resume.tokens.items() if name != mode}
        self.resume = replace(self.resume, tokens=kept)
        self.save()

    def forget(self, modes: Sequence[str]) -> None:
        """Modes that are to be run again: what they left is no result."""
        kept = {name: token for name, token in self.resume.tokens.items() if name not in modes}
        self.resume = replace(self.resume, tokens=kept)
        self.record.drop_modes(modes)
        self.save()

    def stop(self, state: str, message: str, hint: str) -> None:
        """Close the record: complete, failed or interrupted, and where."""
        self.record.run = replace(
            self.record.run,
            state=state,
            stopped_at="" if state == "complete" else self.step,
            finished_utc=run_record.now(),
            duration_s=round(time.monotonic() - self._began, 6),
        )
        if message:
            problems = (*self.record.run.problems, f"{message} ({hint})" if hint else message)
            verdict = Verdict("not_measured", message, COULD_NOT_MEASURE)
            self.record.run = replace(self.record.run, problems=problems, verdict=verdict)
        store.free_reserve(self.folder)  # where this PC's disk is full, this is the room for how the run ended
        self.save()

    def save(self) -> None:
        """Write both. Errors: OSError with the path."""
        self.record.save()
        if self.resume != self._kept:
            save_resume(self.folder, self.resume)  # until the run is judged: see review.judge
            self._kept = self.resume

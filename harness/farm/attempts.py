"""One attempt of a job as who submitted it sees it: what Dask says, what the database says, and who waits for both."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.errors import HostError
from harness.history.farm_jobs import ENDED, LOST, MEASURED, FarmJobs, JobPlace, JobRow
from harness.records.callbacks import LogCallback

LOOK_S = 0.5
LOOK_SHARE = 20  # looking takes no more than one part in so many of this process's time, however large the night is
LONGEST_LOOK_S = 3.0  # between two looks
UNBEGUN, REFUSED = "unbegun", "refused"  # states of an attempt, beside those of its row
_ORDER = ("", "running", MEASURED, ENDED, LOST, REFUSED, UNBEGUN)
LOOKS_WITHOUT_ROW = 2  # after Dask gave a job up, before it is taken for not begun


@dataclass
class Attempt:
    """States only rise: running, measured, ended; or lost, refused, unbegun."""

    place: JobPlace
    board: str
    state: str = ""
    why: str = ""  # of "refused"
    has_failed: bool = False  # a tool did, so its board is in doubt until it is judged
    worker: str = ""
    is_given_up: bool = False  # by Dask
    looks: int = 0  # at the database since then, in which it had no row
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def rise(self, state: str) -> None:
        """Take a newer state; whoever waits hears of it."""
        with self._changed:
            if _ORDER.index(state) > _ORDER.index(self.state) and self.state not in (ENDED, LOST):
                self.state = state
                self._changed.notify_all()

    def wait(self, states: tuple[str, ...], limit_s: float) -> bool:
        """Whether it has one of these states, waiting so long for it."""
        with self._changed:
            return self._changed.wait_for(lambda: self.state in states, limit_s)


class Watcher:
    """Looks into the database for all attempts of a night, in one thread, until it is ended."""

    def __init__(self, jobs: FarmJobs, night: str, lost_after_s: float, log: LogCallback) -> None:
        self._jobs, self._night, self._lost_after_s, self._log = jobs, night, lost_after_s, log
        self._open: dict[JobPlace, Attempt] = {}
        self._beats: dict[str, tuple[int, float]] = {}
        self._silent_since = time.monotonic()  # nobody is blamed for silence before: the database was away
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="farm", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._over.set()

    def watched(self, attempt: Attempt) -> Attempt:
        """Look for this one too."""
        with self._lock:
            self._open[attempt.place] = attempt
        return attempt

    def dropped(self, attempt: Attempt) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._open.pop(attempt.place, None)

    def _watch(self) -> None:
        took_s = 0.0
        while not self._over.wait(min(LONGEST_LOOK_S, max(LOOK_S, LOOK_SHARE * took_s))):
            began = time.thread_time()
            try:
                rows, beats = self._jobs.rows(self._night), self._jobs.beats()
            except HostError:
                self._silent_since = float("inf")
                continue
            now = time.monotonic()
            self._silent_since = min(self._silent_since, now)
            self._heard(beats, now)
            with self._lock:
                waiting = list(self._open.values())
            by_place = {(row.run_key, row.attempt): row for row in rows}
            for one in waiting:
                self._look(one, by_place.get(one.place), now)
            took_s = time.thread_time() - began

    def _heard(self, beats: Mapping[str, int], now: float) -> None:
        for worker, count in beats.items():
            if self._beats.get(worker, (-1, 0.0))[0] != count:
                self._beats[worker] = (count, now)

    def _look(self, one: Attempt, row: JobRow | None, now: float) -> None:
        if row is None:
            one.looks += one.is_given_up
            if one.looks > LOOKS_WITHOUT_ROW:
                one.rise(UNBEGUN)
            return
        one.worker, one.has_failed = row.worker, row.failed or one.has_failed
        one.rise(row.state)
        heard_at = self._beats.get(row.worker, (0, 0.0))[1]
        silent_s = now - max(heard_at, self._silent_since)
        if row.state not in (ENDED, LOST) and silent_s > self._lost_after_s:
            self._lose(one, silent_s)

    def _lose(self, one: Attempt, silent_s: float) -> None:
        try:
            is_lost = self._jobs.give_up(one.place)
        except HostError:
            return
        if is_lost:
            self._log(
                f"{one.board}: worker {one.worker} gave no sign for {silent_s:.0f} s: attempt {one.place[1]} lost"
            )
            one.rise(LOST)

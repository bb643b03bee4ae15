"""Whether a night goes on. Every step of every worker asks, so that a stop reaches a board within one look at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

STOPPED, BUDGET = "stopped", "budget"  # of CELL_REASONS
A_LOOK_S = 0.2
JUDGING_S = 60.0  # after a night's budget, for what was measured to be judged


class NightControl:
    """One for the night: stopped by a signal, or by the end of its budget. Times are of the monotonic clock."""

    def __init__(self, budget_s: float) -> None:
        self.began = time.monotonic()
        self._ends_at = self.began + budget_s
        self._stopped = threading.Event()

    def stop(self) -> None:
        """No further case is begun, and those that run are ended: boards are cleaned and freed."""
        self._stopped.set()

    @property
    def over(self) -> str:
        """Why no further case is begun: "stopped", "budget", or "" while the night goes on."""
        return STOPPED if self._stopped.is_set() else BUDGET if time.monotonic() > self._ends_at else ""

    @property
    def judging_over(self) -> str:
        """Why nothing more is judged: as `over`, with JUDGING_S more for what the boards have measured."""
        over = self.over
        return over if over != BUDGET or time.monotonic() > self._ends_at + JUDGING_S else ""

    def pause(self, seconds: float) -> None:
        """Wait; ends at once where the night does."""
        self._stopped.wait(min(seconds, max(0.0, self._ends_at - time.monotonic())))

    @property
    def since_s(self) -> float:
        """Seconds since the night began, or went on."""
        return round(time.monotonic() - self.began, 3)


class CaseClock:
    """The clock of one case: its own budget, and the night's. `tell` is what a session reports its steps to.

    A session ends for a KeyboardInterrupt as it does for Ctrl-C: what runs on the board is stopped and removed, the
    board is given back, and the run can be resumed.
    """

    def __init__(
        self, control: NightControl, budget_s: float, heard: Callable[[str], None], *, is_judging: bool = False
    ) -> None:
        self._control, self._heard, self._is_judging = control, heard, is_judging
        self._ends_at = time.monotonic() + budget_s
        self.over = ""  # why it was ended: one of CELL_REASONS

    def tell(self, what: str, _completed: int, _total: int) -> None:
        """One step. Errors: KeyboardInterrupt, once, where the time is over."""
        self._heard(what)
        if not self.over:
            night = self._control.judging_over if self._is_judging else self._control.over
            self.over = night or (BUDGET if time.monotonic() > self._ends_at else "")
            if self.over:
                raise KeyboardInterrupt

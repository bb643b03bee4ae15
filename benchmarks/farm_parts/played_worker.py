"""`harness farm worker` of a PC whose boards are timers: a session waits, then its run folder is a recorded one.

    python -m benchmarks.farm_parts.played_worker RECORDED_RUN TOOL_S LOG [words of `harness farm worker`]

Everything else is what a user runs: Dask, database, files, archives, the cells of a night.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

from harness.farm import worker
from harness.files import safe
from harness.nightly.cells import CellRunner
from harness.nightly.control import CaseClock
from harness.nightly.pairing import CasePair
from harness.records import Run
from harness.runs.folder import load_run, new_run_folder
from harness.session.judged import MeasuredRun

A_LOOK_S = 2.0
SPREAD = 0.2  # tools take so much less or more, by case and board: a farm's boards do not end in one second


class PlayedRunner(CellRunner):
    """Boards that are timers. What they leave is a run that was measured, judged and reported once."""

    recorded = Path()
    tool_s = 0.0
    log_file = Path()

    def _tried(self, pair: CasePair, clock: CaseClock) -> tuple[Path, MeasuredRun | Run, int]:
        began = time.time()
        tool_s = self.tool_s * (1 + SPREAD * (2 * crc32(f"{pair.case.name} {pair.board.name}".encode()) / 2**32 - 1))
        while (left_s := began + tool_s - time.time()) > 0:
            clock.tell("the tool runs", 0, -1)
            time.sleep(min(A_LOOK_S, left_s))
        ended = time.time()
        folder = new_run_folder(self.folder / self.runs_name, pair.case.name, pair.board.name)
        for name in ("run.json", "report.html"):
            safe.share_file(self.recorded / name, folder / name, self.folder)
        safe.append_file(self.log_file, f"{pair.board.name} {began} {ended}\n".encode(), self.log_file.parent)
        return folder, load_run(folder), 0


def main() -> None:
    recorded, tool_s, log_file, *words = sys.argv[1:]
    PlayedRunner.recorded, PlayedRunner.tool_s = Path(recorded), float(tool_s)
    PlayedRunner.log_file = Path(log_file).absolute()
    played: Any = partial(worker.FarmWorker, runner=PlayedRunner)
    worker.FarmWorker = played  # type: ignore[misc]  # the command makes its worker of this name
    sys.argv = ["harness", "farm", "worker", *words]
    from harness.__main__ import main as harness

    harness()


if __name__ == "__main__":
    main()

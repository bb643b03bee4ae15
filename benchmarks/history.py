"""A history of 100,000 runs: how long its answers take, on SQLite and on PostgreSQL.

    python -m benchmarks.history                                        # SQLite, in a temporary folder
    python -m benchmarks.history --postgres postgresql+psycopg://...    # both; the database is emptied

`history_s_*` is `harness history CASE --board NAME` as a user runs it, start of the program included; `list_s_*` the
list of all pairs; `page_s_*` the trend page of one pair, its reading included. Best of three: the PC is shared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness.history import entering, queries
from harness.history.database import HistoryDatabase, opened
from harness.history.epochs import epochs_of
from harness.history.layers import digest_of, text_of, turns
from harness.records.nights.history import HistoryEntry
from harness.report.nights.trends import render_trend

CASES, BOARDS, LAYERS = 20, 12, 75
TRIES = 3


def results(runs: int) -> list[entering.ReadResult]:
    """Runs of 20 cases on 12 boards, night by night; each hundredth night changes a layer."""
    rows = [[(f"layer{n}", f"{n:032x}", "exact") for n in range(LAYERS)] for _ in range(2)]
    rows[1][40] = ("layer40", "f" * 32, "differs")
    sets = [(digest_of(one), text_of(one)) for one in rows]
    made = []
    for number in range(runs):
        night, place = divmod(number, CASES * BOARDS)
        digest, text = sets[night // 100 % 2]
        day = f"{2024 + night // 336}-{night % 336 // 28 + 1:02d}-{night % 28 + 1:02d}T02:00:00Z"
        entry = HistoryEntry(
            case=f"case{place % CASES}",
            board=f"board{place // CASES}",
            started_utc=day,
            source="benchmark",
            night=f"farm/{night}",
            word="pass",
            epoch=f"e{night // 60}",
            facts={"runtime": f"3.{night // 60}"},
            model_md5=f"{night // 5:032x}",
            median_us=5000.0 * (1 + 0.001 * (number * 7919 % 13 - 6)),
            layers=digest,
            fed="same",
        )
        made.append(entering.ReadResult(entry, text))
    return made


def filled(database: HistoryDatabase, made: list[entering.ReadResult]) -> float:
    """Seconds to take them in."""
    begun = time.perf_counter()
    for first in range(0, len(made), 5000):
        entering.store_results(database, made[first : first + 5000])
    return time.perf_counter() - begun


def best_s(work: Callable[[], object]) -> float:
    """Seconds of the quickest of some tries."""
    times = []
    for _ in range(TRIES):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def command(url: str, folder: Path, *words: str) -> None:
    """`harness history` in a process of its own. Errors: CalledProcessError."""
    argv = [sys.executable, "-m", "harness", "history", *words, "--history", url, "--nights", str(folder)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def page(database: HistoryDatabase) -> str:
    """The trend page of one pair."""
    entries = queries.entries(database, "case3", "board2")
    return render_trend(entries, epochs_of(entries), turns(entries, queries.layer_reader(database)), "0")


def measured(name: str, url: str, made: list[entering.ReadResult], folder: Path) -> dict[str, float]:
    """All figures of one database."""
    with opened(url, anew=True) as database:
        enter_s = filled(database, made)
        page_s = best_s(lambda: page(database))
    figures = {
        "enter_s": enter_s,
        "page_s": page_s,
        "history_s": best_s(lambda: command(url, folder, "case3", "--board", "board2")),
        "list_s": best_s(lambda: command(url, folder)),
    }
    return {f"{key}_{name}": round(value, 3) for key, value in figures.items()}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--postgres", metavar="URL", default="")
    arguments = parser.parse_args()
    made = results(arguments.runs)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        figures = measured("sqlite", f"sqlite:///{folder}/history.sqlite", made, folder)
        if arguments.postgres:
            figures |= measured("postgres", arguments.postgres, made, folder)
    print(json.dumps({"runs": arguments.runs, **figures}, indent=1))


if __name__ == "__main__":
    main()

"""From folders of nights and runs to rows of the index. Folders are untrusted: what cannot be read is counted."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError, InputError
from harness.history.epochs import epoch_of, facts_of, fed_of
from harness.history.layers import digest_of, layers_of, text_of
from harness.profiling.distribution import distribution
from harness.records import Run
from harness.records.callbacks import ProgressCallback
from harness.records.codec import from_json
from harness.records.nights import NIGHT_FORMAT, Cell, Night
from harness.records.nights.history import HistoryEntry
from harness.runs import folder as store

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from harness.history.database import HistoryDatabase

NIGHT_FILE = "night.json"
LARGEST_BYTES = 2**28  # of a night.json
BATCH = 500
RUN_FILE = "run.json"


@dataclass(frozen=True)
class EnteredCount:
    """What a rebuild or a refresh took in."""

    nights: int = 0
    results: int = 0
    unreadable: int = 0


@dataclass(frozen=True)
class ReadResult:
    """One result with the layers that its run left."""

    entry: HistoryEntry
    layers: str = ""  # the stored form


# --------------------------------------------------------------------------- whole folders


def rebuild(database: HistoryDatabase, root: Path, tell: ProgressCallback) -> EnteredCount:
    """Take in every night and every run below `root`; what was of it before is replaced. Errors: InputError."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder", "give the folder of --nights or of --runs, for example nights")
    source = str(root.absolute())
    with database.alone() as connection:
        _forget(connection, source)
    nights, runs = _folders(root)
    count = EnteredCount()
    for place, folder in enumerate(nights):
        tell("nights", place, len(nights))
        count = _added(count, enter_night(database, root, folder))
    waiting: list[ReadResult] = []
    for place, folder in enumerate(runs):
        tell("runs", place, len(runs))
        one = _of_run(root, folder)
        count = replace(count, results=count.results + (one is not None), unreadable=count.unreadable + (one is None))
        waiting += [one] if one else []
        if len(waiting) >= BATCH:
            store_results(database, waiting)
            waiting = []
    store_results(database, waiting)
    return count


def refresh(database: HistoryDatabase, root: Path) -> EnteredCount:
    """Take in the nights `root/<suite>/<utc>` that are new or were written since."""
    from sqlalchemy import select

    from harness.history.schema import NIGHTS

    source = str(root.absolute())
    with database.engine.connect() as connection:
        chosen = select(NIGHTS.c.folder, NIGHTS.c.stamp).where(NIGHTS.c.source == source)
        known: dict[str, str] = {row.folder: row.stamp for row in connection.execute(chosen)}
    count = EnteredCount()
    for file in sorted(root.glob(f"*/*/{NIGHT_FILE}")):
        if known.get(file.parent.relative_to(root).as_posix()) != _stamp(file):
            count = _added(count, enter_night(database, root, file.parent))
    return count


def _folders(root: Path) -> tuple[list[Path], list[Path]]:
    """Folders of nights, and of runs that are in none."""
    nights: list[Path] = []
    runs: list[Path] = []
    for parent, folders, files in os.walk(root):
        folders.sort()
        if NIGHT_FILE in files:
            nights.append(Path(parent))
            folders.clear()
        elif RUN_FILE in files:
            runs.append(Path(parent))
            folders.clear()
    return nights, runs


def _added(count: EnteredCount, results: int | None) -> EnteredCount:
    if results is None:
        return replace(count, unreadable=count.unreadable + 1)
    return replace(count, nights=count.nights + 1, results=count.results + results)


def _forget(connection: Connection, source: str) -> None:
    from sqlalchemy import delete

    from harness.history.schema import NIGHTS, RESULTS

    connection.execute(delete(RESULTS).where(RESULTS.c.source == source))
    connection.execute(delete(NIGHTS).where(NIGHTS.c.source == source))


# --------------------------------------------------------------------------- one night, one run


def enter_night(database: HistoryDatabase, root: Path, folder: Path) -> int | None:
    """Take in one night, in place of what was known of it; how many results, None where it cannot be read."""
    from sqlalchemy import delete, insert, select

    from harness.history.schema import NIGHTS, RESULTS

    file = folder / NIGHT_FILE
    stamp, night = _stamp(file), read_night(file)
    if night is None:
        return None
    source, name = str(root.absolute()), folder.absolute().relative_to(root.absolute()).as_posix()
    results = [result_of_cell(root, folder, night, cell) for cell in night.cells if cell.state == "ended"]
    with database.alone() as connection:
        one = (NIGHTS.c.source == source) & (NIGHTS.c.folder == name)
        old = select(NIGHTS.c.id).where(one)
        connection.execute(delete(RESULTS).where(RESULTS.c.night_id.in_(old)))
        connection.execute(delete(NIGHTS).where(one))
        row = {
            **{"source": source, "folder": name, "stamp": stamp, "night": _cut(night.id, 200)},
            **{"started_utc": _cut(night.started_utc, 40), "state": _cut(night.state, 20)},
            **{"sentence": _cut(night.sentence, 4000), "exit_code": night.exit_code},
        }
        key = connection.execute(insert(NIGHTS).values(row)).inserted_primary_key
        _insert(connection, results, None if key is None else int(key[0]))
    return len(results)


def read_night(file: Path) -> Night | None:
    """A night.json; None where it is none, is damaged or of another format."""
    try:
        if file.stat().st_size > LARGEST_BYTES:
            return None
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("format") != NIGHT_FORMAT:
        return None
    read = from_json(Night, value)
    return None if read is None or read.damage else read.value


def result_of_cell(root: Path, folder: Path, night: Night, cell: Cell) -> ReadResult:
    """A pair of the night in `folder`, which is below `root`, with what its run tells beyond."""
    latency = cell.latency
    sitting = latency.sitting if latency else None
    entry = HistoryEntry(
        case=cell.case,
        board=cell.board,
        started_utc=cell.started_utc or night.started_utc,
        source=str(root.absolute()),
        night=night.id,
        soc=next((board.soc for board in night.boards if board.name == cell.board), ""),
        word=cell.word,
        reason=cell.reason,
        detail=cell.detail,
        consistency=cell.consistency,
        model_md5=cell.model_md5,
        epoch=cell.epoch,
    )
    if latency is not None:
        entry = replace(entry, median_us=latency.median_us, low_us=latency.low_us, high_us=latency.high_us,
                        estimated=latency.estimated, level_us=latency.level_us, percent=latency.percent,
                        alarm=latency.alarm)  # fmt: skip
    if sitting is not None:
        entry = replace(entry, sitting_percent=sitting.percent, sitting_p=sitting.p)
    run = _run_in(folder, cell.run)
    return _with_run(entry, root, folder / cell.run, run) if run is not None else ReadResult(entry)


def _run_in(folder: Path, name: str) -> Run | None:
    """The run of a cell, which is a folder below the night's: a name that leads elsewhere is none."""
    path = Path(os.path.realpath(folder / name)) if name else None
    if path is None or not path.is_relative_to(os.path.realpath(folder)):
        return None
    with suppress(HarnessError, OSError):
        return store.load_run(path)
    return None


def _of_run(root: Path, folder: Path) -> ReadResult | None:
    """A run of its own."""
    try:
        run = store.load_run(folder)
    except (HarnessError, OSError):
        return None
    verdict, case = run.verdict, run.case
    known = distribution(run.profile.latency) if run.profile else None
    entry = HistoryEntry(
        case=case.name,
        board=run.board.name,
        started_utc=run.started_utc,
        source=str(root.absolute()),
        soc=run.board.soc,
        word=verdict.word if verdict else run.state,
        detail=verdict.detail if verdict else "",
        consistency=verdict.word if verdict else "",
        model_md5=case.model.md5 if case.model else "",
        epoch=epoch_of(run),
        median_us=known.median_us if known else run.profile.latency.mean_us if run.profile else None,
        low_us=known.low_us if known else None,
        high_us=known.high_us if known else None,
        estimated=run.profile.estimated if run.profile else False,
    )
    return _with_run(entry, root, folder, run)


def _with_run(entry: HistoryEntry, root: Path, folder: Path, run: Run) -> ReadResult:
    rows = layers_of(run)
    name = os.path.relpath(folder, root)
    entry = replace(entry, folder=name, facts=facts_of(run), layers=digest_of(rows), fed=fed_of(run))
    return ReadResult(replace(entry, soc=entry.soc or run.board.soc), text_of(rows) if rows else "")


# --------------------------------------------------------------------------- into the tables


def store_results(database: HistoryDatabase, results: list[ReadResult]) -> None:
    """Take in results of runs of their own. Errors: SQLAlchemyError."""
    if results:
        with database.alone() as connection:
            _insert(connection, results, None)


def _insert(connection: Connection, results: list[ReadResult], night_id: int | None) -> None:
    from sqlalchemy import insert, select

    from harness.history.schema import LAYER_SETS, RESULTS

    if not results:
        return
    sets = {one.entry.layers: one.layers for one in results if one.entry.layers}
    chosen = select(LAYER_SETS.c.digest).where(LAYER_SETS.c.digest.in_(sets))
    fresh = sets.keys() - {row.digest for row in connection.execute(chosen)}
    if fresh:
        connection.execute(insert(LAYER_SETS), [{"digest": one, "layers": sets[one]} for one in sorted(fresh)])
    connection.execute(insert(RESULTS), [row_of(one.entry, night_id) for one in results])


LIMITS = {"case_name": 200, "board": 200, "started_utc": 40, "night": 200, "soc": 60, "word": 40, "reason": 40}
LIMITS |= {"consistency": 40, "model_md5": 64, "epoch": 40, "alarm": 20, "fed": 40, "detail": 4000, "folder": 500}


def row_of(entry: HistoryEntry, night_id: int | None) -> Mapping[str, object]:
    """An entry as a row; texts of a folder that is not trusted are cut to what a column holds."""
    row = {**vars(entry), "night_id": night_id, "case_name": entry.case, "facts": json.dumps(dict(entry.facts))}
    del row["case"]
    return {key: _cut(value, LIMITS[key]) if key in LIMITS else value for key, value in row.items()}


def _cut(text: object, limit: int) -> str:
    """What every database takes: no NUL, no half of a surrogate pair."""
    return str(text).replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()[:limit]


def _stamp(file: Path) -> str:
    try:
        state = file.stat()
    except OSError:
        return ""
    return f"{state.st_size} {state.st_mtime_ns}"

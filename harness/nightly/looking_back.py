"""A night and the history: the series of its pairs, since when a layer is another one, its models kept, its entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.files import safe
from harness.history import artefacts
from harness.history.accepted import load_accepted, of_pair
from harness.history.epochs import epochs_of
from harness.history.layers import LayerRows, rows_of, turns
from harness.nightly import night_file as files
from harness.nightly.cells import History
from harness.nightly.confirming import kept_models
from harness.nightly.pairing import CasePair
from harness.records.callbacks import LogCallback
from harness.records.nights import Cell, LayerSince, Night
from harness.records.nights.history import AcceptedLevel, HistoryEntry
from harness.regressions.accepting import with_accepted
from harness.report.nights.page import TRENDS
from harness.report.nights.trends import render_trend, trend_file

if TYPE_CHECKING:
    from harness.history.database import HistoryDatabase

LayerReader = Callable[[str], LayerRows]


def series_before(root: Path, night: Night, own: Path, url: str, log: LogCallback) -> History:
    """The earlier nights of every pair of this suite, oldest first. An index that is away costs a line of the log: the
    nights' own files are read then."""
    from harness.history import entering, queries
    from harness.history.database import opened, url_of

    try:
        with opened(url_of(root, url)) as database:
            entering.refresh(database, root)
            places = dict.fromkeys((cell.case, cell.board) for cell in night.cells)
            results_by_pair = {place: queries.entries(database, *place, suite=night.suite) for place in places}
    except (HarnessError, OSError) as error:
        log(f"history: {error}: the nights' own files are read")
        return _with_accepted(root, files.earlier(root, night.suite, own), log)
    series = {
        place: queries.points_of([one for one in results if one.night != night.id])
        for place, results in results_by_pair.items()
    }
    return _with_accepted(root, series, log)


def _with_accepted(root: Path, series: History, log: LogCallback) -> History:
    """From the levels on that people accepted. A file that cannot be read costs a line of the log: none is then."""
    try:
        levels = load_accepted(root)
    except HarnessError as error:
        log(f"{error.message}: no level is accepted")
        return series
    return {place: with_accepted(points, of_pair(levels, *place)) for place, points in series.items()}


def with_layers_since(night: Night, root: Path, folder: Path, url: str, log: LogCallback) -> Night:
    """The night; of every pair that differs, since when its first changed layer is as it is."""
    from harness.history import entering, queries
    from harness.history.database import opened, url_of

    if not any(cell.word == "differs" for cell in night.cells):
        return night
    cells: list[Cell] = []
    try:
        with opened(url_of(root, url)) as database:
            for cell in night.cells:
                if cell.word != "differs":
                    cells.append(cell)
                    continue
                now = entering.result_of_cell(root, folder, night, cell)
                earlier = queries.entries(database, cell.case, cell.board, suite=night.suite)
                reader = queries.layer_reader(database)
                rows = rows_of(now.layers)
                since = _since([one for one in earlier if one.night != night.id], now.entry, rows, reader)
                cells.append(replace(cell, changed=since))
    except (HarnessError, OSError) as error:
        log(f"history: {error}: since when layers changed is not known")
        return night
    return replace(night, cells=tuple(cells))


def _since(
    earlier: Sequence[HistoryEntry], now: HistoryEntry, rows: LayerRows, reader: LayerReader
) -> LayerSince | None:
    """The newest change that tonight still shows; None where no earlier night has other layers."""

    def read(digest: str) -> LayerRows:
        return rows if digest == now.layers else reader(digest)

    changes = turns([*earlier, now], read)
    if not changes:
        return None
    last = changes[-1]
    hashes = {name: md5 for name, md5, _ in rows}
    if hashes.get(last.layer) != last.after:
        return None
    return LayerSince(last.layer, last.first.night or last.first.started_utc, last.layers_changed, last.changed)


def remembered(
    night: Night, pairs: Sequence[CasePair], folder: Path, url: str, days: int, log: LogCallback
) -> set[str]:
    """Keep the models of a night, let those go that are too old, enter the night, and write the trend pages.

    Gives the names of the pages, which are in the night's folder `trends`. Trouble is logged, no more.
    """
    from harness.history import entering, queries
    from harness.history.database import opened, url_of

    root = folder.parents[1]
    if days:
        for problem in kept_models(night.cells, pairs, lambda model, md5: artefacts.keep(root, model, md5)):
            log(problem)
    try:
        with opened(url_of(root, url)) as database:
            entering.refresh(database, root)
            wanted = queries.newest_models(database, str(root.absolute()), days)
            artefacts.prune(root, wanted)
            return set(_trends(database, night, folder))
    except (HarnessError, OSError) as error:
        log(f"history: {error}: the night enters it later")
    return set()


def _trends(database: HistoryDatabase, night: Night, folder: Path) -> Iterator[str]:
    """Writes the page of every pair whose latency was judged. Errors: OSError."""
    from harness.history import queries

    reader = queries.layer_reader(database)
    accepted: list[AcceptedLevel] = []
    with suppress(HarnessError):  # the log has said so already
        accepted = load_accepted(folder.parents[1])
    for cell in night.cells:
        if cell.latency is None or not cell.latency.sentence:
            continue
        results = queries.entries(database, cell.case, cell.board, suite=night.suite)
        if results:
            name = trend_file(cell.case, cell.board)
            levels = [
                one for one in of_pair(accepted, cell.case, cell.board) if one.night.startswith(f"{night.suite}/")
            ]
            page = render_trend(results, epochs_of(results), turns(results, reader), night.harness_version, levels)
            safe.write_file(folder / TRENDS / name, page.encode("utf-8", "backslashreplace"), folder)
            yield name

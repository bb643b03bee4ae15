"""What the history is asked for. Every answer comes from the index alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.history.layers import LayerRows, rows_of
from harness.records.nights.history import AcceptedLevel, HistoryEntry, PairSummary
from harness.regressions import finding
from harness.regressions.finding import CanFind
from harness.regressions.gate import LEAST_CHANGE_US
from harness.regressions.series import NightPoint

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row, Select

    from harness.history.database import HistoryDatabase

MOST_ENTRIES = 400  # of one pair, the newest


def pairs(database: HistoryDatabase, case: str = "", board: str = "") -> list[PairSummary]:
    """Every pair of case and board with its newest result, by name."""
    from sqlalchemy import func, select

    from harness.history.schema import RESULTS

    group = (RESULTS.c.case_name, RESULTS.c.board)
    chosen = select(
        *group,
        func.count().label("results"),
        func.min(RESULTS.c.started_utc).label("first_utc"),
        func.max(RESULTS.c.started_utc).label("last_utc"),
    )
    for condition in _conditions(case, board):
        chosen = chosen.where(condition)
    with database.engine.connect() as connection:
        rows = connection.execute(chosen.group_by(*group).order_by(*group)).all()
        return [_summary(row, connection.execute(_newest(row)).first()) for row in rows]


def _newest(row: Row[tuple[object, ...]]) -> Select[tuple[object, ...]]:
    from sqlalchemy import select

    from harness.history.schema import RESULTS

    chosen = select(RESULTS.c.word, RESULTS.c.median_us).where(*_conditions(row.case_name, row.board))
    return chosen.order_by(RESULTS.c.started_utc.desc(), RESULTS.c.id.desc()).limit(1)


def _summary(row: Row[tuple[object, ...]], newest: Row[tuple[object, ...]] | None) -> PairSummary:
    word, median_us = (newest.word, newest.median_us) if newest is not None else ("", None)
    return PairSummary(row.case_name, row.board, row.results, row.first_utc, row.last_utc, word, median_us)


def _conditions(case: str, board: str) -> list[ColumnElement[bool]]:
    from harness.history.schema import RESULTS

    wanted = [RESULTS.c.case_name == case] if case else []
    return [*wanted, RESULTS.c.board == board] if board else wanted


def entries(
    database: HistoryDatabase, case: str, board: str, most: int = MOST_ENTRIES, suite: str = ""
) -> list[HistoryEntry]:
    """The newest `most` results of one pair, oldest first; with `suite` those of its nights only."""
    from sqlalchemy import select

    from harness.history.schema import RESULTS

    chosen = select(RESULTS).where(*_conditions(case, board))
    if suite:
        chosen = chosen.where(RESULTS.c.night.startswith(f"{suite}/", autoescape=True))
    chosen = chosen.order_by(RESULTS.c.started_utc.desc(), RESULTS.c.id.desc()).limit(most)
    with database.engine.connect() as connection:
        rows = connection.execute(chosen).mappings().all()
    return [_entry(dict(row)) for row in reversed(rows)]


def _entry(row: Mapping[Any, Any]) -> HistoryEntry:
    names = set(HistoryEntry.__dataclass_fields__) - {"case", "facts"}
    known = {name: row[name] for name in names}
    return HistoryEntry(case=str(row["case_name"]), facts=_facts(str(row["facts"])), **known)


def _facts(text: str) -> dict[str, str]:
    value = json.loads(text or "{}")
    return {str(key): str(one) for key, one in value.items()} if isinstance(value, dict) else {}


def layer_reader(database: HistoryDatabase) -> Callable[[str], LayerRows]:
    """Gives the layers of a digest; each is read once."""
    from sqlalchemy import select

    from harness.history.schema import LAYER_SETS

    known: dict[str, LayerRows] = {}

    def read(digest: str) -> LayerRows:
        if digest not in known:
            with database.engine.connect() as connection:
                chosen = select(LAYER_SETS.c.layers).where(LAYER_SETS.c.digest == digest)
                known[digest] = rows_of(str(connection.execute(chosen).scalar() or ""))
        return known[digest]

    return read


def points_of(results: Sequence[HistoryEntry]) -> list[NightPoint]:
    """The nights of a pair that are points of its series: measured, in order, with their words."""
    return [
        NightPoint(one.night, one.median_us, one.epoch, one.model_md5, one.word, one.alarm)
        for one in results
        if one.night and one.median_us is not None and one.word not in ("", "unmeasured")
    ]


def can_find(results: Sequence[HistoryEntry], accepted: Sequence[AcceptedLevel]) -> CanFind | None:
    """The smallest change that the next night of a pair could show; None where it has no latency yet."""
    points = points_of(results)
    floor_us = 0.0 if any(one.estimated for one in results[-1:]) else LEAST_CHANGE_US
    return finding.can_find(points, accepted, floor_us=floor_us)


def newest_models(database: HistoryDatabase, source: str, nights: int) -> set[str]:
    """md5 of every model of the last `nights` nights of each suite in a folder."""
    from sqlalchemy import select

    from harness.history.schema import NIGHTS, RESULTS

    chosen = select(NIGHTS.c.id, NIGHTS.c.night).where(NIGHTS.c.source == source).order_by(NIGHTS.c.started_utc.desc())
    by_suite: dict[str, list[int]] = {}
    with database.engine.connect() as connection:
        for row in connection.execute(chosen):
            by_suite.setdefault(row.night.rpartition("/")[0], []).append(row.id)
        ids = [one for own in by_suite.values() for one in own[:nights]]
        models = select(RESULTS.c.model_md5).where(RESULTS.c.night_id.in_(ids)).distinct()
        return {row.model_md5 for row in connection.execute(models) if row.model_md5}

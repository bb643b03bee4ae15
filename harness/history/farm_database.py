"""The database of a farm past one PC: reached again while it is away, its tables made by whoever comes first."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from harness.errors import HostError, InputError
from harness.history.database import HistoryDatabase, pooled_engine, shown, unreachable

if TYPE_CHECKING:
    from sqlalchemy import Connection

CONNECTIONS = 3  # of one process: a hundred PCs fit into what a server takes
TRY_AGAIN_S = 0.5
Result = TypeVar("Result")


class FarmDatabase:
    """Transactions that are tried again for `wait_s` where the database is away; `log` hears of it once each time."""

    def __init__(self, url: str, wait_s: float, log: Callable[[str], None] = lambda _text: None) -> None:
        self.url, self.wait_s, self._log = url, wait_s, log
        self.engine = pooled_engine(url, CONNECTIONS)
        self._over = threading.Event()
        self.is_away = False

    def prepare(self) -> str:
        """Make the tables where there are none; gives which database it is.

        Errors: HostError where it does not answer at once, InputError for tables of another version.
        """
        from sqlalchemy import insert, inspect, select
        from sqlalchemy.exc import SQLAlchemyError

        from harness.history.farm_tables import FARM, FARM_TABLES, FARM_VERSION

        try:
            if not inspect(self.engine).has_table(FARM.name):
                with HistoryDatabase(self.engine).alone() as connection:
                    FARM_TABLES.create_all(connection)
                    if connection.execute(select(FARM.c.version)).first() is None:
                        row = {"version": FARM_VERSION, "farm_id": secrets.token_hex(8)}
                        connection.execute(insert(FARM).values(row))
            with self.engine.connect() as connection:
                version, farm_id = connection.execute(select(FARM.c.version, FARM.c.farm_id)).one()
        except SQLAlchemyError as error:
            raise unreachable(self.url, error) from error
        if version != FARM_VERSION:
            raise InputError(
                f"{shown(self.url)}: tables of a farm of version {version}; this harness has {FARM_VERSION}",
                "use one version of harness on all PCs of a farm",
            )
        return str(farm_id)

    def run(self, work: Callable[[Connection], Result], wait_s: float | None = None) -> Result:
        """One transaction, begun again while the database is away: `work` may run more than once.

        Errors: HostError after `wait_s`; IntegrityError of SQLAlchemy as it is.
        """
        from sqlalchemy.exc import IntegrityError, SQLAlchemyError

        ends_at = time.monotonic() + (self.wait_s if wait_s is None else wait_s)
        while True:
            try:
                result = self._once(work)
                self._heard(None)
                return result
            except IntegrityError:
                raise
            except SQLAlchemyError as error:
                self._heard(unreachable(self.url, error))
                if time.monotonic() >= ends_at or self._over.is_set():
                    raise unreachable(self.url, error) from error
            self._over.wait(TRY_AGAIN_S)

    def _once(self, work: Callable[[Connection], Result]) -> Result:
        from sqlalchemy import text

        with self.engine.begin() as connection:
            if self.engine.dialect.name == "sqlite":  # a reader that turns into a writer would be refused at once
                connection.execute(text("BEGIN IMMEDIATE"))
            return work(connection)

    def _heard(self, error: HostError | None) -> None:
        if self.is_away != (error is not None):
            self.is_away = error is not None
            self._log(f"database: {error.message if error else 'answers again'}")

    def close(self) -> None:
        """Wait for nothing any more."""
        self._over.set()
        self.engine.dispose()

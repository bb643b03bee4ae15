"""The index's database: SQLite beside the nights, or any that SQLAlchemy reaches by a URL (PostgreSQL is tested)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HostError, InputError
from harness.files import safe

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

VARIABLE = "HARNESS_HISTORY"  # the URL, where no option says one
FILE = "history.sqlite"  # in the folder of nights, where nothing says one
BUSY_MS = 20_000  # how long a writer of SQLite is waited for
ADVISORY_LOCK = 0x68726E73  # of PostgreSQL: one process makes the tables


def url_of(root: Path, text: str = "") -> str:
    """The URL of the history of a folder of nights: `text`, $HARNESS_HISTORY, or a file in the folder."""
    return text or os.environ.get(VARIABLE, "") or f"sqlite:///{(root / FILE).absolute()}"


@contextmanager
def opened(url: str, *, anew: bool = False) -> Iterator[HistoryDatabase]:
    """The database of a URL; its tables are made where there are none. `anew`: empty ones, whatever was in them.

    Errors: InputError for a URL that is none and for tables of another version; HostError where the database cannot be
    reached.
    """
    from sqlalchemy.exc import SQLAlchemyError

    database = HistoryDatabase(_engine(url))
    try:
        database.drop() if anew else database.prepare()
        yield database
    except SQLAlchemyError as error:
        raise unreachable(url, error) from error
    finally:
        database.engine.dispose()


def has_other_version(url: str) -> bool:
    """Whether there are tables, of another version than this harness has. Errors: as of `opened`."""
    from sqlalchemy.exc import SQLAlchemyError

    from harness.history.schema import SCHEMA_VERSION

    database = HistoryDatabase(_engine(url))
    try:
        return database.version() not in (None, SCHEMA_VERSION)
    except SQLAlchemyError as error:
        raise unreachable(url, error) from error
    finally:
        database.engine.dispose()


def shown(url: str) -> str:
    """The URL without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "the history's URL"


def _engine(url: str, **pool: Any) -> Engine:
    """Errors: InputError for a URL that is none, or whose driver is not installed."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    hint = "for example sqlite:///nights/history.sqlite or postgresql+psycopg://user@host/database"
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            safe.make_folder(Path(parsed.database).absolute().parent)
        engine = create_engine(parsed, **pool)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise InputError(f"{shown(url)}: not the URL of a database", hint) from error
    except ImportError as error:
        missing = f"{shown(url)}: its driver is not installed: {error.name}"
        raise InputError(missing, "pip install 'harness[postgres]'") from error
    except OSError as error:
        raise InputError(f"{shown(url)}: {safe.words_of(error)}", "give a folder that can be written") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_settings)
    return engine


def pooled_engine(url: str, connections: int) -> Engine:
    """For a process that stays: at most so many connections, each looked at before it is used.

    Errors: InputError for a URL that is none, or whose driver is not installed.
    """
    return _engine(url, pool_size=connections, max_overflow=0, pool_timeout=60, pool_pre_ping=True)


def _sqlite_settings(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for words in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {words}")
    cursor.close()


def unreachable(url: str, error: Exception) -> HostError:
    """What is raised where a database does not answer, without its password."""
    words = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
    hint = "start the database, or leave --history out for the file beside the nights"
    return HostError(f"{shown(url)}: {words}", hint)


class HistoryDatabase:
    """Tables of one version in a database. Nothing here is the truth: `harness history rebuild` makes it anew."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def prepare(self) -> None:
        """Make the tables where there are none. Errors: InputError for another version, SQLAlchemyError."""
        from harness.history.schema import SCHEMA_VERSION

        version = self.version()
        if version is None:
            self._make()
        elif version != SCHEMA_VERSION:
            raise InputError(
                f"{shown(str(self.engine.url))}: history of version {version}; this harness has {SCHEMA_VERSION}",
                "harness history rebuild DIR makes it anew from the folders",
            )

    def version(self) -> int | None:
        """Of the tables; None where there are none. Errors: SQLAlchemyError."""
        from sqlalchemy import inspect, select

        from harness.history.schema import VERSION

        if not inspect(self.engine).has_table(VERSION.name):
            return None
        with self.engine.connect() as connection:
            return connection.execute(select(VERSION.c.version)).scalar()

    def _make(self) -> None:
        from sqlalchemy import insert, select

        from harness.history.schema import SCHEMA_VERSION, TABLES, VERSION

        with self.alone() as connection:
            TABLES.create_all(connection)
            if connection.execute(select(VERSION.c.version)).first() is None:
                connection.execute(insert(VERSION).values(version=SCHEMA_VERSION))

    def drop(self) -> None:
        """Take the tables away, of any version, and make empty ones."""
        from harness.history.schema import TABLES

        with self.alone() as connection:
            TABLES.drop_all(connection)
        self._make()

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A transaction that no other process changes the tables beside."""
        from sqlalchemy import text

        with self.engine.begin() as connection:
            if self.engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            elif self.engine.dialect.name == "sqlite":
                connection.execute(text("BEGIN IMMEDIATE"))
            yield connection

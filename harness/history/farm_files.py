"""Files on their way from who submits a night to the PCs that run it: through the database, by content, in pieces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HostError
from harness.files import safe
from harness.files.digests import md5_of_file
from harness.history.farm_database import FarmDatabase

if TYPE_CHECKING:
    from sqlalchemy import Connection

PIECE_BYTES = 4 * 2**20


def content_name(size_bytes: int, md5: str) -> str:
    """What a content is called, in the database and in a worker's folder."""
    return f"{md5}-{size_bytes}"


def put(database: FarmDatabase, night: str, content: str, path: Path) -> None:
    """Bring a file there, unless it is there already. Errors: HostError; OSError of the file."""
    from sqlalchemy import delete, insert, select

    from harness.history.farm_tables import FILES

    place = (FILES.c.night == night) & (FILES.c.content == content)
    whole = select(FILES.c.id).where(place & FILES.c.is_last)
    if database.run(lambda connection: connection.execute(whole).first()) is not None:
        return
    database.run(lambda connection: connection.execute(delete(FILES).where(place)))
    size_bytes, piece = path.stat().st_size, 0
    with path.open("rb") as file:
        while True:
            data = file.read(PIECE_BYTES)
            is_last = file.tell() >= size_bytes or not data
            row = {"night": night, "content": content, "piece": piece, "is_last": is_last, "bytes": data}

            def work(connection: Connection, row: dict[str, object] = row) -> None:
                connection.execute(delete(FILES).where(place & (FILES.c.piece == row["piece"])))
                connection.execute(insert(FILES).values(row))

            database.run(work)
            if is_last:
                return
            piece += 1


def get(database: FarmDatabase, night: str, content: str, path: Path, root: Path) -> None:
    """Write a file below `root` from its pieces, whole or not at all.

    Errors: HostError where it is not there, or is not what its name says; OSError of a full disk.
    """
    from sqlalchemy import select

    from harness.history.farm_tables import FILES

    def piece_of(number: int) -> Any:
        place = (FILES.c.night == night) & (FILES.c.content == content) & (FILES.c.piece == number)
        chosen = select(FILES.c.bytes, FILES.c.is_last).where(place)
        return database.run(lambda connection: connection.execute(chosen).first())

    with safe.new_file(path, root) as sink:
        for number in range(2**31):
            row = piece_of(number)
            if row is None:
                raise HostError(f"a file of {night} is not in the database", "was the night ended meanwhile?")
            sink.write(row.bytes)
            if row.is_last:
                break
    if content_name(path.stat().st_size, md5_of_file(path)) != content:
        safe.remove_file(path, root)
        raise HostError(f"a file of {night} is not what it was when the night began", "start a new night")


def forget(database: FarmDatabase, night: str) -> None:
    """A night is complete: its files go, and the archives of its jobs, which lie in its folder by now."""
    from sqlalchemy import delete, update

    from harness.history.farm_tables import FILES, JOBS

    def work(connection: Connection) -> None:
        connection.execute(delete(FILES).where(FILES.c.night == night))
        connection.execute(update(JOBS).where(JOBS.c.night == night).values(archive=None))

    database.run(work)

"""All boards: those of hosts.yaml and the emulated ones that are built in."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

from harness import config
from harness.boards import hosts_file
from harness.errors import ConfigError
from harness.files.user_folders import config_folder
from harness.records import Board


def find_hosts(given: Path | None = None) -> Path | None:
    """The inventory file: `--hosts`, $HARNESS_HOSTS, ./hosts.yaml, the config folder; None when there is none.

    Errors: ConfigError when the file that was named does not exist.
    """
    for source, named in (("--hosts", given), ("$HARNESS_HOSTS", os.environ.get("HARNESS_HOSTS"))):
        if named:
            path = Path(named)
            if not path.is_file():
                what = "expected an inventory file, got a folder" if path.is_dir() else "no such file"
                raise ConfigError(
                    f"{path}: {what} (from {source})",
                    "create it: harness boards add NAME USER@HOST, or copy hosts.example.yaml",
                )
            return path
    for path in (Path("hosts.yaml"), config_folder() / "hosts.yaml"):
        if path.is_file():
            return path
    return None


def load_inventory(given: Path | None = None) -> dict[str, Board]:
    """Every board by name. Errors: ConfigError, also for a board of the file that has a built-in one's name."""
    from harness.emulator import built_in

    return built_in.boards() | _of_file(given, built_in.boards())


def _of_file(given: Path | None, emulated: Container[str]) -> dict[str, Board]:
    """The boards of hosts.yaml. None hides one of `emulated`: a run on it would be taken for the emulated one's."""
    file = find_hosts(given)
    if file is None:
        return {}
    own = hosts_file.load_boards(file)
    for name in own:
        if name in emulated:
            line = config.line_of(file, ("boards", name))
            raise ConfigError(
                f"{file}:{line}: boards: {name!r} is the name of a built-in emulated board",
                f"use another name, for example `my-{name}:`",
            )
    return own


def own_boards(given: Path | None = None) -> list[Board]:
    """The boards of hosts.yaml; where there is no such file, or none in it, those that are built in."""
    from harness.emulator import built_in

    emulated = built_in.boards()
    return list((_of_file(given, emulated) or emulated).values())


def find_board(name: str, given: Path | None = None) -> Board:
    """One board; for one of harness's own no package is asked.

    Errors: ConfigError with the nearest name, and where names were looked up.
    """
    from harness.emulator import built_in

    emulated = built_in.own_boards()
    if name in emulated:
        _of_file(given, emulated)  # a name that is there twice is told whichever board is asked for
        return emulated[name]
    boards = load_inventory(given)
    if name in boards:
        return boards[name]
    file = find_hosts(given)
    place = str(file) if file else "the built-in boards (no hosts.yaml found)"
    own = _of_file(given, built_in.boards())
    hint = config.nearest(name, [*own, *(one for one in boards if one not in own)])
    more = "" if file else "; add a board: harness boards add NAME USER@HOST"
    raise ConfigError(f"no board {name!r} in {place}", hint + more)


def soc_line(name: str, given: Path | None = None) -> str:
    """Where a board's soc is written: `hosts.yaml:4`."""
    file = find_hosts(given)
    return f"{file}:{config.line_of(file, ('boards', name, 'soc'))}" if file else "the built-in board"


def has_tag(board: Board, tag: str) -> bool:
    """Whether a board has a tag: one of its own, or `soc=`, `platform=`, `board=` and `kind=real|emulated`."""
    facts = {
        "soc": board.identity.soc,
        "platform": board.identity.platform,
        "board": board.name,
        "kind": "emulated" if board.emulated else "real",
    }
    key, equals, value = tag.partition("=")
    return tag in board.tags or (bool(equals) and facts.get(key) == value)

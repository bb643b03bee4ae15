"""All boards: those of hosts.yaml and the emulated ones that are built in."""

from __future__ import annotations

import os
from pathlib import Path

from harness import config
from harness.errors import ConfigError
from harness.records import Board


def config_folder() -> Path:
    """The user's config folder for harness ($XDG_CONFIG_HOME/harness, else ~/.config/harness)."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "harness"


def find_hosts(given: Path | None = None) -> Path | None:
    """The inventory file: `--hosts`, $HARNESS_HOSTS, ./hosts.yaml, the config folder; None when there is none.

    Errors: ConfigError when the file that was named does not exist.
    """
    for source, named in (("--hosts", given), ("$HARNESS_HOSTS", os.environ.get("HARNESS_HOSTS"))):
        if named:
            path = Path(named)
            if not path.is_file():
                what = "a folder, not an inventory file" if path.is_dir() else "no such file"
                raise ConfigError(f"{path}: {what} (from {source})", "copy hosts.example.yaml")
            return path
    for path in (Path("hosts.yaml"), config_folder() / "hosts.yaml"):
        if path.is_file():
            return path
    return None


def load_inventory(given: Path | None = None) -> dict[str, Board]:
    """Every board by name; the file's boards win over built-in ones of the same name."""
    from harness.emulator.boards import BUILT_IN

    file = find_hosts(given)
    return dict(BUILT_IN) | (config.load_boards(file) if file else {})


def own_boards(given: Path | None = None) -> list[Board]:
    """The boards of hosts.yaml; where there is no such file, or none in it, those that are built in."""
    file = find_hosts(given)
    return list((config.load_boards(file) if file else {}).values()) or list(load_inventory(given).values())


def find_board(name: str, given: Path | None = None) -> Board:
    """One board. Errors: ConfigError with the nearest name, and where names were looked up."""
    boards = load_inventory(given)
    if name in boards:
        return boards[name]
    file = find_hosts(given)
    place = str(file) if file else "the built-in boards (there is no hosts.yaml)"
    hint = config.nearest(name, boards)
    more = "" if file else "; for boards of your own copy hosts.example.yaml to ./hosts.yaml"
    raise ConfigError(f"no board {name!r} in {place}", hint + more)

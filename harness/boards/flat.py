"""A board as people write it, key beside key, and as the program holds it, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from harness.records import (
    Board,
    BoardCommands,
    BoardFolders,
    BoardIdentity,
    BoardLimits,
    CommandEnvironment,
    Endpoint,
    Lending,
    PowerSupply,
)

# The keys of hosts.yaml that a part calls otherwise, or that a part of the file's own holds.
_RENAMED = {"environment": "variables", "shared_folder": "shared", "power": "commands"}
_PARTS: Mapping[str, type] = {
    "identity": BoardIdentity,
    "endpoint": Endpoint,
    "environment": CommandEnvironment,
    "folders": BoardFolders,
    "commands": BoardCommands,
    "power": PowerSupply,
    "limits": BoardLimits,
    "lending": Lending,
}


def compose(name: str, platform: str = "", soc: str = "", **flat: Any) -> Board:
    """The board of these values, which are called as in hosts.yaml; those of `limits:` too.

    Errors: TypeError for a value that no part takes.
    """
    values = {_RENAMED.get(key, key): value for key, value in flat.items()}
    values |= {"name": name, "platform": platform, "soc": soc}
    tags = tuple(values.pop("tags", ()))
    parts = {part: dict(_of(kind, values)) for part, kind in _PARTS.items()}
    strangers = values.keys() - {key for part in parts.values() for key in part}
    if strangers:
        raise TypeError(f"no part of a board takes {', '.join(sorted(strangers))}")
    return Board(**{part: kind(**parts[part]) for part, kind in _PARTS.items()}, tags=tags)


def _of(kind: type, values: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """The values that a part takes."""
    yield from ((one.name, values[one.name]) for one in fields(kind) if one.name in values)

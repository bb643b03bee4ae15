"""Boards that others manage: a manager lends one while it is used and says how it is reached (docs/extending.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace

from harness.errors import HarnessError
from harness.extensions import Registry
from harness.records import Board, Endpoint, Lending
from harness.records.callbacks import LogCallback

# Takes the board's endpoint as hosts.yaml has it, the keys of `managed:`, how long another's use is waited for in
# seconds, and who is told of the waiting; gives the endpoint to use while the context lasts.
Hold = Callable[[Endpoint, Mapping[str, object], float, LogCallback], AbstractContextManager[Endpoint]]


@dataclass(frozen=True)
class BoardManager:
    """Who lends boards: packages give one by an entry point of group `harness.managers`, `managed: {by: ...}` names it.

    `hold` raises BoardInUseError where somebody else has the board, ConfigError where there is none of that name,
    HostError where the manager cannot be asked. What it holds is given back however the context ends, also where this
    process is killed.
    """

    hold: Hold
    keys: Mapping[str, type] = field(default_factory=dict)  # that `managed:` may have, and of which type
    needed: tuple[str, ...] = ()  # of these


MANAGERS = Registry("manager of boards", "harness.managers", BoardManager, "harness.boards.managers")


@contextmanager
def lent(board: Board, wait_s: float = 0.0, tell: LogCallback | None = None) -> Iterator[Board]:
    """The board as its manager lends it, for as long as this lasts; one that nobody manages as it is.

    Within, the board counts as managed by nobody: it is held already. `wait_s`: how long another's use is waited for.
    Errors: as of `BoardManager.hold`; ConfigError for a manager that is not installed.
    """
    lending = board.lending
    if not lending.manager:
        yield board
        return
    hold = MANAGERS.get(lending.manager).hold
    with hold(board.endpoint, lending.manager_keys, wait_s, tell or _silent) as endpoint:
        yield replace(board, endpoint=endpoint, lending=Lending())


def lender(lending: Lending) -> str:
    """Who lends a board, for people: `labgrid (place x5-07)`; "" for nobody."""
    keys = ", ".join(f"{key} {value}" for key, value in lending.manager_keys.items())
    return f"{lending.manager} ({keys})" if keys else lending.manager


def wrong_keys(manager: str, keys: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the keys of `managed:`: key, message, hint. A broken package says so when it is used."""
    from harness.config import nearest

    try:
        known = MANAGERS.get(manager)
    except HarnessError:
        return
    for key, value in keys.items():
        if key not in known.keys:
            yield key, f"manager {manager} has no key {key!r}", nearest(key, list(known.keys))
        elif not isinstance(value, known.keys[key]):
            kind = known.keys[key].__name__.replace("str", "text")
            yield key, f"expected {kind}, got {value!r}", f'`{key}: "{value}"`' if kind == "text" else ""
    for key in known.needed:
        if key not in keys:
            yield "", f"manager {manager} needs `{key}:`", f"known keys: {', '.join(known.keys)}"


def _silent(_what: str) -> None:
    return None

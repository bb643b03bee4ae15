"""`harness boards list`: what is in the inventory, how well it is, and who uses it since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import emit_json, hosts_option, json_option, note
from harness.cli.tables import table
from harness.errors import HarnessError
from harness.records import Board, BoardLimits
from harness.records.boards import SERVED

if TYPE_CHECKING:
    from harness.agent import Agent, LeaseFacts
    from harness.boards.health import BoardUse, Health
    from harness.transports.base import Transport


@dataclass(frozen=True)
class _Line:
    """A board with what this PC knows of it, and what itself says where it was asked."""

    board: Board
    health: Health
    use: BoardUse | None
    lease: Mapping[str, object] = field(default_factory=dict)
    lease_words: str = ""


@click.command(name="list")
@hosts_option
@json_option
@click.option("--tag", default="", help="Only boards with this tag; soc=x5, platform=hbdnn and kind=real are tags too.")
@click.option("--leases", is_flag=True, help="Ask each board for its lease: holder and times.")
@click.option(
    "--page", metavar="FILE", type=click.Path(path_type=Path), help="Write who uses what since when as one HTML page."
)
def list_boards(hosts: Path | None, as_json: bool, tag: str, leases: bool, page: Path | None) -> None:
    """Show every board of the inventory and the built-in emulated ones, their health, and what nights do with them.

    \b
    Examples:
      harness boards list --tag nightly
      harness boards list --leases --json
      harness boards list --leases --page lab.html
    """
    from harness.boards.inventory import find_hosts, has_tag, load_inventory

    boards = [b for b in load_inventory(hosts).values() if not tag or has_tag(b, tag)]
    lines = _lines(boards, leases)
    if page is not None:
        _write_page(page, lines)
    if as_json:
        emit_json("boards-list", {"hosts": str(find_hosts(hosts) or ""), "boards": [_facts(line) for line in lines]})
        return
    if tag and not boards:
        note(f"no board has the tag {tag!r}")
    columns = ["board", "platform", "soc", "reached by", "kind", "tags", "health", "in use"]
    rows = [_row(line) + ([line.lease_words] if leases else []) for line in lines]
    table("", [*columns, *(["lease"] if leases else [])], rows)


def _lines(boards: Sequence[Board], leases: bool) -> list[_Line]:
    from harness.boards.health import load_health, load_use

    holders = _holders(boards) if leases else {}
    return [_Line(b, load_health(b.name), load_use(b.name), *holders.get(b.name, ({}, ""))) for b in boards]


def _row(line: _Line) -> list[str]:
    board = line.board
    kind = "emulated" if board.emulated else "real"
    return [
        *(board.name, board.identity.platform, board.identity.soc, _place(board), kind, _tags(board)),
        *(health_words(line.health), use_words(line.use)),
    ]


def health_words(health: Health) -> str:
    """`maintenance since 2026-11-20T09:14:00Z: new fan (ann@pc)`; what nobody knows yet is one word."""
    since = f" since {health.since_utc}" if health.since_utc else ""
    reason = f": {health.reason}" if since and health.reason else ""
    return f"{health.word}{since}{reason}{f' ({health.by})' if health.by else ''}"


def use_words(use: BoardUse | None) -> str:
    """What a night of this PC does with a board."""
    if use is None:
        return ""
    return f"{use.night}: {use.case} since {use.since_utc}, {use.waiting} more waiting, by {use.by}"


def _facts(line: _Line) -> dict[str, object]:
    from harness.boards.managers import lender

    board = line.board
    facts: dict[str, object] = {
        "name": board.name,
        "platform": board.identity.platform,
        "soc": board.identity.soc,
        "transport": board.endpoint.transport,
        "address": board.endpoint.address,
        "port": board.endpoint.port,
        "managed": lender(board.lending),
        "emulated": board.emulated is not None,
        "tags": list(board.tags),
        "health": line.health,
        "use": line.use,
    }
    return facts | ({"lease": line.lease} if line.lease else {})


def _tags(board: Board) -> str:
    """Its tags without the one that only repeats its kind."""
    return " ".join(tag for tag in board.tags if tag != "emulated" or not board.emulated)


def _place(board: Board) -> str:
    if board.emulated and board.emulated.server != SERVED and board.endpoint.transport != "local":
        return f"{board.endpoint.transport} to {board.emulated.server} on this PC"
    if board.endpoint.transport == "local":
        return "local"
    if board.lending.manager:
        from harness.boards.managers import lender

        return f"{board.endpoint.transport}, lent by {lender(board.lending)}"
    login = f"{board.endpoint.user}@{board.endpoint.address}" if board.endpoint.user else board.endpoint.address
    return f"{board.endpoint.transport} {login}:{board.endpoint.port}"


def _write_page(page: Path, lines: Sequence[_Line]) -> None:
    from harness.report.nights.lab import render_lab
    from harness.report.write import write_export

    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = [
        {
            "name": line.board.name,
            "soc": line.board.identity.soc,
            "kind": "emulated" if line.board.emulated else "real",
            "health": vars(line.health),
            "use": vars(line.use) if line.use else None,
            "lease": line.lease_words,
        }
        for line in lines
    ]
    write_export(render_lab(rows, now), page)


# --------------------------------------------------------------------------- leases


def _holders(boards: Sequence[Board]) -> dict[str, tuple[dict[str, object], str]]:
    """Who has each board, as facts and in words; emulated boards that start with a run are left out."""
    from concurrent.futures import ThreadPoolExecutor

    reachable = [b for b in boards if b.emulated is None or b.emulated.server == SERVED]
    with ThreadPoolExecutor(16) as pool:
        return dict(zip((b.name for b in reachable), pool.map(_holder, reachable), strict=True))


def _holder(board: Board) -> tuple[dict[str, object], str]:
    from harness.boards.connect import open_board

    try:
        with open_board(board) as (reached, transport):
            agent = installed(transport, reached.folders.work, reached.limits)
            facts = agent.lease.show()
    except HarnessError as error:
        return {"error": error.message}, f"no answer: {error.message}"
    return dict(vars(facts)), lease_words(facts)


def lease_words(facts: LeaseFacts) -> str:
    """Who holds a board, for people."""
    if not facts.held:
        return "free"
    return f"leased by {facts.holder} for {facts.age_s:.0f} s, at most {facts.left_s:.0f} s left"


def installed(transport: Transport, work: str, limits: BoardLimits) -> Agent:
    """The agent of a board that is reached, installed and greeted. Errors: as of `Agent.hello`."""
    from harness.agent import Agent

    agent = Agent.of(transport, work, limits)
    agent.install()
    agent.hello()  # a board that lacks a program says so
    return agent

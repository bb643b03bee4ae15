"""`harness boards`: what is in the inventory, does it answer, and is it the board it claims to be."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import clean, emit_json, hosts_option, json_option, note, table
from harness.errors import CouldNotMeasure, HarnessError, LinkError
from harness.records import Board


@click.group(name="boards")
def command() -> None:
    """List, check and trust boards.

    \b
    Examples:
      harness boards list
      harness boards check emu-x5
      harness boards trust x5-01
      harness boards prepare pi-01 --wheels wheels/
    """


@command.command(name="list")
@hosts_option
@json_option
@click.option("--tag", default="", help="Only boards with this tag.")
def list_boards(hosts: Path | None, as_json: bool, tag: str) -> None:
    """Show every board of the inventory and the built-in emulated ones."""
    from harness.inventory import find_hosts, load_inventory

    boards = [b for b in load_inventory(hosts).values() if not tag or tag in b.tags]
    if as_json:
        emit_json({"hosts": str(find_hosts(hosts) or ""), "boards": [_facts(b) for b in boards]})
        return
    rows = [(b.name, b.platform, b.soc, _place(b), "emulated" if b.emulated else "", " ".join(b.tags)) for b in boards]
    table("", ("board", "platform", "soc", "reached by", "", "tags"), rows)


def _place(board: Board) -> str:
    if board.emulated and board.transport != "local":
        return f"{board.transport} to {board.emulated.server} on this PC"
    if board.transport == "local":
        return "local"
    login = f"{board.user}@{board.address}" if board.user else board.address
    return f"{board.transport} {login}:{board.port}"


def _facts(board: Board) -> dict[str, object]:
    return {
        "name": board.name,
        "platform": board.platform,
        "soc": board.soc,
        "transport": board.transport,
        "address": board.address,
        "port": board.port,
        "emulated": board.emulated is not None,
        "tags": list(board.tags),
    }


@command.command(name="check")
@click.argument("names", nargs=-1)
@hosts_option
@json_option
def check(names: tuple[str, ...], hosts: Path | None, as_json: bool) -> None:
    """Connect to boards and say what answers: system, tools, free space. All boards when none is named."""
    from harness.inventory import find_board, load_inventory

    boards = [find_board(name, hosts) for name in names] or list(load_inventory(hosts).values())
    answers = [_check(board) for board in boards]
    if as_json:
        emit_json({"boards": answers})
    else:
        columns = ("board", "state", "arch", "kernel", "free MB", "tools", "remark")
        rows = [tuple(str(a.get(c.replace(" ", "_"), "")) for c in columns) for a in answers]
        table("", columns, rows, right=("free MB",))
    if any(a["state"] != "ready" for a in answers):
        raise SystemExit(CouldNotMeasure.exit_code)


def _check(board: Board) -> dict[str, object]:
    from harness.session import look_at

    try:
        return {"board": board.name} | look_at(board)
    except HarnessError as error:
        return {"board": board.name, "state": "no answer", "remark": f"{error.message} ({error.hint})"}


@command.command(name="trust")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Record the key without asking (only on a network you trust).")
@click.option("--replace", is_flag=True, help="Replace a key that has changed, for example after reflashing.")
@hosts_option
@json_option
def trust(name: str, yes: bool, replace: bool, hosts: Path | None, as_json: bool) -> None:
    """Show a board's host key fingerprint and record it."""
    from harness.hostkeys import fetch, known_hosts_file
    from harness.inventory import find_board

    board = find_board(name, hosts)
    if board.transport == "local" or board.emulated:
        raise LinkError(f"{name} has no host key to trust: it runs on this PC")
    key = fetch(board.address, board.port, timeout_s=board.limits.connect_timeout_s)
    note(f"{board.address}:{board.port} shows {key.kind} {key.sha256}")
    if not yes:
        click.confirm("Is this the board's own fingerprint?", abort=True, err=True)
    target = known_hosts_file(board)
    _record(target, board, key, replace)
    if as_json:
        emit_json({"board": name, "kind": key.kind, "sha256": key.sha256, "file": str(target)})
    else:
        click.echo(f"recorded in {target}")


def _record(target: Path, board: Board, key: object, replace: bool) -> None:
    from harness.hostkeys import HostKey, trust

    assert isinstance(key, HostKey)
    trust(target, board.address, board.port, key, replace=replace)


@command.command(name="prepare")
@click.argument("name")
@click.option(
    "--wheels",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder with numpy and onnxruntime wheels for the board; a wrong folder says how to fetch them.",
)
@hosts_option
@json_option
def prepare_board(name: str, wheels: Path, hosts: Path | None, as_json: bool) -> None:
    """Install ONNX Runtime on a Linux board, offline, into its work folder."""
    from harness.inventory import find_board
    from harness.prepare import prepare, to_json

    prepared = prepare(find_board(name, hosts), wheels, note)
    if as_json:
        emit_json(to_json(prepared))
        return
    for key, value in to_json(prepared).items():
        click.echo(clean(f"{key}: {value}"))

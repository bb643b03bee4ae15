"""`harness boards`: what is in the inventory, does it answer, and is it the board it claims to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.boards_add import add
from harness.cli.common import (
    FiniteRange,
    WholeHelp,
    clean,
    complete_board,
    emit_json,
    hosts_option,
    json_option,
    new_password,
    note,
)
from harness.cli.farm.boards_list import installed, lease_words, list_boards
from harness.cli.farm.maintenance import maintenance
from harness.cli.progress import ask_password
from harness.cli.tables import table
from harness.errors import ConfigError, HarnessError, InputError, MeasurementError
from harness.records import Board, Endpoint
from harness.records.boards import SERVED

if TYPE_CHECKING:
    from harness.agent import Agent


@click.group(name="boards", cls=WholeHelp)
def command() -> None:
    """List, check, trust, lease, clean and prepare boards; say which are in maintenance.

    \b
    Examples:
      harness boards add x5-01 root@192.168.1.10
      harness boards list
      harness boards list --leases
      harness boards maintenance x5-01 --reason 'new fan'
      harness boards check emu-x5
      harness boards trust x5-01
      harness boards password x5-01
      harness boards lease x5-01 --minutes 30
      harness boards prepare pi-01 --wheels wheels/
    """


@command.command(name="check")
@click.argument("names", nargs=-1, shell_complete=complete_board)
@hosts_option
@json_option
def check(names: tuple[str, ...], hosts: Path | None, as_json: bool) -> None:
    """Connect to boards and check system, tools, free space, and that `soc:` in hosts.yaml is right.

    Default: all boards of hosts.yaml, or without one the built-in emulated boards.

    \b
    Examples:
      harness boards check
      harness boards check x5-01 s100-02 --json
    """
    from harness.boards.inventory import find_board, own_boards

    boards = [find_board(name, hosts) for name in names] or own_boards(hosts)
    answers = [_check(board, hosts) for board in boards]
    if as_json:
        emit_json("boards-check", {"boards": answers})
    else:
        columns = ("board", "state", "arch", "kernel", "free MB", "tools", "remark")
        rows = [tuple(str(a.get(c.replace(" ", "_"), "")) for c in columns) for a in answers]
        table("", columns, rows, right=("free MB",))
    states = {a["state"] for a in answers} - {"ready"}
    if states:  # a wrong line of hosts.yaml is asked wrongly; where anything else is the matter too, that comes first
        raise SystemExit(ConfigError.exit_code if states == {WRONG_SOC} else MeasurementError.exit_code)


WRONG_SOC = "wrong soc"


def _check(board: Board, hosts: Path | None) -> dict[str, object]:
    from harness.boards.connect import look_at
    from harness.boards.inventory import soc_line

    try:
        answer = {"board": board.name} | look_at(board, ask_password)
        if answer["state"] == WRONG_SOC:
            answer["remark"] = f"{soc_line(board.name, hosts)}: wrong `soc: {board.identity.soc}`: {answer['remark']}"
        return answer
    except HarnessError as error:
        return {"board": board.name, "state": "no answer", "remark": f"{error.message} ({error.hint})"}


@command.command(name="trust")
@click.argument("name", shell_complete=complete_board)
@click.option("--yes", is_flag=True, help="Record the key without asking (only on a network you trust).")
@click.option("--replace", is_flag=True, help="Replace a key that has changed, for example after reflashing.")
@hosts_option
@json_option
def trust(name: str, yes: bool, replace: bool, hosts: Path | None, as_json: bool) -> None:
    """Show a board's host key fingerprint and record it.

    \b
    Examples:
      harness boards trust x5-01
      harness boards trust x5-01 --replace      after reflashing
    """
    from harness.boards.hostkeys import fetch, known_hosts_file
    from harness.boards.hosts_checks import kind_of
    from harness.boards.inventory import find_board
    from harness.boards.managers import lent

    board = find_board(name, hosts)
    if board.endpoint.transport == "local" or (board.emulated and board.emulated.server != SERVED):
        raise InputError(f"{name} has no host key: it runs on this PC", f"harness boards check {name}")
    if not kind_of(board.endpoint.transport).host_keys:
        raise InputError(
            f"{name} has no host key: transport {board.endpoint.transport}", f"harness boards check {name}"
        )
    with lent(board) as board:
        key = fetch(board.endpoint.address, board.endpoint.port, timeout_s=board.endpoint.connect_timeout_s)
    note(f"{board.endpoint.address}:{board.endpoint.port} shows {key.kind} {key.sha256}")
    if not yes:
        click.confirm("Is this the board's fingerprint?", abort=True, err=True)
    target = known_hosts_file(board.endpoint)
    _record(target, board.endpoint, key, replace)
    if as_json:
        emit_json("boards-trust", {"board": name, "kind": key.kind, "sha256": key.sha256, "file": str(target)})
    else:
        click.echo(f"recorded in {target}")


def _record(target: Path, endpoint: Endpoint, key: object, replace: bool) -> None:
    from harness.boards.hostkeys import HostKey, trust

    assert isinstance(key, HostKey)
    trust(target, endpoint.address, endpoint.port, key, replace=replace)


@command.command(name="prepare")
@click.argument("name", shell_complete=complete_board)
@click.option(
    "--wheels", type=click.Path(path_type=Path), help="Folder with numpy and onnxruntime wheels for the board."
)
@click.option("--python", default="", metavar="PATH", help="Emulated boards: the Python that the vendor's tools want.")
@hosts_option
@json_option
def prepare_board(name: str, wheels: Path | None, python: str, hosts: Path | None, as_json: bool) -> None:
    """Install ONNX Runtime on a Linux board, offline, into its work folder; or set up an emulated board on this PC.

    \b
    Examples:
      harness boards prepare pi-01 --wheels wheels/
      harness boards prepare emu-bm1684x --python /usr/bin/python3.10
    """
    from harness.boards.inventory import find_board

    board = find_board(name, hosts)
    facts = _set_up(board, python) if wheels is None else _from_wheels(board, wheels)
    if as_json:
        emit_json("boards-prepare", facts)
        return
    for key, value in facts.items():
        click.echo(clean(f"{key}: {value}"))


def _from_wheels(board: Board, wheels: Path) -> Mapping[str, object]:
    from harness.boards.prepare import prepare, to_json

    return to_json(prepare(board, wheels, note, ask_password))


def _set_up(board: Board, python: str) -> Mapping[str, object]:
    """An emulated board's own needs on this PC. Errors: UserError for a board that takes wheels, or needs nothing."""
    from harness.emulator.rooms import room_of_board
    from harness.errors import UserError

    if board.emulated is None:
        raise UserError("missing option '--wheels'", f"harness boards prepare {board.name} --wheels DIR")
    return dict(room_of_board(board.identity).prepare(python, note))


@command.command(name="lease")
@click.argument("name", shell_complete=complete_board)
@click.option(
    "--minutes", metavar="N", type=FiniteRange(0.1, 24 * 60), help="Take the board for N minutes, or extend your lease."
)
@hosts_option
@json_option
def lease(name: str, minutes: float | None, hosts: Path | None, as_json: bool) -> None:
    """Show who holds a board, or take a lease (--minutes) for manual work and your own runs.

    \b
    Examples:
      harness boards lease x5-01
      harness boards lease x5-01 --minutes 30
    """
    from harness.boards import lease as board_lease

    with _agent(name, hosts) as agent:
        facts = board_lease.take_lease(agent.lease, name, round(minutes * 60)) if minutes else agent.lease.show()
    if as_json:
        emit_json("boards-lease", {"board": name} | vars(facts))
    else:
        click.echo(clean(f"{name}: {lease_words(facts)}"))


@command.command(name="release")
@click.argument("name", shell_complete=complete_board)
@click.option("--force", is_flag=True, help="Also end another holder's lease; its runs fail from then on.")
@hosts_option
@json_option
def release(name: str, force: bool, hosts: Path | None, as_json: bool) -> None:
    """Release your lease, or end another holder's (--force).

    \b
    Example:
      harness boards release x5-01
    """
    from harness.boards import lease as board_lease

    with _agent(name, hosts) as agent:
        was_held = board_lease.release(agent.lease, name, force=force)
    if as_json:
        emit_json("boards-release", {"board": name, "was_held": was_held})
    else:
        click.echo(f"{name}: {'released' if was_held else 'not leased'}")


@command.command(name="clean")
@click.argument("name", shell_complete=complete_board)
@click.option(
    "--keep-cache", is_flag=True, help="Keep cached models and inputs, so that the next run does not send them again."
)
@hosts_option
@json_option
def clean_board(name: str, keep_cache: bool, hosts: Path | None, as_json: bool) -> None:
    """Delete harness's files on a board: runs, cached models and inputs, the agent. Not while leased by another.

    \b
    Runs in progress under your own lease stay, with their files; so does what `harness boards prepare` installed.

    \b
    Examples:
      harness boards clean x5-01
      harness boards clean x5-01 --keep-cache
    """
    from harness.boards import lease as board_lease

    with _agent(name, hosts) as agent:
        cleaned = board_lease.clean(agent, name, keep_cache=keep_cache)
    if as_json:
        facts = {"runs": cleaned.runs, "going_on": list(cleaned.going_on), "free_bytes": cleaned.free_bytes}
        emit_json("boards-clean", {"board": name} | facts)
        return
    free = f", {cleaned.free_bytes // 10**6} MB free" if cleaned.free_bytes is not None else ""
    still_running = f"; {len(cleaned.going_on)} still running, kept" if cleaned.going_on else ""
    click.echo(f"{name}: {cleaned.runs} runs deleted{still_running}{free}")


@command.command(name="password")
@click.argument("name", shell_complete=complete_board)
@click.option("--delete", is_flag=True, help="Delete the stored password.")
@hosts_option
@json_option
def password(name: str, delete: bool, hosts: Path | None, as_json: bool) -> None:
    """Store a board's password in this PC's keyring, or delete it (--delete).

    Prompts twice without echo, or reads one line from a pipe. Needs the Python package `keyring`.

    \b
    Examples:
      harness boards password x5-01
      harness boards password x5-01 --delete
    """
    from harness.boards.inventory import find_board
    from harness.transports import passwords

    board = find_board(name, hosts)
    if board.endpoint.transport == "local" or (board.emulated and board.emulated.server != SERVED):
        raise InputError(f"{name} runs on this PC and takes no password", f"harness boards check {name}")
    if delete:
        did = passwords.delete(board.endpoint)
        message = "password deleted" if did else "no password stored"
    else:
        kept_in = passwords.store(board.endpoint, new_password(name))
        did, message = True, f"stored in {kept_in}; test it: harness boards check {name}"
    if as_json:
        emit_json("boards-password", {"board": name, "deleted": did} if delete else {"board": name, "kept_in": kept_in})
    else:
        click.echo(f"{name}: {message}")


for one in (add, list_boards, maintenance):
    command.add_command(one)


@contextmanager
def _agent(name: str, hosts: Path | None) -> Iterator[Agent]:
    from harness.boards.connect import open_board
    from harness.boards.inventory import find_board

    with open_board(find_board(name, hosts), ask_password) as (reached, transport):
        yield installed(transport, reached.folders.work, reached.limits)

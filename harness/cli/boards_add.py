"""`harness boards add`: the first hour with a board, in one command."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import clean, emit_json, hosts_option, json_option, note, say_error
from harness.cli.progress import ask_password
from harness.errors import HostKeyError, InputError, MeasurementError

if TYPE_CHECKING:
    from harness.boards.adding import Added


@click.command(name="add")
@click.argument("name")
@click.argument("login", metavar="[USER@]HOST[:PORT]")
@click.option("--port", type=click.IntRange(1, 65535), help="SSH port. Default: ssh_config's, else 22.")
@click.option("--platform", metavar="NAME", help="Platform. Default: detected.")
@click.option("--jump", default="", metavar="USER@HOST[:PORT]", help="SSH jump host.")
@click.option("--identity", default="", metavar="FILE", help="Private key. Default: the ssh agent and the usual keys.")
@click.option(
    "--work", default="", metavar="FOLDER", help="Work folder on the board. Default: the first with enough space."
)
@click.option(
    "--fingerprint", default="", metavar="SHA256:...", help="Expected host key fingerprint, for scripts (no prompt)."
)
@click.option("--yes", is_flag=True, help="Record the host key without asking (only on a network you trust).")
@hosts_option
@json_option
def add(name: str, login: str, **given: Any) -> None:
    """Detect a board's platform, test it, and add it to hosts.yaml.

    Shows and records its host key; reports platform, SoC, image, versions, tools and libraries; makes a small test run;
    lists what is missing and where to get it. Other entries of hosts.yaml are unchanged. Running the command again
    checks the board again and writes nothing; a name already used for another board is refused.

    \b
    Examples:
      harness boards add x5-01 root@192.168.1.10
      harness boards add t41-03 root@192.168.1.44 --work /mnt/nfs/harness
      harness boards add s100-02 sunrise@10.0.4.12 --jump gate@10.0.0.1 --hosts lab.yaml
      harness boards add x5-01 root@192.168.1.10 --fingerprint SHA256:Jm3... --json

    \b
    Exit codes: 0 added and ready, 2 usage error, 3 no answer, or a required part is missing.
    """
    from harness import platforms
    from harness.boards import adding

    if given["platform"]:
        platforms.load(given["platform"])  # a mistyped name is an error before a board is contacted
    board = adding.asked_board(name, login, **{key: given[key] for key in ("port", "identity", "jump")})
    known = adding.known_already(board, given["hosts"])
    file = adding.target_file(given["hosts"])
    board = replace(known, identity=replace(known.identity, platform="")) if known else board
    adding.agree_on_keys(board, _agree(given["fingerprint"], given["yes"]), ask_password)
    platform, work = given["platform"] or (known.identity.platform if known else ""), given["work"]
    added = adding.add(board, platform, work or (known.folders.work if known else ""), note, ask_password)
    added = replace(added, already=True, file=str(file)) if known else adding.write(added, file)
    if given["as_json"]:
        emit_json("boards-add", _facts(added))
    else:
        _show(added)
    if not added.file:
        say_error(InputError(added.notes[-1].partition(";")[0], f"add the block of {name} to {file} by hand"))
        raise SystemExit(InputError.exit_code)  # what was found is the one answer
    if not added.is_ready:
        raise SystemExit(MeasurementError.exit_code)


def _agree(fingerprint: str, yes: bool) -> Any:
    """How a new host key is agreed on: by its fingerprint, by --yes, or by a person at the terminal."""

    def agree(where: str, kind: str, sha256: str, target: Path) -> None:
        note(f"{where} shows {kind} {sha256}")
        if fingerprint and fingerprint.removeprefix("SHA256:").rstrip("=") == sha256.removeprefix("SHA256:"):
            return
        if fingerprint:
            raise HostKeyError(
                f"{where}: its host key is {kind} {sha256}, not {fingerprint}",
                "check the address, or on the board: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
            )
        if not yes and not sys.stdin.isatty():
            raise InputError(
                f"{where}: unknown host key, and no terminal to confirm it",
                f"if it is the board's fingerprint: --fingerprint {sha256}",
            )
        if not yes:
            click.confirm("Is this the board's fingerprint?", abort=True, err=True)
        note(f"recorded in {target}")

    return agree


def _show(added: Added) -> None:
    board, facts, trial = added.board, added.facts, added.trial
    rows = [
        ("board", f"{board.name}: platform {board.identity.platform}, soc {board.identity.soc or 'unknown'}"),
        ("detected by", "; ".join(filter(None, (added.guess.evidence, added.guess.soc_evidence)))),
        ("system", ", ".join(part for part in (facts.arch, facts.os, f"kernel {facts.kernel}", facts.libc) if part)),
        *((key, value) for key, value in added.guess.facts.items()),
        *((f"{name} version", text) for name, text in added.versions.items()),
        ("tools", ", ".join(board.environment.tools)),
        ("libraries", ", ".join(board.identity.libraries)),
        (
            "work folder",
            next((f"{e.value} ({e.comment})" for e in added.entries if e.key == "work"), board.folders.work),
        ),
        (
            "test run",
            f"passed: {trial.bytes} bytes sent in {trial.push_s:.2f} s, run in {trial.run_s:.2f} s",
        ),
        *((f"missing{' (required)' if lack.needed else ''}", _lack(lack)) for lack in added.missing),
        *(("note", text) for text in added.notes),
    ]
    for key, value in rows:
        if value:
            click.echo(clean(f"{key:<20}{value}"))
    if added.already:
        click.echo(clean(f"{board.name} is already in {added.file}: nothing written"))
    elif added.file:
        click.echo(clean(f"written to {added.file}:\n{added.text}"))
    else:
        click.echo(clean(f"boards:\n{added.text}"))


def _lack(lack: Any) -> str:
    return f"{lack.what}, needed for {lack.wanted_for}; get it from: {lack.comes_from}"


def _facts(added: Added) -> dict[str, object]:
    board = added.board
    return {
        "board": board.name,
        "platform": board.identity.platform,
        "soc": board.identity.soc,
        "evidence": [added.guess.evidence, added.guess.soc_evidence],
        "emulated": board.emulated is not None,
        "facts": vars(added.facts) | dict(added.guess.facts),
        "versions": added.versions,
        "tools": board.environment.tools,
        "libraries": board.identity.libraries,
        "work": board.folders.work,
        "trial": vars(added.trial),
        "missing": [vars(lack) for lack in added.missing],
        "ready": added.is_ready,
        "file": added.file,
        "written": bool(added.file) and not added.already,
        "block": added.text,
        "notes": added.notes,
    }

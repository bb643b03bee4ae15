"""`harness boards add`: the first hour with a board, in one command."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import ask_password, clean, emit_json, hosts_option, json_option, note
from harness.errors import CouldNotMeasure, HostKeyError, InputError

if TYPE_CHECKING:
    from harness.boards.adding import Added

PLATFORMS = ("hbdnn", "ucp", "magik", "ort")  # held to platforms.NAMES by a test; here so that help imports nothing


@click.command(name="add")
@click.argument("name")
@click.argument("login", metavar="[USER@]HOST[:PORT]")
@click.option("--port", type=click.IntRange(1, 65535), help="Of its SSH server. Default: 22, or ssh_config's.")
@click.option("--platform", type=click.Choice(PLATFORMS), help="Where it cannot be told, or is told wrongly.")
@click.option("--jump", default="", metavar="USER@HOST[:PORT]", help="Through this host.")
@click.option("--identity", default="", metavar="FILE", help="Private key. Default: the ssh agent and the usual keys.")
@click.option("--work", default="", metavar="FOLDER", help="Folder on the board. Default: the first one with room.")
@click.option("--fingerprint", default="", metavar="SHA256:...", help="The host key's: for scripts, instead of asking.")
@click.option("--yes", is_flag=True, help="Record the host key without asking (only on a network you trust).")
@hosts_option
@json_option
def add(name: str, login: str, **given: Any) -> None:
    """Meet a board, find out what it is, try it, and write it into hosts.yaml.

    Shows its host key and records it, tells platform, SoC, image, versions, tools and libraries, makes a tiny run, and
    says what is missing and where it comes from. The rest of hosts.yaml stays as it is. The same command again changes
    nothing and looks again; a name that another board has is refused.

    \b
    Examples:
      harness boards add x5-01 root@192.168.1.10
      harness boards add t41-03 root@192.168.1.44 --work /mnt/nfs/harness
      harness boards add s100-02 sunrise@10.0.4.12 --jump gate@10.0.0.1 --hosts lab.yaml
      harness boards add x5-01 root@192.168.1.10 --fingerprint SHA256:Jm3... --json

    \b
    Exit codes: 0 added and ready, 2 asked wrongly, 3 no answer, or added and something that every run needs is missing.
    """
    from harness.boards import adding

    board = adding.asked_board(name, login, **{key: given[key] for key in ("port", "identity", "jump")})
    known = adding.known_already(board, given["hosts"])
    file = adding.target_file(given["hosts"])
    board = replace(known, platform="ort") if known else board
    adding.agree_on_keys(board, _agree(given["fingerprint"], given["yes"]), ask_password)
    platform, work = given["platform"] or (known.platform if known else ""), given["work"]
    added = adding.add(board, platform, work or (known.work if known else ""), note, ask_password)
    added = replace(added, already=True, file=str(file)) if known else adding.write(added, file)
    if given["as_json"]:
        emit_json(_facts(added))
    else:
        _show(added)
    if not added.file:
        raise InputError(added.notes[-1].partition(";")[0], f"paste the block of {name} into {file} by hand")
    if not added.is_ready:
        raise SystemExit(CouldNotMeasure.exit_code)


def _agree(fingerprint: str, yes: bool) -> Any:
    """How a new host key is agreed on: by its fingerprint, by --yes, or by a person at the terminal."""

    def agree(where: str, kind: str, sha256: str, target: Path) -> None:
        note(f"{where} shows {kind} {sha256}")
        if fingerprint and fingerprint.removeprefix("SHA256:").rstrip("=") == sha256.removeprefix("SHA256:"):
            return
        if fingerprint:
            raise HostKeyError(
                f"{where}: its host key is {kind} {sha256}, not {fingerprint}",
                "is it the right board? its own words: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub on the board",
            )
        if not yes and not sys.stdin.isatty():
            raise InputError(
                f"{where}: its host key is not known, and there is no terminal to ask at",
                f"compare it with the board's own, then: --fingerprint {sha256}",
            )
        if not yes:
            click.confirm("Is this the board's own fingerprint?", abort=True, err=True)
        note(f"recorded in {target}")

    return agree


def _show(added: Added) -> None:
    board, facts, trial = added.board, added.facts, added.trial
    rows = [
        ("board", f"{board.name}: platform {board.platform}, soc {board.soc or 'not told'}"),
        ("because", "; ".join(filter(None, (added.guess.evidence, added.guess.soc_evidence)))),
        ("system", ", ".join(part for part in (facts.arch, facts.os, f"kernel {facts.kernel}", facts.libc) if part)),
        *((key, value) for key, value in added.guess.facts.items()),
        *((f"{name} version", text) for name, text in added.versions.items()),
        ("tools", ", ".join(board.tools)),
        ("libraries", ", ".join(board.libraries)),
        ("work folder", next((f"{e.value} ({e.comment})" for e in added.entries if e.key == "work"), board.work)),
        (
            "tiny run",
            f"good: {trial.bytes} bytes sent in {trial.push_s:.2f} s, run in {trial.run_s:.2f} s",
        ),
        *((f"missing{' (needed)' if lack.needed else ''}", _lack(lack)) for lack in added.missing),
        *(("note", text) for text in added.notes),
    ]
    for key, value in rows:
        if value:
            click.echo(clean(f"{key:<18}{value}"))
    if added.already:
        click.echo(clean(f"{board.name} is in {added.file} already: nothing was written"))
    elif added.file:
        click.echo(clean(f"written into {added.file}:\n{added.text}"))
    else:
        click.echo(clean(f"boards:\n{added.text}"))


def _lack(lack: Any) -> str:
    return f"{lack.what}, for {lack.wanted_for}; from: {lack.comes_from}"


def _facts(added: Added) -> dict[str, object]:
    board = added.board
    return {
        "board": board.name,
        "platform": board.platform,
        "soc": board.soc,
        "evidence": [added.guess.evidence, added.guess.soc_evidence],
        "emulated": board.emulated is not None,
        "facts": vars(added.facts) | dict(added.guess.facts),
        "versions": added.versions,
        "tools": board.tools,
        "libraries": board.libraries,
        "work": board.work,
        "trial": vars(added.trial),
        "missing": [vars(lack) for lack in added.missing],
        "ready": added.is_ready,
        "file": added.file,
        "written": bool(added.file) and not added.already,
        "block": added.text,
        "notes": added.notes,
    }

"""The built-in boards `emu-t40` and `emu-t41`: a busybox root behind dropbear, with emulated programs in /usr/bin.

Where this PC cannot change the root (no root user, no dropbear, no static busybox), the programs run in a plain folder
of this PC instead, with a warning: the login then has this PC's own shell and tools.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.emulator.servers import jail
from harness.emulator.servers.serve import serve
from harness.errors import HostError
from harness.files.user_folders import cache_folder
from harness.records import Board, BoardFolders, BoardIdentity, Emulated, Endpoint

PLAYED = ("release", "debug", "profile", "nmem", "info")
# As cameras with these chips split their memory: 256 MB on a T40XP with 128 MB for Venus, 128 MB on a T41.
_CONSOLE = "console=ttyS1,115200n8"
KERNEL_ARGUMENTS = {
    "t40": f"{_CONSOLE} mem=96M@0x0 rmem=32M@0x6000000 nmem=128M@0x8000000 init=/linuxrc root=/dev/mtdblock2",
    "t41": f"{_CONSOLE} mem=72M@0x0 rmem=40M@0x4800000 nmem=16M@0x7000000 init=/linuxrc root=/dev/mtdblock2",
}
SERVER = "dropbear"
CPU = "processor\t\t: {n}\ncpu model\t\t: Ingenic XBurst@II.V2 V0.0  FPU V0.0\n"
MACHINES = {"t40": "isvp_shark", "t41": "isvp_marmot"}  # as the vendor's kernels name them


def _board(soc: str) -> Board:
    name = f"emu-{soc}"
    options = {"board_program": "/usr/bin/venus_sample_{mode}", "info_program": "/usr/bin/venus_sample_info"}
    return Board(
        BoardIdentity(name, "magik", soc, Emulated(soc, SERVER), options=options),
        Endpoint(name, address="127.0.0.1"),
        tags=("emulated",),
    )


BOARDS: tuple[Board, ...] = tuple(_board(soc) for soc in KERNEL_ARGUMENTS)


def root_of(soc: str) -> Path:
    """The folder in the user's cache that is this board's root file system."""
    return cache_folder() / "boards" / soc


def build(soc: str) -> Path:
    """The root folder of that board, built or refreshed. Errors: HostError without busybox."""
    root = root_of(soc)
    jail.build_root(root, [_name(mode) for mode in PLAYED], KERNEL_ARGUMENTS[soc])
    for node in ("soc-nna", *(("nna_lock",) if soc == "t41" else ())):
        (root / "dev" / node).touch()
    cores = "\n".join(CPU.format(n=n) for n in range(2))
    (root / "etc" / "cpuinfo").write_text(f"system type\t\t: {soc.upper()}\nmachine\t\t\t: {MACHINES[soc]}\n{cores}\n")
    _board_file(root, soc)
    return root


def _board_file(root: Path, soc: str) -> None:
    (root / "board.json").write_text(f'{{"soc": "{soc}", "emulated": true}}\n')


def _name(mode: str) -> str:
    return f"venus_sample_{mode}"


@contextlib.contextmanager
def stand_up(board: Board) -> Iterator[Board]:
    """The board, reachable for as long as the context lasts. Errors: HostError when the server cannot be started."""
    assert board.emulated is not None
    why = jail.lacking()
    if why:
        logging.getLogger("harness").warning("%s: emulated in a plain folder on this PC: %s", board.name, why)
        yield plain(board)
        return
    with served(board.emulated.soc) as reached:
        yield replace(board, endpoint=replace(reached.endpoint, name=board.name))


@contextlib.contextmanager
def served(soc: str, port: int = 0) -> Iterator[Board]:
    """The emulated board of that SoC behind its dropbear. Errors: HostError naming what lacks."""
    why = jail.lacking()
    if why:
        raise HostError(
            f"emu-{soc} cannot be served: {why}", "as root: apt-get install busybox-static dropbear-bin openssh-client"
        )
    root = build(soc)
    commands = {_name(mode): jail.played_command("magik.program", mode) for mode in PLAYED}
    with (
        jail.playing(root, commands, jail.player_environment(root)),
        serve(root, SERVER, port=port, entry=jail.enter_command(root)) as login,
    ):
        yield login.reach(_board(soc))


def plain(board: Board) -> Board:
    """The same board as a folder of this PC: stubs that call the emulated programs directly."""
    assert board.emulated is not None
    root = root_of(f"{board.emulated.soc}-plain")
    for folder in ("bin", "proc", "tmp", "work"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "proc" / "cmdline").write_text(KERNEL_ARGUMENTS[board.emulated.soc] + "\n")
    _board_file(root, board.emulated.soc)
    environment = {k: v for k, v in jail.player_environment(root).items() if k not in ("PATH", "HARNESS_EMULATOR_JAIL")}
    exports = " ".join(f"{key}={shlex.quote(value)}" for key, value in environment.items())
    for mode in PLAYED:
        stub = root / "bin" / _name(mode)
        part = stub.with_name(f".{stub.name}.{os.getpid()}")
        part.write_text(f'#!/bin/sh\n{exports} exec {shlex.join(jail.played_command("magik.program", mode))} "$@"\n')
        part.chmod(0o755)
        part.replace(stub)
    options = {
        "board_program": str(root / "bin" / _name("{mode}")),
        "info_program": str(root / "bin" / _name("info")),
        "nmem_file": str(root / "tmp" / "nmem_memory.txt"),
        "proc": str(root / "proc"),
    }
    return replace(
        board,
        identity=replace(board.identity, options={**board.identity.options, **options}),
        endpoint=Endpoint(board.name, "local"),
        folders=BoardFolders(str(root / "work")),
    )

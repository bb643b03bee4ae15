"""The built-in emulated boards: their records, their root folders, and how one is stood up for a session."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.emulator.magik import board as venus_board
from harness.emulator.ort import arm64
from harness.emulator.socs import SOCS, Soc, soc_named
from harness.errors import AskedWrongly
from harness.files.user_folders import cache_folder
from harness.records import Board, Emulated

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]
_TOOLS = {"hbdnn": ("hrt_model_exec",), "ucp": ("hrt_model_exec",)}


def board_root(soc: str) -> Path:
    return cache_folder() / "boards" / soc


def prepare(soc: str) -> Path:
    """Build or refresh the root folder of a SoC's board: `bin/` with the tools, `work/`, `board.json`.

    Safe when several processes do it at once. Errors: AskedWrongly for an unknown soc.
    """
    facts = soc_named(soc)
    root = board_root(soc)
    for folder in (root / "bin", root / "work"):
        folder.mkdir(parents=True, exist_ok=True)
    _write(root / "board.json", json.dumps({"soc": soc, "emulated": True}) + "\n")
    _write_identity(root, facts)
    for tool in _TOOLS[facts.family]:
        _write(root / "bin" / tool, _stub(tool, root), executable=True)
    return root


def _write_identity(root: Path, facts: Soc) -> None:
    """What a board says of itself where the real one does: image version, SoC name, BPU cores, a library's file."""
    told = {
        "etc/version": "0.0.0-played\n",
        "sys/class/socinfo/soc_name": f"{facts.name.upper()}\n",
        "sys/devices/system/bpu/core_num": f"{facts.cores}\n",
        "usr/hobot/lib/libdnn.so": "played\n",
        **({"usr/hobot/lib/libhbucp.so": "played\n"} if facts.family == "ucp" else {}),
    }
    for name, text in told.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        _write(root / name, text)


def _stub(tool: str, root: Path) -> str:
    """`-P` keeps the working folder, where board files lie, off Python's module path."""
    python = shlex.quote(sys.executable)
    return "\n".join(
        (
            "#!/bin/sh",
            f"# plays {tool} of an emulated board",
            f"PYTHONPATH={shlex.quote(str(_PACKAGE_PARENT))} HARNESS_EMULATOR_ROOT={shlex.quote(str(root))} \\",
            f'exec {python} -P -m harness.emulator.horizon.{tool} "$@"',
            "",
        )
    )


def _write(path: Path, text: str, executable: bool = False) -> None:
    """Whole or not at all, and only where something changed."""
    if path.is_file() and path.read_text() == text:
        return
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text)
    part.chmod(0o755 if executable else 0o644)
    part.replace(path)


def _board(soc: str, server: str) -> Board:
    name = "emu-" + soc + {"": "", "openssh": "-ssh", "dropbear": "-dropbear"}[server]
    root = board_root(soc)
    return Board(
        name=name,
        platform=SOCS[soc].family,
        soc=soc,
        transport="ssh" if server else "local",
        address="127.0.0.1" if server else "",
        work=str(root / "work" / name),
        tools=(str(root / "bin"),),
        tags=("emulated",),
        emulated=Emulated(soc, server),
    )


# x5 is reached in three ways, the others on this PC.
BUILT_IN: dict[str, Board] = {
    board.name: board
    for board in (
        _board("x5", ""),
        _board("x5", "openssh"),
        _board("x5", "dropbear"),
        *(_board(soc, "") for soc in SOCS if soc != "x5"),
        arm64.BOARD,
        *venus_board.BOARDS,
    )
}


@contextlib.contextmanager
def stand_up(board: Board) -> Iterator[Board]:
    """The board with its root prepared and, where it is reached by ssh, a real server in front of it.

    Errors: HostError when the server cannot be started.
    """
    played = board.emulated
    assert played is not None
    if board.platform == "ort":
        with arm64.stand_up(board) as reached:
            yield reached
        return
    if board.platform == "magik":
        with venus_board.stand_up(board) as reached:
            yield reached
        return
    root = prepare(played.soc)
    board = replace(board, work=str(root / "work" / board.name), tools=(str(root / "bin"),))
    if not played.server:
        yield board
        return
    from harness.emulator.servers.serve import serve

    with serve(root, played.server) as served:
        yield served.reach(board)


@contextlib.contextmanager
def serve_board(board: Board, server: str = "", port: int = 0) -> Iterator[Board]:
    """The board behind a real ssh server on loopback, until the context ends; yields how to reach it.

    `server` "" is the one that fits the board. Errors: AskedWrongly for a server that it cannot have, HostError where
    this PC lacks what the board needs.
    """
    assert board.emulated is not None
    if board.platform == "magik":
        if server == "openssh":
            raise AskedWrongly(
                f"{board.name} is served by dropbear alone: its root has no sftp-server", "--server dropbear"
            )
        with venus_board.served(board.emulated.soc, port) as reached:
            yield reached
        return
    server = server or "openssh"
    if board.platform == "ort":
        with arm64.stand_up(replace(board, emulated=replace(board.emulated, server=server)), port=port) as reached:
            yield reached
        return
    from harness.emulator.servers.serve import serve

    root = prepare(board.emulated.soc)
    with serve(root, server, port=port) as login:
        yield login.reach(replace(board, tools=(str(root / "bin"),), work=str(root / "work" / "served")))

"""The built-in boards with Horizon's chips: folders of this PC with an emulated hrt_model_exec in `bin/`."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.emulator.horizon.socs import SOCS
from harness.emulator.socs import Soc
from harness.emulator.started import module_words
from harness.errors import UserError
from harness.files.user_folders import cache_folder
from harness.records import Board, BoardFolders, BoardIdentity, CommandEnvironment, Emulated, Endpoint

_PACKAGE_PARENT = Path(__file__).resolve().parents[3]
_TOOL = "hrt_model_exec"
_MONITORS = {"hbdnn": ("hrut_ddr",), "ucp": ("hrut_ddr", "hrt_ucp_monitor")}


def board_root(soc: str) -> Path:
    """The folder that is the board of that SoC."""
    return cache_folder() / "boards" / soc


def prepare(soc: str) -> Path:
    """Build or refresh the root folder of a SoC's board: `bin/` with the tools, `work/`, `board.json`.

    Safe when several processes do it at once. Errors: UserError for an unknown soc.
    """
    if soc not in SOCS:
        raise UserError(f"the emulator does not know the soc {soc!r}", f"known: {', '.join(SOCS)}")
    root = board_root(soc)
    for folder in (root / "bin", root / "work"):
        folder.mkdir(parents=True, exist_ok=True)
    _write(root / "board.json", json.dumps({"soc": soc, "emulated": True}) + "\n")
    _write_identity(root, SOCS[soc])
    _write(root / "bin" / _TOOL, _stub(_TOOL, root), executable=True)
    for monitor in _MONITORS[SOCS[soc].family]:
        _write(root / "bin" / monitor, _stub(monitor, root, "monitors", monitor), executable=True)
    return root


def _write_identity(root: Path, facts: Soc) -> None:
    """What a board says of itself where the real one does: image version, SoC name, BPU cores, a library's file."""
    files = {
        "etc/version": "0.0.0-emulated\n",
        "sys/class/socinfo/soc_name": f"{facts.name.upper()}\n",
        "sys/devices/system/bpu/core_num": f"{facts.cores}\n",
        "usr/hobot/lib/libdnn.so": "emulated\n",
        **({"usr/hobot/lib/libhbucp.so": "emulated\n"} if facts.family == "ucp" else {}),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        _write(root / name, text)


def _stub(tool: str, root: Path, module: str = _TOOL, *words: str) -> str:
    return "\n".join(
        (
            "#!/bin/sh",
            f"# {tool} of an emulated board",
            f"PYTHONPATH={shlex.quote(str(_PACKAGE_PARENT))} HARNESS_EMULATOR_ROOT={shlex.quote(str(root))} \\",
            f'exec {shlex.join([*module_words(f"horizon.{module}"), *words])} "$@"',
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
        BoardIdentity(name, SOCS[soc].family, soc, Emulated(soc, server)),
        Endpoint(name, "ssh", "127.0.0.1") if server else Endpoint(name, "local"),
        CommandEnvironment(tools=(str(root / "bin"),)),
        BoardFolders(str(root / "work" / name)),
        tags=("emulated",),
    )


# x5 is reached in three ways, the others on this PC.
BOARDS: tuple[Board, ...] = (
    _board("x5", ""),
    _board("x5", "openssh"),
    _board("x5", "dropbear"),
    *(_board(soc, "") for soc in SOCS if soc != "x5"),
)


@contextlib.contextmanager
def stand_up(board: Board) -> Iterator[Board]:
    """The board with its root prepared and, where it is reached by ssh, a real server in front of it.

    Errors: HostError when the server cannot be started.
    """
    emulated = board.emulated
    assert emulated is not None
    root = prepare(emulated.soc)
    board = _rooted(board, root, board.name)
    if not emulated.server:
        yield board
        return
    from harness.emulator.servers.serve import serve

    with serve(root, emulated.server) as served:
        yield served.reach(board)


@contextlib.contextmanager
def served(board: Board, server: str, port: int) -> Iterator[Board]:
    """The board behind a server on loopback. Errors: HostError when it cannot be started."""
    assert board.emulated is not None
    from harness.emulator.servers.serve import serve

    root = prepare(board.emulated.soc)
    with serve(root, server, port=port) as login:
        yield login.reach(_rooted(board, root, "served"))


def _rooted(board: Board, root: Path, work: str) -> Board:
    """The board with its tools and its work folder in that root."""
    environment = replace(board.environment, tools=(str(root / "bin"),))
    return replace(board, environment=environment, folders=replace(board.folders, work=str(root / "work" / work)))

"""The built-in Sophgo boards: folders of this PC with the vendor's tools in `bin/`, played by its simulator."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.emulator.sophgo import environment
from harness.emulator.started import module_words
from harness.errors import HostError
from harness.files.user_folders import cache_folder
from harness.records import Board, BoardFolders, BoardIdentity, CommandEnvironment, Emulated, Endpoint

_PACKAGE_PARENT = Path(__file__).resolve().parents[3]
TOOLS = {
    "bm": ("bmrt_test", "model_tool", "soc_bmodel_infer.py"),
    "cv": ("model_runner", "model_tool"),
}
SOCS = {"bm1684x": "bm", "bm1688": "bm", "cv181x": "cv"}


def _board(soc: str, server: str) -> Board:
    name = f"emu-{soc}{'-ssh' if server else ''}"
    root = root_of(soc)
    return Board(
        BoardIdentity(name, "sophgo", soc, Emulated(soc, server)),
        Endpoint(name, "ssh", "127.0.0.1") if server else Endpoint(name, "local"),
        CommandEnvironment(tools=(str(root / "bin"),)),
        BoardFolders(str(root / "work" / name)),
        tags=("emulated",),
    )


def root_of(soc: str) -> Path:
    """The folder in the user's cache that is this board."""
    return cache_folder() / "boards" / soc


BOARDS: tuple[Board, ...] = tuple(_board(soc, server) for soc in SOCS for server in ("", "openssh"))


def build(soc: str) -> Path:
    """The board's folder, made or refreshed. Errors: HostError where the simulator is not set up."""
    if not environment.is_ready():
        raise HostError(
            f"emu-{soc} is played by Sophgo's own simulator, which is not set up on this PC",
            f"harness boards prepare emu-{soc}   (once; needs CPython 3.10 and 2 GB of disk)",
        )
    root = root_of(soc)
    for folder in (root / "bin", root / "work"):
        folder.mkdir(parents=True, exist_ok=True)
    _write(root / "board.json", json.dumps({"soc": soc, "emulated": True}) + "\n")
    for tool in TOOLS[SOCS[soc]]:
        _write(root / "bin" / tool, _stub(tool, root), executable=True)
    return root


def _stub(tool: str, root: Path) -> str:
    given = {
        "PYTHONPATH": str(_PACKAGE_PARENT),
        "HARNESS_EMULATOR_ROOT": str(root),
        environment.ENVIRONMENT: str(environment.folder()),
    }
    exports = " ".join(f"{key}={shlex.quote(value)}" for key, value in given.items())
    words = shlex.join([*module_words("sophgo.program"), tool])
    return f'#!/bin/sh\n# {tool} of an emulated board\n{exports} \\\nexec {words} "$@"\n'


def _write(path: Path, text: str, executable: bool = False) -> None:
    """Whole or not at all, and only where something changed."""
    if path.is_file() and path.read_text() == text:
        return
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text)
    part.chmod(0o755 if executable else 0o644)
    part.replace(path)


@contextlib.contextmanager
def stand_up(board: Board, server: str = "", port: int = 0) -> Iterator[Board]:
    """The board with its folder prepared and, where it is reached by ssh, a real server in front of it.

    Errors: HostError where the simulator is not set up, or the server cannot be started.
    """
    assert board.emulated is not None
    root = build(board.emulated.soc)
    server = server or board.emulated.server
    board = replace(
        board,
        environment=replace(board.environment, tools=(str(root / "bin"),)),
        folders=replace(board.folders, work=str(root / "work" / board.name)),
    )
    if not server:
        yield board
        return
    from harness.emulator.servers.serve import serve

    with serve(root, server, port=port) as served:
        yield served.reach(board)

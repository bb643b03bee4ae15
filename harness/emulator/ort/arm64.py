"""The built-in board `emu-arm64`: aarch64 Python and ONNX Runtime under user-mode emulation.

What it computes is what an Arm core computes; its times are those of the emulation and say nothing of a board.
`python3` on this board is the emulated one; sh and the other tools are the PC's own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from harness.assets import asset
from harness.emulator.servers.serve import serve
from harness.errors import HostError
from harness.files.user_folders import cache_folder
from harness.records import Board, BoardFolders, BoardIdentity, Emulated, Endpoint
from harness.records.callbacks import LogCallback

NAME = "emu-arm64"
CPU = "cortex-a76"
SET_UP_TIMEOUT_S = 600.0  # 11 s on a PC with a good link; 47 MB are fetched
BOARD = Board(
    BoardIdentity(NAME, "ort", CPU, Emulated(soc=CPU, server="openssh")),
    Endpoint(NAME),
    tags=("emulated",),
)


def arm_python(cpu: str = CPU, tell: LogCallback | None = None) -> Path:
    """The aarch64 `python` command of this PC, set up on first use and kept in the user's cache.

    $HARNESS_ARM64 names another folder to keep it in, for machines that share one.
    Errors: HostError when it cannot be set up: no Debian packages, no network, no space.
    """
    ort = version("onnxruntime")
    folder = Path(os.environ.get("HARNESS_ARM64") or cache_folder()) / f"{cpu}-ort-{ort}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").is_file():
            if tell:
                tell("setting up aarch64 Python and ONNX Runtime (once, 50 MB)")
            _set_up(folder, cpu, ort)
    return folder / "armpy"


def _set_up(folder: Path, cpu: str, ort: str) -> None:
    environment = os.environ | {"PYTHON": _python_with_pip(), "ORT": ort, "CPU": cpu}
    argv = ["sh", str(asset("agents/armroot.sh")), str(folder)]
    try:
        result = subprocess.run(argv, capture_output=True, env=environment, timeout=SET_UP_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise HostError(f"{NAME}: setting it up in {folder} took over {SET_UP_TIMEOUT_S:g} s") from None
    if result.returncode != 0:
        lines = result.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise HostError(
            f"{NAME}: aarch64 Python cannot be set up in {folder}: {lines[-1].removeprefix('armroot: ')}",
            f"it needs Debian 12 or newer and its mirror; to see more: sh {argv[1]} {folder}",
        )


def _python_with_pip() -> str:
    """This Python, or the system's: virtual environments may come without pip."""
    for python in (sys.executable, "python3", "/usr/bin/python3"):
        path = shutil.which(python)
        if path and subprocess.run([path, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
            return path
    raise HostError(f"{NAME}: no Python with pip on this PC", "apt-get install python3-pip")


def build_root(root: Path, python: Path) -> None:
    """Fill `root`, the board's home, with `bin/python3` and a `uname` that names the emulated machine."""
    stubs = {
        "python3": f'exec {shlex.quote(str(python))} "$@"',
        "uname": '/bin/uname "$@" | sed "s/x86_64/aarch64/g"',
    }
    for folder in (root / "bin", root / "work"):
        folder.mkdir(parents=True, exist_ok=True)
    (root / "board.json").write_text(f'{{"soc": "{CPU}", "emulated": true}}\n')
    for name, line in stubs.items():
        path = root / "bin" / name
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(f"#!/bin/sh\n{line}\n")
        part.chmod(0o755)
        part.replace(path)


@contextlib.contextmanager
def stand_up(
    board: Board = BOARD, root: Path | None = None, tell: LogCallback | None = None, port: int = 0
) -> Iterator[Board]:
    """The board behind a real sshd on loopback, for as long as the context lasts; yields how to reach it.

    `root` is the board's home, kept in the user's cache when None. Errors: HostError.
    """
    home = root or cache_folder() / "boards" / board.name
    build_root(home, arm_python(board.identity.soc or CPU, tell))
    server = board.emulated.server if board.emulated else ""
    with serve(home, server or "openssh", _environment(home), port=port) as served:
        yield replace(
            served.reach(board),
            folders=BoardFolders(str((home / "work").resolve())),
            environment=replace(board.environment, tools=(str((home / "bin").resolve()), *board.environment.tools)),
        )


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.pathsep.join([str((home / "bin").resolve()), *_system_path()])}


def _system_path() -> Sequence[str]:
    return ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

"""The CPython 3.10 that the vendor's package is published for: on PATH, or where version managers keep theirs.

A name on PATH may be a shim that runs nothing, so every candidate is run before it is taken.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HostError
from harness.files.user_folders import data_folder

WANTED = (3, 10)
NAME = "python{}.{}".format(*WANTED)
ON_PATH = (NAME, "python3", "python")
ASK_TIMEOUT_S = 30.0
_ASK = "import sys, ensurepip, venv; print(sys.implementation.name, *sys.version_info[:2])"


def find_python(given: str = "") -> str:
    """A CPython 3.10 that runs and can make environments: the given one, or the first that is found.

    Errors: HostError that says how to get one.
    """
    names = [shutil.which(given) or ""] if given else candidates()
    for path in names:
        if path and _version(path) == WANTED:
            return path
    raise HostError(
        f"{given or NAME}: no CPython 3.10 that runs and has venv, and Sophgo's simulator wants that one",
        "install one (uv python install 3.10, pyenv install 3.10, or your distribution's python3.10-venv), "
        "then: harness boards prepare NAME --python PATH",
    )


def candidates() -> Iterator[str]:
    """Paths to try, each once: by name in every folder of PATH, then pyenv's, uv's, mise's, asdf's and conda's."""
    seen = set()
    for path in (*_on_path(), *_of_managers()):
        if path not in seen:
            seen.add(path)
            yield str(path)


def _on_path() -> Iterator[Path]:
    folders = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    for name in ON_PATH:
        for folder in folders:
            if (folder / name).is_file() and os.access(folder / name, os.X_OK):
                yield folder / name


def _of_managers() -> Iterator[Path]:
    """Newest release first in each manager's folder."""
    for folder in _manager_folders():
        interpreters = folder.glob(f"*/bin/{NAME}") if folder.is_dir() else ()
        yield from sorted(interpreters, key=_release, reverse=True)


def _manager_folders() -> tuple[Path, ...]:
    home = Path.home()
    return (
        Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions",
        Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data_folder("uv") / "python"),
        Path(os.environ.get("MISE_DATA_DIR") or data_folder("mise")) / "installs/python",
        Path(os.environ.get("ASDF_DATA_DIR") or home / ".asdf") / "installs/python",
        *(home / name / "envs" for name in ("miniconda3", "anaconda3", "miniforge3", "mambaforge")),
    )


def _release(path: Path) -> list[int]:
    """[3, 10, 13] of .../cpython-3.10.13-linux/bin/python3.10, for sorting."""
    match = re.search(r"3\.10(?:\.[0-9]{1,6})*", path.parts[-3])
    return [int(part) for part in match[0].split(".")] if match else []


def _version(path: str) -> tuple[int, ...]:
    """(3, 10) for a CPython that runs and can make environments; () for anything else."""
    try:
        answer = subprocess.run(
            [path, "-I", "-c", _ASK], capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.fullmatch(r"cpython ([0-9]{1,3}) ([0-9]{1,3})\s*", answer.stdout) if answer.returncode == 0 else None
    return (int(match[1]), int(match[2])) if match else ()

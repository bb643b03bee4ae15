"""The tools that harness is measured against, each in an environment of its own in the user's cache.

Set up once, from the package index that pip is configured for; what cannot be set up is said by name.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from harness.files.user_folders import cache_folder

POLYGRAPHY = "polygraphy==0.53.6"
PLOTLY = "plotly==6.3.0"
SET_UP_TIMEOUT_S = 300.0


class NoPeer(RuntimeError):
    """A peer that cannot be set up; the message names it and says why."""


def environment(*packages: str) -> Path:
    """The folder of a virtual environment that holds these packages. Errors: NoPeer."""
    folder = cache_folder() / "peers" / "+".join(packages).replace("==", "-")
    if (folder / "ready").is_file():
        return folder
    try:
        venv.create(folder, with_pip=True, clear=True)
        argv = [str(python_of(folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        result = subprocess.run(argv, capture_output=True, text=True, timeout=SET_UP_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise NoPeer(f"{packages[0]} cannot be set up in {folder}: {error}") from None
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if "ERROR" in line] or result.stderr.splitlines() or ["?"]
        raise NoPeer(f"{packages[0]} cannot be set up in {folder}: {lines[-1]}")
    (folder / "ready").touch()
    return folder


def polygraphy() -> Path:
    """Polygraphy with numpy. Errors: NoPeer."""
    import numpy

    return environment(POLYGRAPHY, f"numpy=={numpy.__version__}")


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin" / "python"


def add_to_path(folder: Path) -> None:
    """Make the environment's packages importable here, behind our own: numpy stays the one that is loaded."""
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    if paths["purelib"] not in sys.path:
        sys.path.append(paths["purelib"])

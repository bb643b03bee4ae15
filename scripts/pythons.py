"""The Pythons of this machine, by release."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.10", "3.11", "3.12", "3.13")


def find_python(release: str) -> str:
    """A working interpreter of `release` ("3.10"), or "": this one, of the PATH, of pyenv's and uv's folders."""
    if release == "{}.{}".format(*sys.version_info[:2]):
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    paths = [shutil.which(f"python{release}") or ""]
    for folder in (pyenv, data / "uv" / "python"):
        paths += map(str, sorted(folder.glob(f"*{release}.*/bin/python{release}"), reverse=True))
    return next((python for python in paths if python and release_of(python) == release), "")


def release_of(python: str) -> str:
    """ "3.10" for an interpreter that runs and can make environments; "" for any other, as an idle shim of pyenv."""
    code = "import sys, ensurepip, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        result = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def lower_bound(pyproject: str, package: str) -> str:
    """The version behind `package>=` among the dependencies. Errors: ValueError when there is none."""
    match = re.search(rf'"{re.escape(package)}>=([\d.]+)"', pyproject)
    if not match:
        raise ValueError(f"pyproject.toml has no lower bound for {package}")
    return match[1]

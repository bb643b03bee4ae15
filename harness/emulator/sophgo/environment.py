"""The vendor's compiler and simulator on this PC: a virtual environment of CPython 3.10 in the user's cache.

tpu-mlir is published for CPython 3.10 on x86-64 Linux only. What has to be known to run it is in docs/boards/sophgo.md;
the four traps are handled here: its own C library is taken away, `psutil` is added, `torch` is a stand-in, and the
tools are called as files with their variables set, so that nothing leaks into other programs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from harness.emulator.sophgo.packages import NEEDED, VERSION, WHOLE
from harness.emulator.sophgo.pythons import find_python
from harness.emulator.sophgo.stand_in import TORCH
from harness.errors import HostError
from harness.files.user_folders import cache_folder
from harness.records.callbacks import LogCallback

TOOLS = ("model_transform.py", "run_calibration.py", "model_deploy.py", "model_runner.py", "bmodel_checker.py")
NEEDED_BYTES = 4 * 2**30  # 2 GB in the end, and the archives on the way
SET_UP_TIMEOUT_S = 3600.0  # 312 MB and what it needs; resolving takes most of the time
RUN_TIMEOUT_S = 1800.0  # of one tool
ENVIRONMENT = "HARNESS_SOPHGO"  # another folder to keep it in, for machines that share one
_WITHOUT_CHIP = ("model_transform.py", "run_calibration.py", "npz_tool.py", "model_tool")  # load no library of a chip
_OWN_C_LIBRARY = ("libc.so.6", "libm.so.6", "libpthread.so.0")


def folder() -> Path:
    """Where the environment lies, whether it is there or not."""
    home = os.environ.get(ENVIRONMENT)
    return Path(home) if home else cache_folder() / f"tpu-mlir-{VERSION}"


def is_ready() -> bool:
    """Whether it was set up to its end."""
    return (folder() / "ready").is_file()


def prepare(python: str = "", tell: LogCallback | None = None) -> Path:
    """The environment, set up on first use and kept. `python` is a CPython 3.10, looked for when "" (pythons.py).

    Errors: HostError without such a Python, without space, or with the last line of what failed.
    """
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_ready():
            _set_up(place, find_python(python), tell or _silent)
    return place


def _silent(_what: str) -> None:
    return None


def _set_up(place: Path, python: str, tell: LogCallback) -> None:
    free_bytes = shutil.disk_usage(place).free
    if free_bytes < NEEDED_BYTES:
        raise HostError(
            f"{place}: {free_bytes >> 20} MB free, tpu-mlir needs {NEEDED_BYTES >> 20} MB while it installs"
        )
    venv = place / "venv"
    shutil.rmtree(venv, ignore_errors=True)
    tell(f"making an environment with {python}")
    _step(place, [python, "-I", "-m", "venv", str(venv)])
    tell(f"installing tpu-mlir {VERSION} of Sophgo (once; 0.5 GB are fetched, 2 GB kept in {place})")
    # Most of it is never imported: what is gets compiled then, which halves the work of setting up.
    install = [str(venv / "bin/pip"), "install", "--disable-pip-version-check", "--no-input", "--no-compile"]
    try:
        _step(place, [*install, "--no-deps", *NEEDED])
        _finish(place, tell)
    except HostError as error:
        if "found for tpu_mlir" in str(error):
            raise  # the package itself, which its own list names too
        tell("not all of the packages that were tried are there: taking its own list (slower)")
        _step(place, [*install, *WHOLE])
        _finish(place, tell)
    (place / "ready").write_text(f"tpu-mlir {VERSION}\n")


def _finish(place: Path, tell: LogCallback) -> None:
    """What the package lacks and has too much, and whether its tools start. Errors: HostError."""
    tell("taking its own C library away, adding a stand-in for torch (no PyTorch)")
    for name in _OWN_C_LIBRARY:
        (_package(place) / "lib/third_party" / name).unlink(missing_ok=True)
    stand_in = place / "stand_in/torch"
    stand_in.mkdir(parents=True, exist_ok=True)
    (stand_in / "__init__.py").write_text(TORCH)
    tell("trying its tools")
    for tool in TOOLS:
        tried = call(tool, ["--help"], place)
        if tried.returncode != 0:
            raise HostError(f"{place}: {tool} of tpu-mlir does not start: {_last(tried.stderr or tried.stdout)}")


def _step(place: Path, argv: Sequence[str]) -> None:
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    with (place / "set_up.log").open("ab") as log:
        try:
            code = subprocess.run(
                argv, stdout=log, stderr=log, env=clean, timeout=SET_UP_TIMEOUT_S, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            raise HostError(f"setting up tpu-mlir took over {SET_UP_TIMEOUT_S:g} s", f"see {log.name}") from None
        except OSError as error:
            raise HostError(f"{argv[0]}: {error.strerror}", f"see {log.name}") from None
    if code != 0:
        text = (place / "set_up.log").read_text("utf-8", "replace")
        raise HostError(f"setting up tpu-mlir failed: {_last(text)}", f"see {place / 'set_up.log'}, then try again")


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")[:300]


def _package(place: Path) -> Path:
    return place / "venv/lib/python3.10/site-packages/tpu_mlir"


def variables(place: Path) -> dict[str, str]:
    """What the vendor's own start-up sets, for its tools alone."""
    package, venv = _package(place), place / "venv/bin"
    paths = [package / "bin", package / "python/tools", package / "python/utils", venv]
    libraries = [package / "lib", package / "lib/capi", package / "lib/third_party"]
    return {
        "PATH": os.pathsep.join([*map(str, paths), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(map(str, (place / "stand_in", package, package / "python"))),
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        "TPUC_ROOT": str(package),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
    }


def call(
    tool: str,
    arguments: Sequence[str],
    place: Path | None = None,
    *,
    cwd: Path | None = None,
    more: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """One of the vendor's tools, whole: its output as text, its exit code. Errors: HostError when it takes too long.

    Of those that simulate a chip one at a time on this PC: its libraries are links that they turn to the chip.
    """
    place = place or folder()
    package = _package(place)
    python = str(place / "venv/bin/python")
    argv = [python, str(package / "python/tools" / tool)] if tool.endswith(".py") else [str(package / "bin" / tool)]
    with nullcontext() if tool in _WITHOUT_CHIP else _turn(place):
        try:
            return subprocess.run(
                [*argv, *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                cwd=cwd,
                env=variables(place) | dict(more or {}),
                timeout=RUN_TIMEOUT_S,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise HostError(f"{tool} of tpu-mlir took over {RUN_TIMEOUT_S:g} s") from None


@contextmanager
def _turn(place: Path) -> Iterator[None]:
    with (place / "turn").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

"""`harness boards prepare`: numpy and onnxruntime from wheels on this PC into a board's work folder, offline.

The board needs Python and nothing else, no pip. A new site folder replaces the old one only after it was tried.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from harness import platforms
from harness.agent import Agent
from harness.boards.connect import open_board
from harness.boards.lease import hold_board_lease
from harness.errors import BoardError, ConfigError, InputError
from harness.records import Board
from harness.records.callbacks import LogCallback
from harness.transports import Prompt
from harness.transports.base import CommandResult, Transport

if TYPE_CHECKING:
    from packaging.version import Version

Build: TypeAlias = "tuple[Version, tuple[int, str] | tuple[()]]"
TIMEOUT_S = 600.0  # unpacking 80 MB on a slow SD card
NEEDED = {"numpy": ("numpy",), "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-qnn")}
PROBE = (
    "import json,platform,struct,sys;print(json.dumps({'version':sys.version_info[:2],"
    "'implementation':sys.implementation.name,'machine':platform.machine(),'bits':8*struct.calcsize('P'),"
    "'libc':platform.libc_ver()}))"
)
TRY = (
    "import os,sys;os.environ['ORT_DISABLE_TELEMETRY']='1';sys.path.insert(0,sys.argv[1]);import numpy,onnxruntime;"
    "print('tried',numpy.__version__,onnxruntime.__version__,','.join(onnxruntime.get_available_providers()))"
)
SWAP = 'rm -rf "$1.old" && { [ ! -e "$1" ] || mv "$1" "$1.old"; } && mv "$2" "$1" && rm -rf "$1.old"'
# manylinux names from before they carried the glibc version (PEP 600)
OLD_MANYLINUX = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
ARM_32 = {"aarch64": "armv7l", "x86_64": "i686"}  # a 64-bit kernel under a 32-bit Python


@dataclass(frozen=True)
class Python:
    """The Python of a board, as far as wheels care."""

    version: tuple[int, int]
    machine: str
    glibc: tuple[int, int] | None  # None: another C library

    @property
    def words(self) -> str:
        """Version, machine and libc in words."""
        libc = f"glibc {self.glibc[0]}.{self.glibc[1]}" if self.glibc else "no glibc"
        return f"Python {self.version[0]}.{self.version[1]}, {self.machine}, {libc}"


@dataclass(frozen=True)
class Prepared:
    """What is on the board now."""

    site: str
    python: str
    wheels: tuple[str, ...]
    versions: dict[str, str]
    providers: tuple[str, ...]


def prepare(board: Board, wheels: Path, tell: LogCallback | None = None, prompt: Prompt | None = None) -> Prepared:
    """Install the wheels of a folder that fit the board's Python.

    Errors: InputError for a folder without fitting wheels, with the command that fetches them; BoardError for a
    board without Python, without space, or on which the libraries do not start.
    """
    if not platforms.load(board.identity.platform).takes_wheels:
        raise ConfigError(
            f"{board.name} needs no preparing (platform {board.identity.platform})",
            "only boards with plain ONNX Runtime need `harness boards prepare`",
        )
    if not wheels.is_dir():
        raise InputError(f"{wheels}: no such folder", "give a folder with .whl files")
    log = tell or _silent
    with open_board(board, prompt) as (reached, transport):
        agent = Agent.of(transport, reached.folders.work, reached.limits)
        agent.install()
        agent.hello()
        with hold_board_lease(
            agent.lease, board.name, nonce=secrets.token_hex(8), wait_s=0, tell=log
        ):  # not under somebody's run
            return Preparation(reached, transport, log).run(wheels)


def _silent(_what: str) -> None:
    return None


class Preparation:
    """The steps on one board."""

    def __init__(self, board: Board, transport: Transport, tell: LogCallback) -> None:
        self.board, self.transport, self.tell = board, transport, tell
        self.site = f"{board.folders.work.rstrip('/')}/site"
        self.part = f"{self.site}.{secrets.token_hex(8)}.part"

    def run(self, wheels: Path) -> Prepared:
        """Install the wheels beside what is there, try them, and only then take them into use.

        Errors: BoardError, InputError.
        """
        self.tell("checking the board's Python")
        python = self.probe()
        chosen = choose(wheels, python)
        self._sh('rm -rf "$1".*part && mkdir -p "$2"', self.site, self.part, what="making the site folder")
        for wheel in chosen:
            self.tell(f"installing {wheel.name}")
            self._install(wheel)
        self.tell("testing it")
        words = self._try()
        self._sh(SWAP, self.site, self.part, what="activating the new site folder")
        return Prepared(
            self.site,
            python.words,
            tuple(wheel.name for wheel in chosen),
            {"numpy": words[1], "onnxruntime": words[2]},
            tuple(words[3].split(",")),
        )

    def probe(self) -> Python:
        """Errors: BoardError for a board without Python >= 3.8."""
        result = self._python("-c", PROBE)
        if result.code != 0:
            raise BoardError(
                f"{self.board.name}: no {self._name()} on the board: {_last_line(result)}",
                "install Python 3.8 or newer, or set `options: {python: /path/to/python3}` in hosts.yaml",
            )
        python = read_python(result.out)
        if python is None or python.version < (3, 8):
            raise BoardError(f"{self.board.name}: {self._name()} is too old or not CPython: {_last_line(result)}")
        return python

    def _install(self, wheel: Path) -> None:
        """Push one wheel and unpack it with the board's own Python; pip is not needed."""
        target = f"{self.part}/{wheel.name}"
        self.transport.push(wheel, target, timeout_s=TIMEOUT_S)
        self._checked(self._python("-m", "zipfile", "-e", target, self.part), f"unpacking {wheel.name}")
        self._sh('rm -f "$1"', target, what=f"removing {wheel.name}")

    def _try(self) -> list[str]:
        result = self._checked(self._python("-c", TRY, self.part), "testing numpy and onnxruntime")
        words = result.out.decode("utf-8", "replace").strip().splitlines()[-1:] or [""]
        versions = words[0].split(" ")
        if len(versions) != 4 or versions[0] != "tried":
            raise BoardError(f"{self.board.name}: unexpected output of the installed libraries: {words[0][:200]!r}")
        return versions

    # ---- commands

    def _name(self) -> str:
        return str(self.board.identity.options.get("python", "python3"))

    def _python(self, *arguments: str) -> CommandResult:
        """The board's Python, with its tools and libraries in front as in a run."""
        script = 'PATH=$1:$PATH; [ -z "$2" ] || export LD_LIBRARY_PATH="$2"; shift 2; exec "$@"'
        head = [
            "sh",
            "-c",
            script,
            "sh",
            ":".join(self.board.environment.tools) or "/usr/bin",
            ":".join(self.board.identity.libraries),
        ]
        return self.transport.run([*head, self._name(), *arguments], timeout_s=TIMEOUT_S)

    def _sh(self, script: str, *arguments: str, what: str) -> None:
        self._checked(self.transport.run(["sh", "-c", script, "sh", *arguments], timeout_s=TIMEOUT_S), what)

    def _checked(self, result: CommandResult, what: str) -> CommandResult:
        if result.code == 0:
            return result
        words = _last_line(result)
        hint = "its disk is full; see harness boards check" if "No space left" in words else "nothing was replaced"
        raise BoardError(f"{self.board.name}: {what} failed with {result.code}: {words}", hint)


def _last_line(result: CommandResult) -> str:
    lines = [line for line in (result.err + b"\n" + result.out).decode("utf-8", "replace").splitlines() if line.strip()]
    error_lines = [line for line in result.err.decode("utf-8", "replace").splitlines() if line.strip()]
    return (error_lines or lines or ["no reason given"])[-1].strip()[:300]


def read_python(answer: bytes) -> Python | None:
    """The board's answer to PROBE; None when it is no such answer."""
    try:
        facts: Any = json.loads(answer)
        major, minor = (int(n) for n in facts["version"])
        bits, machine, (name, release) = int(facts["bits"]), str(facts["machine"]), facts["libc"]
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    if facts.get("implementation") != "cpython" or not re.fullmatch(r"\w{1,20}", machine):
        return None
    match = re.match(r"(\d+)\.(\d+)", str(release)) if name == "glibc" else None
    glibc = (int(match[1]), int(match[2])) if match else None
    return Python((major, minor), ARM_32.get(machine, machine) if bits == 32 else machine, glibc)


# --------------------------------------------------------------------------- choosing wheels


def choose(folder: Path, python: Python) -> list[Path]:
    """The newest fitting wheel of every distribution in the folder; a release is newer than its candidates.

    Errors: InputError when a needed one lacks.
    """
    best: dict[str, tuple[Build, Path]] = {}
    for path in sorted(folder.glob("*.whl")):
        parts = _name_and_build(path.name)
        if parts is not None and fits(path.stem.split("-")[-3:], python):
            name, build = parts
            if name not in best or build > best[name][0]:
                best[name] = (build, path)
    for what, names in NEEDED.items():
        if not any(name in best for name in names):
            raise InputError(f"{folder}: no {what} wheel for {python.words}", fetch_command(what, python, folder))
    return [path for _, path in best.values()]


def _name_and_build(file_name: str) -> tuple[str, Build] | None:
    """The distribution's name, and what orders its wheels; None where the file is not named as wheels are."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename  # late: it costs the start of every command

    try:
        name, version, build, _ = parse_wheel_filename(file_name)
    except InvalidWheelFilename:
        return None
    return str(name), (version, build)


def fits(tags: Sequence[str], python: Python) -> bool:
    """Whether a wheel's (python, abi, platform) tags suit that Python; tags may be sets with dots."""
    pythons, abis, platforms = (tag.split(".") for tag in tags)
    return (
        any(_python_fits(tag, abi, python) for tag in pythons for abi in abis)
        and any(_platform_fits(tag, python) for tag in platforms)
    )  # fmt: skip


def _python_fits(tag: str, abi: str, python: Python) -> bool:
    own = f"cp{python.version[0]}{python.version[1]}"
    if tag in ("py3", f"py{own[2:]}"):
        return abi == "none"
    least = re.fullmatch(r"cp3(\d+)", tag)
    if abi == "abi3" and least:
        return int(least[1]) <= python.version[1]
    return tag == own and abi in (own, "none")


def _platform_fits(tag: str, python: Python) -> bool:
    if tag in ("any", f"linux_{python.machine}"):
        return True
    kind, separator, machine = tag.partition(f"_{python.machine}")
    if not separator or machine or python.glibc is None:
        return False
    match = re.fullmatch(r"manylinux_(\d+)_(\d+)", kind)
    least = (int(match[1]), int(match[2])) if match else OLD_MANYLINUX.get(kind)
    return least is not None and least <= python.glibc


def fetch_command(what: str, python: Python, folder: Path) -> str:
    """The pip command that fetches the wheels on a PC with a network."""
    newest = python.glibc or (2, 17)
    levels = [f"manylinux_2_{n}" for n in (28, 27, 17) if (2, n) <= newest] + ["manylinux2014"]
    platforms = " ".join(f"--platform {level}_{python.machine}" for level in levels)
    version = f"{python.version[0]}.{python.version[1]}"
    return f"pip download --only-binary=:all: --no-deps --python-version {version} {platforms} -d {folder} " + (
        "numpy onnxruntime" if what in NEEDED else what
    )


def to_json(prepared: Prepared) -> Mapping[str, object]:
    """For `--json`."""
    return {
        "site": prepared.site,
        "python": prepared.python,
        "wheels": list(prepared.wheels),
        "versions": prepared.versions,
        "providers": list(prepared.providers),
    }

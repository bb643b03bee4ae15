"""One call of an emulated Magik program."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.emulator.console import Console
from harness.emulator.model.faults import Fault
from harness.emulator.socs import Runtime, Soc
from harness.emulator.this_board import ROOT

JAIL = "HARNESS_EMULATOR_JAIL"


_LINKS = 40  # symbolic links on one way, as kernels limit it


class Stop(Exception):
    """The program ends here, as the real one does; the code says little."""

    def __init__(self, code: int = 0) -> None:
        super().__init__(str(code))
        self.code = code


@dataclass
class Program:
    """One call of one build."""

    mode: str
    soc: Soc
    runtime: Runtime
    console: Console
    arguments: Sequence[str]
    faults: tuple[Fault, ...] = ()
    effects: list[object] = field(default_factory=list)

    def has(self, kind: str) -> bool:
        """Whether a tool fault of that kind is planted in this program."""
        return any(f.kind == kind and f.target in ("", self.mode) for f in self.faults if f.where == "tool")

    @property
    def build_type(self) -> str:
        """What the loaded library makes of the program: with another library it acts as a release build."""
        return "release" if self.has("wrong_library") else self.mode

    @property
    def numeric(self) -> list[Fault]:
        """Faults that change values."""
        return [f for f in self.faults if f.where in ("op", "input", "inputs")]


def crash() -> int:
    """Die of a segmentation fault."""
    sys.stdout.flush()
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)
    return 139


def place(text: str) -> Path:
    """A path of the board as one of this PC; links lead within the board's root. Errors: Stop for a loop."""
    if JAIL not in os.environ:
        return Path(text)
    root = Path(os.environ[ROOT])
    waiting = [part for part in text.split("/") if part not in ("", ".")]
    current = root if text.startswith("/") else Path.cwd()
    for _ in range(_LINKS * 8):
        if not waiting:
            return current
        part = waiting.pop(0)
        current = _step(root, current, part)
        if current.is_symlink():
            target = str(current.readlink())
            waiting = [p for p in target.split("/") if p not in ("", ".")] + waiting
            current = root if target.startswith("/") else current.parent
    raise Stop(1)


def _step(root: Path, current: Path, part: str) -> Path:
    if part != "..":
        return current / part
    return current if current == root else current.parent

"""Which emulated board a played tool runs on: told by its environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

from harness.emulator.socs import Soc, soc_named

ROOT = "HARNESS_EMULATOR_ROOT"


RUNTIME = "HARNESS_EMULATOR_RUNTIME"  # another of the chip's runtime versions


def board_soc() -> Soc:
    """The board that this tool lies on: board.json of its root; an RDK X5 without one."""
    root = os.environ.get(ROOT)
    record = Path(root) / "board.json" if root else None
    soc = json.loads(record.read_text())["soc"] if record and record.is_file() else "x5"
    return soc_named(soc)

"""Which emulated board an emulated tool runs on: given by its environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from harness.emulator.socs import Soc
from harness.errors import UserError

Chip = TypeVar("Chip", bound=Soc)
ROOT = "HARNESS_EMULATOR_ROOT"


RUNTIME = "HARNESS_EMULATOR_RUNTIME"  # another of the chip's runtime versions


def board_soc(socs: Mapping[str, Chip], default: Chip) -> Chip:
    """The chip, one of `socs`, of the board that this tool lies on: board.json of its root; `default` without one.

    Errors: UserError for a board with another chip.
    """
    root = os.environ.get(ROOT)
    record = Path(root) / "board.json" if root else None
    name = json.loads(record.read_text())["soc"] if record and record.is_file() else default.name
    if name not in socs:
        raise UserError(f"{record}: this tool is not emulated for {name!r}", f"known: {', '.join(socs)}")
    return socs[name]

"""`bm-smi`: temperatures and load of the TPU. The columns are found by its heading (bm-smi/src/bm_smi_display.cpp)."""

from __future__ import annotations

import re

from harness.platforms.text import plain
from harness.profiling.telemetry import Sense

COMMAND = ("bm-smi", "--noloop")
_HEADING = re.compile(r"boardT\s+chipT")
_DEGREES = re.compile(r"(?<![0-9])([0-9]{1,3})C(?![A-Za-z])")
_PERCENT = re.compile(r"(?<![0-9.])([0-9]{1,3})%")


def read_status(text: str) -> tuple[Sense, ...]:
    """One look: `board` and `chip` in degrees Celsius, `TPU` in percent; nothing where no row has both temperatures."""
    lines = plain(text).lines
    start = next((i for i, line in enumerate(lines) if _HEADING.search(line)), None)
    for line in lines[start + 1 : start + 8] if start is not None else ():
        degrees, load = _DEGREES.findall(line), _PERCENT.search(line)
        if len(degrees) >= 2:
            sense = Sense()
            for name, figure in zip(("board", "chip"), degrees, strict=False):
                sense.put("temperatures_c", name, float(figure), (-40.0, 150.0), line)
            if load:
                sense.put("load_percent", "TPU", float(load[1]), (0.0, 100.0), line)
            return (sense,)
    return ()

"""`hrut_somstatus` in all its forms, and the stress-test logs that embed it.

The tool is a shell script that differs per board: X3 prints kHz and Hz without a unit, X5 `(M)` in its headers and
sometimes a literal `-e` before each line, S100 and S600 cpufreq policies and voltages. Rows are read by their names
(`cpu0`, `policy4`, `bpu1`, `ddr`), columns by the header above them; other lines are counted as not understood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.profiling.telemetry import SANE_C, SANE_MHZ, Sense

_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_ECHO_E = re.compile(r"^\s*-e(?=\s)")
_SNAPSHOT = re.compile(r"^\s*=+([0-9]+)=+\s*$")
_STAMP = re.compile(r"^\s*=== ([0-9]{4}-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]) ===\s*$")
_SECTION = re.compile(
    r"^\s*(temperature|voltage|cpu frequency|bpu status information|\w[\w ]* frequency information)-+>\s*$"
)
_HEADER = re.compile(r"^\s*(?:(?:min|cur|max)(?:\((\w)\))?\s+)*(?:(?:min|cur|max)(?:\(\w\))?|ratio)\s*$")
_COLUMN = re.compile(r"(min|cur|max|ratio)")
_DEGREES = re.compile(rf"^\s*([\w./-]+)\s*:\s*({_NUMBER}) \(C\)\s*$")
_MILLIVOLTS = re.compile(rf"^\s*([\w./-]+)\s*:\s*({_NUMBER}) \(mV\)\s*$")
_ROW = re.compile(rf"^\s*([A-Za-z]\w*):\s*({_NUMBER}(?:\s+{_NUMBER})*)\s*$")
_SYSFS_RATIO = re.compile(r"^\s*(bpu[0-9]*)_ratio:\s*([0-9]+)\s*$")
_ROW_NAME = re.compile(r"^(cpu[0-9]+|policy[0-9]+|bpu[0-9]+|ddr|gc[0-9]+)$")
_PROMPT = re.compile(r"[#$]\s|[#$]$|^#")
_SANE_MV = (0.0, 50_000.0)


@dataclass
class _StatusReader:
    senses: list[Sense] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    mega: bool = False
    inside: bool = False
    fresh: bool = False  # a stamp opened a snapshot that no rows have filled yet

    def sense(self) -> Sense:
        if not self.senses:
            self.senses.append(Sense())
        return self.senses[-1]


def read_somstatus(text: str) -> tuple[Sense, ...]:
    """Every snapshot in the text, in order. Never raises; lines that are not understood are in `problems`."""
    reader = _StatusReader()
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    last = len(lines) - 1
    for index, line in enumerate(lines):
        line = _ECHO_E.sub("  ", line).rstrip()
        if line.strip() and not _opens(reader, line):
            _take(reader, line, whole=index != last)
    return tuple(sense for sense in reader.senses if _holds(sense))


def _holds(sense: Sense) -> bool:
    return bool(sense.temperatures_c or sense.clocks_mhz or sense.load_percent or sense.voltages_mv or sense.problems)


def _opens(reader: _StatusReader, line: str) -> bool:
    """Lines that open something: a snapshot, a section, a row of columns."""
    if match := _STAMP.match(line):
        reader.senses.append(Sense(clock=match[1]))
        reader.fresh, reader.columns = True, ()
    elif _SNAPSHOT.match(line):
        if not reader.fresh:
            reader.senses.append(Sense())
        reader.fresh, reader.columns = False, ()
    elif _SECTION.match(line):
        if not reader.senses:
            reader.senses.append(Sense())
        reader.columns, reader.inside = (), True
    elif _HEADER.match(line):
        reader.columns, reader.mega = tuple(_COLUMN.findall(line)), "(M)" in line
    else:
        return False
    return True


def _take(reader: _StatusReader, line: str, whole: bool) -> None:
    sense = reader.sense()
    if match := _SYSFS_RATIO.match(line):
        if whole:
            sense.put("load_percent", f"sysfs {match[1]}", float(match[2]), (0.0, 100.0), line)
    elif match := _DEGREES.match(line):
        sense.put("temperatures_c", match[1], float(match[2]), SANE_C, line)
    elif match := _MILLIVOLTS.match(line):
        sense.put("voltages_mv", match[1], float(match[2]), _SANE_MV, line)
    elif (match := _ROW.match(line)) and _ROW_NAME.match(match[1]):
        _row(reader, sense, match[1], match[2].split(), whole)
    else:
        _stranger(reader, sense, line)


def _row(reader: _StatusReader, sense: Sense, name: str, values: Sequence[str], whole: bool) -> None:
    if not whole or len(values) != len(reader.columns):
        sense.problems.append(f"{name}: {' '.join(values)[:60]!r} does not fit the columns {reader.columns}")
        return
    row = dict(zip(reader.columns, values, strict=True))
    for column, where in (("cur", "clocks_mhz"), ("max", "max_clocks_mhz")):
        if column in row:
            sense.put(where, name, float(row[column]) / _per_mhz(reader, name), SANE_MHZ, row[column])
    if "ratio" in row:
        sense.put("load_percent", name, float(row["ratio"]), (0.0, 100.0), row["ratio"])


def _per_mhz(reader: _StatusReader, name: str) -> float:
    """Units of the row in one megahertz: headers with (M) are MHz, else CPUs are kHz and the others Hz."""
    if reader.mega:
        return 1.0
    return 1e3 if name.startswith(("cpu", "policy")) else 1e6


def _stranger(reader: _StatusReader, sense: Sense, line: str) -> None:
    """Prompts and other programs' lines around the snapshot are passed; inside it they are named."""
    if line.strip() == "...":
        sense.problems.append("lines were left out of the text ('...')")
    elif line.lstrip().startswith("["):
        reader.inside = False  # rdkos_info goes on with other facts
    elif reader.inside and not _PROMPT.search(line):
        sense.problems.append(f"not understood: {line.strip()[:60]!r}")

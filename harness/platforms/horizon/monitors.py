"""What monitors of Horizon boards print while a model runs: `hrut_ddr` of X5 and of J6 and S100, `hrt_ucp_monitor`.

DDR traffic is hrut_ddr's: the vendor's notes find hrt_ucp_monitor's far too low under load, and its BPU load and memory
right. Both need the counters of the DDR for themselves, so one of them runs at a time.
"""

from __future__ import annotations

import re

from harness.platforms.text import number, plain
from harness.profiling.telemetry import Sense

MOST_MIB_S = 4.0 * 2**20  # beyond any board's memory
MOST_MIB = 2.0**20
MOST_S = 1e12  # beyond any board's clock
PERIOD_S = 1.0
_CSV = re.compile(r"^\s*([0-9]{1,12}(?:\.[0-9]+)?),\s*([0-9.]+),\s*([0-9.]+)\s*$")
_TIME = re.compile(r"^\s*Time\s+([0-9]+(?:\.[0-9]+)?)s\s*$")
_COLUMNS = re.compile(r"^\s*MB/S\s+(\S.*)$")
_ROW = re.compile(r"^\s*(Read|Write)\s*:\s*([0-9. ]+)$")
_BUSY = re.compile(r"^\s*Core ([0-9]+):\s*busy=\s*([0-9.]+)%")
_HEAP = re.compile(r"^\s*(\w[\w.-]*):\s*([0-9.]+)\s*(KB|KiB|MB|MiB|GB|GiB)\s*$")
_SECTION = re.compile(r"^\s*(BPU Utilization|DDR Bandwidth|ION Memory|Process Memory):\s*$")
_MIB = {"K": 1 / 1024, "M": 1.0, "G": 1024.0}


def read_hrut_ddr(text: str) -> tuple[Sense, ...]:
    """Samples with seconds since the first; lines that are neither rows nor headers are passed over."""
    senses: list[Sense] = []
    columns: list[str] = []
    for line, whole in plain(text).numbered():
        if whole and (match := _CSV.match(line)):
            senses.append(Sense(t_s=float(match[1])))
            _put(senses[-1], "DDR read", match[2])
            _put(senses[-1], "DDR write", match[3])
        elif match := _TIME.match(line):
            senses.append(_block(match[1]))
        elif match := _COLUMNS.match(line):
            columns = match[1].split()
        elif whole and senses and (match := _ROW.match(line)):
            _row(senses[-1], match[1].lower(), columns, match[2].split())
    return _since_the_first(senses)


def _block(time: str) -> Sense:
    """What stands under one time. Under a time that cannot be, figures have no place: a problem is all that is told."""
    t_s = number(time)
    if t_s is not None and t_s < MOST_S:
        return Sense(t_s=t_s)
    sense = Sense()
    sense.tell(f"time: {time[:60]!r} is not plausible; what stands under it is left out")
    return sense


def _row(sense: Sense, way: str, columns: list[str], cells: list[str]) -> None:
    if len(cells) != len(columns):
        sense.tell(f"DDR {way}: {len(cells)} figures for {len(columns)} columns")
        return
    for column, cell in zip(columns, cells, strict=True):
        _put(sense, f"DDR {way} {column.rpartition(':')[2]}", cell)


def _put(sense: Sense, name: str, cell: str) -> None:
    sense.put("bandwidth_mib_s", name, number(cell), (0.0, MOST_MIB_S), cell)


def _since_the_first(senses: list[Sense]) -> tuple[Sense, ...]:
    first = next((sense.t_s for sense in senses if sense.t_s is not None), 0.0)
    for sense in senses:
        if sense.t_s is None:
            sense.bandwidth_mib_s.clear()
        else:
            sense.t_s -= first
    return tuple(sense for sense in senses if sense.bandwidth_mib_s or sense.problems)


def read_ucp_monitor(text: str) -> tuple[Sense, ...]:
    """A sample per block: load of the cores and memory; one block a period."""
    senses: list[Sense] = []
    section = ""
    for line, whole in plain(text).numbered():
        if match := _SECTION.match(line):
            section = match[1]
            if section == "BPU Utilization" or not senses:
                senses.append(Sense(t_s=len(senses) * PERIOD_S))
        elif whole and senses and (match := _BUSY.match(line)):
            senses[-1].put("load_percent", f"bpu{match[1]}", number(match[2]), (0.0, 100.0), line)
        elif whole and senses and section == "ION Memory" and (match := _HEAP.match(line)):
            size = number(match[2])
            mib = None if size is None else size * _MIB[match[3][0]]
            senses[-1].put("memory_mib", f"ION {match[1]}", mib, (0.0, MOST_MIB), line)
    return tuple(senses)

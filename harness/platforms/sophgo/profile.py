"""Times of ops from a profile of engine commands: a board's own (iterations.py), or the vendor's model of it.

`net_stat.sim` of bmprofile_data and `compiler_profile_0.txt` have two columns, the computing engine (BD) and the
engine that moves data (GDMA); a cell is
`<opcode>_<file line>|<command>|s:<start>|b:<id>|g:<id>|e:<end>|t:<cycles>`, GDMA's with `sz:` bytes and `bw:` GB/s.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.platforms.sophgo.dumps import located_ops
from harness.platforms.sophgo.iterations import read_iterations
from harness.platforms.text import NUMBER, number, read_text
from harness.records import OpTime

_CELL = re.compile(rf"(?<!\S)([A-Za-z]\w*)_([0-9]{{1,10}})\|(\w+)\|((?:\w+:{NUMBER}\|?)+)")
_FREQUENCY = re.compile(r"^\[bmprofile\] tpu_freq=([0-9]{1,10})(?![0-9])", re.MULTILINE)
MHZ = 1000.0  # where the profile tells no clock: the vendor's own default
MOVES = ("Load", "Store")
FILES = ("net_stat.sim", "compiler_profile_0.txt")


@dataclass
class _OpWork:
    """What one op did on both engines, in cycles."""

    kind: str
    start: float
    end: float = 0.0
    cycles: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    bytes: float = 0.0
    commands: int = 0


def read_profile(folder: Path) -> tuple[OpTime, ...]:
    """Every op in the order of its first command; empty where the folder holds no profile.

    An op's time is that of the engine that was busier for it: the other's work lies behind it. What a board measured
    (iter*.profile) goes before what the vendor's model counts.
    """
    if measured := _measured(folder):
        return measured
    text = next((text for name in FILES if (text := read_text(folder / name))), "")
    clock = _clock(folder)
    works = _works(text)
    names = _names(folder)
    ordered = sorted(works.items(), key=lambda item: (item[1].start, item[0]))
    ops = (_op(line, work, clock or MHZ, names.get(line, ""), i) for i, (line, work) in enumerate(ordered))
    return tuple(replace(op, estimated=clock is None) for op in ops)


def _measured(folder: Path) -> tuple[OpTime, ...]:
    """Ops and CPU subnets of a board's own profile; none where it has no times of commands."""
    measured = read_iterations(folder)
    per_us = _clock(folder) or MHZ
    names = _names(folder)
    ordered = sorted(measured.layers.items(), key=lambda item: item[1].order)
    works = [(line, _OpWork(work.kind, 0.0, cycles=work.cycles, commands=work.commands)) for line, work in ordered]
    ops = [_op(line, work, per_us, names.get(line, ""), i) for i, (line, work) in enumerate(works)]
    on_cpu = [
        OpTime(f"CPU subnet {subnet}", "subgraph", "CPU", "compute", took_us, count=1, index=len(ops) + i)
        for i, (subnet, took_us) in enumerate(sorted(measured.cpu_us.items()))
    ]
    is_guess = not _clock(folder)
    return (*(replace(op, estimated=is_guess) for op in ops), *on_cpu) if ops else ()


def _clock(folder: Path) -> float | None:
    """Cycles for each microsecond as the profile tells them."""
    line = _FREQUENCY.search(read_text(folder / "global.profile"))
    return float(line[1]) if line and int(line[1]) else None


def ops_of_text(text: str, cycles_per_us: float = MHZ) -> tuple[OpTime, ...]:
    """The ops of one such file alone, at the vendor's usual clock."""
    works = sorted(_works(text).items(), key=lambda item: (item[1].start, item[0]))
    return tuple(_op(line, work, cycles_per_us, "", i) for i, (line, work) in enumerate(works))


def end_us(folder: Path) -> float | None:
    """Microseconds from the first command to the end of the last, both engines; None without a profile."""
    text = next((text for name in FILES if (text := read_text(folder / name))), "")
    works = _works(text).values()
    if not works:
        return None
    return (max(work.end for work in works) - min(work.start for work in works)) / (_clock(folder) or MHZ)


def _works(text: str) -> dict[int, _OpWork]:
    works: dict[int, _OpWork] = {}
    for match in _CELL.finditer(text):
        pairs = (pair.split(":") for pair in match[4].strip("|").split("|"))
        figures = {key: value for key, text_ in pairs if (value := number(text_)) is not None}
        if "t" not in figures or "s" not in figures:
            continue
        work = works.setdefault(int(match[2]), _OpWork(match[1], figures["s"]))
        engine = "gdma" if "sz" in figures or match[3].startswith("GDMA") else "bd"
        work.cycles[engine] += figures["t"]
        work.start = min(work.start, figures["s"])
        work.end = max(work.end, figures.get("e", figures["s"] + figures["t"]))
        work.bytes += figures.get("sz", 0.0)
        work.commands += 1
    return works


def _op(line: int, work: _OpWork, cycles_per_us: float, name: str, index: int) -> OpTime:
    figures = {f"{engine}_cycles": cycles for engine, cycles in sorted(work.cycles.items())}
    moved_us = work.cycles.get("gdma", 0.0) / cycles_per_us
    if work.bytes:
        figures["bytes"] = work.bytes
        if moved_us:
            figures["gb_per_s"] = work.bytes / moved_us / 1000.0
    return OpTime(
        name=name or f"{work.kind}_{line}",
        kind=work.kind,
        unit="NPU",
        category="compute",  # of Load and Store too: they move data and convert no layout
        mean_us=max(work.cycles.values()) / cycles_per_us,
        count=work.commands,
        figures=figures,
        index=index,
    )


def _names(folder: Path) -> dict[int, str]:
    """The tensor that each file line computes, from tensor_location.json; moves keep the profile's names."""
    return {op.line: op.results[0] for op in located_ops(folder) if op.results and op.opcode not in MOVES}

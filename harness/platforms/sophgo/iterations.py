"""A board's own profile: `iter<N>.profile` of bmprofile_data, with `global.profile` for what its commands belong to.

Format as the vendor's reader has it (tpu-mlir, python/profile_helper, bmprofile_parser.py and bm1684x_defs.py); no
board's file has been seen here. A file is blocks of u32 type, u32 length, content. SUMMARY tells the subnet, and its
begin and end by the host's clock; MONITOR_BD and MONITOR_GDMA hold one record for each command of an engine: u32 start,
u32 end, in cycles, and the number of the command before it, which wraps round at 65536. Records come in the order of
the commands that `global.profile` lists by layer. The simulator's files have no such records.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.platforms.text import read_text

MOST_BYTES = 2**28  # of one file
MOST_FILES = 1000
SUMMARY, MONITOR_BD, MONITOR_GDMA = 1, 3, 4
RECORD_BYTES = {MONITOR_BD: 32, MONITOR_GDMA: 192}  # of BM1684 and BM1684X
READ = (SUMMARY, *RECORD_BYTES)
ID_BITS = {MONITOR_BD: 16, MONITOR_GDMA: 20}
ENGINES = {MONITOR_BD: "bd", MONITOR_GDMA: "gdma"}
ARCHES = ("BM1684", "BM1684X")  # whose records the vendor's reader describes in this form
CPU_SUBNET = 1
_NAME = re.compile(r"iter([0-9]{1,9})\.profile")
_LINE = re.compile(
    r"^\[bmprofile\] (?:(?P<subnet>start to run subnet_id=)(?P<id>\d{1,10})(?!\d)"
    r"|(?:local|global)_layer: layer_id=(?P<layer>-?\d{1,10}) layer_type=(?P<kind>\S*)"
    r"|(?P<gdma_layer>gdma_type=)|(?P<engine>bd|gdma) cmd_id bd_id=(?P<bd>\d{1,10}) gdma_id=(?P<gdma>\d{1,10})(?!\d))",
    re.MULTILINE,
)
_ARCH = re.compile(r"^\[bmprofile\] arch=(\S+)", re.MULTILINE)


@dataclass
class LayerWork:
    """What one layer of the compiled model did, in cycles of each engine, over all iterations."""

    kind: str
    order: int
    cycles: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    commands: int = 0


@dataclass(frozen=True)
class Measured:
    """Layers by their number (the file line in final.mlir), and CPU subnets by theirs, for one inference."""

    layers: dict[int, LayerWork]
    cpu_us: dict[int, float]
    problem: str = ""  # why there are no layers, where the files are there


@dataclass(frozen=True)
class _Command:
    layer: int
    kind: str
    number: int


def read_iterations(folder: Path) -> Measured:
    """The mean of all iterations in the folder. Damaged files are read as far as they are whole."""
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.glob("iter*.profile"))
    files = sorted((int(match[1]), path) for match, path in matches if match)[:MOST_FILES]
    text = read_text(folder / "global.profile")
    arch = _ARCH.search(text)
    if not files or (arch and arch[1] not in ARCHES):
        why = f"the profile of a {arch[1]} is kept, and not read" if files and arch else ""
        return Measured({}, {}, why)
    plan = _commands(text)
    layers: dict[int, LayerWork] = {}
    counts: dict[int, int] = defaultdict(int)
    cpu_us: dict[int, float] = defaultdict(float)
    for _, path in files:
        with path.open("rb") as stream:
            data = stream.read(min(MOST_BYTES, path.stat().st_size))  # read() takes the memory for all it may get
        subnet, kind, took_us = _summary(_blocks(data))
        counts[subnet] += 1
        if kind == CPU_SUBNET:
            cpu_us[subnet] += took_us
        for code, content in _blocks(data):
            if code in RECORD_BYTES:
                _add(layers, plan.get((subnet, code), []), code, content)
    return _of_one(layers, cpu_us, counts, plan)


def _of_one(
    layers: dict[int, LayerWork],
    cpu_us: dict[int, float],
    counts: dict[int, int],
    plan: dict[tuple[int, int], list[_Command]],
) -> Measured:
    """Divided by how often each subnet ran."""
    subnet_of = {command.layer: subnet for (subnet, _), commands in plan.items() for command in commands}
    for layer, work in layers.items():
        times = max(1, counts[subnet_of[layer]])
        work.cycles = {engine: cycles / times for engine, cycles in work.cycles.items()}
        work.commands //= times
    why = "" if layers or cpu_us else "the profile holds no times of commands"
    return Measured(layers, {subnet: total / counts[subnet] for subnet, total in cpu_us.items()}, why)


def _blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Never all at once: a block of no content is 8 bytes of the file and ten times that as an object."""
    at = 0
    while at + 8 <= len(data):
        code, length = struct.unpack_from("<II", data, at)
        if code in READ and length:
            yield code, data[at + 8 : at + 8 + length]
        at += 8 + length


def _summary(blocks: Iterable[tuple[int, bytes]]) -> tuple[int, int, float]:
    """(subnet, its kind, microseconds of the host's clock); zeros where it is not told."""
    for code, content in blocks:
        if code == SUMMARY and len(content) >= 28:
            _, subnet, kind, begin, end = struct.unpack_from("<IIIQQ", content)
            return subnet, kind, float(max(0, end - begin))
    return 0, 0, 0.0


def _commands(text: str) -> dict[tuple[int, int], list[_Command]]:
    """Commands of each subnet and engine in their order, with their layers."""
    plan: dict[tuple[int, int], list[_Command]] = defaultdict(list)
    subnet, layer, kind = 0, -1, ""
    for match in _LINE.finditer(text):
        if match["subnet"]:
            subnet, layer = int(match["id"]), -1
        elif match["layer"] is not None:
            layer, kind = int(match["layer"]), match["kind"]
        elif match["engine"]:
            code = MONITOR_BD if match["engine"] == "bd" else MONITOR_GDMA
            plan[subnet, code].append(_Command(layer, kind, int(match[match["engine"]])))
    return plan


def _add(layers: dict[int, LayerWork], plan: Sequence[_Command], code: int, content: bytes) -> None:
    """Records onto the layers of their commands; records of other programs (the firmware's own) are passed over."""
    at = 0
    for start, end, before in _records(code, content):
        wanted = (before + 1) & 0xFFFF
        place = next((i for i in range(at, min(at + 64, len(plan))) if plan[i].number & 0xFFFF == wanted), None)
        if place is None:
            continue
        command, at = plan[place], place + 1
        if command.layer >= 0:
            work = layers.setdefault(command.layer, LayerWork(command.kind, len(layers)))
            work.cycles[ENGINES[code]] += (end - start) & 0xFFFFFFFF  # the counter wraps round
            work.commands += 1


def _records(code: int, content: bytes) -> Iterator[tuple[int, int, int]]:
    size, mask = RECORD_BYTES[code], (1 << ID_BITS[code]) - 1
    for at in range(0, len(content) - size + 1, size):
        start, end, number = struct.unpack_from("<III", content, at)
        yield start, end, number & mask

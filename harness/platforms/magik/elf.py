"""What an ELF file says of itself: machine, MIPS flags, C library, the libraries it needs. Read with `struct` alone.

Files are untrusted: every offset is held against the file's size, and a file that does not parse is a problem in
words, never an exception.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"\x7fELF"
MACHINES = {3: "x86", 8: "MIPS", 20: "PowerPC", 40: "ARM", 62: "x86-64", 183: "ARM64", 243: "RISC-V"}
EF_MIPS_NAN2008 = 0x400  # the runtimes are built with -mnan=2008; a loader refuses to mix
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME = 1, 5, 10, 14
LIMIT_BYTES = 512 * 2**20
_MOST_ENTRIES = 4096


@dataclass(frozen=True)
class Elf:
    """One program or library. `problem` is "" for a file that was read whole."""

    name: str
    machine: str
    little_endian: bool
    bits: int
    flags: int
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    soname: str = ""
    problem: str = ""

    @property
    def libc(self) -> str:
        """ "uclibc", "glibc" or "" where the file does not tell."""
        if "uClibc" in self.interpreter or "libc.so.0" in self.needed:
            return "uclibc"
        return "glibc" if "ld-linux" in self.interpreter or "libc.so.6" in self.needed else ""

    @property
    def nan2008(self) -> bool:
        """Whether the file is for IEEE 754-2008's NaN."""
        return bool(self.flags & EF_MIPS_NAN2008)


@dataclass(frozen=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def read_elf(path: Path) -> Elf | None:
    """None for a file that is no ELF (a script, a model). Errors: OSError where it cannot be opened."""
    with path.open("rb") as stream:
        if stream.read(4) != MAGIC:
            return None
        stream.seek(0)
        data = stream.read(LIMIT_BYTES)
    try:
        return _parse(path.name, data)
    except (struct.error, IndexError, ValueError) as error:
        return Elf(path.name, "", True, 0, 0, problem=f"the ELF file is damaged: {error}")


def _parse(name: str, data: bytes) -> Elf:
    bits, order = {1: 32, 2: 64}[data[4]] if data[4] in (1, 2) else 0, "<" if data[5] == 1 else ">"
    if not bits:
        return Elf(name, "", order == "<", 0, 0, problem=f"the ELF class is {data[4]}")
    word = "I" if bits == 32 else "Q"
    header = struct.unpack_from(f"{order}HHI{word}{word}{word}IHHH", data, 16)
    machine, table, flags, entry_size, count = header[1], header[4], header[6], header[8], header[9]
    segments = [_segment(data, order, bits, table + i * entry_size) for i in range(min(count, _MOST_ENTRIES))]
    interpreter = next((_text(data, s.offset, s.size) for s in segments if s.kind == _PT_INTERP), "")
    needed, soname, problem = _dynamic(data, order, bits, segments)
    word_of = MACHINES.get(machine, f"machine {machine}")
    return Elf(name, word_of, order == "<", bits, flags, interpreter, needed, soname, problem)


def _segment(data: bytes, order: str, bits: int, place: int) -> _Segment:
    if bits == 32:
        kind, offset, address, _, size = struct.unpack_from(f"{order}IIIII", data, place)
    else:
        kind, _, offset, address, _, size = struct.unpack_from(f"{order}IIQQQQ", data, place)
    return _Segment(kind, offset, address, size)


def _dynamic(data: bytes, order: str, bits: int, segments: list[_Segment]) -> tuple[tuple[str, ...], str, str]:
    """Needed libraries, own name, problem; all empty for a static program."""
    segment = next((s for s in segments if s.kind == _PT_DYNAMIC), None)
    if segment is None:
        return (), "", ""
    form = f"{order}{'iI' if bits == 32 else 'qQ'}"
    step = struct.calcsize(form)
    entries: list[tuple[int, int]] = []
    for index in range(min(segment.size // step, _MOST_ENTRIES)):
        tag, value = struct.unpack_from(form, data, segment.offset + index * step)
        if tag == 0:
            break
        entries.append((tag, value))
    values = dict(entries)
    table = _file_offset(values.get(_DT_STRTAB, -1), segments)
    if table < 0:
        return (), "", "its table of names is not in the file"
    size = values.get(_DT_STRSZ, 0)
    names = [_text(data, table + value, size - value) for tag, value in entries if tag == _DT_NEEDED]
    soname = _text(data, table + values[_DT_SONAME], size - values[_DT_SONAME]) if _DT_SONAME in values else ""
    return tuple(names), soname, ""


def _file_offset(address: int, segments: list[_Segment]) -> int:
    for segment in segments:
        if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
            return segment.offset + address - segment.address
    return -1


def _text(data: bytes, offset: int, most: int) -> str:
    if not 0 <= offset < len(data):
        raise ValueError(f"a name lies at {offset}, outside the file")
    raw = data[offset : offset + max(0, min(most, 4096))].split(b"\0", 1)[0]
    return raw.decode("utf-8", "replace")

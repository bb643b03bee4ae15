"""Venus libraries and board programs for `harness inspect`."""

from __future__ import annotations

from harness.platforms.magik.elf import MAGIC
from harness.platforms.magik.venus_files import VenusFile, at_odds, libraries_near, read_venus
from harness.records import Message
from harness.toolchains.base import FileProbe, FileReader
from harness.toolchains.records import Artifact

TITLE = "Venus library or program (ELF)"


def _is_venus(probe: FileProbe) -> bool:
    return probe.path.is_file() and probe.head.startswith(MAGIC) and read_venus(probe.path) is not None


def _read(probe: FileProbe) -> Artifact:
    """Version, build, accelerator, flavour, C library by what it needs, and what does not fit together."""
    file = read_venus(probe.path)
    if file is None:
        return Artifact("venus_elf", TITLE, problems=("no file of Venus",))
    elf = file.elf
    odds = at_odds(file, () if file.is_library else libraries_near(probe.path))
    facts: dict[str, object] = {
        "flavour": f"{file.flavour} (by {file.flavour_by})" if file.flavour else "",
        "accelerator": f"{file.nna} (by {file.nna_by})" if file.nna else "",
        "libc": elf.libc,
        "built": file.built,
        "toolchain": file.toolchain + _other_libc(file),
        "machine": f"{elf.machine}, {elf.bits} bits, {'little' if elf.little_endian else 'big'} endian",
        "needs": list(elf.needed),
        "name inside": elf.soname,
    }
    return Artifact(
        "venus_elf",
        f"Venus {'library' if file.is_library else 'program'}",
        {"venus": file.version} if file.version else {},
        facts={key: value for key, value in facts.items() if value},
        messages=tuple(Message("warning", text, "") for text in odds),
        problems=(elf.problem,) if elf.problem else (),
    )


def _other_libc(file: VenusFile) -> str:
    other = "glibc" in file.toolchain and file.elf.libc == "uclibc"
    return " (the compiler's; the file itself needs uclibc)" if other else ""


READERS = (FileReader("venus_elf", TITLE, _is_venus, _read),)

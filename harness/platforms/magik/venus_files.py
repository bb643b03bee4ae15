"""What a Venus library or board program (an ELF file) tells of itself: build, accelerator, flavour, what it needs.

Each library is built four times (release, debug, profile, nmem) under names that differ by a letter. The name inside
the file decides, since files get renamed; then the texts that only one flavour holds. The build string names the
compiler's C library, which is not the one that the file needs: uclibc builds say glibc there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.platforms.magik.elf import LIMIT_BYTES, Elf, read_elf

NAME = re.compile(r"^lib(?P<what>venus|drivers|aip)(?:\.(?P<flavour>[dpm]))?\.so(?:\.[0-9.]+)?$")
FLAVOURS = {"d": "debug", "p": "profile", "m": "nmem"}
_BUILT = re.compile(rb"\x00(\d{8}-\d{4})\(([^()\x00]{1,80})\)\x00")
_GENERATION = re.compile(r"mips@(NNA[0-9])$")
_VERSION = re.compile(rb"(?<=\x00)(\d{1,3}(?:\.\d{1,3}){2,3}(?:\.[A-Z]{1,16})?)(?=\x00)")
_DRIVER_TEXT = re.compile(rb"(?<=\x00)@+ JZ AIP Version is (\w{1,16})")
# Texts that only the library of one flavour holds (seen in those of 0.9.3 and 0.0.3).
_OWN_TEXTS = ((b"_out.bin", "debug"), (b"===== Detailed ", "profile"))
_MARKS = (b"magik::venus", b"N5magik5venus", b"venus_init", b"JZ AIP Version")


@dataclass(frozen=True)
class VenusFile:
    """A library or program; texts are "" where the file does not tell."""

    elf: Elf
    is_library: bool
    flavour: str = ""  # "release", "debug", "profile", "nmem"; of a program: of what it is linked against
    flavour_by: str = ""  # what told it
    version: str = ""
    built: str = ""
    toolchain: str = ""
    nna: str = ""
    nna_by: str = ""

    @property
    def name(self) -> str:
        """The name that programs ask for, else the file's."""
        return self.elf.soname or self.elf.name


def read_venus(path: Path) -> VenusFile | None:
    """None for a file that is no ELF of Venus. Errors: OSError where it cannot be opened."""
    elf = read_elf(path)
    if elf is None:
        return None
    with path.open("rb") as file:
        data = file.read(LIMIT_BYTES)
    own = next((match for name in (elf.soname, elf.name) if (match := NAME.match(name))), None)
    needs = [name for name in elf.needed if NAME.match(name)]
    if own is None and not needs and not any(mark in data for mark in _MARKS):
        return None
    is_library = own is not None or (bool(elf.soname) and not elf.interpreter)
    built = _BUILT.search(data)
    toolchain = built[2].decode("ascii", "replace") if built else ""
    nna, nna_by = _generation(toolchain, own["what"] if own else "", needs)
    flavour, flavour_by = _flavour(elf, own, data) if is_library else _linked_flavour(needs)
    return VenusFile(
        elf=elf,
        is_library=is_library,
        flavour=flavour,
        flavour_by=flavour_by,
        version=_version(data, bool(built)),
        built=built[1].decode() if built else "",
        toolchain=toolchain,
        nna=nna,
        nna_by=nna_by,
    )


def _version(data: bytes, is_venus: bool) -> str:
    """Of a library that says when it was built; other libraries inside bring versions too, so doubt is no answer."""
    driver = _DRIVER_TEXT.search(data)
    if driver is not None:
        return driver[1].decode()
    versions = list(dict.fromkeys(match.decode() for match in _VERSION.findall(data))) if is_venus else []
    named = [one for one in versions if one[-1].isalpha()]
    certain = named or versions
    return certain[0] if len(certain) == 1 else ""


def _generation(toolchain: str, what: str, needs: Sequence[str]) -> tuple[str, str]:
    match = _GENERATION.search(toolchain)
    if match is not None:
        return match[1], "its build string"
    if what in ("drivers", "aip") or any(name.startswith(("libdrivers", "libaip")) for name in needs):
        return "NNA2", "libdrivers and libaip, which only NNA2 has"
    return "", ""


def _flavour(elf: Elf, own: re.Match[str] | None, data: bytes) -> tuple[str, str]:
    """Of a library: by its texts, by the name inside, by the file's name. libaip has one flavour only."""
    for text, flavour in _OWN_TEXTS:
        if text in data:
            return flavour, f"its text {text.decode()!r}"
    if own is None or own["what"] == "aip":
        return "", ""
    return FLAVOURS.get(own["flavour"] or "", "release"), "the name inside" if elf.soname else "the file's name"


def _linked_flavour(needs: Sequence[str]) -> tuple[str, str]:
    """Of a program: by the libraries it is linked against; one of another flavour than release decides."""
    matches = [match for name in needs if (match := NAME.match(name))]
    special = next((match for match in matches if match["flavour"]), None)
    if special is not None:
        return FLAVOURS[special["flavour"]], special[0]
    venus = next((match for match in matches if match["what"] == "venus"), None)
    return ("release", venus[0]) if venus is not None else ("", "")


def at_odds(file: VenusFile, beside: Sequence[VenusFile]) -> tuple[str, ...]:
    """What does not fit: a name against its content, and a program against the libraries that lie beside it."""
    problems = [*_misnamed(file)]
    libraries = [one for one in beside if one.is_library]
    for one in [] if file.is_library else libraries:
        problems += _misnamed(one)
        if file.elf.libc and one.elf.libc and file.elf.libc != one.elf.libc:
            problems.append(f"{one.elf.name} beside it is for {one.elf.libc}, the program for {file.elf.libc}")
        if file.nna and one.nna and file.nna != one.nna:
            problems.append(f"{one.elf.name} beside it is for {one.nna}, the program for {file.nna}")
    return tuple(dict.fromkeys((*problems, *_missing_flavours(file, libraries))))


def _misnamed(file: VenusFile) -> list[str]:
    match = NAME.match(file.elf.name)
    named = FLAVOURS.get(match["flavour"] or "", "release") if match and match["what"] != "aip" else ""
    if file.is_library and named and file.flavour and named != file.flavour:
        return [f"{file.elf.name} is named as the {named} library, but is {file.flavour} by {file.flavour_by}"]
    return []


def _missing_flavours(file: VenusFile, libraries: Sequence[VenusFile]) -> list[str]:
    """Needed libraries that are not there while another flavour of the same library is."""
    names = {one.elf.name for one in libraries}
    problems = []
    for need in (NAME.match(name) for name in (() if file.is_library else file.elf.needed)):
        others = sorted(name for name in names if need and (m := NAME.match(name)) and m["what"] == need["what"])
        if need and need[0] not in names and others:
            problems.append(f"the program needs {need[0]}; beside it lies {', '.join(others)}, of another flavour")
    return problems


def libraries_near(path: Path) -> tuple[VenusFile, ...]:
    """Venus libraries in the folder of a program and in its `lib`. Files that cannot be read are left out."""
    files = [file for folder in (path.parent, path.parent / "lib") for file in sorted(folder.glob("lib*.so*"))]
    libraries = []
    for file in files:
        try:
            one = read_venus(file) if NAME.match(file.name) and file.is_file() else None
        except OSError:
            continue
        if one is not None:
            libraries.append(one)
    return tuple(libraries)

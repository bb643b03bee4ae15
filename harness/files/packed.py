"""Packed files (.gz, .xz, .zip, .tar, ...): recognised by content and by name, with the command that unpacks them.

Nothing is unpacked here: what is in a packed file, and how much, only its owner knows.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError

HEAD_BYTES = 512
TAR_MARK = slice(257, 262)  # "ustar", in the first block of a tar file


@dataclass(frozen=True)
class ArchiveKind:
    """One way of packing: how its files begin, what they are called, and what unpacks them beside themselves."""

    name: str
    magic: bytes
    suffixes: tuple[str, ...]
    unpack: str  # the file follows
    stream: str = ""  # to standard output, for a file whose name hides what it is; "" where that cannot be


PACKINGS = (
    ArchiveKind("a gzip file", b"\x1f\x8b", (".gz",), "gunzip -k", "gunzip -c"),
    ArchiveKind("an xz file", b"\xfd7zXZ\x00", (".xz",), "unxz -k", "unxz -c"),
    ArchiveKind("a bzip2 file", b"BZh", (".bz2",), "bunzip2 -k", "bunzip2 -c"),
    ArchiveKind("a Zstandard file", b"\x28\xb5\x2f\xfd", (".zst", ".zstd"), "unzstd", "unzstd -c"),
    ArchiveKind("an lz4 file", b"\x04\x22\x4d\x18", (".lz4",), "unlz4", "unlz4 -c"),
    ArchiveKind("a compress file", b"\x1f\x9d", (".Z",), "uncompress -k", "uncompress -c"),
    ArchiveKind("an lzma file", b"\x5d\x00\x00", (".lzma",), "unlzma -k", "unlzma -c"),
    ArchiveKind("a zip archive", b"PK\x03\x04", (".zip",), "unzip"),
    ArchiveKind("a 7z archive", b"7z\xbc\xaf\x27\x1c", (".7z",), "7z x"),
    ArchiveKind("a rar archive", b"Rar!\x1a\x07", (".rar",), "unrar x"),
)
TAR = ArchiveKind("a tar archive", b"", (".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst"), "tar xf")


def packing(path: Path) -> ArchiveKind | None:
    """How a file is packed, by its first bytes; None for a file that is not packed, and for what is no file.

    An .npz is a zip archive to other programs and an array file here, so it is not packed.
    """
    if not path.is_file() or path.suffix.lower() == ".npz":
        return None
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return None
    if head[TAR_MARK] == b"ustar":
        return TAR
    if head.startswith(b"\x5d\x00\x00") and path.suffix != ".lzma":  # three bytes that say little
        return None
    match = next((one for one in PACKINGS if head.startswith(one.magic)), None)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed_tar = ".tar" in suffixes[:-1] or any(suffix in TAR.suffixes for suffix in suffixes[-1:])
    return TAR if match is not None and packed_tar else match


def unpack_command(path: Path, how: ArchiveKind) -> str:
    """What to type, for the shell."""
    name = shlex.quote(str(path))
    if how.stream and path.suffix not in how.suffixes:  # these programs refuse a name without their own suffix
        return f"{how.stream} < {name} > {shlex.quote(path.stem + '-unpacked' + path.suffix)}"
    return f"{how.unpack} {name}"


def refuse_packed(path: Path, wanted: str) -> None:
    """`wanted` says what the file should be, for example "a compiled model". Errors: InputError for a packed file."""
    how = packing(path)
    if how is not None:
        raise InputError(f"{path}: expected {wanted}, got {how.name}", f"unpack it first: {unpack_command(path, how)}")


def refuse_packed_files(folder: Path, files: Iterable[Path], wanted: str) -> None:
    """Errors: InputError where one of these files of a folder is packed; it names the first and counts the rest."""
    packed = [(file, how) for file in files if (how := packing(file)) is not None]
    if packed:
        first, how = packed[0]
        more = f" and {len(packed) - 1} more" if len(packed) > 1 else ""
        raise InputError(
            f"{folder}: {first.relative_to(folder)}{more}: expected {wanted}, got {how.name}",
            f"unpack first: {unpack_command(first, how)}",
        )

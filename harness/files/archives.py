"""Archives that harness hands on and takes: zip files, written the same every time and read as from an enemy.

Names that lead out of the folder, links, names that another system takes for a device, more files or bytes than were
announced or are allowed, and packings that are not taken are refused before the first file is written.
"""

from __future__ import annotations

import io
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.errors import InputError
from harness.files import safe
from harness.names import stored_name

MOST_FILES = 10_000
MOST_BYTES = 16 * 2**30  # of all that an archive unpacks to
MOST_DIRECTORY_BYTES = 8 * 2**20  # of the list at its end, which is read whole
MOST_NAME_BYTES = 255
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_STAMP = (1980, 1, 1, 0, 0, 0)  # the same bytes at every time, and no clock of this PC
_END = struct.Struct("<4s4H2LH")  # the record at the end of a zip file
_ASIDE = "do not trust this archive; get it again from where it was made"
_DOS_NAMES = frozenset(("con", "prn", "aux", "nul", *(f"{one}{n}" for one in ("com", "lpt") for n in range(1, 10))))


@dataclass(frozen=True)
class ArchivedFile:
    """One file of an archive: its name with slashes, and its size unpacked."""

    name: str
    size_bytes: int


def write_archive(path: Path, files: Mapping[str, Path | bytes]) -> int:
    """Pack files by their names, in that order; gives the size of the archive in bytes. Errors: OSError."""
    with safe.output_file(path) as sink:
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, source in files.items():
                _add(archive, name, source)
        return sink.tell()


def write_tar(path: Path, files: Mapping[str, Path | bytes]) -> int:
    """The same as a plain tar, which every board unpacks; gives its size in bytes. Errors: OSError."""
    with safe.output_file(path) as sink:
        with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name, source in files.items():
                member = tarfile.TarInfo(name)
                member.mode = 0o755 if name.endswith(".sh") else 0o644
                member.size = len(source) if isinstance(source, bytes) else source.stat().st_size
                with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
                    archive.addfile(member, file)
        return sink.tell()


def _add(archive: zipfile.ZipFile, name: str, source: Path | bytes) -> None:
    member = zipfile.ZipInfo(name, _STAMP)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    if isinstance(source, bytes):
        archive.writestr(member, source)
        return
    member.file_size = source.stat().st_size  # tells zipfile whether it needs 64 bits
    with source.open("rb") as file, archive.open(member, "w") as target:
        shutil.copyfileobj(file, target, 1 << 20)


def list_archive(path: Path, limit_bytes: int = MOST_BYTES) -> tuple[ArchivedFile, ...]:
    """What an archive holds, in its order. Errors: InputError for one that is not taken."""
    with _opened(path) as archive:
        return tuple(ArchivedFile(m.filename, m.file_size) for m in _members(path, archive, limit_bytes))


def unpack_archive(path: Path, folder: Path, limit_bytes: int = MOST_BYTES) -> tuple[ArchivedFile, ...]:
    """Write every file of an archive below `folder`, which must be empty or not there yet.

    Errors: InputError for an archive that is not taken, or a folder that is not empty; OSError.
    """
    _refuse_used(folder)
    with _opened(path) as archive:
        members = _members(path, archive, limit_bytes)
        safe.make_folder(folder)
        _refuse_full(folder, sum(member.file_size for member in members))
        for member in members:
            _write(path, archive, member, folder)
        return tuple(ArchivedFile(member.filename, member.file_size) for member in members)


def _refuse_used(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder}: expected an empty folder", "give another one")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder}: not empty", "give a folder that is empty or not there yet")


def _refuse_full(folder: Path, wanted_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if wanted_bytes > free_bytes:
        raise InputError(
            f"{folder}: the archive unpacks to {wanted_bytes} bytes, {free_bytes} are free", "give another folder"
        )


def _opened(path: Path) -> zipfile.ZipFile:
    """Errors: InputError for a file that is no zip archive, or whose list is too long to be read."""
    if not path.is_file():
        what = "expected an archive, got a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}", "give an archive of harness bundle")
    try:
        _refuse_long_list(path)
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise InputError(f"{path}: not a readable zip archive ({error})", _ASIDE) from None


def _refuse_long_list(path: Path) -> None:
    """The record at the end tells how long the list is that the library will read whole."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END.size - 0xFFFF))
        tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or place + _END.size > len(tail):
        raise zipfile.BadZipFile("no list of files")
    _mark, _disk, _first, _of_disk, files, list_bytes, _start, _comment = _END.unpack_from(tail, place)
    if files > MOST_FILES or list_bytes > MOST_DIRECTORY_BYTES or tail.find(b"PK\x06\x07") >= 0:
        raise InputError(f"{path}: more than {MOST_FILES} files, or a list of {list_bytes} bytes", _ASIDE)


def _members(path: Path, archive: zipfile.ZipFile, limit_bytes: int) -> list[zipfile.ZipInfo]:
    """The files, each looked at. Errors: InputError."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(archive.infolist()) > MOST_FILES:
        raise InputError(f"{path}: more than {MOST_FILES} files", _ASIDE)
    for member in members:
        if why := _fault(member):
            raise InputError(f"{path}: {member.filename[:80]!r} {why}", _ASIDE)
    if twice := _twice(member.filename for member in members):
        raise InputError(f"{path}: {twice[:80]!r} is there twice, or is both a file and a folder", _ASIDE)
    total_bytes = sum(member.file_size for member in members)
    if total_bytes > limit_bytes:
        raise InputError(f"{path}: unpacks to {total_bytes} bytes, limit {limit_bytes}", _ASIDE)
    return members


def _fault(member: zipfile.ZipInfo) -> str:
    """What is wrong with a file of an archive; "" for nothing."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    if member.flag_bits & 0x1:
        return "is encrypted"
    if member.compress_type not in PACKINGS:
        return f"is packed in a way that is not taken ({member.compress_type})"
    if kind not in (0, stat.S_IFREG):
        return "is a link, a device or a pipe, not a regular file"
    return _fault_of_name(member.orig_filename) or _fault_of_name(member.filename)


def _fault_of_name(name: str) -> str:
    parts = name.split("/")
    if not name or len(name.encode("utf-8", "surrogateescape")) > MOST_NAME_BYTES:
        return "has no name, or a very long one"
    if name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return "leads out of the folder"
    if "\\" in name or "\0" in name or ":" in name or stored_name(name) != name:
        return "has a name with characters that are not taken"
    if any(part.split(".")[0].lower() in _DOS_NAMES or part.endswith((" ", ".")) for part in parts):
        return "has a name that some systems take for a device"
    return ""


def _twice(names: Iterable[str]) -> str:
    """A name that comes twice where capitals do not count, or that is a folder of another; "" for none."""
    files: set[str] = set()
    folders: set[str] = set()
    for name in names:
        plain = name.casefold()
        above = {str(folder) for folder in PurePosixPath(plain).parents} - {"."}
        if plain in files or plain in folders or above & files:
            return name
        files.add(plain)
        folders |= above
    return ""


def _write(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    """One file; no more is read of it than it announces."""
    target = folder / member.filename
    try:
        with archive.open(member) as source, safe.new_file(target, folder) as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
            written_bytes = sink.tell()
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path}: {member.filename!r} is damaged ({error})", _ASIDE) from None
    if written_bytes != member.file_size:
        raise InputError(f"{path}: {member.filename!r} is cut short", _ASIDE)

"""Reads a tar stream from a board, which is not trusted, into a folder of this PC.

Written here and not with `tarfile`, because that believes the sizes in extension headers: a few bytes from a board
could make it ask for any amount of memory. Only regular files are taken; nothing is written outside the folder.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import BoardError, HostError
from harness.files.safe import new_file
from harness.names import stored_name

BLOCK = 512
HEADER_LIMIT_BYTES = 64 * 1024  # of a long-name or pax header: far above PATH_MAX
HEADERS_BYTES = 16 * 1024  # of one file: its own, that of a long name, those of folders on the way
PADDING_LIMIT_BYTES = 2**20  # of zeros in a row; tars pad to 10 KiB


@dataclass(frozen=True)
class Quotas:
    """What one fetch may bring."""

    max_files: int = 200_000
    max_bytes: int = 64 * 2**30

    def hold(self, where: str, sizes: Collection[int]) -> None:
        """Errors: BoardError for more files or bytes, with both figures and the key of hosts.yaml."""
        for what, is_there, limit in (("files", len(sizes), self.max_files), ("bytes", sum(sizes), self.max_bytes)):
            if is_there > limit:
                message = f"{where}: the dumps are {is_there} {what}, limit {limit}"
                raise BoardError(message, f"raise `limits: max_{what}`")

    def fit(self, where: str, sizes: Collection[int], *, must: bool) -> bool:
        """Whether they fit. Errors: BoardError where they must and do not."""
        try:
            self.hold(where, sizes)
        except BoardError:
            if must:
                raise
            return False
        return True


@dataclass(frozen=True)
class Unpacked:
    """One file that arrived: where it is stored (relative to the folder), its size and md5."""

    file: str
    size_bytes: int
    md5: str


@dataclass
class Unpacker:
    """Takes files out of tar streams into `folder`; `files` grows as they arrive whole.

    `sizes` says which names may come and how big they may be; anything else is refused. Errors: BoardError.
    """

    folder: Path
    quotas: Quotas
    sizes: Mapping[str, int] | None = None
    progress: Callable[[int], None] | None = None
    root: Path | None = None  # the run folder that `folder` lies in: links below it are refused
    files: dict[str, Unpacked] = field(default_factory=dict)
    total_bytes: int = 0

    def read(self, pieces: Iterable[bytes]) -> None:
        """Read one stream: any number of tar archives in a row, each perhaps followed by padding.

        Errors: BoardError for what is no such stream, ends early, or goes on without end.
        """
        source = _Source(iter(pieces))
        long_name: bytes | None = None
        padding = 0
        headers_left = PADDING_LIMIT_BYTES + HEADERS_BYTES * (
            self.quotas.max_files if self.sizes is None else len(self.sizes)
        )
        while (header := source.block()) is not None:
            if header == bytes(BLOCK):
                padding += BLOCK
                if padding > PADDING_LIMIT_BYTES:
                    raise BoardError("the board sends endless zeros instead of files", "check the board's `tar`")
                continue
            padding = 0
            name, size, kind = _read_header(header)
            headers_left -= BLOCK + (size if kind in (b"L", b"x", b"g") else 0)
            if headers_left < 0:  # a little gzip holds any amount of them
                raise BoardError("the board sends endless names instead of files", "check the board's `tar`")
            if kind in (b"L", b"x", b"g"):
                text = source.take_padded(size, HEADER_LIMIT_BYTES)
                if kind == b"L":
                    long_name = text.split(b"\0", 1)[0]
                elif kind == b"x":
                    long_name = _pax_path(text) or long_name
                continue
            self._member(source, long_name if long_name is not None else name, size, kind)
            long_name = None

    def _member(self, source: _Source, raw_name: bytes, size: int, kind: bytes) -> None:
        name = member_name(os.fsdecode(raw_name))
        if kind == b"5":
            return
        if not name:
            raise BoardError("the board sent a file without a name", _HOSTILE)
        if kind not in (b"0", b"\0", b"7"):
            raise BoardError(f"the board sent {name!r}, which is not a regular file (type {kind!r})", _HOSTILE)
        self._allow(name, size)
        stored = stored_name(name)
        target = self.folder / stored
        digest = self._write(source, target, size)
        source.skip(-size % BLOCK)
        self.files[name] = Unpacked(stored, size, digest)

    def _allow(self, name: str, size: int) -> None:
        if name in self.files:
            raise BoardError(f"the board sent {name!r} twice", _HOSTILE)
        if self.sizes is not None and name not in self.sizes:
            raise BoardError(f"the board sent {name!r}, which was not requested", _HOSTILE)
        if self.sizes is not None and size > self.sizes[name]:
            raise BoardError(f"{name!r} grew during the download: {self.sizes[name]} bytes, now {size}", _RUNNING)
        if len(self.files) >= self.quotas.max_files:
            raise BoardError(f"more than {self.quotas.max_files} files", "raise `limits: max_files` of the board")
        if self.total_bytes + size > self.quotas.max_bytes:
            raise BoardError(f"more than {self.quotas.max_bytes} bytes", "raise `limits: max_bytes` of the board")

    def _write(self, source: _Source, target: Path, size: int) -> str:
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with new_file(target, self.root or self.folder) as file:
                for piece in source.take(size):
                    digest.update(piece)
                    file.write(piece)
                    self.total_bytes += len(piece)
                    if self.progress:
                        self.progress(self.total_bytes)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise BoardError(f"the board sent {target.name!r} both as a file and as a folder", _HOSTILE) from error
        except OSError as error:
            raise HostError(f"cannot write {target}: {error.strerror}", "free some space on this PC") from error
        return digest.hexdigest()


_HOSTILE = "check whether something else is running on this board"
_RUNNING = "check whether a tool is still running on the board"


class _Source:
    """Bytes of a stream, taken in exact amounts."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def take(self, count: int) -> Iterator[memoryview]:
        while count:
            if not self._rest:
                self._rest = memoryview(next(self._pieces, b""))
                if not self._rest:
                    raise BoardError("the download ended in the middle of a file", _RUNNING)
            piece = self._rest[:count]
            self._rest = self._rest[len(piece) :]
            count -= len(piece)
            yield piece

    def block(self) -> bytes | None:
        """The next block, or None at the end of the stream."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return None
            self._rest = memoryview(piece)
        return b"".join(self.take(BLOCK))

    def take_padded(self, size: int, limit: int) -> bytes:
        if size > limit:
            raise BoardError(f"the board sent a file name of {size} bytes", _HOSTILE)
        data = b"".join(self.take(size))
        self.skip(-size % BLOCK)
        return data

    def skip(self, count: int) -> None:
        for _ in self.take(count):
            continue


def _read_header(header: bytes) -> tuple[bytes, int, bytes]:
    """Name, size and type of a ustar or GNU header. Errors: BoardError when the checksum is wrong."""
    stated = _octal(header[148:156])
    if stated != sum(header[:148]) + 8 * 32 + sum(header[156:]):
        raise BoardError("the board did not send a tar archive", "check the board's `tar`")
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0]
    if prefix and header[257:263] == b"ustar\0":
        name = prefix + b"/" + name
    return name, _number(header[124:136]), header[156:157]


def _number(text: bytes) -> int:
    """A size: octal text, or GNU's base 256 for 8 GiB and more."""
    if text[0] & 0x80:
        if text[0] != 0x80:
            raise BoardError("the board sent a tar archive with a negative size", _HOSTILE)
        return int.from_bytes(text[1:], "big")
    return _octal(text)


def _octal(text: bytes) -> int:
    digits = text.strip(b" \0")
    if not digits or set(digits) - set(b"01234567"):
        raise BoardError("the board sent a damaged tar archive", "check the board's `tar`")
    return int(digits, 8)


def _pax_path(text: bytes) -> bytes | None:
    """The `path` of a pax header: records "<length> key=value\\n"."""
    while text:
        length_text, _, _ = text.partition(b" ")
        if not length_text.isdigit() or not 0 < int(length_text) <= len(text):
            raise BoardError("the board sent a damaged pax header", "check the board's `tar`")
        record, text = text[: int(length_text)], text[int(length_text) :]
        key, _, value = record[len(length_text) + 1 :].rstrip(b"\n").partition(b"=")
        if key == b"path":
            return value
        if key == b"size":
            raise BoardError("the board sent an unexpected pax size", _HOSTILE)
    return None


# --------------------------------------------------------------------------- names


def member_name(name: str) -> str:
    """A member's name without its leading `./`. Errors: BoardError when it could lead out of the folder."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or not name:
        raise BoardError(f"the board sent the file name {name!r}, outside its folder", _HOSTILE)
    return "/".join(part for part in parts if part not in ("", "."))

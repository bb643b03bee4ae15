"""What every transport does in the same way once it can stream: collect output, copy files whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

from harness.errors import BoardError, LinkError
from harness.files.safe import new_file
from harness.records.callbacks import BytesCallback
from harness.transports.base import (
    OUTPUT_LIMIT_BYTES,
    PIECE_BYTES,
    STREAM_LIMIT_BYTES,
    CommandResult,
    Paced,
    Stream,
    printable,
)
from harness.transports.pace import WINDOW_S, Pace
from harness.transports.patience import Patience
from harness.transports.pipes import command_name
from harness.transports.quoting import remote_command

# $1 part, $2 bytes it must hold now, $3 "new" or "more". A stream that ends early leaves nothing behind.
_RECEIVE = """\
if [ "$3" = new ]; then cat >"$1"; else cat >>"$1"; fi
c=$?; n=$(wc -c <"$1") || exit 1
[ "$c" = 0 ] && [ "$n" -eq "$2" ] && exit 0
rm -f "$1"; [ "$c" = 0 ] && echo "only $n of $2 bytes arrived" >&2; exit 1
"""
_FINISH = """\
m=$(md5sum <"$1") || exit 1
[ "${m%% *}" = "$3" ] || { rm -f "$1"; echo "md5 differs: ${m%% *}" >&2; exit 1; }
[ ! -d "$2" ] || { rm -f "$1"; echo "is a directory" >&2; exit 1; }
mv -f "$1" "$2" || { rm -f "$1"; exit 1; }
"""
_LOOK = """\
[ -f "$1" ] || { ls -d "$1" >/dev/null && echo "not a regular file" >&2; exit 1; }
wc -c <"$1" && md5sum <"$1"
"""
Own = TypeVar("Own", bound="Copying")
_BLOCK_BYTES = 2**20  # of dd; STREAM_LIMIT_BYTES is a multiple of it


class _ChangedError(BoardError):
    """A file was not the same before it was read and after."""


class Copying:
    """`run`, `push` and `pull` of a transport that has `where` and `stream`."""

    where: str

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self.pace_window_s = WINDOW_S  # in which a paced stream must carry something

    def close(self) -> None:
        """Nothing to end by default."""

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def pace(self, way: Paced) -> Pace:
        """Of one stream."""
        return Pace(self.patience, way, self.pace_window_s)

    def stream(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: Iterable[bytes] | None = None,
        carries_bytes: int = STREAM_LIMIT_BYTES,
        paced: Paced = "",
    ) -> AbstractContextManager[Stream]:
        """Runs a command whose output is read as it comes. Errors: LinkError from a transport that cannot."""
        raise LinkError(f"{self.where}: this transport does not support streaming")

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes | None = None,
        limit_bytes: int = OUTPUT_LIMIT_BYTES,
    ) -> CommandResult:
        """Run one command to its end; see the contract in base.py."""
        out = bytearray()
        pieces = None if stdin is None else pieces_of(stdin)
        carries_bytes = limit_bytes + len(stdin or b"")
        with self.stream(argv, timeout_s=timeout_s, stdin=pieces, carries_bytes=carries_bytes) as stream:
            for piece in stream:
                out += piece
                if len(out) > limit_bytes:
                    return CommandResult(-1, bytes(out[:limit_bytes]), stream.err, cut=True)
        return CommandResult(-1 if stream.code is None else stream.code, bytes(out), stream.err)

    def push(self, source: Path, target: str, *, timeout_s: float, progress: BytesCallback | None = None) -> None:
        """Copy one file to the board, whole or not at all; see the contract in base.py."""
        ends_at = time.monotonic() + timeout_s
        target = plain_path(target)
        part = part_name(target)
        digest = hashlib.md5(usedforsecurity=False)
        with source.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            for start in range(0, size, STREAM_LIMIT_BYTES) or [0]:
                end = min(size, start + STREAM_LIMIT_BYTES)
                pieces = _read(file, start, end, size, digest.update, progress)
                mode = "new" if start == 0 else "more"
                self._script(_RECEIVE, [part, str(end), mode], seconds_left(ends_at), f"push {target}", pieces)
        self._script(_FINISH, [part, target, digest.hexdigest()], seconds_left(ends_at), f"push {target}")

    def pull(
        self,
        source: str,
        target: Path,
        *,
        timeout_s: float,
        progress: BytesCallback | None = None,
        root: Path | None = None,
    ) -> None:
        """Copy one file from the board, whole or not at all; see the contract in base.py."""
        ends_at = time.monotonic() + timeout_s
        source = plain_path(source)
        try:
            self._pull(source, target, ends_at, progress, root)
        except _ChangedError:
            self._pull(source, target, ends_at, progress, root)

    def _pull(
        self, source: str, target: Path, ends_at: float, progress: BytesCallback | None, root: Path | None
    ) -> None:
        size, wanted = self._look(source, seconds_left(ends_at))
        with new_file(target, root) as file:
            got = self._fetch(source, file, size, ends_at, progress)
            if got != wanted:
                raise _ChangedError(f"{self.where}: {source!r} changed during the download (md5 {wanted}, then {got})")

    def _look(self, source: str, timeout_s: float) -> tuple[int, str]:
        words = self._script(_LOOK, [source], timeout_s, f"pull {source}").split()
        if len(words) < 2 or not words[0].isdigit() or len(words[0]) > 18:
            raise LinkError(f"{self.where}: cannot read size and md5 of {source!r}")
        return int(words[0]), words[1].decode("ascii", "replace")

    def _fetch(self, source: str, file: BinaryIO, size: int, ends_at: float, progress: BytesCallback | None) -> str:
        digest = hashlib.md5(usedforsecurity=False)
        for start in range(0, size, STREAM_LIMIT_BYTES) or [0]:
            argv = _range_command(source, start, size)
            with self.stream(argv, timeout_s=seconds_left(ends_at), paced="down") as stream:
                for piece in stream:
                    digest.update(piece)
                    file.write(piece)
                    if file.tell() > size:
                        return "longer than it was"
                    if progress:
                        progress(file.tell(), size)
        return digest.hexdigest()

    def _script(
        self, script: str, arguments: list[str], timeout_s: float, doing: str, stdin: Iterable[bytes] | None = None
    ) -> bytes:
        """One sh script with positional arguments; its output. Errors: BoardError with what it said."""
        out = bytearray()
        argv = ["sh", "-c", script, "sh", *arguments]
        with self.stream(argv, timeout_s=timeout_s, stdin=stdin, paced="up" if stdin is not None else "") as stream:
            for piece in stream:
                out += piece
                if len(out) > OUTPUT_LIMIT_BYTES:
                    raise BoardError(f"{self.where}: {doing!r}: exceeded the output limit")
        if stream.code != 0:
            message = printable(stream.err.decode("utf-8", "replace").strip()) or f"exit code {stream.code}"
            raise BoardError(f"{self.where}: cannot {doing!r}: {message}", "check free space and permissions")
        return bytes(out)


class RemoteShell(Copying):
    """A transport whose streams are command lines for a shell on the board."""

    def stream(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: Iterable[bytes] | None = None,
        carries_bytes: int = STREAM_LIMIT_BYTES,
        paced: Paced = "",
    ) -> AbstractContextManager[Stream]:
        """Run one command; see the contract in base.py."""
        return self._stream(remote_command(argv, timeout_s), command_name(argv), timeout_s, stdin, paced)

    def _stream(
        self, command: bytes, shown: str, timeout_s: float, stdin: Iterable[bytes] | None, paced: Paced
    ) -> AbstractContextManager[Stream]:
        """Run a command line; `shown` is its name for messages."""
        raise NotImplementedError


def _range_command(source: str, start: int, size: int) -> list[str]:
    if size <= STREAM_LIMIT_BYTES:
        return ["sh", "-c", 'exec cat <"$1"', "sh", source]
    script = 'exec dd bs=1048576 skip="$2" count="$3" <"$1" 2>/dev/null'
    return ["sh", "-c", script, "sh", source, str(start // _BLOCK_BYTES), str(STREAM_LIMIT_BYTES // _BLOCK_BYTES)]


def seconds_left(ends_at: float) -> float:
    """Seconds until a moment of time.monotonic(), never below a hundredth."""
    return max(0.01, ends_at - time.monotonic())


def part_name(target: str) -> str:
    """Where a file grows on the board: beside its target, under a short new name that nobody can guess."""
    return plain_path(str(PurePosixPath(target).parent / f".harness-{secrets.token_hex(8)}.part"))


def plain_path(path: str) -> str:
    """A path that no program takes for an option."""
    return path if path.startswith("/") else f"./{path}"


def pieces_of(data: bytes) -> Iterator[bytes]:
    """The data in pieces of at most PIECE_BYTES."""
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]


def _read(
    file: BinaryIO, start: int, end: int, size: int, update: object, progress: BytesCallback | None
) -> Iterator[bytes]:
    assert callable(update)
    file.seek(start)
    at = start
    while at < end and (piece := file.read(min(PIECE_BYTES, end - at))):
        update(piece)
        yield piece
        at += len(piece)
        if progress:
            progress(at, size)

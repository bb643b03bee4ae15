"""Files to a board's content-addressed cache: only what is missing, going on where a broken push was.

A large file that cannot be there (none of its size is) is sent at once under a passing name, and its md5 is taken
meanwhile, here and on the board: hashing it first, or last, would cost as much as sending it over a fast link.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from harness.agent.link import ASK_TIMEOUT_S, AgentLink
from harness.agent.words import Answer, Put, Refused, whole_number
from harness.errors import BoardError, ConfigError, InputError, LinkError
from harness.files.digests import md5_of_file
from harness.records.callbacks import BytesCallback
from harness.transports.base import PIECE_BYTES, STREAM_LIMIT_BYTES

PUSH_S = 120.0  # of a push, besides the time that its bytes take
SLOWEST_BYTES_PER_S = 50_000  # a link slower than this is given up: time limits of transfers are made from it
HASH_BYTES_PER_S = 5e6  # of a slow card
BUSY_PATIENCE_S = 120.0  # how long another host's push of the same file is waited for
AHEAD_BYTES = 16 * 2**20  # from this size on, sending before the md5 is known saves more than its extra question
QUICK_BYTES = 2**20  # of both ends: what a passing name is made from
STANDSTILL = 5  # answers without any progress after which a push is given up


@dataclass(frozen=True)
class Shift:
    """Progress of one part as progress of the whole."""

    inner: BytesCallback | None
    before: int
    total: int

    def tell(self, now: int) -> None:
        """Pass on `now` bytes of this file, counted from the first."""
        if self.inner:
            self.inner(self.before + now, self.total)


class BoardCache:
    """The content-addressed cache of one board, of at most `limit_bytes`. Errors: see Agent."""

    def __init__(self, link: AgentLink, limit_bytes: int) -> None:
        self.link = link
        self.limit_bytes = limit_bytes
        self.pinned: dict[str, int] = {}  # names in the cache that must not leave it, and their sizes
        self.damaged: set[str] = set()  # names in the cache that were found damaged there, and deleted

    def put_file(self, path: Path, progress: BytesCallback | None = None) -> Put:
        """Bring a file into the board's cache unless it is there. Errors: InputError, BoardError (no space)."""
        return self.put_files([path], progress)[0]

    def put_files(self, paths: Sequence[Path], progress: BytesCallback | None = None) -> list[Put]:
        """Bring files into the board's cache; only what is missing is sent, and a broken push goes on where it was.

        Errors: InputError, BoardError, LinkError.
        """
        sizes = [_size(path) for path in paths]
        known_sizes = self._cached_sizes() if max(sizes, default=0) >= AHEAD_BYTES else set()
        puts: list[Put] = []
        for path, size in zip(paths, sizes, strict=True):
            shift = Shift(progress, sum(put.size_bytes for put in puts), sum(sizes))
            ahead = size >= AHEAD_BYTES and size not in known_sizes
            puts.append(self._put_ahead(path, size, shift) if ahead else self._put_known(path, size, shift))
            known_sizes.add(size)
        return puts

    def reserve(self, paths: Sequence[Path]) -> None:
        """Make room on the board for all that a session needs, and keep it there while the session lasts.

        Nothing is sent. Replaces an earlier reservation. Errors: ConfigError where the cache's limit cannot hold the
        files together, BoardError where the board's disk cannot, InputError for a file that cannot be read.
        """
        sizes = {path: _size(path) for path in paths}
        self._hold_limit(sizes)
        known_sizes = self._cached_sizes() if max(sizes.values(), default=0) >= AHEAD_BYTES else set()
        self.pinned = {}
        for path, size in sizes.items():
            ahead = size >= AHEAD_BYTES and size not in known_sizes
            self.pinned[_quick_name(path, size) if ahead else _cache_name(path, _md5_of(path))] = size
        try:
            self.have({})
        except Refused as error:
            self.pinned = {}
            if error.word != "no_space":
                raise
            raise BoardError(f"{error.message}; this run needs {_list_of(sizes)}", error.hint) from error

    def have(self, files: Mapping[str, int]) -> Answer:
        """Ask for files by name, and with them for all that is pinned, so that it does not leave the cache for them."""
        wanted = {**self.pinned, **files}
        lines = "".join(f"{name} {size}\n" for name, size in wanted.items())
        limit_s = hash_limit_s(sum(wanted.values()))  # what lies there since before a reboot is read
        answer = self.link.ask("have", str(self.limit_bytes), stdin=lines.encode(), timeout_s=limit_s)
        self.damaged |= {name for name in answer.all("damaged") if name in wanted}
        return answer

    def no_longer_whole(self, puts: Sequence[Put]) -> list[Put]:
        """Files that are not whole any more: the board hashes them now, whatever it has noted of them."""
        names = {PurePosixPath(put.path).name: put for put in puts}
        lines = "".join(f"{name}\n" for name in names)
        limit_s = hash_limit_s(sum(put.size_bytes for put in puts))
        whole = set(self.link.ask("verify", stdin=lines.encode(), timeout_s=limit_s).all("whole"))
        return [put for name, put in names.items() if name not in whole]

    def _hold_limit(self, sizes: Mapping[Path, int]) -> None:
        """Errors: ConfigError for files that the limit of the cache cannot hold together."""
        total = sum(sizes.values())
        if total > self.limit_bytes:
            raise ConfigError(
                f"{self.link.where}: this run needs {total} bytes in the board's cache ({_list_of(sizes)}), "
                f"limit {self.limit_bytes}",
                f"set in hosts.yaml: `limits: {{cache_bytes: {total}}}`",
            )

    def _cached_sizes(self) -> set[int]:
        answer = self.link.ask("have", str(self.limit_bytes), stdin=b"")  # asks for nothing: nothing leaves the cache
        return {size for text in answer.all("size") if (size := whole_number(text)) is not None}

    def _put_known(self, path: Path, size: int, shift: Shift) -> Put:
        """By md5: it may be there."""
        md5 = _md5_of(path)
        push = _Push(self, path, size, _cache_name(path, md5), shift, None)
        sent = push.bring()
        return Put(path.name, md5, size, f"{self.link.work}/cache/{push.name}", sent, push.name in self.damaged)

    def _put_ahead(self, path: Path, size: int, shift: Shift) -> Put:
        """Send first, name it by its md5 afterwards."""
        digest = _Digest(path, size)
        push = _Push(self, path, size, _quick_name(path, size), shift, digest)
        try:
            sent = push.bring()
        except _Elsewhere:
            return self._put_known(path, size, shift)
        finally:
            digest.stop()
        md5 = digest.finish()
        name = _cache_name(path, md5)
        try:
            self.link.ask("adopt", push.name, name, str(size), _owner(), timeout_s=hash_limit_s(size))
        except Refused as error:
            if error.word not in ("damaged", "busy"):
                raise
            again = self._put_known(path, size, shift)  # an earlier or another host's push held something else
            return Put(again.name, again.md5, size, again.path, sent + again.sent_bytes)
        if self.pinned.pop(push.name, None) is not None:  # what is pinned is called by its md5 from here on
            self.pinned[name] = size
        return Put(path.name, md5, size, f"{self.link.work}/cache/{name}", sent)


def _list_of(sizes: Mapping[Path, int]) -> str:
    return ", ".join(f"{path.name} {size} bytes" for path, size in sizes.items())


def hash_limit_s(size_bytes: int) -> float:
    """Time limit of a question for which the board reads so many bytes."""
    return ASK_TIMEOUT_S + size_bytes / HASH_BYTES_PER_S


def _size(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size
    except OSError as error:
        raise InputError(f"{path}: cannot read it: {error.strerror}") from error


def _cache_name(path: Path, md5: str) -> str:
    """The md5 and the suffix: vendors' tools judge files by their suffix."""
    return md5 + (path.suffix if re.fullmatch(r"\.[A-Za-z0-9_]{1,12}", path.suffix) else "")


def _quick_name(path: Path, size: int) -> str:
    """A name that the next attempt finds again, from the size and both ends of a file."""
    digest = hashlib.md5(str(size).encode(), usedforsecurity=False)
    with path.open("rb") as file:
        digest.update(file.read(QUICK_BYTES))
        file.seek(max(0, size - QUICK_BYTES))
        digest.update(file.read(QUICK_BYTES))
    return digest.hexdigest()


class _Digest:
    """The md5 of a file, taken by a thread that begins when half of it is sent: both ends then hash side by side while
    the last bytes are on the way. It reads the file itself: one that changes meanwhile gets an md5 the board denies."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._begins_at = path, size // 2
        self._worker = ThreadPoolExecutor(1)
        self._md5: Future[str] | None = None

    def sent(self, at: int) -> None:
        """So much of the file has been sent."""
        if self._md5 is None and at >= self._begins_at:
            self._md5 = self._worker.submit(_md5_of, self._path)

    def finish(self) -> str:
        """Errors: InputError when the file cannot be read."""
        self.stop()
        return self._md5.result() if self._md5 is not None else _md5_of(self._path)

    def stop(self) -> None:
        self._worker.shutdown()


def _md5_of(path: Path) -> str:
    try:
        return md5_of_file(path)
    except OSError as error:
        raise InputError(f"{path}: cannot read it: {error.strerror}") from error


class _Elsewhere(Exception):
    """Another host brought a file of this size meanwhile: its md5 must be known now."""


class _Push:
    """Brings one file over, under one name, over broken links and beside other hosts that push the same."""

    def __init__(
        self, cache: BoardCache, path: Path, size: int, name: str, shift: Shift, digest: _Digest | None
    ) -> None:
        self.cache, self.path, self.size, self.name = cache, path, size, name
        self._shift, self._digest = shift, digest
        self._sent = 0

    def bring(self) -> int:
        """Send what the board lacks; returns the bytes that were sent."""
        busy_until = time.monotonic() + BUSY_PATIENCE_S
        ends_at = busy_until + PUSH_S + self.size / SLOWEST_BYTES_PER_S
        damaged, still, last = 0, 0, -1
        while (offset := self._offset()) is not None and not (self._digest and offset == self.size > 0):
            still = still + 1 if offset <= last else 0
            last = offset
            try:
                answer = self._send(offset, max(1.0, ends_at - time.monotonic()))
                if answer.all("received") or answer.all("stored"):
                    break
            except LinkError as error:
                self.cache.link.patience.pause(error, ends_at)
            except Refused as error:
                if error.word == "busy" and time.monotonic() < busy_until:
                    last, still = -1, 0
                    time.sleep(0.5)
                elif error.word == "damaged" and damaged < 1:
                    damaged += 1
                elif error.word not in ("offset", "partial"):
                    raise
            if still >= STANDSTILL:
                raise BoardError(f"{self.cache.link.where}: the upload of {self.path.name} makes no progress", "retry")
        return self._sent

    def _offset(self) -> int | None:
        """How much of the file the board has in part; None when it has it all under this name.

        Errors: _Elsewhere for a file sent ahead when one of its size has come meanwhile.
        """
        answer = self.cache.have({self.name: self.size})
        if self.name in answer.all("have"):
            return None
        if self._digest and str(self.size) in answer.all("size"):
            raise _Elsewhere
        for text in answer.all("part"):
            name, _, size = text.partition(" ")
            if name == self.name:
                return min(max(0, whole_number(size) or 0), self.size)
        return 0

    def _send(self, offset: int, timeout_s: float) -> Answer:
        later = ["later"] if self._digest else []
        with self.path.open("rb") as source:
            return self.cache.link.ask_stream(
                "put",
                *(self.name, str(self.size), str(offset), str(self._end(offset)), _owner(), *later),
                stdin=self._pieces(source, offset),
                timeout_s=timeout_s,
            )

    def _end(self, start: int) -> int:
        return min(self.size, start + STREAM_LIMIT_BYTES)

    def _pieces(self, source: BinaryIO, start: int) -> Iterator[bytes]:
        """One stream's worth of the file from `start`; what is left goes with the next."""
        source.seek(start)
        at, end = start, self._end(start)
        while at < end and (piece := source.read(min(PIECE_BYTES, end - at))):
            yield piece
            at += len(piece)
            if self._digest:
                self._digest.sent(at)
            self._sent += len(piece)
            self._shift.tell(at)


def _owner() -> str:
    """Who pushes: a later attempt of this process may end an earlier one that hangs on a frozen link."""
    text = f"{socket.gethostname()} {os.getuid()} {os.getpid()}"
    with suppress(OSError):
        text += Path("/etc/machine-id").read_text()
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:16]

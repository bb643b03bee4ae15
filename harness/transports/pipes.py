"""A child process of this PC as a Stream: for local boards and for the OpenSSH client."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from harness.transports.base import PIECE_BYTES, CommandTimeout, Paced
from harness.transports.pace import Pace

LOOK_EVERY_S = 1.0  # at the pace of a stream that stands still
ERR_LIMIT_BYTES = 256 * 1024  # standard error is for people; a flood of it is cut


def command_name(argv: Sequence[str | bytes]) -> str:
    """A command as an error message shows it: short, one line, no control characters."""
    words = [a if isinstance(a, str) else a.decode("utf-8", "replace") for a in argv]
    text = " ".join(repr(word) if set(word) - _PLAIN else word for word in words)
    return text if len(text) <= 120 else text[:117] + "..."


_PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_-+=:,@%")


class PipeStream:
    """One child in its own process group, fed by a thread, read piece by piece, ended with its group."""

    def __init__(
        self,
        argv: Sequence[str | bytes],
        *,
        what: str,
        timeout_s: float,
        stdin: Iterable[bytes] | None,
        pace: Pace,
        environment: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.code: int | None = None
        self._err = bytearray()
        self._what, self._timeout_s = what, timeout_s
        self._ends_at = time.monotonic() + timeout_s
        self._pace = pace
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        self._feed_error: BaseException | None = None
        self._threads = [self._thread(self._read_errors)]
        if stdin is not None:
            self._threads.append(self._thread(lambda: self._feed(stdin)))

    @staticmethod
    def _thread(work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    @property
    def err(self) -> bytes:
        """What it has written to stderr so far."""
        return bytes(self._err)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        fd = self._process.stderr.fileno()
        with suppress(OSError, ValueError):
            while piece := os.read(fd, 65536):
                self._err += piece[: max(0, ERR_LIMIT_BYTES - len(self._err))]

    def _feed(self, stdin: Iterable[bytes]) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            os.set_blocking(pipe.fileno(), False)
            for piece in stdin:
                self._write(pipe.fileno(), piece)
        except (BrokenPipeError, ValueError):
            return  # the command did not want all of it: its exit code tells
        except BaseException as error:  # a host file that cannot be read: reported by the reader of the stream
            self._feed_error = error
            self._kill()
        finally:
            with suppress(BrokenPipeError, OSError, ValueError):
                pipe.close()

    def _write(self, fd: int, piece: bytes) -> None:
        remaining = memoryview(piece)
        while remaining:
            began = time.monotonic()
            _, ready, _ = select.select([], [fd], [], LOOK_EVERY_S)
            count = os.write(fd, remaining) if ready else 0
            remaining = remaining[count:]
            self._keep_pace("up", began, count)

    def _keep_pace(self, way: Paced, began: float, count: int) -> None:
        """Count what a wait brought. Errors: CommandTimeout where too little moves in the way that is paced."""
        slow = self._pace.check(way, began, count)
        if slow is not None:
            self._kill()
            raise CommandTimeout(f"{self._what}: {slow.message}", slow.hint)

    def __iter__(self) -> Iterator[bytes]:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        while piece := self._next(fd):
            yield piece
        self._finish()

    def _next(self, fd: int) -> bytes:
        while True:
            began = time.monotonic()
            ready, _, _ = select.select([fd], [], [], max(0.0, min(LOOK_EVERY_S, self._ends_at - began)))
            piece = os.read(fd, PIECE_BYTES) if ready else b""
            self._keep_pace("down", began, len(piece))
            if piece:
                self._pace.patience.heard()
            if ready:
                return piece
            if time.monotonic() >= self._ends_at:
                self._timed_out()

    def _finish(self) -> None:
        try:
            code = self._process.wait(max(0.05, self._ends_at - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._timed_out()
        for thread in self._threads:
            thread.join(2.0)  # a grandchild may hold standard error open for ever
        if self._feed_error is not None:
            raise self._feed_error
        self.code = code if code >= 0 else 128 - code

    def _timed_out(self) -> None:
        self._kill()
        raise CommandTimeout(
            f"{self._what} timed out after {self._timeout_s:g} s and was stopped",
            "raise --timeout, or check the board's load",
        )

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> PipeStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None and self.code is None:
            self._kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(2.0)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

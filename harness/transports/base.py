"""The contract every transport keeps; tests/transports/test_transports.py holds each one to it.

- Arguments are a list: never split, never expanded, quoted in exactly one place.
- Output is bytes. A failing command is an answer (`Done`); a failing link is a `LinkError` that names
  `user@host:port` and what was being done.
- Every call has a time limit, which ends the command on the board too; passing it is a `CommandTimeout`.
- Output beyond `limit_bytes` is cut and said so (`Done.cut`), never stored without end.
- Files arrive whole or not at all: `.part`, md5 checked on the far side, rename.
- Names are bytes to the board: blanks, quotes, newlines, leading dashes and `$(...)` are carried as they are
  (bytes that are not UTF-8 as surrogate escapes, as `os.fsdecode` gives them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from harness.records.callbacks import BytesCallback
from harness.transports.timeouts import CommandTimeout as CommandTimeout

if TYPE_CHECKING:
    from harness.records import Endpoint
    from harness.transports.patience import Patience

OUTPUT_LIMIT_BYTES = 16 * 2**20  # an answer, not a file: longer output goes to a file and is pulled
PIECE_BYTES = 128 * 1024  # pieces of 64 to 128 KiB are the fastest over SSH; whole files at once are quadratic
STREAM_LIMIT_BYTES = 384 * 2**20  # one SSH stream; near 512 MiB a re-keying can kill the connection

Paced = Literal["", "up", "down"]  # the way in which a stream must carry something all the time


@dataclass(frozen=True)
class CommandResult:
    """What a finished command left.

    `code` is the exit status, 128 + signal where a signal ended it (as every shell says it), and -1 where the
    output was cut at the limit and the command ended for it.
    """

    code: int
    out: bytes
    err: bytes
    cut: bool = False


class Stream(Protocol):
    """A running command whose output is read piece by piece. After the last piece `code` and `err` are set."""

    @property
    def code(self) -> int | None:
        """Exit code of the command; None while it runs, and where the link broke."""

    @property
    def err(self) -> bytes:
        """What it has written to stderr so far."""

    def __iter__(self) -> Iterator[bytes]: ...


class Transport(Protocol):
    """A way to one board. Made by `transports.open_transport(board)`; use as a context manager.

    A transport whose link broke connects anew at the next call. It repeats no call by itself, but for one whose command
    was not sent yet when the far side ended the connection or the channel.
    """

    where: str  # "user@host:port", or the folder of a local board
    patience: Patience  # the clock of this link: notified of everything that is received

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes | None = None,
        limit_bytes: int = OUTPUT_LIMIT_BYTES,
    ) -> CommandResult:
        """Run one command to its end. Errors: LinkError, CommandTimeout."""

    def stream(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: Iterable[bytes] | None = None,
        carries_bytes: int = STREAM_LIMIT_BYTES,
        paced: Paced = "",
    ) -> AbstractContextManager[Stream]:
        """Run one command, feeding `stdin` in pieces and yielding its output in pieces; nothing is buffered whole.

        Leaving the context early ends the command. `carries_bytes`: what goes both ways at the most; a connection that
        should not carry that much any more is made anew first. `paced`: given up as CommandTimeout where input ("up",
        while there is some) or output ("down") moves slower than pace.LEAST_BYTES_PER_S.
        """

    def push(self, source: Path, target: str, *, timeout_s: float, progress: BytesCallback | None = None) -> None:
        """Copy one file to the board, whole or not at all; the folder of `target` must exist.

        Errors: LinkError, BoardError (no such folder, no space, read-only).
        """

    def pull(
        self,
        source: str,
        target: Path,
        *,
        timeout_s: float,
        progress: BytesCallback | None = None,
        root: Path | None = None,
    ) -> None:
        """Copy one file from the board, whole or not at all; folders below `root` are made, links there refused.

        Errors: LinkError, BoardError (no such file), InputError for a link.
        """

    def alive(self) -> bool:
        """Ask the far side and wait for its answer, 5 s at most."""

    def close(self) -> None:
        """End the link; nothing that was begun over it goes on. Never raises."""

    def __enter__(self) -> Transport: ...

    def __exit__(self, *exc: object) -> None: ...


@dataclass(frozen=True)
class Kind:
    """One way to boards: harness's own are in kinds/, others come by entry points of group `harness.transports`."""

    connect: Callable[[Endpoint, Callable[[str], str] | None, Patience], Transport]  # second: asks for a password
    needs_address: bool = True
    port: int = 22  # where hosts.yaml tells none
    host_keys: bool = False  # of SSH, which `harness boards trust` records


def printable(text: str, limit: int = 300) -> str:
    """Text of a board for a terminal: one line, no control, escape or direction characters, not endless."""
    return "".join(char if char.isprintable() else "?" for char in text[:limit])

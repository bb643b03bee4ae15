"""The telnet transport: boards without SSH, as small cameras are. Nothing is encrypted: for a lab's own network only.

One command at a time goes over a connection, which is kept for the next one; commands side by side have one each.
Files go through base64 in the same way as every command's input and output (telnet_line.DRIVER), and are held against
their md5 on the board like everywhere.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from harness.errors import ConfigError, HarnessError, LinkError
from harness.records import Endpoint
from harness.transports.base import CommandTimeout, Paced, Stream
from harness.transports.copying import RemoteShell
from harness.transports.pace import Pace
from harness.transports.passwords import Passwords
from harness.transports.patience import Patience
from harness.transports.pipes import LOOK_EVERY_S
from harness.transports.telnet_line import TelnetLine

PIECE_BYTES = 48 * 1024  # of input, each asked for by the board
ALIVE_TIMEOUT_S = 5.0
_BLANK = b"\r\n\0\t "


class TelnetTransport(RemoteShell):
    """User and password where the board's login asks for them; one that gives a shell at once needs neither."""

    def __init__(
        self, endpoint: Endpoint, passwords: Passwords | None = None, patience: Patience | None = None
    ) -> None:
        super().__init__(patience)
        if not endpoint.address:
            raise ConfigError(f"board {endpoint.name} has no address", "add `address:` to it in hosts.yaml")
        self._endpoint, self._passwords = endpoint, passwords or Passwords(endpoint)
        self.where = (
            f"{endpoint.user}@{endpoint.address}:{endpoint.port}"
            if endpoint.user
            else f"{endpoint.address}:{endpoint.port}"
        )
        self._idle = [self._connected()]

    def _connected(self) -> TelnetLine:
        return TelnetLine(self._endpoint, self.where, self._passwords, self.patience)

    @contextmanager
    def _stream(
        self, command: bytes, shown: str, timeout_s: float, stdin: Iterable[bytes] | None, paced: Paced
    ) -> Iterator[Stream]:
        line = self._taken()
        stream = TelnetStream(line, command, f"{self.where}: {shown}", timeout_s, stdin, self.pace(paced))
        try:
            yield stream
        finally:
            if stream.code is not None:
                self._idle.append(line)
            else:
                line.close()  # which ends the shell, and with it the command

    def _taken(self) -> TelnetLine:
        while self._idle:
            line = self._idle.pop()
            if line.is_fresh:
                return line
            line.close()
        return self._connected()

    def alive(self) -> bool:
        with suppress(HarnessError):
            return self.run(["true"], timeout_s=ALIVE_TIMEOUT_S).code == 0
        return False

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


class TelnetStream:
    """One job of a driver, sent and received while it is iterated."""

    def __init__(
        self, line: TelnetLine, command: bytes, what: str, timeout_s: float, stdin: Iterable[bytes] | None, pace: Pace
    ) -> None:
        self.code: int | None = None
        self.err = b""
        self._line, self._what, self._timeout_s, self._pace = line, what, timeout_s, pace
        self._ends_at = time.monotonic() + timeout_s
        self._input = None if stdin is None else _sized(stdin)
        text = base64.b64encode(command) + b"\n"
        self._out = b"%d %d\n%s" % (len(text), self._input is not None, text)  # to be sent
        self._may_send = False  # not before the driver says so
        self._text = b""  # base64 of the output that is not a whole group of four yet
        self._last: bytes | None = None  # what follows the output

    def __iter__(self) -> Iterator[bytes]:
        while self._last is None or b"~" not in self._last:
            piece = self._decoded(self._received())
            if piece:
                yield piece
        self._end(self._last)

    def _received(self) -> bytes:
        """What came next, blanks taken out. Errors: LinkError, CommandTimeout."""
        if not self._out and self._input is not None and self._may_send:
            self._out, self._may_send = next(self._input), False
            if self._out == b"0\n":
                self._input = None
        began = time.monotonic()
        try:
            sent, piece = self._line.exchange(self._out, min(LOOK_EVERY_S, self._ends_at - began))
        except OSError as error:
            raise LinkError(
                f"{self._what}: the link broke ({error})", "check that the board is still on the network"
            ) from error
        self._out = self._out[sent:]
        self._keep_pace(began, sent, len(piece))
        if not piece and not sent and time.monotonic() >= self._ends_at:
            raise CommandTimeout(
                f"{self._what} timed out after {self._timeout_s:g} s and was stopped",
                "raise --timeout, or check the board's load",
            )
        return piece.translate(None, _BLANK)

    def _keep_pace(self, began: float, sent: int, received: int) -> None:
        slow = self._pace.check("down", began, received)
        if self._input is not None:
            slow = slow or self._pace.check("up", began, sent)
        if slow is not None:
            raise CommandTimeout(f"{self._what}: {slow.message}", slow.hint)

    def _decoded(self, piece: bytes) -> bytes:
        """The output in a piece; what answers input, and what follows the output, is kept for its own use."""
        if self._last is not None:
            self._last += piece
            return b""
        output, at, after = piece.partition(b"@")
        if at:
            self._last = after
        if b"?" in output and self._input is not None:
            self._input = iter([b"0\n"])  # the command takes no more
        if b"!" in output or b"?" in output:
            self._may_send = True
        self._text += output.translate(None, b"!?")
        whole = len(self._text) - len(self._text) % 4
        text, self._text = self._text[:whole], self._text[whole:]
        return self._bytes(text)

    def _end(self, last: bytes) -> None:
        match = re.search(rb"#(\d+);", last)
        if match is None or self._text:
            raise LinkError(f"{self._what}: ended without an exit code", "check the board's shell")
        self.err = self._bytes(last[: match.start()] + last[match.end() :].partition(b"~")[0])
        self.code = int(match[1])

    def _bytes(self, text: bytes) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error as error:
            message = f"{self._what}: unexpected data on the connection"
            raise LinkError(message, "stop kernel messages on this console: dmesg -n 1 on the board") from error


def _sized(stdin: Iterable[bytes]) -> Iterator[bytes]:
    """Input as the driver takes it: pieces with their sizes before them, "0" at the end."""
    for piece in stdin:
        for start in range(0, len(piece), PIECE_BYTES):
            text = base64.b64encode(piece[start : start + PIECE_BYTES]) + b"\n"
            yield b"%d\n%s" % (len(text), text)
    yield b"0\n"

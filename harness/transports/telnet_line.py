"""One telnet connection up to the shell: telnet's own bytes taken out, logged in, and a driver script started.

The driver (DRIVER) takes one command after the other. Both ways carry base64 and a few marks that are not base64, so
neither the terminal nor the telnet server can change what is carried: no control bytes, no CR, no byte 255.
"""

from __future__ import annotations

import re
import secrets
import select
import socket
import time
from contextlib import suppress

from harness.errors import BoardError, LinkError, LoginError
from harness.records import Endpoint
from harness.transports.base import printable
from harness.transports.dialing import dial
from harness.transports.passwords import Passwords, how_to_give
from harness.transports.patience import Patience

IAC, SB, SE, WILL, WONT, DO, DONT = 255, 250, 240, 251, 252, 253, 254
_WANTED = (1, 3)  # that the server echoes (the driver turns that off) and that it need not say "go ahead"
_SETTLED_S = 0.15  # after a prompt nothing more comes: it is no line of the greeting that looks like one
_SILENT_S = 2.0  # a prompt that looks like none is one after that
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\0\r]")
_ASKS_USER = re.compile(r"(?:login|user ?name|user):\s*$", re.IGNORECASE)
_ASKS_PASSWORD = re.compile(r"password[^\n]*:\s*$", re.IGNORECASE)
_REFUSES = re.compile(r"login incorrect|login failed|access denied|authentication fail", re.IGNORECASE)
_PROMPT = re.compile(r"[#$%>]\s*$")

# Typed at the prompt, one line below the 1000 characters that small shells' editing allows. What it prints is not in
# what the terminal echoes of it: the mark is put together by printf.
_START = """\
stty raw -echo && exec sh -c 'printf %s%s MARK READY; read -r n; c=$(head -c "$n"); eval "$c"; echo "~head~"'; \
printf %s%s MARK LACKS"""

# A job is a line "BYTES INPUT", then so much base64 of the command. Input comes in pieces, each a line "BYTES" and so
# much base64; before each there is a `!` (go on) or `?` (the command takes no more), for a small `head` reads ahead of
# what it was asked for. A line "0" ends it. The output is base64,
# then `@`, then base64 of standard error with `#CODE;` somewhere in it, then `~`. A job has a session of its own: the
# hang-up of a connection must not end the watcher that ends the job (quoting._LIMITED), and leave the job.
DRIVER = """\
exec 3>&1 2>/dev/null
for p in base64 head; do command -v $p >/dev/null || { printf '~%s~' $p; exit; }; done
s=; command -v setsid >/dev/null && s=setsid
feed() { while read -r n && [ "$n" -gt 0 ]; do
  if head -c "$n" | { base64 -d; c=$?; cat >/dev/null; exit $c; }; then printf '!' >&3; else printf '?' >&3; fi; done; }
job() { $s sh -c "$1" 2>&4 3>&- 4>&- 5>&- 6>&-; }
body() { if [ "$2" = 1 ]; then printf '!' >&3; feed | job "$1"; else job "$1" </dev/null; fi; }
printf '~~'
while read -r n i; do
  c=$(head -c "$n" | base64 -d; echo x)
  x=$({ { { body "${c%x}" "$i"; printf '#%s;' "$?" >&5; } 4>&1 >&6 | { head -c 65536; cat >/dev/null; } | base64 >&5
  } 6>&1 | base64 >&3; } 5>&1)
  printf '@%s~' "$x" >&3
done
"""


class TelnetLine:
    """A connection with a driver that waits for a job. Errors of making it: LinkError, LoginError, BoardError."""

    def __init__(self, endpoint: Endpoint, where: str, passwords: Passwords, patience: Patience) -> None:
        self.where, self._endpoint, self._passwords, self._patience = where, endpoint, passwords, patience
        self._limit_s = patience.at_most(endpoint.connect_timeout_s)
        self._ends_at = time.monotonic() + self._limit_s
        self._rest = b""  # the beginning of a telnet command whose end has not come yet
        self._sock = self._dialed()
        try:
            self._log_in()
            self._start()
        except OSError as error:
            self.close()
            raise LinkError(f"{where}: the link broke during login: {error}", "check the board's telnetd") from error
        except BaseException:
            self.close()
            raise

    def _dialed(self) -> socket.socket:
        try:
            sock = dial(self._endpoint.address, self._endpoint.port, self._limit_s)
        except socket.gaierror as error:
            raise LoginError(
                f"{self.where}: cannot resolve the host name", "correct `address:` of the board"
            ) from error
        except ConnectionRefusedError as error:
            hint = "check that the board is up, telnetd is running, and `port:` is right"
            raise LinkError(f"{self.where}: connection refused", hint) from error
        except OSError as error:
            message = f"{self.where}: no answer ({error.strerror or error})"
            raise LinkError(message, "check that the board is on and on this network") from error
        keep = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 4, "TCP_KEEPCNT": 3}  # a dead peer is noticed after 16 s
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in keep.items():
            with suppress(AttributeError, OSError):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        sock.setblocking(False)
        return sock

    # ---- bytes

    def exchange(self, out: bytes, wait_s: float) -> tuple[int, bytes]:
        """Send what goes of `out` (without byte 255) and receive what is there: (bytes sent, received), (0, b"") after
        `wait_s`. Errors: OSError, ConnectionResetError where the board has ended the connection."""
        ready, writable, _ = select.select([self._sock], [self._sock] if out else [], [], max(0.0, wait_s))
        sent = self._sock.send(out) if writable else 0
        if not ready:
            return sent, b""
        piece = self._sock.recv(65536)
        if not piece:
            raise ConnectionResetError("the board closed the connection")
        self._patience.heard()
        return sent, self._plain(piece)

    def _plain(self, data: bytes) -> bytes:
        """Without telnet's commands; those that ask are answered."""
        data, self._rest = self._rest + data, b""
        kept, at = bytearray(), 0
        while (plain_text := data.find(IAC, at)) >= 0:
            kept += data[at:plain_text]
            size = _command_size(data[plain_text:])
            if not size:
                self._rest = data[plain_text:]
                return bytes(kept)
            self._answer(data[plain_text : plain_text + size])
            kept += b"\xff" if data[plain_text + 1] == IAC else b""
            at = plain_text + size
        return bytes(kept + data[at:])

    def _answer(self, command: bytes) -> None:
        if command[1] in (DO, WILL):
            yes, no = (WILL, WONT) if command[1] == DO else (DO, DONT)
            wanted = command[1] == WILL and command[2] in _WANTED
            self._sock.send(bytes([IAC, yes if wanted else no, command[2]]))

    def _send(self, text: str) -> None:
        remaining = text.encode()
        while remaining:
            sent, _ = self.exchange(remaining, self._left())
            remaining = remaining[sent:]

    def _left(self) -> float:
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0 or self._patience.given_up:
            raise LinkError(
                f"{self.where}: no shell within {self._limit_s:.0f} s", f"try: telnet {self._endpoint.address}"
            )
        return left_s

    # ---- login

    def _log_in(self) -> None:
        """Answer what is asked until something looks like a shell's prompt."""
        text, quiet_s, answers_given = "", 0.0, 0
        while True:
            _, piece = self.exchange(b"", min(_SETTLED_S, self._left()))
            text = _TERMINAL.sub("", text + piece.decode("utf-8", "replace"))[-4000:]
            quiet_s = 0.0 if piece else quiet_s + _SETTLED_S
            if answer := self._answer_to(text, answers_given):
                answers_given, text = answers_given + 1, ""
                self._send(f"{answer}\n")
            elif not piece and (_PROMPT.search(text) or quiet_s >= _SILENT_S):
                return

    def _answer_to(self, text: str, answers_given: int) -> str:
        """What to send to the login now, "" for nothing. Errors: LoginError."""
        name = self._endpoint.name
        if _REFUSES.search(text) or (answers_given > 1 and (_ASKS_USER.search(text) or _ASKS_PASSWORD.search(text))):
            raise LoginError(
                f"{self.where}: the login was refused", f"correct `user:`, or give a password: {how_to_give(name)}"
            )
        if _ASKS_USER.search(text):
            if not self._endpoint.user:
                raise LoginError(
                    f"{self.where}: a user name is required", f"add `user: root` to board {name} in hosts.yaml"
                )
            return self._endpoint.user
        if _ASKS_PASSWORD.search(text):
            password = self._passwords.known() or self._passwords.typed(self.where)
            if not password:
                raise LoginError(f"{self.where}: a password is required", f"give a password: {how_to_give(name)}")
            self._ends_at = time.monotonic() + self._limit_s  # a person may have taken a while
            return password
        return ""

    def _start(self) -> None:
        """Start the driver. Errors: BoardError where the board lacks a program for it."""
        mark = f"h{secrets.token_hex(6)}"
        self._send(_START.replace("MARK", mark) + "\n")
        self._refuse_lack("stty" if self._until(f"{mark}(READY|LACKS)") == "LACKS" else "")
        self._send(f"{len(DRIVER)}\n{DRIVER}")
        self._refuse_lack(self._until("~(.*?)~"))

    def _refuse_lack(self, program: str) -> None:
        if program:
            raise BoardError(
                f"{self.where}: missing on the board: {printable(program)}",
                "telnet needs stty, base64 and head on the board (busybox has them)",
            )

    def _until(self, pattern: str) -> str:
        """The first group of the pattern, once it has come."""
        text = ""
        while True:
            _, piece = self.exchange(b"", self._left())
            text += piece.decode("latin-1")
            if match := re.search(pattern, text):
                return match[1]
            if _REFUSES.search(text) or _ASKS_PASSWORD.search(text):
                self._answer_to("login failed", 0)

    # ---- between jobs

    @property
    def is_fresh(self) -> bool:
        """Whether the driver still waits; a connection that ended, or said anything unasked, is of no use."""
        try:
            return not select.select([self._sock], [], [], 0)[0]
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        """End the connection."""
        self._sock.close()


def _command_size(data: bytes) -> int:
    """Bytes of the telnet command that data begins with; 0 where its end has not come yet."""
    if len(data) < 2:
        return 0
    if data[1] == SB:
        return data.find(bytes([IAC, SE])) + 2 if bytes([IAC, SE]) in data else 0
    size = 3 if data[1] in (WILL, WONT, DO, DONT) else 2
    return size if len(data) >= size else 0

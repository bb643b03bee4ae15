"""The ssh transport: paramiko with exec channels as plain pipes (faster than SFTP, and needs no sftp-server).

A peer that falls silent is noticed by our own questions: paramiko's keep-alive never fails. Every stream has a
guard thread, because a write into a frozen connection blocks inside the library for ever.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import paramiko
from paramiko.ssh_exception import ChannelException, SSHException

from harness.errors import LinkError
from harness.records import Endpoint
from harness.transports.base import STREAM_LIMIT_BYTES, CommandTimeout, Paced, Stream
from harness.transports.copying import Copying
from harness.transports.dialing import cut_socket
from harness.transports.pace import Pace
from harness.transports.passwords import Passwords
from harness.transports.patience import Patience
from harness.transports.pipes import ERR_LIMIT_BYTES, command_name
from harness.transports.quoting import remote_command
from harness.transports.ssh_login import LOGIN_SLOWER, close_all, connect, resolve

PROBE_AFTER_S = 5.0  # silence of a running command before the far side is asked whether it is still there
PROBE_TIMEOUT_S = 5.0
BEGIN_AGAIN_S = (0.0, 0.05, 0.2)  # pauses before a command that has not begun is given again
CLOSE_S = 2.0  # to tell the far side that a stream is over; then the connection is cut
STALL_S = 15.0  # no byte could be written for so long: the connection is frozen
# paramiko re-keys after 512 MiB and can stall in it for 30 s, or for ever: a stream that may not fit in before begins
# on a fresh connection.
CONNECTION_LIMIT_BYTES = 480 * 2**20
# More than the window holds: what is left in paramiko's buffer is moved on every read, 4 GB for a pull of 256 MB
EVERYTHING = 16 * 2**20
FRESH_AFTER_S = 3600.0


class SshTransport(Copying):
    """One connection, made at once, remade when it broke or carried much. Several streams may run at a time."""

    def __init__(
        self, endpoint: Endpoint, passwords: Passwords | None = None, patience: Patience | None = None
    ) -> None:
        super().__init__(patience)
        self._login = resolve(endpoint)
        self._passwords = passwords or Passwords(endpoint)
        self.where = self._login.where
        self._lock = threading.Lock()
        self._clients: list[paramiko.SSHClient] = []
        self._streams = 0
        self._carried = 0
        self._connected_at = 0.0
        self._connect()

    def _connect(self) -> None:
        self._clients = connect(self._login, self._passwords, self.patience)
        self._carried, self._connected_at = 0, time.monotonic()
        transport = self._clients[-1].get_transport()
        assert transport is not None
        transport.set_keepalive(15)  # keeps NAT tables warm, no more

    def _acquire(self, carries_bytes: int) -> paramiko.Transport:
        """The live connection, fresh if the old one broke, or is old or would carry too much and nobody uses it."""
        with self._locked():
            transport = self._clients[-1].get_transport() if self._clients else None
            usable = transport is not None and transport.is_active()
            if not usable or (self._streams == 0 and self._worn(carries_bytes)):
                close_all(self._clients)
                self._connect()
                transport = self._clients[-1].get_transport()
            assert transport is not None
            self._streams += 1
            return transport

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Wait while another thread connects. Errors: LinkError when it takes longer than a login may."""
        hops = 1 + len(self._login.jumps)
        if not self._lock.acquire(timeout=self.patience.at_most(hops * LOGIN_SLOWER * self._login.connect_timeout_s)):
            raise LinkError(f"{self.where}: still connecting", "check that the board is on and on this network")
        try:
            yield
        finally:
            self._lock.release()

    def _worn(self, carries_bytes: int) -> bool:
        full = self._carried > 0 and self._carried + carries_bytes > CONNECTION_LIMIT_BYTES
        return full or time.monotonic() - self._connected_at > FRESH_AFTER_S

    def _release(self, carried: int) -> None:
        with self._lock:
            self._streams -= 1
            self._carried += carried

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
        command = remote_command(argv, timeout_s)
        return self._stream(command, command_name(argv), timeout_s, stdin, carries_bytes, paced)

    @contextmanager
    def _stream(
        self,
        command: bytes,
        shown: str,
        timeout_s: float,
        stdin: Iterable[bytes] | None,
        carries_bytes: int,
        paced: Paced,
    ) -> Iterator[Stream]:
        what = f"{self.where}: {shown}"
        stream = self._begun(
            carries_bytes,
            lambda transport: SshStream(transport, command, what, timeout_s, stdin, self.pace(paced)),
        )
        try:
            yield stream
        finally:
            stream.close()
            self._release(stream.carried)

    def _begun(self, carries_bytes: int, begin: Callable[[paramiko.Transport], SshStream]) -> SshStream:
        """A command that was not even sent is given again."""
        for pause_s in BEGIN_AGAIN_S:
            try:
                return self._begun_once(carries_bytes, begin)
            except NotBegunError:
                self.patience.broke()
                time.sleep(pause_s)
        return self._begun_once(carries_bytes, begin)

    def _begun_once(self, carries_bytes: int, begin: Callable[[paramiko.Transport], SshStream]) -> SshStream:
        transport = self._acquire(carries_bytes)
        try:
            return begin(transport)
        except BaseException:
            self._release(0)
            raise

    def alive(self) -> bool:
        with contextlib.suppress(LinkError):
            return self.run(["true"], timeout_s=PROBE_TIMEOUT_S).code == 0
        return False

    def close(self) -> None:
        with contextlib.suppress(LinkError), self._locked():
            close_all(self._clients)
            self._clients = []


class NotBegunError(LinkError):
    """The far side ended the channel or the connection before the command was sent."""


class SshStream:
    """One exec channel: standard input fed and standard error read by threads, output read by the caller."""

    def __init__(
        self,
        transport: paramiko.Transport,
        command: bytes,
        what: str,
        timeout_s: float,
        stdin: Iterable[bytes] | None,
        pace: Pace,
    ) -> None:
        self.code: int | None = None
        self.carried = 0
        self._err = bytearray()
        self._transport, self._what, self._timeout_s = transport, what, timeout_s
        self._ends_at = time.monotonic() + timeout_s
        self._patience, self._pace = pace.patience, pace
        self._closed_by = math.inf  # of time.monotonic()
        self._reason: LinkError | None = None
        self._feed_error: BaseException | None = None
        self._feeding = True  # opening writes too
        self._moved_at = time.monotonic()
        self._over = threading.Event()
        self._guard = _thread(self._watch)
        try:
            self._channel = self._open(command, stdin is not None)
        except BaseException:
            self._over.set()
            raise
        self._feeding = stdin is not None
        self._threads = [_thread(self._read_errors)]
        if stdin is not None:
            self._threads.append(_thread(lambda: self._feed(stdin)))

    @property
    def err(self) -> bytes:
        """What it has written to stderr so far."""
        return bytes(self._err)

    def _open(self, command: bytes, has_input: bool) -> paramiko.Channel:
        try:
            channel = self._channel_open()
            channel.settimeout(PROBE_AFTER_S)
            channel.exec_command(command)  # bytes are sent as they are
            if not has_input:
                channel.shutdown_write()
        except (SSHException, OSError, EOFError) as error:
            self._transport.close()
            raise self._lost(error) from error
        return channel

    def _channel_open(self) -> paramiko.Channel:
        """A channel that the command was not sent over yet. What comes after this is not repeated: dropbear closes a
        channel while another command ends, and now and then runs its command all the same."""
        began, limit_s = time.monotonic(), self._patience.at_most(min(STALL_S, self._timeout_s))
        try:
            channel = self._transport.open_session(timeout=limit_s)
            self._patience.heard()
            if channel.closed:
                raise EOFError("the channel was closed")
        except (SSHException, OSError, EOFError) as error:
            if self._reason or isinstance(error, ChannelException) or _is_late(began, limit_s):
                raise
            lost = self._lost(error)
            raise NotBegunError(lost.message, lost.hint) from error
        return channel

    # -- watching

    def _watch(self) -> None:
        """Cut the connection when the time is over or nothing can be written any more."""
        while not self._over.wait(min(1.0, max(0.01, self._ends_at - time.monotonic()))):
            now = time.monotonic()
            if now > self._ends_at:
                self._give_up()
                return
            stall_s = self._patience.at_most(STALL_S)
            if self._feeding and now - self._moved_at > stall_s:
                self._cut(f"the link is stalled: nothing sent for {stall_s:.0f} s")
                return
            if now > self._closed_by:
                self._cut("the link is stalled: the stream could not be closed")
                return

    def _give_up(self) -> None:
        if self._reason is None:
            self._reason = CommandTimeout(
                f"{self._what} timed out after {self._timeout_s:g} s; the board stops it too",
                "raise --timeout, or check the board's load",
            )
        if self._feeding:
            cut_socket(self._transport)
        else:
            with contextlib.suppress(SSHException, OSError, EOFError, AttributeError):
                self._channel.close()

    def _cut(self, why: str) -> None:
        if self._reason is None:
            self._reason = LinkError(f"{self._what}: {why}", "check that the board is still on the network")
        cut_socket(self._transport)

    def _probe(self) -> None:
        """A question that needs an answer; without one the connection is cut."""
        began, limit_s = time.monotonic(), self._patience.at_most(PROBE_TIMEOUT_S)
        try:
            channel = self._transport.open_session(timeout=limit_s)
            channel.close()
            self._moved_at = time.monotonic()
        except (SSHException, OSError, EOFError):
            if not self._transport.is_active() or _is_late(began, limit_s):  # a refusal is an answer
                self._cut(f"the link is down: no answer for {PROBE_AFTER_S + PROBE_TIMEOUT_S:g} s")
                return
        self._patience.heard()

    def _lost(self, error: BaseException | None = None) -> LinkError:
        if self._reason is not None:
            return self._reason
        detail = f" ({error})" if error is not None and str(error) else ""
        return LinkError(f"{self._what}: the link broke{detail}", "check that the board is still on and on the network")

    # -- moving bytes

    def _read_errors(self) -> None:
        while not self._over.is_set():
            try:
                piece = self._channel.recv_stderr(65536)
            except TimeoutError:
                continue
            except (SSHException, OSError, EOFError):
                return
            if not piece:
                return
            self._err += piece[: max(0, ERR_LIMIT_BYTES - len(self._err))]

    def _feed(self, stdin: Iterable[bytes]) -> None:
        try:
            for piece in stdin:
                self._send(piece)
            self._channel.shutdown_write()
        except (SSHException, EOFError, ConnectionError, TimeoutError):
            pass_on = None  # the command closed its input, or the link broke: the reader of the stream sees which
        except BaseException as error:  # a host file that cannot be read: reported by the reader of the stream
            pass_on = error
        else:
            pass_on = None
        finally:
            self._feeding = False
        if pass_on is not None:
            self._feed_error = None if str(pass_on) == "Socket is closed" else pass_on
            self._channel.close()

    def _send(self, piece: bytes) -> None:
        while piece:
            began = time.monotonic()
            try:
                sent = self._channel.send(piece)
            except TimeoutError:
                self._probe()
                sent = -1
            self._keep_pace("up", began, max(0, sent))
            if sent < 0:
                continue
            if sent == 0:
                raise EOFError("closed")
            self.carried += sent
            self._moved_at = time.monotonic()
            piece = piece[sent:]

    def _keep_pace(self, way: Paced, began: float, count: int) -> None:
        """Count what a wait brought; the stream is ended where too little moves in the way that is paced."""
        slow = self._pace.check(way, began, count)
        if slow is not None:
            self._reason = self._reason or CommandTimeout(f"{self._what}: {slow.message}", slow.hint)
            cut_socket(self._transport)

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._next():
            self.carried += len(piece)
            self._patience.heard()
            yield piece
        self._finish()

    def _next(self) -> bytes:
        while True:
            began, piece = time.monotonic(), None
            try:
                piece = self._channel.recv(EVERYTHING)
            except TimeoutError:
                self._probe()
            except (SSHException, OSError, EOFError) as error:
                raise self._lost(error) from error
            self._keep_pace("down", began, len(piece or b""))
            if piece is not None:
                return piece

    def _finish(self) -> None:
        while not self._channel.status_event.wait(PROBE_AFTER_S):
            self._probe()
        for thread in self._threads:
            thread.join(5.0)
        if self._feed_error is not None:
            raise self._feed_error
        if self._reason is not None or self._channel.exit_status < 0:
            raise self._lost()
        self.code = self._channel.exit_status

    def close(self) -> None:
        """End the channel and its threads; never raises."""
        self._closed_by = time.monotonic() + CLOSE_S  # closing writes, and waits for a write that is blocked
        with contextlib.suppress(SSHException, OSError, EOFError):
            self._channel.close()
        self._over.set()
        for thread in (*self._threads, self._guard):
            if thread is not threading.current_thread():
                thread.join(5.0)


def _is_late(began: float, limit_s: float) -> bool:
    return time.monotonic() - began >= limit_s


def _thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread

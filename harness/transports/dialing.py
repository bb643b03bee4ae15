"""TCP connections whose every wait is bounded: name resolution too, and a login as a whole."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.transports.patience import Patience

if TYPE_CHECKING:
    import paramiko

LOOK_EVERY_S = 0.2  # whether a login is over its time


def dial(address: str, port: int, limit_s: float) -> socket.socket:
    """A TCP connection to the first of a name's addresses that answers, within `limit_s` in all. Errors: OSError."""
    ends_at = time.monotonic() + limit_s
    addresses = _resolve(address, port, limit_s)
    for number, (family, kind, protocol, _, target) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        try:
            left_s = max(0.05, ends_at - time.monotonic())
            sock.settimeout(left_s / (len(addresses) - number))  # a silent first address leaves time for the others
            sock.connect(target)
            sock.settimeout(None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # Nagle: 40 ms per small answer
            return sock
        except OSError:
            sock.close()
            if number == len(addresses) - 1:
                raise
    raise OSError(f"{address} has no address")


def _resolve(address: str, port: int, limit_s: float) -> list[Any]:
    """In a thread: a resolver has its own idea of how long to try."""
    answers: queue.Queue[list[Any] | OSError] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else socket.gaierror(str(error)))

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=limit_s)
    except queue.Empty:
        raise TimeoutError(f"cannot resolve {address}") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


@contextmanager
def bounded(limit_s: float, patience: Patience, cut: Callable[[], None]) -> Iterator[None]:
    """Cut a connection that is being made when `limit_s` is over, or its link given up. Errors: TimeoutError."""
    ends_at = time.monotonic() + limit_s
    over, late = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_EVERY_S):
            if time.monotonic() > ends_at or patience.given_up:
                late.set()
                with contextlib.suppress(OSError, EOFError, AttributeError):
                    cut()
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except Exception as error:
        if late.is_set():
            raise TimeoutError(f"the login timed out after {limit_s:.0f} s") from error
        raise
    finally:
        over.set()


def cut_socket(transport: paramiko.Transport) -> None:
    """Close the socket itself: closing a channel would want to write first."""
    sock = getattr(transport, "sock", None)
    if sock is not None:
        with contextlib.suppress(OSError, EOFError, AttributeError):
            sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError, EOFError):
            sock.close()
    transport.packetizer.close()  # ends a write that is blocked

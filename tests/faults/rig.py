"""A board behind a link that can be broken on purpose: a real server, and a proxy on loopback in front of it."""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

from harness.agent import Agent
from harness.boards.flat import compose
from harness.emulator.servers.serve import Served, serve_with
from harness.records import Board
from harness.transports import Transport, open_transport

SERVERS = ("openssh", "dropbear")


class Link:
    """A TCP proxy with faults. `down` is from the board to the host."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.delay_s = 0.0  # one way
        self.loss = 0.0  # share of pieces that need a retransmission
        self.frozen = threading.Event()  # sockets stay open, nothing passes
        self.bytes_per_s = 0  # each way, where it is not 0; little is buffered then
        self.swallowed: set[str] = set()  # "up", "down": that way everything is lost, and nobody is told
        self.up_bytes = self.down_bytes = 0
        self.on_traffic: Callable[[int, int], None] | None = None  # (up, down) after every piece
        self._random = random.Random(1)
        self.connections = 0
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.target_port))
                except OSError:
                    near.close()
                    continue
                for sock in (near, far):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**18)
                self._sockets += [near, far]
                self.connections += 1
                for one, other, up in ((near, far, True), (far, near, False)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._carry, args=(one, other, up), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        """Read at once, send after the delay: a slow link delays, but still carries much at a time."""
        waiting: Queue[tuple[float, bytes]] = Queue(maxsize=256)
        threading.Thread(target=self._deliver, args=(waiting, target, up), daemon=True).start()
        with suppress(OSError):
            while data := source.recv(1024 if self.bytes_per_s else 65536):
                waiting.put((time.monotonic() + self._delay(), data))
                while self.bytes_per_s and waiting.qsize() > 4:
                    time.sleep(0.01)
        waiting.put((0.0, b""))
        self._drop(source)

    def _deliver(self, waiting: Queue[tuple[float, bytes]], target: socket.socket, up: bool) -> None:
        at, data = waiting.get()
        while data:
            time.sleep(max(0.0, at - time.monotonic()))
            while self.frozen.is_set():
                time.sleep(0.02)
            if self.bytes_per_s:
                time.sleep(len(data) / self.bytes_per_s)
            with suppress(OSError):
                if ("up" if up else "down") not in self.swallowed:
                    target.sendall(data)
            self._count(len(data), up)
            at, data = waiting.get()
        self._drop(target)

    def _count(self, size: int, up: bool) -> None:
        self.up_bytes += size if up else 0
        self.down_bytes += 0 if up else size
        if self.on_traffic:
            self.on_traffic(self.up_bytes, self.down_bytes)

    def _delay(self) -> float:
        lost = self.loss and self._random.random() < self.loss
        return self.delay_s + (0.2 if lost else 0.0)  # 0.2 s: the smallest retransmission timeout of TCP

    @staticmethod
    def _drop(sock: socket.socket) -> None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Reset every connection, as a pulled cable with a reboot of the switch would."""
        self.on_traffic = None
        for sock in self._sockets:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._drop(sock)
        self._sockets = []

    def reset(self) -> None:
        """Every connection ends with a reset, not with an end."""
        self.on_traffic = None
        for sock in self._sockets:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RD)  # wakes who reads; nothing is sent for it
            sock.close()
        self._sockets = []

    def half_close(self, up: bool) -> None:
        """One way ends, the other stays open: what a firewall leaves that has forgotten half of a connection."""
        for near, far in zip(self._sockets[::2], self._sockets[1::2], strict=True):
            with suppress(OSError):
                (far if up else near).shutdown(socket.SHUT_WR)
        self.swallowed.add("up" if up else "down")

    def cut_after(self, *, up: int = 1 << 60, down: int = 1 << 60) -> None:
        """Cut once when so many more bytes have passed."""
        up, down = self.up_bytes + up, self.down_bytes + down
        self.on_traffic = lambda u, d: self.cut() if u >= up or d >= down else None

    def freeze_after(self, *, up: int = 1 << 60, down: int = 1 << 60) -> None:
        """Freeze when so many more bytes have passed."""
        up, down = self.up_bytes + up, self.down_bytes + down
        self.on_traffic = lambda u, d: self.frozen.set() if u >= up or d >= down else None

    def heal(self) -> None:
        """A frozen link comes back as a new one: what hung before stays lost."""
        self.on_traffic = None
        self.bytes_per_s = 0
        self.swallowed.clear()
        self.cut()
        self.frozen.clear()

    def close(self) -> None:
        self.cut()
        self.frozen.clear()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # a close alone lets a waiting accept() take one more
        self._listener.close()


@dataclass
class Rig:
    """A served board behind a Link. `restart` and `reboot` do to the server what happens to real ones."""

    folder: Path
    server: str
    environment: dict[str, str]
    link: Link = field(init=False)
    served: Served = field(init=False)
    _running: Iterator[Served] | None = None

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def boot_file(self) -> Path:
        return self.folder / "boot_id"

    def start(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        keys = self.folder / "keys"
        keys.mkdir(exist_ok=True)
        self._context = serve_with(keys, self.root, self.server, self.environment)
        self.served = self._context.__enter__()

    def stop(self) -> None:
        """The server and everything that was started through it is gone at once."""
        self._context.__exit__(None, None, None)

    def restart(self) -> None:
        """sshd is killed and comes back; detached runs of a real board would live on, these end too."""
        self.stop()
        self.start()
        self.link.target_port = self.served.port

    def reboot(self) -> None:
        """Everything is killed, the boot id changes, the server comes back with the same host key."""
        self.stop()
        self.link.cut()
        self.boot_file.write_text(f"boot-{time.time_ns()}\n")
        self.start()
        self.link.target_port = self.served.port

    def open(self, transport: str = "ssh", connect_timeout_s: float = 10.0) -> Transport:
        return open_transport(self.board_record(transport, connect_timeout_s).endpoint)

    def board_record(self, transport: str = "ssh", connect_timeout_s: float = 10.0) -> Board:
        known = self.folder / "known_hosts"
        line = Path(self.served.known_hosts).read_text().split(" ", 1)[1]
        known.write_text(f"[127.0.0.1]:{self.link.port} {line}")
        return compose(
            name="rig",
            platform="hbdnn",
            soc="x5",
            transport=transport,
            address="127.0.0.1",
            port=self.link.port,
            user=self.served.user,
            identity=self.served.identity,
            known_hosts=str(known),
            connect_timeout_s=connect_timeout_s,
        )


@contextmanager
def rig_of(folder: Path, server: str, environment: dict[str, str] | None = None) -> Iterator[Rig]:
    folder.mkdir(parents=True, exist_ok=True)
    boot = folder / "boot_id"
    boot.write_text("boot-1\n")
    rig = Rig(folder, server, {"HARNESS_BOOT_ID": str(boot), **(environment or {})})
    rig.start()
    rig.link = Link(rig.served.port)
    try:
        yield rig
    finally:
        rig.link.close()
        rig.stop()


def agent_on(transport: Transport, patience_s: float = 20.0) -> Agent:
    agent = Agent(transport, "work", patience_s=patience_s)
    agent.install()
    return agent


def until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Wait for something that must come about."""
    ends_at = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < ends_at, "it did not come about"
        time.sleep(0.02)


def alive(mark: str) -> bool:
    """Whether a process `sleep <mark>` lives."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"sleep\0{mark}".encode() in entry.read_bytes():
                return True
    return False


def new_mark() -> str:
    return f"9{os.getpid()}{time.time_ns() % 10**7}"

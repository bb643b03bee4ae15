"""How fast files cross, side by side with `ssh tar`, `scp` and SFTP on the same sshd, in one run.

Every figure is the median of interleaved rounds. Ours includes connecting, looking for the agent and md5 on both
sides. A ratio is our time over theirs. `clean_debug_wire_bytes` counts, on a proxy, everything that a debug run whose
layers are all as expected puts on the wire after connecting. `run_overhead_s` is a run's wall time over the tool's
own: connect, check what is there, start, wait, collect.

    python benchmarks/transfer.py [--json] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import paramiko

from harness.agent import Agent
from harness.boards.flat import compose
from harness.emulator.servers.serve import Served, serve
from harness.records import Board, Invocation
from harness.transports import Transport, open_transport

LAYERS, LAYER_BYTES = 400, 200_000
LARGE_BYTES = 256 * 2**20
TOOL_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="harness-transfer-") as name,
        serve(Path(name) / "board", "openssh") as served,
    ):
        figures = measure(Path(name), served, given.rounds)
    width = max(map(len, figures))
    for key, value in figures.items():
        print(f"{key:<{width}}  {value:.3f}" if isinstance(value, float) else f"{key:<{width}}  {value}")
    if given.json:
        print(json.dumps(figures))


def measure(folder: Path, served: Served, rounds: int) -> dict[str, float | int]:
    board = board_of(served)
    with open_transport(board.endpoint) as link:
        agent = Agent(link, "work", cache_bytes=8 * 2**30)
        agent.install()
        agent.hello()
        small = pull_small(agent, folder, served, rounds)
        large = move_large(agent, folder, served, rounds)
    return {
        **small,
        **large,
        "clean_debug_wire_bytes": clean_debug(board, served),
        "run_overhead_s": statistics.median(run_overhead(board) for _ in range(rounds)),
    }


def board_of(served: Served) -> Board:
    return compose(
        name="bench",
        platform="hbdnn",
        soc="x5",
        address=served.address,
        port=served.port,
        user=served.user,
        identity=served.identity,
        known_hosts=served.known_hosts,
    )


# --------------------------------------------------------------------------- rivals


def ssh_options(served: Served, port: str) -> list[str]:
    options = ["-i", served.identity, "-o", f"UserKnownHostsFile={served.known_hosts}", "-o", "BatchMode=yes"]
    return ["-F", "/dev/null", *options, "-o", "IdentitiesOnly=yes", port, str(served.port)]


def ssh_tar(served: Served, source: str, target: Path) -> None:
    ssh = [
        "ssh",
        *ssh_options(served, "-p"),
        f"{served.user}@{served.address}",
        f"tar -C {shlex.quote(source)} -cf - .",
    ]
    with subprocess.Popen(ssh, stdout=subprocess.PIPE) as sender:
        subprocess.run(["tar", "-C", str(target), "-xf", "-"], stdin=sender.stdout, check=True)


def scp(served: Served, source: str, target: str) -> None:
    remote = f"{served.user}@{served.address}:"
    names = [name.replace("BOARD:", remote) for name in (source, target)]
    subprocess.run(["scp", "-q", *ssh_options(served, "-P"), *names], check=True)


@contextmanager
def sftp(served: Served) -> Iterator[paramiko.SFTPClient]:
    client = paramiko.SSHClient()
    client.load_host_keys(served.known_hosts)
    client.connect(served.address, served.port, served.user, key_filename=served.identity)
    try:
        with client.open_sftp() as session:
            yield session
    finally:
        client.close()


# --------------------------------------------------------------------------- the figures


def side_by_side(
    rounds: int, actions: dict[str, Callable[[], None]], before: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Seconds of each action, median of rounds in which all take turns; `before` each of them is not timed."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            before()
            began = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def pull_small(agent: Agent, folder: Path, served: Served, rounds: int) -> dict[str, float | int]:
    source = agent.files.new_folder("layers")
    for index in range(LAYERS):
        (Path(source) / f"layer-{index}-conv-output-0.bin").write_bytes(os.urandom(LAYER_BYTES))
    names = list(agent.files.hash(source))

    def ours() -> None:
        """As a run does it: connect, look whether the agent is there, hash on the board, pull, verify."""
        with open_transport(board_of(served).endpoint) as link:
            own = Agent(link, agent.work)
            own.install()
            own.files.fetch(source, names, fresh(folder / "ours"))

    def by_sftp() -> None:
        target = fresh(folder / "sftp")
        with sftp(served) as session:
            for name in names:
                session.get(f"{source}/{name}", str(target / name))

    times = side_by_side(
        rounds, {"ours": ours, "tar": lambda: ssh_tar(served, source, fresh(folder / "tar")), "sftp": by_sftp}
    )
    agent.files.remove(source)
    return {
        "pull_400_files_s": times["ours"],
        "ssh_tar_s": times["tar"],
        "sftp_400_files_s": times["sftp"],
        "pull_vs_tar": times["ours"] / times["tar"],
        "pull_vs_sftp": times["ours"] / times["sftp"],
    }


def move_large(agent: Agent, folder: Path, served: Served, rounds: int) -> dict[str, float | int]:
    model = folder / "model.bin"
    model.write_bytes(os.urandom(LARGE_BYTES))
    remote = agent.files.new_folder("large")
    pushed = push_large(agent, served, model, remote, rounds)
    shutil.copy(model, f"{remote}/model.bin")
    pulled = pull_large(agent, folder, served, remote, rounds)
    agent.files.remove(remote)
    return pushed | pulled


def push_large(agent: Agent, served: Served, model: Path, remote: str, rounds: int) -> dict[str, float | int]:
    def nothing_there() -> None:
        shutil.rmtree(f"{agent.work}/cache", ignore_errors=True)
        for name in ("scp.bin", "sftp.bin"):
            Path(remote, name).unlink(missing_ok=True)

    def push() -> None:
        with open_transport(board_of(served).endpoint) as link:
            own = Agent(link, agent.work, cache_bytes=8 * 2**30)
            own.install()
            own.cache.put_file(model)

    def sftp_put() -> None:
        with sftp(served) as session:
            session.put(str(model), f"{remote}/sftp.bin")

    def scp_push() -> None:
        scp(served, str(model), f"BOARD:{remote}/scp.bin")

    pushes = side_by_side(rounds, {"ours": push, "scp": scp_push, "sftp": sftp_put}, nothing_there)
    nothing_there()
    agent.cache.put_file(model)
    return {
        "push_256MB_s": pushes["ours"],
        "scp_push_s": pushes["scp"],
        "sftp_put_s": pushes["sftp"],
        "push_vs_scp": pushes["ours"] / pushes["scp"],
        "push_vs_sftp": pushes["ours"] / pushes["sftp"],
        "second_push_bytes": agent.cache.put_file(model).sent_bytes,
    }


def pull_large(agent: Agent, folder: Path, served: Served, remote: str, rounds: int) -> dict[str, float | int]:
    began = time.perf_counter()
    known = agent.files.hash(remote)  # a step of its own: it decides what is pulled at all
    hash_s = time.perf_counter() - began

    def pull() -> None:
        with open_transport(board_of(served).endpoint) as link:
            own = Agent(link, agent.work)
            own.install()
            own.files.fetch(remote, ["model.bin"], fresh(folder / "ours"), known=known)

    def sftp_get() -> None:
        with sftp(served) as session:
            session.get(f"{remote}/model.bin", str(folder / "sftp.bin"))

    def scp_pull() -> None:
        scp(served, f"BOARD:{remote}/model.bin", str(folder / "scp.bin"))

    pulls = side_by_side(rounds, {"ours": pull, "scp": scp_pull, "sftp": sftp_get})
    return {
        "pull_256MB_s": pulls["ours"],
        "scp_pull_s": pulls["scp"],
        "sftp_get_s": pulls["sftp"],
        "hash_256MB_s": hash_s,
        "pull_vs_scp": pulls["ours"] / pulls["scp"],
        "large_pull_vs_sftp": pulls["ours"] / pulls["sftp"],
    }


def clean_debug(board: Board, served: Served) -> int:
    """Wire bytes of a debug run of 400 layers whose hashes tell that nothing differs."""
    with counting_proxy(served.port) as proxy:
        known = Path(served.known_hosts).with_name("known_hosts_proxy")
        known.write_text(Path(served.known_hosts).read_text().replace(f":{served.port} ", f":{proxy.port} "))
        with open_transport(replace(board.endpoint, port=proxy.port, known_hosts=str(known))) as link:
            proxy.count = 0
            agent = Agent(link, "work")
            agent.install()
            agent.hello(["sh"])
            place = agent.files.new_folder("clean")
            name = "layer-$i-HzQuantizedConv-output.bin"
            script = f"for i in $(seq {LAYERS}); do head -c {LAYER_BYTES} /dev/urandom >{name}; done"
            agent.jobs.wait(agent.jobs.start(Invocation(("sh", "-c", script)), f"{place}/debug", 60))
            assert len(agent.files.hash(f"{place}/debug")) == LAYERS + 1
            agent.files.fetch(f"{place}/debug", ["log.txt"], Path(served.known_hosts).parent / "log")
            agent.files.remove(place)
            return proxy.count


def run_overhead(board: Board) -> float:
    began = time.perf_counter()
    with open_transport(board.endpoint) as link:
        seconds = whole_run(link)
    return time.perf_counter() - began - seconds


def whole_run(link: Transport) -> float:
    """A run as the session makes one; the tool's own seconds."""
    agent = Agent(link, "work")
    agent.install()
    agent.hello(["sh"])
    with tempfile.TemporaryDirectory() as name:
        model = Path(name) / "model.bin"
        model.write_bytes(bytes(1000))
        put = agent.cache.put_file(model)
        place = agent.files.new_folder("overhead")
        script = f"sleep {TOOL_S}; head -c 100000 {shlex.quote(put.path)} >out.bin"
        state = agent.jobs.wait(agent.jobs.start(Invocation(("sh", "-c", script)), f"{place}/release", 60))
        agent.files.fetch(f"{place}/release", list(agent.files.hash(f"{place}/release")), Path(name) / "got")
        agent.files.remove(place)
    return state.duration_s


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


# --------------------------------------------------------------------------- counting


class Proxy:
    """A TCP proxy on loopback that counts what passes in both directions."""

    def __init__(self, target_port: int) -> None:
        self.count = 0
        self._target = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.count += len(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


@contextmanager
def counting_proxy(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()


if __name__ == "__main__":
    main()

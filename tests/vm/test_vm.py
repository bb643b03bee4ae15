"""The link and the agent on a whole machine: busybox and dropbear on aarch64, with power cuts."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.agent import Agent, FileFacts
from harness.boards.flat import compose
from harness.emulator.servers.serve import free_port
from harness.errors import BoardError, LinkError
from harness.records import Invocation
from harness.transports import open_transport
from tests.support.alone import alone
from tests.vm.machine import Machine, NotPossible, missing

pytestmark = pytest.mark.vm
MEGABYTE = 2**20
WORK = "/data/work"


class MachineLab:
    """The machine, switched on, and how to reach it."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine, self.folder = machine, folder
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "id")], check=True)
        self.public = (folder / "id.pub").read_text()
        self.port = free_port()
        self.on()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {machine.host_key}\n")

    def on(self) -> None:
        self.machine.start(self.public, self.port)

    def agent(self) -> Agent:
        board = compose(
            name="vm",
            platform="hbdnn",
            soc="x5",
            address="127.0.0.1",
            port=self.port,
            user="root",
            identity=str(self.folder / "id"),
            known_hosts=str(self.folder / "known_hosts"),
            connect_timeout_s=30.0,
        )
        agent = Agent(open_transport(board.endpoint), WORK, patience_s=120.0)
        agent.install()
        return agent

    def cut_and_boot(self, after: threading.Event | float) -> threading.Thread:
        """Cut the power in the background, then boot again."""

        def work() -> None:
            if isinstance(after, threading.Event):
                after.wait(60)
            else:
                time.sleep(after)
            self.machine.cut()
            self.on()

        thread = threading.Thread(target=work)
        thread.start()
        return thread


@pytest.fixture(scope="module")
def bench(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineLab]:
    """The machine of this module; no other worker has one at the same time."""
    if missing():
        pytest.skip(f"needs {' '.join(missing())}")
    base = Path(os.environ.get("HARNESS_VM") or shared_folder / "vm")
    with alone(base.parent / "machine.lock"):
        yield from _switched_on(Machine(base), tmp_path_factory)


def _switched_on(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineLab]:
    try:
        machine.build()
        made = MachineLab(machine, tmp_path_factory.mktemp("keys"))
    except NotPossible as error:
        pytest.skip(str(error))
    try:
        yield made
    finally:
        machine.cut()


@pytest.fixture
def agent(bench: MachineLab) -> Iterator[Agent]:
    made = bench.agent()
    yield made
    made.link.lease_token = ""
    made.clean(keep_cache=True)
    made.link.transport.close()


def sh(script: str) -> Invocation:
    return Invocation(("sh", "-c", script))


def random_file(path: Path, size: int) -> Path:
    path.write_bytes(os.urandom(size))
    return path


def on_board(agent: Agent, script: str) -> str:
    result = agent.link.transport.run(["sh", "-c", script], timeout_s=60)
    return result.out.decode().strip()


def test_the_board_is_a_small_aarch64_linux(agent: Agent) -> None:
    facts = agent.hello(["busybox", "python3"])
    assert facts.arch == "aarch64" and facts.work == WORK and facts.cpu_count == 2
    assert facts.tools["busybox"].endswith("busybox") and facts.tools["python3"] == ""
    assert facts.free_bytes is not None and 10 * MEGABYTE < facts.free_bytes < 100 * MEGABYTE
    assert "load1" in agent.jobs.sense().values


def test_push_run_hash_and_pull(agent: Agent, tmp_path: Path) -> None:
    put = agent.cache.put_file(random_file(tmp_path / "model.bin", 3 * MEGABYTE))
    assert put.sent_bytes == 3 * MEGABYTE and agent.cache.put_file(tmp_path / "model.bin").sent_bytes == 0
    place = agent.files.new_folder("first run")
    script = f"cp {put.path} 'a b\nc'; for i in $(seq 100); do echo $i >layer-$i.bin; done; echo done; exit 3"
    state = agent.jobs.wait(agent.jobs.start(sh(script), f"{place}/debug", 60, sense_every_s=1))
    assert (state.state, state.exit_code) == ("done", 3)
    facts = agent.files.hash(f"{place}/debug")
    assert len(facts) == 102 and facts["a b\nc"] == FileFacts(3 * MEGABYTE, put.md5)
    stored = agent.files.fetch(f"{place}/debug", list(facts), tmp_path / "got")
    assert hashlib.md5((tmp_path / "got" / stored["a b\nc"]).read_bytes()).hexdigest() == put.md5
    assert (tmp_path / "got" / "layer-77.bin").read_text() == "77\n"


def test_a_tool_that_forks_and_hangs_is_ended_by_the_board(agent: Agent) -> None:
    script = "sleep 7777 & setsid sleep 7777 & trap '' TERM; while :; do sleep 7777; done"
    state = agent.jobs.wait(agent.jobs.start(sh(script), agent.files.new_folder("hang"), 2))
    assert state.timed_out
    assert on_board(agent, "ps | grep -c '[s]leep 7777'") == "0"


def test_one_user_at_a_time(bench: MachineLab, agent: Agent) -> None:
    other = bench.agent()
    agent.lease.take("anna", 30)
    with pytest.raises(BoardError, match="held by anna"):
        other.files.new_folder("x")
    agent.lease.release()
    other.lease.take("ben", 30)
    other.lease.release()


def test_a_model_larger_than_the_disk_is_refused(agent: Agent, tmp_path: Path) -> None:
    model = tmp_path / "large.bin"
    with model.open("wb") as file:
        file.truncate(200 * MEGABYTE)
    with pytest.raises(BoardError, match="no space"):
        agent.cache.put_file(model)


def test_a_tool_that_fills_the_disk_is_told_and_cleaned_up(agent: Agent) -> None:
    place = agent.files.new_folder("full")
    state = agent.jobs.wait(agent.jobs.start(sh("cat /dev/zero >zeros; exit 9"), place, 120))
    assert (state.state, state.exit_code) == ("done", 9)
    agent.files.remove(place)
    free = agent.hello().free_bytes
    assert free is not None and free > 50 * MEGABYTE


def test_a_reboot_in_the_middle_of_a_run_is_noticed(bench: MachineLab, agent: Agent) -> None:
    place = agent.files.new_folder("reboot")
    token = agent.jobs.start(sh("sleep 600"), place, 900)
    before = agent.hello().boot
    bench.machine.say("reboot")
    with pytest.raises(BoardError, match="the board rebooted"):
        agent.jobs.wait(token)
    assert agent.hello().boot != before


def test_a_power_cut_in_the_middle_of_a_run_is_noticed(bench: MachineLab, agent: Agent) -> None:
    token = agent.jobs.start(sh("sleep 600"), agent.files.new_folder("cut"), 900)
    on_board(agent, "sync")
    booting = bench.cut_and_boot(0.5)
    with pytest.raises(BoardError, match=r"rebooted|no run"):
        agent.jobs.wait(token)
    booting.join()


def test_a_power_cut_in_the_middle_of_a_push_is_made_good(bench: MachineLab, agent: Agent, tmp_path: Path) -> None:
    model = random_file(tmp_path / "model.bin", 24 * MEGABYTE)
    half = threading.Event()
    booting = bench.cut_and_boot(half)
    put = agent.cache.put_file(model, lambda now, total: half.set() if now > total // 2 else None)
    booting.join()
    digest = hashlib.md5(model.read_bytes()).hexdigest()
    assert on_board(agent, f"md5sum {put.path}").split()[0] == digest


def test_a_model_that_a_power_cut_emptied_is_sent_again(bench: MachineLab, agent: Agent, tmp_path: Path) -> None:
    """Without a sync the file may be there by name and hold zeros: its md5 is looked at after every boot."""
    model = random_file(tmp_path / "model.bin", 2 * MEGABYTE)
    agent.cache.put_file(model)
    booting = bench.cut_and_boot(0.0)
    booting.join()
    put = agent.cache.put_file(model)
    assert on_board(agent, f"md5sum {put.path}").split()[0] == put.md5


def test_a_power_cut_in_the_middle_of_a_pull_goes_on_after_the_boot(
    bench: MachineLab, agent: Agent, tmp_path: Path
) -> None:
    place = agent.files.new_folder("pull")
    on_board(agent, f"cd {place}; for i in $(seq 40); do head -c 500000 /dev/urandom >$i.bin; done; sync")
    names = list(agent.files.hash(place))
    some = threading.Event()
    booting = bench.cut_and_boot(some)
    stored = agent.files.fetch(
        place, names, tmp_path / "got", progress=lambda now, _: some.set() if now > 4e6 else None
    )
    booting.join()
    facts = agent.files.hash(place)
    assert len(stored) == 40
    assert all(hashlib.md5((tmp_path / "got" / n).read_bytes()).hexdigest() == facts[n].md5 for n in names)


def test_a_board_that_is_switched_off_is_a_link_error(bench: MachineLab) -> None:
    bench.machine.cut()
    try:
        with pytest.raises(LinkError):
            bench.agent()
    finally:
        bench.on()

"""The link breaks at every moment, on a real sshd and a real dropbear: nothing is lost, doubled or left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import paramiko
import pytest
from paramiko.packet import Packetizer

from harness.agent import Agent
from harness.boards.flat import compose
from harness.errors import COULD_NOT_MEASURE, BoardError, LinkError
from harness.records import Board, Invocation
from harness.transports import Transport, open_transport
from harness.transports.base import STREAM_LIMIT_BYTES
from harness.transports.ssh import CONNECTION_LIMIT_BYTES
from tests.faults.rig import SERVERS, Rig, agent_on, alive, new_mark, rig_of, until
from tests.support.servers import needs

pytestmark = pytest.mark.slow  # with the others: the fast suite stays under five minutes

MEGABYTE = 2**20


@pytest.fixture(params=SERVERS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    needs("sshd", "dropbear", "ssh-keygen")
    with rig_of(tmp_path, request.param) as made:
        yield made


@pytest.fixture
def agent(rig: Rig) -> Iterator[Agent]:
    with rig.open() as transport:
        yield agent_on(transport)


def sh(script: str) -> Invocation:
    return Invocation(("sh", "-c", script))


def random_file(path: Path, size: int) -> Path:
    path.write_bytes(os.urandom(size))
    return path


def parts(rig: Rig) -> list[Path]:
    return [p for p in rig.root.rglob("*") if p.name.endswith((".part", ".lock"))]


# --------------------------------------------------------------------------- a command that has not begun


def test_a_channel_that_dropbear_closes_with_the_one_before_it_is_opened_again(tmp_path: Path) -> None:
    """dropbear, while a command ends, closes a channel that was opened meanwhile, and now and then still runs what is
    sent there: only a command that was not sent yet is given again."""
    needs("dropbear", "ssh-keygen")
    lost = {}
    with rig_of(tmp_path, "dropbear") as rig, rig.open() as link:
        for number in range(100):
            with suppress(LinkError), link.stream(["cat"], timeout_s=30, stdin=[b"one"]) as one:
                lost[number] = begin_another(link, number)
                b"".join(one)
        ran = Counter((rig.root / "begun").read_text().split())
    assert not [words for words in lost.values() if "Unable to open channel" in words]
    assert all(ran[str(number)] == 1 for number, words in lost.items() if not words) and max(ran.values()) == 1


def begin_another(link: Transport, number: int) -> str:
    """A command beside another one that ends; the words of its error, "" where it ran."""
    try:
        result = link.run(["sh", "-c", 'echo "$1" >>begun; echo two', "sh", str(number)], timeout_s=30)
    except LinkError as error:
        return error.message
    assert (result.code, result.out) == (0, b"two\n")
    return ""


def test_a_command_whose_connection_ends_before_its_channel_stands_is_given_again(rig: Rig) -> None:
    with rig.open() as link:
        assert link.run(["true"], timeout_s=20).code == 0

        def cut(_up: int, _down: int) -> None:
            rig.link.swallowed.clear()
            rig.link.cut()

        rig.link.swallowed.add("up")  # not even the question for a channel arrives
        rig.link.on_traffic = cut
        assert link.run(["sh", "-c", "echo x >>begun"], timeout_s=20).code == 0
    assert rig.link.connections == 2 and (rig.root / "begun").read_text() == "x\n"


def test_a_command_that_may_have_begun_is_not_given_again(rig: Rig) -> None:
    begun = rig.root / "begun"
    with rig.open() as link:
        cutting = threading.Thread(target=lambda: (until(begun.exists), rig.link.cut()))
        cutting.start()
        with pytest.raises(LinkError, match="the link broke"):
            link.run(["sh", "-c", "echo x >>begun; exec sleep 20"], timeout_s=30)
        cutting.join()
        assert link.run(["cat", "begun"], timeout_s=20).out == b"x\n"
    assert rig.link.connections == 2


# --------------------------------------------------------------------------- connecting


def silent_board(port: int) -> Board:
    return compose("mute", "hbdnn", "x5", address="127.0.0.1", port=port, user="me", connect_timeout_s=1.0)


def test_a_port_that_says_nothing_is_no_ssh_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(LinkError, match=rf"me@127\.0\.0\.1:{port}: no SSH banner") as error:
            open_transport(silent_board(port).endpoint)
    assert error.value.exit_code == COULD_NOT_MEASURE and "port" in error.value.hint


def test_a_link_cut_between_a_command_and_the_end_of_its_input_is_a_link_error(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by a reset at byte 323090 of a run: EOFError, called a bug in harness."""
    send = paramiko.Channel.exec_command

    def send_and_lose(channel: paramiko.Channel, command: str | bytes) -> None:
        send(channel, command)
        channel.transport.packetizer.close()

    with rig.open() as transport:
        monkeypatch.setattr(paramiko.Channel, "exec_command", send_and_lose)
        with pytest.raises(LinkError, match="link"):
            transport.run(["true"], timeout_s=20.0)


def test_a_port_that_says_something_else_is_no_ssh_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def talk() -> None:
            connection, _ = other.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200)
            connection.close()

        threading.Thread(target=talk, daemon=True).start()
        with pytest.raises(LinkError, match="no SSH banner"):
            open_transport(silent_board(other.getsockname()[1]).endpoint)


@pytest.mark.parametrize("after_bytes", [10, 300, 900])
def test_a_login_that_stalls_is_given_up(rig: Rig, after_bytes: int) -> None:
    rig.link.freeze_after(down=after_bytes)
    with pytest.raises(LinkError) as error:
        rig.open(connect_timeout_s=1.0)
    assert error.value.exit_code == COULD_NOT_MEASURE and "127.0.0.1" in error.value.message


def test_a_connection_that_is_closed_in_the_handshake_is_said(rig: Rig) -> None:
    rig.link.cut_after(down=200)
    with pytest.raises(LinkError, match=r"127\.0\.0\.1"):
        rig.open()


def test_a_login_shell_that_talks_is_said(tmp_path: Path) -> None:
    with rig_of(tmp_path, "openssh") as rig:
        entry = tmp_path / "keys" / "enter.sh"
        entry.write_text("echo Welcome to my board\n" + entry.read_text())
        with rig.open() as transport, pytest.raises(BoardError, match="prints text before every command: 'Welcome"):
            agent_on(transport)


# --------------------------------------------------------------------------- cut


def test_a_link_cut_while_pushing_goes_on_where_it_was(rig: Rig, agent: Agent, tmp_path: Path) -> None:
    model = random_file(tmp_path / "model.bin", 12 * MEGABYTE)
    rig.link.cut_after(up=6 * MEGABYTE)
    put = agent.cache.put_file(model)
    assert Path(put.path).read_bytes() == model.read_bytes()
    assert put.sent_bytes < 24 * MEGABYTE - 1 and parts(rig) == []
    assert agent.cache.put_file(model).sent_bytes == 0


def test_a_link_that_is_cut_again_and_again_still_brings_the_file_over(rig: Rig, agent: Agent, tmp_path: Path) -> None:
    model = random_file(tmp_path / "model.bin", 8 * MEGABYTE)
    over = threading.Event()

    def saw() -> None:
        for _ in range(4):
            if over.wait(0.7):
                return
            rig.link.cut()

    rig.link.delay_s = 0.01
    sawing = threading.Thread(target=saw)
    sawing.start()
    put = agent.cache.put_file(model)
    over.set()
    sawing.join()
    assert Path(put.path).read_bytes() == model.read_bytes()


def test_a_link_cut_while_starting_starts_the_run_once(rig: Rig, agent: Agent) -> None:
    for after in (1, 700, 1500):
        place = agent.files.new_folder(f"start {after}")
        rig.link.cut_after(up=after)
        token = agent.jobs.start(sh("echo run >>count; sleep 0.3"), place, 30)
        assert agent.jobs.wait(token).exit_code == 0
        assert (Path(place) / "count").read_text() == "run\n"


def test_a_link_cut_while_running_neither_kills_nor_doubles_the_run(rig: Rig, agent: Agent) -> None:
    place = agent.files.new_folder("run")
    token = agent.jobs.start(sh("echo began >>count; sleep 2; echo ended >>count; exit 4"), place, 30)
    threading.Timer(0.5, rig.link.cut).start()
    threading.Timer(1.2, rig.link.cut).start()
    state = agent.jobs.wait(token)
    assert (state.state, state.exit_code) == ("done", 4)
    assert (Path(place) / "count").read_text() == "began\nended\n"


def test_a_link_cut_while_pulling_goes_on_with_what_is_missing(rig: Rig, agent: Agent, tmp_path: Path) -> None:
    place = agent.files.new_folder("pull")
    for index in range(40):
        random_file(Path(place) / f"{index}.bin", 200_000)
    names = list(agent.files.hash(place))
    rig.link.cut_after(down=3 * MEGABYTE)
    before = rig.link.down_bytes
    stored = agent.files.fetch(place, names, tmp_path / "got")
    assert len(stored) == 40
    assert all((tmp_path / "got" / n).read_bytes() == (Path(place) / n).read_bytes() for n in names)
    assert rig.link.down_bytes - before < 12 * MEGABYTE
    assert not [p for p in (tmp_path / "got").iterdir() if p.name.endswith(".part")]


def test_a_link_that_stays_away_is_an_error_and_the_run_is_picked_up_later(rig: Rig, agent: Agent) -> None:
    place = agent.files.new_folder("later")
    token = agent.jobs.start(sh("sleep 1; echo result >out"), place, 30)
    target, rig.link.target_port = rig.link.target_port, 1
    rig.link.cut()
    agent.link.patience.limit_s = 1.5
    with pytest.raises(LinkError):
        agent.jobs.wait(token)
    rig.link.target_port = target
    with rig.open() as transport:
        later = agent_on(transport)
        assert later.jobs.wait(token).exit_code == 0
        assert (Path(place) / "out").read_text() == "result\n"
        later.files.remove(place)
    assert not Path(place).exists()


def test_a_run_whose_host_never_comes_back_ends_by_itself(rig: Rig, agent: Agent) -> None:
    mark = new_mark()
    agent.jobs.start(sh(f"sleep {mark}"), agent.files.new_folder("orphan"), 2)
    until(lambda: alive(mark))
    rig.link.target_port = 1
    rig.link.cut()
    until(lambda: not alive(mark))


def test_an_ssh_server_that_is_killed_and_comes_back_is_reached_again(rig: Rig, agent: Agent, tmp_path: Path) -> None:
    model = random_file(tmp_path / "m.bin", MEGABYTE)
    agent.cache.put_file(model)
    rig.restart()
    assert agent.cache.put_file(model).sent_bytes == 0
    assert agent.hello().arch


def test_a_reboot_in_the_middle_of_a_run_is_noticed_and_said(rig: Rig, agent: Agent) -> None:
    place = agent.files.new_folder("reboot")
    token = agent.jobs.start(sh("sleep 60"), place, 120)
    threading.Timer(0.7, rig.reboot).start()
    with pytest.raises(BoardError, match="the board rebooted") as error:
        agent.jobs.wait(token)
    assert error.value.exit_code == COULD_NOT_MEASURE
    until(lambda: rig.link.target_port == rig.served.port)
    assert agent.clean().runs == 1 and not Path(place).exists()


def test_a_board_that_comes_back_with_an_empty_disk_is_said(rig: Rig, agent: Agent) -> None:
    token = agent.jobs.start(sh("sleep 60"), agent.files.new_folder("gone"), 120)
    rig.reboot()
    for path in sorted((rig.root / "work").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(BoardError, match="no run"):
        agent.jobs.wait(token)


def test_a_command_that_ends_with_255_is_an_answer_and_a_lost_master_is_not(rig: Rig) -> None:
    """255 is also what ssh itself ends with; a session whose master is gone says nothing at all."""
    with rig.open("openssh") as transport:
        assert transport.run(["sh", "-c", "exit 255"], timeout_s=20).code == 255
        rig.link.cut_after(down=1000)
        with pytest.raises(LinkError, match="the link broke"):
            transport.run(["sh", "-c", "head -c 100000 /dev/zero; sleep 5"], timeout_s=20)
        assert transport.run(["echo", "again"], timeout_s=20).out == b"again\n"


# --------------------------------------------------------------------------- frozen


def test_a_link_that_freezes_while_running_is_noticed_and_replaced(rig: Rig, agent: Agent) -> None:
    place = agent.files.new_folder("freeze")
    token = agent.jobs.start(sh("sleep 3; exit 6"), place, 60)
    agent.link.patience.limit_s = 60
    rig.link.frozen.set()
    threading.Timer(12, rig.link.heal).start()
    assert agent.jobs.wait(token).exit_code == 6


def test_a_link_that_freezes_while_pulling_is_noticed(rig: Rig, agent: Agent, tmp_path: Path) -> None:
    place = agent.files.new_folder("freeze")
    for index in range(20):
        random_file(Path(place) / f"{index}.bin", 200_000)
    names = list(agent.files.hash(place))
    agent.link.patience.limit_s = 60
    rig.link.freeze_after(down=MEGABYTE)
    threading.Timer(12, rig.link.heal).start()
    assert len(agent.files.fetch(place, names, tmp_path / "got")) == 20


def test_a_link_that_freezes_while_pushing_is_noticed_and_the_push_goes_on(
    rig: Rig, agent: Agent, tmp_path: Path
) -> None:
    model = random_file(tmp_path / "model.bin", 24 * MEGABYTE)
    agent.link.patience.limit_s = 90
    rig.link.freeze_after(up=4 * MEGABYTE)
    threading.Timer(18, rig.link.heal).start()
    put = agent.cache.put_file(model)
    assert Path(put.path).read_bytes() == model.read_bytes() and parts(rig) == []


# --------------------------------------------------------------------------- slow


@pytest.mark.parametrize(("round_trip_s", "loss"), [(0.002, 0.01), (0.020, 0.01)])
def test_a_slow_link_that_loses_packets_brings_everything(
    rig: Rig, agent: Agent, tmp_path: Path, round_trip_s: float, loss: float
) -> None:
    rig.link.delay_s, rig.link.loss = round_trip_s / 2, loss
    model = random_file(tmp_path / "m.bin", 3 * MEGABYTE)
    put = agent.cache.put_file(model)
    place = agent.files.new_folder("slow")
    for index in range(50):
        random_file(Path(place) / f"{index}.bin", 20_000)
    stored = agent.files.fetch(place, list(agent.files.hash(place)), tmp_path / "got")
    assert Path(put.path).read_bytes() == model.read_bytes() and len(stored) == 50


def test_streams_in_a_row_get_a_fresh_connection_before_the_bytes_at_which_a_renegotiation_stalls(rig: Rig) -> None:
    with rig.open() as transport:
        for _ in range(2):
            with transport.stream(["head", "-c", str(256 * MEGABYTE), "/dev/zero"], timeout_s=120) as stream:
                assert sum(map(len, stream)) == 256 * MEGABYTE
            assert transport.alive()  # a short question needs no new connection
    assert rig.link.connections == 2
    assert STREAM_LIMIT_BYTES < CONNECTION_LIMIT_BYTES < Packetizer.REKEY_BYTES


def test_a_file_of_exactly_512_MiB_comes_home(rig: Rig, agent: Agent, tmp_path: Path) -> None:
    """Where a re-keying in the middle of one stream kills the connection."""
    place = agent.files.new_folder("large")
    with (Path(place) / "large.bin").open("wb") as file:
        for index in range(512):
            file.write(bytes([index % 256]) * MEGABYTE)
    agent.files.fetch(place, ["large.bin"], tmp_path / "got")
    result = subprocess.run(["cmp", tmp_path / "got" / "large.bin", Path(place) / "large.bin"], check=False)
    assert result.returncode == 0
    assert agent.hello().arch
    put = agent.cache.put_file(tmp_path / "got" / "large.bin")
    assert put.sent_bytes == 512 * MEGABYTE


def test_20000_small_dumps_come_home(rig: Rig, agent: Agent, tmp_path: Path) -> None:
    place = agent.files.new_folder("many")
    for index in range(20_000):
        (Path(place) / f"layer-{index}-output-0.bin").write_bytes(b"%d" % index)
    facts = agent.files.hash(place)
    assert len(facts) == 20_000
    assert len(agent.files.fetch(place, list(facts), tmp_path / "got")) == 20_000


# --------------------------------------------------------------------------- the host breaks


HOST = """
import sys, time
from pathlib import Path
from harness.agent import Agent
from harness.boards.flat import compose
from harness.transports import open_transport
from harness.transports.base import STREAM_LIMIT_BYTES
from harness.transports.ssh import CONNECTION_LIMIT_BYTES
board = compose(**eval(sys.argv[1]))
agent = Agent(open_transport(board.endpoint), "work")
agent.install()
{body}
"""


def other_host(rig: Rig, body: str, *arguments: str) -> subprocess.Popen[bytes]:
    endpoint = rig.board_record().endpoint
    fields = {k: getattr(endpoint, k) for k in ("name", "address", "port", "user", "identity", "known_hosts")}
    script = HOST.format(body=body)
    return subprocess.Popen([sys.executable, "-c", script, repr(fields), *arguments], stdout=subprocess.PIPE)


def test_a_host_killed_while_it_holds_a_lease_frees_the_board_by_itself(rig: Rig, agent: Agent) -> None:
    body = (
        "from harness.records import Invocation\n"
        "agent.lease.take('doomed', 3)\n"
        "agent.jobs.start(Invocation(('sleep', '55')), agent.files.new_folder('d'), 60)\n"
        "print('held', flush=True)\n"
        "time.sleep(60)"
    )
    host = other_host(rig, body)
    assert host.stdout is not None and host.stdout.readline() == b"held\n"
    host.kill()
    host.wait()
    with pytest.raises(BoardError, match="held by doomed"):
        agent.lease.take("next", 60)
    until(lambda: not agent.lease.show().held)
    agent.lease.take("next", 60)
    agent.files.remove(f"{agent.work}/runs/d")


def test_a_host_killed_while_pushing_leaves_a_push_that_another_goes_on_with(
    rig: Rig, agent: Agent, tmp_path: Path
) -> None:
    model = random_file(tmp_path / "model.bin", 30 * MEGABYTE)
    rig.link.delay_s = 0.03
    host = other_host(rig, "agent.cache.put_file(Path(sys.argv[2]))", str(model))
    until(lambda: any(p.name.endswith(".part") and p.is_file() and p.stat().st_size > 4 * MEGABYTE for p in parts(rig)))
    host.kill()
    host.wait()
    rig.link.delay_s = 0
    put = agent.cache.put_file(model)
    assert 0 < put.sent_bytes < 30 * MEGABYTE  # what an attempt sends until it hears "busy" counts too
    assert Path(put.path).read_bytes() == model.read_bytes() and parts(rig) == []


def test_two_hosts_that_push_the_same_file_share_one_copy(rig: Rig, agent: Agent, tmp_path: Path) -> None:
    model = random_file(tmp_path / "model.bin", 20 * MEGABYTE)
    body = "print(agent.cache.put_file(Path(sys.argv[2])).sent_bytes)"
    hosts = [other_host(rig, body, str(model)) for _ in range(2)]
    sent = [int(host.communicate()[0]) for host in hosts]
    assert sum(sent) < 40 * MEGABYTE and min(sent) < 20 * MEGABYTE, sent
    assert agent.cache.put_file(model).sent_bytes == 0 and parts(rig) == []


def test_a_host_killed_while_a_run_goes_on_finds_it_again_by_its_token(rig: Rig, agent: Agent) -> None:
    body = (
        "from harness.records import Invocation\n"
        "job = Invocation(('sh', '-c', 'sleep 2; echo fine >out'))\n"
        "print(agent.jobs.start(job, agent.files.new_folder('r'), 60), flush=True)\n"
        "time.sleep(60)"
    )
    host = other_host(rig, body)
    assert host.stdout is not None
    token = host.stdout.readline().decode().strip()
    host.kill()
    host.wait()
    assert agent.jobs.wait(token).exit_code == 0
    assert (rig.root / "work/runs/r/out").read_text() == "fine\n"

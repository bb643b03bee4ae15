"""Two hosts and one board, on a real sshd and dropbear: whoever has lost the board does nothing to it any more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from harness.agent import Agent
from harness.agent.leases import hold_lease
from harness.agent.words import Refused
from harness.boards.lease import hold_board_lease, save_token
from harness.errors import BoardError, InputError, LinkError, MeasurementError
from harness.records import Invocation
from harness.runs.folder import at_work, claimed
from tests.faults.rig import SERVERS, Rig, agent_on, rig_of, until
from tests.faults.test_link import MEGABYTE, other_host, parts, random_file, sh
from tests.faults.test_run import inventory
from tests.profile import WHOLE
from tests.support.builds import ExampleModel, build
from tests.support.servers import needs

pytestmark = pytest.mark.slow  # with the others: the fast suite stays under five minutes


@pytest.fixture(params=SERVERS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    needs("sshd", "dropbear", "ssh-keygen")
    with rig_of(tmp_path / "board", request.param) as made:
        yield made


@pytest.fixture
def agent(rig: Rig) -> Iterator[Agent]:
    with rig.open() as transport:
        yield agent_on(transport)


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


def on_the_board(rig: Rig) -> dict[str, int]:
    """Every file of the board with its size, but the agent and the leases."""
    kept = (path for path in rig.root.rglob("*") if path.is_file() and not {"lease", "agent"} & set(path.parts))
    return {str(path): path.stat().st_size for path in kept}


def calls(rig: Rig, lease: str) -> list[str]:
    """Processes on the board that carry a lease in their command line."""
    names = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if f"work={rig.root}/work" in text and f"lease={lease}" in text:
            names.append(text[:200])
    return names


# --------------------------------------------------------------------------- asleep, and awake again


def stopped_in(rig: Rig, body: str, *arguments: str, when: str) -> subprocess.Popen[bytes]:
    """Another host with a lease of two seconds, stopped when a path appears on the board, until its lease has ended."""
    host = other_host(
        rig, "agent.lease.take('sleeper', 2)\nprint(agent.link.lease_token, flush=True)\n" + body, *arguments
    )
    assert host.stdout is not None
    host.stdout.readline()
    until(lambda: any(path.stat().st_size > MEGABYTE for path in rig.root.glob(when)))
    os.kill(host.pid, signal.SIGSTOP)
    return host


TELL = "try:\n    {}\nexcept Exception as error:\n    print(type(error).__name__, error, flush=True)\n"


def test_a_host_that_slept_while_it_pushed_pushes_no_more(rig: Rig, agent: Agent, tmp_path: Path) -> None:
    model = random_file(tmp_path / "model.bin", 40 * MEGABYTE)
    rig.link.delay_s = 0.03
    host = stopped_in(
        rig, TELL.format("agent.cache.put_file(Path(sys.argv[2]))"), str(model), when="work/cache/.*.part"
    )
    try:
        rig.link.delay_s = 0.0
        until(lambda: not agent.lease.show().held)
        agent.lease.take("next", 60)
        before = on_the_board(rig)
        assert calls(rig, "1.") == []
        os.kill(host.pid, signal.SIGCONT)
        output, _ = host.communicate(timeout=60)
        assert b"lease has ended" in output or b"incomplete answer" in output, output
        assert on_the_board(rig) == before
        assert [p for p in parts(rig) if p.name.endswith(".lock")] == []
        assert Path(agent.cache.put_file(model).path).read_bytes() == model.read_bytes()
    finally:
        host.kill()


def test_a_host_that_slept_while_it_pulled_pulls_no_more(rig: Rig, agent: Agent, tmp_path: Path) -> None:
    place = agent.files.new_folder("pull")
    for index in range(8):
        random_file(Path(place) / f"{index}.bin", 8 * MEGABYTE)
    body = f"here = Path({str(tmp_path)!r}) / 'got'\nplace = {place!r}\nnames = list(agent.files.hash(place))\n"
    body += "print('go', flush=True)\n" + TELL.format("agent.files.fetch(place, names, here)")
    host = other_host(rig, "agent.lease.take('sleeper', 2)\n" + body)
    assert host.stdout is not None and host.stdout.readline() == b"go\n"
    until(lambda: any((tmp_path / "got").glob("*")))
    os.kill(host.pid, signal.SIGSTOP)
    try:
        until(lambda: not agent.lease.show().held)
        agent.lease.take("next", 60)
        assert calls(rig, "1.") == []
        received = rig.link.down_bytes
        os.kill(host.pid, signal.SIGCONT)
        output, _ = host.communicate(timeout=60)
        assert output, "the pull did not succeed"
        assert rig.link.down_bytes - received < 12 * MEGABYTE  # what was on the way already
    finally:
        host.kill()


@pytest.mark.parametrize(
    "call",
    [
        "agent.cache.put_file(Path(__file__))",
        "agent.files.new_folder('late')",
        "agent.jobs.start(Invocation(('touch', 'late')), '{place}', 10)",
        "agent.jobs.poll('{token}')",
        "agent.jobs.stop('{token}')",
        "agent.files.hash('{place}')",
        "agent.files.fetch('{place}', ['log.txt'], Path('/nowhere'), known={{'log.txt': FileFacts(0, '')}})",
        "agent.jobs.samples('{token}')",
        "agent.jobs.sense()",
        "agent.jobs.clocks()",
        "agent.lease.run_guarded(['touch', 'late'], 10)",
        "agent.files.remove('{place}')",
        "agent.clean()",
        "agent.lease.renew(60)",
        "agent.lease.release()",
    ],
)
def test_no_call_of_a_lost_lease_reaches_the_board(tmp_path: Path, call: str) -> None:
    needs("dropbear", "ssh-keygen")
    with rig_of(tmp_path, "dropbear") as rig, rig.open() as one, rig.open() as two:
        late, now = agent_on(one), agent_on(two)
        late.lease.take("late", 60)
        place = late.files.new_folder("run")
        token = late.jobs.start(sh("exit 0"), place, 10)
        late.jobs.wait(token)
        now.lease.break_off()
        now.lease.take("now", 60)
        before = on_the_board(rig)
        names = {"agent": late, "Path": Path, "Invocation": Invocation, "__file__": __file__}
        from harness.agent import FileFacts

        with pytest.raises(Refused, match="lease has ended"):
            eval(call.format(place=place, token=token), names | {"FileFacts": FileFacts})
        assert on_the_board(rig) == before


def test_a_run_that_slept_does_nothing_to_the_board_any_more(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    sleep_through_the_lease(digits, rig, tmp_path, broken=True)


def test_a_run_that_slept_until_its_lease_ended_by_itself_does_nothing_either(
    digits: ExampleModel, tmp_path: Path
) -> None:
    with rig_of(tmp_path / "board", "dropbear") as rig:  # two minutes, in which the server has no part
        sleep_through_the_lease(digits, rig, tmp_path, broken=False)


def sleep_through_the_lease(digits: ExampleModel, rig: Rig, tmp_path: Path, broken: bool) -> None:
    """SIGSTOP in the middle of a run; another host takes the board; SIGCONT. Not even `teardown` may run."""
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\ncase "$*" in *debug*) sleep 6 ;; esac\nexec "{sys.executable}" "$@"\n')
    fake.chmod(0o755)
    commands = {name: [["sh", "-c", f"echo {name} >>did"]] for name in ("setup", "teardown")}
    hosts = inventory(rig, options={"python": str(fake)}, **commands)
    argv = ["run", digits.reference, "--board", "rig", "--hosts", hosts, "--input", digits.input, "--frames", "3"]
    host = subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, argv)], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: any(rig.root.glob("work/runs/*/debug")))
        os.kill(host.pid, signal.SIGSTOP)
        with rig.open() as transport:
            other = agent_on(transport)
            if broken:
                other.lease.break_off()
            until(lambda: not other.lease.show().held, 150)
            other.lease.take("other", 300)
            before = on_the_board(rig)
            os.kill(host.pid, signal.SIGCONT)
            _, errors = host.communicate(timeout=60)
            assert on_the_board(rig) == before
            assert other.lease.show().holder == "other"
    finally:
        host.kill()
    assert host.returncode == 3 and "lease has ended" in errors and "Traceback" not in errors, errors
    assert (rig.root / "did").read_text() == "setup\n"
    (run,) = (json.loads(file.read_text()) for file in tmp_path.rglob("run.json"))
    assert (run["state"], run["verdict"]["word"], run["stopped_at"]) == ("failed", "not_measured", "running debug")


# --------------------------------------------------------------------------- who has it


def test_of_two_hosts_that_race_over_ssh_never_both_win(rig: Rig) -> None:
    """A thousand rounds, in CI 300; both ask at the same moment."""
    rounds = 1000 if WHOLE else 300
    with rig.open() as one, rig.open() as two:
        hosts = [agent_on(one), agent_on(two)]
        barrier = threading.Barrier(2)
        won: list[list[bool]] = [[], []]

        def race(me: int) -> None:
            for _ in range(rounds):
                barrier.wait(60)
                try:
                    hosts[me].lease.take(f"host {me}", 60)
                    won[me].append(True)
                except Refused as error:
                    assert error.word == "leased"
                    won[me].append(False)
                barrier.wait(60)
                if won[me][-1]:
                    hosts[me].lease.release()

        threads = [threading.Thread(target=race, args=(me,)) for me in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(won[0]) == len(won[1]) == rounds
    assert all(a != b for a, b in zip(*won, strict=True))


def test_a_lease_outlives_a_link_that_is_away_for_longer(rig: Rig, agent: Agent) -> None:
    """A run that goes on over there is still ours when the link comes back, and the lease is renewed again."""
    agent.link.patience.limit_s = 0.5
    with hold_lease(agent.lease, 3, "anna") as keeper:
        target, rig.link.target_port = rig.link.target_port, 1
        rig.link.cut()
        time.sleep(5.0)
        assert not keeper.surely_holds
        rig.link.target_port = target
        until(lambda: keeper.surely_holds)
        assert keeper.lost is None and agent.lease.show().held
        agent.lease.check()


def test_a_board_may_not_be_power_cycled_when_the_lease_may_be_anothers(rig: Rig, agent: Agent) -> None:
    agent.link.patience.limit_s = 0.5
    with rig.open() as transport, pytest.raises(MeasurementError), hold_lease(agent.lease, 2, "anna") as keeper:
        assert keeper.surely_holds
        other = agent_on(transport)
        other.lease.break_off()
        other.lease.take("ben", 60)
        until(lambda: keeper.lost is not None)
        assert not keeper.surely_holds
        agent.files.new_folder("late")


def test_what_the_next_holder_ended_is_told_as_a_lost_lease_not_as_a_broken_agent(rig: Rig, agent: Agent) -> None:
    with rig.open() as transport, pytest.raises(Refused, match="lease has ended"), hold_lease(agent.lease, 60, "anna"):
        other = agent_on(transport)
        other.lease.break_off()
        raise BoardError("something odd")


def test_a_broken_link_is_told_as_such(rig: Rig, agent: Agent) -> None:
    with pytest.raises(LinkError, match="cut"), hold_lease(agent.lease, 60, "anna"):
        raise LinkError("cut")


# --------------------------------------------------------------------------- a lease taken by hand


def quietly(_text: str) -> None:
    return None


def test_a_long_lease_taken_by_hand_is_not_cut_short_by_a_run(
    rig: Rig, agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    save_token("rig", agent.lease.take("anna", 8 * 3600))
    with hold_board_lease(agent.lease, "rig", nonce="abc", wait_s=0, tell=quietly):
        assert agent.lease.show().left_s > 7.9 * 3600
    assert agent.lease.show().left_s > 7.9 * 3600


def test_two_runs_under_one_lease_taken_by_hand_go_one_after_the_other(
    rig: Rig, agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    save_token("rig", agent.lease.take("anna", 600))
    with hold_board_lease(agent.lease, "rig", nonce="abc", wait_s=0, tell=quietly):
        with (
            pytest.raises(BoardError, match="another of your runs") as error,
            hold_board_lease(agent.lease, "rig", nonce="def", wait_s=0, tell=quietly),
        ):
            pass
        assert "--wait" in error.value.hint
    with hold_board_lease(agent.lease, "rig", nonce="def", wait_s=0, tell=quietly):
        pass


def test_of_several_who_wait_each_gets_the_board(rig: Rig) -> None:
    """Whoever is a moment too late waits on, as it was told to."""
    had: list[int] = []

    def wait_for_it(me: int, agent: Agent) -> None:
        with hold_board_lease(agent.lease, f"b{me}", nonce=f"a{me}", wait_s=40, tell=quietly):
            had.append(me)

    with ExitStack() as links:
        agents = [agent_on(links.enter_context(rig.open())) for _ in range(4)]
        with hold_lease(agents[3].lease, 60, "first"):
            waiting = [threading.Thread(target=wait_for_it, args=(me, agents[me])) for me in range(3)]
            for thread in waiting:
                thread.start()
            time.sleep(1.0)
        for thread in waiting:
            thread.join()
    assert sorted(had) == [0, 1, 2]


# --------------------------------------------------------------------------- one run folder


def test_a_run_folder_is_worked_on_by_one_process(tmp_path: Path) -> None:
    assert not at_work(tmp_path)
    with claimed(tmp_path):
        assert at_work(tmp_path)
        with pytest.raises(InputError, match="in progress in another process"), claimed(tmp_path):
            pass
    assert not at_work(tmp_path) and list(tmp_path.iterdir()) == []


def test_the_master_of_a_killed_host_and_its_folder_are_gone_within_a_minute(rig: Rig) -> None:
    """The ssh in the background has no other way to hear that its host is gone."""
    script = (
        "import os, sys\n"
        "from harness.boards.flat import compose\n"
        "from harness.transports.openssh import OpensshTransport\n"
        "link = OpensshTransport(compose(**eval(sys.argv[1])).endpoint)\n"
        "assert link.run(['true'], timeout_s=20).code == 0\n"
        "print(link._folder, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    endpoint = rig.board_record().endpoint
    fields = {k: getattr(endpoint, k) for k in ("name", "address", "port", "user", "identity", "known_hosts")}
    result = subprocess.run([sys.executable, "-c", script, repr(fields)], capture_output=True, text=True, check=False)
    folder = Path(result.stdout.strip())
    assert result.returncode == -9 and folder.name.startswith("hssh-"), result.stderr
    until(lambda: not masters(rig.link.port) and not folder.exists(), 60)


def masters(port: int) -> list[str]:
    """Command lines of OpenSSH masters to a port."""
    pids = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            line = path.read_bytes()
            if b"\0-p\0%d\0" % port in line and b"\0-M\0" in line:
                pids.append(line.decode(errors="replace"))
    return pids

"""Leases: one user of a board at a time, kept by the board itself."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.agent import Agent
from harness.agent.leases import hold_lease
from harness.agent.words import Refused, escape
from harness.errors import BoardError, MeasurementError
from harness.records import Invocation
from harness.transports import open_transport
from tests.support.servers import AGENT_KINDS, agent_of, installed, local_board


@pytest.fixture(scope="module", params=AGENT_KINDS)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    with agent_of(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture
def agent(shared: Agent) -> Iterator[Agent]:
    shared.link.lease_token = ""
    yield shared
    for file in (Path(shared.work) / "lease").glob("*"):
        file.unlink()
    shared.link.lease_token = ""


def rival(agent: Agent) -> Agent:
    """A second host on the same board."""
    other = Agent(agent.link.transport, agent.work, shell=agent.link._shell)
    other.install()
    return other


def test_a_board_is_held_by_one(agent: Agent) -> None:
    other = rival(agent)
    agent.lease.take("anna@pc1", 60)
    with pytest.raises(BoardError, match=r"leased: held by anna@pc1 since 0 s, for at most (59|60) s more"):
        other.lease.take("ben@pc2", 60)
    facts = other.lease.show()
    assert facts.held and facts.holder == "anna@pc1" and 50 < facts.left_s <= 60


def test_others_may_look_but_not_touch(agent: Agent) -> None:
    other = rival(agent)
    agent.lease.take("anna@pc1", 60)
    other.hello()
    with pytest.raises(BoardError, match="held by anna"):
        other.files.new_folder("x")
    agent.files.new_folder("x")
    agent.files.remove(f"{agent.work}/runs/x")


def test_a_released_board_is_free_and_the_number_rises(agent: Agent) -> None:
    other = rival(agent)
    first = agent.lease.take("anna", 60)
    agent.lease.release()
    assert not other.lease.show().held
    second = other.lease.take("ben", 60)
    assert int(second.split(".")[0]) > int(first.split(".")[0])


def test_a_lease_ends_by_itself(agent: Agent) -> None:
    other = rival(agent)
    agent.lease.take("dead host", 1)
    time.sleep(1.1)
    other.lease.take("ben", 60)
    with pytest.raises(BoardError, match="lease has ended"):
        agent.files.new_folder("late")


def test_a_late_holder_whom_nobody_followed_may_go_on(agent: Agent) -> None:
    agent.lease.take("anna", 1)
    time.sleep(1.1)
    agent.files.new_folder("late")
    agent.files.remove(f"{agent.work}/runs/late")


def test_a_renewed_lease_lasts_and_both_tokens_are_the_holders(agent: Agent) -> None:
    first = agent.lease.take("anna", 60)
    second = agent.lease.renew(90)
    assert first != second and agent.lease.show().left_s > 60
    agent.link.lease_token = first  # a command that was under way while the lease was renewed
    agent.files.new_folder("under way")
    agent.files.remove(f"{agent.work}/runs/under way")


def test_a_stale_token_is_refused(agent: Agent) -> None:
    agent.lease.take("anna", 60)
    for token in ("1.abc", "999.abc", "x", "5."):
        agent.link.lease_token = token
        with pytest.raises(BoardError, match="lease has ended"):
            agent.files.new_folder("x")


def test_a_reboot_ends_a_lease(agent: Agent) -> None:
    other = rival(agent)
    token = agent.lease.take("anna", 600)
    file = Path(agent.work) / "lease" / token.split(".")[0]
    file.write_text("another-boot " + file.read_text().split(" ", 1)[1])
    assert not other.lease.show().held
    with pytest.raises(BoardError, match="the board rebooted during the run"):
        agent.files.new_folder("x")
    other.lease.take("ben", 60)


def test_the_answer_to_a_lost_question_is_given_again(agent: Agent) -> None:
    words = ("take", escape("anna"), "60", secrets.token_hex(8))
    assert agent.link.ask("lease", *words).text("lease") == agent.link.ask("lease", *words).text("lease")


def test_a_new_holder_ends_what_the_old_one_left_running(agent: Agent) -> None:
    other = rival(agent)
    agent.lease.take("dead host", 2)
    token = agent.jobs.start(Invocation(("sleep", "50")), agent.files.new_folder("left"), 60)
    time.sleep(2.1)
    other.lease.take("ben", 60)
    assert other.jobs.poll(token).state == "stopped"
    other.files.remove(f"{agent.work}/runs/left")


def test_a_new_holder_ends_what_an_old_one_is_still_asking(agent: Agent) -> None:
    """Its PC was asleep, say, in the middle of a push: nothing of it goes on when it wakes up."""
    other = rival(agent)
    token = agent.lease.take("asleep", 60)
    outcomes: list[Exception | int] = []

    def ask() -> None:
        try:
            outcomes.append(agent.lease.run_guarded(["sh", "-c", "sleep 50; touch late"], 60).code)
        except MeasurementError as error:  # some servers tell a killed command as one, some as a broken session
            outcomes.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    while not carrying(token):
        time.sleep(0.02)
    other.lease.break_off()
    other.lease.take("awake", 60)
    assert carrying(token) == []
    asking.join(20)
    assert not asking.is_alive() and outcomes != [0]
    assert carrying(other.link.lease_token) == [] and other.lease.show().holder == "awake"


def carrying(token: str) -> list[str]:
    """Processes with a lease in their command line."""
    carried = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"lease={token}".encode() in entry.read_bytes():
                carried.append(entry.parent.name)
    return carried


def test_a_command_of_the_inventory_is_for_the_holder_alone(agent: Agent) -> None:
    other = rival(agent)
    agent.lease.take("anna", 60)
    result = agent.lease.run_guarded(
        ["sh", "-c", 'printf "%s|" "$@"; echo error=none >&2; exit 97', "sh", "a b", "$(c)"], 20
    )
    assert (result.code, result.out) == (97, b"a b|$(c)|"), "a command that ends with 97 itself is an answer"
    with pytest.raises(BoardError, match="held by anna"):
        other.lease.run_guarded(["touch", "never"], 20)


def test_a_board_at_work_for_somebody_without_a_lease_is_not_taken(agent: Agent) -> None:
    folder = agent.files.new_folder("unleased")
    agent.jobs.start(Invocation(("sleep", "50")), folder, 60)
    with pytest.raises(BoardError, match="without a lease"):
        rival(agent).lease.take("ben", 60)
    agent.files.remove(folder)


@pytest.mark.slow
def test_a_held_lease_is_renewed_and_given_back(agent: Agent) -> None:
    with hold_lease(agent.lease, 3, "anna") as keeper:
        time.sleep(3.5)
        assert agent.lease.show().held and keeper.lost is None
    assert not agent.lease.show().held


def test_a_lost_lease_is_noticed(agent: Agent) -> None:
    with hold_lease(agent.lease, 3, "anna") as keeper:
        (Path(agent.work) / "lease" / agent.link.lease_token.split(".")[0]).unlink()
        ends_at = time.monotonic() + 20
        while keeper.lost is None and time.monotonic() < ends_at:
            time.sleep(0.1)
        assert keeper.lost is not None


@pytest.mark.parametrize("rounds", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_of_two_hosts_that_race_never_both_win(tmp_path: Path, rounds: int) -> None:
    """Both ask at the same moment, each round; the winner gives the board back."""
    with open_transport(local_board(tmp_path).endpoint) as link:
        hosts = [installed(link), installed(link)]
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
                barrier.wait(60)

        threads = [threading.Thread(target=race, args=(me,)) for me in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(won[0]) == len(won[1]) == rounds
    assert all(a != b for a, b in zip(*won, strict=True))

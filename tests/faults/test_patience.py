"""A board that falls silent, drips or comes up late: every wait has one bound, whatever each try costs."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.boards.connect import open_board
from harness.errors import LinkError, LoginError
from harness.records import Invocation
from harness.transports import CommandTimeout, Patience
from harness.transports.local import LocalTransport
from tests.faults.rig import Rig, agent_on, rig_of
from tests.support.servers import local_board, needs


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    needs("sshd", "ssh-keygen")
    with rig_of(tmp_path / "board", "openssh") as made:
        yield made


def fails(cost_s: float) -> None:
    time.sleep(cost_s)
    raise LinkError("nothing")


def loses(action: Callable[[], object], limit_s: float) -> bool:
    """Whether something ends as a LinkError, in time."""

    def lose() -> None:
        with pytest.raises(LinkError):
            action()

    losing = threading.Thread(target=lose, daemon=True)
    losing.start()
    losing.join(limit_s)
    return not losing.is_alive()


@pytest.mark.parametrize("cost_s", [0.0, 0.3, 0.7])
def test_patience_counts_from_the_first_failure_whatever_a_try_costs(cost_s: float) -> None:
    assert loses(lambda: Patience(1.0).retry(lambda: fails(cost_s)), 20.0)


def test_what_was_received_ends_a_patience_and_what_failed_before_it_is_over() -> None:
    patience, tries = Patience(0.8), []

    def answers_in_between() -> str:
        tries.append(1)
        patience.heard()
        if len(tries) < 4:
            fails(0.0)
        return "whole"

    assert patience.retry(answers_in_between) == "whole"  # after pauses of 1.5 s in all


def test_waits_are_cut_to_what_is_left_and_the_next_thing_gets_one_whole_try() -> None:
    patience = Patience(1.0)
    assert patience.at_most(15.0) == 15.0
    with pytest.raises(LinkError):
        patience.retry(lambda: fails(0.0) if patience.at_most(15.0) in (15.0, 1.0) else None)
    time.sleep(1.0)
    assert patience.at_most(15.0) == 15.0


def test_after_a_stop_nothing_gets_a_patience_of_its_own() -> None:
    patience = Patience(30.0)
    patience.stop()
    assert patience.at_most(15.0) <= 10.0
    patience.heard()
    assert patience.limit_s <= 10.0 and patience.at_most(15.0) == 15.0


def test_a_stream_that_drips_is_given_up_long_before_its_time_limit(tmp_path: Path) -> None:
    drip = ["sh", "-c", "while :; do echo x; sleep 0.1; done"]
    link = LocalTransport(local_board(tmp_path).endpoint)
    link.pace_window_s = 1.0
    with (
        link.stream(drip, timeout_s=600, paced="down") as stream,
        pytest.raises(CommandTimeout, match=r"only .* bytes"),
    ):
        list(stream)


def test_a_board_that_takes_a_push_in_drips_is_given_up(tmp_path: Path) -> None:
    sips = ["sh", "-c", "while :; do head -c 10 >/dev/null; sleep 0.1; done"]
    link = LocalTransport(local_board(tmp_path).endpoint)
    link.pace_window_s = 1.0
    pushed = link.stream(sips, timeout_s=600, stdin=[bytes(10**6)], paced="up")
    with pushed as stream, pytest.raises(CommandTimeout, match=r"only .* bytes"):
        list(stream)


def test_an_answer_that_this_pc_is_slow_to_take_is_not_called_a_drip(tmp_path: Path) -> None:
    link = LocalTransport(local_board(tmp_path).endpoint)
    link.pace_window_s = 0.3
    size = 0
    with link.stream(["head", "-c", "500000", "/dev/zero"], timeout_s=60, paced="down") as stream:
        for piece in stream:
            size += len(piece)
            time.sleep(0.2)
    assert size == 500_000


# --------------------------------------------------------------------------- over ssh


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["ssh", "openssh"])
def test_a_board_that_takes_connections_and_says_nothing_is_given_up(rig: Rig, transport: str) -> None:
    """Each try costs 4.5 s, more than the longest pause: it once began a new patience each time, for minutes."""
    with rig.open(transport, connect_timeout_s=3.0) as link:
        agent = agent_on(link, patience_s=6.0)
        token = agent.jobs.start(Invocation(("sleep", "60")), agent.files.new_folder("silent"), 60)
        rig.link.frozen.set()
        rig.link.cut()
        assert loses(lambda: agent.jobs.wait(token), 60.0)
        rig.link.heal()


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["ssh", "openssh"])
def test_the_first_connect_is_tried_again_within_the_patience(rig: Rig, transport: str) -> None:
    target, rig.link.target_port = rig.link.target_port, 1
    threading.Timer(1.5, lambda: setattr(rig.link, "target_port", target)).start()
    messages: list[str] = []
    with open_board(rig.board_record(transport), patience=Patience(20.0), tell=messages.append) as (_, link):
        assert link.run(["echo", "there"], timeout_s=20).out == b"there\n"
    assert messages and "retrying" in messages[0]


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["ssh", "openssh"])
def test_a_login_that_is_refused_is_not_tried_again(rig: Rig, tmp_path: Path, transport: str) -> None:
    record = rig.board_record(transport)
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    board = replace(record, endpoint=replace(record.endpoint, identity=str(key)))
    with pytest.raises(LoginError), open_board(board, patience=Patience(600.0)):
        pass


@pytest.mark.slow
def test_a_login_that_drips_is_bounded_as_a_whole(rig: Rig) -> None:
    """Every single answer comes in time, and there is always one more key to try."""
    rig.link.delay_s = 1.2
    with pytest.raises(LinkError, match=r"timed out|did not end within|no answer|stalled|no SSH banner"):
        rig.open(connect_timeout_s=1.0)

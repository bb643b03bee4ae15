"""Faults of a farm past one PC: no job twice on a board at once, none lost, none reported wrongly."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from harness.agent.leases import LEASE_S
from tests.farm.kit import Farm, farm
from tests.history.postgres import serving
from tests.nightly.lab import SUITE, Lab, words
from tests.nightly.test_night import assert_never_two_at_once, case, starts, wait_for, with_slow_tool
from tests.profile import WHOLE

pytestmark = pytest.mark.slow


def slow_lab(folder: Path, seconds: float, boards: tuple[str, ...] = ("b1",), cases: int = 1) -> Lab:
    lab = Lab(folder)
    with_slow_tool(lab, seconds, boards)
    lab.write_suite([case(f"case{place}") for place in range(cases)], SUITE)
    return lab


def begun(lab: Lab) -> int:
    return sum(line[0] == "begin" and line[2] == "infer" for line in starts(lab))


def assert_all_pass(own: Farm, code: int) -> None:
    assert set(words(own.lab.night()).values()) == {"pass"}, own.lab.night()["cells"]
    assert code == 0
    assert_never_two_at_once(own.lab)


def test_a_job_whose_worker_is_killed_goes_on_when_the_worker_is_back(tmp_path: Path) -> None:
    """The tool that ran on is picked up, not begun again."""
    with farm(slow_lab(tmp_path, 5)) as own:
        own.scheduler()
        worker = own.worker("one", "b1")
        night = own.submit()
        wait_for(own.lab, "begin b1 infer")
        worker.kill()
        own.worker("one", "b1")
        assert_all_pass(own, own.ended(night))
        assert own.attempts() == [("case0/b1", 1, "lost"), ("case0/b1", 2, "ended")]
        assert begun(own.lab) == 1
        (cell,) = own.lab.night()["cells"]
        assert cell["tries"] == 1
        assert (own.lab.newest() / cell["run"] / "report.html").is_file()


@pytest.mark.parametrize("by", ["hand", "itself"])
def test_a_worker_that_slept_through_its_lease_leaves_the_board_and_the_verdict_to_the_other_host(
    tmp_path: Path, by: str
) -> None:
    """Its lease ends by hand; of itself, twice its two minutes, only in `make soak`."""
    if by == "itself" and not WHOLE:
        pytest.skip("two leases of two minutes: HYPOTHESIS_PROFILE=thorough (`make soak`) sleeps through them")
    with farm(slow_lab(tmp_path, 4)) as own:
        own.scheduler()
        workers = {"one": own.worker("one", "b1"), "other": own.worker("other", "b1", host="127.0.0.3")}
        night = own.submit()
        wait_for(own.lab, "begin b1 infer")
        (sleeper,) = [name for name in workers if "b1: case0: begins" in own.log(name)]
        (awake,) = set(workers) - {sleeper}
        workers[sleeper].send_signal(signal.SIGSTOP)
        slept_at = time.monotonic()
        if by == "hand":
            released = own.lab.start("boards", "release", "b1", "--force")
            assert released.wait(60) == 0, released.communicate()
        assert_all_pass(own, own.ended(night))
        if by == "itself":
            time.sleep(max(0.0, slept_at + 2 * LEASE_S + 5 - time.monotonic()))
        workers[sleeper].send_signal(signal.SIGCONT)
        own.wait_for(sleeper, "was given up meanwhile: its result does not count")
        assert "lease has ended" in own.log(sleeper), "the agent refused what it still wanted of the board"
        assert "b1: case0: pass" in own.log(awake)
        assert own.attempts() == [("case0/b1", 1, "lost"), ("case0/b1", 2, "ended")]


def test_a_scheduler_that_restarts_costs_no_job(tmp_path: Path) -> None:
    with farm(slow_lab(tmp_path, 4, ("b1", "b2"))) as own:
        scheduler = own.scheduler()
        own.worker("one", "b1")
        own.worker("other", "b2", host="127.0.0.3")
        night = own.submit()
        wait_for(own.lab, "begin b1 infer")
        wait_for(own.lab, "begin b2 infer")
        scheduler.kill()
        time.sleep(2)
        own.scheduler()
        assert_all_pass(own, own.ended(night))
        assert begun(own.lab) == 2, "nothing was begun twice"
        assert {attempt for _, attempt, _ in own.attempts()} == {1}


def test_a_database_that_is_away_costs_no_result(tmp_path: Path) -> None:
    """It goes in the middle of a case and comes back after that has ended: the worker keeps what it has to write."""
    with serving() as server, farm(slow_lab(tmp_path, 4), server.url) as own:
        own.scheduler()
        own.worker("one", "b1")
        night = own.submit()
        wait_for(own.lab, "begin b1 infer")
        server.stop()
        try:
            wait_for(own.lab, "end b1 infer")
            own.wait_for("one", "b1: case0: pass")
            time.sleep(float(LOST_WHILE_AWAY_S))
        finally:
            server.start()
        assert_all_pass(own, own.ended(night))
        assert begun(own.lab) == 1
        assert "database: answers again" in own.log("one")


LOST_WHILE_AWAY_S = 6  # longer than a worker may be silent: the database's silence is not the worker's


def test_two_hosts_for_one_board_and_two_nights_at_once_take_turns(tmp_path: Path) -> None:
    with farm(slow_lab(tmp_path, 2)) as own:
        own.scheduler()
        own.worker("one", "b1")
        own.worker("other", "b1", host="127.0.0.3")
        nights = {name: own.submit("--nights", name, name=name) for name in ("first", "second")}
        for name, process in nights.items():
            assert own.ended(process, name) == 0, own.log(name)
            (path,) = (tmp_path / name).rglob("night.json")
            assert set(words(json.loads(path.read_text())).values()) == {"pass"}
        assert_never_two_at_once(own.lab)
        assert begun(own.lab) == 2


def test_a_night_that_is_killed_and_stopped_goes_on_with_what_workers_did_meanwhile(tmp_path: Path) -> None:
    """SIGKILL in its first case, which the worker ends; --resume takes that; SIGTERM in the second, --resume again."""
    with farm(slow_lab(tmp_path, 4, cases=2)) as own:
        own.scheduler()
        own.worker("one", "b1")
        night = own.submit()
        wait_for(own.lab, "begin b1 infer")
        night.kill()
        night.wait()
        own.wait_for("one", "b1: case0: pass")
        night = own.submit("--resume", str(own.lab.newest()))
        wait_for(own.lab, "begin b1 infer", 2)
        assert begun(own.lab) == 2, "what the worker ended was not begun again"
        night.terminate()
        assert own.ended(night) == 3
        assert words(own.lab.night()) == {("case0", "b1"): "pass", ("case1", "b1"): "unmeasured stopped"}
        assert not list(tmp_path.glob("work/*/jobs/*/pid")), "nothing of it runs on the board"
        assert_all_pass(own, own.ended(own.submit("--resume", str(own.lab.newest()))))

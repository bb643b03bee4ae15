"""Rivals that stall at the worst moment: never two holders, no number given twice, and no true holder's run ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.agent import Agent
from harness.agent.words import Answer, read_answer
from harness.errors import BoardError
from harness.records import Invocation
from harness.transports import open_transport
from tests.support.servers import installed, local_board, needs

SHELLS = ("dash", pytest.param("mksh", marks=pytest.mark.slow))  # those whose `ln` and `rm` are programs
PATIENCE_S = 60.0


@pytest.fixture(params=SHELLS)
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agent]:
    needs(request.param)
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        yield installed(link, (request.param,))


def rival(agent: Agent) -> Agent:
    other = Agent(agent.link.transport, agent.work, shell=agent.link._shell)
    other.install()
    return other


class Stalled:
    """One question to the agent by a process of its own, which stops at a program until it may go on."""

    def __init__(self, agent: Agent, folder: Path, step: tuple[str, str], *words: str) -> None:
        program, pattern = step
        at, self._go = folder / "at", folder / "go"
        folder.mkdir()
        (folder / program).write_text(
            f'#!/bin/sh\ncase "$*" in {pattern}) true >{at}; while [ ! -e {self._go} ]; do sleep 0.02; done ;; esac\n'
            f'exec {shutil.which(program)} "$@"\n'
        )
        (folder / program).chmod(0o755)
        environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
        self._process = subprocess.Popen(agent.link.command(*words), env=environment, stdout=subprocess.PIPE)
        ends_at = time.monotonic() + PATIENCE_S
        while not at.exists():
            assert time.monotonic() < ends_at and self._process.poll() is None, "it never came to that step"
            time.sleep(0.02)

    def goes_on(self) -> Answer:
        self._go.touch()
        return read_answer(self._process.communicate(timeout=PATIENCE_S)[0])


LINKING = ("ln", "*")  # it has looked
LINKED = ("rm", "*.new")  # it has not looked again yet
WON = ("rm", "*/lease/1")  # it has looked again, and deletes what is old


def take(agent: Agent, folder: Path, step: tuple[str, str], seconds: int = 60) -> Stalled:
    return Stalled(agent, folder, step, "lease", "take", "late", str(seconds), "abc")


def at_work(agent: Agent) -> str:
    return agent.jobs.start(Invocation(("sleep", "60")), agent.files.new_folder("true holder's"), 120)


def numbers(agent: Agent) -> list[int]:
    return sorted(int(path.name) for path in (Path(agent.work) / "lease").glob("[0-9]*"))


@pytest.mark.parametrize("renewals", [0, 1, 9])
def test_a_taker_that_stalls_between_looking_and_linking_yields(agent: Agent, tmp_path: Path, renewals: int) -> None:
    """With nine renewals the number that it wants has been given, deleted and is free again."""
    late = take(agent, tmp_path / "late", LINKING)
    agent.lease.take("true holder", 60)
    running = at_work(agent)
    for _ in range(renewals):
        agent.lease.renew(60)
    top = numbers(agent)[-1]
    answer = late.goes_on()
    assert answer.error == "leased" and "true holder" in answer.find("detail")
    assert agent.jobs.poll(running).state == "running", "the true holder's run was ended"
    assert numbers(agent)[-1] == top and len(numbers(agent)) <= 4
    agent.lease.check()
    agent.files.remove(f"{agent.work}/runs/true holder's")


@pytest.mark.parametrize("step", [LINKED, WON], ids=["linked", "won"])
def test_a_taker_that_stalls_until_its_lease_is_over_ends_no_later_holders_run(
    agent: Agent, tmp_path: Path, step: tuple[str, str]
) -> None:
    for _ in range(2):
        agent.lease.take("earlier", 60)
        agent.lease.release()
    late = take(agent, tmp_path / "late", step, seconds=1)
    time.sleep(1.1)
    agent.lease.take("true holder", 60)
    running = at_work(agent)
    answer = late.goes_on()
    assert agent.jobs.poll(running).state == "running", "the true holder's run was ended"
    agent.lease.check()
    if late_token := answer.find("lease"):
        other = rival(agent)
        other.link.lease_token = late_token
        with pytest.raises(BoardError, match="lease has ended"):
            other.files.new_folder("x")
    agent.files.remove(f"{agent.work}/runs/true holder's")


@pytest.mark.parametrize("words", [("renew", "60"), ("release",)], ids=["renew", "release"])
def test_a_holder_that_stalls_until_another_has_the_board_is_told(
    agent: Agent, tmp_path: Path, words: tuple[str, ...]
) -> None:
    agent.lease.take("late", 1)
    late = Stalled(agent, tmp_path / "late", LINKING, "lease", *words)
    time.sleep(1.1)
    other = rival(agent)
    other.lease.take("true holder", 60)
    for _ in range(9):
        other.lease.renew(60)
    assert late.goes_on().error in ("stale_lease", ""), "'': the new holder has ended the call"
    other.lease.check()
    assert other.lease.show().holder == "true holder"


def test_breaking_does_not_hit_who_came_after_the_one_that_was_meant(agent: Agent, tmp_path: Path) -> None:
    late = Stalled(agent, tmp_path / "late", LINKING, "lease", "break")
    agent.lease.take("true holder", 60)
    assert late.goes_on().error == "leased"
    agent.lease.check()


def test_a_number_is_never_given_twice_not_even_after_cleaning(agent: Agent) -> None:
    given = []
    for _ in range(3):
        given.append(int(agent.lease.take("anna", 60).split(".")[0]))
        agent.clean(last=True)
        agent.install()
        assert numbers(agent) == [], "leases that are over are deleted"
    assert given == sorted(set(given))
    lease = Path(agent.work) / "lease"
    assert [path.name for path in lease.iterdir()] == [f"after-{given[-1]}"] and not agent.lease.show().held


def test_a_taker_that_stalls_over_a_cleaning_yields(agent: Agent, tmp_path: Path) -> None:
    late = take(agent, tmp_path / "late", LINKING)
    for _ in range(2):
        agent.lease.take("anna", 60)
        agent.clean(last=True)
        agent.install()
    agent.lease.take("true holder", 60)
    assert late.goes_on().error == "leased"
    agent.lease.check()


def test_two_answers_to_one_lost_question_are_one_holder(agent: Agent, tmp_path: Path) -> None:
    late = take(agent, tmp_path / "late", LINKING)
    assert agent.lease.take("late", 60, nonce="abc") == "1.abc"
    assert late.goes_on().find("lease") == "1.abc"
    agent.lease.check()
    assert numbers(agent) == [1]

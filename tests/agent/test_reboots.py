"""A board that was restarted under a lease is called that, whatever the power cut has taken or emptied on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

from harness.agent import Agent
from harness.agent.leases import hold_lease
from harness.agent.words import Refused
from harness.records import Invocation
from tests.support.servers import agent_of

LONG = Invocation(("sleep", "40"))


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "boot_id"
    file.write_text("boot-1\n")
    monkeypatch.setenv("HARNESS_BOOT_ID", str(file))
    return file


@pytest.fixture
def agent(boot: Path, tmp_path: Path) -> Iterator[Agent]:
    with agent_of("dash", tmp_path / "board") as made:
        yield made


def empty(*files: Path) -> None:
    for file in files:
        file.chmod(0o644)
        file.write_bytes(b"")


def of(agent: Agent, pattern: str) -> list[Path]:
    return [path for path in Path(agent.work).glob(pattern) if path.is_file()]


def lose(agent: Agent, pattern: str) -> None:
    for path in of(agent, pattern):
        path.unlink()


DAMAGES: dict[str, Callable[[Agent], None]] = {
    "nothing": lambda agent: None,
    "leases lost": lambda agent: lose(agent, "lease/*"),
    "leases emptied": lambda agent: empty(*of(agent, "lease/*")),
    "the agent's file lost": lambda agent: lose(agent, "agent/*"),
    "the agent's file emptied": lambda agent: empty(*of(agent, "agent/*")),
    "the agent's file cut": lambda agent: [f.write_bytes(f.read_bytes()[:8192]) for f in of(agent, "agent/*")] and None,
    "all of it lost": lambda agent: lose(agent, "**/*"),
}
CALLS: dict[str, Callable[[Agent, str, str, Path], object]] = {
    "push": lambda agent, token, place, target: agent.cache.put_file(Path(__file__)),
    "start": lambda agent, token, place, target: agent.jobs.start(LONG, f"{place}/debug", 60),
    "wait": lambda agent, token, place, target: agent.jobs.wait(token),
    "hash": lambda agent, token, place, target: agent.files.hash(f"{place}/release"),
    "pull": lambda agent, token, place, target: agent.files.fetch(f"{place}/release", ["log.txt"], target),
    "setup": lambda agent, token, place, target: agent.lease.run_guarded(["true"], 10),
    "renew": lambda agent, token, place, target: agent.lease.renew(60),
    "clean": lambda agent, token, place, target: agent.files.remove(place),
    "samples": lambda agent, token, place, target: agent.jobs.samples(token),
}
QUICK = {*zip(DAMAGES, CALLS, strict=False), ("leases lost", "renew"), ("the agent's file emptied", "pull")}
ROUNDS = [
    pytest.param(damage, call, marks=() if (damage, call) in QUICK else pytest.mark.slow)
    for damage, call in product(DAMAGES, CALLS)
]


@pytest.mark.parametrize(("damage", "call"), ROUNDS)
def test_a_reboot_under_a_lease_is_called_one(agent: Agent, boot: Path, tmp_path: Path, damage: str, call: str) -> None:
    """It was "lease has ended", or "incomplete answer (exit code 0): out of memory?", in 7 of 10 cuts."""
    with pytest.raises(Refused, match="rebooted") as refused, hold_lease(agent.lease, 60):
        place = agent.files.new_folder("run")
        token = agent.jobs.start(LONG, f"{place}/release", 60)
        agent.files.hash(f"{place}/release")
        agent.jobs.stop(token)
        DAMAGES[damage](agent)
        boot.write_text("boot-2\n")
        CALLS[call](agent, token, place, tmp_path / "here")
    assert refused.value.word == "rebooted" and "power" in refused.value.hint


def test_without_a_reboot_a_lost_lease_is_not_called_one(agent: Agent) -> None:
    with pytest.raises(Refused, match="lease has ended"), hold_lease(agent.lease, 60):
        lose(agent, "lease/*")
        agent.files.new_folder("run")


def test_an_agents_file_that_was_emptied_is_sent_again(agent: Agent) -> None:
    with hold_lease(agent.lease, 60):
        empty(*of(agent, "agent/*"))
        assert agent.files.new_folder("run").endswith("/runs/run")
        empty(*of(agent, "agent/*"))
        agent.lease.run_guarded(["true"], 10)
    assert not agent.lease.show().held

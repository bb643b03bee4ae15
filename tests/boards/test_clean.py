"""Cleaning a board's work folder: all that is harness's own goes, nothing else does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.agent import Agent
from harness.records import Invocation
from tests.support.servers import AGENT_KINDS, agent_of


@pytest.fixture(params=AGENT_KINDS)
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agent]:
    with agent_of(request.param, tmp_path) as made:
        yield made


MD5 = "0123456789abcdef" * 2
OWN = [
    f"agent/agent-{MD5}.sh",
    f"agent/agent-{MD5}.sh.123.part",
    f"cache/{MD5}.bin",
    f"cache/.{MD5}.bin.ok",
    f"cache/.{MD5}.part",
    f"cache/.{MD5}.part.sum",
    f"cache/.{MD5}.part.lock/who",
    f"cache/.{MD5}.part.lock/growing",
    f"cache/.{MD5}.part.lock.old.77/who",
    "jobs/.abc.123",
    "jobs/dead/job",
    "jobs/dead/.pid",
    "lease/.123.new",
    "runs/20261120T091400Z-4f2a/debug/dump.bin",
    "runs/20261120T091400Z-4f2a/.hidden",
    "site.part/numpy",
    "site.old/numpy",
]
FOREIGN = ["notes.txt", "cache/notes.txt", "runs/mine/notes.txt", "agent/notes.sh", "site/numpy", ".profile"]


def files_left(agent: Agent) -> set[str]:
    return {str(path.relative_to(agent.work)) for path in Path(agent.work).rglob("*") if not path.is_dir()}


def finished(agent: Agent) -> None:
    agent.jobs.wait(
        agent.jobs.start(Invocation(("sh", "-c", "echo x >dump; chmod a-w .")), agent.files.new_folder("a run"), 30)
    )


def test_everything_of_harness_goes_and_nothing_else(agent: Agent) -> None:
    agent.lease.take("anna", 60)
    finished(agent)
    for name in (*OWN, *FOREIGN):
        path = Path(agent.work) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    os.mkfifo(Path(agent.work) / "jobs/dead/done")
    cleaned = agent.clean(last=True)
    assert (cleaned.runs, cleaned.going_on) == (2, ()) and cleaned.free_bytes
    assert files_left(agent) == set(FOREIGN)


def test_models_may_be_kept_without_what_was_cut_off(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(os.urandom(1000))
    put = agent.cache.put_file(tmp_path / "model.bin")
    (Path(agent.work) / f"cache/.{MD5}.part").write_text("x")
    agent.clean(keep_cache=True)
    agent.install()
    assert agent.cache.put_file(tmp_path / "model.bin").sent_bytes == 0
    name = Path(put.path).name
    assert {file for file in files_left(agent) if file.startswith("cache/")} == {f"cache/{name}", f"cache/.{name}.ok"}


def test_a_run_that_goes_on_stays_with_what_it_needs(agent: Agent) -> None:
    finished(agent)
    model = Path(agent.work) / "cache" / MD5
    model.parent.mkdir(exist_ok=True)
    model.write_text("x")
    token = agent.jobs.start(Invocation(("sleep", "60")), agent.files.new_folder("20261120T091400Z"), 120)
    cleaned = agent.clean()
    assert (cleaned.runs, cleaned.going_on) == (1, (token,)) and model.exists()
    assert agent.jobs.poll(token).state == "running"
    agent.jobs.stop(token)
    assert agent.clean().runs == 1 and files_left(agent) == set()

"""The board breaks: full, read-only, clock years off, tools that hang or lie, files that change under the hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.agent import Agent
from harness.assets import asset
from harness.errors import COULD_NOT_MEASURE, AgentError, BoardError
from harness.records import Invocation
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


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of a few megabytes at `folder`; needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "harness-test", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small file system (root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(params=SERVERS)
def full_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """A board whose work folder has 8 MB in all."""
    needs("sshd", "dropbear", "ssh-keygen")
    with small_disk(tmp_path / "root" / "work", 8), rig_of(tmp_path, request.param) as made:
        yield made


@pytest.fixture
def full_agent(full_rig: Rig) -> Iterator[Agent]:
    with full_rig.open() as transport:
        yield agent_on(transport)


def fill(agent: Agent, leave_bytes: int) -> Path:
    usage = shutil.disk_usage(agent.work)
    file = Path(agent.work) / "filler"
    file.write_bytes(bytes(max(0, usage.free - leave_bytes)))
    return file


# --------------------------------------------------------------------------- disks


def test_a_model_larger_than_the_disk_is_not_sent(full_rig: Rig, full_agent: Agent, tmp_path: Path) -> None:
    model = tmp_path / "large.bin"
    model.write_bytes(bytes(10 * MEGABYTE))
    before = full_rig.link.up_bytes
    with pytest.raises(BoardError, match=r"no space on the board: 10485760 bytes are to come, \d+ are free") as error:
        full_agent.cache.put_file(model)
    assert error.value.exit_code == COULD_NOT_MEASURE and "clean" in error.value.hint
    assert full_rig.link.up_bytes - before < 100_000


def test_old_models_make_room_for_a_new_one(full_agent: Agent, tmp_path: Path) -> None:
    paths = []
    for index in range(4):
        model = tmp_path / f"{index}.bin"
        model.write_bytes(os.urandom(3 * MEGABYTE))
        paths.append(Path(full_agent.cache.put_file(model).path))
        os.utime(paths[-1].parent / f".{paths[-1].name}.ok", (1e9 + index, 1e9 + index))
    assert [path.exists() for path in paths] == [False, False, True, True]


def test_a_disk_that_fills_while_a_model_is_pushed_is_said_and_left_clean(
    full_rig: Rig, full_agent: Agent, tmp_path: Path
) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(os.urandom(5 * MEGABYTE))
    full_rig.link.delay_s = 0.02
    full_rig.link.on_traffic = None
    start = full_rig.link.up_bytes

    def fill_up() -> None:
        until(lambda: full_rig.link.up_bytes - start > MEGABYTE)
        fill(full_agent, 500_000)

    filler = threading.Thread(target=fill_up)
    filler.start()
    with pytest.raises(BoardError, match=r"no space|full"):
        full_agent.cache.put_file(model)
    filler.join()
    assert not list((Path(full_agent.work) / "cache").glob("*.bin")) and not list(Path(full_agent.work).rglob("*.part"))


def test_a_tool_that_fills_the_disk_still_has_its_exit_code_told(full_agent: Agent) -> None:
    place = full_agent.files.new_folder("full")
    state = full_agent.jobs.wait(full_agent.jobs.start(sh("cat /dev/zero >zeros; echo failed; exit 9"), place, 30))
    assert (state.state, state.exit_code) == ("done", 9)
    full_agent.files.remove(place)
    assert shutil.disk_usage(full_agent.work).free > 7 * MEGABYTE


def test_a_full_disk_refuses_a_run_before_it_starts(full_agent: Agent) -> None:
    place = full_agent.files.new_folder("full")
    fill(full_agent, 0)
    with pytest.raises(BoardError, match=r"no space|cannot write"):
        full_agent.jobs.start(sh("touch /tmp/never-$$"), f"{place}/x", 30)
    (Path(full_agent.work) / "filler").unlink()
    state = full_agent.jobs.wait(full_agent.jobs.start(sh("exit 0"), f"{place}/x", 30))
    assert state.exit_code == 0


def test_a_read_only_work_folder_is_said(full_agent: Agent, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", full_agent.work], check=True)
    with pytest.raises(BoardError, match="cannot write") as error:
        full_agent.hello()
    assert "work:" in error.value.hint
    with pytest.raises(BoardError, match="cannot write"):
        full_agent.files.new_folder("x")
    (tmp_path / "m").write_bytes(b"x")
    with pytest.raises(BoardError, match=r"cannot write|full"):
        full_agent.cache.put_file(tmp_path / "m")


# --------------------------------------------------------------------------- tools


def test_a_tool_that_hangs_is_ended_by_the_board(agent: Agent) -> None:
    mark = new_mark()
    state = agent.jobs.wait(agent.jobs.start(sh(f"sleep {mark}"), agent.files.new_folder("hang"), 1))
    assert state.timed_out and not alive(mark)


def test_a_tool_that_forks_and_hangs_is_ended_with_its_children(agent: Agent) -> None:
    mark = new_mark()
    script = f"(setsid sleep {mark} &) ; sleep {mark} & trap '' TERM; while :; do sleep {mark}; done"
    state = agent.jobs.wait(agent.jobs.start(sh(script), agent.files.new_folder("fork"), 1))
    assert state.timed_out and not alive(mark)


def test_a_tool_that_crashes_is_told_by_its_signal(agent: Agent) -> None:
    assert agent.jobs.wait(agent.jobs.start(sh("kill -SEGV $$"), agent.files.new_folder("crash"), 10)).exit_code == 139


def test_a_tool_that_says_garbage_does_not_disturb_the_agent(agent: Agent) -> None:
    place = agent.files.new_folder("garbage")
    script = "head -c 100000 /dev/urandom; printf 'state=done\\nend=1\\n\\033[2J'; exit 5"
    state = agent.jobs.wait(agent.jobs.start(sh(script), place, 20))
    assert state.exit_code == 5 and state.log_bytes > 100_000


# --------------------------------------------------------------------------- files


@pytest.fixture
def dumps(agent: Agent) -> str:
    place = agent.files.new_folder("dumps")
    for index in range(5):
        (Path(place) / f"{index}.bin").write_bytes(os.urandom(50_000))
    return place


def test_a_dump_that_was_cut_short_after_it_was_hashed_comes_as_it_is_now(
    agent: Agent, dumps: str, tmp_path: Path
) -> None:
    names = list(agent.files.hash(dumps))
    os.truncate(Path(dumps) / "2.bin", 100)
    agent.files.fetch(dumps, names, tmp_path / "got")
    assert (tmp_path / "got" / "2.bin").stat().st_size == 100


def test_a_dump_that_grows_while_it_is_read_is_refused(agent: Agent, dumps: str, tmp_path: Path) -> None:
    names = list(agent.files.hash(dumps))
    over = threading.Event()

    def grow() -> None:
        while not over.wait(0.001):
            with (Path(dumps) / "2.bin").open("ab") as file:
                file.write(b"more")

    growing = threading.Thread(target=grow)
    growing.start()
    try:
        with pytest.raises(BoardError, match=r"2\.bin' (in .* changed|grew) during"):
            agent.files.fetch(dumps, names, tmp_path / "got")
    finally:
        over.set()
        growing.join()


def test_a_dump_that_was_deleted_is_said(agent: Agent, dumps: str, tmp_path: Path) -> None:
    names = list(agent.files.hash(dumps))
    (Path(dumps) / "2.bin").unlink()
    with pytest.raises(BoardError, match=r"'2\.bin' was deleted"):
        agent.files.fetch(dumps, names, tmp_path / "got")


def test_a_dump_that_became_a_link_is_not_followed(agent: Agent, dumps: str, tmp_path: Path) -> None:
    names = list(agent.files.hash(dumps))
    (Path(dumps) / "2.bin").unlink()
    (Path(dumps) / "2.bin").symlink_to("/etc/passwd")
    with pytest.raises(BoardError, match=r"2\.bin"):
        agent.files.fetch(dumps, names, tmp_path / "got")
    assert not (tmp_path / "got" / "2.bin").exists()


def test_too_many_dumps_are_refused(rig: Rig) -> None:
    with rig.open() as transport:
        agent = Agent(transport, "work", max_files=5)
        agent.install()
        place = agent.files.new_folder("many")
        for index in range(400):
            (Path(place) / f"layer-{index:0150d}.bin").write_bytes(b"")
        with pytest.raises(BoardError, match="more than 5 files"):
            agent.files.hash(place)


# --------------------------------------------------------------------------- clock and agent


def with_fake(rig_folder: Path, program: str, script: str) -> dict[str, str]:
    folder = rig_folder / "fake"
    folder.mkdir(exist_ok=True)
    (folder / program).write_text(f"#!/bin/sh\n{script}\n")
    (folder / program).chmod(0o755)
    return {"PATH": f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.mark.parametrize("server", SERVERS)
def test_a_clock_that_is_years_off_changes_nothing(tmp_path: Path, server: str) -> None:
    with rig_of(tmp_path, server, with_fake(tmp_path, "date", "echo 946684800")) as rig, rig.open() as transport:
        agent = agent_on(transport)
        offset = agent.hello().clock_offset_s
        assert offset is not None and offset < -20 * 365 * 86400
        agent.lease.take("anna", 60)
        assert 50 < agent.lease.show().left_s <= 60
        state = agent.jobs.wait(agent.jobs.start(sh("sleep 0.3"), agent.files.new_folder("clock"), 20))
        assert state.state == "done" and 0.2 < state.duration_s < 15


def test_an_agent_that_was_damaged_is_sent_again(rig: Rig, agent: Agent) -> None:
    file = Path(agent.link._file)
    file.write_bytes(b"echo nonsense\n")
    with pytest.raises(AgentError):
        agent.hello()
    with rig.open() as transport:
        assert agent_on(transport).link.replaced_damaged
    assert agent.hello().agent == "1"


def test_an_agent_that_does_nothing_is_sent_again_by_itself(agent: Agent) -> None:
    Path(agent.link._file).write_bytes(b"exit 0\n")  # a power cut leaves such a file: empty, and it ends well
    assert agent.hello().agent == "1"


def test_an_agent_that_was_deleted_is_sent_again_by_itself(agent: Agent) -> None:
    Path(agent.link._file).unlink()
    assert agent.hello().agent == "1"


def test_an_agent_of_another_version_lies_beside_this_one(rig: Rig, agent: Agent) -> None:
    old = Path(agent.link._file).with_name("agent-00000000000000000000000000000000.sh")
    old.write_bytes(asset("agents/agent.sh").read_bytes().replace(b"version=1", b"version=0"))
    other = Agent(agent.link.transport, agent.work)
    other.install()
    assert other.hello().agent == "1"
    other.link._file = str(old)
    assert other.hello().agent == "0"


@pytest.mark.parametrize("program", ["md5sum", "tar"])
def test_a_broken_program_of_the_board_is_no_crash_here(tmp_path: Path, program: str) -> None:
    """Output without end, then without sense."""
    for script in ("exec cat /dev/zero", "echo nonsense; exit 0", "exit 1"):
        with rig_of(tmp_path / str(hash(script)), "openssh") as rig, rig.open() as transport:
            agent = agent_on(transport)
            place = agent.files.new_folder("x")
            (Path(place) / "a").write_text("a")
            with_fake(rig.folder, program, script)
            entry = rig.folder / "keys" / "enter.sh"
            entry.write_text(
                f"export PATH={rig.folder}/fake:/usr/bin:/bin\n" + entry.read_text().replace("export PATH", ":")
            )
            with pytest.raises((BoardError, AgentError)):
                agent.files.fetch(place, ["a"], tmp_path / "got")
            assert not (tmp_path / "got" / "a").exists()

"""Pushing files into a board's content-addressed cache, under dash, bash and busybox ash."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.agent import Agent
from harness.agent.pushing import AHEAD_BYTES, _Digest, _owner, _quick_name
from harness.agent.words import Refused
from harness.errors import AgentError, BoardError, InputError
from harness.records import Invocation
from harness.transports import open_transport
from tests.support.servers import AGENT_KINDS, agent_of, installed, local_board


@pytest.fixture(scope="module", params=AGENT_KINDS)
def agent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    with agent_of(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


# --------------------------------------------------------------------------- cache


def test_a_file_is_pushed_once_and_lies_under_its_md5(agent: Agent, tmp_path: Path) -> None:
    model = tmp_path / "my model 模型.bin"
    model.write_bytes(os.urandom(300_000))
    first, again = agent.cache.put_file(model), agent.cache.put_file(model)
    digest = hashlib.md5(model.read_bytes()).hexdigest()
    assert (first.sent_bytes, again.sent_bytes) == (300_000, 0)
    assert first.path == again.path == f"{agent.work}/cache/{digest}.bin"
    assert Path(first.path).read_bytes() == model.read_bytes()


def test_an_empty_file_can_be_pushed(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    put = agent.cache.put_file(tmp_path / "empty")
    assert Path(put.path).read_bytes() == b""


def test_many_files_go_with_one_progress(agent: Agent, tmp_path: Path) -> None:
    files = []
    for index in range(3):
        files.append(tmp_path / f"{index}.bin")
        files[-1].write_bytes(os.urandom(1000 + index))
    reports: list[tuple[int, int]] = []
    puts = agent.cache.put_files([*files, files[0]], lambda now, total: reports.append((now, total)))
    assert [put.sent_bytes for put in puts] == [1000, 1001, 1002, 0]
    assert reports[-1][1] == 4003


def test_a_file_that_is_damaged_in_the_cache_after_a_boot_is_sent_again(agent: Agent, tmp_path: Path) -> None:
    model = tmp_path / "m.bin"
    model.write_bytes(os.urandom(5000))
    path = Path(agent.cache.put_file(model).path)
    path.chmod(0o644)
    path.write_bytes(bytes(5000))
    mark = path.parent / f".{path.name}.ok"
    mark.write_text("another-boot 5000\n")
    assert agent.cache.put_file(model).sent_bytes == 5000
    assert path.read_bytes() == model.read_bytes()


def test_a_push_goes_on_where_it_was(agent: Agent, tmp_path: Path) -> None:
    model = tmp_path / "m.bin"
    model.write_bytes(os.urandom(1_000_000))
    digest = hashlib.md5(model.read_bytes()).hexdigest()
    part = Path(agent.work) / "cache" / f".{digest}.bin.part"
    part.write_bytes(model.read_bytes()[:400_000])
    put = agent.cache.put_file(model)
    assert put.sent_bytes == 600_000
    assert Path(put.path).read_bytes() == model.read_bytes() and not part.exists()


def test_a_part_with_wrong_bytes_is_thrown_away_and_sent_whole(agent: Agent, tmp_path: Path) -> None:
    model = tmp_path / "m.bin"
    model.write_bytes(os.urandom(10_000))
    digest = hashlib.md5(model.read_bytes()).hexdigest()
    (Path(agent.work) / "cache" / f".{digest}.bin.part").write_bytes(bytes(4000))
    put = agent.cache.put_file(model)
    assert put.sent_bytes == 6_000 + 10_000
    assert Path(put.path).read_bytes() == model.read_bytes()


def test_a_dead_hosts_push_lock_is_taken_over(agent: Agent, tmp_path: Path) -> None:
    model = tmp_path / "m.bin"
    model.write_bytes(os.urandom(1000))
    digest = hashlib.md5(model.read_bytes()).hexdigest()
    lock = Path(agent.work) / "cache" / f".{digest}.bin.part.lock"
    lock.mkdir()
    (lock / "who").write_text("999999 some-boot abc\n")
    assert agent.cache.put_file(model).sent_bytes == 1000
    assert not lock.exists()


def test_the_least_recently_used_leave_a_full_cache(tmp_path: Path) -> None:
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = installed(link, cache_bytes=2500)
        paths = []
        for index in range(3):
            file = tmp_path / f"{index}.bin"
            file.write_bytes(os.urandom(1000))
            paths.append(Path(agent.cache.put_file(file).path))
            mark = paths[-1].parent / f".{paths[-1].name}.ok"
            os.utime(mark, (1_000_000 + index, 1_000_000 + index))
            if index == 1:
                agent.cache.put_file(tmp_path / "0.bin")  # used again: now the youngest
        assert [path.exists() for path in paths] == [True, False, True]


def test_a_file_larger_than_the_disk_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    huge = tmp_path / "huge.bin"
    with huge.open("wb") as file:
        file.truncate(1)
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = installed(link)
        name = "0" * 32
        with pytest.raises(BoardError, match="no space on the board"):
            agent.link.ask("have", "0", stdin=f"{name} {2**60}\n".encode())


@pytest.mark.parametrize("name", ["../../etc/passwd", "0" * 31, "0" * 32 + "/x", "0" * 32 + ".a/b", "z" * 32])
def test_a_name_that_is_no_cache_name_is_refused(agent: Agent, name: str) -> None:
    with pytest.raises(AgentError, match="understand"):
        agent.link.ask("have", "0", stdin=f"{name} 5\n".encode())
    with pytest.raises(AgentError, match="understand"):
        agent.link.ask("put", name, "5", "0", "5", "ab", stdin=b"12345")


def test_a_missing_host_file_is_an_input_error(agent: Agent, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        agent.cache.put_file(tmp_path / "absent")


# --------------------------------------------------------------------------- large pushes


def test_a_large_file_is_sent_before_its_md5_is_known_and_found_the_second_time(agent: Agent, tmp_path: Path) -> None:
    model = tmp_path / "large.bin"
    model.write_bytes(os.urandom(AHEAD_BYTES + 5))
    put = agent.cache.put_file(model)
    digest = hashlib.md5(model.read_bytes()).hexdigest()
    assert (put.md5, put.sent_bytes) == (digest, AHEAD_BYTES + 5)
    assert put.path.endswith(f"/cache/{digest}.bin") and Path(put.path).read_bytes() == model.read_bytes()
    assert agent.cache.put_file(model).sent_bytes == 0
    other = tmp_path / "same size.bin"
    other.write_bytes(os.urandom(AHEAD_BYTES + 5))
    assert agent.cache.put_file(other).sent_bytes == AHEAD_BYTES + 5
    assert not list((Path(agent.work) / "cache").glob(".*.part*"))


def test_a_large_push_goes_on_where_it_was(agent: Agent, tmp_path: Path) -> None:
    model = tmp_path / "large.bin"
    model.write_bytes(os.urandom(AHEAD_BYTES + 77))
    quick = _quick_name(model, AHEAD_BYTES + 77)
    (Path(agent.work) / "cache" / f".{quick}.part").write_bytes(model.read_bytes()[:10_000_000])
    put = agent.cache.put_file(model)
    assert put.sent_bytes == AHEAD_BYTES + 77 - 10_000_000
    assert Path(put.path).read_bytes() == model.read_bytes()


def test_a_part_of_another_large_file_with_the_same_ends_is_not_believed(agent: Agent, tmp_path: Path) -> None:
    model = tmp_path / "large.bin"
    data = bytearray(os.urandom(AHEAD_BYTES + 99))
    model.write_bytes(data)
    quick = _quick_name(model, len(data))
    data[8_000_000] ^= 1
    (Path(agent.work) / "cache" / f".{quick}.part").write_bytes(data)
    put = agent.cache.put_file(model)
    assert put.sent_bytes == len(data) and Path(put.path).read_bytes() == model.read_bytes()


@pytest.mark.parametrize("reports", [[], [10], [124, 125, 250]])
def test_the_md5_of_a_file_does_not_depend_on_when_it_is_begun(tmp_path: Path, reports: list[int]) -> None:
    file = tmp_path / "f"
    file.write_bytes(bytes(range(250)))
    digest = _Digest(file, 250)
    for sent in reports:
        digest.sent(sent)
    assert digest.finish() == hashlib.md5(file.read_bytes()).hexdigest()


def test_a_file_that_vanishes_while_it_is_sent_is_an_input_error(tmp_path: Path) -> None:
    digest = _Digest(tmp_path / "gone", 250)
    digest.sent(200)
    with pytest.raises(InputError, match="gone: cannot read it"):
        digest.finish()


# --------------------------------------------------------------------------- hashed beside the writing


def received(agent: Agent, data: bytes, offset: int = 0) -> tuple[Path, str]:
    """Send all of `data` from `offset` on under a passing name; its part on the board, and the name."""
    name = hashlib.md5(os.urandom(8)).hexdigest()
    part = Path(agent.work) / "cache" / f".{name}.part"
    part.write_bytes(data[:offset])
    size = str(len(data))
    pieces = (data[at : at + 100_000] for at in range(offset, len(data), 100_000))
    agent.link.ask_stream("put", name, size, str(offset), size, _owner(), "later", stdin=pieces, timeout_s=60)
    return part, name


@pytest.mark.parametrize("size", [8 * 2**20, 9 * 2**20 + 7])
def test_a_large_file_is_hashed_while_it_arrives(agent: Agent, size: int) -> None:
    data = os.urandom(size)
    part, name = received(agent, data)
    boot, told_size, md5 = part.with_name(part.name + ".sum").read_text().split()
    assert (int(told_size), md5) == (size, hashlib.md5(data).hexdigest())
    agent.link.ask("adopt", name, md5 + ".bin", str(size), _owner())
    cached = part.with_name(md5 + ".bin")
    assert cached.read_bytes() == data and cached.with_name(f".{cached.name}.ok").read_text().split()[0] == boot
    assert not list(part.parent.glob(f"{part.name}*"))


def test_what_came_in_an_earlier_push_is_hashed_too(agent: Agent) -> None:
    data = os.urandom(10 * 2**20)
    part, _ = received(agent, data, offset=1_500_000)
    assert part.with_name(part.name + ".sum").read_text().split()[2] == hashlib.md5(data).hexdigest()


def test_a_hash_from_before_a_power_cut_is_not_believed(agent: Agent) -> None:
    data = os.urandom(8 * 2**20)
    part, name = received(agent, data)
    note = part.with_name(part.name + ".sum")
    note.write_text(note.read_text().replace(note.read_text().split()[0], "an-earlier-boot"))
    part.write_bytes(bytes(len(data)))  # the disk lost what the hash had seen
    md5 = hashlib.md5(data).hexdigest()
    with pytest.raises(Refused) as refused:
        agent.link.ask("adopt", name, md5, str(len(data)), _owner())
    assert refused.value.word == "damaged" and not part.with_name(md5).exists() and not part.exists()


def test_a_part_is_not_stored_while_another_host_writes_it(agent: Agent) -> None:
    data = os.urandom(100_000)
    part, name = received(agent, data)
    lock = part.with_name(part.name + ".lock")
    lock.mkdir()
    running = agent.jobs.start(Invocation(("sleep", "30")), agent.files.new_folder("writer"), 60)
    boot = agent.jobs.poll(running, 1).boot
    supervisor = (Path(agent.work) / "jobs" / running / "pid").read_text().strip()
    (lock / "who").write_text(f"{supervisor} {boot} abcdef\n")
    md5 = hashlib.md5(data).hexdigest()
    with pytest.raises(Refused) as refused:
        agent.link.ask("adopt", name, md5, str(len(data)), _owner())
    assert refused.value.word == "busy" and part.read_bytes() == data
    agent.files.remove(f"{agent.work}/runs/writer")
    agent.link.ask("adopt", name, md5, str(len(data)), _owner())
    assert part.with_name(md5).read_bytes() == data


@pytest.mark.parametrize("says", ["echo 0123456789abcdef0123456789abcdef", "exit 1", "kill -9 $$"])
def test_a_python_of_the_board_that_hashes_wrongly_costs_a_second_look(tmp_path: Path, says: str) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python3"
    python.write_text(f"#!/bin/sh\n{says}\n")
    python.chmod(0o755)
    data = os.urandom(8 * 2**20)
    with agent_of("dash", tmp_path / "board") as agent:
        name, size = hashlib.md5(data).hexdigest(), str(len(data))
        argv = agent.link.command("put", name, size, "0", size, _owner())
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        result = subprocess.run(argv, input=data, env=os.environ | {"PATH": path}, capture_output=True, check=True)
        assert f"stored={name}".encode() in result.stdout
        assert (Path(agent.work) / "cache" / name).read_bytes() == data


@pytest.mark.parametrize("kind", ["dash", "bash"])
def test_a_push_whose_host_is_gone_when_it_answers_leaves_no_lock(kind: str, tmp_path: Path) -> None:
    """The answer meets a closed connection: the shell died of that, and its lock stayed until somebody cleaned."""
    reading, writing = os.pipe()
    os.close(reading)
    with agent_of(kind, tmp_path) as agent:
        argv = agent.link.command("put", hashlib.md5(b"").hexdigest(), "1000", "0", "1000", "abc123")
        subprocess.run(argv, input=b"short", stdout=writing, stderr=writing, timeout=20, check=False)
        os.close(writing)
        assert not list(Path(agent.work).glob("cache/.*.lock"))

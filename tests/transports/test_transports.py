"""The contract of harness/transports/base.py, held by every transport against real servers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.boards import hostkeys
from harness.boards.flat import compose
from harness.emulator.servers.serve import free_port, serve
from harness.errors import BoardError, ConfigError, HostKeyError, LinkError, UserError
from harness.records import Board
from harness.transports import CommandTimeout, Transport, open_transport
from tests.support.servers import board_of, needs, ssh_board

KINDS = ("local", "ssh-openssh", "ssh-dropbear", "openssh-openssh", "jail", "telnet")
NASTY = ["a b", "it's", 'say "x"', "$(touch hacked)", "`id`", "-rf", "line\nbreak", "\x1b[31m"]
NASTY += ["表", "*", "\\", "", "\u202e", "\udcff"]


@pytest.fixture(scope="module", params=KINDS)
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    root = tmp_path_factory.mktemp(request.param)
    with board_of(request.param, root) as made:
        yield made


@pytest.fixture(scope="module")
def link(board: Board) -> Iterator[Transport]:
    with open_transport(board.endpoint) as transport:
        yield transport


def home(link: Transport) -> Path:
    return Path(os.fsdecode(link.run(["pwd"], timeout_s=10).out.removesuffix(b"\n")))


def test_a_command_gives_its_output_its_errors_and_its_exit_code(link: Transport) -> None:
    result = link.run(["sh", "-c", "echo out; echo err >&2; exit 7"], timeout_s=10)
    assert (result.code, result.out, result.err, result.cut) == (7, b"out\n", b"err\n", False)


def test_a_missing_program_is_an_answer_with_code_127(link: Transport) -> None:
    assert link.run(["no-such-program-here"], timeout_s=10).code == 127


def test_a_signal_is_told_as_128_plus_its_number(link: Transport) -> None:
    assert link.run(["sh", "-c", "kill -9 $$"], timeout_s=10).code == 137


@pytest.mark.parametrize("word", NASTY)
def test_an_argument_arrives_as_it_is(link: Transport, word: str) -> None:
    result = link.run(["printf", "%s|%s", word, "end"], timeout_s=10)
    assert result.out == os.fsencode(word) + b"|end"


def test_an_argument_with_nul_is_refused(link: Transport) -> None:
    with pytest.raises(UserError, match="NUL"):
        link.run(["echo", "a\0b"], timeout_s=10)


def test_an_empty_command_is_refused(link: Transport) -> None:
    with pytest.raises(UserError, match="empty"):
        link.run([], timeout_s=10)


def test_standard_input_of_every_byte_comes_back(link: Transport) -> None:
    data = bytes(range(256)) * 4000
    result = link.run(["cat"], timeout_s=30, stdin=data)
    assert hashlib.md5(result.out).digest() == hashlib.md5(data).digest()


def test_a_command_without_input_does_not_wait_for_any(link: Transport) -> None:
    assert link.run(["cat"], timeout_s=10).out == b""


def test_output_beyond_the_limit_is_cut_and_said_so(link: Transport) -> None:
    result = link.run(["cat", "/dev/zero"], timeout_s=30, limit_bytes=100_000)
    assert result.cut and len(result.out) == 100_000 and result.code == -1


def test_a_flood_of_errors_does_not_block_the_command(link: Transport) -> None:
    result = link.run(["sh", "-c", "head -c 8000000 /dev/zero >&2; echo done"], timeout_s=30)
    assert result.out == b"done\n" and 0 < len(result.err) < 1_000_000


def test_a_command_over_its_time_is_an_error_and_is_ended_on_the_board(link: Transport) -> None:
    mark = f"31.{time.time_ns() % 10**6:06d}"
    with pytest.raises(CommandTimeout, match="timed out after 1 s"):
        link.run(["sh", "-c", f"sleep {mark}; true"], timeout_s=1)
    ends_at = time.monotonic() + 20
    while running(mark) and time.monotonic() < ends_at:
        time.sleep(0.1)
    assert not running(mark)


def running(mark: str) -> bool:
    is_running = False
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            is_running = is_running or f"sleep\0{mark}".encode() in entry.read_bytes()
        except OSError:
            continue
    return is_running


def test_a_stream_is_read_piece_by_piece_while_it_is_fed(link: Transport, board: Board) -> None:
    count = 20 if board.endpoint.transport == "telnet" else 200  # through a terminal 1 MB takes a second
    sent = (bytes([i % 251]) * 100_000 for i in range(count))
    with link.stream(["cat"], timeout_s=60, stdin=sent) as stream:
        total = sum(len(piece) for piece in stream)
        assert stream.code == 0
    assert total == count * 100_000


def test_a_stream_that_is_left_early_leaves_the_link_usable(link: Transport) -> None:
    with link.stream(["cat", "/dev/zero"], timeout_s=60) as stream:
        next(iter(stream))
    assert link.run(["echo", "still here"], timeout_s=10).out == b"still here\n"


def test_two_streams_run_side_by_side(link: Transport) -> None:
    """The first one lasts until the second has ended: dropbear leaves with its last command, in one of ten tries too
    early for the next one on the same connection, which the agent then asks again."""
    second_ended = threading.Event()

    def late() -> Iterator[bytes]:
        yield b"one"
        assert second_ended.wait(30)

    with link.stream(["cat"], timeout_s=40, stdin=late()) as one:
        with link.stream(["echo", "two"], timeout_s=30) as two:
            assert b"".join(two) == b"two\n"
        second_ended.set()
        assert b"".join(one) == b"one"


@pytest.mark.parametrize("name", [n for n in NASTY if n])
def test_a_file_of_any_name_is_pushed_and_pulled_whole(link: Transport, tmp_path: Path, name: str) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(3000))
    link.push(source, name, timeout_s=20)
    assert (home(link) / name).read_bytes() == source.read_bytes()
    link.pull(name, back, timeout_s=20)
    assert back.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 131_072, 9_000_001])
def test_files_of_any_size_arrive_whole_with_progress(link: Transport, board: Board, tmp_path: Path, size: int) -> None:
    size = min(size, 1_000_001) if board.endpoint.transport == "telnet" else size
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(size))
    reports: list[tuple[int, int]] = []
    link.push(source, "sized", timeout_s=60, progress=lambda now, total: reports.append((now, total)))
    assert not size or reports[-1] == (size, size)
    reports.clear()
    link.pull("sized", back, timeout_s=60, progress=lambda now, total: reports.append((now, total)))
    assert back.read_bytes() == source.read_bytes()
    assert not size or reports[-1] == (size, size)


def test_a_push_replaces_a_file_and_leaves_no_part(link: Transport, tmp_path: Path) -> None:
    source = tmp_path / "s"
    for text in ("first, and longer", "second"):
        source.write_text(text)
        link.push(source, "replaced", timeout_s=20)
    assert (home(link) / "replaced").read_text() == "second"
    assert not list(home(link).glob(".harness-*"))


def test_a_push_into_a_missing_folder_is_an_error_that_names_it(link: Transport, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("x")
    with pytest.raises(BoardError, match="no/such/folder"):
        link.push(tmp_path / "s", "no/such/folder/file", timeout_s=20)


def test_a_push_onto_a_folder_is_refused(link: Transport, tmp_path: Path) -> None:
    (home(link) / "folder").mkdir(exist_ok=True)
    (tmp_path / "s").write_text("x")
    with pytest.raises(BoardError, match="directory"):
        link.push(tmp_path / "s", "folder", timeout_s=20)
    assert not list(home(link).glob(".harness-*"))


def test_a_host_file_that_vanishes_is_told_as_such(link: Transport, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        link.push(tmp_path / "absent", "x", timeout_s=20)


def test_pulling_a_missing_file_leaves_nothing(link: Transport, tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="absent-file"):
        link.pull("absent-file", tmp_path / "got", timeout_s=20)
    assert list(tmp_path.iterdir()) == []


def test_pulling_a_folder_or_a_device_is_refused(link: Transport, tmp_path: Path) -> None:
    for name in ("/dev/zero", "/tmp"):
        with pytest.raises(BoardError, match="regular file"):
            link.pull(name, tmp_path / "got", timeout_s=20)


def test_the_far_side_answers_that_it_is_alive(link: Transport) -> None:
    assert link.alive()


def test_nothing_secret_of_this_pc_reaches_a_command(link: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_PASSWORD_SERVED", "hunter2")
    assert b"hunter2" not in link.run(["env"], timeout_s=10).out


# --------------------------------------------------------------------------- the way to the board


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    needs("sshd", "ssh-keygen")
    with serve(tmp_path_factory.mktemp("served"), "openssh") as one:
        yield ssh_board(one)


def with_(board: Board, **fields: object) -> Board:
    return replace(board, endpoint=replace(board.endpoint, **fields))  # type: ignore[arg-type]


SSH = ("ssh", "openssh")


@pytest.mark.parametrize("transport", (*SSH, "telnet"))
def test_a_closed_port_is_a_link_error_that_names_it(transport: str) -> None:
    port = free_port()
    board = compose("gone", "hbdnn", "x5", transport=transport, address="127.0.0.1", port=port, user="me")
    with pytest.raises(LinkError, match=rf"me@127\.0\.0\.1:{port}: connection refused"):
        open_transport(board.endpoint)


@pytest.mark.parametrize("transport", (*SSH, "telnet"))
def test_a_name_that_cannot_be_resolved_is_said(transport: str) -> None:
    board = compose("gone", "hbdnn", "x5", transport=transport, address="no-such-host.invalid", user="me")
    with pytest.raises(LinkError, match="resolve"):
        open_transport(board.endpoint)


@pytest.mark.parametrize("transport", SSH)
def test_an_unknown_host_key_is_refused_with_its_fingerprint(served: Board, tmp_path: Path, transport: str) -> None:
    board = with_(served, known_hosts=str(tmp_path / "none"), transport=transport)
    key = hostkeys.fetch(served.endpoint.address, served.endpoint.port)
    with pytest.raises(HostKeyError) as error:
        open_transport(board.endpoint)
    assert key.sha256 in error.value.message and "harness boards trust served" in error.value.hint


@pytest.mark.parametrize("transport", SSH)
def test_a_trusted_key_opens_the_way(served: Board, tmp_path: Path, transport: str) -> None:
    file = tmp_path / "new" / "known_hosts"
    hostkeys.trust(
        file,
        served.endpoint.address,
        served.endpoint.port,
        hostkeys.fetch(served.endpoint.address, served.endpoint.port),
    )
    with open_transport(with_(served, known_hosts=str(file), transport=transport).endpoint) as link:
        assert link.alive()


@pytest.mark.parametrize("transport", SSH)
def test_a_changed_host_key_is_refused_with_both_fingerprints(served: Board, tmp_path: Path, transport: str) -> None:
    with serve(tmp_path / "other", "openssh") as other:
        line = Path(other.known_hosts).read_text().replace(str(other.port), str(served.endpoint.port))
    file = tmp_path / "known_hosts"
    file.write_text(line)
    old = hostkeys.find(file, served.endpoint.address, served.endpoint.port)[0]
    new = hostkeys.fetch(served.endpoint.address, served.endpoint.port)
    with pytest.raises(HostKeyError) as error:
        open_transport(with_(served, known_hosts=str(file), transport=transport).endpoint)
    assert old.sha256 in error.value.message and new.sha256 in error.value.message
    assert "--replace" in error.value.hint
    with pytest.raises(HostKeyError, match="another"):
        hostkeys.trust(file, served.endpoint.address, served.endpoint.port, new)
    hostkeys.trust(file, served.endpoint.address, served.endpoint.port, new, replace=True)
    assert [k.sha256 for k in hostkeys.find(file, served.endpoint.address, served.endpoint.port)] == [new.sha256]


@pytest.mark.parametrize("transport", SSH)
def test_a_key_that_the_board_does_not_know_is_refused(served: Board, tmp_path: Path, transport: str) -> None:
    with serve(tmp_path / "other", "openssh") as other:
        identity = tmp_path / "id"
        identity.write_bytes(Path(other.identity).read_bytes())
        identity.chmod(0o600)
    with pytest.raises(LinkError, match="refused"):
        open_transport(with_(served, identity=str(identity), transport=transport).endpoint)


@pytest.mark.parametrize("transport", SSH)
def test_a_missing_key_file_is_asked_wrongly(served: Board, transport: str) -> None:
    with pytest.raises(UserError, match="no such key file"):
        open_transport(with_(served, identity="/no/such/key", transport=transport).endpoint)


@pytest.mark.parametrize("transport", SSH)
def test_ssh_config_gives_address_port_user_and_key(
    served: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host x5-alias\n HostName {served.endpoint.address}\n Port {served.endpoint.port}\n"
        f" User {served.endpoint.user}\n IdentityFile {served.endpoint.identity}\n"
    )
    monkeypatch.setenv("HARNESS_SSH_CONFIG", str(config))
    board = compose(
        "x5", "hbdnn", "x5", transport=transport, address="x5-alias", known_hosts=served.endpoint.known_hosts
    )
    with open_transport(board.endpoint) as link:
        assert link.alive()


@pytest.mark.parametrize("transport", SSH)
def test_a_board_behind_a_jump_host_is_reached(served: Board, tmp_path: Path, transport: str) -> None:
    with serve(tmp_path / "inner", "openssh") as inner:
        both = tmp_path / "known_hosts"
        both.write_text(Path(inner.known_hosts).read_text() + Path(served.endpoint.known_hosts).read_text())
        keys = tmp_path / "id"
        keys.write_bytes(Path(served.endpoint.identity).read_bytes())
        keys.chmod(0o600)
        board = ssh_board(inner, transport)
        board = with_(board, known_hosts=str(both), jump=f"{served.endpoint.user}@127.0.0.1:{served.endpoint.port}")
        config = tmp_path / "config"
        config.write_text(f"Host 127.0.0.1\n IdentityFile {served.endpoint.identity}\n IdentityFile {inner.identity}\n")
        os.environ["HARNESS_SSH_CONFIG"] = str(config)
        try:
            with open_transport(board.endpoint) as link:
                assert link.run(["pwd"], timeout_s=10).out.strip() == os.fsencode(tmp_path / "inner")
        finally:
            del os.environ["HARNESS_SSH_CONFIG"]


def test_an_unknown_transport_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="unknown transport"):
        open_transport(compose("b", "hbdnn", "x5", transport="pigeon", address="x").endpoint)


def test_a_served_board_leaves_no_process_behind(tmp_path: Path) -> None:
    needs("sshd", "dropbear", "ssh-keygen")
    for server in ("openssh", "dropbear"):
        with serve(tmp_path / server, server) as served, open_transport(ssh_board(served).endpoint) as link:
            link.run(["sh", "-c", "setsid sleep 77.125 >/dev/null 2>&1 </dev/null &"], timeout_s=10)
            ends_at = time.monotonic() + 10
            while not running("77.125") and time.monotonic() < ends_at:
                time.sleep(0.02)
            assert running("77.125")
        assert not running("77.125")
        assert not Path(f"/proc/{served.pid}").exists()


def test_a_server_ends_when_its_host_process_is_killed(tmp_path: Path) -> None:
    needs("sshd", "ssh-keygen")
    script = (
        "import sys, time; from pathlib import Path; from harness.emulator.servers.serve import serve\n"
        "with serve(Path(sys.argv[1])) as served:\n    print(served.pid, flush=True)\n    time.sleep(60)"
    )
    host = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert host.stdout is not None
    pid = int(host.stdout.readline())
    host.kill()
    host.wait()
    ends_at = time.monotonic() + 20
    while Path(f"/proc/{pid}/cmdline").exists() and time.monotonic() < ends_at:
        if not Path(f"/proc/{pid}/cmdline").read_bytes():  # a zombie that nobody waits for
            return
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()

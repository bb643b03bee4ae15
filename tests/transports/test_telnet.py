"""Telnet's own troubles, against a real busybox telnetd; the contract of all transports is in test_transports.py."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.boards.flat import compose
from harness.errors import BoardError, LinkError, LoginError
from harness.records import Board
from harness.transports import open_transport
from tests.support.servers import busybox_path
from tests.transports.telnetd import LOGIN, telnet_board

# The shell of the connection is the one above this command that telnetd started: the last before telnetd.
KILL_SERVER = """\
p=$$
while read -r _ _ _ up _ <"/proc/$p/stat"; do
  read -r name <"/proc/$up/comm"; case $name in busybox|telnetd) kill -9 "$p"; exit;; esac; p=$up
done
"""
PASSWORD = "HARNESS_PASSWORD_CAM"


def test_a_login_that_asks_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, "let me in")
    with telnet_board(tmp_path / "home", LOGIN, user="root") as board, open_transport(board.endpoint) as link:
        assert link.where.startswith("root@127.0.0.1:")
        assert link.run(["pwd"], timeout_s=10).out.strip() == os.fsencode(tmp_path / "home")


def test_a_person_is_asked_once_for_all_connections(tmp_path: Path) -> None:
    requested: list[str] = []

    def ask(text: str) -> str:
        requested.append(text)
        return "let me in"

    with (
        telnet_board(tmp_path / "home", LOGIN, user="root") as board,
        open_transport(board.endpoint, ask) as link,
        link.stream(["cat"], timeout_s=10, stdin=[b"x"]) as one,
    ):
        assert link.run(["echo", "beside"], timeout_s=10).out == b"beside\n"
        assert b"".join(one) == b"x"
    assert len(requested) == 1 and "root@127.0.0.1" in requested[0]


@pytest.mark.parametrize(
    ("user", "password", "message", "hint"),
    [
        ("root", "wrong", "the login was refused", PASSWORD),
        ("root", "", "a password is required", PASSWORD),
        ("", "", "a user name is required", "`user: root`"),
    ],
)
def test_a_login_that_fails_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str, password: str, message: str, hint: str
) -> None:
    monkeypatch.setenv(PASSWORD, password)
    with telnet_board(tmp_path / "home", LOGIN, user=user) as board, pytest.raises(LoginError, match=message) as error:
        open_transport(board.endpoint)
    assert hint in error.value.hint


def test_a_board_of_busybox_alone(tmp_path: Path) -> None:
    """Its shell edits the line, colours the prompt and echoes what is typed."""
    path = busybox_path(tmp_path / "bin")
    login = f"export PATH={path} PS1='\\033[1;32mroot@T40\\033[0m:\\w# '\n"
    with telnet_board(tmp_path / "home", login, "busybox ash -i") as board, open_transport(board.endpoint) as link:
        result = link.run(["sh", "-c", "cat; echo bad >&2; exit 3"], timeout_s=10, stdin=bytes(range(256)) * 300)
        assert (result.code, result.out, result.err) == (3, bytes(range(256)) * 300, b"bad\n")


@pytest.mark.parametrize("program", ["stty", "base64", "head"])
def test_a_program_that_the_board_lacks_is_named(tmp_path: Path, program: str) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    for name in {"stty", "base64", "head", "sh", "cat"} - {program}:
        (path / name).symlink_to(shutil.which(name) or name)
    with (
        telnet_board(tmp_path / "home", f"export PATH={path}\n", "sh") as board,
        pytest.raises(BoardError, match=f"missing on the board: {program}"),
    ):
        open_transport(board.endpoint)


def test_a_command_that_takes_no_input_ends_with_its_own_code(tmp_path: Path) -> None:
    with telnet_board(tmp_path / "home") as board, open_transport(board.endpoint) as link:
        assert link.run(["sh", "-c", "exit 9"], timeout_s=20, stdin=bytes(2_000_000)).code == 9
        assert link.run(["echo", "next"], timeout_s=10).out == b"next\n"


def test_a_connection_that_ends_is_a_link_error_and_the_next_call_connects_anew(tmp_path: Path) -> None:
    with telnet_board(tmp_path / "home") as board, open_transport(board.endpoint) as link:
        with pytest.raises(LinkError, match="the link broke"):
            link.run(["sh", "-c", KILL_SERVER], timeout_s=20)
        assert link.run(["echo", "again"], timeout_s=10).out == b"again\n"


@contextlib.contextmanager
def playing(answers: list[bytes]) -> Iterator[Board]:
    """A server that says these things, one each time that it has been told something, and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                sock, _ = server.accept()
                with sock:
                    for answer in answers:
                        sock.sendall(answer)
                        sock.recv(65536)
                    while sock.recv(65536):
                        pass

        threading.Thread(target=serve, daemon=True).start()
        limits = {"connect_timeout_s": 1.0, "patience_s": 3.0}
        port = server.getsockname()[1]
        yield compose("cam", "hbdnn", "x5", transport="telnet", address="127.0.0.1", port=port, **limits)


@pytest.mark.parametrize("message", [b"\xff\xfa\x18", b"# \xff\xfd\x18\xff\xf0" * 3, bytes(range(256))])
def test_a_server_that_is_no_shell_is_given_up(message: bytes) -> None:
    with playing([message]) as board, pytest.raises(LinkError, match="no shell within"):
        open_transport(board.endpoint)

"""Two `harness boards add` at once: neither board is lost, nor a host key."""

from __future__ import annotations

import base64
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.boards import adding
from harness.boards.flat import compose
from harness.boards.hosts_edit import Entry
from harness.boards.hosts_file import load_boards
from harness.errors import ConfigError
from harness.transports import known_hosts

BOARDS = 6
# What `boards add` does last, for several boards: argv: hosts.yaml, known_hosts, name of this process, boards
ADDS = """
import sys
from pathlib import Path
from harness.boards import adding
from harness.boards.hosts_edit import Entry
from harness.boards.flat import compose
from harness.transports import known_hosts

hosts, keys, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[4])):
    board = compose(f"{name}-{number}", "ort", "", address=f"{name}{number}")
    entries = (Entry("platform", "ort"), Entry("address", board.endpoint.address))
    adding.write(adding.Added(board, None, None, {}, None, entries), hosts)
    key = known_hosts.make_key(board.endpoint.address, 22, "ssh-ed25519", board.name.encode())
    known_hosts.trust(keys, board.endpoint.address, 22, key)
"""


def test_boards_that_two_processes_add_are_all_there(tmp_path: Path) -> None:
    hosts, keys = tmp_path / "hosts.yaml", tmp_path / "known_hosts"
    argv = [sys.executable, "-c", ADDS, str(hosts), str(keys)]
    both = [
        subprocess.Popen([*argv, name, str(BOARDS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for name in ("a", "b")
    ]
    for process in both:
        assert process.stdout and process.stdout.readline() == b"ready\n"
    for process in both:
        assert process.stdin
        process.stdin.write(b"go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] + bytes([process.returncode]) for process in both] == [b"\0", b"\0"]
    names = {f"{name}-{number}" for name in ("a", "b") for number in range(BOARDS)}
    assert set(load_boards(hosts)) == names
    recorded = {base64.b64decode(line.split()[2]).decode() for line in keys.read_text().splitlines()}
    assert recorded == names and known_hosts.find(keys, "b5", 22)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hosts.yaml", "known_hosts"]


def test_a_name_that_another_process_has_taken_meanwhile_is_refused(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yaml"
    hosts.write_text("boards:\n  b:\n    platform: ort\n    address: h\n")
    mine = compose("b", "ort", "", address="i")
    added = adding.Added(mine, *(None,) * 4, entries=(Entry("platform", "ort"), Entry("address", "i")))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="'b' already exists, at h:22"):
        adding.write(added, hosts)
    again = adding.write(replace(added, board=compose("b", "ort", "", address="h")), hosts)
    assert again.already and hosts.read_text() == "boards:\n  b:\n    platform: ort\n    address: h\n"

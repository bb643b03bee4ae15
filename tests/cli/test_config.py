"""hosts.yaml: every mistake is named with file, line and the next thing to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.boards.hosts_file import board_fields, load_boards
from harness.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, text: str) -> Path:
    path = folder / "hosts.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_file_loads_and_shows_every_key() -> None:
    boards = load_boards(ROOT / "hosts.example.yaml")
    assert [b.identity.platform for b in boards.values()] == ["hbdnn", "ucp", "magik", "hbdnn", "ort", "sophgo"]
    text = (ROOT / "hosts.example.yaml").read_text()
    assert [key for key in board_fields() if f"{key}:" not in text] == []


def test_values_arrive_as_records(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "boards:\n  a:\n    platform: hbdnn\n    soc: x5\n    address: 10.0.0.2\n    port: 2222\n"
        "    environment: {THREADS: 4}\n    setup: [[echo, 'a b']]\n    limits: {timeout_s: 30}\n",
    )
    board = load_boards(path)["a"]
    assert (board.name, board.endpoint.port, board.environment.variables) == ("a", 2222, {"THREADS": "4"})
    assert board.commands.setup == (("echo", "a b"),)
    assert board.limits.timeout_s == 30


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "boards:\n  b:\n    platform: hbdnn\n    address: a\n    workdri: /tmp\n",
            "hosts.yaml:5: boards.b.workdri: unknown key 'workdri'",
            "did you mean 'work'?",
        ),
        (
            "boards:\n  b:\n    platform: hbdnn\n    address: a\n    limits:\n      timeout: 3\n",
            "hosts.yaml:6: boards.b.limits.timeout: unknown key",
            "did you mean 'timeout_s'?",
        ),
        ("bords: {}\n", "hosts.yaml:1: bords: unknown key", "did you mean 'boards'?"),
        ("boards:\n  b: {platform: hbdn, address: a}\n", "hosts.yaml:2: boards.b.platform", ""),
        ("boards:\n  b: {platform: hbdnn, address: a, port: 99999}\n", "got 99999", ""),
        ("boards:\n  b: {platform: hbdnn, address: a, port: '22'}\n", "got text: '22'", "`port: 22`"),
        ("boards:\n  b: {platform: hbdnn}\n", "boards.b: transport ssh needs `address:`", "address"),
        ("boards:\n  b: {platform: ort, address: a}\n  b: {platform: ort, address: c}\n", "duplicate key 'b'", ""),
        ("boards:\n  b: {platform: ort, address: a, password: hunter2}\n", "no secrets allowed", "HARNESS_PASSWORD"),
        ("boards:\n  b: [\n", "not valid YAML", ""),
        ("", "empty file", "boards"),
        ("boards:\n  b: {soc: x5, address: a}\n", "missing key 'platform'", ""),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_boards(write(tmp_path, text))
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_secret_is_refused_without_being_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_boards(write(tmp_path, "boards:\n  b: {platform: ort, address: a, password: hunter2}\n"))
    assert "hunter2" not in caught.value.message + caught.value.hint

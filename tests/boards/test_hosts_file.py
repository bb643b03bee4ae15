"""hosts.yaml that says something else than was meant: exit 2, the line, and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.boards.hosts_checks import Address, read_address
from harness.boards.hosts_file import load_boards
from harness.cli import cli
from harness.emulator.built_in import own_boards
from harness.platforms import socs
from harness.platforms.horizon import options
from harness.platforms.magik import options as magik_options

HEAD = "# the lab\nboards:\n"


def refused(tmp_path: Path, text: str) -> str:
    """What `harness boards list` says of a file, on one line."""
    (tmp_path / "hosts.yaml").write_text(HEAD + text)
    result = CliRunner().invoke(cli, ["boards", "list", "--hosts", str(tmp_path / "hosts.yaml")])
    assert result.exit_code == 2, result.output
    return " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("fields", "line", "message", "hint"),
    [
        ("address: 10.0.0.1:2222", 4, "expected only an address", "write `address: 10.0.0.1`, `port: 2222`"),
        ("address: root@x5", 4, "expected only an address", "write `address: x5`, `user: root`"),
        ("address: root@x5:22", 4, "expected only an address", "`address: x5`, `user: root`, `port: 22`"),
        ("address: ssh://root@x5", 4, "expected only an address", "`address: x5`, `user: root`"),
        ("address: '[fe80::1]:22'", 4, "expected only an address", "`address: fe80::1`, `port: 22`"),
        ("address: the board", 4, "invalid address", "`address: 192.168.1.10`"),
        ('address: h\n    port: "2222"', 5, "expected a whole number, got text: '2222'", "`port: 2222`"),
        ("address: h\n    port: 22.0", 5, "expected a whole number", ""),
        ("address: h\n    tools: /usr/bin", 5, "expected a list", "`tools: [/usr/bin]`"),
        ("address: h\n    user: 1000", 5, "expected text, got a number", '`user: "1000"`'),
        ('address: h\n    emulated: "yes"', 5, "expected true or false", "`emulated: true`"),
        ("address: h\n    user:", 5, "expected text, got nothing", "or leave it out"),
        ("address: h\n    soc: x55", 5, "platform hbdnn has no soc 'x55'", "did you mean 'x5'?"),
        ("address: h\n    soc: S100", 5, "platform hbdnn has no soc 'S100'", "`platform: ucp` has it"),
        ("address: h\n    soc: rk3588", 5, "has no soc 'rk3588'", "known: x3, j3, x5, j5, ultra"),
    ],
)
def test_a_value_that_cannot_be_meant(tmp_path: Path, fields: str, line: int, message: str, hint: str) -> None:
    output = refused(tmp_path, f"  b:\n    {fields}\n    platform: hbdnn\n")
    assert f"hosts.yaml:{line}: boards.b." in output and message in output and hint in output, output


@pytest.mark.parametrize("name", ["a b", "a/b", "../b", "-b", "a\tb", "b" * 90])
def test_a_name_that_is_no_name(tmp_path: Path, name: str) -> None:
    output = refused(tmp_path, f'  "{name}": {{platform: ort, address: h}}\n')
    assert "hosts.yaml:3: boards: " in output and "invalid board name" in output and "hint: for example `" in output


@pytest.mark.parametrize("name", ["1", "on", "2026-01-01"])
def test_a_name_that_yaml_reads_as_something_else(tmp_path: Path, name: str) -> None:
    assert "put it in quotes" in refused(tmp_path, f"  {name}: {{platform: ort, address: h}}\n")


def test_a_board_with_a_built_in_ones_name_is_refused_by_every_command(tmp_path: Path) -> None:
    assert "hosts.yaml:3: boards: 'emu-x5' is the name of a built-in" in refused(
        tmp_path, "  emu-x5: {platform: hbdnn, soc: x5, address: h}\n"
    )
    for argv in (["boards", "check"], ["run", "m.bin", "--board", "emu-x5"], ["boards", "trust", "emu-x5"]):
        result = CliRunner().invoke(cli, [*argv, "--hosts", str(tmp_path / "hosts.yaml")])
        assert result.exit_code == 2 and "my-emu-x5:" in result.stderr, (argv, result.output)


def test_what_is_meant_is_taken(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(
        HEAD + "  x5_01.lab-2: {platform: hbdnn, soc: RDK-X5, address: fe80::1%eth0}\n"
        "  板一: {platform: magik, soc: T40XP, address: t40.local}\n"
        "  s: {platform: ucp, soc: rdk_s100, address: 10.0.0.1}\n  a: {platform: ort, soc: anything, address: h}\n"
        f"  l: {{platform: hbdnn, transport: local, address: '{tmp_path}/a folder'}}\n"
    )
    assert set(load_boards(tmp_path / "hosts.yaml")) == {"x5_01.lab-2", "板一", "s", "a", "l"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("root@192.168.1.10", Address("192.168.1.10", 0, "root")),
        ("h:2222", Address("h", 2222)),
        ("fe80::1", Address("fe80::1")),
        ("::1", Address("::1")),
        ("root@[fe80::1%eth0]:22", Address("fe80::1%eth0", 22, "root")),
        ("ssh://u@h:1/", Address("h", 1, "u")),
        ("h:99999", None),
        ("a@b@c", None),
        ("", None),
        ("h: 22", None),
    ],
)
def test_the_parts_of_an_address(text: str, parts: Address | None) -> None:
    assert read_address(text) == parts


def test_the_socs_are_those_of_the_platforms_tables() -> None:
    assert set(socs.KNOWN["hbdnn"]) | set(socs.KNOWN["ucp"]) == set(options.CHIPS)
    assert set(socs.KNOWN["magik"]) == set(magik_options.GENERATIONS)
    known = [one.identity for one in own_boards().values() if one.identity.platform != "ort"]
    assert all(socs.plain_name(one.platform, one.soc) for one in known)


def test_a_name_that_no_board_has_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(HEAD + "  lab-x5: {platform: hbdnn, address: 10.0.0.1, user: root}\n")
    argv = ["boards", "check", "lab-x6", "--hosts", str(tmp_path / "hosts.yaml")]
    result = CliRunner().invoke(cli, argv)
    assert result.exit_code == 2 and "no board 'lab-x6' in" in result.stderr and "'lab-x5'" in result.stderr

"""The command line as a whole: help, exit codes, start-up weight, no traceback for a user."""

from __future__ import annotations

import importlib
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness.cli import COMMANDS, PLACES, cli
from harness.cli.common import clean


def harness(*argv: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "harness", *argv], capture_output=True, text=True, cwd=cwd)


def commands(group: click.Command, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    if isinstance(group, click.Group):
        names = group.list_commands(click.Context(group))
        children = [(name, group.get_command(click.Context(group), name)) for name in names]
        return [entry for name, child in children if child for entry in commands(child, (*path, name))]
    return [(path, group)]


ALL = commands(cli)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_command_says_itself(name: str) -> None:
    command = importlib.import_module(f"harness.cli.{PLACES.get(name, name)}").command
    assert (command.help or "").strip().splitlines()[0] == COMMANDS[name]


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_has_help_and_json(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help
    assert any("--json" in parameter.opts for parameter in command.params), f"{path} has no --json"
    undocumented = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert undocumented == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_shows_an_example(name: str) -> None:
    result = harness(name, "--help")
    assert result.returncode == 0
    assert f"  harness {name}" in result.stdout


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_the_help_of_every_sub_command_shows_an_example(path: tuple[str, ...], command: click.Command) -> None:
    text = f"{command.help}\n{command.epilog or ''}"
    assert f"  harness {' '.join(path)}" in text


@pytest.mark.parametrize("name", ["boards", "emulator", "policy"])
def test_the_list_of_a_group_cuts_no_sentence(name: str) -> None:
    assert "..." not in harness(name, "--help").stdout.split("Commands:")[1]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("harness bo", "boards"),
        ("harness run --resu", "--resume"),
        ("harness run --board emu-x5-d", "emu-x5-dropbear"),
        ("harness boards check lab", "lab-07"),
        ("harness boards maintenance lab", "lab-07"),
        ("harness farm worker lab", "lab-07"),
    ],
)
def test_the_tab_key_of_a_real_bash_completes_commands_options_and_boards(
    tmp_path: Path, words: str, offered: str
) -> None:
    (tmp_path / "hosts.yaml").write_text("boards:\n  lab-07: {platform: ort, address: lab}\n", encoding="utf-8")
    parts = words.split()
    program = tmp_path / "harness"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m harness "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = (
        'PATH="$PWD:$PATH"\neval "$(_HARNESS_COMPLETE=bash_source harness)"\n'
        f"COMP_WORDS=({words}); COMP_CWORD={len(parts) - 1}; _harness_completion harness\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert offered in result.stdout.split(), result.stderr


def test_help_loads_nothing_heavy() -> None:
    heavy = [
        "numpy",
        "pandas",
        "onnx",
        "onnxruntime",
        "paramiko",
        "rich",
        "packaging",
        "jinja2",
        "scipy",
        "pydantic",
        "sqlalchemy",
        "distributed",
    ]
    code = (
        "import sys\nsys.argv = ['harness', '--help']\nfrom harness.__main__ import main\n"
        f"try:\n    main()\nexcept SystemExit:\n    pass\nprint([m for m in {heavy!r} if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["rum"], "did you mean 'run'?"),
        (["run", "model.bin"], "missing option '--board'"),
        (["run", "model.bin", "--board", "emu-x6"], "did you mean 'emu-x5'"),
        (["run", "nowhere.bin", "--board", "emu-x5"], "nowhere.bin: no such file"),
        (["run", "m.bin", "--board", "emu-x5", "--hosts", "gone.yaml"], "gone.yaml: no such file"),
        (["report", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_question_ends_with_2_and_says_what_to_type(tmp_path: Path, argv: list[str], words: str) -> None:
    result = harness(*argv, cwd=tmp_path)
    assert result.returncode == 2
    assert words in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_no_colour_codes_outside_a_terminal(tmp_path: Path) -> None:
    result = harness("boards", "list", cwd=tmp_path)
    assert result.returncode == 0
    assert "\x1b" not in result.stdout + result.stderr
    assert "emu-x5-ssh" in result.stdout


def test_text_from_a_board_cannot_steer_a_terminal() -> None:
    hostile = "a\x1b[2J\x07\u202eb\x9bc\r"
    shown = clean(hostile)
    assert shown.isprintable()
    assert "\\x1b[2J" in shown
    assert "\\u202e" in shown


def piped(tail: str, *argv: str) -> tuple[int, str, str]:
    """Exit code of harness itself, what the reader got, and what was said on stderr."""
    quoted = shlex.join([sys.executable, "-m", "harness", *argv])
    script = f"set -o pipefail; {quoted} {tail}; echo code ${{PIPESTATUS[0]}} >&2"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    errors, _, code = result.stderr.rpartition("code ")
    return int(code), result.stdout, errors


@pytest.mark.parametrize("argv", [("lint", "--rules"), ("policy", "show"), ("emulator", "faults"), ("--help",)])
@pytest.mark.parametrize("tail", ["| true", "2>&1 | true", "| head -1", ">&-", ">&- 2>&-"])
def test_a_reader_that_goes_away_changes_nothing_but_what_is_read(argv: tuple[str, ...], tail: str) -> None:
    assert piped(tail, *argv)[0::2] == (0, "")


def test_a_reader_that_goes_away_does_not_hide_the_exit_code(tmp_path: Path) -> None:
    assert piped("2>&1 | true", "inspect", str(tmp_path / "none.bin"))[0] == 2
    code, _, errors = piped("| true", "inspect", str(tmp_path / "none.bin"), "--json")
    assert code == 2 and errors.startswith("error: ")


def test_an_answer_of_which_the_start_is_read_is_cut_without_a_word() -> None:
    code, read, errors = piped("| head -c 100", "lint", "--rules", "--json")
    assert (code, len(read), errors) == (0, 100, "")


@pytest.mark.parametrize(
    "argv", [("--help",), ("--version",), ("run", "--help"), ("boards", "list"), ("boards", "list", "--json")]
)
def test_an_answer_that_a_full_disk_does_not_take_is_no_good_end(argv: tuple[str, ...]) -> None:
    code, _, errors = piped("> /dev/full", *argv)
    assert code == 3 and "Traceback" not in errors
    assert errors.startswith("error: standard output: No space left on device")
    assert piped("> /dev/full 2>&1", *argv)[0] == 3
    assert piped("> /dev/null 2> /dev/full", *argv)[0] == 0


def test_a_full_disk_does_not_hide_what_was_asked_wrongly(tmp_path: Path) -> None:
    code, _, errors = piped("> /dev/full", "report", str(tmp_path / "none"), "--json")
    assert code == 2 and "no run.json found" in errors and "Traceback" not in errors

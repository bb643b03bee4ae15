"""`harness boards add` and `boards check` against real servers: host key, what is recognised, tiny run, hosts.yaml."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from harness.boards.hosts_file import load_boards
from harness.cli import cli
from harness.emulator.build import build
from harness.emulator.built_in import own_boards, serve_board
from harness.emulator.compiler.compile import BuildOptions
from harness.emulator.rooms import soc_named
from harness.emulator.servers.serve import Served, serve
from harness.platforms import recognise
from harness.platforms.probing import SCRIPT, Guess, Seen, read_answer
from harness.records import Board
from tests.cli.answers import answer_of
from tests.support import emulator_kit as kit
from tests.support.servers import needs


def harness(*argv: object) -> Result:
    return CliRunner().invoke(cli, [str(part) for part in argv])


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No host key and no inventory of another test."""
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))


def add(name: str, board: Board | Served, *more: object) -> Result:
    at = board.endpoint if isinstance(board, Board) else board
    login = [f"{at.user}@{at.address}:{at.port}", "--identity", at.identity]
    return harness("boards", "add", name, *login, *more)


@contextmanager
def played(server: str) -> Iterator[Board]:
    needs("sshd" if server == "openssh" else "dropbear", "ssh-keygen")
    with serve_board(own_boards()["emu-x5"], server) as board:
        yield board


@pytest.mark.slow
@pytest.mark.parametrize("server", ["openssh", "dropbear"])
def test_a_board_is_met_recognised_tried_and_written_down(tmp_path: Path, server: str) -> None:
    hosts = tmp_path / "hosts.yaml"
    before = "# our lab\nboards:\n  other:   # stays\n    platform: ort\n    address: h\n\n# the end\n"
    hosts.write_text(before)
    with played(server) as board:
        refused = add("x5-01", board)
        assert refused.exit_code == 2 and "no terminal to confirm it" in refused.stderr
        (fingerprint,) = set(re.findall(r"SHA256:\S+", refused.stderr))
        wrong = add("x5-01", board, "--fingerprint", "SHA256:" + "A" * 43)
        assert wrong.exit_code == 3 and fingerprint in wrong.stderr and hosts.read_text() == before
        result = add("x5-01", board, "--fingerprint", fingerprint, "--json")
        assert result.exit_code == 0, result.output
        answer = answer_of(result.stdout, "boards-add")
        again = add("x5-01", board)  # the key is known by now: nobody is asked
        written = hosts.read_text()
        checked = harness("boards", "check", "x5-01", "--json")
        hosts.write_text(written.replace("soc: x5 ", "soc: x3 "))
        mismatch = harness("boards", "check", "x5-01")
    assert (answer["platform"], answer["soc"], answer["ready"], answer["emulated"]) == ("hbdnn", "x5", True, True)
    assert answer["versions"] == {"runtime": "1.24.5"} and answer["facts"]["BPU cores"] == "1"
    assert answer["facts"]["image"] == "0.0.0-emulated" and answer["trial"]["bytes"] == 65536
    assert [row["what"] for row in answer["missing"]] == ["hrut_somstatus"] and answer["missing"][0]["comes_from"]
    entry = yaml.safe_load(written)["boards"]["x5-01"]
    assert entry["platform"] == "hbdnn" and entry["emulated"] is True and entry["port"] == board.endpoint.port
    assert (
        written.replace(answer["block"] + "\n", "") == before and "# /sys/class/socinfo/soc_name says 'X5'" in written
    )
    assert again.exit_code == 0 and "nothing written" in again.stdout
    assert answer_of(checked.stdout, "boards-check")["boards"][0]["state"] == "ready" and checked.exit_code == 0
    line = written.splitlines().index(next(row for row in written.splitlines() if "soc: x5" in row)) + 1
    assert mismatch.exit_code == 2 and "wrong soc" in mismatch.stdout
    assert f"hosts.yaml:{line}: wrong `soc: x3`" in " ".join(mismatch.stdout.split())


@pytest.mark.slow
def test_a_run_on_a_board_that_contradicts_its_soc_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """A model for X3, and a line that says X3: only the board knows that it is an X5."""
    build([kit.save(tmp_path, kit.branched_model())], BuildOptions(soc_named("x3")), tmp_path / "net.bin")
    with played("dropbear") as board:
        assert add("b-01", board, "--yes").exit_code == 0
        hosts = tmp_path / "hosts.yaml"
        right = hosts.read_text()
        hosts.write_text(right.replace("soc: x5 ", "soc: x3 "))
        refused = harness("run", "net.bin", "--board", "b-01")
        hosts.write_text(right.replace("soc: x5 ", "soc: rdk-x5 "))
        agreed = harness("run", "net.bin", "--board", "b-01")
    line = next(number for number, row in enumerate(right.splitlines(), 1) if "soc: x5" in row)
    wanted = f"hosts.yaml:{line}: board b-01: wrong `soc: x3`: the board reports x5: 'X5'"
    assert refused.exit_code == 2 and wanted in refused.stderr and "correct `soc:` in hosts.yaml" in refused.stderr
    run = json.loads(next(tmp_path.glob("runs/*/*/*/run.json")).read_text())
    assert (run["state"], run["stopped_at"], run["pushed"], run["modes"]) == ("failed", "connecting", [], [])
    assert agreed.exit_code == 2 and "wrong `soc" not in agreed.stderr  # refused for the model, not for the line


def test_a_name_that_is_taken_is_answered_with_what_to_type(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(
        "boards:\n  b:\n    platform: ort\n    address: h\n  b-2: {platform: ort, address: i}\n"
    )
    result = harness("boards", "add", "b", "root@10.9.9.9", "--port", "2222")
    assert result.exit_code == 2 and "hosts.yaml:2: board 'b' already exists, at h:22" in result.stderr
    assert "harness boards add b-3 root@10.9.9.9 --port 2222" in result.stderr
    result = harness("boards", "add", "emu-x5", "root@10.9.9.9")
    assert result.exit_code == 2 and "harness boards add emu-x5-2 root@10.9.9.9" in result.stderr


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["a b", "root@h"], "invalid board name"),
        (["b", "root@h:22x"], "expected USER@HOST"),
        (["b", "root@h:22", "--port", "23"], "give two ports"),
        (["b", "root@h", "--hosts", "gone/hosts.yaml"], "no such folder"),
        (["b", "root@h", "--platform", "x5"], "hbdnn"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_the_board(argv: list[str], message: str) -> None:
    result = harness("boards", "add", *argv)
    assert result.exit_code == 2 and message in result.stderr


def test_a_plain_linux_board_says_what_it_lacks_and_the_file_of_hosts_is_made(tmp_path: Path) -> None:
    needs("dropbear", "ssh-keygen")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").write_text("#!/bin/sh\necho Python 3.9.2; echo numpy 1.2; echo onnxruntime is missing\n")
    (tmp_path / "bin/python3").chmod(0o755)
    path = f"{tmp_path}/bin:/usr/bin:/bin"
    with serve(tmp_path / "root", "dropbear", {"PATH": path}) as served:
        result = add("pi-01", served, "--yes", "--hosts", tmp_path / "lab.yaml", "--work", tmp_path / "root/w")
    assert result.exit_code == 3, result.output
    assert (
        "missing (required)  numpy and onnxruntime" in result.stdout and "harness boards prepare NAME" in result.stdout
    )
    made = load_boards(tmp_path / "lab.yaml")["pi-01"]
    assert (made.identity.platform, made.folders.work, made.emulated) == ("ort", f"{tmp_path}/root/w", None)
    assert not list((tmp_path / "root/w/runs").iterdir()), "the tiny run leaves nothing"


@pytest.mark.slow
def test_a_file_that_cannot_be_edited_gives_the_block_to_paste(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yaml"
    hosts.write_text("boards: {other: {platform: ort, address: h}}\n")
    with played("dropbear") as board:
        result = add("x5-01", board, "--yes")
    assert result.exit_code == 2 and "was not changed: `boards:` is written in braces" in result.stderr
    assert "  x5-01: " in result.stdout and hosts.read_text() == "boards: {other: {platform: ort, address: h}}\n"


@pytest.mark.slow
def test_a_board_of_busybox_alone_is_recognised_through_a_jump_host(tmp_path: Path) -> None:
    from harness.emulator.magik import board as magik_board
    from harness.emulator.servers import jail

    if jail.lacking():
        pytest.skip(f"no root of its own for a board here: {jail.lacking()}")
    with magik_board.served("t40") as board, serve(tmp_path / "gate", "openssh") as gate:
        login = board.endpoint
        jump = f"{gate.user}@{gate.address}:{gate.port}"
        refused = add("t40-01", board, "--jump", jump, "--yes", "--json")
        assert refused.exit_code == 3, "the gate takes another key"
        (tmp_path / "config").write_text(f"Host gate\n  HostName {gate.address}\n  IdentityFile {gate.identity}\n")
        result = subprocess.run(
            [sys.executable, "-m", "harness", "boards", "add", "t40-01", f"{login.user}@{login.address}:{login.port}",
             "--identity", login.identity, "--jump", f"{gate.user}@gate:{gate.port}", "--yes", "--json"],
            capture_output=True, text=True, cwd=tmp_path, timeout=120,
            env={"HARNESS_SSH_CONFIG": str(tmp_path / "config"), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin",
                 "XDG_CONFIG_HOME": str(tmp_path / "other")},
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        answer = json.loads(result.stdout)
        keys = (tmp_path / "other/harness/known_hosts").read_text().splitlines()
    assert (answer["platform"], answer["soc"], answer["facts"]["nmem"]) == ("magik", "t40", "128 MB")
    assert len(keys) == 2, "the gate's key and the board's"
    options = yaml.safe_load((tmp_path / "hosts.yaml").read_text())["boards"]["t40-01"]["options"]
    assert options["board_program"] == "/usr/bin/venus_sample_{mode}"


# --------------------------------------------------------------------------- recognising


def best(**seen: dict[str, str]) -> Guess:
    return recognise.guesses(Seen(**seen, whole=True))[0]


TOOL = {"hrt_model_exec": "/usr/bin/hrt_model_exec"}


@pytest.mark.parametrize(
    ("files", "platform", "soc"),
    [
        ({"/proc/device-tree/model": "D-Robotics RDK X5 V1.0"}, "hbdnn", "x5"),
        ({"/proc/device-tree/model": "Hobot X3 PI V2.1 (Board)"}, "hbdnn", "x3"),
        ({"/proc/device-tree/model": "D-Robotics RDK S100P V1P0"}, "ucp", "s100p"),
        ({"/sys/class/socinfo/soc_name": "S600"}, "ucp", "s600"),
        ({"/sys/class/socinfo/soc_name": "X5U"}, "hbdnn", "x5"),
        ({"/proc/device-tree/model": "Horizon Journey 6"}, "ort", ""),  # which J6 it is, nothing tells
        ({"/proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0"}, "ort", ""),
        ({"/proc/device-tree/model": "Xunlong Orange Pi 5 Ultra"}, "ort", ""),
        ({"/proc/cpuinfo": "machine : isvp_marmot cpu model : Ingenic XBurst@II.V2 V0.0"}, "magik", "t41"),
        ({"/proc/cpuinfo": "cpu model : Ingenic XBurst@II.V2 V0.0"}, "magik", ""),
        ({"/proc/cpuinfo": "model name : AMD A1 X3 T40"}, "ort", ""),
    ],
)
def test_a_board_is_recognised_by_its_own_names_and_never_guessed(
    files: dict[str, str], platform: str, soc: str
) -> None:
    guess = best(files=files, tools={"python3": "/usr/bin/python3"})
    assert (guess.platform, guess.soc) == (platform, soc)


def test_a_tool_without_a_name_tells_the_family_by_its_libraries() -> None:
    assert best(tools=TOOL).platform == "hbdnn"
    lib = {"/usr/hobot/lib/libhbucp.so": "/usr/hobot/lib/libhbucp.so"}
    guess = best(tools=TOOL, paths=lib)
    assert (guess.platform, guess.soc, guess.libraries) == ("ucp", "", ("/usr/hobot/lib",))
    assert {lack.what for lack in guess.lacks} == {"hrt_ucp_monitor", "python3"}
    named = best(files={"/sys/class/socinfo/soc_name": "X5"})
    assert [lack.what for lack in named.lacks if lack.needed] == ["hrt_model_exec"]


@pytest.mark.parametrize(
    ("platform", "soc", "reported", "cores", "message"),
    [
        ("hbdnn", "x3", "X5", "1", "the board reports x5"),
        ("hbdnn", "x5", "D-Robotics RDK X5 V1.0", "1", ""),
        ("hbdnn", "rdk-x5", "", "", ""),
        ("hbdnn", "x5", "", "2", "the board has 2 BPU cores, x5 has 1"),
        ("ucp", "s100", "S600", "4", "the board reports s600"),
        ("ucp", "s600", "", "1", ""),  # cores may be switched off
        ("ucp", "s600", "S600", "2", ""),
        ("hbdnn", "x5", "X5", "2", ""),
        ("hbdnn", "x3", "", "1", "the board has 1 BPU cores, x3 has 2"),
        ("magik", "t41", "isvp_shark", "", "the board is a t40"),
        ("magik", "T40XP", "isvp_shark", "", ""),
        ("hbdnn", "x5", "\x1b[31mgarbage" * 9, "-1", ""),
        ("ort", "anything", "X5", "1", ""),
        ("hbdnn", "", "X5", "1", ""),
    ],
)
def test_a_wrong_soc_is_found_by_name_or_cores(
    platform: str, soc: str, reported: str, cores: str, message: str
) -> None:
    reason = recognise.wrong_soc(platform, soc, reported, cores)
    assert reason.startswith(message) and bool(reason) == bool(message)


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_the_probe_runs_under_small_shells_and_blanks_in_names_are_names(tmp_path: Path, shell: str) -> None:
    needs(shell)
    home = tmp_path / "a home"
    (home / "etc").mkdir(parents=True)
    (home / "etc/version").write_bytes(b"3.3.1\0two\tlines\n" + b"x" * 5000)
    (home / "board.json").write_text("{}")
    (home / "bin").mkdir()
    (home / "bin/tool one").write_text("#!/bin/sh\n")
    (home / "bin/tool one").chmod(0o755)
    argv = [shell, *(["ash"] if shell == "busybox" else []), "-c", SCRIPT, "probe"]
    argv += ["folder", "/bin", "file", "/etc/ver*", "tool", "tool one", "path", "/etc/*", "tool", "gone", "file", "/no"]
    result = subprocess.run(argv, capture_output=True, env={"HOME": str(home), "PATH": "/usr/bin:/bin"}, timeout=30)
    seen = read_answer(result.stdout.decode())
    assert seen.whole and seen.files["/etc/version"].startswith("3.3.1 two lines x") and len(seen.files) == 1
    assert seen.tools == {"tool one": f"{home}/bin/tool one"} and seen.paths == {"/etc/version": f"{home}/etc/version"}


def test_an_answer_that_is_none_is_not_whole() -> None:
    for text in ("", "Welcome!\n", "done", "file\t/etc/version", "\x00\tdone\t\t"):
        assert not read_answer(text).whole
    assert read_answer("motd\ntool\ta\t/a\ndone\t\t\n").tools == {"a": "/a"}


def test_a_mistyped_platform_is_told_before_a_board_is_asked() -> None:
    result = CliRunner().invoke(cli, ["boards", "add", "b", "root@no-such-host.invalid", "--platform", "hbdn"])
    assert (
        result.exit_code == 2
        and "unknown platform 'hbdn'" in result.stderr
        and "hbdnn, ucp, magik, ort" in result.stderr
    )

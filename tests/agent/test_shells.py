"""What the agent counts and needs, under every shell that it is promised for: large numbers, programs, lists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.agent import Agent
from harness.agent.words import read_answer
from harness.assets import asset
from harness.errors import BoardError
from harness.records import Invocation
from harness.transports import open_transport
from tests.support.servers import installed, local_board, needs

SHELLS = (("dash",), ("bash",), ("mksh",), ("busybox", "ash"))
shells = pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
SCRIPT = asset("agents/agent.sh").read_text()


def on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    """Programs of this test in front of the board's own."""
    folder.mkdir(exist_ok=True)
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


# --------------------------------------------------------------------------- numbers above 2^31


def lines_printed(shell: Sequence[str], script: str) -> list[str]:
    """What a script prints that may use the agent's own functions for numbers."""
    needs(shell[0])
    (functions,) = re.findall(r"^parts\(\) \{.*?(?=\n# -)", SCRIPT, re.MULTILINE | re.DOTALL)
    result = subprocess.run([*shell, "-c", f"{functions}\n{script}"], capture_output=True, text=True, check=True)
    return result.stdout.split()


@shells
def test_numbers_that_32_bits_do_not_hold_are_calculated_right(shell: tuple[str, ...]) -> None:
    numbers = [0, 7, 8, 999_999, 1_000_000, 1_000_008, 2**31 - 1, 2**31, 2**32, 3_000_000_009, 9 * 10**11 + 8]
    pairs = [(a, b) for a in numbers for b in numbers]
    script = "".join(f"plus {a} {b}; echo $n; minus {a} {b}; echo $n; below {a} {b}; echo $?\n" for a, b in pairs)
    wanted = [str(x) for a, b in pairs for x in (a + b, max(0, a - b), int(a >= b))]
    assert lines_printed(shell, script) == wanted
    assert lines_printed(shell, "".join(f"times_1024 {n}; echo $n\n" for n in numbers)) == [
        str(n * 1024) for n in numbers
    ]


@pytest.mark.parametrize("shell", SHELLS[:3], ids=" ".join)  # busybox has a df of its own
def test_a_large_disk_is_neither_full_nor_emptied(
    shell: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 GB free are less than nothing in 32 bits: every model left the cache for the next one."""
    needs(shell[0])
    table = "Filesystem 1024-blocks Used Available Capacity Mounted\n/dev/root 9000000 4000000 5000000 45% /"
    on_path(tmp_path / "fake", monkeypatch, df=f"printf '%s\\n' '{table}'".replace("\n", "' '"))
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = installed(link, shell)
        facts = agent.hello()
        assert (facts.free_bytes, facts.total_bytes) == (5_000_000 * 1024, 9_000_000 * 1024)
        first, second = tmp_path / "first.bin", tmp_path / "second.bin"
        first.write_bytes(os.urandom(1000))
        second.write_bytes(os.urandom(1000))
        agent.cache.put_file(first)
        agent.cache.put_file(second)
        assert agent.cache.put_file(first).sent_bytes == 0
        state = agent.jobs.wait(agent.jobs.start(Invocation(("true",)), agent.files.new_folder("x"), 30))
        assert state.state == "done"


@shells
def test_files_above_2_gib_are_counted_as_they_are(shell: tuple[str, ...], tmp_path: Path) -> None:
    needs(shell[0])
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = installed(link, shell, cache_bytes=4 * 2**30)
        cache = Path(agent.work) / "cache"
        old, own = "0" * 32, "1" * 32
        for name in (old, own):
            with (cache / name).open("wb") as file:
                file.truncate(3_000_000_000)
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            stamp = subprocess.check_output(["stat", "-c", "%s %i %y %z", cache / name], text=True)
            (cache / f".{name}.ok").write_text(f"{boot} {stamp}")
        lines = f"{own} 3000000000\n{'2' * 32} 100000\n".encode()
        answer = agent.link.ask("have", str(4 * 2**30), stdin=lines)
        assert (answer.all("have"), answer.all("evicted")) == ([own], [old])
        assert agent.files.hash(agent.files.new_folder("empty")) == {}


@shells
def test_a_board_that_is_up_for_a_year_still_leases(shell: tuple[str, ...], tmp_path: Path) -> None:
    """Hundredths of a second since boot pass 2^31 after 248 days."""
    needs(shell[0])
    kernel = tmp_path / "proc/sys/kernel/random"
    kernel.mkdir(parents=True)
    (kernel / "boot_id").write_text("one-boot\n")
    script = tmp_path / "agent-x.sh"
    script.write_text(SCRIPT.replace("\nproc=/proc\n", f"\nproc={tmp_path}/proc\n"))

    def ask(at: str, *words: str) -> dict[str, str]:
        (tmp_path / "proc/uptime").write_text(f"{at} 5.00\n")
        argv = [*shell, str(script), f"work={tmp_path}", f"shell={' '.join(shell)}", *words]
        out = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
        return dict(line.split("=", 1) for line in out.splitlines())

    taken = ask("31536000.05", "lease", "take", "anna", "60", "ab")["lease"]
    shown = ask("31536010.15", "lease", "show")
    assert (shown["live"], shown["age_cs"], shown["left_cs"]) == ("1", "1010", "4990")
    assert "for at most 49 s more" in ask("31536010.15", "lease", "take", "ben", "60", "cd")["detail"]
    assert ask("31536030.00", f"lease={taken}", "lease", "renew", "60")["lease"] == "2.ab"
    assert ask("31536089.99", "lease", "show")["live"] == "1"
    assert ask("31536090.00", "lease", "show")["live"] == "0"


# --------------------------------------------------------------------------- programs


def listed(name: str) -> set[str]:
    (words,) = re.findall(rf"^{name}='(.*)'$", SCRIPT, re.MULTILINE)
    return set(words.split())


BUILT_IN = {"cd", "command", "echo", "kill", "read", "test", "true", "umask", "wait"}  # programs on some systems, too


def commands() -> set[str]:
    """The first words of the script's commands that are programs of this PC."""
    text = re.sub(r"python3 -E -S -c '.*?'", "python3", SCRIPT, flags=re.DOTALL)
    text = re.sub(r"^\s*#.*$|\s#\s.*$|'[^'\n]*'|\$\(\(.*?\)\)", " ", text, flags=re.MULTILINE)
    begins = (
        r"(?:^|[;|(&{!]|\b(?:then|do|else|elif|if|while|until|exec|xargs -0|command -v)\b)[ \t]*(?:[A-Za-z_]\w*=\S* )*"
    )
    words = set(re.findall("(?=" + begins + r"([a-z]\w*)(?=[ \t;]|\)[^ ]|\) *[<|}]|\)*$))", text, re.MULTILINE))
    own = set(re.findall(r"^(\w+)\(\) ", SCRIPT, re.MULTILINE))
    return {word for word in words - own - BUILT_IN if shutil.which(word)}


def test_the_lists_of_programs_are_those_that_the_script_uses() -> None:
    assert commands() == listed("programs") | listed("extras")


def bare(folder: Path, programs: set[str]) -> str:
    """A PATH that holds these programs and nothing else."""
    folder.mkdir()
    for name in programs | {"sh"}:
        target = shutil.which(name)
        assert target, name
        (folder / name).symlink_to(target)
    return str(folder)


def test_hello_names_each_program_that_the_board_lacks(tmp_path: Path) -> None:
    path = bare(tmp_path / "bin", listed("programs"))
    argv = [str(tmp_path / "bin/sh"), str(asset("agents/agent.sh")), f"work={tmp_path}/work", "hello"]
    for name in sorted(listed("programs")):
        (tmp_path / "bin" / name).rename(tmp_path / "away")
        result = subprocess.run(argv, stdin=subprocess.DEVNULL, env={"PATH": path}, capture_output=True, check=False)
        (tmp_path / "away").rename(tmp_path / "bin" / name)
        answer = read_answer(result.stdout)
        shell_has_it = name in ("printf",)  # built into dash
        assert (answer.error, answer.find("detail")) == (("", "") if shell_has_it else ("lacking", name)), name
        assert answer.whole


@pytest.mark.parametrize("missing", [{"tar", "sed"}, {"md5sum"}])
def test_a_board_without_a_program_is_told_so_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: set[str]
) -> None:
    monkeypatch.setenv("PATH", bare(tmp_path / "bin", listed("programs") - missing))
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = Agent(link, "work")
        with pytest.raises(BoardError, match=f"missing on the board: {' '.join(sorted(missing))[:3]}") as error:
            agent.install()
            agent.hello()
    assert "busybox" in error.value.hint and all(name in error.value.message for name in missing)


@shells
def test_the_listed_programs_are_enough(
    shell: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(shell[0])
    program = shutil.which(shell[0])
    assert program
    monkeypatch.setenv("PATH", bare(tmp_path / "bin", listed("programs")))
    (tmp_path / "model.bin").write_bytes(os.urandom(9 * 2**20))
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = installed(link, (program, *shell[1:]))
        agent.lease.take("anna", 60)
        put = agent.cache.put_file(tmp_path / "model.bin")
        place = agent.files.new_folder("run")
        state = agent.jobs.wait(agent.jobs.start(Invocation(("cat", put.path)), place, 30, sense_every_s=1))
        assert (state.state, state.exit_code) == ("done", 0)
        assert list(agent.files.fetch(place, list(agent.files.hash(place)), tmp_path / "got")) == ["log.txt"]
        assert (tmp_path / "got/log.txt").read_bytes() == (tmp_path / "model.bin").read_bytes()
        agent.clean(last=True)
        assert [path for path in Path(agent.work).rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize(
    ("shell", "tail"), [(SHELLS[0], "exit 1"), (SHELLS[2], "true"), (SHELLS[3], 'exec /usr/bin/tail "$@"')]
)
def test_a_daemon_is_ended_whatever_the_boards_tail_can_do(
    shell: tuple[str, ...], tail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environments of processes are read by `tail` of all of them; where that gives nothing, one by one."""
    needs(shell[0])
    on_path(tmp_path / "fake", monkeypatch, tail=f'[ "$1" = -c ] || exec /usr/bin/tail "$@"\n{tail}')
    mark = f"8{os.getpid()}{time.time_ns() % 10**5}"
    with open_transport(local_board(tmp_path / "board").endpoint) as link:
        agent = installed(link, shell)
        folder = agent.files.new_folder("daemon")
        leaves = Invocation(("sh", "-c", f"setsid sleep {mark} </dev/null >/dev/null 2>&1 & sleep 0.2"))
        agent.jobs.wait(agent.jobs.start(leaves, folder, 30))
        agent.files.remove(folder)
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert f"sleep {mark}" not in listed.splitlines()

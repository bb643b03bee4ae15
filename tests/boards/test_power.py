"""Power commands: used when they can help, never too often, never through a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.boards.flat import compose
from harness.boards.power import PowerPolicy, classify, power_hooks, power_steps, recover, run_command
from harness.errors import BoardError, HostError, HostKeyError, LinkError, ToolError
from harness.records import Board, Endpoint, PowerSupply

QUICK = PowerPolicy(hook_limit_s=2.0, boot_limit_s=1.0, off_s=0.0, look_every_s=0.02)
BOTH = {"cycle": ("c",), "off": ("o",), "on": ("n",)}


def board(**power: tuple[str, ...]) -> Board:
    return compose("x5-01", "hbdnn", "x5", address="10.0.0.5", power=power)


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (LinkError("no answer"), "no_link"),
        (HostKeyError("changed"), "other"),
        (BoardError("the run was lost: the board rebooted"), "rebooted"),
        (BoardError("no space"), "other"),
        (ToolError("crashed"), "other"),
    ],
)
def test_only_a_lost_link_is_a_case_for_the_power_switch(error: BoardError, trouble: str) -> None:
    assert classify(error) == trouble


@pytest.mark.parametrize(
    ("trouble", "power", "used", "steps"),
    [
        ("no_link", BOTH, 0, ("cycle",)),
        ("hung", {"off": ("o",), "on": ("n",)}, 0, ("off", "on")),
        ("no_link", {"off": ("o",)}, 0, ()),
        ("no_link", {}, 0, ()),
        ("no_link", BOTH, 1, ()),
        ("rebooted", BOTH, 0, ()),
        ("other", BOTH, 0, ()),
    ],
)
def test_the_steps_follow_the_policy(
    trouble: str, power: dict[str, tuple[str, ...]], used: int, steps: tuple[str, ...]
) -> None:
    assert power_steps(trouble, power, used, PowerPolicy()) == steps


def parts(board: Board) -> tuple[Endpoint, PowerSupply]:
    return board.endpoint, board.power


def test_a_command_gets_its_arguments_as_they_are_and_the_board_in_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_PASSWORD_X5_01", "secret")
    script = 'printf "%s|%s|%s|%s" "$1" "$HARNESS_BOARD" "$HARNESS_ADDRESS" "$HARNESS_PASSWORD_X5_01"'
    output = run_command(*parts(board(cycle=("sh", "-c", script, "sh", "a $(b) ; c"))), "cycle")
    assert output == "a $(b) ; c|x5-01|10.0.0.5|"


def test_a_board_without_the_command_does_nothing() -> None:
    assert run_command(*parts(board()), "cycle") == ""


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("no-such-program",), "cannot be run"),
        (("sh", "-c", "echo relay is stuck; exit 3"), "failed with exit code 3: relay is stuck"),
        (("sleep", "30"), "timed out after 2 s"),
    ],
)
def test_a_command_that_fails_is_said(argv: tuple[str, ...], words: str) -> None:
    with pytest.raises(HostError, match=words):
        run_command(*parts(board(cycle=argv)), "cycle", QUICK)


def test_a_board_that_comes_back_is_recovered(tmp_path: Path) -> None:
    mark = tmp_path / "on"
    one = board(off=("rm", "-f", str(mark)), on=("touch", str(mark)))
    assert recover(*parts(one), LinkError("gone"), mark.exists, policy=QUICK)


def test_a_board_that_stays_away_is_not() -> None:
    def never() -> bool:
        raise LinkError("still gone")

    assert not recover(*parts(board(cycle=("true",))), LinkError("gone"), never, policy=QUICK)


def test_a_board_is_not_cycled_more_often_than_allowed(tmp_path: Path) -> None:
    one = board(cycle=("touch", str(tmp_path / "cycled")))
    assert not recover(*parts(one), LinkError("gone"), lambda: True, cycles_used=1, policy=QUICK)
    assert not recover(*parts(one), BoardError("no space"), lambda: True, policy=QUICK)
    assert not (tmp_path / "cycled").exists()


def test_before_and_after_surround_a_run_also_when_it_fails(tmp_path: Path) -> None:
    log = tmp_path / "log"
    one = board(before=("sh", "-c", f"echo before >>{log}"), after=("sh", "-c", f"echo after >>{log}"))
    with power_hooks(*parts(one)):
        log.write_text(log.read_text() + "run\n")
    assert log.read_text() == "before\nrun\nafter\n"
    with pytest.raises(ToolError), power_hooks(one.endpoint, PowerSupply({**one.power.commands, "after": ("false",)})):
        raise ToolError("crashed")

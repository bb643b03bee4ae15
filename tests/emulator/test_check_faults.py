"""Faults that cannot be planted are refused on this PC, with what can; those that can are let through."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.emulator.model.check_faults import check_faults
from harness.emulator.model.compiled import CompiledModel
from harness.emulator.model.execute import Executor
from harness.emulator.model.faults import ENVIRONMENT, catalogue
from harness.errors import UserError
from tests.support import emulator_kit as kit
from tests.support.builds import harness

NUMERIC = sorted(kind.name for kind in catalogue().values() if kind.where == "op")


def model(soc: str = "x5") -> CompiledModel:
    return kit.opened(kit.branched(soc))[1]


@pytest.mark.parametrize(
    ("fault", "message", "hint"),
    [
        ("halved@cnv2", "no op or tensor 'cnv2'", "'conv2'"),
        ("nan@conv2", "int8 tensor cannot hold nan", "nan can be injected at: "),
        ("one_value@conv2:index=99999", "index 99999 is outside the 3840 elements", ""),
        ("one_value@conv2:index=1.5", "index=1.5 is not a whole number", ""),
        ("one_value@conv2:indx=1", "has no argument 'indx'", "known: index, by, seed"),
        (
            "zeroed_column@conv4:index=15",
            "column 15 is outside the 10 columns",
            "zeroed_column can be injected at: conv",
        ),
        (
            "dead_channel@conv2:index=12",
            "channel 12 is outside the 12 channels",
            "dead_channel can be injected at: conv4",
        ),
        ("padding_leak@prob", "not padded", "padding_leak can be injected at: "),
        ("colour_order@x:by=2", "has no argument 'by'", ""),
        ("swapped_inputs@x:with=y", "no input 'y'", "inputs: x"),
        ("swapped_inputs@x:with=x", "with itself", ""),
        ("rounding@conv2:share=7", "must be 0 to 1", ""),
        ("shift@conv2:by=nan", "not a finite number", ""),
        ("shift@conv2:by=x", "is not a number", ""),
        ("slow@conv2:by=0", "too small", ""),
        ("tile@conv2:size=0", "too small", ""),
        ("wrong_library", "not supported by this board's tools", "harness emulator faults"),
        ("crash@release", "has no subcommand 'release'", "model_info, infer, perf"),
    ],
)
def test_what_cannot_be_planted_is_refused_with_what_can(fault: str, message: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        check_faults(fault, model())
    assert message in caught.value.message and hint in caught.value.hint, (caught.value.message, caught.value.hint)


@pytest.mark.parametrize(
    ("fault", "message"),
    [("noise", "not supported by this board's tools"), ("crash@infer", "has no subcommand 'infer'")],
)
def test_boards_of_another_family_have_other_tools(fault: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_faults(fault, model("t40"))
    check_faults("few_runs;crash@profile", model("t40"))


@pytest.mark.parametrize("kind", NUMERIC)
@pytest.mark.parametrize("op", ["conv2", "attention"])
def test_the_check_and_the_board_agree(kind: str, op: str) -> None:
    """What is let through can be planted, what is refused cannot."""
    file, compiled = kit.opened(kit.branched())
    text = f"{kind}@{op}"
    try:
        faults = check_faults(text, compiled, file.read(compiled.graph))
    except UserError:
        from harness.emulator.model.faults import parse_faults

        with pytest.raises(UserError):
            Executor(file, compiled, parse_faults(text, compiled)).run({"x": kit.feed()}, ["prob"], debug=True)
        return
    assert Executor(file, compiled, faults).run({"x": kit.feed()}, ["prob"], debug=True)


def test_nothing_is_started_for_a_fault_that_cannot_be(tmp_path: Path) -> None:
    argv = ["run", kit.branched(), "--board", "emu-x5", "--fault", "dead_channel@conv2:index=12"]
    result = harness(*argv, cwd=tmp_path)
    assert result.returncode == 2 and "channel 12" in result.stderr, result.stderr
    assert not list(tmp_path.rglob("run.json"))


@pytest.mark.slow
@pytest.mark.parametrize("board", ["emu-x5", "emu-x5-ssh"])
def test_faults_of_the_environment_are_tried_too_and_reach_every_board(tmp_path: Path, board: str) -> None:
    command = [sys.executable, "-m", "harness", "run", str(kit.branched()), "--board", board, "--mode", "release"]
    environment = os.environ | {ENVIRONMENT: "halved@cnv2"}
    refused = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and "'cnv2'" in refused.stderr
    environment = os.environ | {ENVIRONMENT: "crash@infer"}
    crashed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert crashed.returncode == 3 and "segmentation fault" in crashed.stdout

"""The commands of steps that are to be done: what was typed, with the step's own options."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from harness.diagnosis.steps import steps_of
from tests.records.kit import typed
from tests.support import fixtures_run as runs


def commands(*argv: str, before: str = "", **changed: Any) -> list[str]:
    run = runs.not_compared_run() | changed
    if argv:
        run["command"] = {"argv": list(argv), "line": before + shlex.join(argv), "folder": "/tmp"}
    return [step.command for step in steps_of(typed(run)) if step.state == "to_do" and step.command]


BASE = ("harness", "run", "--board", "emu-x5", "packed dir/all.bin", "--model-name", "second", "--input", "a=p.jpg")


def test_a_command_is_what_was_typed_with_the_steps_options() -> None:
    begin = shlex.join(BASE)
    made = commands(*BASE)
    assert made and all(command.startswith(f"{begin} --") for command in made)
    assert any(command == f"{begin} --repeat 3" for command in made)


@pytest.mark.parametrize("more", [("--mode", "profile"), ("--mode=profile",)])
def test_a_mode_that_was_chosen_does_not_stand_in_the_way(more: tuple[str, ...]) -> None:
    made = commands(*BASE, *more, "--rounds", "5")
    assert f"{shlex.join(BASE)} --rounds 5 --repeat 3" in made
    assert not any("profile" in command for command in made)
    with_modes = [command for command in made if "--mode " in command]
    assert with_modes and not any("--rounds" in command for command in with_modes)


def test_an_option_of_the_step_stands_once_and_before_what_is_no_option() -> None:
    made = commands(*BASE[:4], "--reference", "old.onnx", "--", "-odd.bin")
    with_reference = [command for command in made if "QUANTIZED.onnx" in command]
    assert with_reference and all("old.onnx" not in command for command in with_reference)
    assert all(command.endswith(" -- -odd.bin") for command in made)


def test_variables_that_decide_stay_in_front() -> None:
    made = commands(*BASE, before="HARNESS_HOSTS=h.yaml ")
    assert made and all(command.startswith("HARNESS_HOSTS=h.yaml harness run ") for command in made)


def test_what_was_not_typed_is_built_from_the_record() -> None:
    run = runs.not_compared_run()
    made = commands(case=run["case"] | {"model_name": "second one"})
    assert made and all("--model-name 'second one'" in command for command in made)
    assert commands("harness", "soak", "m.bin", "--board", "b") == commands()

"""What a newcomer stumbled over: wrong words, options without effect, exit codes that say "measured" of nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper

from harness.boards.hosts_file import load_boards
from harness.boards.inventory import own_boards
from harness.cli import cli, endings
from harness.errors import InputError
from harness.names import safe_name
from harness.platforms.emulated import latency_is_estimated
from harness.records import InputFacts
from harness.session.inputs import plan_inputs
from harness.session.job import check_name


def harness(*argv: object) -> Result:
    return CliRunner().invoke(cli, [str(part) for part in argv])


@pytest.fixture
def relu(tmp_path: Path) -> Path:
    """`x` (f32, 1 x 4) -> Relu -> `y`."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name="relu")], "relu", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(tmp_path / "relu.onnx"))
    np.array([-1, 0, 1, 2], np.float32).tofile(tmp_path / "x.bin")
    return tmp_path / "relu.onnx"


@pytest.fixture
def reference(relu: Path) -> Path:
    folder = relu.parent / "reference"
    assert harness("reference", relu, "--input", relu.parent / "x.bin", "-o", folder).exit_code == 0
    return folder


# --------------------------------------------------------------------------- a bug is not "measured and bad"


def test_a_bug_ends_with_3_and_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert endings.tell(ValueError("odd")) == 3
    assert "(a bug in harness): ValueError: odd" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (FileNotFoundError(2, "No such file or directory", "gone"), 2, "gone: No such file"),
        (PermissionError(13, "Permission denied", b"closed"), 2, "closed: Permission denied"),
        (FileExistsError(17, "File exists", "file"), 2, "expected a folder"),
        (OSError(28, "No space left on device"), 3, "free space"),
        (MemoryError(), 3, "memory"),
    ],
)
def test_what_the_system_refuses_is_a_sentence(
    capsys: pytest.CaptureFixture[str], error: Exception, code: int, word: str
) -> None:
    assert endings.tell(error) == code
    errors = capsys.readouterr().err
    assert word in errors and "hint: " in errors and "Traceback" not in errors


def test_a_reference_onto_a_file_is_refused_with_a_sentence(relu: Path) -> None:
    result = harness("reference", relu, "--input", relu.parent / "x.bin", "-o", relu)
    assert result.exit_code == 2 and "expected a folder" in result.stderr


# --------------------------------------------------------------------------- asked wrongly, before anything is done


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["run", "m.bin", "--board", "emu-x5", "--timeout", "nan"], "finite"),
        (["run", "m.bin", "--board", "emu-x5", "--mode", ","], "empty mode name"),
        (["run", "m.bin", "--board", "emu-x5", "--input", "gone.bin"], "no such input file"),
        (["run", "m.bin", "--board", "emu-x5", "--input", "."], "expected an input file, got a folder"),
        (["run", "--resume", "runs/x", "--mode", "release"], "cannot be used with --resume"),
        (["run", "m.bin", "--board", "emu-x5", "--mode", "profile", "--repeat", "3"], "has neither"),
        (["run", "m.bin", "--board", "emu-x5", "--float", "f.onnx"], "needs --reference"),
        (["run", "x5", "m.bin", "--board", "emu-t41"], "more than one MODEL: 'x5' and 'm.bin'"),
        (["run", "m.bin", "--resume", "runs/x"], "MODEL cannot be used with --resume"),
        (["run", "m.bin", "--board", "emu-x5", "--reference", ""], "--reference: empty value"),
        (["compare", "a", "b", "--map="], "--map: empty value"),
        (["run", "", "--board", "emu-x5"], "empty argument"),
        (["run", "m.bin", "--board", "emu-x5", "--frames", "9", "--time", "60"], "cannot be used together"),
        (["run", "m.bin", "--board", "emu-x5", "--case", "../x"], "--case takes a name, not a path"),
        (["emulator", "build", "a.onnx", "b.onnx", "--soc", "t40"], "2 models given: T40 and T41 files hold one"),
        (["boards", "trust", "emu-x5"], "runs on this PC"),
        (["boards", "lease", "emu-x5", "--minutes", "nan"], "finite"),
        (["compare", "a", "b", "--json", "--csv"], "cannot be used together"),
        (["compare", "a", "b", "--input", "x.bin"], "already holds tensors"),
        (["lint", "c.yaml", "--json", "--sarif"], "cannot be used together"),
        (["lint"], "missing argument 'CONFIG'"),
        (["policy", "show", "--dtype", "s8"], "needs --for"),
        (["policy", "show", "--for", "Conv", "--dtype", "int8"], "no such dtype"),
        (["emulator", "serve", "emu-x5", "--port", "70000"], "70000"),
    ],
)
def test_what_cannot_be_meant_is_refused(argv: list[str], word: str) -> None:
    result = harness(*argv)
    assert result.exit_code == 2
    assert word in result.stderr


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["run"], "missing argument 'MODEL'", "harness run --help"),
        (
            ["report", "r", "--markdwn"],
            "no such option '--markdwn'",
            "did you mean '--markdown'? See harness report --help",
        ),
        (["rnu"], "no such command 'rnu'", "did you mean 'run'? See harness --help"),
        (["boards", "lst"], "no such command 'lst'", "did you mean 'list'? See harness boards --help"),
        (["compare", "a", "b", "--csv"], "cannot be used together", "harness compare --help"),
        (["compare", "a", "b", "--map", ""], "--map: empty value", "set the variable, or leave the option out"),
        (["report", "gone"], "no run.json found", "give a run folder, for example runs/CASE/BOARD/20261120T091400Z"),
    ],
)
def test_what_is_asked_wrongly_is_json_too(argv: list[str], message: str, hint: str) -> None:
    result = harness(*argv, "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["exit_code"], answer["hint"]) == (2, 2, hint)
    assert message in answer["error"] and f"error: {answer['error']}\nhint: {hint}\n" == result.stderr


def test_without_an_inventory_the_way_to_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    result = harness("boards", "check", "x5-01")
    assert result.exit_code == 2 and "harness boards add" in result.stderr


def test_a_check_of_all_boards_is_of_ones_own_where_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    assert {board.name for board in own_boards()} >= {"emu-x5", "emu-arm64"}
    (tmp_path / "hosts.yaml").write_text("boards:\n  lab-07: {platform: ort, address: lab}\n", encoding="utf-8")
    assert [board.name for board in own_boards()] == ["lab-07"]


def test_a_folder_of_runs_is_no_folder_of_dumps(reference: Path, tmp_path: Path) -> None:
    dumps = tmp_path / "runs" / "board" / "20261120T091400Z" / "debug"
    dumps.mkdir(parents=True)
    (dumps.parent / "run.json").write_text("{}", encoding="utf-8")
    result = harness("compare", reference, tmp_path / "runs")
    assert result.exit_code == 2 and "a folder of runs" in result.stderr and str(dumps) in result.stderr


def test_a_tensor_given_twice_is_refused(relu: Path) -> None:
    result = harness("reference", relu, "--input", f"x={relu.parent / 'x.bin'}", "--input", "x=y.bin", "-o", "out")
    assert result.exit_code == 2 and "more than once" in result.stderr


def test_the_options_of_a_platform_are_listed() -> None:
    result = harness("run", "--board", "emu-x5", "--option", "list")
    assert result.exit_code == 0 and "platform hbdnn" in result.stdout and "core" in result.stdout
    assert json.loads(harness("run", "--board", "emu-t41", "--option", "list", "--json").stdout)["platform"] == "magik"


def test_a_reference_of_one_input_is_not_compared_with_noise(reference: Path, tmp_path: Path) -> None:
    result = harness("run", tmp_path / "m.bin", "--board", "emu-x5", "--reference", reference)
    assert result.exit_code == 2 and "no --input was given" in result.stderr


def test_normalisation_without_an_nv12_input_is_refused(relu: Path) -> None:
    result = harness("emulator", "build", relu, "--soc", "x5", "--scale", "0.5")
    assert result.exit_code == 2 and "--input-type nv12" in result.stderr


def test_a_yaml_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text("[" * 100_000)
    result = harness("policy", "check", tmp_path / "deep.yaml")
    assert result.exit_code == 2 and "nested too deeply" in result.stderr


# --------------------------------------------------------------------------- answers


def test_an_error_is_json_too(tmp_path: Path) -> None:
    result = harness("report", tmp_path, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["exit_code"] == 2


def test_inspect_shows_what_it_can_and_ends_with_2_for_the_rest(relu: Path) -> None:
    result = harness("inspect", relu.parent / "gone", relu)
    assert result.exit_code == 2
    assert "ONNX model" in result.stdout and "no such file" in result.stderr
    assert "{" not in result.stdout


def test_inspect_of_a_run_with_odd_modes_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format": 1, "modes": 3}')
    assert harness("inspect", tmp_path).exit_code == 0


def test_rules_of_lint_are_json_where_asked() -> None:
    rules = json.loads(harness("lint", "--rules", "--json").stdout)["rules"]
    assert {"rule", "severity", "title", "source"} == set(rules[0])


def test_compare_says_what_the_float_reference_showed(reference: Path) -> None:
    result = harness("compare", reference, reference, "--float", reference)
    assert "three-way: " in result.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_model_is_a_sentence(relu: Path) -> None:
    relu.chmod(0)
    result = harness("inspect", relu)
    assert result.exit_code in (2, 3) and "Traceback" not in result.stderr


def test_a_served_board_is_emulated_and_keeps_its_address(tmp_path: Path) -> None:
    entry = (
        "boards:\n  b:\n    platform: hbdnn\n    soc: x5\n    emulated: true\n    address: 127.0.0.1\n    port: 2222\n"
    )
    (tmp_path / "hosts.yaml").write_text(entry)
    board = load_boards(tmp_path / "hosts.yaml")["b"]
    assert board.emulated is not None and (board.emulated.soc, board.emulated.server) == ("x5", "served")
    assert (board.endpoint.address, board.endpoint.port) == ("127.0.0.1", 2222)


def test_the_latency_of_a_release_run_alone_is_an_estimate_where_a_side_file_says_so(tmp_path: Path) -> None:
    assert not latency_is_estimated(tmp_path)
    (tmp_path / "emulated.json").write_text('{"emulated": true, "estimated": ["BPU"]}')
    assert latency_is_estimated(tmp_path)


def test_one_nv12_file_feeds_a_model_that_takes_its_two_planes(tmp_path: Path) -> None:
    (tmp_path / "photo.nv12").write_bytes(bytes(range(24)))
    facts = [InputFacts("images_y", 16), InputFacts("images_uv", 8)]
    plan = plan_inputs([("", tmp_path / "photo.nv12")], facts, tmp_path / "inputs")
    assert [item.tensor for item in plan] == ["images_y", "images_uv"]
    assert [item.path.read_bytes() for item in plan] == [bytes(range(16)), bytes(range(16, 24))]


def test_a_file_that_is_not_the_two_planes_is_not_split(tmp_path: Path) -> None:
    (tmp_path / "photo.nv12").write_bytes(bytes(23))
    facts = [InputFacts("images_y", 16), InputFacts("images_uv", 8)]
    with pytest.raises(InputError, match="expected 2 inputs"):
        plan_inputs([("", tmp_path / "photo.nv12")], facts, tmp_path / "inputs")


@pytest.mark.parametrize(("name", "word"), [("", "has 2 models: a, b"), ("c", "no model 'c'")])
def test_a_packed_file_asks_which_model_is_meant(name: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        check_name("packed.bin", name, ("a", "b"))
    check_name("packed.bin", "b", ("a", "b"))


def test_a_long_name_of_long_letters_still_makes_a_folder(tmp_path: Path) -> None:
    (tmp_path / safe_name("\N{MATHEMATICAL SCRIPT CAPITAL X}" * 90)).mkdir()

"""The main job, by the real command line: right, wrong, and every way of asking or breaking it."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import ExampleModel, build, harness, harness_here


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


def run_digits(digits: ExampleModel, cwd: Path, *more: str, board: str = "emu-x5", model: Path | None = None) -> Any:
    argv = ["run", model or digits.model, "--board", board, "--input", digits.input, "--reference", digits.reference]
    return harness(*argv, "--frames", "3", *more, cwd=cwd)


def load(cwd: Path) -> dict[str, Any]:
    (file,) = cwd.rglob("run.json")
    run: dict[str, Any] = json.loads(file.read_text())
    return run


# --------------------------------------------------------------------------- right


def test_a_sound_board_is_consistent_in_every_layer(digits: ExampleModel, tmp_path: Path) -> None:
    result = run_digits(digits, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Consistent" in result.stdout
    assert "emulated" in result.stdout
    run = load(tmp_path)
    assert run["state"] == "complete"
    assert run["verdict"]["word"] == "consistent"
    verdicts = {layer["verdict"] for layer in run["comparison"]["layers"]}
    assert verdicts == {"exact"}
    assert run["comparison"]["extras"]["debug_vs_release"]["same"] is True
    assert [mode["mode"] for mode in run["modes"]] == ["info", "release", "debug", "profile"]
    assert run["profile"]["estimated"] is True
    assert next(tmp_path.rglob("report.html")).stat().st_size > 10_000


@pytest.mark.slow
def test_the_answer_as_json_is_the_run(digits: ExampleModel, tmp_path: Path) -> None:
    result = run_digits(digits, tmp_path, "--json")
    answer = json.loads(result.stdout)
    assert answer["verdict"]["word"] == "consistent"
    assert Path(tmp_path, answer["report"]).is_file()
    assert answer["board"]["emulated"] is True


@pytest.mark.slow
def test_the_second_run_pushes_no_byte(digits: ExampleModel, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for cwd in (first, second):
        cwd.mkdir()
        assert run_digits(digits, cwd).returncode == 0
    assert sum(push["sent_bytes"] for push in load(second)["pushed"]) == 0
    assert [push["md5"] for push in load(second)["pushed"]] == [push["md5"] for push in load(first)["pushed"]]


@pytest.mark.slow
def test_the_report_comes_again_byte_for_byte_from_run_json_alone(digits: ExampleModel, tmp_path: Path) -> None:
    assert run_digits(digits, tmp_path).returncode == 0
    page = next(tmp_path.rglob("report.html"))
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(page.parent / "run.json", alone)
    assert harness("report", alone, cwd=tmp_path).returncode == 0
    assert (alone / "report.html").read_bytes() == page.read_bytes()


@pytest.mark.slow
def test_without_a_reference_nothing_is_called_good(digits: ExampleModel, tmp_path: Path) -> None:
    argv = ["run", digits.model, "--board", "emu-x5", "--input", digits.input, "--frames", "2", "--no-stages"]
    result = harness(*argv, cwd=tmp_path)
    assert result.returncode == 0
    assert load(tmp_path)["verdict"]["word"] == "not_compared"
    assert "not compared" in result.stdout


@pytest.mark.slow
def test_without_an_input_the_noise_is_said(digits: ExampleModel, tmp_path: Path) -> None:
    result = harness("run", digits.model, "--board", "emu-x5", "--mode", "release", cwd=tmp_path)
    assert result.returncode == 0
    run = load(tmp_path)
    assert run["case"]["inputs"][0]["generated"] is True
    assert "seeded noise" in " ".join(run["notes"])


@pytest.mark.slow
def test_repeats_are_checked_for_sameness(digits: ExampleModel, tmp_path: Path) -> None:
    assert run_digits(digits, tmp_path, "--repeat", "3", "--mode", "release,debug").returncode == 0
    answer = load(tmp_path)["comparison"]["extras"]["determinism"]
    assert {kind: (entry["deterministic"], entry["runs"]) for kind, entry in answer.items()} == {
        "release": (True, 3),
        "debug": (True, 3),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "code", "title", "undecided"),
    [
        ([], 0, "3 repeats agree in every layer compared (2 of 8)", 6),
        (["--graph"], 0, "3 repeats agree in every layer compared (8 of 8)", 0),
        (["--fault", "nondeterminism@conv2"], 1, "3 repeats differ, first at softmax_out", 7),
        (["--graph", "--fault", "nondeterminism@conv2"], 1, "3 repeats differ, first at conv2_relu_out", 0),
    ],
)
def test_repeats_without_a_reference_are_held_against_each_other(
    digits: ExampleModel, tmp_path: Path, more: list[str], code: int, title: str, undecided: int
) -> None:
    more = [part for word in more for part in ([word, str(digits.reference)] if word == "--graph" else [word])]
    argv = ["run", digits.model, "--board", "emu-x5", "--input", digits.input, "--repeat", "3", "--mode", "debug"]
    result = harness(*argv, "--no-stages", *more, cwd=tmp_path)
    assert result.returncode == code, (result.stdout, result.stderr)
    assert f"Not compared with a reference; {title}" in result.stdout
    run = load(tmp_path)
    assert run["comparison"] is None
    assert len(run["checks"]["determinism"]["debug"]["undecided"]) == undecided
    page = next(tmp_path.rglob("report.html")).read_text()
    assert (run.get("graph") is not None) is ('id="graph"' in page) is (str(digits.reference) in more)
    assert "Repeatability" in page and ("Layers whose values change" in page) is (code == 1)


@pytest.mark.slow
def test_what_a_repeat_leaves_again_does_not_cross_the_link_again(digits: ExampleModel, tmp_path: Path) -> None:
    argv = ["run", digits.model, "--board", "emu-x5", "--input", digits.input, "--repeat", "2", "--mode", "release"]
    assert harness(*argv, "--no-stages", cwd=tmp_path).returncode == 0
    first, second = (mode for mode in load(tmp_path)["modes"] if mode["mode"].startswith("release"))
    output = {mode["mode"]: next(f for f in mode["files"] if "output" in f["name"]) for mode in (first, second)}
    assert [output[mode]["obtained"] for mode in ("release", "release-2")] == ["pulled", "reused"]


def _comparable(run: dict[str, Any]) -> dict[str, Any]:
    """The comparison without what names this very run, and without md5 of files whose padding is undefined."""
    comparison = copy.deepcopy(run["comparison"])
    comparison["reference"] = None
    for layer in comparison["layers"]:
        layer["board_file"] = Path(layer["board_file"]).name
        del layer["file_md5_board"]
    return dict(comparison)


@pytest.mark.slow
@pytest.mark.parametrize("board", ["emu-x5-ssh", "emu-x5-dropbear"])
def test_over_ssh_the_comparison_is_the_same_field_by_field(digits: ExampleModel, tmp_path: Path, board: str) -> None:
    fault = ("--mode", "debug", "--fault", "shift@conv2")
    for name in ("emu-x5", board):
        (tmp_path / name).mkdir()
        assert run_digits(digits, tmp_path / name, *fault, board=name).returncode == 1
    assert _comparable(load(tmp_path / board)) == _comparable(load(tmp_path / "emu-x5"))


def slowly(*values: str) -> list[Any]:
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["a b'c\"d.bin", "-rf.bin", *slowly("photo.bin", "层一.bin", "new\nline.bin", "$(reboot).bin")]
)
def test_any_model_path_works(digits: ExampleModel, tmp_path: Path, name: str) -> None:
    model = tmp_path / name
    shutil.copy(digits.model, model)
    result = harness("run", f"./{name}", "--board", "emu-x5", "--mode", "release", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert load(tmp_path)["case"]["model"]["name"] == name


# --------------------------------------------------------------------------- measured and bad


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one_value", "off_by_one", "halved", "permuted", "zeroed_column"])
def test_a_planted_fault_is_found_at_its_op(digits: ExampleModel, tmp_path: Path, kind: str) -> None:
    result = run_digits(digits, tmp_path, "--mode", "debug", "--fault", f"{kind}@conv2")
    assert result.returncode == 1, result.stderr
    comparison = load(tmp_path)["comparison"]
    assert [origin["op"] for origin in comparison["origins"]] == ["conv2"]
    first = next(layer for layer in comparison["layers"] if layer["verdict"] == "differs")
    assert first["op"] == "conv2"
    assert "conv2" in result.stdout


@pytest.mark.slow
def test_a_debug_build_that_computes_something_else_is_no_agreement(digits: ExampleModel, tmp_path: Path) -> None:
    assert run_digits(digits, tmp_path, "--mode", "release,debug", "--fault", "debug_differs@conv2").returncode == 1
    assert load(tmp_path)["comparison"]["extras"]["debug_vs_release"]["same"] is False


@pytest.mark.slow
def test_modes_that_differ_within_the_policy_are_within_it_and_that_is_said(
    digits: ExampleModel, tmp_path: Path
) -> None:
    """Dumping takes an optimizer's fusions away: on a float platform the outputs are then others by a rounding."""
    policy = tmp_path / "wide.yaml"
    limits = "{max_step: 255, mismatch_share: 1, relative_l2: 10, max_abs_over_range: 10}"
    policy.write_text(f"policy: wide\nextends: default\nrules:\n  - {{name: all, limits: {limits}}}\n")
    more = ("--mode", "release,debug", "--fault", "debug_differs@conv2", "--policy", str(policy))
    result = run_digits(digits, tmp_path, *more)
    run = load(tmp_path)
    assert result.returncode == 0 and run["verdict"]["word"] == "consistent_within", result.stdout
    assert run["comparison"]["extras"]["debug_vs_release"]["within"] is True
    assert "give different" in result.stdout and "C-104" in result.stdout


@pytest.mark.slow
def test_a_board_that_changes_its_mind_is_not_deterministic(digits: ExampleModel, tmp_path: Path) -> None:
    result = run_digits(digits, tmp_path, "--mode", "debug", "--fault", "nondeterminism@conv2", "--repeat", "3")
    assert result.returncode == 1
    assert load(tmp_path)["verdict"]["word"] == "not_deterministic"


# --------------------------------------------------------------------------- asked wrongly


def expect(result: Any, code: int, *words: str) -> None:
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


@pytest.mark.slow
def test_a_model_that_is_no_model(digits: ExampleModel, tmp_path: Path) -> None:
    whole = digits.model.read_bytes()
    bad = {
        "empty.bin": (b"", "empty"),
        "cut.bin": (whole[: len(whole) // 2], "damaged"),
        "foreign.bin": (b"\x00\x01\x02\x03" * 5000, "emulated"),
        "graph.onnx": (digits.onnx.read_bytes(), "emulator build"),
    }
    for name, (content, word) in bad.items():
        (tmp_path / name).write_bytes(content)
        expect(harness_here("run", name, "--board", "emu-x5", cwd=tmp_path), 2, name, word)
    assert not list(tmp_path.rglob("run.json"))


def test_an_emulated_model_is_refused_for_a_real_board(digits: ExampleModel, tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("boards:\n  real: {platform: hbdnn, soc: x5, address: 127.0.0.1, port: 9}\n")
    expect(harness_here("run", digits.model, "--board", "real", cwd=tmp_path), 2, "emulat")


def test_a_model_of_another_soc(shared_folder: Path, tmp_path: Path) -> None:
    other = build(shared_folder, "digits", "ultra")
    expect(harness_here("run", other.model, "--board", "emu-x5", cwd=tmp_path), 2, "ultra", "x5")


def test_an_input_of_the_wrong_size_says_both_sizes(digits: ExampleModel, tmp_path: Path) -> None:
    (tmp_path / "short.bin").write_bytes(bytes(100))
    result = harness_here("run", digits.model, "--board", "emu-x5", "--input", "short.bin", cwd=tmp_path)
    expect(result, 2, "256", "100", "image")


def test_an_unknown_input_name(digits: ExampleModel, tmp_path: Path) -> None:
    result = harness_here("run", digits.model, "--board", "emu-x5", "--input", f"imag={digits.input}", cwd=tmp_path)
    expect(result, 2, "no input 'imag'", "did you mean 'image'?")


@pytest.mark.slow
def test_too_many_inputs(digits: ExampleModel, tmp_path: Path) -> None:
    argv = ["run", digits.model, "--board", "emu-x5", "--input", digits.input, "--input", digits.input]
    expect(harness_here(*argv, cwd=tmp_path), 2, "expected 1 input", "got 2")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--mode", "relese"], ["relese", "release"]),
        (["--time", "90"], ["90 seconds", "whole minutes", "--time 60 or --time 120"]),
        (["--time", "600"], ["time limit of 600 s", "--timeout 720"]),
        (["--reference", "gone.onnx"], ["gone.onnx", "no such reference"]),
        (["--option", "coer=1"], ["coer", "core"]),
        (["--fault", "halvd@conv2"], ["halvd", "halved"]),
        (["--fault", "halved@conv9"], ["conv9"]),
        (["--policy", "gone.yaml"], ["gone.yaml"]),
    ],
)
def test_a_wrong_word_is_named_with_the_right_one(
    digits: ExampleModel, tmp_path: Path, more: list[str], words: list[str]
) -> None:
    result = harness_here("run", digits.model, "--board", "emu-x5", "--input", digits.input, *more, cwd=tmp_path)
    expect(result, 2, *words)


# --------------------------------------------------------------------------- could not measure


def hosts(cwd: Path, text: str) -> None:
    (cwd / "hosts.yaml").write_text("boards:\n  b:\n    platform: ort\n    " + text)


@pytest.mark.slow
def test_an_unreachable_host_is_named_with_its_port(digits: ExampleModel, tmp_path: Path) -> None:
    hosts(tmp_path, "address: 127.0.0.1\n    port: 9\n    user: root\n")
    expect(harness("run", digits.onnx, "--board", "b", cwd=tmp_path), 3, "root@127.0.0.1:9", "hint:")


def test_a_board_without_the_tool(digits: ExampleModel, tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(
        f"boards:\n  b: {{platform: hbdnn, soc: x5, transport: local, work: '{tmp_path}/work'}}\n"
    )
    vendor = tmp_path / "vendor.bin"
    vendor.write_bytes(b"\x7fBPU" + bytes(range(256)) * 40)
    expect(harness_here("run", vendor, "--board", "b", cwd=tmp_path), 3, "hrt_model_exec", "tools")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ("crash@infer", "segmentation fault"),
        ("garbage@infer", "garbage"),
        ("missing_file@infer", "left no"),
        ("silent_failure@infer", "fail"),
        ("wrong_march@infer", "march"),
        ("no_space@infer", "space"),
    ],
)
def test_a_tool_that_fails_is_never_a_pass(digits: ExampleModel, tmp_path: Path, fault: str, word: str) -> None:
    result = run_digits(digits, tmp_path, "--mode", "release", "--fault", fault)
    assert result.returncode == 3, (result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    run = load(tmp_path)
    failures = [mode["failure"] for mode in run["modes"] if mode["failure"]]
    assert failures
    text = json.dumps(failures) + json.dumps(run["problems"])
    assert word in text, text


@pytest.mark.slow
def test_a_tool_that_hangs_is_ended_on_the_board(digits: ExampleModel, tmp_path: Path) -> None:
    result = run_digits(digits, tmp_path, "--mode", "release", "--fault", "hang@infer", "--timeout", "3")
    assert result.returncode == 3
    run = load(tmp_path)
    assert any(mode["timed_out"] for mode in run["modes"])
    assert "3 s" in json.dumps(run["modes"])


@pytest.mark.slow
def test_a_dump_cut_short_is_a_row_that_says_so(digits: ExampleModel, tmp_path: Path) -> None:
    result = run_digits(digits, tmp_path, "--mode", "debug", "--fault", "truncated_dump@infer")
    assert result.returncode != 0 or "truncated" in json.dumps(load(tmp_path)["comparison"])
    run = load(tmp_path)
    text = json.dumps(run["comparison"]) + json.dumps(run["modes"]) + json.dumps(run["problems"])
    assert "truncated" in text or "cut" in text
    assert run["verdict"]["word"] != "consistent"


@pytest.mark.slow
def test_less_coverage_than_asked_for_is_no_success(digits: ExampleModel, tmp_path: Path) -> None:
    result = run_digits(digits, tmp_path, "--mode", "release", "--min-coverage", "50")
    assert result.returncode == 3
    verdict = load(tmp_path)["verdict"]
    assert verdict["word"] == "incomplete" and "50.0%" in verdict["detail"]


@pytest.mark.slow
def test_a_version_skew_is_a_finding_and_not_a_failure(digits: ExampleModel, tmp_path: Path) -> None:
    result = run_digits(digits, tmp_path, "--mode", "release", "--fault", "wrong_version")
    assert result.returncode == 0
    assert "version" in json.dumps(load(tmp_path)["findings"])

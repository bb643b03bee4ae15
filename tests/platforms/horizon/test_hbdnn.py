"""The X3/X5/J5/Ultra family: command lines, refused models, failures."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness.boards.flat import compose
from harness.errors import InputError
from harness.platforms import load
from harness.records import Board, Emulated, Job
from tests.support.horizon_fixtures import captured, feature, perf_console, x5_info

HBDNN = load("hbdnn")


def board(soc: str = "x5", emulated: bool = False) -> Board:
    return compose(name=f"lab-{soc}", platform="hbdnn", soc=soc, emulated=Emulated(soc) if emulated else None)


def argv(mode: str, soc: str = "x5", **job: Any) -> tuple[str, ...]:
    return HBDNN.invocation(board(soc).identity, Job(mode=mode, model="/b/tiny.bin", folder="/b/run", **job)).argv


# --------------------------------------------------------------------------- command lines


def test_a_release_run_infers_and_dumps_the_outputs() -> None:
    assert argv("release", inputs=("/b/a.bin", "/b/c.bin"), core=1) == (
        "hrt_model_exec", "infer", "--model_file=/b/tiny.bin", "--core_id=1", "--input_file=/b/a.bin,/b/c.bin",
        "--enable_dump=true", "--dump_format=bin",
    )  # fmt: skip


def test_a_debug_run_dumps_the_nodes_too_and_expects_both_kinds_of_file() -> None:
    invocation = HBDNN.invocation(board().identity, Job("debug", "/b/m.bin", "/b/run"))
    assert invocation.argv[-1] == "--dump_intermediate=1"
    assert invocation.expected == ("model_infer_output_*", "layer-*")


def test_a_profile_run_asks_for_the_profiler_files_in_its_own_folder() -> None:
    command = argv("profile", threads=4, frames=500)
    assert command[1] == "perf"
    assert "--thread_num=4" in command and "--frame_count=500" in command and command[-1] == "--profile_path=."


def test_the_info_run_names_only_the_model() -> None:
    assert argv("info", model_name="second") == (
        "hrt_model_exec", "model_info", "--model_file=/b/tiny.bin", "--model_name=second",
    )  # fmt: skip


def test_time_replaces_frames_in_whole_minutes() -> None:
    assert "--perf_time=2" in argv("profile", time_s=120.0)
    assert not any(flag.startswith("--frame_count") for flag in argv("profile", time_s=120.0))
    with pytest.raises(InputError, match=r"--time 90 is 90 seconds.*takes whole minutes") as refused:
        argv("profile", time_s=90.0)
    assert "multiple of 60 seconds: --time 60 or --time 120" in refused.value.hint
    with pytest.raises(InputError) as short:
        argv("profile", time_s=0.5)
    assert short.value.hint.endswith("seconds: --time 60")


def test_regions_of_resizer_inputs_are_passed_as_groups() -> None:
    command = argv("release", options={"roi": "2,4,123,125;6,8,111,113"})
    assert "--roi_infer=true" in command and "--roi=2,4,123,125;6,8,111,113" in command


@pytest.mark.parametrize(
    ("soc", "option", "value", "says"),
    [
        ("x5", "core", "2", "one BPU core"),
        ("x3", "core", "3", "2 BPU cores"),
        ("x5", "core", "1,2", "core number"),
        ("x5", "core", "-1", "core number"),
        ("x5", "threads", "9", "1 to 8"),
        ("x5", "threads", "0", "1 to 8"),
        ("x5", "threads", "two", "1 to 8"),
        ("x5", "frames", "0", "1 to"),
        ("x5", "time", "nan", "seconds"),
        ("x5", "time", "-60", "seconds"),
        ("x5", "roi", "1,2,3", "left,top,right,bottom"),
        ("x5", "roi", "5,5,5,9", "empty"),
    ],
)
def test_an_option_out_of_range_is_refused_and_never_clamped(soc: str, option: str, value: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        argv("profile", soc, options={option: value})


def test_both_cores_of_an_x3_can_be_chosen() -> None:
    assert "--core_id=2" in argv("profile", "x3", core=2)
    assert "--core_id=2" in argv("profile", "rdk-x3", core="2")


def test_a_path_with_a_comma_cannot_be_given_to_this_tool() -> None:
    with pytest.raises(InputError, match="commas"):
        argv("release", inputs=("/b/one,two.bin",))


# --------------------------------------------------------------------------- check_model


def emulator_model(path: Path, meta: Any) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.json", json.dumps(meta))
    path.write_bytes(b"HARNEMU1" + path.read_bytes())
    return path


def test_a_vendor_model_is_refused_on_an_emulated_board_and_the_reverse(tmp_path: Path) -> None:
    vendor = tmp_path / "real.bin"
    vendor.write_bytes(b"\x00\x01\x02\x03" * 64)
    played = emulator_model(tmp_path / "played.bin", {"format": 1, "models": [{"march": "bayes-e"}]})
    HBDNN.check_model(vendor, board().identity)
    HBDNN.check_model(played, board(emulated=True).identity)
    with pytest.raises(InputError, match="emulated board"):
        HBDNN.check_model(vendor, board(emulated=True).identity)
    with pytest.raises(InputError, match="built for an emulated board"):
        HBDNN.check_model(played, board().identity)


def test_a_model_of_another_march_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    path = emulator_model(tmp_path / "m.bin", {"models": [{"march": "bernoulli2"}]})
    with pytest.raises(InputError, match=r"built for bernoulli2, but lab-x5 \(x5\) needs bayes-e"):
        HBDNN.check_model(path, board(emulated=True).identity)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\x08\x08\x12\x07pytorch" + b"\x00" * 40, "an ONNX"),
        (b"PK\x03\x04" + b"\x00" * 40, "zip archive"),
        (b"<!DOCTYPE html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git-lfs pointer"),
    ],
)
def test_what_is_no_compiled_model_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        HBDNN.check_model(path, board().identity)


def test_a_truncated_emulator_model_is_called_damaged(tmp_path: Path) -> None:
    path = emulator_model(tmp_path / "m.bin", {"models": [{"march": "bayes-e"}]})
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match="damaged or truncated"):
        HBDNN.check_model(path, board(emulated=True).identity)


def test_a_missing_model_says_why_it_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        HBDNN.check_model(tmp_path / "none.bin", board().identity)


# --------------------------------------------------------------------------- failures

GOOD_INFER = "hrt_model_exec infer --model_file=m.bin\nInfer time: 1.5 ms\n"


def kind(mode: str, code: int | None, log: str, present: tuple[str, ...] = ()) -> str:
    failure = HBDNN.read_failure(mode, code, log, present)
    return failure.kind if failure else ""


def test_runs_that_worked_are_no_failures() -> None:
    assert kind("profile", 0, perf_console(), ("profiler.log", "log.txt")) == ""
    assert kind("release", 0, GOOD_INFER, ("model_infer_output_0_o.bin",)) == ""
    assert kind("info", 0, x5_info([], [feature("o", (1, 2))])) == ""


@pytest.mark.parametrize(
    ("mode", "code", "log", "present", "expected"),
    [
        ("profile", 0, perf_console().split("Perf result:")[0], ("profiler.log",), "no_result"),
        ("profile", 0, perf_console(), (), "no_result"),
        ("release", 0, GOOD_INFER, (), "no_result"),
        ("debug", 0, GOOD_INFER, ("model_infer_output_0.bin",), "no_result"),
        ("release", 0, "\x00\x01garbage\n", (), "garbage"),
        ("release", 0, "", (), "garbage"),
        ("profile", 0, "hrt_model_exec perf --model_file=m.bin\n" + "\ufffd\x01\x02" * 40, (), "garbage"),
        ("release", None, GOOD_INFER, ("model_infer_output_0.bin",), "timeout"),
        ("release", 139, GOOD_INFER, (), "crash"),
        ("release", -6, GOOD_INFER, (), "crash"),
        ("profile", 137, perf_console(), ("profiler.log",), "killed"),
        ("release", 127, "sh: hrt_model_exec: not found\n", (), "missing_tool"),
        ("release", 1, "x: error while loading shared libraries: libdnn.so: cannot open\n", (), "missing_library"),
        ("release", 1, "ERROR: unknown command line flag 'dump_intermediate'\n", (), "usage"),
        ("release", 0, "[E][DNN] hbDNNInfer failed, error code: -6000007\n", (), "task_failed"),
        ("release", 3, "[E][DNN] something error code: -6000007\n", (), "memory"),
        ("release", 3, "strange\n", (), "failed"),
        ("release", 1, 'When model_file has one more model, "model_name" must be specified!\n', (), "usage"),
        ("release", 1, "write: No space left on device\n", (), "no_space"),
        ("info", 0, "[DNN] Runtime version = 1.24.5_(3.15.55 HBRT)\n", (), "no_result"),
    ],
)  # fmt: skip
def test_failures_are_judged_by_code_text_and_files(
    mode: str, code: int | None, log: str, present: tuple[str, ...], expected: str
) -> None:
    assert kind(mode, code, log, present) == expected


def test_the_vendor_s_line_stays_as_evidence_and_its_code_is_explained() -> None:
    failure = HBDNN.read_failure("release", 1, "[E][DNN] hbDNNInfer failed, error code: -6000014\n", ())
    assert failure is not None
    assert "HB_DNN_INCOMPATIBLE_MODEL (-6000014)" in failure.message and failure.evidence.startswith("[E][DNN]")
    assert failure.hint


@pytest.mark.parametrize(
    ("name", "kind_expected", "says"),
    [
        ("dnn_file_missing_error.txt", "missing_file", "cannot open models/cdt_20251125_640x384.bin"),
        ("wrong_march_message.txt", "wrong_march", "compiled for bernoulli2"),
        ("x5_incompatible_platform_error.txt", "wrong_march", "this board is an X5"),
        ("s600_ucp_errors.txt", "memory", "L2 memory"),
    ],
)
def test_captured_errors_become_plain_sentences(name: str, kind_expected: str, says: str) -> None:
    for code in (0, 1):
        failure = HBDNN.read_failure("release", code, captured(name), ())
        assert failure is not None and failure.kind == kind_expected and says in failure.message


def test_captured_noise_of_the_old_key_chip_is_no_failure() -> None:
    assert kind("profile", 0, captured("x3_perf_mobilenetv1_keros_ansi.txt"), ("profiler.log",)) == ""


def test_version_skew_is_a_warning_and_the_run_goes_on() -> None:
    line = (
        "[W][DNN]bpu_model_info.cpp:491][Version](2026-11-20,10:00:00.1.2) Model: m. Inconsistency between the hbrt "
        "library version 3.15.47.0 and the model build version 3.15.54.0 detected, in order to ensure correct results\n"
    )
    info = HBDNN.read_model_info(line + x5_info([], [feature("o", (1, 2))]))
    assert info.warnings[0] == "version skew: the board's HBRT is 3.15.47.0, the model was built for 3.15.54.0"
    assert HBDNN.read_versions(line)["model_hbrt"] == "3.15.54.0"
    assert kind("info", 0, line + x5_info([], [feature("o", (1, 2))])) == ""

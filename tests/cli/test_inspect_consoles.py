"""`harness inspect` of board consoles hides nothing that its readers know, in the table and in --json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli import cli

MODEL_INFO = """\
[BPU_PLAT]BPU Platform Version(1.3.6)!
[DNN] Runtime version = 1.23.5_(3.15.47 HBRT)
Load model to DDR cost 19.5ms.
This model file has 1 model:
[net]
---------------------------------------------------------------------
[model name]: net

input[0]:
name: image
input source: HB_DNN_INPUT_FROM_PYRAMID
valid shape: (1,3,64,64)
aligned shape: (1,3,64,64)
aligned byte size: 6144
tensor type: HB_DNN_IMG_TYPE_NV12
tensor layout: HB_DNN_LAYOUT_NCHW
quanti type: NONE
stride: (0,0,0,0)

output[0]:
name: scores
valid shape: (1,8,4,2)
aligned shape: (1,8,4,16)
aligned byte size: 512
tensor type: HB_DNN_TENSOR_TYPE_S8
tensor layout: HB_DNN_LAYOUT_NHWC
quanti type: SCALE
stride: (512,64,16,1)
scale data: 0.25,0.5,
zero_point data: 0,0,
quantizeAxis: 3
---------------------------------------------------------------------
"""
SKEW = (
    "[W][DNN]bpu_model_info.cpp:491][Version](2026-01-02,10:01:36.965.438) Model: net. Inconsistency between the hbrt "
    "library version 3.15.47.0 and the model build version 3.15.54.0 detected, in order\n"
)


def perf(threads: int, mean_ms: float, progress: str = "") -> str:
    return f"""\
hrt_model_exec perf --model_file m.bin --thread_num {threads} --core_id 1
{progress}Running condition:
  Thread number is: {threads}
  Frame count   is: 100
  Program run time: {mean_ms * 100 / threads:.3f} ms
Perf result:
  Frame totally latency is: {mean_ms * 100} ms
  Average    latency    is: {mean_ms} ms
  Frame      rate       is: {threads * 1000 / mean_ms:.6f} FPS
"""


PROGRESS = (
    "Frame count: 50,  Thread Average: 9.9 ms,  thread max latency: 12.5 ms,  thread min latency: 8.5 ms,  FPS: 101.0\n"
)


def shown(path: Path, text: str) -> tuple[dict[str, Any], str]:
    """The JSON of a file with this text, and what a terminal shows."""
    path.write_text(text)
    plain = CliRunner().invoke(cli, ["inspect", str(path)])
    answer = CliRunner().invoke(cli, ["inspect", str(path), "--json"])
    assert (plain.exit_code, answer.exit_code) == (0, 0), plain.output
    return json.loads(answer.stdout)["files"][0], plain.stdout


def test_model_info_shows_quantization_strides_sizes_source_load_time_and_warnings(tmp_path: Path) -> None:
    artifact, page = shown(tmp_path / "info.log", SKEW + MODEL_INFO)
    (image,), (scores,) = artifact["facts"]["inputs"], artifact["facts"]["outputs"]
    assert (image["source"], image["type"], image["aligned_bytes"]) == ("pyramid", "NV12", 6144)
    assert scores["scales"] == [0.25, 0.5] and scores["zero_points"] == [0, 0] and scores["axis"] == 3
    assert scores["stride_bytes"] == [512, 64, 16, 1] and scores["aligned_shape"] == [1, 8, 4, 16]
    assert artifact["facts"]["load_ms"] == 19.5
    assert {one["severity"] for one in artifact["messages"]} == {"warning"}
    for word in ("pyramid", "6144", "0.25, 0.5", "512x64x16x1", "19.5", "version skew"):
        assert word in page


def test_every_model_of_a_packed_file_is_shown(tmp_path: Path) -> None:
    second = MODEL_INFO.split("----\n")[1].replace("net", "other").replace("scores", "boxes")
    artifact, page = shown(tmp_path / "info.log", MODEL_INFO + second)
    assert [(row["model"], row["name"]) for row in artifact["facts"]["outputs"]] == [
        ("net", "scores"),
        ("other", "boxes"),
    ]
    assert "boxes" in page


def test_perf_shows_threads_core_extremes_and_run_time(tmp_path: Path) -> None:
    artifact, page = shown(tmp_path / "perf.log", perf(2, 10.0, PROGRESS))
    (run,) = artifact["facts"]["perf"]
    assert run == {
        "threads": 2, "core": "1", "frames": 100, "latency_us": 10000.0, "min_us": 8500.0, "max_us": 12500.0,
        "run_us": 500000.0, "fps": 200.0,
    }  # fmt: skip
    assert "12500" in page and "500000" in page


@pytest.mark.parametrize("command", [True, False])
def test_several_perf_summaries_in_one_console_are_several_entries(tmp_path: Path, command: bool) -> None:
    text = perf(1, 9.9) + perf(2, 13.9) + perf(4, 25.0)
    lines = [line for line in text.splitlines(keepends=True) if command or not line.startswith("hrt_model_exec")]
    artifact, _ = shown(tmp_path / "loop.log", "".join(lines))
    assert [(run["threads"], run["latency_us"]) for run in artifact["facts"]["perf"]] == [
        (1, 9900.0),
        (2, 13900.0),
        (4, 25000.0),
    ]
    assert artifact["problems"] == []


def test_a_killed_run_between_good_ones_is_an_entry_of_its_own(tmp_path: Path) -> None:
    killed = "hrt_model_exec perf --model_file m.bin --thread_num 8\n" + PROGRESS
    artifact, _ = shown(tmp_path / "loop.log", perf(1, 9.9) + killed + perf(4, 25.0))
    assert [run["threads"] for run in artifact["facts"]["perf"]] == [1, 4]
    assert artifact["facts"]["unfinished_perf"] == [
        {"frames": 50, "latency_us": 9900.0, "min_us": 8500.0, "max_us": 12500.0}
    ]
    assert any("without a summary" in problem for problem in artifact["problems"])


def test_errors_of_a_console_are_kept_with_the_meaning_of_their_code(tmp_path: Path) -> None:
    error = "[E][UCP] hbUCPSubmitTask failed, ret: -400001\n"
    artifact, page = shown(tmp_path / "perf.log", "[UCP]: UCP version = 3.3.3\n" + error * 2)
    (message,) = artifact["messages"]
    assert (message["severity"], message["line"]) == ("error", 2)
    assert "HB_UCP_MEM_ALLOC_FAIL" in message["meaning"] and "HB_UCP_MEM_ALLOC_FAIL" in page


@pytest.mark.parametrize(
    ("text", "kind", "key"),
    [
        (PROGRESS, "board_console", "unfinished_perf"),
        ("Infer time: 1.464 ms\n", "board_console", "infer"),
        (
            "[BPU_PLAT]BPU Platform Version(1.3.6)!\n[HBRT] set log level as 0. version = 3.15.47.0\n",
            "board_console",
            "",
        ),
        ("===1===\ntemperature-->\n\tCPU      : 50.1 (C)\n", "somstatus", "sensors"),
    ],
    ids=["killed perf", "infer", "banner", "somstatus"],
)
def test_short_consoles_are_recognised(text: str, kind: str, key: str, tmp_path: Path) -> None:
    artifact, _ = shown(tmp_path / "x.log", text)
    assert artifact["kind"] == kind and (not key or artifact["facts"][key])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (
            "[E][DNN][packed_model.cpp:129][Model] Can not open models/m.bin, file not exists or no read permission.\n",
            "path",
        ),
        ("The model's march is bernoulli2, please run on X/J3 board!\n", "march"),
        ("[E] [Plan] model [m] node [m.s] L2 memory not enough,\n[FAIL] Execute: code=-200003\n", "--option l2"),
    ],
)
def test_a_failure_alone_is_recognised_with_its_cause(text: str, word: str, tmp_path: Path) -> None:
    artifact, page = shown(tmp_path / "x.log", text)
    assert artifact["messages"][0]["severity"] == "error" and word in artifact["messages"][0]["meaning"]
    assert word in page


def test_an_error_of_another_program_is_no_console(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("tar: x: Cannot write: No space left on device\n")
    assert CliRunner().invoke(cli, ["inspect", str(tmp_path / "x.txt")]).exit_code == 2


def test_tensors_that_a_python_program_lists_are_shown(tmp_path: Path) -> None:
    text = (
        "[DNN] Runtime version = 1.23.10_(3.15.54 HBRT)\n"
        "\x1b[1;31mLoad D-Robotics Quantize model time = 27.5 ms\x1b[0m\n"
        "intput[0], name=image, type=uint8, shape=(1, 3, 64, 64)\n"
        "output[trans[0]], name=scores, type=int32, shape=(1, 8)\noutput[1], name=boxes, type=int32, shape=(1, 8, 4)\n"
    )
    artifact, page = shown(tmp_path / "x.log", text)
    assert artifact["facts"]["load_ms"] == 27.5
    assert [row["shape"] for row in artifact["facts"]["inputs"]] == [[1, 3, 64, 64]]
    assert [row["name"] for row in artifact["facts"]["outputs"]] == ["scores", "boxes"] and "boxes" in page


def test_a_console_with_the_builds_settings_shows_tensors_and_settings(tmp_path: Path) -> None:
    desc = '[model desc]: {"BUILDER_VERSION": "3.5.16", "MARCH": "nash-e", "CALI_TYPE": "kl"}\n'
    artifact, page = shown(tmp_path / "info.log", MODEL_INFO + desc)
    assert artifact["march"] == "nash-e" and artifact["settings"]["model_desc"]["CALI_TYPE"] == "kl"
    assert artifact["facts"]["outputs"][0]["name"] == "scores" and "CALI_TYPE" in page

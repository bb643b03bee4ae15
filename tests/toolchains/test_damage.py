"""Files of toolchains that were cut, recoded or mixed up are read as far as they are whole."""

from __future__ import annotations

import re
from pathlib import Path

from harness.toolchains import read_any
from harness.toolchains.horizon.log import read_build_log
from harness.toolchains.text import decode, lines_of
from tests.support.toolchain_samples import TOOLCHAIN, sample, x5_log

# --------------------------------------------------------------------------- damage


def test_a_log_in_our_own_words_is_read_the_same() -> None:
    log = read_build_log(x5_log())
    assert [(n.name, n.unit, n.subgraph, n.cosine, n.threshold, n.input_dtype) for n in log.nodes] == [
        ("HZ_PREPROCESS_FOR_images", "BPU", 0, 1.000043, 127.0, "s8"),
        ("/net/conv1/Conv", "BPU", 0, 0.999453, 1.01807, "s8"),
        ("/net/Softmax", "CPU", None, 0.985373, 19.5613, "f32"),
        ("/net/Softmax_calibrated_Requantize", "BPU", 1, None, None, "s16"),
        ("/net/conv2/Conv", "BPU", 1, 0.998111, 634.64, "s16"),
    ]
    assert log.problems == () and log.finished is True


def test_windows_line_ends_colours_and_utf16_change_nothing() -> None:
    plain = read_build_log(x5_log())
    coloured = "\n".join(f"\x1b[32m{line}\x1b[0m" for line in x5_log().splitlines()) + "\n"
    for text in (x5_log().replace("\n", "\r\n"), coloured, decode(x5_log().encode("utf-16"))[0]):
        assert read_build_log(text).nodes == plain.nodes
        assert read_build_log(text).estimates == plain.estimates


def test_chinese_text_in_gb18030_is_read_and_said() -> None:
    text, assumed = decode("校准数据 hb_mapper".encode("gb18030"))
    assert text == "校准数据 hb_mapper" and assumed == ("not UTF-8; read as GB18030",)


def test_a_record_glued_into_a_progress_bar_is_split_off() -> None:
    glued = "calibration:  0%|   | 0/4 [00:00<?, ?it/s]2026-09-24 19:25:28,007 INFO BPU march           : nash-p\n"
    assert [line.text for line in lines_of(glued)][1] == "BPU march           : nash-p"


def test_a_row_with_another_row_inside_is_left_out_and_told() -> None:
    text = x5_log().replace("0.999453           1.01807    int8", "0.999453  /net/x  BPU  id(0)  Conv  0.5")
    log = read_build_log(text)
    assert "/net/conv1/Conv" not in {node.name for node in log.nodes}
    assert any("more than one row" in problem for problem in log.problems)


def test_an_overlong_cell_pushes_its_row_and_loses_nothing() -> None:
    text = re.sub(r"(/net/conv2/Conv\s.*)HzSQuantizedConv {7}", r"\1HzQuantizedGlobalAveragePool  ", x5_log())
    assert "GlobalAveragePool" in text
    node = read_build_log(text).nodes[-1]
    assert (node.kind, node.cosine, node.threshold) == ("HzQuantizedGlobalAveragePool", 0.998111, 634.64)


def test_a_log_of_an_emulated_toolchain_says_so() -> None:
    log = read_build_log(x5_log() + "2026-01-02 03:04:05,678 INFO written by harness's emulator, not by hb_mapper\n")
    assert log.facts["emulated"] is True and "emulated" in log.title


def test_two_builds_in_one_file_read_the_last_and_say_so() -> None:
    log = read_build_log(x5_log().replace("0.999453", "0.111111") + x5_log())
    assert log.nodes[1].cosine == 0.999453
    assert any("holds 2 builds" in problem for problem in log.problems)


def test_every_sample_of_a_toolchain_is_recognised_or_known_to_be_none() -> None:
    sample("SOURCES.tsv")
    of_no_tool = {
        "SOURCES.tsv",
        "x3_doc_calibration_data_tree.txt",
        "x3_doc_hb_perf_result_tree.txt",
        # board tools, not toolchains
        "x3_doc_hrt_model_exec_perf_console.txt",
        "x3_doc_hrt_profiler_log_malformed.txt",
    }
    unknown = {path.name for path in TOOLCHAIN.iterdir() if read_any(path) is None}
    assert {name for name in unknown if not name.startswith("x5_board_")} == of_no_tool


def test_a_file_of_no_known_kind_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello\n")
    (tmp_path / "empty").write_bytes(b"")
    assert read_any(tmp_path / "x.txt") is None and read_any(tmp_path / "empty") is None

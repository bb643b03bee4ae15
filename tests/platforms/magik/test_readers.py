"""What Venus prints and leaves, read: real captures with their values, our own in all formats, and damaged ones."""

from __future__ import annotations

import random
import re

import pytest

from harness.emulator.magik import printing
from harness.platforms import load
from harness.platforms.magik.failures import judge, unwritten_dumps
from harness.platforms.magik.profile import op_times, read_profile
from harness.platforms.magik.text import Box, read_boxes, read_nmem, read_reserved, read_times_us, read_versions, skew
from tests.support import magik_texts as texts
from tests.support.magik_texts import captured

MAGIK = load("magik")

# --------------------------------------------------------------------------- real captures


def test_a_real_release_run_tells_versions_times_and_boxes() -> None:
    text = captured("release_0.9.6.2_T40_ptq8bit_yolov5s.txt")
    assert read_versions(text) == {
        "soc_nna": "20220525",
        "runtime": "0.9.6.2.ALPHA",
        "runtime_commit": "aa6e9e7",
        "built": "20220721-2110",
        "toolchain": "7.2.0 r5.1.3 glibc2.29 mips@NNA1",
        "nna": "NNA1",
        "model": "0.9.6",
        "model_nna": "NNA1",
        "model_commit": "aa6e9e7",
    }
    assert skew(text) == ()
    assert read_times_us(text) == {"test_net run": 68389.0, "post net": 5054.0}
    assert read_boxes(text) == (Box(5, 40, 357, 409, 0.88), Box(95, 324, 379, 512, 0.73))
    assert judge("release", 0, text, ()) is None


def test_a_real_run_of_0_9_0_tells_no_time_and_warns_of_its_driver() -> None:
    text = captured("release_0.9.0_T40_ptq_yolov5s.txt")
    assert read_versions(text)["runtime"] == "0.9.0"
    assert "model" not in read_versions(text) and "soc_nna" not in read_versions(text)
    assert "soc-nna driver is too old" in skew(text)[0]
    assert read_times_us(text) == {}
    assert len(read_boxes(text)) == 2


def test_the_real_profile_of_0_9_0_is_read_row_by_row() -> None:
    tables = read_profile(captured("profile_0.9.0_T40_ptq8bit_yolov5s.head.txt"))
    assert (tables.layout, len(tables.rows), tables.cycles) == ("0.9.0", 16, 10)
    first, second = tables.rows[:2]
    assert first.name == "AppendInputOutputNOpOptimizer_input_nop_0_BatchNormScale"
    assert (first.kind, first.average_ms, first.bandwidth_mb) == ("Normalize", 1.808, 1.875)
    assert (second.name, second.shapes[1], second.share_percent) == ("414_Quantize", "{1,192,320,32}", 10.66)
    assert (second.last_ms, second.gops, second.bandwidth_mb, second.parameters_kb) == (6.84, 0.142, 2.817, None)
    assert tables.problems == ()


def test_the_real_profile_of_0_9_6_tells_parameters_and_a_total() -> None:
    tables = read_profile(captured("profile_0.9.6.1_T40_qat4bit_yolov5s-person.tail.txt"))
    assert (tables.layout, len(tables.rows), tables.total_ms) == ("0.9.6", 44, 37.351)
    widest = max(tables.rows, key=lambda row: row.parameters_kb or 0.0)
    assert (widest.name, widest.parameters_kb) == ("layer_9_Quantiz..", 578.0)
    conv = next(kind for kind in tables.kinds if kind.kind == "Convolution")
    assert (conv.average_ms, conv.share_percent, conv.bandwidth_mb, conv.calls) == (25.35, 67.87, 25.627, 60)
    assert sum(kind.average_ms for kind in tables.kinds) == pytest.approx(37.351)
    assert any("counts 60 Convolution, the detailed one has 28" in problem for problem in tables.problems)


def test_the_real_tables_of_0_8_have_neither_bandwidth_nor_total() -> None:
    rows = read_profile(captured("profile_0.8x_manual_resnet50.detailed.head.txt"))
    assert (rows.layout, len(rows.rows), rows.cycles) == ("0.8", 32, 5)
    assert (rows.rows[1].kind, rows.rows[1].average_ms, rows.rows[1].gops) == ("Pooling", 0.076, 0.002)
    assert rows.rows[0].bandwidth_mb is None
    kinds = read_profile(captured("profile_0.8x_manual_resnet50.concise.txt")).kinds
    assert [(kind.kind, kind.share_percent, kind.calls) for kind in kinds] == [
        ("Add", 7.95, 16),
        ("Convolution", 91.03, 53),
        ("Pooling", 1.02, 2),
    ]


@pytest.mark.parametrize("name", ["nmem_memory.txt.old_format", "nmem_0.9.0_T40_qat4bit_yolov5s-person.txt"])
def test_the_real_nmem_file_is_read_alone_and_inside_a_serial_capture(name: str) -> None:
    nmem = read_nmem(captured(name))
    assert nmem is not None and nmem.form == "old" and nmem.problems == ()
    assert nmem.values == {"total_bytes": 131072 * 1024, "used_bytes": 13024 * 1024, "free_bytes": 118048 * 1024}
    assert nmem.shares == {"used": 9.94}
    assert nmem.peak_bytes == 13024 * 1024


def test_an_echoed_serial_capture_of_the_nmem_build_holds_boxes_and_no_nmem() -> None:
    text = captured("nmem_0.9.0_T40_ptq_yolov5s_with_serial_echo.txt")
    assert read_nmem(text) is None
    assert read_boxes(text)[0] == Box(7, 41, 352, 406, 0.88)


def test_a_real_debug_capture_is_judged_by_its_files() -> None:
    text = captured("debug_0.9.6.2_T40_ptq8bit_yolov5s.head.txt")
    assert judge("debug", 0, text, ("427_out.bin",)) is None
    failure = judge("debug", 0, text, ("log.txt",))
    assert failure is not None and "no layer was dumped" in failure.message


# --------------------------------------------------------------------------- our own text in every format


@pytest.mark.parametrize("layout", printing.LAYOUTS)
def test_every_layout_of_the_tables_round_trips(layout: str) -> None:
    ops = texts.timed_ops(9)
    tables = read_profile("\n".join(printing.tables(layout, ops, 10)) + "\n")
    assert (tables.layout, len(tables.rows), tables.cycles) == (layout, 9, 10)
    assert tables.problems == ()
    digits = 2 if layout == "0.9.6" else 3
    for row, op in zip(tables.rows, ops, strict=True):
        assert row.kind == op.kind and row.shapes == op.shapes
        assert row.average_ms == pytest.approx(op.average_ms, abs=0.51 * 10**-digits)
        assert row.gops == pytest.approx(op.gops, abs=0.00051)
        if layout in ("0.9.3", "0.9.6"):
            assert row.parameters_kb == pytest.approx(op.parameters_kb, abs=0.0051)


def test_rows_are_keyed_by_place_because_cut_names_collide() -> None:
    ops = texts.timed_ops(14)
    times = op_times(read_profile("\n".join(printing.tables("0.9.6", ops, 10)) + "\n"))
    assert len({op.name for op in times}) == 14
    assert [op.index for op in times] == list(range(14))
    assert times[1].name == "AppendInputOutp..#1" and times[5].name == "layer_116_Quant..#5"
    assert times[3].category == "layout" and times[0].unit == "NNA"
    assert times[0].figures["gops"] == pytest.approx(ops[0].gops, abs=0.001)
    assert times[0].figures["parameter_bytes"] == pytest.approx(ops[0].parameters_kb * 1024, abs=10)


def test_a_summary_per_frame_counts_the_last_table_and_says_so() -> None:
    once = "\n".join(printing.tables("0.9.3", texts.timed_ops(4), 10)) + "\n"
    tables = read_profile(once + once)
    assert len(tables.rows) == 4
    assert any("summary per frame" in problem for problem in tables.problems)


def test_the_new_nmem_file_with_its_stale_tail_is_read_and_the_tail_told() -> None:
    earlier = printing.nmem_new(16384, 9000, 8936, 8900)
    later = printing.nmem_new(16384, 9000, 8936, 0)
    nmem = read_nmem(printing.overwritten(earlier, later))
    assert nmem is not None and nmem.form == "new"
    assert nmem.values["peak_bytes"] == 8936 * 1024 and nmem.values["current_bytes"] == 0
    assert nmem.values["free_bytes"] == (16384 - 8936 - 64) * 1024
    assert nmem.shares["real"] == 0.0
    assert len(nmem.problems) == 1 and "earlier, longer write" in nmem.problems[0]


def test_the_kernel_command_line_tells_the_reserved_memory() -> None:
    line = "console=ttyS1,115200n8 mem=72M@0x0 rmem=40M@0x4800000 nmem=16M@0x7000000 init=/linuxrc"
    assert read_reserved(line) == {"mem_bytes": 72 << 20, "rmem_bytes": 40 << 20, "nmem_bytes": 16 << 20}
    assert read_reserved("nmem=29M") == {}


def test_versions_that_do_not_belong_together_are_said() -> None:
    text = texts.BANNER.replace("model version:0.9.6.NNA1", "model version:0.9.3.NNA2")
    assert skew(text) == (
        "version skew: the board's venus is 0.9.6.2.ALPHA, the model was made for 0.9.3",
        "version skew: the library is for NNA1, the model for NNA2",
    )
    refused = texts.BANNER + "A mismatch occurs: model version is 0.9.3.NNA1, venus version: 0.9.6.2\n"
    failure = judge("release", 0, refused, ())
    assert failure is not None and failure.kind == "version_skew"


def test_the_latency_is_the_programs_own_and_per_run() -> None:
    from pathlib import Path

    release = MAGIK.read_latency(Path("release"), texts.RELEASE)
    profile = MAGIK.read_latency(Path("profile"), texts.profile("0.9.6"))
    assert release is not None and release.mean_us == pytest.approx(12345.0) and release.frames == 1
    assert profile is not None and profile.mean_us == pytest.approx(1234.5) and profile.frames == 10
    assert profile.warmup_excluded is False


def test_the_latency_of_the_nmem_build_is_never_told() -> None:
    from pathlib import Path

    assert MAGIK.read_latency(Path("nmem"), texts.RELEASE) is None


def test_without_a_time_of_its_own_the_sum_of_ops_is_said_to_be_that() -> None:
    from pathlib import Path

    text = texts.profile("0.9.6").replace("test_net run time_ms:12.345000ms\n", "")
    latency = MAGIK.read_latency(Path("profile"), text)
    assert latency is not None and "sum of the profiler's ops" in latency.notes[0] and not latency.problems


# --------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("mode", "log", "kind"),
    [
        ("release", "./prog: can't load library 'libvenus.so'\n", "missing_library"),
        ("release", "./prog: error while loading shared libraries: libaip.so: cannot open\n", "missing_library"),
        ("release", "sh: ./prog: not found\n", "wrong_march"),
        ("release", "Error: /dev/soc-nna open failed: No such file or directory\nvenus init failed.\n", "board_state"),
        ("release", texts.BANNER + "Memory[dev=ddr, size=1048576, algin=64] alloc failed.\n", "memory"),
        ("release", "get_nmem_info failed\nvenus init failed.\n", "board_state"),
        ("release", texts.BANNER + "Open model file [magik.bin] failed.\n", "missing_file"),
        ("profile", texts.BANNER + "[E/magik::venus]: The first 5 times are used to warm up the profiler, which "
         "should be run at least 10 times.\n", "garbage"),
        ("profile", texts.RELEASE, "wrong_library"),
        ("nmem", texts.RELEASE, "wrong_library"),
        ("debug", texts.BANNER, "wrong_library"),
        ("release", "Segmentation fault\n", "crash"),
        ("release", "", "garbage"),
    ],
)  # fmt: skip
def test_failures_are_told_although_the_exit_code_is_zero(mode: str, log: str, kind: str) -> None:
    failure = judge(mode, 0, log, ())
    assert failure is not None and failure.kind == kind, failure
    assert failure.message and failure.hint


def test_a_good_run_with_a_bad_exit_code_is_good() -> None:
    assert judge("release", 1, texts.RELEASE, ()) is None


def test_dumps_that_could_not_be_opened_are_named() -> None:
    text = texts.BANNER + printing.error("Open file [model/conv_out.bin] failed.") + "\n"
    assert unwritten_dumps(text) == ("model/conv_out.bin",)
    assert judge("debug", 0, text, ("427_out.bin",)) is None
    none_written = judge("debug", 0, text, ("log.txt",))
    assert none_written is not None and none_written.kind == "unwritable_names"  # M-506, and not a full disk
    plain = text + printing.error("Open file [427_out.bin] failed.") + "\n"
    full = judge("debug", 0, plain, ("log.txt",))
    assert full is not None and full.kind == "no_space"


# --------------------------------------------------------------------------- damage

NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def _damaged(text: str, source: random.Random) -> str:
    """Cut, doubled, mixed, re-ordered or bytes lost, as serial lines and full disks do it."""
    lines = text.split("\n")
    kind = source.randrange(5)
    if kind == 0:
        return text[: source.randrange(len(text))]
    if kind == 1:
        at = source.randrange(len(lines))
        return "\n".join([*lines[:at], *lines[at:], *lines[at : at + 9]])
    if kind == 2:
        other = lines[:]
        source.shuffle(other)
        return "\n".join(part for pair in zip(lines, other, strict=True) for part in pair)
    if kind == 3:
        return "\n".join(line for line in lines if source.random() > 0.2)
    at = source.randrange(len(text))
    return text[:at] + "\x00\xff\x1b[31m" + text[at:]


def _numbers_of(text: str) -> set[float]:
    """Every figure that the readers give, in the printed unit."""
    numbers = set(read_times_us(text).values())
    numbers = {value / 1000.0 for value in numbers}
    for row in read_profile(text).rows:
        numbers |= {row.average_ms, row.max_ms, row.min_ms, row.last_ms, row.gops, row.share_percent}
        numbers |= {value for value in (row.bandwidth_mb, row.parameters_kb) if value is not None}
    for kind in read_profile(text).kinds:
        numbers |= {kind.average_ms, kind.max_ms, kind.min_ms, kind.gops, float(kind.calls)}
    nmem = read_nmem(text)
    numbers |= {value / 1024 for value in nmem.values.values()} if nmem else set()
    return {round(value, 6) for value in numbers}


def _fuzzed() -> dict[str, str]:
    made = {f"own {layout}": texts.profile(layout) for layout in printing.LAYOUTS}
    made["own nmem"] = printing.nmem_new(16384, 9000, 8936, 8900) + printing.nmem_old(131072, 13024)
    for path in sorted(texts.MAGIK.glob("*")) if texts.MAGIK.is_dir() else []:
        if path.is_file():
            made[path.name] = path.read_text(encoding="utf-8", errors="replace")
    return made


@pytest.mark.parametrize("name", sorted(_fuzzed()))
def test_damaged_captures_never_crash_and_never_invent_a_number(name: str) -> None:
    text = _fuzzed()[name]
    printed = {round(float(number), 6) for number in NUMBER.findall(text)}
    source = random.Random(name)
    for _ in range(40):
        damaged = _damaged(text, source)
        assert _numbers_of(damaged) <= printed
        for mode in MAGIK.modes:
            judge(mode, 0, damaged, ())
        read_boxes(damaged), read_versions(damaged), skew(damaged), MAGIK.read_model_info(damaged)

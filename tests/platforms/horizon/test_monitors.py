"""What monitors of Horizon boards print, and that a profile run keeps it."""

from __future__ import annotations

import pytest

from harness.platforms.horizon.monitors import read_hrut_ddr, read_ucp_monitor
from harness.profiling.telemetry import MOST_PROBLEMS, sample_of

CSV = "timestamp,read_MiB/s,write_MiB/s\n1699000000,2048.5,1024.3\n1699000001,2100.1,980.7\n1699000002,21"
TABLE = """\
Time 100.876s
MB/S   P0:CPU   P1:BPU  P2:VIN      SUM
Read :    110     4035        0     4145
Write:    103     1175        0     1278

Time 101.330s
MB/S   P0:CPU   P1:BPU  P2:VIN      SUM
Read :    126     3857        0     3983
Write:    119     1163        0
"""
MONITOR = """\
BPU Utilization:
  Core 0: busy=85.2%  idle=14.8%
  Core 1: busy=172.1%  idle=27.9%
DDR Bandwidth:
  Read:  2048.5 MiB/s
ION Memory:
  uncache: 256 MB
  cma: 2 GB
Process Memory:
  hrt_model_exec: RSS=128 MB
BPU Utilization:
  Core 0: busy=90.0%  idle=10.0%
"""


def test_rows_of_a_csv_have_seconds_since_the_first_and_a_cut_one_is_left_out() -> None:
    first, second = read_hrut_ddr(CSV)
    assert (first.t_s, first.bandwidth_mib_s) == (0.0, {"DDR read": 2048.5, "DDR write": 1024.3})
    assert (second.t_s, second.bandwidth_mib_s["DDR read"]) == (1.0, 2100.1)


def test_a_table_tells_the_traffic_of_every_unit_and_a_short_row_is_no_figure() -> None:
    first, second = read_hrut_ddr(TABLE)
    assert first.bandwidth_mib_s["DDR read BPU"] == 4035 and first.bandwidth_mib_s["DDR write SUM"] == 1278
    assert second.t_s == pytest.approx(0.454)
    assert "DDR write BPU" not in second.bandwidth_mib_s and second.problems


def test_a_block_of_the_monitor_is_a_sample_without_its_ddr_traffic() -> None:
    first, second = read_ucp_monitor(MONITOR)
    assert first.load_percent == {"bpu0": 85.2} and any("172.1" in problem for problem in first.problems)
    assert first.memory_mib == {"ION uncache": 256.0, "ION cma": 2048.0} and first.bandwidth_mib_s == {}
    assert (second.t_s, second.load_percent) == (1.0, {"bpu0": 90.0})


@pytest.mark.parametrize("text", ["", "Error: Open failed!\n", "Core 0: busy=1%\n", "Read : 1 2\n", "\x00,\n" * 9])
def test_other_text_tells_nothing(text: str) -> None:
    assert read_hrut_ddr(text) == () and read_ucp_monitor(text) == ()


@pytest.mark.parametrize("digits", [13, 400, 5000])
def test_a_time_that_cannot_be_gives_no_figure_and_moves_no_other(digits: int) -> None:
    block = "MB/S  P0:CPU\nRead : {}\n"
    lines = [f"Time {time}s\n" + block.format(110 + i) for i, time in enumerate(("1.5", "9" * digits, "2.5"))]
    first, odd, last = read_hrut_ddr("".join(lines))
    assert (first.t_s, last.t_s) == (0.0, 1.0)
    assert (first.bandwidth_mib_s, last.bandwidth_mib_s) == ({"DDR read CPU": 110.0}, {"DDR read CPU": 112.0})
    assert odd.t_s is None and odd.bandwidth_mib_s == {} and "not plausible" in odd.problems[0]
    assert [sample_of(sense).t_s for sense in read_hrut_ddr("".join(lines[1:]))] == [None, 0.0]


def test_problems_of_one_sample_are_counted() -> None:
    (sense,) = read_hrut_ddr("Time 1s\nMB/S  P0:CPU\n" + "Read : 1 2\n" * 300)
    assert len(sense.problems) == MOST_PROBLEMS + 1 and sense.problems[-1] == "280 more"
    assert sample_of(sense).problems == tuple(sense.problems)

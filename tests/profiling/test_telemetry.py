"""What boards sense: hrut_somstatus in its forms, sysfs, and what a series shows."""

from __future__ import annotations

from typing import Any

import pytest

from harness.platforms.horizon.somstatus import read_somstatus
from harness.profiling.telemetry import Sense, busy_before, hottest, read_sysfs, sample_of, senses_of_record, slowed
from harness.records import Telemetry
from harness.records.codec import to_json
from tests.records.kit import typed
from tests.support.horizon_fixtures import X3_SOMSTATUS, X5_SOMSTATUS, captured


def test_headers_with_a_unit_are_megahertz() -> None:
    (sense,) = read_somstatus(X5_SOMSTATUS)
    assert sense.temperatures_c == {"DDR": 51.5, "BPU": 52.5, "CPU": 53.5}
    assert sense.clocks_mhz == {"cpu0": 1200.0, "cpu1": 300.0, "bpu0": 1000.0, "ddr": 4266.0}
    assert sense.load_percent == {"bpu0": 97.0} and sense.problems == []


def test_headers_without_one_are_kilohertz_for_cpus_and_hertz_for_accelerators() -> None:
    (sense,) = read_somstatus(X3_SOMSTATUS)
    assert sense.clocks_mhz == {"cpu0": 1200.0, "bpu0": 1000.0, "bpu1": 400.0}
    assert sense.max_clocks_mhz == {"cpu0": 1800.0, "bpu0": 1000.0, "bpu1": 1000.0}


def test_literal_echo_flags_prompts_and_stray_numbers_do_not_hurt() -> None:
    lines = X5_SOMSTATUS.splitlines()
    ugly = ["root@board:~# hrut_somstatus", *(f"-e {line}" for line in lines[:3]), "68205", *lines[3:], "root@board:~#"]
    (sense,) = read_somstatus("\n".join(ugly) + "\n")
    (clean,) = read_somstatus(X5_SOMSTATUS)
    assert sense.temperatures_c == clean.temperatures_c and sense.clocks_mhz == clean.clocks_mhz
    assert sense.problems == ["not understood: '68205'"]


def test_a_row_that_does_not_fit_its_columns_gives_no_figure() -> None:
    (sense,) = read_somstatus(X5_SOMSTATUS.replace("cpu0: 300\t1200\t1500", "cpu0: 300\t1200"))
    assert "cpu0" not in sense.clocks_mhz and "does not fit" in sense.problems[0]


def test_figures_of_no_chip_are_refused() -> None:
    (sense,) = read_somstatus(X5_SOMSTATUS.replace("53.5 (C)", "999.5 (C)"))
    assert "CPU" not in sense.temperatures_c and "is not plausible" in sense.problems[0]


def test_several_snapshots_stay_apart() -> None:
    samples = read_somstatus(X5_SOMSTATUS + X5_SOMSTATUS.replace("97", "12"))
    assert [s.load_percent["bpu0"] for s in samples] == [97.0, 12.0]


@pytest.mark.parametrize(
    ("name", "temperatures", "clocks", "load"),
    [
        ("x3_hrut_somstatus.txt", {"CPU": 61.3}, {"cpu0": 240.0, "bpu1": 1000.0}, {"bpu0": 0.0, "bpu1": 0.0}),
        ("x3_hrut_somstatus_n_d.txt", {"CPU": 37.5}, {"cpu3": 1200.0, "bpu0": 1000.0}, {"bpu0": 0.0, "bpu1": 0.0}),
        (
            "x5_hrut_somstatus_echo_e.txt",
            {"DDR": 59.5, "BPU": 58.5, "CPU": 58.5},
            {"cpu0": 300.0, "cpu7": 1500.0, "bpu0": 1000.0, "ddr": 4266.0, "gc8000": 1000.0},
            {"bpu0": 0.0},
        ),
        (
            "s100_hrut_somstatus.txt",
            {"pvt_bpu_pvtc1_t1": 38.932},
            {"policy0": 1500.0, "policy4": 1500.0},
            {"bpu0": 0.0},
        ),
    ],
)
def test_captured_snapshots(
    name: str, temperatures: dict[str, float], clocks: dict[str, float], load: dict[str, float]
) -> None:
    (sense,) = read_somstatus(captured(name))
    assert sense.temperatures_c.items() >= temperatures.items()
    assert sense.clocks_mhz.items() >= clocks.items()
    assert sense.load_percent == load and sense.problems == []


def test_captured_s100_voltages() -> None:
    (sense,) = read_somstatus(captured("s100_hrut_somstatus.txt"))
    assert len(sense.voltages_mv) == 32 and sense.voltages_mv["VDD_BPU"] == 737.0
    assert sense.max_clocks_mhz == {"policy0": 1500.0, "policy4": 1500.0}


def test_captured_excerpts_say_that_lines_are_missing() -> None:
    (stress,) = read_somstatus(captured("s100_hrut_somstatus_stress_excerpt.txt"))
    assert stress.load_percent == {"bpu0": 99.0} and stress.problems == ["lines were left out of the text ('...')"]
    (s100,) = read_somstatus(captured("s100_monitor_stress_log_excerpt.txt"))
    assert s100.clock == "2026-09-20 15:42:52" and s100.load_percent == {"sysfs bpu": 99.0, "bpu0": 98.0}
    (s600,) = read_somstatus(captured("s600_monitor_stress_log_excerpt.txt"))
    assert s600.load_percent["bpu3"] == 97.0 and len(s600.clocks_mhz) == 5 and len(s600.problems) == 2


def test_captured_rdkos_info_gives_its_snapshot_only() -> None:
    (sense,) = read_somstatus(captured("x3_rdkos_info_head.txt"))
    assert sense.temperatures_c == {"CPU": 56.6} and sense.clocks_mhz["cpu3"] == 1500.0 and sense.problems == []


# --------------------------------------------------------------------------- sysfs

CPU = "/sys/devices/system/cpu/cpufreq/policy0/"
BPU = "/sys/devices/system/bpu/bpu0/"


def test_sysfs_files_become_a_sense() -> None:
    sense = read_sysfs(
        {
            CPU + "scaling_cur_freq": "1200000\n",
            CPU + "cpuinfo_max_freq": "1500000\n",
            CPU + "scaling_governor": "schedutil\n",
            BPU + "ratio": "98\n",
            BPU + "devfreq/28108000.bpu/cur_freq": "1000000000\n",
            BPU + "devfreq/28108000.bpu/governor": "performance\n",
            "/sys/class/thermal/thermal_zone0/temp": "58500\n",
            "/sys/class/thermal/thermal_zone0/type": "bpu-thermal\n",
            "/sys/class/hwmon/hwmon0/temp3_input": "41250\n",
            "/proc/uptime": "1.0 2.0\n",
        },
        t_s=1.5,
        phase="during",
    )
    assert sense.clocks_mhz == {"policy0": 1200.0, "bpu0": 1000.0} and sense.max_clocks_mhz == {"policy0": 1500.0}
    assert sense.governors == {"policy0": "schedutil", "bpu0": "performance"}
    assert sense.temperatures_c == {"bpu-thermal": 58.5, "hwmon0 temp3": 41.25}
    assert sense.load_percent == {"bpu0": 98.0} and sense.problems == []


def test_odd_sysfs_content_is_a_problem_not_a_figure() -> None:
    sense = read_sysfs({BPU + "ratio": "user\tratio\n", CPU + "scaling_cur_freq": "<unknown>"})
    assert sense.load_percent == {} and sense.clocks_mhz == {} and len(sense.problems) == 2


def kept(**telemetry: Any) -> Telemetry:
    return typed({"telemetry": telemetry}).telemetry


def test_telemetry_survives_run_json() -> None:
    sense = Sense(t_s=1.0, phase="during", temperatures_c={"cpu": 50.0})
    assert senses_of_record(kept(samples=[to_json(sample_of(sense))])) == (sense,)
    raw = {"t_s": 2.0, "phase": "before", "values": {BPU + "ratio": "7\n"}}
    assert senses_of_record(kept(samples=[raw, "junk"]))[0].load_percent == {"bpu0": 7.0}
    assert senses_of_record(kept(samples="junk")) == ()


def test_samples_of_the_agent_become_senses_with_the_board_s_governors() -> None:
    values = {"temp:bpu-thermal:0": 58.5, "cpu_hz:0": 1.2e9, "npu_hz:0": 1e9, "npu_load:0": 0.98, "load1": 0.5}
    telemetry = kept(
        samples=[{"t_s": 1.0, "phase": "during", "values": values}],
        governors={"policy0": "schedutil"},
        max_clocks_mhz={"npu0": 1000.0},
    )
    (sense,) = senses_of_record(telemetry)
    assert sense.temperatures_c == {"bpu-thermal:0": 58.5}
    assert sense.clocks_mhz == {"policy0": 1200.0, "npu0": 1000.0} and sense.load_percent == {"npu0": 98.0}
    assert sense.governors == {"policy0": "schedutil"} and sense.max_clocks_mhz == {"npu0": 1000.0}


# --------------------------------------------------------------------------- series


def during(mhz: float, load: float = 99.0, **more: object) -> Sense:
    return Sense(phase="during", clocks_mhz={"bpu0": mhz}, load_percent={"bpu0": load}, **more)  # type: ignore[arg-type]


def test_an_accelerator_that_slows_down_under_load_is_noticed_with_its_heat() -> None:
    slow = slowed([during(1000.0), during(500.0, temperatures_c={"BPU": 99.5})])
    assert slow == ("bpu0 dropped to 500 MHz of 1000 MHz during the run, BPU at 99.5 C",)


def test_an_idle_accelerator_may_slow_down() -> None:
    assert slowed([during(1000.0), during(500.0, load=0.0)]) == ()


def test_a_clock_below_its_own_maximum_under_load_is_noticed() -> None:
    assert slowed([during(800.0, max_clocks_mhz={"bpu0": 1000.0})])


def test_a_cpu_counts_only_under_the_performance_governor() -> None:
    def cpu(mhz: float, governor: str) -> Sense:
        return Sense(phase="profile", clocks_mhz={"policy0": mhz}, governors={"policy0": governor})

    assert slowed([cpu(1500.0, "schedutil"), cpu(300.0, "schedutil")]) == ()
    assert slowed([cpu(1500.0, "performance"), cpu(1000.0, "performance")])


def test_the_hottest_and_the_busiest_are_named() -> None:
    senses = [Sense(phase="before", temperatures_c={"a": 40.0, "b": 71.0}, load_percent={"bpu0": 30.0, "bpu1": 0.0})]
    assert hottest(senses) == ("b", 71.0) and hottest([]) is None
    assert busy_before(senses) == "bpu0 was at 30 % load before the run" and busy_before([during(1.0)]) == ""

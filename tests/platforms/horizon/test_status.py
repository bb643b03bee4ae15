"""Status codes by their official names, and failures that the vendor's pages document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.platforms.horizon.failures import judge, known_failures
from harness.platforms.horizon.status import STATUS_CODES, explain_code, kind_of_code, status_in
from harness.platforms.magik.platform import PARTIAL
from harness.platforms.magik.profile import read_profile
from harness.toolchains import read_any
from tests.support import magik_texts


def test_codes_of_ucp_have_six_digits_and_its_names() -> None:
    ucp = {code: name for code, (name, _) in STATUS_CODES.items() if -code < 1_000_000}
    assert len(ucp) == 41
    assert all(name.startswith("HB_UCP_") for name in ucp.values())
    assert len(set(ucp.values())) == len(ucp)
    assert all(re.fullmatch(r"-[1-9]0000[0-9]", str(code)) for code in ucp)


@pytest.mark.parametrize("code", sorted(STATUS_CODES))
def test_every_code_is_found_in_a_line_and_explained(code: int) -> None:
    assert status_in(f"[E][UCP] hbUCPSubmitTask failed, ret: {code}, see the log") == code
    assert explain_code(code).startswith(f"{STATUS_CODES[code][0]} ({code}): ")


def test_a_code_that_is_newer_than_the_list_names_its_part() -> None:
    assert explain_code(-700099) == "status -700099: failure in the DSP"
    assert "not in the vendor's published list" in explain_code(-6000999)


def test_failed_allocations_are_memory() -> None:
    assert [kind_of_code(code) for code in (-400001, -200002, -600004, -300001)] == [
        "memory",
        "timeout",
        "wrong_march",
        "task_failed",
    ]


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        ("[E][UCP] L2M size mismatch, want 4 cores\n", "memory"),
        ("Input bytes must equal alignedByteSize: 150528\n", "bad_input"),
        ("[E][UCP] HB_UCP_ERR_TASK_TIMEOUT\n", "timeout"),
        ("[E] hbUCPWaitTaskDone: task timeout after 2000 ms\n", "timeout"),
        ("Error: Open failed!\n", "board_state"),
    ],
)
def test_documented_failures_have_a_kind_also_with_exit_code_0(log: str, kind: str) -> None:
    failure = judge("release", 0, "[UCP]: UCP version = 3.3.3\n" + log, ("model_infer_output_0.bin",))
    assert failure is not None and failure.kind == kind and failure.hint


def test_the_flag_of_a_time_limit_is_no_timeout() -> None:
    line = "hrt_model_exec infer --model_file=m.hbm --task_timeout=2000\n"
    assert judge("info", 0, line + "output[0]:\n", ()) is None


@pytest.mark.parametrize(
    "line",
    [
        "[I][UCP] task timeout set to 1000 ms",
        "[UCP][I] task timeout: 1000 ms, an error is logged beyond",
        "[UCP]: task time-out = 1000 ms",
        "task timeout 0 (none)",
        "[INFO] HB_UCP_TASK_TIMEOUT",
        "HB_UCP_TASK_TIMEOUT=1000",
        "[D] on task timeout the task is aborted",
        "I1120 10:08:17.891269 4711 main.cpp:233] task timeout error handler is set",
        "[I][DNN] Out of memory handling is on",
    ],
)
def test_a_limit_that_is_only_told_is_no_failure(line: str) -> None:
    assert judge("info", 0, f"{line}\noutput[0]:\n", ()) is None
    assert not [failure for failure in known_failures(line) if failure.kind == "timeout"]


@pytest.mark.parametrize(
    "line",
    [
        "task timeout!",
        "[E][UCP] wait: task 3 time-out, limit 1000 ms",
        "E1120 10:08:17.891269 4711 task.cpp:233] task timeout 1000",
        "Task 7 timed out",
        "hbUCPWaitTaskDone failed, task timeout",
        "ret: HB_UCP_TASK_TIMEOUT",
    ],
)
def test_a_limit_that_was_exceeded_is_one(line: str) -> None:
    failure = judge("info", 0, f"[I] task timeout set to 9 ms\n{line}\noutput[0]:\n", ())
    assert failure is not None and (failure.kind, failure.evidence) == ("timeout", line)


@pytest.mark.parametrize(("unit", "march"), [("B25E", "bayes-e"), ("nash-e", "nash-e"), ("BERNOULLI2", "bernoulli2")])
def test_an_estimate_has_the_march_of_the_yaml(unit: str, march: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(f'{{"summary": {{"BPU march": "{unit}", "FPS": 100.0, "latency (us)": 1.0}}}}')
    artifact = read_any(tmp_path / "m.json")
    assert artifact is not None and artifact.march == march


def test_the_sum_of_a_truncated_profile_is_called_partial() -> None:
    whole = magik_texts.profile("0.9.6")
    assert not read_profile(whole).is_partial
    rows = [index for index, line in enumerate(whole.splitlines()) if "%" in line]
    cut = "\n".join(whole.splitlines()[: rows[0] + 2]) + "\n"
    assert read_profile(cut).is_partial and "partial" in PARTIAL

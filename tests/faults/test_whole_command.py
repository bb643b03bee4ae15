"""Faults of tool, disk, files, clock and agent through `harness run`, on a real sshd and a real dropbear.

Each asserts the verdict, the exit code, the message, and that nothing is lost here or left behind there.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import pytest

from harness.assets import asset
from tests.faults.rig import SERVERS, Rig, alive, new_mark, rig_of, until
from tests.faults.test_board import small_disk, with_fake
from tests.faults.test_run import MEASURED, inventory, left_behind, record, run, when
from tests.support.builds import ExampleModel, build
from tests.support.servers import needs

pytestmark = pytest.mark.slow

COULD_NOT = 3
GOOD = ("consistent", "consistent_within")


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    needs("sshd", "dropbear", "ssh-keygen")
    return str(request.param)


@pytest.fixture
def rig(server: str, tmp_path: Path) -> Iterator[Rig]:
    with rig_of(tmp_path / "board", server) as made:
        yield made


@contextmanager
def small_rig(tmp_path: Path, server: str, megabytes: int) -> Iterator[Rig]:
    """A board whose work folder has so many megabytes in all."""
    board = tmp_path / "board"
    with small_disk(board / "root/work", megabytes), rig_of(board, server) as made:
        yield made


def fake_python(tmp_path: Path, mode: str, script: str) -> dict[str, Any]:
    """The board's Python, that does something else in one mode; `real "$@"` is the true one."""
    file = tmp_path / "python"
    real = f'real() {{ "{sys.executable}" "$@"; }}'
    file.write_text(f'#!/bin/sh\n{real}\ncase "$*" in *{mode}*) {script} ;; esac\nreal "$@"\n')
    file.chmod(0o755)
    return {"options": {"python": str(file)}}


def expect_ending(
    result: subprocess.CompletedProcess[str], cwd: Path, code: int, words: tuple[str, ...], *texts: str
) -> dict[str, Any]:
    """The run's record, once exit code, verdict and message are what they should be."""
    everything = result.stdout + result.stderr
    assert result.returncode == code, everything
    assert "Traceback" not in everything and "\x1b" not in everything, everything
    kept = record(cwd)
    assert kept["verdict"]["word"] in words, kept["verdict"]
    assert kept["verdict"]["exit_code"] == code
    for text in texts:
        assert text in everything, (text, everything)
    assert any(cwd.rglob("report.html"))
    return kept


# --------------------------------------------------------------------------- the tool


@pytest.mark.parametrize("board", ["emu-x5-ssh", "emu-x5-dropbear"])
@pytest.mark.parametrize(
    ("fault", "word", "text"),
    [
        ("hang@infer", "not_measured", "exceeded the time limit of 6 s and was stopped"),
        ("crash@infer", "not_measured", "segmentation fault (exit code 139)"),
        ("silent_failure@infer", "not_measured", "hb_bpu_core_set_fc_prio failed"),
        ("no_space@infer", "not_measured", "the board's disk is full"),
        ("missing_file@infer", "not_measured", "succeeded but left no"),
        ("garbage@infer", "not_measured", "output is not that of"),
        ("truncated_dump@infer", "incomplete", "its dump is truncated"),
    ],
)
def test_a_tool_that_fails_is_never_good(
    digits: ExampleModel, tmp_path: Path, board: str, fault: str, word: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("sshd", "dropbear", "ssh-keygen")
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    argv = ["run", digits.model, "--board", board, "--input", digits.input, "--reference", digits.reference]
    argv += ["--frames", "3", "--timeout", "6", "--mode", "release,debug", "--fault", fault]
    result = subprocess.run(
        [sys.executable, "-m", "harness", *map(str, argv)], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    expect_ending(result, tmp_path, COULD_NOT, (word,), text)
    work = tmp_path / "home/boards/x5/work" / board
    assert [p for folder in ("runs", "jobs") for p in (work / folder).glob("*")] == []
    assert list(work.rglob("*.part")) == []


def test_a_tool_that_forks_and_hangs_is_ended_with_all_it_started(
    digits: ExampleModel, rig: Rig, tmp_path: Path
) -> None:
    mark = new_mark()
    script = f"(setsid sleep {mark} &); sleep {mark} & trap '' TERM; while :; do sleep {mark}; done"
    fake = fake_python(tmp_path, "debug", script)
    result = run(digits, rig, tmp_path, "--timeout", "4", **fake)
    record = expect_ending(
        result, tmp_path, COULD_NOT, ("not_measured",), "exceeded the time limit of 4 s and was stopped"
    )
    assert not alive(mark) and left_behind(rig) == []
    by_name = {mode["mode"]: mode for mode in record["modes"]}
    assert by_name["debug"]["timed_out"] and not by_name["release"]["failure"], "what worked is kept"


def test_a_tool_that_prints_without_end_is_ended_and_its_flood_not_pulled(
    digits: ExampleModel, rig: Rig, tmp_path: Path
) -> None:
    flood = "i=0; while [ $i -lt 80 ]; do head -c 1048576 /dev/zero; i=$((i+1)); done; sleep 60"
    result = run(digits, rig, tmp_path, "--timeout", "50", **fake_python(tmp_path, "debug", flood))
    expect_ending(result, tmp_path, COULD_NOT, ("not_measured",), "exceeded the output limit")
    assert left_behind(rig) == [] and not any(p.stat().st_size > 10**7 for p in tmp_path.rglob("log.txt"))


def test_a_tool_that_prints_much_and_ends_at_once_is_not_pulled_either(
    digits: ExampleModel, rig: Rig, tmp_path: Path
) -> None:
    flood = "head -c 80000000 /dev/zero; exit 0"
    before = rig.link.down_bytes
    result = run(digits, rig, tmp_path, **fake_python(tmp_path, "debug", flood))
    expect_ending(result, tmp_path, COULD_NOT, ("not_measured",), "the tool printed 80000000 bytes")
    assert left_behind(rig) == [] and rig.link.down_bytes - before < 10**7


# --------------------------------------------------------------------------- the board's disk


def test_a_tool_that_fills_the_disk_is_told_and_cleaned_up(digits: ExampleModel, server: str, tmp_path: Path) -> None:
    with small_rig(tmp_path, server, 12) as rig:
        result = run(digits, rig, tmp_path, **fake_python(tmp_path, "debug", "cat /dev/zero >zeros; exit 1"))
        record = expect_ending(
            result, tmp_path, COULD_NOT, ("not_measured",), "no space on the board", "harness boards clean"
        )
        assert [mode["mode"] for mode in record["modes"]] == ["info", "release", "debug"] and record["modes"][2][
            "failure"
        ]
        assert left_behind(rig) == []
        assert shutil.disk_usage(rig.root / "work").free > 10 * 2**20


def test_a_disk_that_is_full_before_is_said_before_anything_is_sent(
    digits: ExampleModel, server: str, tmp_path: Path
) -> None:
    with small_rig(tmp_path, server, 1) as rig:
        (rig.root / "work" / "filler").write_bytes(bytes(2**20 - 80_000))
        result = run(digits, rig, tmp_path)
        record = expect_ending(result, tmp_path, COULD_NOT, ("not_measured",), "no space", "harness boards clean")
        assert record["stopped_at"] in ("connecting", "pushing the model") and record["pushed"] == []
        assert left_behind(rig) == []


def test_a_disk_that_fills_while_the_model_is_pushed_is_said(digits: ExampleModel, server: str, tmp_path: Path) -> None:
    with small_rig(tmp_path, server, 12) as rig:
        large = tmp_path / "large.onnx"
        model = onnx.load(digits.reference)
        model.metadata_props.add(key="padding", value=os.urandom(3 * 2**20).hex())
        onnx.save(model, large)
        rig.link.delay_s = 0.02
        start = rig.link.up_bytes

        def fill() -> None:
            until(lambda: rig.link.up_bytes - start > 2**20)
            work = rig.root / "work"
            (work / "filler").write_bytes(bytes(max(0, shutil.disk_usage(work).free - 200_000)))

        filling = threading.Thread(target=fill)
        filling.start()
        result = run(ExampleModel(digits.onnx, large, large, digits.input, digits.folder), rig, tmp_path)
        filling.join()
        expect_ending(result, tmp_path, COULD_NOT, ("not_measured",), "full")
        assert left_behind(rig) == [] and not list((rig.root / "work/cache").glob("*.onnx"))


def test_a_read_only_work_folder_is_said(digits: ExampleModel, server: str, tmp_path: Path) -> None:
    with small_rig(tmp_path, server, 8) as rig:
        work = rig.root / "work"
        subprocess.run(["mount", "-o", "remount,ro", str(work)], check=True)
        result = run(digits, rig, tmp_path)
        record = expect_ending(
            result, tmp_path, COULD_NOT, ("not_measured",), "cannot use the work folder", "Read-only", "work:"
        )
        assert record["stopped_at"] == "connecting"


# --------------------------------------------------------------------------- dumps that move

LAST = '"$(ls t*.bin | tail -n 1)"'


def test_a_dump_that_grows_while_it_is_read_is_refused(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    """By a process that the board cannot know to belong to the run."""
    grow = "for i in $(seq 400); do for f in t*.bin; do [ ! -f $f ] || echo more >>$f; done; sleep 0.02; done"
    stray = f"(unset HARNESS_RUN; exec setsid sh -c '{grow}') >/dev/null 2>&1 </dev/null &"
    result = run(digits, rig, tmp_path, "--pull", "all", **fake_python(tmp_path, "debug", stray))
    expect_ending(result, tmp_path, COULD_NOT, ("not_measured",), "check whether a tool is still running on the board")
    assert left_behind(rig) == []


@pytest.mark.parametrize("harm", [f"rm -f {LAST}", f": >{LAST}"])
def test_a_dump_that_is_deleted_or_cut_short_is_never_passed_over(
    digits: ExampleModel, rig: Rig, tmp_path: Path, harm: str
) -> None:
    harming = f'real "$@"; code=$?; {harm}; exit $code'
    result = run(digits, rig, tmp_path, **fake_python(tmp_path, "debug", harming))
    expect_ending(result, tmp_path, COULD_NOT, ("incomplete", "not_measured"))
    assert left_behind(rig) == []


# --------------------------------------------------------------------------- clock and agent


def test_a_clock_that_is_years_off_changes_nothing(digits: ExampleModel, server: str, tmp_path: Path) -> None:
    fakes = with_fake(tmp_path, "date", "echo 946684800")
    with rig_of(tmp_path / "board", server, fakes) as rig:
        record = expect_ending(run(digits, rig, tmp_path), tmp_path, MEASURED, GOOD)
        assert record["board"]["facts"]["clock_offset_s"] < -20 * 365 * 86400
        assert left_behind(rig) == []


def test_an_agent_that_was_damaged_on_the_board_is_sent_again(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    expect_ending(run(digits, rig, tmp_path / "first"), tmp_path / "first", MEASURED, GOOD)
    (agent,) = (rig.root / "work/agent").glob("agent-*.sh")
    whole = agent.read_bytes()
    agent.write_bytes(whole[:3000] + b"rm -rf nothing\n" + whole[3000:])
    (tmp_path / "second").mkdir()
    expect_ending(run(digits, rig, tmp_path / "second"), tmp_path / "second", MEASURED, GOOD)
    assert agent.read_bytes() == whole == asset("agents/agent.sh").read_bytes()
    assert left_behind(rig) == []


def test_an_agent_of_another_version_lies_beside_and_is_not_asked(
    digits: ExampleModel, rig: Rig, tmp_path: Path
) -> None:
    old = rig.root / "work/agent/agent-00000000000000000000000000000000.sh"
    old.parent.mkdir(parents=True)
    old.write_text('echo "agent=0"; echo "error=usage"; echo "end=1"; exit 1\n')
    record = expect_ending(run(digits, rig, tmp_path), tmp_path, MEASURED, GOOD)
    assert record["board"]["facts"]["agent"] == "1" and old.exists()
    assert left_behind(rig) == []


# --------------------------------------------------------------------------- the link


def test_a_board_that_does_not_answer_at_all_is_said(digits: ExampleModel, tmp_path: Path, server: str) -> None:
    """Packets go nowhere: a listener whose queue is full never answers."""
    with rig_of(tmp_path / "board", server) as rig, socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with socket.socket() as one, socket.socket() as two, socket.socket() as three:
            for sock in (one, two, three):
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", port))
            time.sleep(0.2)
            result = run(digits, rig, tmp_path, port=port)
        record = expect_ending(
            result, tmp_path, COULD_NOT, ("not_measured",), f"127.0.0.1:{port}", "no answer within 4 s"
        )
        assert record["stopped_at"] in ("starting", "connecting") and not (rig.root / "work").exists()


def test_a_link_cut_while_the_model_is_pushed_costs_nothing(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    rig.link.cut_after(up=60_000)
    record = expect_ending(run(digits, rig, tmp_path), tmp_path, MEASURED, GOOD)
    assert record["pushed"] and left_behind(rig) == []


def test_a_link_cut_while_a_run_is_started_starts_it_once(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    counting = when(rig, "work/jobs/*/started", rig.link.cut)
    fake = fake_python(tmp_path, "debug", f"echo run >>{tmp_path}/count")
    record = expect_ending(run(digits, rig, tmp_path, **fake), tmp_path, MEASURED, GOOD)
    counting.join()
    assert (tmp_path / "count").read_text() == "run\n"
    assert [mode["mode"] for mode in record["modes"]].count("debug") == 1 and left_behind(rig) == []


def test_an_ssh_server_that_is_killed_and_comes_back_is_said_or_survived(
    digits: ExampleModel, rig: Rig, tmp_path: Path
) -> None:
    """Here everything that was started through the server ends with it: the run is lost, and so it is told."""
    restarting = when(rig, "work/runs/*/debug", rig.restart)
    result = run(digits, rig, tmp_path, **fake_python(tmp_path, "debug", "sleep 5"))
    restarting.join()
    record = expect_ending(result, tmp_path, COULD_NOT, ("not_measured",), "supervisor was killed")
    assert record["stopped_at"] == "running debug" and [m["mode"] for m in record["modes"]] == ["info", "release"]
    assert left_behind(rig) == []


def test_a_link_that_stays_away_leaves_a_run_that_goes_on_later(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    """The patience of one command is over; `--resume` brings home what the board finished meanwhile."""

    def away() -> None:
        rig.link.target_port, rig.away_port = 1, rig.link.target_port  # type: ignore[attr-defined]
        rig.link.cut()

    cutting = when(rig, "work/runs/*/debug", away)
    fake = fake_python(tmp_path, "debug", f"echo run >>{tmp_path}/count; sleep 2")
    result = run(digits, rig, tmp_path, **fake)
    cutting.join()
    record = expect_ending(result, tmp_path, COULD_NOT, ("not_measured",), "127.0.0.1")
    assert record["state"] == "failed" and record["stopped_at"] == "running debug"
    rig.link.target_port = rig.away_port  # type: ignore[attr-defined]
    (folder,) = (path.parent for path in tmp_path.rglob("run.json"))
    argv = ["run", "--resume", str(folder), "--hosts", str(rig.folder / "hosts.yaml"), "--json"]
    again = subprocess.run(
        [sys.executable, "-m", "harness", *argv], capture_output=True, text=True, cwd=tmp_path, timeout=240
    )
    assert again.returncode == MEASURED, again.stderr
    assert json.loads(again.stdout)["verdict"]["word"] in GOOD
    assert (tmp_path / "count").read_text() == "run\n", "the run was picked up, not made again"
    assert left_behind(rig) == []


# --------------------------------------------------------------------------- Ctrl-C


@contextmanager
def hanging(
    digits: ExampleModel, rig: Rig, tmp_path: Path, transport: str, mark: str
) -> Iterator[subprocess.Popen[str]]:
    """A run whose debug mode hangs, in a process group of its own, as a terminal has it."""
    fake = fake_python(tmp_path, "debug", f"(setsid sleep {mark} &); sleep {mark}")
    hosts = inventory(rig, transport=transport, teardown=[["sh", "-c", "echo teardown >>did"]], **fake)
    argv = ["run", digits.reference, "--board", "rig", "--hosts", hosts, "--input", digits.input, "--frames", "3"]
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, argv)],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until(lambda: alive(mark))
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("transport", ["ssh", "openssh"])
def test_ctrl_c_leaves_the_board_clean(digits: ExampleModel, rig: Rig, tmp_path: Path, transport: str) -> None:
    mark = new_mark()
    with hanging(digits, rig, tmp_path, transport, mark) as process:
        os.killpg(process.pid, signal.SIGINT)
        _, said_last = process.communicate(timeout=60)
    assert process.returncode == COULD_NOT and "interrupted; the board was cleaned up" in said_last, said_last
    assert "harness run --resume" in said_last and "Traceback" not in said_last
    assert not alive(mark) and left_behind(rig) == []
    assert (rig.root / "did").read_text() == "teardown\n"
    kept = record(tmp_path)
    assert (kept["state"], kept["stopped_at"]) == ("interrupted", "running debug")


@pytest.mark.parametrize("silent", [False, True])
def test_ctrl_c_over_a_dead_link_does_not_say_that_the_board_is_clean(
    digits: ExampleModel, rig: Rig, tmp_path: Path, silent: bool
) -> None:
    """It is over soon: cleaning up does not get a patience for each of its steps."""
    mark = new_mark()
    with hanging(digits, rig, tmp_path, "ssh", mark) as process:
        rig.link.target_port = 1
        rig.link.frozen.set() if silent else rig.link.cut()
        os.killpg(process.pid, signal.SIGINT)
        _, said_last = process.communicate(timeout=40)
    assert process.returncode == COULD_NOT and "could not be cleaned" in said_last, said_last
    assert record(tmp_path)["state"] == "interrupted" and left_behind(rig) != []

"""Whole nights by the real command line: boards that are well, wrong, dying and hanging; stops, kills, rivals."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.agent.leases import LEASE_S
from harness.emulator.horizon.board import prepare
from harness.emulator.servers.serve import Served, serve
from tests.faults.test_board import small_disk
from tests.nightly.lab import HEALTH, SUITE, Lab, halved, planted, throttled_sysfs, words
from tests.profile import WHOLE
from tests.support.emulator_kit import branched_model, compile_to

LAYERS = "layers: {model: net.bin, reference: net_quantized_model.onnx, modes: [release]}"
TIMES = "times: {model: net.bin, modes: [release, profile]}"


def case(name: str, modes: str = "release") -> str:
    return f"{name}: {{model: net.bin, reference: net_quantized_model.onnx, modes: [{modes}]}}"


# --------------------------------------------------------------------------- a lab in trouble


@contextlib.contextmanager
def ssh_lab(folder: Path, more: dict[str, str]) -> Iterator[tuple[Lab, dict[str, contextlib.ExitStack]]]:
    """Boards behind real sshds; a server ends when its stack is closed."""
    lab, root = Lab(folder), prepare("x5")
    stacks: dict[str, contextlib.ExitStack] = {}
    entries = []
    with contextlib.ExitStack() as whole:
        for name, extra in more.items():
            stacks[name] = whole.enter_context(contextlib.ExitStack())
            served = stacks[name].enter_context(serve(root))
            entries.append(entry(name, served, folder, str(root), extra))
        (folder / "hosts.yaml").write_text("boards:\n" + "".join(entries))
        yield lab, stacks


def entry(name: str, served: Served, folder: Path, root: str, extra: str) -> str:
    login = {key: getattr(served, key) for key in ("address", "port", "user", "identity", "known_hosts")}
    values = {"platform": "hbdnn", "soc": "x5", "emulated": True, "tags": ["t"], **login}
    values |= {
        "tools": [f"{root}/bin"],
        "work": f"{folder}/work/{name}",
        "limits": {"patience_s": 3.0, "timeout_s": 60.0},
    }
    return f"  {name}: {json.dumps(values)[:-1]}{f', {extra}' if extra else ''}}}\n"


def dies_after_its_first_case(lab: Lab, board: str, server: contextlib.ExitStack) -> threading.Thread:
    def watch() -> None:
        ends_at = time.monotonic() + 200
        while time.monotonic() < ends_at:
            with contextlib.suppress(OSError, ValueError):
                if any(c["board"] == board and c["state"] == "ended" for c in lab.night()["cells"]):
                    server.close()
                    return
            time.sleep(0.1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
def test_every_pair_gets_its_verdict_and_incidents_are_told_from_regressions(tmp_path: Path) -> None:
    """4 cases on 4 boards: one is well, one dies, one computes something else, the tool of one hangs."""
    more = {"well": "", "dying": "", "wrong": halved(), "hanging": planted("hang@infer")}
    with ssh_lab(tmp_path, more) as (lab, servers):
        compile_to(tmp_path, branched_model(seed=1), name="other")
        cases = [
            case("first"),
            TIMES,
            "regressed: {model: other.bin, reference: net_quantized_model.onnx, modes: [release]}",
            case("last"),
        ]
        head = SUITE.replace("frames: 20,", "frames: 20, limits: {timeout_s: 15},")
        lab.write_suite(cases, head)
        watcher = dies_after_its_first_case(lab, "dying", servers["dying"])
        code, night = lab.nightly()
        watcher.join(5)
    seen = words(night)
    assert [seen[name, "well"] for name in ("first", "times", "regressed", "last")] == [
        "pass",
        "new",
        "differs",
        "pass",
    ]
    assert [seen[name, "wrong"] for name in ("first", "times", "regressed", "last")] == ["differs"] * 4
    assert seen["first", "dying"] == "pass"
    assert {seen[name, "dying"] for name in ("times", "regressed", "last")} <= {"unmeasured link", "unmeasured bad"}
    assert [seen[name, "hanging"] for name in ("first", "times")] == ["unmeasured tool"] * 2
    assert [seen[name, "hanging"] for name in ("regressed", "last")] == ["unmeasured bad"] * 2
    assert [(one["case"], one["word"]) for one in night["tickets"]] == [("regressed", "differs")]
    assert {one["board"] for one in night["incidents"]} == {"dying", "wrong", "hanging"}
    assert code == night["exit_code"] == 1
    after = {one["name"]: one["after"] for one in night["boards"]}
    assert (after["well"], after["hanging"], after["dying"]) == ("good", "bad", "bad")
    folder = lab.newest()
    page = (folder / "index.html").read_text()
    assert all((folder / cell["run"] / "run.json").is_file() for cell in night["cells"] if cell["run"])
    linked = [cell for cell in night["cells"] if cell["word"] not in ("unmeasured", "")]
    assert all(f'href="{cell["run"]}/report.html"' in page for cell in linked)
    assert all((folder / cell["run"] / "report.html").is_file() for cell in linked)


# --------------------------------------------------------------------------- stops, kills, rivals


def slow_tool(lab: Lab, seconds: float) -> str:
    """The emulated tool behind a script that notes begin and end of each start, and takes its time."""
    root, folder = prepare("x5"), lab.folder / "slow"
    folder.mkdir()
    script = (
        f'#!/bin/sh\nb=$(pwd | sed "s#.*/work/\\([^/]*\\)/.*#\\1#")\necho "begin $b $1 $$" >>{lab.folder}/tool.log\n'
        f'[ "$1" = model_info ] || sleep {seconds}\n{root}/bin/hrt_model_exec "$@"\ncode=$?\n'
        f'echo "end $b $1 $$" >>{lab.folder}/tool.log\nexit $code\n'
    )
    (folder / "hrt_model_exec").write_text(script)
    (folder / "hrt_model_exec").chmod(0o755)
    return str(folder)


def with_slow_tool(lab: Lab, seconds: float, boards: tuple[str, ...]) -> None:
    tools = slow_tool(lab, seconds)
    lab.write_hosts(dict.fromkeys(boards, ""))
    path = lab.folder / "hosts.yaml"
    path.write_text(path.read_text().replace(f"tools: [{prepare('x5')}/bin]", f"tools: [{tools}]"))


def starts(lab: Lab) -> list[list[str]]:
    return [line.split() for line in (lab.folder / "tool.log").read_text().splitlines()]


def assert_never_two_at_once(lab: Lab) -> None:
    """A start that has no end in the log was ended by the agent."""
    lines = starts(lab)
    ended = {pid for word, _, _, pid in lines if word == "end"}
    at_work: dict[str, str] = {}
    for word, board, _, pid in lines:
        if word == "end":
            at_work.pop(board, None)
        elif pid in ended:
            assert board not in at_work, f"two tools at once on {board}: {at_work[board]}, {pid}"
            at_work[board] = pid


def wait_for(lab: Lab, text: str, count: int = 1) -> None:
    ends_at = time.monotonic() + 120
    path = lab.folder / "tool.log"
    while not path.exists() or path.read_text().count(text) < count:
        assert time.monotonic() < ends_at, "the tool never began"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_night_that_is_stopped_or_killed_goes_on_where_it_was(tmp_path: Path, number: signal.Signals) -> None:
    lab = Lab(tmp_path)
    with_slow_tool(lab, 6, ("b1", "b2"))
    lab.write_suite([case("first"), case("last")], SUITE)
    process = lab.start("nightly", "suite.yaml")
    wait_for(lab, "begin b1 infer")
    wait_for(lab, "begin b2 infer")
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    if number == signal.SIGTERM:
        assert process.returncode == 3, error
        assert "resume: harness nightly --resume" in error
        night = lab.night()
        assert night["state"] == "interrupted"
        assert set(words(night).values()) == {"unmeasured stopped"}
        assert not list(tmp_path.glob("work/*/jobs/*/pid")), "nothing of it runs on a board"
    code, night = lab.nightly("--resume", str(lab.newest()))
    assert set(words(night).values()) == {"pass"}
    assert (code, night["state"], night["resumed"]) == (0, "complete", 1)
    assert_never_two_at_once(lab)
    if number == signal.SIGKILL:  # what ran on the boards was picked up, not begun again
        begun = [line for line in starts(lab) if line[0] == "begin" and line[2] == "infer"]
        assert len(begun) == 4
    refused = lab.start("nightly", "--resume", str(lab.newest()))
    assert "nothing to resume" in refused.communicate(timeout=60)[1]
    assert refused.returncode == 2


@pytest.mark.slow
def test_two_nights_for_one_board_take_turns(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    with_slow_tool(lab, 1, ("b1",))
    lab.write_suite([case("first"), case("last")], SUITE)
    nights = [lab.start("nightly", "suite.yaml", "--nights", name) for name in ("one", "other")]
    for process in nights:
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
    assert_never_two_at_once(lab)
    for name in ("one", "other"):
        (path,) = (tmp_path / name).rglob("night.json")
        assert set(words(json.loads(path.read_text())).values()) == {"pass"}


@pytest.mark.slow
@pytest.mark.parametrize("by", ["hand", "itself"])
def test_a_night_that_slept_through_its_lease_leaves_the_board_to_whoever_has_it(tmp_path: Path, by: str) -> None:
    """SIGSTOP in the middle of a case, the lease ends (of itself only in `make soak`: twice its two minutes), another
    night has the board, SIGCONT: what slept lost its case, says so, and waits for the board with the next one."""
    if by == "itself" and not WHOLE:
        pytest.skip("two leases of two minutes: HYPOTHESIS_PROFILE=thorough (`make soak`) sleeps through them")
    lab = Lab(tmp_path)
    with_slow_tool(lab, 5, ("b1",))
    lab.write_suite([case("first"), case("last")], SUITE.replace("wait_s: 60", "wait_s: 400"))
    sleeper = lab.start("nightly", "suite.yaml", "--nights", "slept")
    try:
        wait_for(lab, "begin b1 infer")
        sleeper.send_signal(signal.SIGSTOP)
        slept_at = time.monotonic()
        if by == "hand":
            released = lab.start("boards", "release", "b1", "--force")
            assert released.wait(60) == 0, released.communicate()
        other = lab.start("nightly", "suite.yaml", "--nights", "other")
        _, error = other.communicate(timeout=500)
        assert other.returncode == 0, error
        if by == "itself":
            time.sleep(max(0.0, slept_at + 2 * LEASE_S + 5 - time.monotonic()))
        sleeper.send_signal(signal.SIGCONT)
        _, error = sleeper.communicate(timeout=200)
    finally:
        sleeper.kill()
    assert "Traceback" not in error and sleeper.returncode == 3, error
    nights = {name: json.loads(next((tmp_path / name).rglob("night.json")).read_text()) for name in ("slept", "other")}
    assert set(words(nights["other"]).values()) == {"pass"}
    assert words(nights["slept"]) == {("first", "b1"): "unmeasured leased", ("last", "b1"): "pass"}
    assert "lease has ended" in nights["slept"]["cells"][0]["detail"]
    assert_never_two_at_once(lab)


@pytest.mark.slow
def test_a_case_ends_with_its_budget_and_the_night_goes_on(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    with_slow_tool(lab, 25, ("b1",))
    long = case("long").replace("modes:", "limits: {budget_s: 8}, modes:")
    lab.write_suite([long, "quick: {model: net.bin, modes: [profile], limits: {budget_s: 120}}"], SUITE)
    code, night = lab.nightly()
    assert words(night) == {("long", "b1"): "unmeasured budget", ("quick", "b1"): "new"}
    assert code == 3
    assert_never_two_at_once(lab)


CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *t) {
  static int (*real)(clockid_t, struct timespec *); static long begun;
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  struct timespec up; real(CLOCK_MONOTONIC, &up);
  if (!begun) begun = up.tv_sec;
  int r = real(id, t);
  if (id == CLOCK_REALTIME && up.tv_sec - begun > 6) t->tv_sec += 86400 * (up.tv_sec % 2 ? 1 : -1);
  return r;
}
"""


@pytest.mark.slow
def test_a_clock_that_jumps_changes_no_verdict(tmp_path: Path) -> None:
    """From the seventh second on the time of day jumps to and fro by a day, every second."""
    lab = Lab(tmp_path, {"b1": "", "b2": ""})
    (tmp_path / "clock.c").write_text(CLOCK)
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"], cwd=tmp_path, check=True)
    except FileNotFoundError:
        pytest.skip("needs cc (see README: Debian packages)")
    lab.write_suite([case("first"), case("last")], SUITE)
    process = lab.start("nightly", "suite.yaml", LD_PRELOAD=str(tmp_path / "clock.so"))
    _, error = process.communicate(timeout=200)
    assert process.returncode == 0, error
    assert set(words(lab.night()).values()) == {"pass"}
    assert 0 < lab.night()["duration_s"] < 200


@pytest.mark.slow
def test_a_board_that_throttles_or_is_hot_gives_no_point(tmp_path: Path) -> None:
    """Its values count all the same."""
    lab = Lab(tmp_path, {"b1": ""})
    cool = "cool: {model: net.bin, modes: [profile], latency: {start_c: 60, cool_s: 1}}"
    lab.write_suite([case("first"), TIMES, cool], SUITE)
    code, night = lab.nightly(HARNESS_SYSFS=str(throttled_sysfs(tmp_path)))
    assert words(night) == {
        ("first", "b1"): "pass",
        ("times", "b1"): "unmeasured throttled",
        ("cool", "b1"): "unmeasured hot",
    }
    times = next(cell for cell in night["cells"] if cell["case"] == "times")
    assert "500 MHz" in times["detail"] and times["latency"] is None
    assert (code, night["tickets"]) == (3, [])


# --------------------------------------------------------------------------- who is told


@pytest.mark.slow
def test_a_sick_lab_is_told_about_and_maintenance_keeps_a_board_out(tmp_path: Path) -> None:
    lab = Lab(tmp_path, {"b1": "limits: {patience_s: 0.5, connect_timeout_s: 1}"})
    path = tmp_path / "hosts.yaml"
    path.write_text(path.read_text().replace("transport: local", "transport: ssh, address: 127.0.0.1, port: 1"))
    tell = '[sh, -c, "cat >told.json; echo $HARNESS_SICK $HARNESS_EXIT_CODE >sick"]'
    lab.write_suite([case("first")], f"{SUITE}notify: {tell}\n")
    code, night = lab.nightly()
    assert (code, night["exit_code"], words(night)) == (3, 3, {("first", "b1"): "unmeasured bad"})
    assert json.loads((tmp_path / "told.json").read_text())["sentence"].startswith("Nothing was measured")
    assert (tmp_path / "sick").read_text().split() == ["1", "3"]
    lab.start("boards", "maintenance", "b1", "--reason", "new fan").communicate(timeout=60)
    code, night = lab.nightly()
    assert (code, words(night)) == (3, {("first", "b1"): "unmeasured maintenance"})
    assert "new fan" in night["cells"][0]["detail"]
    listed = lab.start("boards", "list", "--json")
    boards = {one["name"]: one for one in json.loads(listed.communicate(timeout=60)[0])["boards"]}
    assert boards["b1"]["health"]["word"] == "maintenance"


@pytest.mark.slow
def test_a_health_check_keeps_a_wrong_board_from_jobs_and_lets_it_back(tmp_path: Path) -> None:
    lab = Lab(tmp_path, {"b1": halved()})
    lab.write_suite([LAYERS], SUITE + HEALTH)
    code, night = lab.nightly()
    assert (code, words(night)) == (3, {("layers", "b1"): "unmeasured bad"})
    lab.write_hosts({"b1": ""})
    code, night = lab.nightly()
    assert (code, words(night)) == (0, {("layers", "b1"): "pass"})
    (board,) = night["boards"]
    assert (board["before"], board["after"], board["checks"]) == ("bad", "good", 2)


@pytest.mark.slow
def test_a_full_disk_of_this_pc_ends_in_words_and_in_3(tmp_path: Path) -> None:
    """The disk of the nights fills up: no traceback, nothing is called good, and the board is well."""
    lab = Lab(tmp_path, {"b1": ""})
    lab.write_suite([case("first"), case("last")], SUITE)
    with small_disk(tmp_path / "small", 1) as disk:
        (disk / "filler").write_bytes(bytes(700_000))
        process = lab.start("nightly", "suite.yaml", "--nights", str(disk))
        _, error = process.communicate(timeout=200)
        assert process.returncode == 3, error
        assert "Traceback" not in error
        assert "No space left on device" in error
    listed = lab.start("boards", "list", "--json")
    boards = {one["name"]: one for one in json.loads(listed.communicate(timeout=60)[0])["boards"]}
    assert boards["b1"]["health"]["word"] == "good"

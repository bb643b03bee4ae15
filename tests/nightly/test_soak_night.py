"""20 cases on 12 boards behind real sshds on 127.0.0.2 to .13, twice: minutes, so only in `make soak`.

Six boards are well. One dies in its third case, the tool of one hangs, one is throttled, one computes something else,
the link of one is dead for a while, one is in maintenance. Two cases are regressions of the model.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.emulator.horizon.board import prepare
from harness.emulator.servers.serve import serve
from tests.nightly.lab import SUITE, Lab, halved, planted, throttled_sysfs, words
from tests.nightly.test_night import case, entry
from tests.profile import WHOLE
from tests.support.emulator_kit import branched_model, compile_to

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not WHOLE, reason="two nights of 240 pairs: HYPOTHESIS_PROFILE=thorough (`make soak`) plays them"
    ),
]

WELL = tuple(f"well-{place}" for place in range(1, 7))
BOARDS = (*WELL, "dying", "hanging", "throttled", "wrong", "flapping", "away")
LAYERS = tuple(f"layers-{place}" for place in range(1, 12))
DEBUG = ("debug-1", "debug-2")
TIMES = tuple(f"times-{place}" for place in range(1, 6))
REGRESSED = ("regressed-1", "regressed-2")
DIES_IN, FLAPS_IN = 3, 4  # which start of `infer` it is
DEAD_S = 30.0  # of the flapping link: longer than its patience


def suite_cases() -> list[str]:
    """In an order in which every board meets each kind early and late."""
    lines = [case(name) for name in LAYERS] + [case(name, "debug") for name in DEBUG]
    lines += [f"{name}: {{model: net.bin, modes: [release, profile]}}" for name in TIMES]
    other = "{model: other.bin, reference: net_quantized_model.onnx, modes: [release]}"
    lines += [f"{name}: {other}" for name in REGRESSED]
    assert len(lines) == 20
    return lines[::3] + lines[1::3] + lines[2::3]


@contextlib.contextmanager
def whole_lab(folder: Path) -> Iterator[Lab]:
    lab, root = Lab(folder), prepare("x5")
    compile_to(folder, branched_model(seed=1), name="other")
    more = {"hanging": planted("hang@infer"), "wrong": halved()}
    entries = []
    with contextlib.ExitStack() as servers:
        for place, name in enumerate(BOARDS):
            own = servers.enter_context(contextlib.ExitStack())
            environment = {"HARNESS_SYSFS": str(throttled_sysfs(folder))} if name == "throttled" else {}
            served = own.enter_context(serve(root, environment=environment, address=f"127.0.0.{place + 2}"))
            line = entry(name, served, folder, str(root), more.get(name, ""))
            if name in ("dying", "flapping"):
                tools = marking_tool(folder, name, DIES_IN if name == "dying" else FLAPS_IN)
                line = line.replace(f"{root}/bin", tools)
            if name == "dying":
                servers.enter_context(at_mark(folder / name / "mark", own.close))
            if name == "flapping":
                servers.enter_context(at_mark(folder / name / "mark", lambda pid=served.pid: freeze(pid)))  # type: ignore[misc]
            entries.append(line)
        (folder / "hosts.yaml").write_text("boards:\n" + "".join(entries))
        yield lab


def marking_tool(folder: Path, name: str, count: int) -> str:
    """The emulated tool, which leaves a mark in its start number `count` of `infer`, and then takes its time."""
    own = folder / name
    own.mkdir()
    script = (
        f'#!/bin/sh\nif [ "$1" = infer ]; then\n  echo >>{own}/starts\n'
        f"  if [ $(wc -l <{own}/starts) -eq {count} ]; then touch {own}/mark; sleep 4; fi\nfi\n"
        f'exec {prepare("x5")}/bin/hrt_model_exec "$@"\n'
    )
    (own / "hrt_model_exec").write_text(script)
    (own / "hrt_model_exec").chmod(0o755)
    return str(own)


@contextlib.contextmanager
def at_mark(mark: Path, act: Callable[[], None]) -> Iterator[None]:
    """Act once, when the mark is there."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            if mark.exists():
                act()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(DEAD_S + 10)


def freeze(pid: int) -> None:
    """Neither the server nor its connections answer for a while; what runs on the board goes on."""
    frozen = [pid, *(child for child in descendants(pid) if comm(child).startswith("sshd"))]
    for one in frozen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGSTOP)
    time.sleep(DEAD_S)
    for one in frozen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGCONT)


def descendants(pid: int) -> list[int]:
    pids: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                child = int(path.parent.name)
                pids += [child, *descendants(child)]
    return pids


def comm(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


# --------------------------------------------------------------------------- what is right


def expected(name: str, board: str, place: int) -> set[str]:
    """The words that are right for a pair; `place` is the case's in the night, from 0."""
    if board == "away":
        return {"unmeasured maintenance"}
    if board == "dying" and place >= DIES_IN - 1:
        return {"unmeasured link"} if place == DIES_IN - 1 else {"unmeasured bad"}
    if board == "hanging":
        return {"unmeasured tool"} if place < 2 else {"unmeasured bad"}
    if name in REGRESSED or board == "wrong":
        return {"differs"}
    if name in TIMES:
        return {"unmeasured throttled"} if board == "throttled" else {"new"}
    return {"pass"}


def played(folder: Path) -> Mapping[str, Any]:
    folder.mkdir()
    with whole_lab(folder) as lab:
        cases = suite_cases()
        head = SUITE.replace("frames: 20,", "frames: 20, limits: {timeout_s: 90},")
        head = head.replace("retry_pause_s: 0.2", "retry_pause_s: 6").replace("retries: 1", "retries: 3")
        lab.write_suite(cases, head)
        lab.start("boards", "maintenance", "away", "--reason", "new fan").communicate(timeout=60)
        process = lab.start("nightly", "suite.yaml")
        _, error = process.communicate(timeout=2400)
        assert "Traceback" not in error, error
        night = lab.night()
        assert process.returncode == night["exit_code"] == 1, error
        assert not list(folder.glob("work/well-*/jobs/*/pid")), "nothing of it runs on a board"
        keep_figures(folder, night)
    return night


def keep_figures(folder: Path, night: Mapping[str, Any]) -> None:
    """For who plays it by hand: HARNESS_SOAK_KEEP is a folder that the night is copied to."""
    if kept := os.environ.get("HARNESS_SOAK_KEEP"):
        newest = max((folder / "nights").glob("*/*"))
        for name in ("night.json", "night.log", "index.html"):
            shutil.copy(newest / name, Path(kept) / f"{folder.name}-{name}")
    print(f"{folder.name}: {night['duration_s']} s: {night['sentence']}")


def assert_right(night: Mapping[str, Any]) -> None:
    order = [line.split(":")[0] for line in suite_cases()]
    seen = words(night)
    assert len(seen) == 20 * 12
    wrong = {
        (name, board): word
        for (name, board), word in seen.items()
        if word not in expected(name, board, order.index(name))
    }
    assert not wrong, wrong
    assert {(one["case"], one["word"]) for one in night["tickets"]} == {(name, "differs") for name in REGRESSED}
    assert all(one["everywhere"] for one in night["tickets"])
    assert {one["board"] for one in night["incidents"]} == {"dying", "hanging", "throttled", "wrong"}
    assert any(cell["tries"] for cell in night["cells"] if cell["board"] == "flapping")
    health = {one["name"]: one["after"] for one in night["boards"]}
    assert {health[name] for name in (*WELL, "flapping")} == {"good"}
    assert (health["dying"], health["hanging"], health["away"]) == ("bad", "bad", "maintenance")


def test_each_of_240_pairs_gets_its_verdict_twice_the_same(tmp_path: Path) -> None:
    nights = [played(tmp_path / name) for name in ("one", "two")]
    for night in nights:
        assert_right(night)
    assert words(nights[0]) == words(nights[1])

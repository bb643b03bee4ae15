"""`harness run` through a proxy that does at a random moment what links do: each round ends within its bound, right or
not at all, and leaves nothing on the board.

20 rounds; with HYPOTHESIS_PROFILE=thorough (`make soak`) 60. HARNESS_LINK_ROUNDS="7 31" plays those rounds again.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest

from tests.faults.rig import SERVERS, Rig, rig_of
from tests.faults.test_run import inventory, left_behind
from tests.profile import WHOLE
from tests.support.builds import ExampleModel, build
from tests.support.servers import needs

pytestmark = pytest.mark.slow

SEED = 11
KINDS = ("freeze", "cut", "reset", "throttle", "half_close", "silence")
AT_ONCE = 3  # rounds wait more than they work
THROTTLED_BYTES_PER_S = 20_000
PADDING_BYTES = 200_000  # of the model: at 20 kB/s it is 10 s on the way

TIMEOUT_S, CONNECT_S, PATIENCE_S = 30.0, 4.0, 8.0
HEALTHY_S = 150.0  # a whole run without a fault, on a PC that does much else
# docs/faults.md: noticed after 15 s, the patience, a login, a last try that may find it silent again, giving up
SILENT_S = 15.0 + PATIENCE_S + 3 * CONNECT_S + 15.0 + 20.0
SLOW_S = 240.0 + 4 * PADDING_BYTES / THROTTLED_BYTES_PER_S
LEASE_S = 120.0  # until a lease that nobody renews is over
LEFT_S = (
    TIMEOUT_S + LEASE_S + 300.0
)  # until a board whose host is gone has ended everything, whatever else this PC does


@dataclass(frozen=True)
class Round:
    """One run and what befalls its link: when so many bytes have passed, or so long after the first one."""

    number: int
    kind: str
    server: str
    transport: str
    at_bytes: int
    at_s: float
    lasts_s: float  # freeze and half-close; the others are over at once, or stay
    up: bool

    @property
    def bound_s(self) -> float:
        return HEALTHY_S + SILENT_S + self.lasts_s + (SLOW_S if self.kind == "throttle" else 0.0)


def rounds() -> list[Round]:
    wanted = os.environ.get("HARNESS_LINK_ROUNDS", "")
    count = 60 if WHOLE else 20
    numbers = [int(word) for word in wanted.split()] or list(range(count))
    return [_round(number) for number in numbers]


def _round(number: int) -> Round:
    dice = random.Random(f"{SEED} {number}")
    by_time = dice.random() < 0.5
    return Round(
        number,
        KINDS[number % len(KINDS)],
        dice.choice(SERVERS),
        dice.choice(("ssh", "ssh", "openssh")),
        10**9 if by_time else dice.randrange(0, 600_000),
        dice.uniform(0.0, 15.0) if by_time else 10**9,
        dice.choice((2.0, 12.0, 25.0)),
        dice.random() < 0.5,
    )


# --------------------------------------------------------------------------- one round


def play(one: Round, model: Path, given: Path, folder: Path) -> str:
    """Play a round; what is wrong with it, or "" and how it ended."""
    folder.mkdir()
    with rig_of(folder / "board", one.server) as rig:
        process = start(one, rig, model, given, folder)
        over = threading.Event()
        harming = threading.Thread(target=harm, args=(one, rig, over))
        harming.start()
        began = time.monotonic()
        try:
            out, err = process.communicate(timeout=one.bound_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return f"{one}: not over after {one.bound_s:.0f} s"
        finally:
            over.set()
            harming.join()
        took_s = time.monotonic() - began
        wrong = judge(process.returncode, out + err, folder) or clean(process.returncode, rig, folder)
    print(
        f"round {one.number}: {one.kind} over {one.transport}, exit {process.returncode} after {took_s:.0f} s",
        flush=True,
    )
    return f"{one}: {wrong}" if wrong else ""


def start(one: Round, rig: Rig, model: Path, given: Path, folder: Path) -> subprocess.Popen[str]:
    limits = {"connect_timeout_s": CONNECT_S, "patience_s": PATIENCE_S}
    hosts = inventory(rig, transport=one.transport, limits=limits)
    argv = ["run", model, "--board", "rig", "--hosts", hosts, "--input", given, "--reference", model, "--frames", "3"]
    argv += ["--option", "optimizations=disabled", "--timeout", f"{TIMEOUT_S:g}", "--pull", "all"]
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, argv)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def harm(one: Round, rig: Rig, over: threading.Event) -> None:
    """Wait for the moment, then do it, and undo what does not last."""
    link, first = rig.link, 0.0
    while not over.wait(0.01):
        passed = link.up_bytes + link.down_bytes
        first = first or (time.monotonic() if passed else 0.0)
        if passed >= one.at_bytes or (first and time.monotonic() - first >= one.at_s):
            break
    if one.kind in ("freeze", "silence"):
        link.frozen.set()
    elif one.kind == "cut":
        link.cut()
    elif one.kind == "reset":
        link.reset()
    elif one.kind == "throttle":
        link.bytes_per_s = THROTTLED_BYTES_PER_S
    else:
        link.half_close(one.up)
    if one.kind in ("freeze", "half_close"):
        over.wait(one.lasts_s)
        link.heal()


def judge(code: int, output: str, folder: Path) -> str:
    """What is wrong with how a run ended: it is right, or says that it could not measure."""
    if "Traceback" in output or code not in (0, 3):
        return f"exit {code}: {output}"
    (file,) = folder.rglob("run.json")
    run = json.loads(file.read_text())
    word = run["verdict"]["word"]
    if (code == 0) != (word in ("consistent", "consistent_within")) or not any(folder.rglob("report.html")):
        return f"exit {code}, verdict {word}: {output}"
    return ""


def clean(code: int, rig: Rig, folder: Path) -> str:
    """What is on the board once what was still on the way has ended; after a broken run, once it was cleaned."""
    rig.link.heal()
    ends_at = time.monotonic() + LEFT_S
    argv = [sys.executable, "-m", "harness", "boards", "clean", "rig", "--hosts", str(rig.folder / "hosts.yaml")]
    while working(rig):
        if time.monotonic() > ends_at:
            return f"after exit {code} still at work: {working(rig)}"
        time.sleep(1.0)
    if code == 0 and left_behind(rig):
        return f"left {left_behind(rig)}"
    while (result := subprocess.run(argv, capture_output=True, text=True, cwd=folder)).returncode:
        if time.monotonic() > ends_at:
            return f"after exit {code} not cleaned: {result.stderr}"
        time.sleep(5.0)
    remaining = [str(path) for path in (rig.root / "work").rglob("*") if path.is_file()]
    return f"after cleaning: {remaining}" if left_behind(rig) or remaining else ""


def working(rig: Rig) -> list[str]:
    """Processes of the board that know its work folder."""
    pids, mark = [], os.fsencode(rig.root / "work")
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = entry.read_bytes()
            if mark in line:
                pids.append(line.replace(b"\0", b" ").decode("utf-8", "replace"))
    return pids


def test_every_round_ends_in_time_right_or_not_at_all_and_leaves_nothing(shared_folder: Path, tmp_path: Path) -> None:
    needs("sshd", "dropbear", "ssh-keygen", "ssh")
    digits: ExampleModel = build(shared_folder, "digits")
    model = onnx.load(digits.reference)
    model.metadata_props.add(key="padding", value=random.Random(SEED).randbytes(PADDING_BYTES // 2).hex())
    onnx.save(model, tmp_path / "model.onnx")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        played = pool.map(
            lambda one: play(one, tmp_path / "model.onnx", digits.input, tmp_path / str(one.number)), rounds()
        )
        wrong = [problem for problem in played if problem]
    assert not wrong, "\n".join(wrong)

"""A lab for nights: emulated boards with work folders of their own, a suite, and the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.emulator.horizon.board import prepare
from tests.support.emulator_kit import INPUT_SHAPE, branched

SUITE = """
suite: lab
boards: {tags: [t]}
defaults: {frames: 20, inputs: [x.bin], latency: {blocks: 2, max_drift_percent: 1000}}
limits: {retries: 1, retry_pause_s: 0.2, wait_s: 60}
"""
HEALTH = (
    "health: {model: net.bin, inputs: [x.bin], reference: net_quantized_model.onnx, max_us: 100000, timeout_s: 40}\n"
)


@dataclass
class Lab:
    """Boards by name with the keys that each has of its own; everything lies in `folder`."""

    folder: Path
    boards: Mapping[str, str] = field(default_factory=dict)  # name -> more keys of hosts.yaml

    def __post_init__(self) -> None:
        model = branched()
        for name in ("net.bin", "net_quantized_model.onnx"):
            (self.folder / name).write_bytes(model.with_name(name).read_bytes())
        np.random.default_rng(0).standard_normal(INPUT_SHAPE).astype(np.float32).tofile(self.folder / "x.bin")
        self.write_hosts(self.boards)

    def write_hosts(self, boards: Mapping[str, str]) -> None:
        root = prepare("x5")
        lines = [
            f"  {name}: {{platform: hbdnn, soc: x5, transport: local, emulated: true, tags: [t], tools: [{root}/bin], "
            f"work: {self.folder}/work/{name}{f', {more}' if more else ''}}}\n"
            for name, more in boards.items()
        ]
        (self.folder / "hosts.yaml").write_text("boards:\n" + "".join(lines))

    def write_suite(self, cases: Sequence[str], head: str = SUITE + HEALTH) -> Path:
        path = self.folder / "suite.yaml"
        path.write_text(f"{head}cases:\n" + "".join(f"  {case}\n" for case in cases))
        return path

    def start(self, *argv: str, **variables: str) -> subprocess.Popen[str]:
        """The command in a process of its own, with a state folder of this lab."""
        environment = {**os.environ, "XDG_STATE_HOME": str(self.folder / "state"), **variables}
        return subprocess.Popen(
            [sys.executable, "-m", "harness", *argv],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def nightly(self, *argv: str, **variables: str) -> tuple[int, dict[str, Any]]:
        """Exit code and night.json of a whole night; SUITE is suite.yaml unless it is resumed."""
        words = argv if "--resume" in argv else ("suite.yaml", *argv)
        process = self.start("nightly", *words, **variables)
        _, error = process.communicate(timeout=500)
        assert "Traceback" not in error, error
        return process.returncode, self.night()

    def night(self) -> dict[str, Any]:
        """The newest night.json."""
        value: dict[str, Any] = json.loads((self.newest() / "night.json").read_text())
        return value

    def newest(self) -> Path:
        return max((path.parent for path in (self.folder / "nights").glob("*/*/night.json")), key=lambda p: p.name)


def halved(op: str = "conv2") -> str:
    return f'environment: {{HARNESS_EMULATOR_FAULTS: "halved@{op}"}}'


def planted(fault: str) -> str:
    return f'environment: {{HARNESS_EMULATOR_FAULTS: "{fault}"}}'


def words(night: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """(case, board) -> its word, with the reason where it is unmeasured."""
    return {
        (cell["case"], cell["board"]): cell["word"] + (f" {cell['reason']}" if cell["reason"] else "")
        for cell in night["cells"]
    }


def throttled_sysfs(folder: Path, millidegrees: int = 70_000) -> Path:
    """A kernel's files for HARNESS_SYSFS: an accelerator at work with half of its clock, and one sensor."""
    tree = folder / "sysfs"
    zone, core = tree / "class/thermal/thermal_zone0", tree / "devices/system/bpu/bpu0"
    clock = core / "devfreq/devfreq0"
    for path, text in (
        (zone / "type", "npu"),
        (zone / "temp", str(millidegrees)),
        (core / "ratio", "97"),
        (clock / "cur_freq", "500000000"),
        (clock / "max_freq", "1000000000"),
        (clock / "governor", "performance"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return tree

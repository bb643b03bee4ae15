"""`harness run --again RUN --watch`: a model that is rebuilt is run once more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.builds import ROOT, harness_here
from tests.support.emulator_kit import branched, input_file, kit_quantized

pytestmark = pytest.mark.slow
WAITING = "(Ctrl-C ends)"


def _until(log: Path, count: int, word: str, process: subprocess.Popen[bytes]) -> str:
    """What the command wrote once `word` stands there `count` times; an end of the command fails."""
    end_s = time.monotonic() + 120
    while (text := log.read_text(encoding="utf-8")).count(word) < count:
        assert process.poll() is None and time.monotonic() < end_s, text
        time.sleep(0.1)
    return text


def test_each_rebuild_is_run_and_held_against_the_last(tmp_path: Path) -> None:
    model, source = tmp_path / "net.bin", input_file(tmp_path)
    built = branched()
    model.write_bytes(built.read_bytes())
    words = ["run", model, "--board", "emu-x5", "--input", f"x={source}", "--reference", kit_quantized(built)]
    assert harness_here(*words, "--no-stages", "--mode", "release,debug", cwd=tmp_path).returncode == 0
    log, argv = tmp_path / "watch.log", [sys.executable, "-m", "harness", "run", "--again", "runs", "--watch"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv, cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
    try:
        assert "B against A" in _until(log, 1, WAITING, process)
        model.write_bytes(built.read_bytes() + b"\0")
        text = _until(log, 2, WAITING, process)
        assert text.count("B against A") == 2 and "no difference found" not in text.split("B against A")[2]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert len(list((tmp_path / "runs").rglob("run.json"))) == 3

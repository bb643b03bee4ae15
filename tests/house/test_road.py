"""How the road of one case goes through the packages, counted in a run (scripts/road.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.emulator.build import build
from harness.emulator.compiler.compile import BuildOptions
from harness.emulator.rooms import soc_named
from tests.support import emulator_kit as kit

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_whole_board_goes_to_who_reaches_it_and_nowhere_else(tmp_path: Path) -> None:
    """To the session, from it to boards/, and from there to the emulator; at cbf98ac it made 11 moves."""
    build([kit.save(tmp_path, kit.branched_model())], BuildOptions(soc_named("x5")), tmp_path / "net.bin")
    argv = [sys.executable, str(ROOT / "scripts/road.py"), "net.bin", "--board", "emu-x5"]
    result = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    rows = {line[:22].strip(): line[22:].split() for line in result.stdout.splitlines()[-4:]}
    assert rows[""] == ["moves", "climbs", "pairs", "up"], result.stdout + result.stderr
    assert rows["a whole Board"] == ["3", "0", "3", "0"]
    assert int(rows["a Board or part"][0]) <= 14 and rows["a Board or part"][1] == "0"

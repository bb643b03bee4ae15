"""How a program of an emulated board is started, on every Python that harness supports."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.emulator.started import module_words


@pytest.mark.parametrize("version", [(3, 10), (3, 11)])
def test_files_of_the_board_are_never_imported(version: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the board file was imported')")
    argv = [*module_words("horizon.hrt_model_exec", version), "--version"]
    result = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "was imported" not in result.stderr and "-P" not in result.stderr
    assert result.stderr == "" or "HARNESS_EMULATOR_ROOT" in result.stderr, result.stderr

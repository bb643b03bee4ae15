"""`limits:` of hosts.yaml hold for all that a board brings, also where only hashes cross the link."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.builds import build, harness

pytestmark = pytest.mark.slow


def test_what_this_pc_writes_itself_counts_as_what_the_board_brings(shared_folder: Path, tmp_path: Path) -> None:
    """Every dump equals the PC's, so none is pulled: this PC would write them itself, as many as the board names."""
    digits = build(shared_folder, "digits")
    hosts = tmp_path / "hosts.yaml"
    plain = {"platform": "ort", "transport": "local", "work": str(tmp_path / "work")}
    board: dict[str, object] = {**plain, "options": {"python": sys.executable}, "limits": {"max_bytes": 3000}}
    hosts.write_text(json.dumps({"boards": {"here": board}}))
    argv: list[str | Path] = [
        "--hosts",
        hosts,
        "--input",
        digits.input,
        "--reference",
        digits.reference,
        "--mode",
        "debug",
    ]
    result = harness("run", digits.reference, "--board", "here", *argv, cwd=tmp_path)
    assert result.returncode == 3, result.stdout + result.stderr
    assert "raise `limits: max_bytes`" in result.stderr and "bytes, limit 3000" in result.stderr
    assert not list(tmp_path.glob("runs/*/*/*/debug/t*.bin"))

"""What was written again and again, and now stands in one file that the others ask."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "harness"


@pytest.mark.parametrize(
    ("what", "home"),
    [
        (r'b"HARNEMU1"', "platforms/emulated.py"),  # the emulator's file format
        (r'b"\\x93NUMPY"$', "files/arrays.py"),
        (r'environ[^\n]*"XDG_|_of_user\("XDG_', "files/user_folders.py"),
        (r"yaml\.compose\(", "files/yaml_nodes.py"),
        (r"30 \* 86400", "platforms/options.py"),  # the seconds of a profile
    ],
)
def test_it_stands_in_one_file(what: str, home: str) -> None:
    files = [str(p.relative_to(PACKAGE)) for p in sorted(PACKAGE.rglob("*.py")) if re.search(what, p.read_text(), re.M)]
    assert files == [home]

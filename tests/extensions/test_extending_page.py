"""docs/extending.md shows the example as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/extension"
BLOCKS = re.findall(r"```(python|toml)\n(.*?)```", (ROOT / "docs/extending.md").read_text(), re.DOTALL)
FILES = {"python": EXAMPLE / "acme_harness/__init__.py", "toml": EXAMPLE / "pyproject.toml"}


def words(text: str) -> str:
    """Without blanks: ruff formats the blocks of a page by themselves."""
    return "".join(text.split())


@pytest.mark.parametrize(("kind", "text"), BLOCKS)
def test_a_block_is_in_the_example(kind: str, text: str) -> None:
    assert words(text) in words(FILES[kind].read_text())


def test_every_group_of_the_page_is_one_that_harness_reads() -> None:
    named = set(re.findall(r"^\| `(harness\.\w+)`", (ROOT / "docs/extending.md").read_text(), re.MULTILINE))
    code = "\n".join(path.read_text() for path in (ROOT / "harness").rglob("*.py"))
    assert named and all(f'"{group}"' in code for group in named)
    assert set(re.findall(r'entry-points\."(harness\.\w+)"', FILES["toml"].read_text())) == named

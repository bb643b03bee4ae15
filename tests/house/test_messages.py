"""docs/messages.md is what the commands print today."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from harness.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "messages.md"
STYLE = re.compile(r"^error: .*[^.]$", re.MULTILINE)


@pytest.mark.slow  # a hundred calls of real commands
def test_the_list_of_messages_is_what_the_commands_print() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "messages.py"))
    text = script["page"](script["entries"]())
    assert text == PAGE.read_text("utf-8"), "write it again: python scripts/messages.py"


def test_the_list_has_every_command_and_one_style() -> None:
    entries = re.findall(r"^```text\n\$ (.*?)\n(.*?)\n\[exit (\d)\]\n```$", PAGE.read_text("utf-8"), re.M | re.S)
    assert len(entries) >= 60
    assert {name for name in COMMANDS if any(f"harness {name}" in command for command, _, _ in entries)} == set(
        COMMANDS
    )
    errors = [text for _, text, code in entries if code == "2"]
    assert all(STYLE.search(text) for text in errors), "a fact without a full stop, as all others"

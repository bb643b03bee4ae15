"""What linting wants of a vendor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import vendors
from harness.errors import ConfigError
from harness.lint.findings import LintFinding, LintRule

# (the config, one of `tools` or "" where the config tells, the transform command or "", the ONNX) -> findings by line.
# Errors: ConfigError, InputError for a file that cannot be read as such a config.
Lint = Callable[[Path, str, str, "Path | None"], tuple[LintFinding, ...]]


@dataclass(frozen=True)
class LintVendor:
    """The configs of one vendor's toolchains."""

    tools: tuple[str, ...]  # whose configs these are, as `--tool` names them
    rules: Mapping[str, LintRule]
    recognises: Callable[[str], bool]  # whether the beginning of a file is meant as such a config, damaged or not
    lint_file: Lint
    takes_command: bool = False  # whether the transform command is looked at beside the config
    takes_model: bool = False  # whether an ONNX given beside the config is
    is_default: bool = False  # takes what no other vendor recognises


def vendor_of(rooms: Mapping[str, LintVendor], tool: str, text: str) -> LintVendor:
    """Whose config a file is: by the tool, else by what it begins with. Errors: ConfigError for an unknown tool."""
    if tool:
        named = [room for room in rooms.values() if tool in room.tools]
        if not named:
            known = [one for room in rooms.values() for one in room.tools]
            raise ConfigError(f"unknown tool {tool!r}", f"known: {', '.join(known)}")
        return named[0]
    ordered = sorted(rooms.items(), key=lambda named: named[1].is_default)

    def takes(name: str, room: LintVendor) -> bool:
        return vendors.careful(name, lambda: room.recognises(text), False)

    return next((room for name, room in ordered if takes(name, room)), ordered[-1][1])

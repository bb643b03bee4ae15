"""Nodes that the build's own configuration puts on the CPU, as messages: `run_on_cpu`, and `node_info` with ON: CPU."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from harness.records import Message
from harness.toolchains.text import Line

_NODE = re.compile(r"['\"]?([^\s'\":;{},]+)['\"]?\s*:\s*\{[^{}]*['\"]?ON['\"]?\s*:\s*['\"]?CPU\b")
MEANING = "placement was set by hand (run_on_*, node_info)"


def placed_on_cpu(settings: Mapping[str, Mapping[str, str]], lines: Sequence[Line]) -> tuple[Message, ...]:
    """One message per node, with the line of the log where it is named first."""
    placed = {node: key for group in settings.values() for key, node in _placed(group)}
    return tuple(_message(node, key, lines) for node, key in placed.items())


def _placed(group: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for node in re.split(r"[;,\s\[\]'\"]+", group.get("run_on_cpu", "")):
        if node and node.lower() not in ("none", "null"):
            yield "run_on_cpu", node
    for match in _NODE.finditer(group.get("node_info", "")):
        yield "node_info", match[1]


def _message(node: str, key: str, lines: Sequence[Line]) -> Message:
    named = next((line.number for line in lines if key in line.text and node in line.text), 0)
    named = named or next((line.number for line in lines if key in line.text), 0)
    return Message("note", f"{key}: {node}", MEANING, named, node)

"""A board put into hosts.yaml as text: every other byte of the file stays what it was, comments and order included."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from harness.errors import ConfigError
from harness.files.yaml_nodes import compose, pairs

_PLAIN = re.compile(r"[A-Za-z0-9_/.~][\w/.~@+-]*")
COMMENT_COLUMN = 38
BOM = "\ufeff"


@dataclass(frozen=True)
class Entry:
    """One key of a board and why it is there. Values are text, numbers, booleans, lists of text, mappings of text."""

    key: str
    value: Any
    comment: str = ""


class NotSafe(Exception):
    """The file cannot be edited as text; the words say why."""


def block(name: str, entries: Sequence[Entry], comment: str, indent: int = 2) -> list[str]:
    """Lines of one board, `name:` at `indent` blanks."""
    lines = [_commented(f"{' ' * indent}{_scalar(name)}:", comment)]
    for entry in entries:
        lines.append(_commented(f"{' ' * (indent + 2)}{entry.key}: {_value(entry.value)}", entry.comment))
    return lines


def new_file(lines: Sequence[str]) -> str:
    """A file that holds one board."""
    head = [
        "# Board inventory, created by `harness boards add`. All keys: see harness's hosts.example.yaml.",
        "# No passwords here: use a key, the ssh agent, or the keyring (harness boards password NAME).",
        "boards:",
    ]
    return "\n".join([*head, *lines]) + "\n"


def with_board(text: str, name: str, entries: Sequence[Entry], comment: str) -> str:
    """The text of hosts.yaml with one board more, after the last one. Errors: NotSafe."""
    mark, body = (BOM, text[1:]) if text.startswith(BOM) else ("", text)
    newline = "\r\n" if "\r\n" in body else "\n"
    boards = _boards(body)
    lines = body.split("\n")  # a "\r" stays at the end of its line
    after, indent = (boards.start_mark.line, 2) if not pairs(boards) else (_last_line(boards), _indent(boards))
    if not lines[after].strip() or (after == len(lines) - 1 and not body.endswith("\n")):
        lines[after] += newline[:-1]  # a last line without its end
    made = [f"{line}{newline[:-1]}" for line in block(name, entries, comment, indent)]
    rest = lines[after + 1 :] or [""]
    result = "\n".join([*lines[: after + 1], *made, *rest])
    _hold(body, result, name, entries)
    return mark + result


def _boards(text: str) -> yaml.Node:
    """The value of the key `boards`, a block mapping or nothing. Errors: NotSafe."""
    try:
        root = compose(text, "the file")
    except ConfigError as error:
        raise NotSafe(error.message) from error
    entries = [pair for pair in pairs(root) if pair[0].value == "boards"]
    if not entries or (isinstance(root, yaml.MappingNode) and root.flow_style):
        raise NotSafe("it has no top-level key `boards:`")
    key, value = entries[0]
    if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
        return value
    if isinstance(value, yaml.ScalarNode) and value.value == "" and value.start_mark.index == value.end_mark.index:
        return yaml.MappingNode("", [], start_mark=key.start_mark, end_mark=key.end_mark)
    raise NotSafe(
        "`boards:` is written in braces" if getattr(value, "flow_style", False) else "`boards:` is no mapping"
    )


def _indent(boards: yaml.Node) -> int:
    first = pairs(boards)[0][0]
    return int(first.start_mark.column)


def _last_line(node: yaml.Node) -> int:
    """The last line that a value fills: that of its deepest last part; comments below it are not its own."""
    if isinstance(node, yaml.MappingNode | yaml.SequenceNode) and node.value and not node.flow_style:
        last = node.value[-1]
        key, value = last if isinstance(last, tuple) else (last, last)
        return max(_last_line(key), _last_line(value))
    end = node.end_mark
    is_empty = node.start_mark.index == end.index  # `key:` without a value is marked where the next thing begins
    if is_empty:
        return 0
    return int(end.line) - (1 if end.column == 0 and end.line > node.start_mark.line else 0)


def _hold(before: str, after: str, name: str, entries: Sequence[Entry]) -> None:
    """The edited text says what the old one said, and this board. Errors: NotSafe."""
    try:
        old, new = yaml.safe_load(before), yaml.safe_load(after)
    except yaml.YAMLError as error:
        raise NotSafe(f"with the board added it would not be valid YAML ({str(error).splitlines()[0]})") from error
    wanted = dict(old.get("boards") or {}) | {name: {entry.key: entry.value for entry in entries}}
    if new != {**old, "boards": wanted}:
        raise NotSafe("a text edit would change the meaning of its other entries")


def _commented(text: str, comment: str) -> str:
    """A comment never breaks its line, whatever a board has said."""
    words = " ".join("".join(c if c.isprintable() else " " for c in comment).split())[:160]
    return f"{text.ljust(COMMENT_COLUMN - 2)}  # {words}" if words else text


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_scalar(str(one))}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_scalar(str(one)) for one in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """As YAML reads it back: plain where nothing can be mistaken, else in JSON's quotes, which are YAML's."""
    if isinstance(value, bool | int):
        return json.dumps(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False)

"""A yaml file as a tree that knows its lines, and how each scalar was written.

YAML 1.1 is what the toolchains read (PyYAML): an unquoted ON, yes or off is a boolean there, also as a key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import yaml

from harness.errors import ConfigError
from harness.files.yaml_nodes import compose, line_of, pairs
from harness.lint.numbers import is_too_long

MAX_DEPTH = 40
MAX_NODES = 50_000


@dataclass(frozen=True)
class Node:
    """One value. `value` is the resolved scalar (None for a collection and for an empty value)."""

    line: int  # 1-based
    kind: str  # "scalar", "map", "list"
    value: Any = None
    raw: str = ""  # as written, without quotes
    quoted: bool = False
    items: tuple[tuple[Node, Node], ...] = ()  # of a map: key, value, in file order
    entries: tuple[Node, ...] = ()  # of a list

    @property
    def empty(self) -> bool:
        """Whether nothing is written there."""
        return self.kind == "scalar" and (self.value is None or self.raw.strip() == "")

    @property
    def text(self) -> str:
        """A scalar as the tools see it after str(); a boolean key ON becomes "True"."""
        return str(self.value) if not isinstance(self.value, str) and self.value is not None else self.raw

    def get(self, key: str) -> Node | None:
        """The value of `key` in a map; the last one counts, as in the tool."""
        return next((value for name, value in reversed(self.items) if name.text == key), None)


@dataclass
class _Budget:
    """What is left of the nodes that a file may have. `loader` resolves scalars as PyYAML does.

    With `as_json`, what is not quoted is a value of JSON: 1e3 is a number there, and a text in YAML 1.1.
    """

    remaining: int = MAX_NODES
    as_json: bool = False
    loader: yaml.SafeLoader = field(default_factory=lambda: yaml.SafeLoader(""))


def read_tree(text: str, name: str, as_json: bool = False) -> Node:
    """The root of the only document in `text`, JSON with `as_json`. Errors: ConfigError when it is no yaml map."""
    try:
        root = compose(text, name)
    except (ValueError, OverflowError) as error:  # of an escape or a %YAML line whose number PyYAML cannot take
        raise ConfigError(
            f"{name}: not valid YAML: {error}", "write characters as they are, without escapes"
        ) from error
    if root is None:
        raise ConfigError(f"{name}: empty", "give a config of a toolchain")
    tree = _node(root, _Budget(as_json=as_json), 0)
    if tree.kind != "map":
        raise ConfigError(
            f"{name}: not a toolchain config (a YAML mapping of parameter groups)",
            "a config begins with model_parameters:",
        )
    return tree


def _node(node: yaml.Node, budget: _Budget, depth: int) -> Node:
    budget.remaining -= 1
    line = line_of(node)
    if depth > MAX_DEPTH or budget.remaining < 0:
        raise ConfigError(f"line {line}: nested too deeply or too many aliases", "write the values out")
    if isinstance(node, yaml.MappingNode):
        items = tuple((_node(k, budget, depth + 1), _node(v, budget, depth + 1)) for k, v in pairs(node))
        return Node(line, "map", items=items)
    if isinstance(node, yaml.SequenceNode):
        return Node(line, "list", entries=tuple(_node(one, budget, depth + 1) for one in node.value))
    quoted = isinstance(node, yaml.ScalarNode) and node.style in ("'", '"')
    return Node(line, "scalar", _scalar(node, budget, quoted), str(node.value), quoted)


def _scalar(node: yaml.Node, budget: _Budget, quoted: bool) -> Any:
    """The scalar as PyYAML (or JSON) resolves it; what its constructor refuses (`!!bool maybe`) stays text."""
    try:
        value = json.loads(node.value) if budget.as_json and not quoted else budget.loader.construct_object(node)
    except Exception:  # constructors raise what they come upon: KeyError, AttributeError, IndexError
        return node.value
    is_plain = value is None or isinstance(value, str | int | float | date | bytes)
    return value if is_plain and not is_too_long(value) else node.value

"""A Horizon config as the checks see it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from harness.lint.findings import LintFinding
from harness.lint.horizon.rules import RULES
from harness.lint.horizon.schema import HB_COMPILE, HB_MAPPER, Field
from harness.lint.yaml_tree import Node

PLACEHOLDER = re.compile(r"\*{3,}|^\{OP_name\}$")


@dataclass
class Config:
    """The config being linted, and the findings so far."""

    tree: Node
    name: str
    tool: str = ""  # "hb_mapper" or "hb_compile"
    folder: Path | None = None  # where relative paths begin; None: no file is looked at
    findings: list[LintFinding] = field(default_factory=list)

    @property
    def schema(self) -> dict[str, dict[str, Field]]:
        """Known keys by group, of the tool that the file is for."""
        return HB_COMPILE if self.tool == "hb_compile" else HB_MAPPER

    def group(self, name: str) -> Node | None:
        """The mapping of that name; None where there is none."""
        node = self.tree.get(name)
        return node if node is not None and node.kind == "map" else None

    def get(self, group: str, key: str) -> Node | None:
        """The value of a key that is filled in; None for a missing, empty or placeholder value."""
        parent = self.group(group)
        node = parent.get(key) if parent is not None else None
        return None if node is None or unfilled(node) else node

    def has(self, group: str, key: str) -> bool:
        """The key stands there, filled in or not."""
        parent = self.group(group)
        return parent is not None and parent.get(key) is not None

    def text(self, group: str, key: str, default: str = "") -> str:
        """A scalar as it is written, `default` where there is none."""
        node = self.get(group, key)
        return node.text if node is not None and node.kind == "scalar" else default

    def line(self, group: str, key: str = "") -> int:
        """Line of the key, else of its group, else 1."""
        for name, value in self.tree.items:
            if name.text != group:
                continue
            for inner, _ in reversed(value.items):
                if inner.text == key:
                    return inner.line
            return name.line
        return 1

    @property
    def march(self) -> str:
        """As the file says, "" where it does not."""
        return self.text("model_parameters", "march")

    def words(self, group: str, key: str) -> list[str]:
        """A `;` list, blanks gone; empty when the key is not there."""
        node = self.get(group, key)
        if node is None:
            return []
        if node.kind == "list":
            return [one.text.strip() for one in node.entries]
        parts = [part.strip() for part in node.text.split(";")] if node.kind == "scalar" else []
        return parts[:-1] if parts and parts[-1] == "" else parts

    def add(self, rule: str, line: int, message: str, fix: str) -> None:
        """Keep a finding, once."""
        known = RULES[rule]
        finding = LintFinding(rule, known.severity, line, message, known.source, fix)
        if finding not in self.findings:
            self.findings.append(finding)


def unfilled(node: Node) -> bool:
    """An empty value or a template's placeholder: `''`, `***.onnx`, `{OP_name}`."""
    if node.kind == "map":
        return any(key.text == "OP_name" and value.empty for key, value in node.items)
    return node.kind == "scalar" and (node.empty or PLACEHOLDER.search(node.text) is not None)


def is_template(config: Config) -> bool:
    """A vendor's template still to be filled in: its model file is empty or a placeholder."""
    keys = ("onnx_model", "caffe_model", "prototxt")
    present = [key for key in keys if config.has("model_parameters", key)]
    return bool(present) and all(config.get("model_parameters", key) is None for key in present)

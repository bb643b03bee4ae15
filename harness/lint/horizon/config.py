"""A Horizon config as the checks see it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.lint.findings import LintFinding
from harness.lint.horizon.ops import kind_of
from harness.lint.horizon.rules import RULES, SOURCES
from harness.lint.horizon.schema import CALIBRATION, COMPILER, HB_COMPILE, HB_MAPPER, INPUT, MODEL, Table
from harness.lint.network import Network
from harness.lint.yaml_tree import Node

PLACEHOLDER = re.compile(r"\*{3,}|^\{OP_name\}$")
MODEL_FILES = ("onnx_model", "caffe_model", "prototxt")
DATA_FREE = ("load", "skip")  # calibration types that read no data


@dataclass
class Config:
    """The config being linted, and the findings so far."""

    tree: Node
    name: str
    tool: str = ""  # "hb_mapper" or "hb_compile"
    folder: Path | None = None  # where relative paths begin; None: no file is looked at
    network: Network | None = None  # the ONNX that the config names, where it is here
    findings: list[LintFinding] = field(default_factory=list)
    _kept: set[LintFinding] = field(default_factory=set)

    @property
    def is_j6(self) -> bool:
        """Whether it is a config of hb_compile."""
        return self.tool == "hb_compile"

    @property
    def schema(self) -> Table:
        """Known keys by group, of the tool that the file is for."""
        return HB_COMPILE if self.is_j6 else HB_MAPPER

    def group(self, name: str) -> Node | None:
        """The mapping of that name; None where there is none."""
        node = self.tree.get(name)
        return node if node is not None and node.kind == "map" else None

    def raw(self, group: str, key: str) -> Node | None:
        """The value of a key as it stands there, filled in or not."""
        parent = self.group(group)
        return parent.get(key) if parent is not None else None

    def get(self, group: str, key: str) -> Node | None:
        """The value of a key that is filled in; None for a missing, empty or placeholder value."""
        node = self.raw(group, key)
        return None if node is None or unfilled(node) else node

    def has(self, group: str, key: str) -> bool:
        """The key stands there, filled in or not."""
        return self.raw(group, key) is not None

    def text(self, group: str, key: str, default: str = "") -> str:
        """A scalar as it is written, `default` where there is none."""
        node = self.get(group, key)
        return node.text.strip() if node is not None and node.kind == "scalar" else default

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
        return self.text(MODEL, "march")

    def words(self, group: str, key: str) -> list[str]:
        """A `;` list, blanks gone, `None` as an empty word; empty when the key is not there."""
        node = self.get(group, key)
        if node is None:
            return []
        if node.kind == "list":
            return [one.text.strip() for one in node.entries]
        parts = _parts(node.text) if node.kind == "scalar" else []
        return ["" if part == "None" else part for part in parts]

    @cached_property
    def is_template(self) -> bool:
        """A vendor's template still to be filled in: no model file, no input, and places for them."""
        named = [(MODEL, key) for key in MODEL_FILES] + [(INPUT, "input_name"), (INPUT, "input_shape")]
        present = [one for one in named if self.has(*one)]
        return bool(present) and all(self.get(*one) is None for one in present)

    def add(self, rule: str, line: int, message: str, fix: str, severity: str = "", source: str = "") -> None:
        """Keep a finding, once. `severity` and `source` where they differ from the rule's for this tool and chip."""
        known = RULES[rule]
        cited = source or SOURCES[rule].of(self.tool, self.march)
        finding = LintFinding(rule, severity or known.severity, line, message, cited, fix)
        if finding not in self._kept:
            self._kept.add(finding)
            self.findings.append(finding)


def _parts(text: str) -> list[str]:
    """As the tools split a list: quotes are blanks, one `;` at the end is none."""
    plain = text.replace("'", " ").replace('"', " ").strip().removesuffix(";")
    return [part.strip() for part in plain.split(";")]


def unfilled(node: Node) -> bool:
    """An empty value or a template's placeholder: `''`, `***.onnx`, `{OP_name}`."""
    if node.kind == "map":
        return any(key.text == "OP_name" and value.empty for key, value in node.items)
    return node.kind == "scalar" and (node.empty or PLACEHOLDER.search(node.text) is not None)


def is_on(config: Config, group: str, key: str) -> bool:
    """Whether a switch is on, in whatever way it is written."""
    return config.text(group, key).lower() in ("true", "1")


def calibration_type(config: Config) -> str:
    """The calibration type that is set, or the tool's default."""
    return config.text(CALIBRATION, "calibration_type", "" if config.is_j6 else "default")


def runs_fast(config: Config) -> bool:
    """Whether the build is for its speed alone, without calibration."""
    return "run_fast" in config.words(CALIBRATION, "optimization")


def dumps_layers(config: Config) -> bool:
    """Whether every layer becomes an output."""
    return is_on(config, MODEL, "layer_out_dump")


def compile_mode(config: Config) -> str:
    """As the file says, or the tools' default."""
    return config.text(COMPILER, "compile_mode", "latency")


def op_type(config: Config, node: str) -> str:
    """The op type of a node: the ONNX's where it is here, else what the name tells; "" where neither does."""
    known = config.network.kinds.get(node, "") if config.network is not None else ""
    return known or kind_of(node)

"""`lint_text`: a config of hb_mapper (X3, J5, X5) or hb_compile (J6, S100) against its official schema.

Pure but for the calibration folders and a quant_config file that the config names: where they exist beside it, they
are looked at; where not, nothing is said about them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import ConfigError
from harness.toolchains.lint_ops import MARCHES_J6, MARCHES_X
from harness.toolchains.lint_rules import RULES
from harness.toolchains.lint_schema import GROUPS, HB_COMPILE, HB_MAPPER, Field
from harness.toolchains.lint_yaml import Node, read_tree

PLACEHOLDER = re.compile(r"\*{3,}|^\{OP_name\}$")
J6_ONLY = ("quant_config", "enable_vpu", "enable_spu", "std_value", "cache_mode", "max_l2m_size", "separate_batch")


@dataclass(frozen=True)
class LintFinding:
    """One finding. `--json` prints exactly these fields."""

    rule: str
    severity: str
    line: int
    message: str
    source: str
    fix: str


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
        return HB_COMPILE if self.tool == "hb_compile" else HB_MAPPER

    def group(self, name: str) -> Node | None:
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
    there = [key for key in keys if config.has("model_parameters", key)]
    return bool(there) and all(config.get("model_parameters", key) is None for key in there)


def tool_of(config: Config) -> str:
    """hb_compile for a nash march or keys that only it has; else hb_mapper."""
    if config.march.startswith("nash") or config.march in MARCHES_J6:
        return "hb_compile"
    if config.march in MARCHES_X:
        return "hb_mapper"
    only = any(config.has(group, key) for group in GROUPS for key in J6_ONLY)
    return "hb_compile" if only else "hb_mapper"


def lint_text(text: str, name: str = "config", tool: str = "", folder: Path | None = None) -> tuple[LintFinding, ...]:
    """Findings by line. Errors: ConfigError for text that cannot be read as a config at all."""
    from harness.toolchains import lint_calibration, lint_inputs, lint_j6, lint_nodes, lint_structure

    config = Config(read_tree(text, name), name, folder=folder)
    known = {*HB_MAPPER, *HB_COMPILE, "node_info"}
    if not any(key.text in known for key, _ in config.tree.items):
        raise ConfigError(
            f"{name}: yaml, but no parameter group of hb_mapper or hb_compile in it",
            f"a config has the groups {', '.join(GROUPS)}",
        )
    config.tool = tool or tool_of(config)
    lint_structure.check(config, text)
    lint_nodes.check(config)
    lint_inputs.check(config)
    lint_calibration.check(config)
    if config.tool == "hb_compile":
        lint_j6.check(config)
    return tuple(sorted(config.findings, key=lambda one: (one.line, one.rule)))


def lint_file(path: Path, tool: str = "") -> tuple[LintFinding, ...]:
    """Findings of a config file. Errors: ConfigError when it cannot be read as a config at all."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "give a yaml file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text", "save the yaml in UTF-8") from error
    return lint_text(text, str(path), tool, path.parent)

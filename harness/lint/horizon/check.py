"""`lint_text`: a config of hb_mapper (X3, J5, X5) or hb_compile (J6, S100) against its official schema.

Pure but for the calibration folders and a quant_config file that the config names: where they exist beside it, they
are looked at; where not, nothing is said about them.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import ConfigError
from harness.lint.findings import LintFinding
from harness.lint.horizon.config import Config
from harness.lint.horizon.ops import MARCHES_J6, MARCHES_X
from harness.lint.horizon.schema import GROUPS, HB_COMPILE, HB_MAPPER
from harness.lint.yaml_tree import read_tree

J6_ONLY = ("quant_config", "enable_vpu", "enable_spu", "std_value", "cache_mode", "max_l2m_size", "separate_batch")


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
    from harness.lint.horizon import calibration, inputs, j6, nodes, structure

    config = Config(read_tree(text, name), name, folder=folder)
    known = {*HB_MAPPER, *HB_COMPILE, "node_info"}
    if not any(key.text in known for key, _ in config.tree.items):
        raise ConfigError(
            f"{name}: not an hb_mapper or hb_compile config (no parameter group)",
            f"expected groups: {', '.join(GROUPS)}",
        )
    config.tool = tool or tool_of(config)
    structure.check(config, text)
    nodes.check(config)
    inputs.check(config)
    calibration.check(config)
    if config.tool == "hb_compile":
        j6.check(config)
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

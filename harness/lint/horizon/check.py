"""A config of hb_mapper (X3, J5, X5) or hb_compile (J6, S100) as its tool would judge it, before it runs.

Pure but for what the config names: the ONNX, calibration folders and a quant_config file. Where they lie beside it
they are looked at; where not, one note says what was not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.errors import ConfigError
from harness.lint.findings import LintFinding
from harness.lint.horizon import (
    against,
    calibration,
    commands,
    compiler,
    inputs,
    models,
    nodes,
    norms,
    placed,
    quant,
    samples,
    structure,
)
from harness.lint.horizon.config import Config
from harness.lint.horizon.ops import MARCHES_J6, MARCHES_X
from harness.lint.horizon.schema import CALIBRATION, COMPILER, GROUPS, HB_COMPILE, HB_MAPPER, MODEL
from harness.lint.network import read_network
from harness.lint.paths import beside, is_file
from harness.lint.yaml_tree import read_tree

J6_ONLY = (
    "quant_config", "enable_vpu", "enable_spu", "std_value", "cache_mode", "cache_path", "max_l2m_size",
    "separate_batch", "separate_name", "extra_params", "hbdk3_compatible_mode",
)  # fmt: skip
X_ONLY = ("norm_type", "input_layout_rt", "cal_data_type", "preprocess_on", "set_node_data_type", "enable_int16")
NOT_HERE = "H-114"
CHECKS: tuple[Callable[[Config], None], ...] = (
    models.check,
    nodes.check,
    inputs.check,
    norms.check,
    calibration.check,
    compiler.check,
    quant.check,
    against.check,
    samples.check,
    placed.check,
)


def tool_of(config: Config) -> str:
    """By the march; without one by the keys: hb_compile has some alone, and has dropped some of hb_mapper's."""
    march = config.march.lower().replace("_", "-")
    if march.startswith("nash") or march in MARCHES_J6:
        return "hb_compile"
    if march in MARCHES_X:
        return "hb_mapper"

    def has(keys: tuple[str, ...]) -> bool:
        return any(config.has(group, key) for group in GROUPS for key in keys)

    return "hb_compile" if has(J6_ONLY) or not (march or has(X_ONLY)) else "hb_mapper"


def lint_text(
    text: str, name: str = "config", tool: str = "", folder: Path | None = None, model: Path | None = None
) -> tuple[LintFinding, ...]:
    """Findings by line. Errors: ConfigError for text that cannot be read as a config at all."""
    config = Config(read_tree(text, name), name, folder=folder)
    known = {*HB_MAPPER, *HB_COMPILE, "node_info"}
    if not any(key.text in known for key, _ in config.tree.items):
        raise ConfigError(
            f"{name}: not an hb_mapper or hb_compile config (no parameter group)",
            f"expected groups: {', '.join(GROUPS)}",
        )
    config.tool = tool or tool_of(config)
    _open(config, model)
    structure.check(config, text)
    for check in CHECKS:
        check(config)
    return _sorted(config)


def _sorted(config: Config) -> tuple[LintFinding, ...]:
    """By line; what was not checked comes last."""
    return tuple(sorted(config.findings, key=lambda one: (one.rule == NOT_HERE, one.line, one.rule)))


def _open(config: Config, model: Path | None) -> None:
    """Read the ONNX, and say what is not here."""
    text = config.text(MODEL, "onnx_model")
    path = model or (beside(config.folder, text) if config.folder is not None and text else None)
    if path is not None and is_file(path) and path.suffix == ".onnx":
        config.network = read_network(path)
        if config.network is None:
            what = f"{path.name} cannot be read as an ONNX model"
            config.add("H-805", config.line(MODEL, "onnx_model"), what, "export the model again")
    if config.folder is None or config.is_template:
        return
    absent = [text] if text and path is not None and not is_file(path) else []
    given = config.get(CALIBRATION, "quant_config") if config.is_j6 else None
    file = quant.file_of(config, given) if given is not None and given.kind == "scalar" else None
    absent += [given.text] if given is not None and file is not None and not is_file(file) else []
    absent += samples.absent(config)
    absent += (
        [config.text(COMPILER, "cache_path")]
        if config.is_j6 and config.network is None and compiler.cache_is_absent(config)
        else []
    )
    if absent:
        what = f"not here, so not checked: {', '.join(absent)}"
        line = config.line(MODEL, "onnx_model")
        config.add(NOT_HERE, line, what, "run lint where these files are, or give the ONNX with --model")


def lint_file(path: Path, tool: str = "", model: Path | None = None) -> tuple[LintFinding, ...]:
    """Findings of a yaml, of a quant_config.json alone, or of a script that calls the toolchain.

    Errors: ConfigError when it can be read as none of them.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "give a yaml file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text", "save the yaml in UTF-8") from error
    if quant.is_quant_config(text):
        return _sorted(quant.lint_quant_file(text, path, model))
    if commands.is_script(text):
        return _script(text, path, tool, model)
    return lint_text(text, str(path), tool, path.parent, model)


def _script(text: str, path: Path, tool: str, model: Path | None) -> tuple[LintFinding, ...]:
    """The calls of a script, and each config that it hands on and that is here, told by its name."""
    findings = list(commands.lint_script(text))
    for line, name in commands.configs_of(text):
        config = path.parent / name
        if not is_file(config):
            continue
        for one in lint_text(config.read_text("utf-8-sig", "replace"), name, tool, config.parent, model):
            message = f"{name}:{one.line}: {one.message}"
            findings.append(LintFinding(one.rule, one.severity, line, message, one.source, one.fix))
    return tuple(sorted(findings, key=lambda one: (one.line, one.rule)))

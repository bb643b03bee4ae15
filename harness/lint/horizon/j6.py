"""Checks that only hb_compile (J6, S100, S600) needs: exclusive keys, caches, quant_config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.lint.horizon.calibration import calibration_type
from harness.lint.horizon.config import Config, unfilled
from harness.lint.horizon.ops import DUAL_INT16, EC_INPUTS, kind_of
from harness.lint.yaml_tree import Node, read_tree

CALIBRATION, COMPILER, INPUT = "calibration_parameters", "compiler_parameters", "input_parameters"
EXCLUSIVE = ((INPUT, "scale_value", "std_value"), (INPUT, "separate_batch", "separate_name"))
NO_L2M = ("nash-b-lite", "nash-b", "nash-b-plus", "nash-e", "nash-m")
LEVELS = {
    "model_config": ("all_node_type", "model_output_type", "activation", "weight", "search"),
    "op_config": (),
    "subgraph_config": (),
    "node_config": (),
}
ACTIVATION = ("calibration_type", "per_channel", "asymmetric", "num_bin", "max_num_bin", "max_percentile")
RANGES = {"num_bin": (129.0, None), "max_num_bin": (258.0, None), "max_percentile": (0.5, 1.0)}
TYPES = ("int4", "int8", "int16", "float16", "float32", "nvfp4", "dual-int16", "int16-ec")
SPECIAL = ("dual-int16", "int16-ec")


def check(config: Config) -> None:
    """What hb_compile alone knows: keys that exclude each other, old words, and its quant_config."""
    for group, one, other in EXCLUSIVE:
        if _on(config, group, one) and _on(config, group, other):
            config.add(
                "H-602", config.line(group, other), f"{one} and {other} cannot be used together", "keep one of them"
            )
    kind = calibration_type(config)
    if kind == "mix":
        config.add(
            "H-604",
            config.line(CALIBRATION, "calibration_type"),
            "calibration_type mix is deprecated",
            "calibration_type: default",
        )
    if config.group(CALIBRATION) is not None and not config.words(CALIBRATION, "cal_data_dir") and kind != "skip":
        config.add(
            "H-603",
            config.line(CALIBRATION, "cal_data_dir"),
            f"no cal_data_dir: calibration_type {kind} becomes skip; cosines and thresholds are meaningless",
            "cal_data_dir: ./calibration_data, or calibration_type: skip",
        )
    if config.text(COMPILER, "max_l2m_size") not in ("", "0") and config.march in NO_L2M:
        config.add(
            "H-605", config.line(COMPILER, "max_l2m_size"), f"max_l2m_size is not supported on {config.march}", "0"
        )
    if config.text(COMPILER, "cache_mode") in ("enable", "force_overwrite") and not config.text(COMPILER, "cache_path"):
        config.add("H-606", config.line(COMPILER, "cache_mode"), "cache_mode without cache_path", "cache_path: ./cache")
    quant = config.get(CALIBRATION, "quant_config")
    if quant is not None:
        _quant_config(config, quant)


def _on(config: Config, group: str, key: str) -> bool:
    return config.text(group, key).lower() not in ("", "false", "none")


def _quant_config(config: Config, node: Node) -> None:
    if node.kind == "scalar":
        loaded = _load(config, node)
        if loaded is None:
            return
        node = loaded
    if node.kind != "map":
        config.add(
            "H-701", node.line, "quant_config is not a mapping", "quant_config: {model_config: {all_node_type: int8}}"
        )
        return
    for key, value in node.items:
        if key.text not in LEVELS:
            config.add("H-702", key.line, f"quant_config has no level {key.text!r}", f"levels are {', '.join(LEVELS)}")
        elif value.kind != "map":
            config.add("H-701", value.line, f"{key.text} is not a mapping", f"{key.text}: {{...}}")
        elif key.text == "model_config":
            _model_config(config, value)
        else:
            for name, settings in value.items:
                _settings(config, key.text, name, settings)


def _load(config: Config, node: Node) -> Node | None:
    """A quant_config given as a file name. Findings carry the line of the key, not of the other file."""
    path = (config.folder / Path(node.text).expanduser()) if config.folder is not None else None
    if path is None or not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
        tree = read_tree(text, path.name)
    except (OSError, ValueError, RecursionError, ConfigError) as error:
        comment = " (comments with // are not JSON)" if "//" in _peek(path) else ""
        config.add(
            "H-701", node.line, f"{path.name} is not JSON: {error}{comment}", "write plain JSON without comments"
        )
        return None
    return _at_line(tree, node.line)


def _peek(path: Path) -> str:
    return path.read_bytes()[:1_000_000].decode("utf-8", errors="replace")


def _at_line(node: Node, line: int) -> Node:
    return Node(
        line,
        node.kind,
        node.value,
        node.raw,
        node.quoted,
        tuple((_at_line(k, line), _at_line(v, line)) for k, v in node.items),
        tuple(_at_line(one, line) for one in node.entries),
    )


def _model_config(config: Config, node: Node) -> None:
    for key, value in node.items:
        if key.text not in LEVELS["model_config"]:
            config.add(
                "H-702",
                key.line,
                f"model_config has no key {key.text!r}",
                f"keys are {', '.join(LEVELS['model_config'])}",
            )
        elif key.text in ("all_node_type", "model_output_type"):
            _type(config, value, key.text)
        elif key.text == "activation" and value.kind == "map":
            _activation(config, value)
        if key.text == "model_output_type" and value.text in ("int8", "int16"):
            config.add(
                "H-708",
                value.line,
                f"model_output_type {value.text}: a tail Conv gives up its int32 (E, M) or float32 (B, H, P) output",
                "remove it where the output needs precision",
            )


def _activation(config: Config, node: Node) -> None:
    for key, value in node.items:
        if key.text not in ACTIVATION:
            config.add("H-702", key.line, f"activation has no key {key.text!r}", f"keys are {', '.join(ACTIVATION)}")
        elif key.text in RANGES:
            _range(config, key.text, value)


def _range(config: Config, key: str, value: Node) -> None:
    low, high = RANGES[key]
    for one in value.entries or (value,):
        number: Any = one.value
        good = isinstance(number, int | float) and not isinstance(number, bool)
        if not good or number < low or (high is not None and number > high):
            bound = f"{low:g}..{high:g}" if high is not None else f"at least {low:g}"
            config.add("H-105", one.line, f"{key}: {one.text} is not {bound}", f"{key}: {low:g}")


def _settings(config: Config, level: str, name: Node, node: Node) -> None:
    kind = name.text if level == "op_config" else kind_of(name.text) if level == "node_config" else ""
    if node.kind != "map":
        config.add("H-701", node.line, f"{level}.{name.text} is not a mapping", "{qtype: int16}")
        return
    types: dict[str, str] = {}
    for key, value in node.items:
        if key.text == "ON" or key.value is True:
            config.add(
                "H-707",
                key.line,
                f"{name.text}: ON in {level} is documented on one page only, unlike all others",
                "qtype: int16, or input0: int16",
            )
        elif level == "subgraph_config" and key.text in ("inputs", "outputs"):
            continue
        elif key.text == "qtype" or (key.text.startswith("input") and key.text[5:].isdigit()):
            types[key.text] = value.text
            _node_type(config, kind, name, key, value)
        elif not unfilled(value) and key.text not in ("activation", "weight", "output", "outputs", "inputs"):
            config.add(
                "H-702", key.line, f"{level}.{name.text} has no key {key.text!r}", "keys are qtype, input0, input1, ..."
            )
    if (
        types.get("input0") in ("int16", "ec") and types.get("input1") in ("int16", "ec")
    ) or "dual-int16" in types.values():
        config.add(
            "H-706",
            name.line,
            f"{name.text}: both inputs int16 need OE 3.2.0 (hbdk4-compiler 4.3.3), and its output cannot be int32",
            "keep one input int8 where the compiler is older or the node is an output",
        )


def _node_type(config: Config, kind: str, name: Node, key: Node, value: Node) -> None:
    if value.text == "ec":
        if kind and key.text not in EC_INPUTS.get(kind, ()):
            where = "; ".join(f"{op} {' or '.join(sorted(inputs))}" for op, inputs in EC_INPUTS.items())
            config.add(
                "H-705",
                value.line,
                f"{name.text}: ec on {key.text} of {kind} has no effect; only on {where}",
                f"{key.text}: int16",
            )
        return
    _type(config, value, f"{name.text}.{key.text}")
    if value.text in SPECIAL and kind and kind not in DUAL_INT16:
        config.add("H-704", value.line, f"{name.text}: {value.text} on {kind}", f"{key.text}: int16")


def _type(config: Config, value: Node, where: str) -> None:
    word = value.text
    if value.kind == "scalar" and (word in TYPES or word.startswith("mx")):
        return
    config.add("H-703", value.line, f"{where}: no data type {word!r}", f"one of {', '.join(TYPES)}")

"""Checks of a quant_config: written into the yaml, in a file that the yaml names, or such a file alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.lint.horizon.against import quant_names, report_unknown
from harness.lint.horizon.config import Config, op_type, unfilled
from harness.lint.horizon.ops import DUAL_INT16, EC_INPUTS, KINDS
from harness.lint.horizon.schema import CALIBRATION
from harness.lint.paths import beside, is_file
from harness.lint.yaml_tree import Node, read_tree

TYPES = (
    "int4", "int8", "int16", "float16", "float32", "mxint4", "mxint8", "mxint16", "mxfp4", "mxfp8", "nvfp4",
    "dual-int16", "int16-ec",
)  # fmt: skip
SPECIAL = ("dual-int16", "int16-ec")
METRICS = ("cosine-similarity", "mse", "mae", "mre", "sqnr", "chebyshev")
LEVELS = {
    "model_config": ("all_node_type", "model_output_type", "activation", "weight", "search"),
    "op_config": (),
    "subgraph_config": (),
    "node_config": (),
}


@dataclass(frozen=True)
class QuantSetting:
    """What one key of model_config takes. `several`: a list of it starts a search."""

    kind: str  # "bool", "whole", "number", "word"
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    several: bool = False


ACTIVATION = {
    "calibration_type": QuantSetting("word", ("max", "kl"), several=True),
    "per_channel": QuantSetting("bool", several=True),
    "asymmetric": QuantSetting("bool", several=True),
    "num_bin": QuantSetting("whole", low=129, several=True),
    "max_num_bin": QuantSetting("whole", low=258, several=True),
    "max_percentile": QuantSetting("number", low=0.5, high=1.0, several=True),
}
CORRECTION = {"num_sample": QuantSetting("whole", low=1), "metric": QuantSetting("word", METRICS)}
EXAMPLES = {"word": "kl", "bool": "false", "num_bin": "1024", "max_num_bin": "16384", "max_percentile": "0.99995"}


def check(config: Config) -> None:
    """The quant_config of a yaml, where it is written out or its file is here."""
    node = config.get(CALIBRATION, "quant_config") if config.is_j6 else None
    if node is None:
        return
    if node.kind == "scalar":
        loaded = _load(config, node)
        if loaded is None:
            return
        node = loaded
        _names(config, node)
    check_tree(config, node)


def check_tree(config: Config, node: Node) -> None:
    """Every level of it."""
    if node.kind != "map":
        config.add(
            "H-701", node.line, "quant_config is not a mapping", "quant_config: {model_config: {all_node_type: int8}}"
        )
        return
    for key, value in node.items:
        if key.text not in LEVELS:
            config.add("H-702", key.line, f"quant_config has no level {key.text!r}", _near(key.text, LEVELS))
        elif value.kind != "map":
            config.add("H-701", value.line, f"{key.text} is not a mapping", f"{key.text}: {{}}")
        elif key.text == "model_config":
            _model_config(config, value)
        else:
            for name, settings in value.items:
                _settings(config, key.text, name, settings)


def _near(word: str, known: Any) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}?" if near else f"leave {word} out: known are {', '.join(known)}"


# --------------------------------------------------------------------------- files


def is_quant_config(text: str) -> bool:
    """Whether the beginning of a file is meant as such a json."""
    head = text.lstrip("\ufeff \t\r\n")
    return head.startswith("{") and any(level in text for level in LEVELS) and "_parameters" not in text


def lint_quant_file(text: str, path: Path, model: Path | None) -> Config:
    """A quant_config.json alone, with the lines of that file."""
    from harness.lint.network import read_network

    config = Config(Node(1, "map"), str(path), "hb_compile", path.parent)
    if model is not None:
        config.network = read_network(model)
    tree = _tree(config, text, path.name, 1)
    if tree is not None:
        check_tree(config, tree)
        _names(config, tree)
    return config


def _tree(config: Config, text: str, name: str, line: int) -> Node | None:
    """The json with its lines; None, and a finding, where it is none."""
    try:
        json.loads(text)
        return read_tree(text.replace("\t", " "), name, as_json=True)
    except (ValueError, RecursionError, ConfigError) as error:
        at = error.lineno if isinstance(error, json.JSONDecodeError) else line
        comment = " (comments with // are not JSON)" if "//" in text else ""
        what = f"{name} is not JSON: {error}{comment}"
        config.add("H-701", at if line == 1 else line, what, "write plain JSON without comments")
        return None


def _load(config: Config, node: Node) -> Node | None:
    """A quant_config given as a file name. Findings carry the line of the key, not of the other file."""
    path = file_of(config, node)
    if path is None or not is_file(path):
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        config.add("H-701", node.line, f"{path.name} cannot be read: {error}", "save the json in UTF-8")
        return None
    tree = _tree(config, text, path.name, node.line)
    return None if tree is None else _at_line(tree, node.line)


def file_of(config: Config, node: Node) -> Path | None:
    """Where a quant_config given as text lies; None where no folder is known."""
    return beside(config.folder, node.text) if config.folder is not None else None


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


def _names(config: Config, quant: Node) -> None:
    """Names of nodes against the ONNX, where it is here."""
    for line, where, name in quant_names(quant) if config.network is not None else ():
        report_unknown(config, line, where, name)


# --------------------------------------------------------------------------- model_config


def _model_config(config: Config, node: Node) -> None:
    for key, value in node.items:
        if key.text not in LEVELS["model_config"]:
            config.add(
                "H-702", key.line, f"model_config has no key {key.text!r}", _near(key.text, LEVELS["model_config"])
            )
        elif key.text in ("all_node_type", "model_output_type"):
            _type(config, value, key.text, key.text)
        elif key.text == "activation":
            _section(config, value, "activation", ACTIVATION)
        elif key.text == "weight":
            _weight(config, value)
        if key.text == "model_output_type" and value.text in ("int8", "int16"):
            config.add(
                "H-708",
                value.line,
                f"model_output_type {value.text}: a tail Conv gives up its int32 (E, M) or float32 (B, H, P) output",
                "leave model_output_type out where the output needs precision",
            )


def _weight(config: Config, node: Node) -> None:
    correction = node.get("bias_correction") if node.kind == "map" else None
    if node.kind != "map":
        config.add("H-709", node.line, "weight is not a mapping", "weight: {bias_correction: {num_sample: 1}}")
    elif correction is not None and correction.kind == "map":
        _section(config, correction, "bias_correction", CORRECTION)
    elif correction is not None and not isinstance(correction.value, bool):
        fix = "bias_correction: {num_sample: 1}"
        config.add("H-709", correction.line, "bias_correction is not a mapping", fix)


def _section(config: Config, node: Node, where: str, known: dict[str, QuantSetting]) -> None:
    if node.kind != "map":
        config.add("H-709", node.line, f"{where} is not a mapping", f"{where}: {{}}")
        return
    for key, value in node.items:
        setting = known.get(key.text)
        if setting is None:
            config.add("H-702", key.line, f"{where} has no key {key.text!r}", _near(key.text, known))
            continue
        if value.kind == "list" and (not setting.several or not value.entries):
            config.add("H-709", value.line, f"{where}.{key.text} takes one value", _example(key.text, setting))
            continue
        for one in value.entries or (value,):
            if (why := _wrong(one, setting)) != "":
                fix = _example(key.text, setting, one.text)
                config.add("H-709", one.line, f"{where}.{key.text}: {one.text or one.kind} is not {why}", fix)


def _wrong(value: Node, setting: QuantSetting) -> str:
    """What is expected of a value that is not; "" for one that is right."""
    if setting.kind == "word":
        return "" if value.text in setting.choices else f"one of {', '.join(setting.choices)}"
    if setting.kind == "bool":
        return "" if isinstance(value.value, bool) else "true or false"
    number: Any = value.value
    wanted = int if setting.kind == "whole" else (int, float)
    is_number = isinstance(number, wanted) and not isinstance(number, bool)
    low, high = setting.low, setting.high
    inside = is_number and (low is None or number >= low) and (high is None or number <= high)
    bound = f"{low:g}..{high:g}" if low is not None and high is not None else f"at least {low:g}"
    return "" if inside else f"a whole number of {bound}" if setting.kind == "whole" else f"a number of {bound}"


def _example(key: str, setting: QuantSetting, given: str = "") -> str:
    if setting.kind == "word":
        near = get_close_matches(given.lower(), setting.choices, n=1)
        return f"{key}: {near[0] if near else setting.choices[0]}"
    if setting.kind == "bool":
        return f"{key}: {'true' if given.lower() in ('true', '1', 'yes') else 'false'}"
    return f"{key}: {EXAMPLES.get(key, f'{setting.low:g}')}"


# --------------------------------------------------------------------------- ops and nodes


def _settings(config: Config, level: str, name: Node, node: Node) -> None:
    kind = name.text if level == "op_config" else op_type(config, name.text) if level == "node_config" else ""
    if node.kind != "map":
        config.add("H-701", node.line, f"{level}.{name.text} is not a mapping", f"{name.text}: {{qtype: int16}}")
        return
    if level == "op_config":
        _op_type(config, name)
    types = dict(_types(config, level, kind, name, node))
    inputs = [types.get("input0"), types.get("input1")]
    if inputs == ["ec", "ec"]:
        what = f"{name.text}: ec on both inputs; it works on one of them"
        config.add("H-705", name.line, what, "input0: int16")
    wide = all(one in ("int16", "ec") for one in inputs) and inputs != ["ec", "ec"]
    if (wide or "dual-int16" in types.values()) and kind in ("", *DUAL_INT16):
        config.add(
            "H-706",
            name.line,
            f"{name.text}: both inputs int16 need OE 3.2.0 (hbdk4-compiler 4.3.3), and its output cannot be int32",
            "keep one input int8 where the compiler is older or the node is an output",
        )


def _op_type(config: Config, name: Node) -> None:
    """Op types are ONNX's, to the letter."""
    right = {kind.lower(): kind for kind in KINDS}.get(name.text.lower(), name.text)
    if right != name.text:
        config.add("H-702", name.line, f"no op type {name.text!r}: types are case-sensitive", f"did you mean {right}?")
    elif config.network is not None and name.text not in config.network.types:
        what = f"op_config names {name.text}: the model has no such op"
        config.add("H-804", name.line, what, f"leave {name.text} out", severity="warning")


def _types(config: Config, level: str, kind: str, name: Node, node: Node) -> Iterator[tuple[str, str]]:
    for key, value in node.items:
        if key.text == "ON" or key.value is True:
            what = f"{name.text}: ON in {level} is documented on one page only, unlike all others"
            config.add("H-707", key.line, what, "qtype: int16, or input0: int16")
        elif level == "subgraph_config" and key.text in ("inputs", "outputs"):
            continue
        elif key.text == "qtype" or (key.text.startswith("input") and key.text[5:].isdigit()):
            yield key.text, value.text
            _node_type(config, kind, name, key, value)
        elif not unfilled(value) and key.text not in ("activation", "weight", "output", "outputs", "inputs"):
            what = f"{level}.{name.text} has no key {key.text!r}"
            config.add("H-702", key.line, what, _near(key.text, ("qtype", "input0", "input1")))


def _node_type(config: Config, kind: str, name: Node, key: Node, value: Node) -> None:
    if value.text == "ec":
        if kind and key.text not in EC_INPUTS.get(kind, ()):
            where = "; ".join(f"{op} {' or '.join(sorted(inputs))}" for op, inputs in EC_INPUTS.items())
            what = f"{name.text}: ec on {key.text} of {kind} has no effect; only on {where}"
            config.add("H-705", value.line, what, f"{key.text}: int16")
        return
    _type(config, value, f"{name.text}.{key.text}", key.text)
    if value.text in SPECIAL and kind and kind not in DUAL_INT16:
        config.add("H-704", value.line, f"{name.text}: {value.text} on {kind}", f"{key.text}: int16")


def _type(config: Config, value: Node, where: str, key: str) -> None:
    if value.kind == "scalar" and value.text in TYPES:
        return
    near = get_close_matches(value.text.lower(), TYPES, n=1, cutoff=0.8)
    fix = f"{key}: {near[0]}" if near else f"one of {', '.join(TYPES)}"
    config.add("H-703", value.line, f"{where}: no data type {value.text!r}", fix)
